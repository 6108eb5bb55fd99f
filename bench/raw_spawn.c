/* The raw limit of starting processes: N times /bin/true in S processes that each wait for one after the other, with the
   lowest priority, as attempts have it. Prints the seconds it took. */
#define _GNU_SOURCE
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void work(int count) {
  char *words[] = {"/bin/true", NULL};
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSID);
  for (int i = 0; i < count; i++) {
    pid_t child;
    int status;
    if (posix_spawn(&child, words[0], NULL, &how, words, environ) || waitpid(child, &status, 0) != child) _exit(1);
  }
  _exit(0);
}

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 1000, slots = argc > 2 ? atoi(argv[2]) : 1, status, bad = 0;
  struct timespec begin, end;
  struct sched_param none = {0};
  setpriority(PRIO_PROCESS, 0, 19);
  sched_setscheduler(0, SCHED_IDLE, &none);
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int i = 0; i < slots; i++)
    if (!fork()) work(count / slots);
  while (wait(&status) > 0) bad |= status;
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.6f\n", end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) / 1e9);
  return bad ? 1 : 0;
}

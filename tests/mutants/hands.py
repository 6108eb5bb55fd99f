"""Mistakes in the hands: in what the supervisor decides, in its runners, in the daemon's mirror of it.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant

RUNS: Final = "exec/test_hands.py::test_"
FOLLOWS: Final = "exec/test_followers.py::test_"
NASTY: Final = "exec/test_nasty.py::test_"
FOLDERS: Final = "exec/test_workplace.py::test_"
MACHINES: Final = "exec/test_machines.py::test_"
DECIDES: Final = "exec/test_desk.py::test_"


def desk(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "exec/supervisor/desk.py", old, new, tests)


def crew(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "exec/supervisor/crew.py", old, new, tests)


def runner(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "exec/supervisor/runner.py", old, new, tests)


MUTANTS: Final[tuple[Mutant, ...]] = (
    desk(
        "what was forgotten runs again",
        "        if attempt in self.past:\n            self._end(Ended(attempt, start.task, LOST",
        "        if False:\n            self._end(Ended(attempt, start.task, LOST",
        RUNS + "what_was_forgotten_and_is_asked_for_again_is_lost_not_run_again",
    ),
    desk(
        "started without a lease",
        "        elif now_ms < self.until_ms:\n            self.attempts[attempt] = one\n",
        "        else:\n            self.attempts[attempt] = one\n",
        DECIDES + "nothing_begins_without_a_lease_whatever_the_daemon_says",
    ),
    desk(
        "nothing is frozen when the lease is over",
        "        if now_ms < self.until_ms:\n            return\n        for _ in range(2)",
        "        if True:\n            return\n        for _ in range(2)",
        RUNS + "when_it_is_over_all_stand_still_without_being_told",
    ),
    desk(
        "thawed without a lease",
        "one.frozen_at_ms == UNKNOWN_MS or now_ms >= self.until_ms:\n            return\n        self._wake",
        "one.frozen_at_ms == UNKNOWN_MS:\n            return\n        self._wake",
        DECIDES + "nothing_thaws_without_a_lease_whatever_the_daemon_says",
    ),
    desk(
        "orders wait behind one that runs long",
        "self._lines.get(room) or self._taken_from_others(room)",
        "self._lines.get(room)",
        FOLLOWS + "nobody_waits_behind_one_that_runs_long_while_there_is_room",
    ),
    desk(
        "a time limit that counts frozen time",
        "        return max(0, until - self.began_ms - self.stood_ms)",
        "        return max(0, now_ms - self.began_ms)",
        DECIDES + "frozen_time_does_not_count",
    ),
    crew(
        "an order is taken back that its new runner has not come to",
        "            if attempt == hand.attempts[0]:\n",
        "            if False:\n",
        FOLLOWS + "the_first_order_of_a_new_runner_stays_with_it",
    ),
    crew(
        "the next one is blamed for want of memory",
        "        has_run_out = self._ran_out(hand)  # looked at each time: the next one is not to blame\n"
        "        if has_run_out and (done.outcome or done.code):\n",
        "        if (done.outcome or done.code) and self._ran_out(hand):\n",
        MACHINES + "who_is_killed_for_want_of_memory_is_told_as_that_though_nobody_set_a_limit",
    ),
    crew(
        "what was in the pipes of a killed runner is lost",
        "                while data := os.read(end, CHUNK):\n                    outlet.write(stream, data)\n",
        "                pass\n",
        RUNS + "what_it_wrote_before_it_was_killed_is_kept",
    ),
    runner(
        "leftovers go on",
        "        leaked = self._clear()\n",
        "        leaked = False\n",
        RUNS + "what_is_left_behind_ends_with_it",
    ),
    runner(
        "a pipe stays as a job has left it",
        "            os.set_blocking(end, True)  # a job may have changed it\n",
        "            pass\n",
        NASTY + "it_leaves_its_pipe_without_blocking",
    ),
    Mutant(
        "what is to be kept is never moved",
        "exec/supervisor/workplace.py",
        "        if out.is_untouched:\n            return",
        "        if True:\n            return",
        (FOLDERS + "what_is_put_into_out_gets_the_attempts_name_and_the_next_finds_an_empty_one",),
    ),
    Mutant(
        "a folder with its old time passes for untouched",
        "exec/supervisor/workplace.py",
        "return found.st_ino, found.st_dev, found.st_mtime_ns, found.st_ctime_ns, found.st_mode",
        "return found.st_ino, found.st_dev, found.st_mtime_ns, 0, 0",
        (FOLDERS + "one_that_gives_its_folder_any_time_and_mode_is_noticed",),
    ),
    Mutant(
        "what is mounted in a scratch is emptied",
        "exec/supervisor/emptying.py",
        "        except PermissionError:  # where it may not be written to, it may not be moved\n"
        "            os.chmod(name, 0o700, dir_fd=folder)\n"
        "            os.rename(name, new, src_dir_fd=folder, dst_dir_fd=self._here)\n",
        "        except OSError:\n            new = name\n",
        (FOLDERS + "what_a_job_mounts_over_its_folders_is_not_emptied",),
    ),
    Mutant(
        "links are followed",
        "exec/supervisor/emptying.py",
        "os.stat(name, dir_fd=folder, follow_symlinks=False)",
        "os.stat(name, dir_fd=folder)",
        (FOLDERS + "trees_of_all_kinds_go_and_nothing_they_point_to",),
    ),
    Mutant(
        "what a killed attempt has kept is left in its slot",
        "exec/supervisor/main.py",
        "            self._crew.rescue(gone.slot, gone.ran or 0, ran)\n",
        "            pass\n",
        (FOLDERS + "what_one_that_is_killed_has_kept_is_there_and_its_scratch_goes",),
    ),
    Mutant(
        "the next supervisor leaves files where they are",
        "exec/supervisor/main.py",
        "            self._crew.rescue(slot, attempt, told.running.get(attempt))\n",
        "            pass\n",
        (FOLDERS + "so_it_is_when_the_supervisor_dies",),
    ),
    Mutant(
        "files of live jobs go",
        "exec/files.py",
        "            if job.isdigit() and is_live(int(job)):\n",
        "            if False:\n",
        (FOLDERS + "what_was_kept_goes_when_it_is_old_whatever_times_it_was_given",),
    ),
    Mutant(
        "who is gone is believed to have ended all",
        "exec/supervisor/proof.py",
        "if not pages.are_alone and pages.server(slot).pid]",
        "if False]",
        (MACHINES + "what_a_killed_runner_has_left_is_proven_only_where_it_was_alone",),
    ),
    Mutant(
        "nobody waits until what ran is over",
        "exec/supervisor/proof.py",
        "    while left and time.monotonic() < deadline:\n",
        "    while False:\n",
        ("exec/test_proof.py::test_it_waits_until_all_are_dead",),
    ),
    Mutant(
        "a stranger is killed in a runner's place",
        "exec/supervisor/proof.py",
        "if one.pid and tree.began(one.pid) == one.began]",
        "if one.pid]",
        ("exec/test_proof.py::test_a_stranger_with_a_runners_number_is_left_alone",),
    ),
    Mutant(
        "groups of others are swept",
        "exec/supervisor/oldgroups.py",
        "if os.path.basename(path) == own]",
        "]",
        ("exec/test_oldgroups.py::test_what_is_not_ours_stays_whatever_was_noted",),
    ),
    Mutant(
        "groups are not noted",
        "exec/supervisor/cgroups.py",
        "            oldgroups.note(self._home, path)\n",
        "            pass\n",
        ("exec/test_oldgroups.py::test_after_a_supervisor_that_was_killed_and_the_next_one_nothing_is_left",),
    ),
    Mutant(
        "an end that found no room is never written",
        "exec/supervisor/outlet.py",
        "        if self._owed:\n            self._pay()\n",
        "",
        (NASTY + "the_disk_is_full_while_it_writes",),
    ),
    Mutant(
        "beyond the limit all is kept",
        "exec/supervisor/outlet.py",
        "            data = data[:room]\n",
        "            pass\n",
        (RUNS + "beyond_its_limit_a_stream_is_cut_and_the_job_goes_on",),
    ),
    Mutant(
        "the hands believe in an end because nobody answers",
        "exec/hands.py",
        "        end, self._socket, self._telling = self._socket, None, None\n",
        "        end, self._socket, self._telling = self._socket, None, None\n        self._all.clear()\n",
        (RUNS + "what_runs_is_here_while_nobody_answers",),
    ),
)

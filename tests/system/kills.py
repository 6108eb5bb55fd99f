"""A daemon that is killed again and again while an array runs, and the account afterwards.

`python -m tests.system.kills TASKS KILLS` is the long form, in a home of its own that goes with it.
Promises: says how often each task ran by what the tasks themselves have left, not by what the daemon believes.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.client import Client
from odyssey.clock import SeededEntropy
from odyssey.ids import UserId
from odyssey.resources import Resources
from odyssey.spec import JobSpec, Want
from tests.system.place import Place

# A line on each stream, and a mark of having run that is nobody's output.
TASK: Final = 'echo "out $ODYSSEY_INDEX"; echo "err $ODYSSEY_INDEX" >&2; echo "$ODYSSEY_INDEX" >> "$1"'


class Account(NamedTuple):
    kills: int
    seconds: float
    back_ms: tuple[int, ...]  # from each kill until somebody answered again
    ended: Counter[str]  # tasks by state
    tries: int
    outcomes: Counter[str]  # of tries
    ran: Counter[int]  # how often each task left its mark
    output: dict[tuple[int, int], bytes]  # by task and stream


def spec(mark: Path, tasks: int) -> JobSpec:
    argv = tuple(map(os.fsencode, ("sh", "-c", TASK, "sh", str(mark))))
    return JobSpec(UserId(""), argv, Want(Resources(1000, 1 << 20), key="sh"), count=tasks, cwd=b"/")


def kill_often(place: Place, mark: Path, tasks: int, kills: int, seed: int = 1) -> Account:
    began, entropy = time.monotonic(), SeededEntropy(seed)
    place.start()
    back: list[int] = []
    with Client(lambda: str(place.start().socket)) as client:
        job = str(client.call(r.Submit(os.urandom(16), (spec(mark, tasks),))).id)
        for number in range(kills):
            _wait_for_tasks(client, job, tasks * (number + 1) // (kills + 1))
            time.sleep(entropy.below(50) / 1000)  # not always at the same point of its work
            back.append(_kill(place))
        output: dict[tuple[int, int], bytes] = {}
        for item in client.follow(r.Follow(job)):
            if isinstance(item, v.Output):
                key = item.index, item.stream
                output[key] = output.get(key, b"") + item.data
        states: Counter[str] = Counter()
        outcomes: Counter[str] = Counter()
        tries, start = 0, 0
        while True:
            page = client.call(r.Job(job, start))
            states.update(one.state for one in page.task_list)
            tries += sum(one.tries_total for one in page.task_list)
            outcomes.update(f"{one.outcome}: {one.reason}" for task in page.task_list for one in task.tries)
            if page.next_task is None:
                break
            start = page.next_task
    ran = Counter(int(line) for line in mark.read_text().split())
    return Account(kills, time.monotonic() - began, tuple(back), states, tries, outcomes, ran, output)


def _wait_for_tasks(client: Client, job: str, count: int) -> None:
    while True:
        counts = client.call(r.Job(job, limit=1)).job.tasks
        if counts.total - counts.waiting - counts.running >= count:
            return
        time.sleep(0.005)


def _kill(place: Place) -> int:
    while (daemon := place.daemon) is None:  # the one before is only just coming back
        place.start()
    ended = os.pidfd_open(daemon)
    try:
        began = time.monotonic()
        signal.pidfd_send_signal(ended, signal.SIGKILL)
        select.select([ended], [], [])
    finally:
        os.close(ended)
    place.start()
    return round(1000 * (time.monotonic() - began))


def complaints(account: Account, tasks: int) -> list[str]:
    found = []
    if account.ended != {"done": tasks}:
        found.append(f"tasks ended as {dict(account.ended)}")
    if account.tries != tasks:
        found.append(f"{account.tries} tries of {tasks} tasks: {dict(account.outcomes)}")
    again = [task for task, count in account.ran.items() if count != 1]
    if again or len(account.ran) != tasks:
        found.append(f"{tasks - len(account.ran)} never ran, {len(again)} ran more than once: {again[:5]}")
    for task in range(tasks):
        for stream, word in ((v.STDOUT, "out"), (v.STDERR, "err")):
            if account.output.get((task, stream)) != f"{word} {task}\n".encode():
                found.append(f"task {task} wrote {account.output.get((task, stream))!r} on stream {stream}")
    return found


def main(tasks: int, kills: int) -> int:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        place = Place(Path(folder) / "home")
        try:
            account = kill_often(place, Path(folder) / "mark", tasks, kills)
        finally:
            place.end()
    found = complaints(account, tasks)
    back = sorted(account.back_ms)
    print(f"{account.kills} kills in {account.seconds:.1f} s; back after {back[len(back) // 2]} ms, at most {back[-1]}")
    print("\n".join(found) or f"{tasks} tasks: each ran once, nothing is lost")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))

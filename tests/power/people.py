"""A program: people at the door of a daemon that is watched, and the account of what they asked and were told.

`python -m tests.power.people HOME MARKS BOOT SEED ACTS` starts the daemon, asks for so many things, waits until what
can end has ended, reads what it wrote, and leaves the daemon running. Each thing is one line in MARKS before it is
asked and one line when the answer is here; what happens to files in between was recorded in between.

Never: knows what is done with the account.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any, Final

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.client import Client
from odyssey.errors import OdysseyError
from tests.power.works import KINDS, Work

PATIENCE_S: Final = 60.0
ENDED: Final = ("done", "failed", "cancelled", "skipped")
_TO_JOBS: Final = ("cancel", "hold", "release", "prio", "retry")


class Marks:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(self, **what: Any) -> None:
        line = json.dumps(what).encode() + b"\n"
        assert os.write(self._file, line) == len(line)


class People:
    def __init__(self, client: Client, marks: Marks, seed: int) -> None:
        self._client, self._marks, self._chance, self._seed = client, marks, Random(seed), seed
        self._number = 0
        self._jobs: dict[int, str] = {}  # by number: its kind

    def act(self) -> None:
        self._number += 1
        what = self._chance.choices(("submit", "share", *_TO_JOBS), (12, 1, 2, 1, 1, 1, 1))[0]
        if what == "share":
            self._ask("share", mem=f"{self._chance.randrange(1, 9)}G")
        elif what == "submit" or not self._jobs:
            kind = self._chance.choice(KINDS)
            self._ask("submit", kind=kind, word=f"w{self._seed}-{self._number}")
        else:
            job = self._chance.choice(list(self._jobs))
            self._ask(what, job=job, priority=self._chance.randrange(-5, 6))

    def _ask(self, what: str, **more: Any) -> None:
        self._marks.say(number=self._number, what=what, **more)
        try:
            told = self._asked(what, more)
        except OdysseyError as error:
            self._marks.say(number=self._number, refused=error.message)
        else:
            self._marks.say(number=self._number, told=told)

    def _asked(self, what: str, more: dict[str, Any]) -> int:
        ref = str(more.get("job", ""))
        match what:
            case "submit":
                work = Work(more["kind"], more["word"])
                first = work.submit(self._client)
                self._jobs |= {first + place: work.kind for place in range(len(work.specs()))}
                return first
            case "cancel":
                return self._client.call(r.Cancel(ref)).tasks
            case "hold":
                return self._client.call(r.Hold(ref)).tasks
            case "release":
                return self._client.call(r.Release(ref)).tasks
            case "retry":
                return self._client.call(r.Retry(ref)).tasks
            case "prio":
                return self._client.call(r.Prio(ref, more["priority"])).tasks
        self._client.call(r.Share(mem=more["mem"]))
        return 0

    def look(self) -> None:
        """What has ended is told, with all that it wrote."""
        for job in self._jobs:
            detail = self._client.call(r.Job(str(job)))
            if detail.job.state in ENDED:
                self._marks.say(seen=job, **seen(self._client, detail))

    def wait(self) -> None:
        """Until all that can end has ended. What was archived has."""
        deadline = time.monotonic() + PATIENCE_S
        while left := [job for job in self._jobs if not self._is_over(job)]:
            if time.monotonic() > deadline:
                raise SystemExit(f"error: these do not end: {left}")
            time.sleep(0.02)

    def _is_over(self, job: int) -> bool:
        view = self._client.call(r.Job(str(job))).job
        return view.state in ENDED or self._stays(view)

    def _stays(self, job: v.JobView) -> bool:
        return job.is_held or job.state == "waiting" or self._jobs[job.id] == "slow"


def seen(client: Client, detail: v.JobDetail) -> dict[str, Any]:
    """All that a person is told of a job that has ended, as JSON."""
    tasks = [
        (task.index, task.state, task.exit_code, task.tries[-1].attempt if task.tries else 0)
        for task in detail.task_list
    ]
    texts: dict[str, str] = {}
    for told in client.stream(r.Logs(str(detail.job.id))):
        for item in told.items:
            if isinstance(item, v.Output):
                key = f"{item.index}/{item.stream}"
                texts[key] = texts.get(key, "") + item.data.decode("latin-1")
    where = client.call(r.Where(str(detail.job.id)))
    kept = [Path(task.files, "deep", "notes").read_text() if task.files is not None else None for task in where.tasks]
    return {"state": detail.job.state, "tasks": tasks, "texts": texts, "kept": kept}


def started(home: str, boot: str) -> str:
    """Where the socket of a new daemon is."""
    ours, its = os.pipe()
    words = ["--home", home, "--foreground", "--ready", str(its), "--owner", "me", "--machine", "pc"]
    with open(os.devnull, "w") as nothing:
        command = [sys.executable, "-P", "-m", "tests.power.daemon", boot, *words]
        subprocess.Popen(command, pass_fds=(its,), stdout=nothing, stderr=nothing)
    os.close(its)
    with os.fdopen(ours) as file:
        answer = json.loads(file.readline() or "{}")
    if "ready" not in answer:
        raise SystemExit(f"error: the daemon does not start: {answer}")
    return str(answer["ready"])


def main(home: str, marks_path: str, boot: str, seed: str, acts: str) -> None:
    marks = Marks(Path(marks_path))
    try:
        with Client(started(home, boot)) as client:
            people = People(client, marks, int(seed))
            for number in range(int(acts)):
                people.act()
                if number % 8 == 7:
                    people.look()
            people.wait()
            people.look()
    except BaseException as error:
        marks.say(over=repr(error))
        raise
    marks.say(over="")


if __name__ == "__main__":
    main(*sys.argv[1:])

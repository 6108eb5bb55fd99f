"""Starts the real daemon on what a disk has kept, and asks for everything that people had been told.

Promises: what it says is missing was acknowledged. Everything that was given is brought to its end.
Never: leaves a process or a file behind.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.client import Client
from odyssey.errors import OdysseyError, UsageError
from tests.power.account import Account
from tests.power.daemon import run
from tests.power.disk import Image
from tests.power.people import ENDED, seen
from tests.power.record import HOME, Watched, put
from tests.power.works import Work

PATIENCE_S: Final = 60.0
JOURNAL: Final = f"{HOME}/hands/journal"
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def check(folder: Path, image: Image, account: Account, boot: str) -> list[str]:
    """Complaints. The folder is made for it, and goes."""
    folder.mkdir(parents=True)
    world = folder / "world"
    put(world, rebooted(image))
    place = Watched(world)
    daemon, answer = _started(place, folder / "said", boot)
    try:
        with os.fdopen(answer) as told:
            ready: dict[str, Any] = json.loads(told.readline() or "{}")
        if "ready" not in ready:
            said = (folder / "said").read_text(errors="replace")[-2000:]
            return [f"the daemon does not start: {ready or said}"]
        with Client(str(ready["ready"])) as client:
            found = list(_complaints(client, account))
            client.call(r.Down(now=True))
        return found
    except OdysseyError as error:
        return [f"the daemon refuses: {error!r}\n{(folder / 'said').read_text(errors='replace')[-2000:]}"]
    finally:
        place.end()
        os.kill(daemon, signal.SIGKILL)  # if it could not be asked; nobody else has waited for it
        os.waitpid(daemon, 0)
        place.end()
        shutil.rmtree(folder)


def rebooted(image: Image) -> Image:
    """The machine has another boot id now; what the journal of the hands says is of one before."""
    journal = image.get(JOURNAL)
    if journal is None:
        return image
    real = _BOOT.read_bytes().strip()
    return {**image, JOURNAL: journal.replace(real, b"x" * len(real))}


def _started(place: Watched, said: Path, boot: str) -> tuple[int, int]:
    """The daemon and what it says of its start. Forked: all that it needs is imported already."""
    ours, its = os.pipe()
    home = place.home.path
    if (daemon := os.fork()) == 0:
        status = 1
        try:
            os.close(ours)
            os.setsid()
            os.environ.update(place.environment)
            file = os.open(said, os.O_WRONLY | os.O_CREAT)
            os.dup2(file, 1)
            os.dup2(file, 2)
            words = ["--home", os.fspath(home), "--foreground", "--ready", str(its), "--owner", "me", "--machine", "pc"]
            status = run(boot, words)
        finally:
            os._exit(status)
    os.close(its)
    return daemon, ours


# -- what was acknowledged ---------------------------------------------------------------------------------------------


def _complaints(client: Client, account: Account) -> Iterator[str]:
    details: dict[int, v.JobDetail] = {}
    for job in account.jobs:
        try:
            details[job] = client.call(r.Job(str(job)))
        except OdysseyError as error:
            yield f"job {job} is lost: {error.message}"
    for job, detail in details.items():
        yield from _of_spec(account, job, detail)
        yield from _of_wishes(account, job, detail)
        if job in account.seen and (now := as_json(seen(client, detail))) != account.seen[job]:
            yield f"job {job} was told as {account.seen[job]}, and now as {now}"
    if account.share.value is not None and (told := client.call(r.Share()).mem) != account.share.value:
        yield f"mem was set to {account.share.value}, and is {told}"
    _let_go(client, details)
    yield from _at_the_end(client, account, details)
    yield from _of_numbers(client, account)


def as_json(what: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(what))
    return found


def _of_spec(account: Account, job: int, detail: v.JobDetail) -> Iterator[str]:
    work, place, first = account.jobs[job]
    asked, there = work.specs()[place], detail.spec
    ours = asked.argv, asked.count, asked.start, asked.step, bool(asked.items), bool(asked.stdin)
    if ours != (there.argv, there.count, there.start, there.step, there.has_items, there.has_stdin):
        yield f"job {job} is another one: {there}"
    if sorted(detail.parents) != [first + parent for parent in work.parents[place]]:
        yield f"job {job} waits for {detail.parents}"


def _of_wishes(account: Account, job: int, detail: v.JobDetail) -> Iterator[str]:
    view = detail.job
    held, priority = account.held.get(job), account.priority.get(job)
    if view.state in ENDED:
        return
    if held is not None and held.value is not None and view.is_held != held.value:
        yield f"job {job}: held is {view.is_held}, told was {held.value}"
    if priority is not None and priority.value is not None and view.priority != priority.value:
        yield f"job {job}: priority is {view.priority}, told was {priority.value}"


# -- what must come of it ----------------------------------------------------------------------------------------------


def _let_go(client: Client, details: dict[int, v.JobDetail]) -> None:
    for job, detail in details.items():
        if detail.job.is_held and detail.job.state not in ENDED:
            with suppress(UsageError):  # it has ended meanwhile
                client.call(r.Release(str(job)))


def _at_the_end(client: Client, account: Account, details: dict[int, v.JobDetail]) -> Iterator[str]:
    deadline = time.monotonic() + PATIENCE_S
    left = [job for job in details if account.jobs[job][0].kind != "slow" or job in account.cancelled]
    while left and time.monotonic() < deadline:
        details |= {job: client.call(r.Job(str(job))) for job in left}
        left = [job for job in left if details[job].job.state not in ENDED]
        time.sleep(0.01 if left else 0)
    yield from (f"job {job} does not end: {details[job].job}" for job in left)
    for job, detail in details.items():
        if detail.job.state in ENDED:
            yield from _of_end(client, account, job, detail)


def _of_end(client: Client, account: Account, job: int, detail: v.JobDetail) -> Iterator[str]:
    work, place, first = account.jobs[job]
    state, told = detail.job.state, seen(client, detail)
    may_be_less = any(first + one in account.may_be_cancelled for one in range(len(work.specs())))
    expected = "failed" if work.kind == "failing" else "done"
    if state != expected and not may_be_less:
        yield f"job {job} ({work.kind}) has ended as {state}: {detail.task_list[0]}"
    if work.kind == "slow" and job in account.cancelled and state != "cancelled":
        yield f"job {job} was cancelled, and has ended as {state}"
    if len(detail.task_list) != work.specs()[place].count:
        yield f"job {job} has {len(detail.task_list)} tasks"
    for task in detail.task_list:
        if task.state in ("done", "failed") and (texts := work.output(place, task.index)) is not None:
            for stream, text in zip((v.STDOUT, v.STDERR), texts, strict=True):
                if (there := told["texts"].get(f"{task.index}/{stream}", "")) != text.decode("latin-1"):
                    yield f"job {job}, task {task.index} ({work.kind}): output {stream} is {there[:200]!r}"
            if work.kept is not None and (there := told["kept"][task.index]) != work.kept.decode():
                yield f"job {job}, task {task.index} has kept {there!r}"


def _of_numbers(client: Client, account: Account) -> Iterator[str]:
    """What was told is told again; what was not gets numbers that nobody had."""
    for first, work in account.works.items():
        again = client.call(r.Submit(work.client, work.specs()))
        if again.id != first:
            yield f"job {first} was given {again.id} when it was sent again"
    top = max(account.jobs, default=0)
    for work in (*account.unsure, Work("one", "new")):
        first = work.submit(client)
        if first in account.jobs:
            yield f"number {first} was given twice"
        top = max(top, first)
    if first < top:
        yield f"the new job has number {first}, there was {top}"

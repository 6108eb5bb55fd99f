"""`odyssey flow`: jobs that wait for each other, from a file, in one submit.

Promises: nothing is submitted while the file has a mistake; all mistakes are told at once. The status is 0 when every
job is done, else the first other one's.
Never: shows what the jobs write: `odyssey logs` does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from odyssey.api.requests import Cancel, Jobs
from odyssey.api.views import JobView, Submitted
from odyssey.cli import flow
from odyssey.cli.command import command, file_argument
from odyssey.cli.dagged import MARKS
from odyssey.cli.desk import Desk
from odyssey.cli.ending import exit_status
from odyssey.cli.submitting import hints, submit
from odyssey.cli.telling import as_json, length, tasks, took_ms
from odyssey.errors import UsageError, echo
from odyssey.spec import JobSpec

LOOK_SECONDS: Final = 0.5


@command("flow")
@click.option("--detach", is_flag=True, help="print the first job's number and leave them")
@click.option("--dry-run", is_flag=True, help="only look for mistakes, and show the tree")
@file_argument("FILE.toml")
def flow_command(desk: Desk, file: str, **options: Any) -> int:
    """Run jobs that wait for each other. Ctrl-C cancels those that have not ended.

    \b
      [defaults]                  # for every job
      cpus = 2
      [jobs.fetch]
      run = "curl -sO https://…"  # one text: by sh
      [jobs.train]
      run = ["python", "fit.py"]  # a list: as it stands
      after = ["fetch"]           # after-any; and the options of run: mem, timeout, array, env, …
    """
    specs, mistakes = flow.read(_text(file), flow.Surroundings(_folder(desk, file), hints(desk), desk.environment))
    if mistakes:
        for mistake in mistakes[:-1]:
            desk.output.error(UsageError(f"{echo(file)}: {mistake.error}", hint=mistake.hint))
        raise UsageError(f"{echo(file)}: {mistakes[-1].error}", hint=mistakes[-1].hint)
    if options["dry_run"]:
        for place, before in flow.tree(specs):
            desk.output.text(f"{before}{specs[place].name}")
        return 0
    desk.daemon(start=True)
    done = submit(desk, specs)
    if options["detach"]:
        return _told(desk, specs, done)
    return _watched(desk, specs, done.id)


def _text(file: str) -> str:
    try:
        return Path(file).read_bytes().decode()
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise UsageError(f"{echo(file)}: {what}", hint="name a file of jobs; see odyssey flow --help") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{echo(file)}: this is not UTF-8 text", hint="name a file of jobs") from error


def _folder(desk: Desk, file: str) -> bytes:
    """Where the file is: a flow means the same wherever it is started from."""
    return os.path.normpath(os.path.join(desk.folder, os.path.dirname(os.fsencode(file))))


def _told(desk: Desk, specs: Sequence[JobSpec], done: Submitted) -> int:
    if desk.output.as_json:
        names = {spec.name: done.id + place for place, spec in enumerate(specs)}
        desk.output.json({"id": done.id, "tasks": done.tasks, "jobs": names})
    else:
        desk.output.text(str(done.id))
    return 0


def _watched(desk: Desk, specs: Sequence[JobSpec], first: int) -> int:
    refs = tuple(str(first + place) for place in range(len(specs)))
    told: set[int] = set()
    try:
        while True:
            jobs = {job.id: job for job in desk.ask(Jobs(refs=refs, everything=True)).jobs}
            _shown(desk, specs, [jobs.get(first + place) for place in range(len(specs))], told)
            if len(told) == len(specs):
                break
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        for ref in refs:
            desk.ask(Cancel(ref))
        raise
    as_json(desk, tuple(job for _, job in sorted(jobs.items())))
    return next((status for _, job in sorted(jobs.items()) if (status := exit_status(job))), 0)


def _shown(desk: Desk, specs: Sequence[JobSpec], jobs: Sequence[JobView | None], told: set[int]) -> None:
    """On a terminal the tree as it is now; elsewhere a line for each job that has ended."""
    ended = [job for job in jobs if job is not None and job.ended_at is not None and job.id not in told]
    told |= {job.id for job in ended}
    if desk.output.err.is_terminal:
        is_last = len(told) == len(specs)
        desk.output.block(
            [f"{before}{_line(specs[place], jobs[place])}" for place, before in flow.tree(specs)], is_last
        )
        return
    for job in ended:
        desk.output.say(_line(specs[0], job).partition(" ")[2])


def _line(spec: JobSpec, job: JobView | None) -> str:
    if job is None:
        return f"· {spec.name}"
    parts = [MARKS.get(job.state, "?"), job.name, job.state]
    parts += [tasks(job.tasks)] if job.tasks.total > 1 else []
    parts += [length(took_ms(job)) or ""] if job.started_at is not None else []
    parts += [f"(job {job.id}: {job.reason})"] if job.reason and job.state != "done" else []
    return " ".join(part for part in parts if part)

"""From what was typed to a job that the mesh has: shared by `run`, `map`, `submit` and `flow`.

Promises: a submit has an id of its own, so that sending it again after a break gives the same jobs.
Never: waits for the job.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from odyssey.api.asking import build
from odyssey.api.requests import Cancel, DryRun, Job, Submit
from odyssey.api.views import Submitted
from odyssey.cli.desk import Desk
from odyssey.errors import UsageError
from odyssey.ids import CLIENT_ID_BYTES, JobId
from odyssey.spec import JobSpec, faults

_HANDED_ON: Final = ("LANG", "LC_ALL", "TZ")
_OF_THE_TERMINAL: Final = ("TERM", "COLORTERM")


def spec_of(
    desk: Desk, asked: Mapping[str, Any], argv: Sequence[bytes], *, count: int = 0, terminal: tuple[int, int] = (0, 0)
) -> JobSpec:
    """The whole specification, checked, and then with the jobs it waits for looked up in the mesh. `count`: its tasks
    differ in their words, and are numbered from 1. `terminal`: it gets one of so many rows and columns."""
    if not argv:
        raise UsageError(
            "there is no command to run", hint="write the command after --, for example: odyssey run -- hostname"
        )
    if not desk.folder:
        raise UsageError("the folder you are in is gone", hint="cd to another one: the job works where you are")
    about = hints(desk) if terminal == (0, 0) else hints_at_terminal(desk)
    spec = msgspec.structs.replace(build(asked, argv, desk.folder, about, desk.environment), terminal=terminal)
    if count:
        spec = msgspec.structs.replace(spec, count=count, start=1)
    check((spec,))
    desk.daemon(start=True)
    after, after_any = (jobs(desk, asked.get(key) or ()) for key in ("after", "after-any"))
    return msgspec.structs.replace(spec, after=after, after_any=after_any)


def check(specs: tuple[JobSpec, ...]) -> None:
    """What can be seen here is said here, before anything is started for it."""
    stamped = tuple(msgspec.structs.replace(spec, user="me") for spec in specs)
    if found := faults(stamped):
        raise UsageError(found[0].error, hint=found[0].hint)


def hints(desk: Desk) -> dict[bytes, bytes]:
    """What the sender's surroundings tell a program: language and clock, and when it writes to a terminal, which."""
    env = desk.environment
    given = {name: env[name] for name in _HANDED_ON if name in env}
    if desk.output.out.is_terminal:
        given |= {name: env[name] for name in _OF_THE_TERMINAL if name in env}
        given["COLUMNS"] = str(desk.output.out.width)
        if desk.output.has_colour:
            given |= {"CLICOLOR_FORCE": "1", "FORCE_COLOR": "1"}
    return {name.encode(): os.fsencode(value) for name, value in given.items()}


def hints_at_terminal(desk: Desk) -> dict[bytes, bytes]:
    """The rest it finds out from its terminal: a width that is given as a variable would stay as it is."""
    env = {"TERM": "xterm", **desk.environment}
    given = {name: env[name] for name in (*_HANDED_ON, *_OF_THE_TERMINAL) if name in env}
    return {name.encode(): os.fsencode(value) for name, value in given.items()}


def jobs(desk: Desk, refs: Sequence[str]) -> tuple[JobId, ...]:
    every = [ref for text in refs for ref in text.split(",") if ref]
    return tuple(JobId(desk.ask(Job(ref, limit=0)).job.id) for ref in every)


def submit(desk: Desk, specs: Sequence[JobSpec]) -> Submitted:
    request = Submit(os.urandom(CLIENT_ID_BYTES), tuple(specs))
    try:
        return desk.ask(request)
    except KeyboardInterrupt:  # it may be on the log all the same; asked again, it says under which number
        done = desk.ask(request)
        for number in range(done.id, done.id + done.jobs):
            desk.ask(Cancel(str(number)))
        raise


def check_json(desk: Desk, is_detached: bool) -> None:
    if desk.output.as_json and not is_detached:
        raise UsageError(
            "stdout is the job's own, there is no room for JSON",
            hint="add --detach, or ask later: odyssey show last --json",
        )


def dry_run(desk: Desk, spec: JobSpec) -> int:
    view = desk.ask(DryRun(spec))
    if desk.output.as_json:
        from odyssey.api.documents import document

        desk.output.json(document(view))
    else:
        for line in view.lines:
            desk.output.text(line)
    return 0


def told(desk: Desk, done: Submitted) -> int:
    """The job's number, which scripts keep."""
    if desk.output.as_json:
        desk.output.json({"id": done.id, "tasks": done.tasks})
    else:
        desk.output.text(str(done.id))
    return 0

"""`cancel`, `retry`, `hold`, `release`, `prio`: one word to jobs that are there.

Promises: each job that was named is answered for; one that cannot be changed does not keep the others from it.
Never: asks back: these can all be undone, or were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from odyssey.api.requests import Cancel, Hold, Prio, Release, Request, Retry
from odyssey.api.views import Changed
from odyssey.cli.command import Run, command, ref_argument
from odyssey.cli.desk import Desk
from odyssey.cli.telling import counted
from odyssey.errors import ExitStatus, OdysseyError, UsageError, echo
from odyssey.resources import parse_duration
from odyssey.spec import MAX_PRIORITY

Say = Callable[[Changed], str]


def _each(desk: Desk, requests: Iterable[Request[Changed]], say: Say) -> int:
    """All of them; the status is the first one's that failed."""
    status = int(ExitStatus.DONE)
    done: list[Changed] = []
    for request in requests:
        try:
            changed = desk.ask(request)
        except OdysseyError as error:
            if error.exit_status == ExitStatus.UNREACHABLE:
                raise
            desk.output.error(error)
            status = status or int(error.exit_status)
            continue
        done.append(changed)
        if not desk.output.as_json:
            desk.output.say(say(changed))
    if desk.output.as_json:
        desk.output.json([{"id": one.id, "tasks": one.tasks} for one in done])
    return status


def _verb(name: str, help: str, make: Callable[[str], Request[Changed]], say: Say) -> click.Command:  # noqa: A002
    def run(desk: Desk, refs: tuple[str, ...]) -> int:
        return _each(desk, map(make, refs), say)

    run.__doc__ = help
    named: Run = ref_argument(many=True)(run)
    return command(name)(named)


def _tasks(did: str, nothing: str, one_did: str = "") -> Say:
    def say(changed: Changed) -> str:
        if not changed.tasks:
            return f"job {changed.id}: {nothing}"
        return f"job {changed.id}: {counted(changed.tasks, 'task')} {one_did or did if changed.tasks == 1 else did}"

    return say


@command("cancel")
@ref_argument(many=True)
@click.option("--undo", metavar="DUR", help="not at once: for so long Ctrl-C takes it back (30s)")
def cancel_command(desk: Desk, refs: tuple[str, ...], undo: str | None) -> int:
    """End jobs, or single tasks (42/7). What runs is asked to end, and killed after 10 seconds."""
    if undo is not None:
        ms = parse_duration(undo, option="--undo")
        if any("/" in ref for ref in refs):
            raise UsageError("--undo is for whole jobs", hint="leave it out, or cancel the job")
        from odyssey.cli.undoing import is_taken_back

        if is_taken_back(desk, refs, ms):
            return 0
    return _each(desk, map(Cancel, refs), _tasks("cancelled", "had ended already"))


retry_command = _verb(
    "retry",
    "Start again what has failed or was cancelled, of jobs or of single tasks (42/7).",
    Retry,
    _tasks("start again", "nothing of it has failed", "starts again"),
)
hold_command = _verb(
    "hold", "Start nothing more of these jobs; what runs goes on.", Hold, lambda changed: f"job {changed.id}: held"
)
release_command = _verb(
    "release", "Let jobs start that were held.", Release, lambda changed: f"job {changed.id}: released"
)


@command("prio", takes_command=True)
@ref_argument()
@click.argument("priority", metavar="N", type=click.UNPROCESSED)
def prio_command(desk: Desk, ref: str, priority: str) -> int:
    """Give a job another priority, -10 to 10: higher ones start earlier."""
    try:
        value = int(priority)
    except ValueError:
        raise UsageError(
            f"{echo(priority)} is not a priority", hint=f"write a number from -{MAX_PRIORITY} to {MAX_PRIORITY}"
        ) from None
    if not -MAX_PRIORITY <= value <= MAX_PRIORITY:
        raise UsageError(f"priority {value} is out of range", hint=f"use -{MAX_PRIORITY} to {MAX_PRIORITY}")
    return _each(desk, [Prio(ref, value)], lambda changed: f"job {changed.id}: priority {value}")

"""How a job has ended, as an exit status and in words: whose fault it was, when the status alone does not say it.

Promises: 124 to 127 are never left without a word on whether they are the job's own.
Never: prints, or asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from odyssey.api.views import Ended, JobView
from odyssey.errors import OdysseyError

OUR_FAULT: Final = 125
OURS: Final = (
    124,
    OUR_FAULT,
    126,
    127,
)  # a time limit, Odyssey, not runnable, not found: unless the job says so itself
LINES: Final = 5  # of stderr that are looked at
_NAME: Final = r"([^\s:'\"]+)"
_NOT_FOUND: Final = re.compile(
    rf"{_NAME}: (?:command )?not found$|command not found: {_NAME}$|[Uu]nknown command:? '?{_NAME}'?$"
)
_NOT_RUN: Final = re.compile(rf"{_NAME}: [Pp]ermission denied$|permission denied: {_NAME}$")


def exit_status(job: JobView) -> int:
    if job.exit_status is not None:
        return job.exit_status
    return 0 if job.state == "done" else OUR_FAULT


def nowhere(refusals: Mapping[str, str]) -> OdysseyError:
    """No machine could start it: what each said, and what would help against the first."""
    said = "; ".join(f"{node}: {reason}" for node, reason in refusals.items())
    first = next(iter(refusals.values()))
    hint = "odyssey explain last"
    if "not found" in first:
        hint = "install it there, or write its whole path"
    elif "interpreter" in first:
        hint = "install it there, or change the first line of the script"
    elif "executed" in first:
        hint = "chmod +x it, or name what runs it: odyssey run -- sh FILE"
    return OdysseyError(f"no machine can run this: {said}", hint=hint)


def not_run(status: int, stderr: bytes) -> tuple[str, str] | None:
    """What a shell could not run, as it said last before it ended with 126 or 127, and why not."""
    pattern, why = {127: (_NOT_FOUND, "was not found"), 126: (_NOT_RUN, "may not be run")}.get(status, (None, ""))
    for line in reversed(stderr.decode("utf-8", "replace").splitlines()[-LINES:]):
        if pattern is not None and (found := pattern.search(line)) is not None:
            return next(name for name in found.groups() if name), why
    return None


def where_it_is(name: str, why: str, node: str, labels: Mapping[str, Mapping[str, str]]) -> str:
    """`labels`: of each machine."""
    note = f"note: '{name}' {why} on {node}"
    has = [other for other, its in labels.items() if f"has:{name}" in its and other != node]
    if not has or "/" in name:
        return note
    return f"{note}; {', '.join(has)} {'has' if len(has) == 1 else 'have'} it (--needs has:{name})"


def last_words(job: JobView, end: Ended | None) -> Iterator[str]:
    """Whose fault it was, when the status alone does not say it."""
    if job.state in ("done", "waiting", "running"):
        return
    status = exit_status(job)
    is_own = end is not None and end.outcome == "exited" and job.tasks.total == 1
    if is_own and status in OURS:
        yield f"{status} is the job's own exit status"
    elif job.tasks.total > 1:
        parts = (("failed", job.tasks.failed), ("cancelled", job.tasks.cancelled), ("skipped", job.tasks.skipped))
        told = ", ".join(f"{count} {word}" for word, count in parts if count)
        yield f"job {job.id}: {job.tasks.done} of {job.tasks.total} tasks done, {told}; see odyssey show {job.id}"
    elif not is_own and (end is None or end.outcome != "signalled"):
        because = "" if job.reason == job.state else f": {job.reason or f'see odyssey show {job.id}'}"
        yield f"job {job.id} {job.state}{because}"

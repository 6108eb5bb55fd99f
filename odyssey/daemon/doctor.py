"""What this machine can do for jobs and what it cannot, each with what would help.

Promises: only what was tried or is known; the same words for the same thing.
Never: looks for anything itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from odyssey.api.views import Check

NONE: Final = ("none", "no", "")


class Ability(NamedTuple):
    name: str  # as the supervisor tells it
    shown: str
    can: str
    cannot: str
    hint: str


ABILITIES: Final = (
    Ability(
        "namespaces",
        "ends",
        "all that a job starts ends with it",
        "a job may leave a process behind; then it is said",
        "allow namespaces of processes to this user, or run the daemon as root",
    ),
    Ability(
        "memory",
        "memory",
        "--mem is enforced",
        "--mem is enforced for each process of a job, not for all of them together",
        "give this user a control group with memory, or run the daemon as root",
    ),
    Ability(
        "pids",
        "processes",
        "a job that starts processes without end is stopped by its limit",
        "a job may start as many processes as this user may",
        "give this user a control group with pids, or run the daemon as root",
    ),
    Ability(
        "freeze",
        "standing still",
        "what runs stands still at once in a pause",
        "what runs is stopped process by process in a pause",
        "give this user a control group of its own, or run the daemon as root",
    ),
    Ability(
        "terminals",
        "terminals",
        "a job can have a terminal (run -it)",
        "no job can have a terminal",
        "mount /dev/pts, or end the programs that hold all terminals",
    ),
)


def checks(
    abilities: Mapping[str, str],
    trouble: str,
    is_member: bool,
    hands: int | None,
    notes: tuple[str, ...],
    has_path: bool | None = None,
) -> Iterator[Check]:
    """`trouble` is why the log cannot be used; `hands` the process that owns the jobs."""
    yield Check("log", not trouble, trouble or "can be used", "see `odyssey status`" if trouble else None)
    text = "this machine is a member of its mesh" if is_member else "this machine is not a member of its mesh yet"
    yield Check("member", is_member, text, None if is_member else "it becomes one as soon as its log can be used")
    yield Check("hands", hands is not None, "jobs can be started" if hands is not None else "jobs cannot be started")
    if has_path is not None:
        text = "programs are looked for where the owner's login shell finds them"
        other = "the owner's login shell does not tell its PATH: that of whoever started Odyssey is used"
        hint = "see how long it takes and what it says: $SHELL -lic 'printenv PATH'"
        yield Check("programs", has_path or None, text if has_path else other, None if has_path else hint)
    for one in ABILITIES:
        if (how := abilities.get(one.name)) is None:
            yield Check(one.shown, None, "is not known yet", is_limit=True)
        elif how in NONE:
            yield Check(one.shown, False, one.cannot, one.hint, is_limit=True)
        else:
            yield Check(one.shown, True, f"{one.can} ({_by(how)})", is_limit=True)
    for note in notes:
        yield Check("note", None, note)


def _by(how: str) -> str:
    words = {"yes": "namespaces", "user": "namespaces of its own user", "cgroup1": "cgroup v1", "cgroup2": "cgroup v2"}
    words["pty"] = "pseudo-terminals"
    return words.get(how, how)

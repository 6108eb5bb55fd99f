"""How the mesh is, in sentences: who is there, what may be switched off, what to add, and what a cut takes away.

Promises: never says that more may go than `can_lose` does; a machine that is not there is named; what is old is called
old.
Never: looks anything up: all of it follows from one view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from odyssey.api.views import LEAVE, StatusView
from odyssey.errors import ExitStatus
from odyssey.resources import show_duration_rounded

ADD: Final = "odyssey invite"
OLD_S: Final = 5.0  # what is younger is called the present
MOVES: Final = "about 10 s"  # what a machine held that vanished starts again elsewhere by then
ENOUGH: Final = 3  # machines that keep the jobs: then one of them may go
_HERE: Final = ("up", "finishing")
_MANY: Final = ("", "one machine", "two machines", "three machines")
_JOBS: Final = ("running", "waiting", "failed", "done")


def sentences(view: StatusView) -> Iterator[str]:
    if view.out:
        yield view.out
        yield f"To belong to a mesh again: {LEAVE}."
        yield from view.notes
        return
    yield head(view)
    yield from health(view)
    yield from _away(view)
    yield from _laptop(view)
    jobs = ", ".join(f"{view.jobs[state]} {state}" for state in _JOBS if view.jobs.get(state))
    yield f"Jobs: {jobs}." if jobs else "No jobs."
    if view.address:
        is_here = view.address.startswith(("127.", "[::1]"))
        yield f"{'Other homes of this machine find it' if is_here else 'Others find this machine'} at {view.address}."
    yield from view.notes


def head(view: StatusView) -> str:
    machines = _machines(view)
    parts = [view.mesh, f"{_counted(machines, 'machine')}{_well(view, machines)}"]
    parts += [f"{view.cpus:g} cores"] if view.cpus is not None else []
    parts += [_counted(view.gpus, "GPU")] if view.gpus else []
    parts += [f"coordinator {view.coordinator}"] if view.coordinator and machines > 1 else []
    return "   ".join(parts)


def _well(view: StatusView, machines: int) -> str:
    up = view.nodes.get("up", 0)
    if is_cut_off(view):
        return ""  # of the others nothing is known
    if up == machines:
        return ", all up" if machines > 1 else ""
    others = ", ".join(f"{count} {state}" for state, count in view.nodes.items() if count and state != "up")
    return f", {up} up, {others}"


# -- what may go -------------------------------------------------------------------------------------------------------


def is_cut_off(view: StatusView) -> bool:
    return view.coordinator is None and view.quorum.have < view.quorum.need


def health(view: StatusView) -> Iterator[str]:
    if is_cut_off(view):
        yield from _cut_off(view)
    elif view.coordinator is None:
        yield "No machine coordinates just now; one will in a few seconds."
    elif _machines(view) == 1:
        yield "This machine is alone: jobs wait while it is off, and none is lost."
    elif view.can_lose:
        many = _MANY[view.can_lose] if view.can_lose < len(_MANY) else f"{view.can_lose} machines"
        yield f"You can switch off any {many}. Nothing is lost and work goes on."
    else:
        yield from _fragile(view)
    if view.coordinator is not None and view.age_seconds >= OLD_S:
        yield f"This is how it was {_length(view.age_seconds)} ago."


def _cut_off(view: StatusView) -> Iterator[str]:
    since = f" for {_length(view.age_seconds)}" if view.age_seconds >= 1 else ""
    have, of = view.quorum.have, view.quorum.of
    if have:
        reached = f"only {have} of {of or view.quorum.need} keepers can be reached"
    else:
        reached = "no machine that keeps the jobs can be reached"
    status = ExitStatus.CUT_OFF if view.role == "keeper" else ExitStatus.UNREACHABLE
    yield f"Cut off{since}: {reached}. Running jobs go on. New jobs are refused here (exit {status:d})."
    if view.missing:
        yield f"Missing: {', '.join(view.missing)}."


def _fragile(view: StatusView) -> Iterator[str]:
    stay = view.must_stay
    if not stay:
        yield "No machine may be switched off just now."
    elif len(stay) == 1:
        others = [name for name in view.machines if name != stay[0]]
        rest = f"{others[0]} can" if len(others) == 1 else "the others can"
        takes = "takes" if len(others) == 1 else "take"
        yield f"If {stay[0]} is switched off, {rest} still show what was known, but {takes} no new jobs."
    else:
        yield f"If {_either(stay)} is switched off, no new jobs are taken until it is back. Nothing is lost."
    yield _remedy(view)


def _remedy(view: StatusView) -> str:
    if _machines(view) == 2:
        return f"A third machine, even a small one, removes this: {ADD}"
    kept = view.keepers or view.machines
    away = view.missing or tuple(name for name in kept if view.machines.get(name) not in _HERE)
    if away and _machines(view) - len(away) < ENOUGH:
        return f"Switch on {' or '.join(away)} again, or add a machine: {ADD}"
    if len(view.keepers) < ENOUGH:
        return f"A third machine that keeps the jobs removes this: {ADD}"
    return "This passes by itself, as soon as more machines have kept step for a while."


def _away(view: StatusView) -> Iterator[str]:
    if is_cut_off(view):
        return
    away = [f"{name} ({state})" for name, state in view.machines.items() if state not in _HERE]
    if away:
        yield f"Not here: {', '.join(away)}."


def _laptop(view: StatusView) -> Iterator[str]:
    if not view.is_laptop or _machines(view) == 1 or view.coordinator is None:
        return
    if not view.can_lose and (view.node in view.must_stay or not view.must_stay):
        yield "This laptop: must stay open just now."
        return
    here = view.tasks_here
    moves = f" ({_counted(here, 'task')} here start{'s' if here == 1 else ''} again elsewhere in {MOVES})"
    yield f"This laptop: may be closed{moves if here else ''}."


# -- words -------------------------------------------------------------------------------------------------------------


def _machines(view: StatusView) -> int:
    return sum(view.nodes.values())


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _length(seconds: float) -> str:
    return show_duration_rounded(round(1000 * seconds))

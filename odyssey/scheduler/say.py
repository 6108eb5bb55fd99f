"""Sentences for people, made from reasons that are data.

Promises: every code has its words; numbers carry their units; nothing is said that the data does not hold.
Never: decides anything, or prints.
"""

from collections.abc import Sequence
from typing import Final

from odyssey.ids import JobId
from odyssey.resources import show_cpus, show_duration_rounded, show_size_rounded
from odyssey.scheduler.explain import TASKS_OWN, DryRun, Verdict, Waiting, Why
from odyssey.scheduler.feasible import LASTING, Code, Reason
from odyssey.scheduler.placement import Placement
from odyssey.scheduler.remedy import Change
from odyssey.scheduler.snapshot import Snapshot
from odyssey.spec import JobSpec

HELD: Final = "held"
_PLAIN: Final = {
    Code.AVOIDED: "excluded by --avoid",
    Code.REMOVED: "is leaving the mesh",
    Code.GONE: "gone",
    Code.SILENT: "silent",
    Code.ASLEEP: "asleep",
    Code.DRAINING: "finishing: takes nothing new",
    Code.NOT_HERE: "the command was not found there",
    Code.MEMORY_FLOOR: "it ran out of memory on a machine of this size",
    Code.RESERVED: "kept free for a task that has waited longer",
    Code.FASTER_SOON: "left to a faster machine, which is done sooner",
    Code.ON_BATTERY: "on battery",
    Code.LID_CLOSED: "its lid is closed",
    Code.OUTSIDE_HOURS: "outside the hours in which it gives",
    Code.RULES_BROKEN: "its owner's rules cannot be followed",
}
_WITH_DETAIL: Final = {
    Code.OS: "runs {}",
    Code.ARCH: "is {}",
    Code.NEEDS: "does not meet --needs {}",
    Code.NOT_NAMED: "is not {}, as --on asks",
    Code.NOT_YOURS: "takes only {}'s own work",
    Code.PAUSED: "paused by {}",
    Code.OWNER_PRESENT: "in use by {}",
}
_WHY: Final = {
    Why.HELD: HELD,
    Why.NO_MACHINES: "the mesh has no machine yet",
    Why.IMPOSSIBLE: "no machine can run it as it is",
    Why.ABSENT: "the machines that could run it are not available",
    Why.FULL: "all machines that can run it are busy",
    Why.FASTER_SOON: "it is left to a faster machine, which is done sooner than the free one",
    Why.NEXT: "it starts now",
    Why.NOT_WAITING: "it does not wait",
}


def reason(why: Reason) -> str:
    if why.code in _PLAIN:
        return _PLAIN[why.code]
    if why.code in _WITH_DETAIL:
        return _WITH_DETAIL[why.code].format(why.detail)
    missing = ", ".join(amount(name, lack) for name, lack in why.lacks)
    return f"busy, {missing} short" if why.code is Code.FULL else f"too small by {missing}"


def amount(dimension: str, value: int) -> str:
    if dimension == "cpu_milli":
        return f"{show_cpus(value)} cpus" if value != 1000 else "1 cpu"
    if dimension == "gpus":
        return f"{value} GPU{'s' * (value != 1)}"
    names = {"memory": "memory", "disk": "disk", "gpu_memory": "GPU memory"}
    return f"{show_size_rounded(value)} {names[dimension]}"


def verdict(one: Verdict) -> str:
    if one.reason is None:
        return f"{one.name}: free"
    soon = f", free in about {show_duration_rounded(one.start_ms)}" if one.start_ms else ""
    return f"{one.name}: {reason(one.reason)}{soon}"


def change(one: Change, machine: str) -> str:
    how = f"without {one.option}" if one.drop else f"with {one.option}"
    return f"would start now {how} ({machine})" if one.now else f"could run {how} ({machine})"


def waiting(snapshot: Snapshot, answer: Waiting) -> list[str]:
    """The reason first, then each machine's, then when it starts and what would help."""
    first = overall(answer)
    lines = [first, *(line for one in answer.verdicts if (line := verdict(one)) != first)]
    names = {number: node.name for number, node in snapshot.state.nodes.items()}
    if answer.ahead:
        lines.append(f"{answer.ahead} task{'s' * (answer.ahead != 1)} like it come{'s' * (answer.ahead == 1)} first")
    elif answer.earliest_ms and answer.where is not None:
        lines.append(f"starts in about {show_duration_rounded(answer.earliest_ms)} on {names[answer.where]}")
    if answer.change is not None:
        lines.append(change(answer.change, names[answer.change.node]))
    return lines


def overall(answer: Waiting) -> str:
    if answer.why is Why.PARENTS:
        return waits_for(answer.parents)
    if answer.why is Why.BACKOFF:
        return f"it is tried again after a pause of about {show_duration_rounded(answer.backoff_ms)}"
    if answer.why is Why.ABSENT and len(able := [one for one in answer.verdicts if _may_come(one)]) == 1:
        return verdict(able[0])
    return _WHY[answer.why]


def waits_for(parents: Sequence[JobId]) -> str:
    return f"waits for job{'s' * (len(parents) != 1)} {', '.join(map(str, parents))}"


def _may_come(one: Verdict) -> bool:
    """It could run it, were it there."""
    return one.reason is not None and one.reason.code not in LASTING | TASKS_OWN


def dry_run(snapshot: Snapshot, spec: JobSpec, answer: DryRun) -> list[str]:
    if answer.faults:
        return [line for fault in answer.faults for line in (f"error: {fault.error}", f"hint: {fault.hint}")]
    assert answer.waiting is not None
    if answer.waiting.why is not Why.NEXT:
        return [_would(answer.waiting), *waiting(snapshot, answer.waiting)[1:]]
    best = answer.waiting.verdicts[0]
    tasks = "" if spec.count == 1 else f" with the first of {spec.count} tasks"
    return [f"it would start now on {best.name}{tasks}", *(verdict(one) for one in answer.waiting.verdicts[1:])]


def _would(answer: Waiting) -> str:
    if answer.why is Why.HELD:
        return "it would be held"
    if answer.why is Why.PARENTS:
        return f"it would wait{waits_for(answer.parents).removeprefix('waits')}"
    return f"it would wait: {overall(answer)}"


def placement(snapshot: Snapshot, answer: Placement) -> list[str]:
    names = {number: node.name for number, node in snapshot.state.nodes.items()}

    def name(number: int) -> str:
        return next((known for one, known in names.items() if one == number), f"machine {number}")

    lines = [f"{name(answer.node)} by {answer.policy}, score {points(answer.score)}"]
    for one in answer.ranked:
        parts = " + ".join(f"{term} {points(part)}" for term, part in one.parts.items())
        lines.append(f"{name(one.node)} {points(one.score)} = {parts}" if parts else f"{name(one.node)} 0")
    lines += [
        f"{count} not asked: {_PLAIN.get(code, code.name.lower().replace('_', ' '))}" for code, count in answer.excluded
    ]
    if answer.runner_up is not None and answer.flip is not None and answer.margin is not None:
        lines.append(
            f"{name(answer.runner_up)} was {points(answer.margin)} behind; it would have been ahead if "
            f"{answer.flip.term} counted at most {answer.flip.percent} % of what it does"
        )
    return lines


def points(score: int) -> str:
    """Scores are kept in thousandths."""
    tenths = abs(score) // 100
    return f"{'-' * (score < 0 < tenths)}{tenths // 10}.{tenths % 10}"

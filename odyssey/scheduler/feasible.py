"""May this task run on this machine? None, or the reason why not.

Reasons are data: a code, and what is missing or in the way. Sentences are made from them by `explain`.

`closed` is what only time, the owner or another request changes; `full` is what the end of another task changes.

Promises: total; the first reason found is the one that would remain longest, so people fix the right thing.
Never: prefers one machine to another.
"""

import enum
from typing import TYPE_CHECKING, NamedTuple

from odyssey.model import Task
from odyssey.scheduler.needs import matches
from odyssey.scheduler.snapshot import NodeState, OwnerState, Pause

if TYPE_CHECKING:
    from odyssey.scheduler.rows import Row, Wish


class Code(enum.IntEnum):
    # the request and the machine do not fit
    TOO_SMALL = 1
    GPU_MEMORY = 2
    OS = 3
    ARCH = 4
    NEEDS = 5
    NOT_NAMED = 6  # not among --on
    AVOIDED = 7
    NOT_YOURS = 8
    # the machine is not available
    REMOVED = 9
    GONE = 10
    SILENT = 11
    ASLEEP = 12
    DRAINING = 13
    PAUSED = 14
    OWNER_PRESENT = 15
    # this task has been there
    NOT_HERE = 16
    MEMORY_FLOOR = 17
    # now
    FULL = 18
    RESERVED = 19  # kept for a task that has waited longer
    FASTER_SOON = 20  # left to a faster machine, which is done sooner
    # the machine gives nothing for now, and that is why
    ON_BATTERY = 21
    LID_CLOSED = 22
    OUTSIDE_HOURS = 23
    RULES_BROKEN = 24


LASTING = frozenset(code for code in Code if code <= Code.REMOVED)  # waiting alone will not change these


class Reason(NamedTuple):
    code: Code
    lacks: tuple[tuple[str, int], ...] = ()  # (dimension, missing amount)
    detail: str = ""


_PAUSED = {
    None: Code.PAUSED,
    Pause.ASKED: Code.PAUSED,
    Pause.BATTERY: Code.ON_BATTERY,
    Pause.LID: Code.LID_CLOSED,
    Pause.HOURS: Code.OUTSIDE_HOURS,
    Pause.RULES: Code.RULES_BROKEN,
}
_ABSENT = {
    NodeState.GONE: Code.GONE,
    NodeState.SILENT: Code.SILENT,
    NodeState.ASLEEP: Code.ASLEEP,
}


def closed(wish: "Wish", row: "Row") -> Reason | None:
    """Reasons that do not depend on what else runs."""
    code = why_closed(wish, row)
    return None if code is None else _told(code, wish, row)


def why_closed(wish: "Wish", row: "Row") -> Code | None:
    """The same without the details: this is asked for every machine and every want."""
    node = row.node
    if node.owner != wish.user and not node.shared:
        return Code.NOT_YOURS
    if wish.picky and (code := _unfit(wish, row)) is not None:
        return code
    if (
        wish.cpu > row.total_cpu
        or wish.memory > row.total_memory
        or wish.gpus > row.total_gpus
        or wish.disk > row.total_disk
    ):
        return Code.TOO_SMALL
    if not row.open:
        return _unavailable(row)
    if row.owner_present and node.owner != wish.user:
        return Code.OWNER_PRESENT
    return None


def _unfit(wish: "Wish", row: "Row") -> Code | None:
    want, node = wish.want, row.node
    if want.on and node.name not in want.on:
        return Code.NOT_NAMED
    if node.name in want.avoid:
        return Code.AVOIDED
    if want.os and want.os != node.os:
        return Code.OS
    if want.arch and want.arch != node.arch:
        return Code.ARCH
    if want.needs and not matches(want.needs, row.labels):
        return Code.NEEDS
    return Code.GPU_MEMORY if want.gpu_memory > node.gpu_memory else None


def _unavailable(row: "Row") -> Code:
    if row.node.removed:
        return Code.REMOVED
    if row.state is not NodeState.UP:
        return _ABSENT[row.state]
    return Code.DRAINING if row.node.draining else _PAUSED[row.seen.pause]


def _told(code: Code, wish: "Wish", row: "Row") -> Reason:
    want, node = wish.want, row.node
    if code is Code.TOO_SMALL:
        return Reason(code, want.need.lacks(node.total))
    if code is Code.GPU_MEMORY:
        return Reason(code, (("gpu_memory", want.gpu_memory - node.gpu_memory),))
    details = {Code.NOT_NAMED: ", ".join(want.on), Code.OS: node.os, Code.ARCH: node.arch, Code.NEEDS: want.needs}
    owners = (Code.NOT_YOURS, Code.OWNER_PRESENT, Code.PAUSED)
    return Reason(code, detail=node.owner if code in owners else details.get(code, ""))


def is_open(removed: bool, draining: bool, state: NodeState, owner: OwnerState | None) -> bool:
    return not removed and not draining and state is NodeState.UP and owner is not OwnerState.PAUSED


def has_room(wish: "Wish", row: "Row") -> bool:
    return (
        wish.cpu <= row.free_cpu
        and wish.memory <= row.free_memory
        and wish.gpus <= row.free_gpus
        and wish.disk <= row.free_disk
    )


def full(wish: "Wish", row: "Row") -> Reason | None:
    """Reasons that the end of a task on the machine can change."""
    if has_room(wish, row):
        return None
    lacks = (
        ("cpu_milli", wish.cpu - row.free_cpu),
        ("memory", wish.memory - row.free_memory),
        ("gpus", wish.gpus - row.free_gpus),
        ("disk", wish.disk - row.free_disk),
    )
    return Reason(Code.FULL, tuple((name, missing) for name, missing in lacks if missing > 0))


def been_there(task: Task | None, row: "Row") -> Reason | None:
    """What this very task has met on the machine before."""
    if task is None:
        return None
    if row.number in task.refused_by:
        return Reason(Code.NOT_HERE)
    if task.memory_floor and row.total_memory <= task.memory_floor:
        return Reason(Code.MEMORY_FLOOR, (("memory", task.memory_floor + 1 - row.total_memory),))
    return None

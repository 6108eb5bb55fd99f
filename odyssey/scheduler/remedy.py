"""The one change that helps most: what to ask for instead, so that a waiting job could start.

Each part of the wish is loosened alone: fewer cpus, less memory, fewer or smaller GPUs, or one condition left out. A
change that lets it start now beats one that lets it start at all; then the smaller change wins.

Promises: a change that starts it now was tried by the planner itself, any other with the filters that decide; None when
no single change helps.
Never: suggests to ask for nothing: at least a hundredth of a cpu and a megabyte stay.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from odyssey.ids import NodeNumber
from odyssey.model import Task
from odyssey.resources import show_cpus, show_size
from odyssey.scheduler.board import Board
from odyssey.scheduler.draft import replace
from odyssey.scheduler.feasible import been_there, closed, has_room
from odyssey.scheduler.rows import Row, Wish
from odyssey.scheduler.snapshot import Snapshot
from odyssey.spec import Want

_MIB: Final = 1 << 20
_DROPPED: Final = 400  # what leaving a condition out counts as, in thousandths of the wish
_ALL: Final = 1000
_CONDITIONS: Final = ("needs", "on", "avoid", "os", "arch", "gpu_memory")
_OPTIONS: Final = {"gpu_memory": "--gpu-mem", "memory": "--mem"}
_LEAST: Final = {"cpu_milli": 10, "memory": _MIB, "gpus": 0, "gpu_memory": _MIB}
_TRIALS: Final = 8


class Change(NamedTuple):
    option: str  # as it would be typed, or what to leave out
    drop: bool  # leave it out
    node: NodeNumber
    now: bool  # it would start now; otherwise it could at least start some day
    cost: int  # how much of the wish is given up, in thousandths


def best_change(
    snapshot: Snapshot, board: Board, wish: Wish, task: Task | None, trial: Callable[[Want], NodeNumber | None]
) -> Change | None:
    """`trial` is the planner: where a job that wants this would start now."""
    rows = [row for row in board.rows.values() if been_there(task, row) is None]
    changes = [*_dropping(snapshot, board, wish, rows), *_shrinking(wish, rows)]
    for change, want in _tried(change for change in changes if change[0].now):
        node = trial(want)
        if node is not None:
            return change._replace(node=node)
    if any(closed(wish, row) is None for row in rows):
        return None  # it only has to wait: a change is worth naming if it saves the waiting
    possible = [change._replace(now=False) for change, _ in changes]
    return min(possible, key=_smallest, default=None)


def _smallest(change: Change) -> tuple[int, int, str]:
    return change.cost, change.node, change.option


def _tried(changes: Iterable[tuple[Change, Want]]) -> list[tuple[Change, Want]]:
    """The smallest few, each option once: a trial is a plan."""
    once: dict[str, tuple[Change, Want]] = {}
    for change, want in sorted(changes, key=lambda one: _smallest(one[0])):
        once.setdefault(change.option, (change, want))
    return list(once.values())[:_TRIALS]


def _dropping(snapshot: Snapshot, board: Board, wish: Wish, rows: list[Row]) -> Iterator[tuple[Change, Want]]:
    nothing = Want(wish.want.need)
    for name in _CONDITIONS:
        if getattr(wish.want, name) == getattr(nothing, name):
            continue
        want = replace(wish.want, **{name: getattr(nothing, name)})
        loose = board.wish(snapshot, wish.user, want)
        option = _OPTIONS.get(name, f"--{name}")
        for row in rows:
            if closed(loose, row) is None:
                cost = _ALL if name == "gpu_memory" else _DROPPED
                yield Change(option, True, row.number, _free(loose, row), cost), want


def _shrinking(wish: Wish, rows: list[Row]) -> Iterator[tuple[Change, Want]]:
    """Ask for what the machine has (free now, or in all) of one dimension, if everything else fits."""
    for name, least in _LEAST.items():
        wanted = _asked(wish.want, name)
        for row in rows:
            for has in sorted(set(_available(row, name))):
                if not least <= has < wanted:
                    continue
                want = _asking(wish.want, name, has)
                smaller = Wish(wish.user, want, 1)
                if closed(smaller, row) is None:
                    cost = _ALL * (wanted - has) // wanted
                    yield Change(_typed(name, has), False, row.number, _free(smaller, row), cost), want


def _asked(want: Want, name: str) -> int:
    amount: int = want.gpu_memory if name == "gpu_memory" else getattr(want.need, name)
    return amount


def _asking(want: Want, name: str, amount: int) -> Want:
    if name == "gpu_memory":
        return replace(want, gpu_memory=amount)
    return replace(want, need=replace(want.need, **{name: amount}))


def _free(wish: Wish, row: Row) -> bool:
    return row.reserved_for is None and has_room(wish, row)


def _available(row: Row, name: str) -> tuple[int, ...]:
    """Free now, and in all; memory in whole megabytes, as people write it."""
    match name:
        case "cpu_milli":
            return row.free_cpu, row.total_cpu
        case "gpus":
            return row.free_gpus, row.total_gpus
        case "memory":
            return row.free_memory - row.free_memory % _MIB, row.total_memory - row.total_memory % _MIB
    return (row.node.gpu_memory - row.node.gpu_memory % _MIB,)


def _typed(name: str, amount: int) -> str:
    match name:
        case "cpu_milli":
            return f"--cpus {show_cpus(amount)}"
        case "gpus":
            return f"--gpus {amount}"
    return f"{_OPTIONS[name]} {show_size(amount)}"

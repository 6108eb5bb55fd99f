"""The one change that helps most: what to ask for instead, so that a waiting job could start.

Each part of the wish is loosened alone: fewer cpus, less memory, fewer GPUs, or one condition left out. A change that
lets it start now beats one that lets it start at all; then the smaller change wins.

Promises: the change was tried with the filters that decide, on the data that decide; None when no single change helps.
Never: suggests to ask for nothing: at least a hundredth of a cpu and a megabyte stay.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from odyssey.ids import NodeNumber
from odyssey.model import Task
from odyssey.resources import Resources, show_cpus, show_size
from odyssey.scheduler.board import Board, Row, Wish
from odyssey.scheduler.feasible import been_there, closed, has_room
from odyssey.scheduler.snapshot import Snapshot
from odyssey.spec import Want

_MIB: Final = 1 << 20
_DROPPED: Final = 400  # what leaving a condition out counts as, in thousandths of the wish
_CONDITIONS: Final = ("needs", "on", "avoid", "os", "arch", "gpu_memory")
_OPTIONS: Final = {"gpu_memory": "--gpu-mem"}


class Change(NamedTuple):
    option: str  # as it would be typed, or what to leave out
    drop: bool  # leave it out
    node: NodeNumber
    now: bool  # it would start now; otherwise it could at least start some day
    cost: int  # how much of the wish is given up, in thousandths


def best_change(snapshot: Snapshot, board: Board, wish: Wish, task: Task | None) -> Change | None:
    rows = [row for row in board.rows.values() if been_there(task, row) is None]
    changes = [
        *_dropping(snapshot, board, wish, rows),
        *_shrinking(wish, rows, now=True),
        *_shrinking(wish, rows, now=False),
    ]
    possible = _fits_somewhere(wish, rows)
    if possible:  # it only has to wait: a change is worth naming if it saves the waiting
        changes = [change for change in changes if change.now]
    return min(changes, key=lambda change: (not change.now, change.cost, change.node, change.option), default=None)


def _fits_somewhere(wish: Wish, rows: list[Row]) -> bool:
    return any(closed(wish, row) is None for row in rows)


def _with(board: Board, snapshot: Snapshot, wish: Wish, **fields: object) -> Wish:
    return board.wish(snapshot, wish.user, msgspec.structs.replace(wish.want, **fields))


def _dropping(snapshot: Snapshot, board: Board, wish: Wish, rows: list[Row]) -> Iterator[Change]:
    nothing = Want(wish.want.need)
    for name in _CONDITIONS:
        if getattr(wish.want, name) == getattr(nothing, name):
            continue
        loose = _with(board, snapshot, wish, **{name: getattr(nothing, name)})
        option = _OPTIONS.get(name, f"--{name}")
        for row in rows:
            if closed(loose, row) is None:
                yield Change(option, True, row.number, has_room(loose, row), _DROPPED)


def _shrinking(wish: Wish, rows: list[Row], now: bool) -> Iterator[Change]:
    """Ask for what the machine has (free now, or in all) of one dimension, if everything else fits."""
    need = wish.want.need
    for name, least in (("cpu_milli", 10), ("memory", _MIB), ("gpus", 0)):
        wanted = getattr(need, name)
        for row in rows:
            has = _available(row, name, now)
            if name == "memory":
                has -= has % _MIB
            if not least <= has < wanted:
                continue
            smaller = Wish(wish.user, msgspec.structs.replace(wish.want, need=_less(need, name, has)), 1)
            if closed(smaller, row) is None and (has_room(smaller, row) or not now):
                yield Change(_typed(name, has), False, row.number, now, 1000 * (wanted - has) // wanted)


def _available(row: Row, name: str, now: bool) -> int:
    free = {"cpu_milli": row.free_cpu, "memory": row.free_memory, "gpus": row.free_gpus}
    total = {"cpu_milli": row.total_cpu, "memory": row.total_memory, "gpus": row.total_gpus}
    return (free if now else total)[name]


def _less(need: Resources, name: str, amount: int) -> Resources:
    return msgspec.structs.replace(need, **{name: amount})


def _typed(name: str, amount: int) -> str:
    if name == "cpu_milli":
        return f"--cpus {show_cpus(amount)}"
    return f"--mem {show_size(amount)}" if name == "memory" else f"--gpus {amount}"

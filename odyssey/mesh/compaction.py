"""When a snapshot of one's own is due, and which older entries stay beside it.

Promises: a log that grows is cut now and then; what a member that is here lacks stays, if that is worth its room.
Never: touches a disk.
"""

from collections.abc import Iterable
from typing import Final

from odyssey.mesh.store import MIB, Room

TAIL: Final = 16 * MIB  # a smaller log is not worth a snapshot
KEPT: Final = 256 * MIB  # of older entries at most; who lacks more is served better with a snapshot
UNASKED: Final = 4 * MIB  # kept by who does not lead: a new leader finds members a little behind


def is_due(room: Room) -> bool:
    """Each snapshot costs what it weighs, so the log may grow as much before the next. Where room runs out, and the
    ballast had to be given back, any log is too long."""
    return room.tail > max(TAIL, room.snapshot) or (room.low and not room.ballast and room.tail + room.kept > 0)


def keep_from(index: int, sizes: Iterable[int], held: Iterable[int] | None) -> int:
    """The oldest entry to keep beside a snapshot up to `index`. `sizes` are those of the entries from there backwards;
    `held` is how far the logs of those who are here go, or None if that is not known: then a little is kept."""
    most = UNASKED if held is None else KEPT
    lacking = [match + 1 for match in held if match < index] if held is not None else [0]
    stop, oldest, kept = min(lacking, default=index + 1), index + 1, 0
    for size in sizes:
        kept += size
        if kept > most or oldest <= stop:
            break
        oldest -= 1
    if held is None:
        return oldest
    return min((first for first in lacking if first >= oldest), default=index + 1)

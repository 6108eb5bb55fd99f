"""What the coordinator sees of machines, for people: who fell silent, is gone, sleeps, and came back.

It is no truth of the log: another machine may see it differently, and nothing follows from it but a line that people
read. Each says by whom it was seen.

Promises: pure; of one machine nothing is told twice in a row; a term that begins does not call everybody silent.
Never: decides what becomes of a machine.
"""

from __future__ import annotations

from typing import Final

from odyssey.events import Event
from odyssey.ids import NodeId, NodeNumber
from odyssey.mesh.membership import StateChanged
from odyssey.messages import NodeState


class Observed(Event, frozen=True):
    """The base of them. `at_ms` is wall time where it was seen."""

    node: NodeId
    by: NodeId
    at_ms: int


class MachineSilent(Observed, frozen=True, tag="machine-silent"):
    pass


class MachineGone(Observed, frozen=True, tag="machine-gone"):
    pass


class MachineAsleep(Observed, frozen=True, tag="machine-asleep"):
    """It has said so."""


class MachineBack(Observed, frozen=True, tag="machine-back"):
    away_ms: int


EVENTS: Final = (MachineSilent, MachineGone, MachineAsleep, MachineBack)
_AWAY: Final[dict[NodeState, type[Observed]]] = {
    NodeState.SILENT: MachineSilent,
    NodeState.GONE: MachineGone,
    NodeState.ASLEEP: MachineAsleep,
}


class Lookout:
    """One for a daemon: what it has told outlives the terms in which it coordinates."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self._away: dict[NodeNumber, tuple[NodeState, int]] = {}  # what was told last, and since when it is away

    def see(self, change: StateChanged, node: NodeId, now_ms: int, wall_ms: int) -> Observed | None:
        told, since = self._away.get(change.node, (NodeState.UP, now_ms))
        if change.after is told or (change.before is None and change.after is NodeState.SILENT):
            return None  # whoever coordinates since a moment has heard nobody yet
        if change.after is NodeState.UP:
            del self._away[change.node]
            return MachineBack(0, node, self._me, wall_ms, max(0, now_ms - since))
        self._away[change.node] = change.after, since
        return _AWAY[change.after](0, node, self._me, wall_ms)

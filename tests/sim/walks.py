"""Whole states looked at from end to end: not at every step, but wherever a mistake would come to light.

Every so many entries each replica's state is hashed and must be equal to what the others had there (12); the first to
come there is also walked (9, 13), as is whoever goes down, and whoever begins to lead. At the end all are.

Promises: equal indexes, equal hashes; a state that has not changed since is not walked again.
Never: takes the sound indexes of one replica for those of another that leads: a hash does not see them.
"""

from __future__ import annotations

from typing import Final

from odyssey.ids import NodeId
from odyssey.scheduler.dump import state_hash
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.state import State
from tests.sim.checks import Violation

EVERY: Final = 128  # entries
Place = tuple[int, int, int]  # in the log: generation, term, index


class Walks:
    def __init__(self) -> None:
        self.walked = 0
        self._hashes: dict[Place, bytes] = {}
        self._sound: set[Place] = set()  # some replica was walked there
        self._last: dict[NodeId, Place] = {}

    def passes(self, node: NodeId, state: State) -> None:
        """It comes by a milestone, or goes down: the first one there is walked."""
        self._compare(node, state)
        if _place(state) not in self._sound:
            self.leads(node, state)

    def leads(self, node: NodeId, state: State) -> None:
        """What it believes is what orders are made from, or it is the end."""
        if self._last.get(node) == _place(state):
            return
        self._compare(node, state)
        self._last[node] = _place(state)
        self._sound.add(_place(state))
        self.walked += 1
        if found := violations(state):
            raise Violation(f"9, 13: {node}: {found[0]}")

    def forget(self, node: NodeId) -> None:
        """It begins anew, with a state that nobody has seen."""
        self._last.pop(node, None)

    def _compare(self, node: NodeId, state: State) -> None:
        seen = state_hash(state)
        if self._hashes.setdefault(_place(state), seen) != seen:
            raise Violation(f"12: at entry {state.head.index} {node} has another state than others had")


def _place(state: State) -> Place:
    return state.head.generation, state.head.term, state.head.index

"""What a decision is made from: the state, and what beats have told since.

Promises: frozen observations; what a machine has not told is None, never a guess.
Never: enters the log. A new coordinator hears it all again within a beat.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from odyssey.ids import AttemptId, NodeNumber
from odyssey.messages import NodeState as NodeState
from odyssey.messages import OwnerState as OwnerState
from odyssey.messages import Pause as Pause
from odyssey.scheduler.state import State


class Seen(msgspec.Struct, frozen=True, gc=False):
    """One machine, as its last beats told."""

    state: NodeState = NodeState.UP
    cpu_free_milli: int | None = None  # what programs of others leave
    memory_free: int | None = None  # available, not total
    owner: OwnerState | None = None
    mains: bool | None = None
    stay_ms: int | None = None  # how long it is expected to stay
    blobs: frozenset[bytes] = frozenset()
    elapsed_ms: Mapping[AttemptId, int] = {}  # how long attempts in slots have run
    pause: Pause | None = None


class Snapshot(NamedTuple):
    state: State
    seen: Mapping[NodeNumber, Seen]

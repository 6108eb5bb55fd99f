"""Takes a snapshot of what is applied when the log has grown long, and lets the log go that it covers.

It looks at the room on the disk anyway, so it is also the one who says when that is low.

Promises: the log goes on meanwhile; nothing is let go before the snapshot is on disk.
Never: decides when one is due: `compaction` does.
"""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from odyssey.clock import Clock
from odyssey.mesh.compaction import is_due, keep_from
from odyssey.mesh.raft.types import Snapshot
from odyssey.mesh.replica import Replica
from odyssey.mesh.roles import GONE_MS
from odyssey.mesh.store import Room

LOOK_MS: Final = 5_000


class Shelf(Protocol):
    """The store, from the side of somebody who must not wait."""

    def room(self, done: Callable[[Room], None]) -> None: ...

    def save(
        self, head: Snapshot, slices: Iterator[bytes], keep_from: int, done: Callable[[Snapshot | None], None]
    ) -> None: ...


class Compactor:
    def __init__(self, replica: Replica, dump: Callable[[], Iterator[bytes]], shelf: Shelf, clock: Clock) -> None:
        """`dump` takes the state as it is now; its slices may be made later."""
        self._replica, self._dump, self._shelf, self._clock = replica, dump, shelf, clock
        self._look_ms = clock.monotonic_ms() + LOOK_MS

    def tick(self, now: int) -> None:
        if now >= self._look_ms:
            self._look_ms = now + LOOK_MS
            self._shelf.room(self._consider)

    def _consider(self, room: Room) -> None:
        self._replica.low = room.low
        if is_due(room):
            self.compact()

    def compact(self) -> None:
        core, index = self._replica.core, self._replica.applied
        term = core.log.term(index)
        if term is None or index <= core.log.snapshot.index:
            return
        first = keep_from(index, core.log.sizes_back(index), self._held_by_others())

        def saved(snapshot: Snapshot | None) -> None:
            if snapshot is not None and snapshot.index > core.log.snapshot.index:
                core.compact(snapshot, first)

        self._shelf.save(Snapshot(index, term, core.log.config_at(index)), self._dump(), first, saved)

    def _held_by_others(self) -> list[int] | None:
        """How far the logs go of those who are here; only a leader knows."""
        core, now = self._replica.core, self._clock.monotonic_ms()
        if not core.is_leader:
            return None
        heard = self._replica.heard_ms
        return [peer.match for one, peer in core.peers.items() if now - heard.get(one, -GONE_MS) < GONE_MS]

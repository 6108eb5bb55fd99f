"""The disk of one simulated machine: slow, sometimes very slow, and what is not synced when it crashes is lost.

A write that is under way when the machine goes down is wholly there or not there at all, as a transaction is.

Promises: `durable` is exactly what a restart finds.
Never: acknowledges before it is durable.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from odyssey.clock import SeededEntropy
from odyssey.mesh.raft.types import HardState, LogEntry, Member, Snapshot, Write
from tests.sim.loop import VirtualLoop


@dataclass
class Durable:
    hard: HardState = field(default_factory=HardState)
    snapshot: Snapshot = field(default_factory=Snapshot)
    entries: list[LogEntry] = field(default_factory=list)
    slices: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)  # snapshots by digest

    def take(self, write: Write) -> None:
        if write.snapshot is not None:
            self._install(write.snapshot)
        if write.entries:
            first = write.entries[0].index
            self.entries = [entry for entry in self.entries if entry.index < first]
            self.entries += write.entries
        self.hard = write.hard

    def _install(self, snapshot: Snapshot) -> None:
        fits = any(entry.index == snapshot.index and entry.term == snapshot.term for entry in self.entries)
        self.entries = [entry for entry in self.entries if entry.index > snapshot.index] if fits else []
        self.snapshot = snapshot

    @property
    def last(self) -> int:
        return self.entries[-1].index if self.entries else self.snapshot.index

    def term(self, index: int) -> int | None:
        if index == self.snapshot.index:
            return self.snapshot.term
        position = index - self.snapshot.index - 1
        return self.entries[position].term if 0 <= position < len(self.entries) else None


class SimDisk:
    """The `Disk` port over a `Durable`."""

    def __init__(
        self,
        loop: VirtualLoop,
        entropy: SeededEntropy,
        durable: Durable,
        on_write: Callable[[Write], None],
        get_slices: Callable[[Member, bytes], tuple[bytes, ...] | None],
    ) -> None:
        self._loop, self._entropy, self.durable = loop, entropy, durable
        self._on_write, self._get_slices = on_write, get_slices
        self._under_way: Write | None = None
        self.delay_ms = 1 + entropy.below(8)
        self.stall_per_mille = entropy.below(20)
        self.completed = 0
        self.dead = False

    def write(self, write: Write, done: Callable[[], None]) -> None:
        assert self._under_way is None, "two writes at once"
        self._under_way = write
        delay_ms = 1 + self._entropy.below(self.delay_ms)
        if self._entropy.below(1000) < self.stall_per_mille:
            delay_ms += self._entropy.below(1500)
        self._loop.call_later(delay_ms / 1000, self._done, write, done)

    def _done(self, write: Write, done: Callable[[], None]) -> None:
        if self.dead:
            return
        self._under_way = None
        self._on_write(write)
        self.durable.take(write)
        self.completed += 1
        done()

    def fetch(self, snapshot: Snapshot, source: Member, done: Callable[[Iterable[bytes]], None]) -> None:
        def arrive() -> None:
            slices = None if self.dead else self._get_slices(source, snapshot.digest)
            if slices is not None:
                self.durable.slices[snapshot.digest] = slices
                done(slices)

        self._loop.call_later((5 + self._entropy.below(50)) / 1000, arrive)

    def crash(self) -> None:
        """What was under way may just have made it, or not."""
        self.dead = True
        if self._under_way is not None and self._entropy.chance(500):
            self._on_write(self._under_way)
            self.durable.take(self._under_way)

"""One simulated machine: a real replica over a real state machine, on a simulated disk, clock and network.

Promises: what a crash loses is what a crash would lose; after a restart everything comes from the disk.
Never: shares anything with another machine but the network.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from odyssey import wire
from odyssey.clock import SeededEntropy
from odyssey.commands import Entry
from odyssey.events import Event
from odyssey.ids import NodeId
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.log import Log
from odyssey.mesh.raft.types import LogEntry, Member, Message, Snapshot, StoreId, Write
from odyssey.mesh.replica import Letter, Replica, Scope
from odyssey.scheduler.apply import apply
from odyssey.scheduler.dump import dump, load, state_hash
from odyssey.scheduler.state import State
from tests.sim.checks import Checks
from tests.sim.disk import Durable, SimDisk
from tests.sim.loop import VirtualLoop
from tests.sim.net import Net

SCOPE = Scope("mesh", 1, b"first")


class Book:
    """The state a replica applies the log to, and its answers."""

    def __init__(self, checks: Checks, member: Member) -> None:
        self.state = State()
        self._checks, self._member = checks, member

    def apply(self, entries: Sequence[Entry]) -> Mapping[int, list[Event]]:
        answers = {}
        for entry in entries:
            _, events = apply(self.state, [entry])
            answers[entry.index] = events
            self._checks.applied(self._member, entry, wire.encode(events))
        return answers

    def load(self, slices: Iterable[bytes]) -> None:
        self.state = load(slices)


@dataclass
class Clocks:
    """What this machine believes of time: its rate is a little off, and it may have slept."""

    loop: VirtualLoop
    rate_ppm: int = 0
    slept_ms: int = 0

    def monotonic_ms(self) -> int:
        return self.loop.now_ms * (1_000_000 + self.rate_ppm) // 1_000_000

    def boottime_ms(self) -> int:
        return self.monotonic_ms() + self.slept_ms

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + self.loop.now_ms


@dataclass
class SimNode:
    id: NodeId
    loop: VirtualLoop
    net: Net
    checks: Checks
    entropy: SeededEntropy
    all: "dict[NodeId, SimNode]"
    durable: Durable = field(default_factory=Durable)
    clocks: Clocks = field(init=False)
    replica: Replica | None = None
    disk: SimDisk | None = None
    book: Book | None = None
    boots: int = 0
    stalled_until: float = 0.0
    stores: int = 0

    def __post_init__(self) -> None:
        self.clocks = Clocks(self.loop, self.entropy.below(20_000) - 10_000)
        self._led = 0

    @property
    def member(self) -> Member:
        return Member(self.id, StoreId(f"{self.id}#{self.stores}".encode().ljust(16)[:16]))

    @property
    def up(self) -> bool:
        return self.replica is not None

    # -- life ----------------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        self.boots += 1
        durable = self.durable
        log = Log(durable.snapshot, durable.entries, durable.hard.commit)
        core = Core(self.member, durable.hard, log, self.entropy.fork(f"core{self.boots}"))
        self.book = Book(self.checks, self.member)
        if durable.snapshot.index:
            self.book.load(durable.slices[durable.snapshot.digest])
        self.disk = SimDisk(self.loop, self.entropy.fork(f"disk{self.boots}"), durable, self._on_write, self._slices)
        boot = self.boots
        self.replica = Replica(
            SCOPE, core, _Watched(self), _Deferred(self, boot), self, _Timers(self, boot), self.clocks
        )
        self.replica.start()

    def crash(self) -> None:
        if self.replica is None or self.disk is None:
            return
        self.replica.stop()
        self.disk.crash()
        self.replica = self.disk = self.book = None
        self.stalled_until = 0.0

    def stall(self, seconds: float) -> None:
        self.stalled_until = max(self.stalled_until, self.loop.time() + seconds)

    def sleep(self, seconds: float) -> None:
        """The lid is closed: nothing runs, and afterwards boot time has gone on where the other clock has not."""
        self.stall(seconds)
        self.clocks.slept_ms += round(seconds * 1000)

    # -- when the machine runs -----------------------------------------------------------------------------------------

    def run(self, boot: int, callback: Callable[[], None]) -> None:
        """Do it now, or when the machine is awake again; never after it went down."""
        if self.boots != boot or self.replica is None:
            return
        if self.stalled_until > self.loop.time():
            self.loop.call_at(self.stalled_until, self.run, boot, callback)
            return
        callback()
        self._look()

    def _look(self) -> None:
        replica = self.replica
        if replica is None:
            return
        core = replica.core
        if core.is_leader and core.term != self._led:
            self._led = core.term
            held = core.log.term(self.checks.last_committed)
            if self.checks.last_committed < core.log.snapshot.index:
                held = self.checks.committed[self.checks.last_committed][0]
            self.checks.leads(self.member, core.term, held)

    # -- ports ---------------------------------------------------------------------------------------------------------

    def send(self, to: Member, letter: Letter) -> None:
        if isinstance(letter.content, Message):
            self.checks.leaves(self.durable, letter.content)
        target = self.all.get(to.node)
        if target is not None and target.member == to:
            self.net.send(self.id, to.node, lambda: target.arrive(letter))

    def arrive(self, letter: Letter) -> None:
        replica = self.replica
        if replica is not None:
            self.run(self.boots, lambda: replica.receive(letter))

    def _on_write(self, write: Write) -> None:
        self.checks.written(self.member, self.durable, write)

    def _slices(self, source: Member, digest: bytes) -> tuple[bytes, ...] | None:
        """The bulk lane: works when both ways work."""
        other = self.all.get(source.node)
        cut = {(self.id, source.node), (source.node, self.id)} & self.net.cut
        return other.durable.slices.get(digest) if other is not None and other.up and not cut else None

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def compact(self) -> None:
        """Take a snapshot of what is applied, and forget the log it covers."""
        if self.replica is None or self.book is None or self.replica.applied <= self.durable.snapshot.index:
            return
        core = self.replica.core
        index = self.replica.applied
        term = core.log.term(index)
        if term is None or self.durable.last < index:
            return
        slices = tuple(dump(self.book.state))
        snapshot = Snapshot(index, term, core.log.config_at(index), state_hash(self.book.state), sum(map(len, slices)))
        self.durable.slices[snapshot.digest] = slices
        self.durable.entries = [entry for entry in self.durable.entries if entry.index > index]
        self.durable.snapshot = snapshot
        core.compact(snapshot)


class _Watched:
    """The book, with every committed entry looked at on its way in."""

    def __init__(self, node: SimNode) -> None:
        assert node.book is not None
        self._node, self._book = node, node.book

    def apply(self, entries: Sequence[Entry]) -> Mapping[int, object]:
        replica = self._node.replica
        assert replica is not None
        for entry in entries:
            one = next(iter(replica.core.log.since(entry.index, 1, 0)))
            self._node.checks.commits(self._node.member, one)
        return self._book.apply(entries)

    def load(self, slices: Iterable[bytes]) -> None:
        self._book.load(slices)


@dataclass
class _Timers:
    node: SimNode
    boot: int

    def call_later(self, delay: float, callback: Callable[[], None]) -> object:
        real = delay * 1_000_000 / (1_000_000 + self.node.clocks.rate_ppm)
        return self.node.loop.call_later(real, self.node.run, self.boot, callback)


@dataclass
class _Deferred:
    """The disk goes on while the machine is stalled; the machine hears of it later."""

    node: SimNode
    boot: int

    def write(self, write: Write, done: Callable[[], None]) -> None:
        assert self.node.disk is not None
        self.node.disk.write(write, lambda: self.node.run(self.boot, done))

    def fetch(self, snapshot: Snapshot, source: Member, done: Callable[[Iterable[bytes]], None]) -> None:
        assert self.node.disk is not None
        self.node.disk.fetch(snapshot, source, lambda slices: self.node.run(self.boot, lambda: done(slices)))


__all__ = ["SCOPE", "LogEntry", "SimNode"]

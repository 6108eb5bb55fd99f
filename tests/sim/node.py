"""One simulated machine: a real daemon (replica, book, agent, coordinator) on a simulated disk, clock and network, with
hands that run scripts.

A daemon that dies leaves the hands alone, and what they run; a machine that goes down takes them along.

Promises: what a crash loses is what a crash would lose; after a restart everything comes from the disk.
Never: shares anything with another machine but the network.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from odyssey import wire
from odyssey.book import Book
from odyssey.clock import SeededEntropy
from odyssey.commands import Entry
from odyssey.events import Event
from odyssey.ids import NodeId
from odyssey.mesh.lease import NOTHING_KEPT, Kept, Lease
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.log import Log
from odyssey.mesh.raft.types import LogEntry, Member, Message, Snapshot, StoreId, Write
from odyssey.mesh.replica import Letter, Replica, Scope
from odyssey.messages import BootId, Keeping, Telemetry
from odyssey.node import Node
from odyssey.node import World as NodeWorld
from odyssey.resources import Resources
from odyssey.scheduler.dump import dump, state_hash
from tests.sim.checks import Checks
from tests.sim.disk import Durable, SimDisk
from tests.sim.hands import SimHands, Witness
from tests.sim.loop import VirtualLoop
from tests.sim.net import Net
from tests.sim.results import Results

SCOPE = Scope("mesh", 1, b"first")


class WatchedBook(Book):
    """The book, with every committed entry and its effect looked at."""

    def __init__(self, node: "SimNode") -> None:
        super().__init__()
        self._node = node

    def apply(self, entries: Sequence[Entry]) -> Mapping[int, list[Event]]:
        replica, checks, member = self._node.replica, self._node.checks, self._node.member
        assert replica is not None
        for entry in entries:
            checks.commits(member, next(iter(replica.core.log.since(entry.index, 1, 0))))
        answers = super().apply(entries)
        for entry in entries:
            checks.applied(member, entry, wire.encode(answers[entry.index]))
            self._node.results.saw(entry.index, answers[entry.index])
        return answers


@dataclass
class Clocks:
    """What this machine believes of time: its rate is a little off, and it may have slept."""

    loop: VirtualLoop
    rate_ppm: int = 0
    slept_ms: int = 0

    def monotonic_ms(self) -> int:
        return self.boottime_ms() - self.slept_ms

    def boottime_ms(self) -> int:
        return self.loop.now_ms * (1_000_000 + self.rate_ppm) // 1_000_000

    def real_seconds(self, ms: int) -> float:
        return ms * 1000 / (1_000_000 + self.rate_ppm)

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
    witness: Witness
    results: Results
    durable: Durable = field(default_factory=Durable)
    clocks: Clocks = field(init=False)
    daemon: Node | None = None
    hands: SimHands | None = None
    disk: SimDisk | None = None
    book: Book | None = None
    kept: Kept = NOTHING_KEPT
    boots: int = 0  # of the daemon
    machine_boots: int = 0
    stalled_until: float = 0.0
    stores: int = 0

    def __post_init__(self) -> None:
        self.clocks = Clocks(self.loop, self.entropy.below(20_000) - 10_000)
        self._led = 0
        self.total = Resources(1000 * (2 + self.entropy.below(3)), 8 << 30)

    @property
    def member(self) -> Member:
        return Member(self.id, StoreId(f"{self.id}#{self.stores}".encode().ljust(16)[:16]))

    @property
    def replica(self) -> Replica | None:
        return None if self.daemon is None else self.daemon.replica

    @property
    def up(self) -> bool:
        return self.daemon is not None

    # -- life ----------------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """The machine if it is down, and the daemon."""
        self.boots += 1
        if self.hands is None:
            self._switch_on()
        durable = self.durable
        log = Log(durable.snapshot, durable.entries, durable.hard.commit)
        core = Core(self.member, durable.hard, log, self.entropy.fork(f"core{self.boots}"))
        self.book = WatchedBook(self)
        if durable.snapshot.index:
            self.book.load(durable.slices[durable.snapshot.digest])
        self.disk = SimDisk(self.loop, self.entropy.fork(f"disk{self.boots}"), durable, self._on_write, self._slices)
        assert self.hands is not None
        name = BootId(f"{self.id}/{self.machine_boots}".encode())
        lease = Lease(name, self.clocks.boottime_ms(), self.kept, self.hands.until_ms)
        self.daemon = Node(SCOPE, core, self.book, lease, self.total, self._world(self.hands))
        self.daemon.start()

    def _world(self, hands: SimHands) -> NodeWorld:
        boot = self.boots
        return NodeWorld(
            links=self,
            disk=_Deferred(self, boot),
            timers=_Timers(self, boot),
            clock=self.clocks,
            entropy=self.entropy.fork(f"agent{boot}"),
            hands=hands,
            notes=_Notes(self, boot),
            others=self.others,
            health=self.health,
        )

    def _switch_on(self) -> None:
        self.machine_boots += 1
        self.clocks.slept_ms = 0
        entropy = self.entropy.fork(f"hands{self.machine_boots}")
        self.hands = SimHands(self.id, self.loop, self.clocks, entropy, self.witness, self._on_end)

    def _on_end(self) -> None:
        daemon = self.daemon
        if daemon is not None:
            self.run(self.boots, daemon.agent.ended)

    def crash(self) -> None:
        """The machine goes down."""
        self.kill_daemon()
        if self.hands is not None:
            self.hands.die()
        self.hands = None
        self.stalled_until = 0.0

    def kill_daemon(self) -> None:
        if self.daemon is None or self.disk is None:
            return
        self.daemon.stop()
        self.disk.crash()
        self.daemon = self.disk = self.book = None

    def stall(self, seconds: float) -> None:
        self.stalled_until = max(self.stalled_until, self.loop.time() + seconds)

    def sleep(self, seconds: float) -> None:
        """The lid is closed: nothing runs, and afterwards boot time has gone on where the other clock has not."""
        if self.hands is None or self.hands.asleep:
            return
        hands = self.hands
        hands.sleep()
        self.stall(seconds)
        self.clocks.slept_ms += round(seconds * 1000)
        self.loop.call_later(seconds, self._wake, hands)

    def _wake(self, hands: SimHands) -> None:
        if not hands.dead:
            hands.wake()

    # -- when the machine runs -----------------------------------------------------------------------------------------

    def run(self, boot: int, callback: Callable[[], None]) -> None:
        """Do it now, or when the machine is awake again; never after it went down."""
        if self.boots != boot or self.daemon is None:
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

    def send(self, to: NodeId, letter: Letter) -> None:
        if isinstance(letter.content, Message):
            self.checks.leaves(self.durable, letter.content)
        target = self.all.get(to)
        if target is not None:
            self.net.send(self.id, to, lambda: target.arrive(self.id, letter))

    def arrive(self, sender: NodeId, letter: Letter) -> None:
        daemon = self.daemon
        if daemon is not None:
            self.run(self.boots, lambda: daemon.receive(sender, letter))

    def others(self) -> list[NodeId]:
        return [other for other in self.all if other != self.id]

    def health(self) -> tuple[Telemetry, Keeping]:
        return Telemetry(), Keeping(store=self.member.store)

    def save(self, boot: int, kept: Kept, done: Callable[[], None]) -> None:
        """The little file beside the store."""

        def written() -> None:
            if self.boots == boot:
                self.kept = kept
                done()

        self.loop.call_later((1 + self.entropy.below(10)) / 1000, self.run, boot, written)

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


@dataclass
class _Notes:
    node: SimNode
    boot: int

    def save(self, kept: Kept, done: Callable[[], None]) -> None:
        self.node.save(self.boot, kept, done)


__all__ = ["SCOPE", "LogEntry", "SimNode"]

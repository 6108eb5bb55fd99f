"""One simulated machine: a real daemon (replica, book, agent, coordinator) on a simulated disk, clock and network, with
hands that run scripts.

A daemon that dies leaves the hands alone, and what they run; a machine that goes down takes them along. What befalls
its disk are methods here, for a schedule of faults to call. Those that lose the store (`tear`, `rot`, `roll_back`) cost
the mesh a member: whoever calls them leaves a quorum alone.

Promises: what a crash loses is what a crash would lose; after a restart everything comes from the disk, and it is what
must be there.
Never: shares anything with another machine but the network.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from odyssey import wire
from odyssey.archiving import Habits
from odyssey.book import Book
from odyssey.clock import SeededEntropy
from odyssey.commands import Entry
from odyssey.errors import OdysseyError
from odyssey.events import Event
from odyssey.ids import NodeId
from odyssey.mesh.archive import Retention, Ripening
from odyssey.mesh.generation import Generation, Lineage
from odyssey.mesh.keeper import Keeper
from odyssey.mesh.lease import NOTHING_KEPT, Kept, Lease
from odyssey.mesh.letters import Letter
from odyssey.mesh.opening import open_or_begin_anew, wait_ms
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.log import Log
from odyssey.mesh.raft.types import Config, LogEntry, Member, Message, Snapshot, Write
from odyssey.mesh.recover import found
from odyssey.mesh.replica import Replica
from odyssey.mesh.store import Loaded, StoreError
from odyssey.mesh.succession import Keys, Move, at_rest
from odyssey.mesh.worker import Worker, outcome
from odyssey.messages import BootId, Keeping, Telemetry
from odyssey.node import Node
from odyssey.node import World as NodeWorld
from odyssey.resources import Resources
from tests.memory_disk import Cells, Mark
from tests.mesh.generation_model import sign_as, verify
from tests.sim.branches import Branches
from tests.sim.checks import Checks, Violation
from tests.sim.disk import Durable, SimBulk, SimDisk, SimWorker
from tests.sim.hands import SimHands, Witness
from tests.sim.history import Departed
from tests.sim.home import GENERATION, MESH, SeenStore, SimHome
from tests.sim.loop import VirtualLoop
from tests.sim.net import Net
from tests.sim.results import Results
from tests.sim.walks import EVERY, Walks

T = TypeVar("T")

ROOT = Lineage(MESH, GENERATION)
HABITS = Habits(Ripening(jobs=20, age_ms=5_000), Retention(segments=6))  # small, so that much happens in a minute
READ_MS = 50
MOST_WRONG_PPM = 99_000  # a clock that is wrong by a tenth is what leases are made for


class WatchedBook(Book):
    """The book, with every committed entry and its effect looked at."""

    def __init__(self, node: "SimNode") -> None:
        super().__init__()
        self._node = node

    def apply(self, entries: Sequence[Entry]) -> Mapping[int, list[Event]]:
        node, replica, member = self._node, self._node.replica, self._node.member
        checks, results, departed = node.checks, node.results, node.departed
        assert replica is not None
        for entry in entries:
            checks.commits(member, replica.core.log.since(entry.index, 1, 0)[0])
        answers: dict[int, list[Event]] = {}
        for some in _between_milestones(entries):
            answers |= super().apply(some)
            if some[-1].index % EVERY == 0:
                node.walks[node.lineage.tip].passes(node.id, self.state)
        for entry in entries:
            answer = answers[entry.index]
            checks.applied(member, entry, wire.encode(answer))
            results.saw(entry.index, answer)
            departed.saw(entry.index, answer, node)
        return answers


def _between_milestones(entries: Sequence[Entry]) -> Iterable[Sequence[Entry]]:
    start = 0
    for stop, entry in enumerate(entries, 1):
        if entry.index % EVERY == 0 or stop == len(entries):
            yield entries[start:stop]
            start = stop


@dataclass
class Clocks:
    """What this machine believes of time: its rate is a little off, and it may have slept."""

    loop: VirtualLoop
    rate_ppm: int = 0
    slept_ms: int = 0

    def monotonic_ms(self) -> int:
        return self.loop.now_ms * (1_000_000 + self.rate_ppm) // 1_000_000 - self.slept_ms

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
    branches: Branches
    entropy: SeededEntropy
    all: "dict[NodeId, SimNode]"
    witness: Witness
    walks: defaultdict[Generation, Walks]  # twins of one number are two histories
    durable: Durable = field(default_factory=Durable)
    clocks: Clocks = field(init=False)
    disk: SimDisk = field(init=False)
    daemon: Node | None = None
    hands: SimHands | None = None
    keeper: Keeper | None = None
    book: Book | None = None
    kept: Kept = NOTHING_KEPT
    boots: int = 0  # of the daemon
    machine_boots: int = 0
    stalled_until: float = 0.0
    spoilt: bool = False  # its store will be found to be lost when it is next opened
    refused: StoreError | None = None  # why it does not start
    lineage: Lineage = ROOT

    def __post_init__(self) -> None:
        wrong = self.entropy.choose((10, 10_000, MOST_WRONG_PPM))
        self.clocks = Clocks(self.loop, self.entropy.below(2 * wrong + 1) - wrong)
        self.disk = SimDisk(self.loop, self.entropy.fork("disk"))
        self.home = SimHome(self.disk.cells, self.id, self._began, self._became_durable)
        self._led = 0
        self._belong(self.lineage)
        self._copy: tuple[Cells, Mark | None] | None = None
        self._under_way: list[Write | Snapshot] = []  # when it went down: may be there or not
        self._worker: SimWorker | None = None
        self.total = Resources(1000 * (2 + self.entropy.below(3)), 8 << 30)

    @property
    def checks(self) -> Checks:
        return self._branch.checks

    @property
    def results(self) -> Results:
        return self._branch.results

    @property
    def departed(self) -> Departed:
        return self._branch.departed

    @property
    def member(self) -> Member:
        return self.home.member

    @property
    def replica(self) -> Replica | None:
        return None if self.daemon is None else self.daemon.replica

    @property
    def up(self) -> bool:
        return self.daemon is not None

    # -- life ----------------------------------------------------------------------------------------------------------

    def found(self, config: Config) -> None:
        """It begins as one of these, all of them with an empty log."""
        self.home.found(Snapshot(config=config)).close()

    def _began(self, snapshot: Snapshot) -> None:
        self.durable, self._under_way, self.spoilt = Durable(snapshot=snapshot), [], False

    def boot(self) -> None:
        """The machine if it is down, and the daemon, as soon as its store can be opened."""
        self.boots += 1
        if self.hands is None:
            self._switch_on()
        try:
            store = self._open()
        except StoreError as error:
            self.refused = error
            self.loop.call_later(wait_ms(1) / 1000, self._try_again, self.boots)
        else:
            self.refused = None
            self._start(store)

    def _try_again(self, boot: int) -> None:
        if self.boots == boot and self.daemon is None and self.hands is not None:
            self.boot()

    def _open(self) -> SeenStore:
        store = open_or_begin_anew(self.home).store
        assert isinstance(store, SeenStore)
        self._check(store.load())
        self.spoilt = False
        return store

    def _start(self, store: SeenStore) -> None:
        self._belong(store.identity.lineage)
        found(store)  # if that was interrupted
        store.sync()
        loaded = store.load()
        log = Log(loaded.snapshot, loaded.entries, loaded.hard.commit)
        entropy = self.entropy.fork(f"core{self.boots}")
        core = Core(self.member, loaded.hard, log, entropy, self.lineage.first_term)
        self.book = WatchedBook(self)
        if loaded.snapshot.index:
            self.book.load(store.snapshot_slices(loaded.snapshot.digest))
        self._keep(store)
        assert self.hands is not None
        assert self.keeper is not None
        name = BootId(f"{self.id}/{self.machine_boots}".encode())
        lease = Lease(name, self.clocks.boottime_ms(), self.kept, self.hands.until_ms)
        self.daemon = Node(self.lineage, core, self.book, lease, self.total, self._world(self.hands, self.keeper))
        self.daemon.start()

    def _check(self, loaded: Loaded) -> None:
        """What is there is what was acknowledged, and of what was under way a beginning."""
        found, changes = Durable.of(loaded), list(self._under_way)
        while self.durable != found:
            if not changes:
                raise Violation(f"7: the disk of {self.id} shows what it never held")
            self._became_durable(changes.pop(0))

    def _keep(self, store: SeenStore) -> None:
        boot = self.boots
        bulk = SimBulk(self.loop, self._reaches, self._keeper_of, lambda call: self.run(boot, call))
        self._worker, self._under_way = SimWorker(self.loop, self.disk, store.sync), store.under_way
        self.keeper = Keeper(store, _Deferred(self, boot, self._worker), bulk, self._leave)

    def _leave(self, error: OdysseyError) -> None:
        """The disk has failed: out of the log at once, and back when the store can be opened anew."""
        if self.daemon is not None and self._worker is not None:
            self.daemon.replica.give_up()
            self.daemon.stop()
            self._worker.crash()
            self.disk.cells.kill()
            self.daemon = self.keeper = self.book = None
            self.loop.call_later(wait_ms(1) / 1000, self._try_again, self.boots)

    def _world(self, hands: SimHands, keeper: Keeper) -> NodeWorld:
        boot = self.boots
        return NodeWorld(
            links=self,
            disk=keeper,
            shelf=keeper,
            timers=_Timers(self, boot),
            clock=self.clocks,
            entropy=self.entropy.fork(f"agent{boot}"),
            hands=hands,
            notes=_Notes(self, boot),
            others=self.others,
            health=self.health,
            keys=Keys(sign_as(self.id), verify),
            home=self.home,
            reader=_Reader(self, boot),
            move=self._move,
            habits=HABITS,
        )

    def _move(self, move: Move, lineage: Lineage) -> None:
        """The daemon ends at once; the store is another generation's before the next one starts."""
        if self.daemon is not None:
            self.daemon.stop()
            self.loop.call_later(0, self._moved, self.boots, move, lineage)

    def _moved(self, boot: int, move: Move, lineage: Lineage) -> None:
        if self.boots != boot or self.daemon is None:
            return
        self.kill_daemon()
        with suppress(StoreError):  # the disk does not work just now: the next start shows what is there
            self._adopt(move, lineage)
        self.boot()

    def _adopt(self, move: Move, lineage: Lineage) -> None:
        store = self._open()
        settled = at_rest(move, lineage, store)
        if settled is Move.BEGIN_ANEW:
            store.close()
            self.home.begin_anew()
            store = self._open()
        try:
            if settled is None:
                return
            store.adopt(lineage)
            store.sync()
            if settled is Move.FOUND:
                self.branches.begin(lineage.charters[-1], self.durable)
                leaders = (one for one in self.all.values() if one.replica is not None and one.replica.core.is_leader)
                self.witness.forgives |= any(leaders)  # somebody said that it is off, and it has come back meanwhile
            self._belong(lineage)
            if settled is Move.FOUND:
                found(store)
                store.sync()
        finally:
            store.close()

    def _belong(self, lineage: Lineage) -> None:
        self.lineage, self._branch = lineage, self.branches.of(lineage)

    def _switch_on(self) -> None:
        self.machine_boots += 1
        self.clocks.slept_ms = 0
        entropy = self.entropy.fork(f"hands{self.machine_boots}")
        self.hands = SimHands(self.id, self.loop, self.clocks, entropy, self.witness, self._on_end, self._tip)

    def _tip(self) -> Generation:
        return self.lineage.tip

    def _on_end(self, has_freed: bool) -> None:
        daemon = self.daemon
        if daemon is not None:
            self.run(self.boots, lambda: daemon.agent.ended(has_freed))

    def crash(self) -> None:
        """The machine goes down."""
        self.kill_daemon()
        if self.hands is not None:
            self.hands.die()
        self.hands = None
        self.stalled_until = 0.0

    def kill_daemon(self) -> None:
        if self.daemon is None or self._worker is None:
            return
        if self.book is not None:
            self.walks[self.lineage.tip].passes(self.id, self.book.state)
            self.walks[self.lineage.tip].forget(self.id)
        self.daemon.stop()
        self._worker.crash()
        self.disk.crash()
        self.daemon = self.keeper = self.book = None

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

    # -- what befalls its disk -----------------------------------------------------------------------------------------

    def fill(self, room: int = 0) -> None:
        """Only so many bytes are left."""
        self.disk.cells.room = self.disk.cells.used + room

    def break_disk(self) -> None:
        """Every sync fails."""
        self.disk.cells.fails = True

    def protect(self) -> None:
        self.disk.cells.read_only = True

    def mend_disk(self) -> None:
        """There is room again, syncs work, and it can be written."""
        cells = self.disk.cells
        cells.room, cells.fails, cells.read_only = None, False, False

    def tear(self) -> None:
        """The power goes, and of the newest change one half is there."""
        self.crash()
        self.disk.cells.tear()
        self.spoilt = True

    def rot(self, where: int) -> None:
        """The power goes, and a bit flips somewhere. Not before: as long as nobody notices, this machine could be made
        the only voter, and then the loss would be one by design."""
        self.crash()
        self.disk.cells.rot(SeededEntropy(where))
        self.spoilt = True

    def keep_copy(self) -> None:
        self._copy = self.disk.cells.copy()

    def roll_back(self, with_mark: bool = False) -> None:
        """The power goes, and somebody puts the copy back that was kept. With its mark that cannot be noticed: then all
        promises of this disk are void, and the checks say so."""
        if self._copy is not None:
            self.crash()
            self.disk.cells.put_back(self._copy, with_mark)
            self.spoilt = True

    # -- when the machine runs -----------------------------------------------------------------------------------------

    def run(self, boot: int, callback: Callable[..., object], *args: Any) -> None:
        """Do it now, or when the machine is awake again; never after it went down."""
        if self.boots != boot or self.daemon is None:
            return
        if self.stalled_until > self.loop.time():
            self.loop.call_at(self.stalled_until, self.run, boot, callback, *args)
            return
        callback(*args)
        replica = self.replica
        if replica is not None and replica.core.is_leader and replica.core.term != self._led:
            self._look_at_leader(replica.core)

    def _look_at_leader(self, core: Core) -> None:
        """It has won an election."""
        self._led = core.term
        if self.branches.has_rivals(self.lineage.tip):
            self.witness.forgives = True
        held = core.log.term(self.checks.last_committed)
        if self.checks.last_committed < core.log.snapshot.index:
            held = self.checks.committed[self.checks.last_committed][0]
        self.checks.leads(self.member, core.term, held)
        if self.book is not None:
            self.walks[self.lineage.tip].leads(self.id, self.book.state)

    # -- ports ---------------------------------------------------------------------------------------------------------

    def send(self, to: NodeId, letter: Letter) -> None:
        if isinstance(letter.content, Message):
            self.checks.leaves(self.durable, letter.content)
        target = self.all.get(to)
        if target is not None:
            self.net.send(self.id, to, target.arrive, letter)

    def arrive(self, sender: NodeId, letter: Letter) -> None:
        daemon = self.daemon
        if daemon is not None:
            self.run(self.boots, daemon.receive, sender, letter)

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

    def _became_durable(self, change: Write | Snapshot) -> None:
        if isinstance(change, Write):
            self.checks.written(self.member, self.durable, change)
        self.durable.take(change)

    def _reaches(self, source: Member) -> bool:
        """The bulk lane works when both ways work."""
        other = self.all.get(source.node)
        cut = {(self.id, source.node), (source.node, self.id)} & self.net.cut
        return other is not None and other.up and other.member == source and not cut

    def _keeper_of(self, source: Member) -> Keeper | None:
        return self.all[source.node].keeper

    def compact(self) -> None:
        """As if the log had grown long."""
        if self.daemon is not None:
            self.daemon.compactor.compact()


@dataclass
class _Timers:
    node: SimNode
    boot: int

    def call_later(self, delay: float, callback: Callable[[], None]) -> object:
        real = delay * 1_000_000 / (1_000_000 + self.node.clocks.rate_ppm)
        return self.node.loop.call_later(real, self.node.run, self.boot, callback)


@dataclass
class _Deferred(Worker):
    """The disk goes on while the machine is stalled; the machine hears of it later."""

    node: SimNode
    boot: int
    worker: SimWorker

    def run(self, job: Callable[[], T], done: Callable[[T | OdysseyError], None]) -> None:
        self.worker.run(job, lambda found: self.node.run(self.boot, done, found))


@dataclass
class _Reader(Worker):
    """Old stores are read beside all else. What is done to the disk is done when the machine still runs."""

    node: SimNode
    boot: int

    def run(self, job: Callable[[], T], done: Callable[[T | OdysseyError], None]) -> None:
        self.node.loop.call_later(READ_MS / 1000, self.node.run, self.boot, lambda: done(outcome(job)))


@dataclass
class _Notes:
    node: SimNode
    boot: int

    def save(self, kept: Kept, done: Callable[[], None]) -> None:
        self.node.save(self.boot, kept, done)


__all__ = ["LogEntry", "SimNode"]

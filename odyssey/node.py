"""One daemon's parts, introduced to each other: the replica of the log, the book, the agent, and, while this machine
leads, the coordinator.

Promises: a message goes to the one part it is for; there is a coordinator exactly while this machine's replica leads.
Never: decides anything, or knows what carries letters, keeps the log or runs tasks.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from odyssey.agent import LOST_MS, Agent, Hands, Notes
from odyssey.archiving import Archiving, Habits, Holding
from odyssey.archiving import Shelf as HistoryShelf
from odyssey.book import Book
from odyssey.clock import Clock, Entropy
from odyssey.commands import AdmitNode, Command
from odyssey.coordinator import Coordinator
from odyssey.events import Event, NodeAdmitted
from odyssey.ids import NodeId, NodeNumber
from odyssey.mesh import recover
from odyssey.mesh.compactor import Compactor
from odyssey.mesh.compactor import Shelf as SnapshotShelf
from odyssey.mesh.generation import Lineage
from odyssey.mesh.lease import Lease
from odyssey.mesh.letters import Letter, Scope
from odyssey.mesh.membership import StateChanged
from odyssey.mesh.opening import Home
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.types import Message
from odyssey.mesh.recover import AskStanding, Found, Founds, Line, Standing
from odyssey.mesh.replica import Disk, Replica
from odyssey.mesh.succession import Keys, Move, Succession
from odyssey.mesh.worker import Worker
from odyssey.messages import (
    AnyMessage,
    AskJobs,
    Beat,
    Duty,
    Elsewhere,
    HandedIn,
    HandIn,
    HandInSegment,
    HaveSegment,
    JobsAre,
    Keeping,
    OfferSegment,
    SegmentTaken,
    Telemetry,
)
from odyssey.resources import Resources
from odyssey.salvaging import Receiving, Salvaging
from odyssey.salvaging import Shelf as SalvageShelf
from odyssey.scheduler.dump import dump


class Links(Protocol):
    """How letters reach other machines. One may be lost, late or doubled."""

    def send(self, to: NodeId, letter: Letter) -> None: ...


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


class Shelf(SnapshotShelf, HistoryShelf, SalvageShelf, Protocol):
    """The store: snapshots and history."""


class World(NamedTuple):
    """All that is not this daemon."""

    links: Links
    disk: Disk
    shelf: Shelf
    timers: Timers
    clock: Clock
    entropy: Entropy
    hands: Hands
    notes: Notes
    others: Callable[[], Sequence[NodeId]]  # machines of the mesh that may know who coordinates
    health: Callable[[], tuple[Telemetry, Keeping]]
    keys: Keys
    home: Home  # of the store: others that were set aside lie there too
    reader: Worker  # a thread for them, apart from the store's
    move: Callable[[Move, Lineage], None]  # to another generation: ends this daemon, and starts one that is there
    habits: Habits = Habits()  # of history
    watch: Callable[[Sequence[Event]], None] = lambda _: None  # is told what the newest entries have made true
    may_keep: Callable[[NodeId], bool] = lambda _: True  # the log, by its certificate
    vouched: Callable[[Command], bool] = lambda _: True  # what another machine wants to be on the log
    noticed: Callable[[StateChanged], None] = lambda _: None  # is told how machines come and go, while this one leads


class Node:
    def __init__(
        self,
        lineage: Lineage,
        core: Core,
        book: Book,
        lease: Lease,
        total: Resources,
        world: World,
    ) -> None:
        self.id, self.book, self.lineage, self._world = core.me.node, book, lineage, world
        self.scope = Scope(lineage.mesh.hex(), lineage.tip.number, lineage.tip.id)
        self.coordinator: Coordinator | None = None
        self.replica = Replica(
            self.scope,
            core,
            book,
            world.disk,
            world.links,
            world.timers,
            world.clock,
            world.entropy,
            self._look,
            self._prepare,
            lineage.number_at,
            self._tick,
            world.vouched,
        )
        self.agent = Agent(
            lease,
            world.hands,
            world.notes,
            self,
            world.timers,
            world.clock,
            world.entropy,
            total,
            world.others,
            world.health,
        )
        self.succession = Succession(
            lineage,
            self.replica,
            self.agent.served,
            world.others,
            self,
            world.timers,
            world.clock,
            world.entropy,
            world.keys,
            world.move,
        )
        self.compactor = Compactor(self.replica, lambda: dump(self.book.state), world.shelf, world.clock)
        self.salvaging = Salvaging(lineage, self.replica, world.home, world.reader, world.shelf, self, world.clock)
        self.holding = Holding(self.replica, book, world.shelf, self, world.clock, lambda: self.salvaging.busy)
        self.archiving: Archiving | None = None
        self.receiving: Receiving | None = None
        book.watch = self._applied
        self._running = False
        self._leader: NodeId | None = None
        self._alone, self._admitting = False, 0

    def start(self) -> None:
        self._running = True
        self.replica.start()
        self.agent.start()
        self.salvaging.start()

    def stop(self) -> None:
        self._running = False
        self.coordinator = self.archiving = self.receiving = None
        self.replica.stop()
        self.agent.stop()
        self.salvaging.stop()

    def _tick(self, now: int) -> bool:
        """True if nothing waits for time: no other machine is to be watched, and nothing runs or will by itself."""
        if not self._running:
            return True
        self.agent.tick()
        self.compactor.tick(now)
        self.succession.tick()
        self.holding.tick(now)
        self.salvaging.tick(now)
        if self.coordinator is not None:
            self.coordinator.tick(now)
        if self.archiving is not None:
            self.archiving.tick(now)
        return self._alone and self.agent.rests and self.coordinator is not None and self.coordinator.rests

    # -- who leads -----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        if not self._running:
            return
        core = self.replica.core
        if not core.is_leader:
            self.coordinator = self.archiving = self.receiving = None
        elif self.coordinator is None or self.coordinator.term != core.term:
            world = self._world
            self.coordinator = Coordinator(
                self.replica,
                self.book,
                self,
                world.clock,
                self._is_recovered,
                may_keep=world.may_keep,
                noticed=world.noticed,
            )
            self.archiving = Archiving(
                self.replica, self.book, self.holding, self, world.timers, world.clock, world.habits
            )
            self.receiving = Receiving(self.replica, self.book, self.archiving, self)
        if self.coordinator is not None:
            self.coordinator.look()
        self._follow(core.leader.node if core.leader is not None else None)
        self._notice_company()

    def _follow(self, leader: NodeId | None) -> None:
        """Once: who keeps the log no more may believe in a leader of long ago."""
        if leader != self._leader:
            self._leader = leader
            if leader is not None:
                self.agent.follow(leader)

    # -- alone or not --------------------------------------------------------------------------------------------------

    def _notice_company(self) -> None:
        """Once alone it stays so until somebody is admitted; it becomes so when all that was asked for is applied."""
        if not self._alone and len(self.book.state.nodes) != 1:
            return
        core = self.replica.core
        alone = self._has_nobody() and (self._alone or core.log.last == self.replica.applied)
        if alone != self._alone:
            self._alone = alone
            self.agent.set_alone(alone)

    def _has_nobody(self) -> bool:
        core, nodes = self.replica.core, self.book.state.nodes
        leads = core.leads_safely and core.config.members == (core.me,)
        return leads and not self._admitting and [one.id for one in nodes.values()] == [self.id]

    def _prepare(self, command: Command, go_on: Callable[[], None]) -> None:
        """Before another machine is admitted, what runs here must have a lease."""
        if not isinstance(command, AdmitNode) or command.id == self.id:
            go_on()
            return

        def told() -> None:
            self._admitting -= 1
            go_on()

        self._admitting += 1
        self._alone = False
        self.agent.set_alone(False, told)

    @property
    def _is_recovered(self) -> bool:
        """Nothing was given to anybody in this generation yet, and one was before it: members still find their way, and
        what was given to them behind the fork, of which nobody here knows, may still run under its last lease."""
        return bool(self.lineage.charters) and self.book.state.head.gave < self.scope.generation

    def _applied(self, events: Sequence[Event]) -> None:
        self.holding.applied(events)
        if self.coordinator is not None:
            self.coordinator.applied(events)
        for event in events:
            if isinstance(event, NodeAdmitted) and self._is_me(event.node):
                self.agent.admitted()
        self._world.watch(events)

    def _is_me(self, number: NodeNumber) -> bool:
        node = self.book.state.nodes.get(number)  # None: removed again meanwhile
        return node is not None and node.id == self.id

    # -- letters -------------------------------------------------------------------------------------------------------

    def receive(self, sender: NodeId, letter: Letter) -> None:
        if not self._running or letter.scope.mesh != self.scope.mesh:
            return
        match letter.content:
            case Message() if letter.scope == self.scope:  # by far the most
                self.replica.receive(letter)
            case AskStanding() | Standing() | Line() | Found() | Founds() as message:
                self.succession.receive(sender, message)
            case _ if letter.scope != self.scope:
                self.succession.meet(sender)
            case Beat() | AskJobs() as message:
                self._hear(sender, message)
            case Duty() | JobsAre() | Elsewhere() as message:
                self.agent.receive(sender, message)
            case OfferSegment() as message:
                self.holding.hear(sender, message)
            case HaveSegment() as message:
                if self.archiving is not None:
                    self.archiving.hear(sender, message)
            case HandIn() | HandInSegment() as message:
                if self.receiving is not None:
                    self.receiving.hear(sender, message)
            case HandedIn() | SegmentTaken() as message:
                self.salvaging.hear(message)
            case _:
                self.replica.receive(letter)

    def _hear(self, sender: NodeId, message: Beat | AskJobs) -> None:
        known = self._coordinator()
        if self.coordinator is not None:
            self.coordinator.receive(sender, message)
        elif known is not None and known not in (sender, self.id):
            self.tell(sender, Elsewhere(known))

    def _coordinator(self) -> NodeId | None:
        """As far as this machine knows by itself. A rumour about one that is gone would go round for ever."""
        served = self.agent.served()
        return served[0] if served is not None and served[1] < LOST_MS else self._leader

    def tell(
        self,
        node: NodeId,
        message: Duty | JobsAre | Elsewhere | OfferSegment | HaveSegment | HandedIn | SegmentTaken,
    ) -> None:
        self._send(node, message)

    def hand_in(self, message: HandIn | HandInSegment) -> None:
        coordinator = self.id if self.coordinator is not None else self._coordinator()
        if coordinator is not None:
            self._send(coordinator, message)

    def ask(self, node: NodeId, message: Beat | AskJobs) -> None:
        self._send(node, message)

    def say(self, node: NodeId, message: recover.AnyMessage) -> None:
        self._send(node, message)

    def _send(self, node: NodeId, message: AnyMessage | recover.AnyMessage) -> None:
        letter = Letter(self.scope, message)
        if node == self.id:  # not at once: whoever sends is in the middle of something
            self._world.timers.call_later(0, lambda: self.receive(node, letter))
        else:
            self._world.links.send(node, letter)

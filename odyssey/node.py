"""One daemon's parts, introduced to each other: the replica of the log, the book, the agent, and, while this machine
leads, the coordinator.

Promises: a message goes to the one part it is for; there is a coordinator exactly while this machine's replica leads.
Never: decides anything, or knows what carries letters, keeps the log or runs tasks.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from odyssey.agent import Agent, Hands, Notes
from odyssey.book import Book
from odyssey.clock import Clock, Entropy
from odyssey.coordinator import Coordinator
from odyssey.events import Event
from odyssey.ids import NodeId
from odyssey.mesh.compactor import Compactor, Shelf
from odyssey.mesh.lease import Lease
from odyssey.mesh.raft.core import Core
from odyssey.mesh.replica import Disk, Letter, Replica, Scope
from odyssey.messages import AnyMessage, AskJobs, Beat, Duty, Elsewhere, JobsAre, Keeping, Telemetry
from odyssey.resources import Resources
from odyssey.scheduler.dump import dump

TICK_MS: Final = 100


class Links(Protocol):
    """How letters reach other machines. One may be lost, late or doubled."""

    def send(self, to: NodeId, letter: Letter) -> None: ...


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


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


class Node:
    def __init__(
        self,
        scope: Scope,
        core: Core,
        book: Book,
        lease: Lease,
        total: Resources,
        world: World,
        recovered: bool = False,
    ) -> None:
        """`recovered`: this generation of the mesh was begun by a recovery not long ago."""
        self.id, self.book, self.scope, self._world, self._recovered = core.me.node, book, scope, world, recovered
        self.coordinator: Coordinator | None = None
        self.replica = Replica(
            scope, core, book, world.disk, world.links, world.timers, world.clock, world.entropy, self._look
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
        self.compactor = Compactor(self.replica, lambda: dump(self.book.state), world.shelf, world.clock)
        book.watch = self._applied
        self._running = False

    def start(self) -> None:
        self._running = True
        self.replica.start()
        self.agent.start()
        self._tick()

    def stop(self) -> None:
        self._running = False
        self.coordinator = None
        self.replica.stop()
        self.agent.stop()

    def _tick(self) -> None:
        if self._running:
            self._world.timers.call_later(TICK_MS / 1000, self._tick)
            self.compactor.tick()
            if self.coordinator is not None:
                self.coordinator.tick()

    # -- who leads -----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        core = self.replica.core
        if not core.is_leader:
            self.coordinator = None
        elif self.coordinator is None or self.coordinator.term != core.term:
            self.coordinator = Coordinator(self.replica, self.book, self, self._world.clock, self._recovered)
        if self.coordinator is not None:
            self.coordinator.look()
        if core.leader is not None and self._running:
            self.agent.follow(core.leader.node)

    def _applied(self, events: Sequence[Event]) -> None:
        if self.coordinator is not None:
            self.coordinator.applied(events)

    # -- letters -------------------------------------------------------------------------------------------------------

    def receive(self, sender: NodeId, letter: Letter) -> None:
        if not self._running or letter.scope != self.scope:
            return
        match letter.content:
            case Beat() | AskJobs() as message:
                self._hear(sender, message)
            case Duty() | JobsAre() | Elsewhere() as message:
                self.agent.receive(sender, message)
            case _:
                self.replica.receive(letter)

    def _hear(self, sender: NodeId, message: Beat | AskJobs) -> None:
        leader = self.replica.core.leader
        if self.coordinator is not None:
            self.coordinator.receive(sender, message)
        elif leader is not None and leader.node not in (sender, self.id):
            self.tell(sender, Elsewhere(leader.node))

    def tell(self, node: NodeId, message: Duty | JobsAre | Elsewhere) -> None:
        self._send(node, message)

    def ask(self, node: NodeId, message: Beat | AskJobs) -> None:
        self._send(node, message)

    def _send(self, node: NodeId, message: AnyMessage) -> None:
        letter = Letter(self.scope, message)
        if node == self.id:  # not at once: whoever sends is in the middle of something
            self._world.timers.call_later(0, lambda: self.receive(node, letter))
        else:
            self._world.links.send(node, letter)

"""One machine's part in its mesh, over and over: a store is opened, a node lives on it, and when the disk fails or the
mesh moves to another generation, the next life begins on what is there then.

What outlives a life is given in: the hands, the clock, how the machine is. Whoever wants to know of the state asks for
the node of now, and may be without one for a while.

Promises: one life at a time; the next one begins only when the store of the one before is closed; a disk that fails is
tried again after `wait_ms`; the machine is a member as soon as it leads, with the facts of now.
Never: ends the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from odyssey.agent import Hands
from odyssey.api.machines import says
from odyssey.archiving import Habits
from odyssey.book import Book
from odyssey.clock import Clock, Entropy
from odyssey.commands import AdmitNode, Command, Facts, UpdateNode
from odyssey.daemon import notes
from odyssey.daemon.alone import NoBulk, NoLinks
from odyssey.daemon.founding import Belonging, Opened, Storehouse
from odyssey.errors import OdysseyError
from odyssey.events import Event
from odyssey.ids import NodeId
from odyssey.manners import Allowed
from odyssey.mesh.generation import Lineage, Verify
from odyssey.mesh.keeper import Keeper
from odyssey.mesh.lease import Lease
from odyssey.mesh.letters import Accepted, Outcome
from odyssey.mesh.membership import StateChanged
from odyssey.mesh.opening import wait_ms
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.log import Log
from odyssey.mesh.recover import CannotRecover, Recovery, Refusal
from odyssey.mesh.store import Store, StoreError
from odyssey.mesh.succession import Keys, Move
from odyssey.mesh.transfer import Bulk
from odyssey.mesh.worker import ThreadWorker
from odyssey.messages import BootId, Going, Keeping, Telemetry
from odyssey.model import Node as Machine
from odyssey.node import Links, Node, World

WELL_MS: Final = 60_000  # a life that lasted so long was none that failed at once
LOOK_S: Final = 1.0
TOLD_S: Final = 5.0  # once the log knows this machine: it may be removed behind its back
CATCH_UP_S: Final = 0.002  # at first; longer each time
CLEAR_STEP_S: Final = 0.02
UNHEARD_MS: Final = 5_000  # without a Duty nobody is there who would take what is reported
HAND_OVER_STEP_S: Final = 0.005
_log: Final = logging.getLogger(__name__)
T = TypeVar("T")


class Around(NamedTuple):
    """The others, where there are any."""

    links: Links
    bulk: Bulk
    others: Callable[[], Sequence[NodeId]]
    verify: Verify
    may_keep: Callable[[NodeId], bool]  # the log
    vouched: Callable[[Command], bool]  # what is signed in it may be believed


class Body(NamedTuple):
    """What outlives a life."""

    clock: Clock
    entropy: Entropy
    hands: Hands
    boot: BootId
    until_ms: Callable[[], int]  # what the hands remember of the lease
    health: Callable[[], Telemetry]
    facts: Callable[[], Facts]
    allowed: Callable[[], Allowed]
    habits: Habits = Habits()
    around: Around | None = None  # None: it speaks with nobody
    noticed: Callable[[StateChanged], None] = lambda _: None  # is told how machines come and go, while this one leads


class Life:
    def __init__(self, storehouse: Storehouse, body: Body, changed: Callable[[Sequence[Event] | None], None]) -> None:
        """`changed` is told what has become true; None: another state is there now, or none."""
        self._storehouse, self._body, self._changed = storehouse, body, changed
        self._loop = asyncio.get_running_loop()
        self.node: Node | None = None
        self.book = Book()  # what is known of the mesh: of this life, or of the last one
        self.trouble: OdysseyError | None = None  # why there is no node
        self.is_current = False  # this life knows all that was acknowledged before it began
        self._worker: ThreadWorker | None = None
        self._reader: ThreadWorker | None = None  # of stores that were set aside
        self._keeper: Keeper | None = None
        self._notes: notes.NoteFile | None = None
        self._failures = 0
        self._began_ms = self._known_ms = body.clock.monotonic_ms()
        self._stopped = False
        self._proposing = self._is_told = False  # the facts of this machine

    @property
    def belonging(self) -> Belonging:
        return self._storehouse.belonging

    @property
    def id(self) -> NodeId:
        return self._storehouse.identity.id

    @property
    def keeper(self) -> Keeper | None:
        return self._keeper if self.node is not None else None

    def age_ms(self) -> int:
        """How old what is known may be. To be asked once a second: another life forgets whom it heard."""
        now, node = self._body.clock.monotonic_ms(), self.node
        if node is not None:
            served = node.agent.served()
            heard = now - served[1] if served is not None else 0
            leads = node.replica.core.leads_safely
            self._known_ms = now if leads else max(self._known_ms, node.replica.told_ms, heard)
        return now - self._known_ms

    def ask(self, job: Callable[[Store], T], done: Callable[[T | StoreError | None], None]) -> None:
        """Something of the store; None: there is none just now."""
        if self._keeper is None or self.node is None:
            done(None)
        else:
            self._keeper.ask(job, done)

    # -- beginning -----------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """The first life. Raises what a person has to mend."""
        over = self._loop.create_future()
        self._open(over.set_result)
        found: Opened | OdysseyError = await over
        if isinstance(found, OdysseyError):
            await self._let_go()
            raise found
        self._live(found)

    def _open(self, done: Callable[[Opened | OdysseyError], None]) -> None:
        self._worker = ThreadWorker(self._loop)
        self._worker.run(self._storehouse.open, done)

    def _live(self, opened: Opened) -> None:
        assert self._worker is not None
        for aside in opened.asides:
            _log.error("a damaged file was set aside as %s: %s", aside.path, aside.error)
        body, worker, identity = self._body, self._worker, opened.store.identity
        log = Log(opened.loaded.snapshot, opened.loaded.entries, opened.loaded.hard.commit)
        core = Core(identity.member, opened.loaded.hard, log, body.entropy, identity.lineage.first_term)
        around = body.around
        bulk = around.bulk if around is not None else NoBulk(self._loop)
        self._keeper = Keeper(opened.store, worker, bulk, self._fail)
        self._notes = notes.NoteFile(self._storehouse.home.lease, worker, self._loop)
        self._began_ms = body.clock.monotonic_ms()
        lease = Lease(body.boot, body.clock.boottime_ms(), notes.read(self._storehouse.home.lease), body.until_ms())
        allowed = body.allowed()
        self.book, self.trouble = opened.book, None
        self.node = Node(identity.lineage, core, opened.book, lease, allowed.total, self._world(identity.store))
        self.node.agent.allow(allowed.total, bool(allowed.pause))
        self._proposing = self._is_told = False
        self.node.start()
        self.node.replica.hurry()
        self._changed(None)
        self._look(self.node)
        self._catch_up(self.node)

    def _world(self, store: bytes) -> World:
        body, keeper, file = self._body, self._keeper, self._notes
        around = body.around
        assert keeper is not None
        assert file is not None
        self._reader = ThreadWorker(self._loop)
        keys = self._storehouse.identity
        return World(
            links=around.links if around is not None else NoLinks(),
            disk=keeper,
            shelf=keeper,
            timers=self._loop,
            clock=body.clock,
            entropy=body.entropy,
            hands=body.hands,
            notes=file,
            others=around.others if around is not None else tuple,
            health=lambda: (body.health(), Keeping(store=store)),
            keys=Keys(keys.sign, around.verify if around is not None else keys.verify),
            home=self._storehouse.stores,
            reader=self._reader,
            move=self._move,
            habits=body.habits,
            watch=self._applied,
            may_keep=around.may_keep if around is not None else lambda _: True,
            vouched=around.vouched if around is not None else lambda _: True,
            noticed=body.noticed,
        )

    def _applied(self, events: Sequence[Event]) -> None:
        if not self._is_told:
            self._loop.call_soon(self.tell_facts)
        self._changed(events)

    # -- being a member ------------------------------------------------------------------------------------------------

    def _look(self, node: Node) -> None:
        """From time to time: is this machine a member, with the facts of now?"""
        if self.node is node and not self._stopped:
            self.tell_facts()
            self._loop.call_later(TOLD_S if self._is_told else LOOK_S, self._look, node)

    @property
    def me(self) -> Machine | None:
        """As the log knows this machine."""
        return next((one for one in self.book.state.nodes.values() if one.id == self.id and not one.removed), None)

    @property
    def is_member(self) -> bool:
        return self.me is not None

    # -- knowing what is known -----------------------------------------------------------------------------------------

    def _catch_up(self, node: Node, wait_s: float = CATCH_UP_S) -> None:
        """Until somebody leads, it is not known which of the newest entries of this log hold."""
        if self.node is not node or self._stopped:
            return
        core = node.replica.core
        if core.leads_safely or core.leader not in (None, core.me):
            node.replica.read(lambda index: self._caught_up(node, index, wait_s))
        else:
            self._catch_up_later(node, wait_s)

    def _catch_up_later(self, node: Node, wait_s: float) -> None:
        self._loop.call_later(wait_s, self._catch_up, node, min(LOOK_S, 2 * wait_s))

    def _caught_up(self, node: Node, index: int | None, wait_s: float) -> None:
        if self.node is not node:
            return
        if index is None:
            self._catch_up_later(node, wait_s)
        else:
            self.is_current = True
            self._changed(())

    def follow_owner(self) -> None:
        """What the owner gives is another part now."""
        if self.node is not None:
            allowed = self._body.allowed()
            self.node.agent.allow(allowed.total, bool(allowed.pause))
            self.tell_facts()

    def tell_facts(self) -> None:
        """What is asked for is proposed once at a time, and again if the log did not take it."""
        node, belonging = self.node, self.belonging
        if node is None or self._proposing or not self._leads(node):
            return
        self._is_told = True
        facts, me = self._body.facts(), self.me
        command: Command | None = None
        if me is None:
            command = AdmitNode(node.id, belonging.machine, belonging.owner, facts)
        elif not says(me, facts):
            command = UpdateNode(me.number, facts)
        if command is not None:
            self._proposing = True
            node.replica.propose(command, lambda outcome: self._proposed(node, outcome))

    def _leads(self, node: Node) -> bool:
        return node.coordinator is not None and node.replica.applied >= node.replica.core.started

    def _proposed(self, node: Node, outcome: Outcome) -> None:
        if self.node is node:
            self._proposing = False
            if not isinstance(outcome, Accepted):
                self._is_told = False
                _log.info("the log did not take the facts of this machine: %s", type(outcome).__name__)

    # -- who coordinates -----------------------------------------------------------------------------------------------

    def hand_over(self) -> bool:
        return self.node is not None and self.node.replica.hand_over()

    def recover(self, is_sure: bool, done: Callable[[Recovery | CannotRecover], None]) -> None:
        if self.node is None:
            text, hint = "the log of this machine cannot be used just now", "see: odyssey status"
            done(CannotRecover(Refusal.NO_LOG, self.id, text, hint=hint))
        else:
            self.node.succession.recover(done, is_sure)

    async def let_go(self, seconds: float) -> None:
        """Before this machine stops: another one coordinates, so that nobody has to notice that this one is gone."""
        node = self.node
        if node is None or not node.replica.hand_over():
            return
        end = self._loop.time() + seconds
        while self.node is node and node.replica.core.is_leader:
            if self._loop.time() >= end:
                _log.warning("no other machine has taken over")
                return
            await asyncio.sleep(HAND_OVER_STEP_S)

    # -- ends ----------------------------------------------------------------------------------------------------------

    def _fail(self, error: OdysseyError) -> None:
        """The disk has failed: out of the log at once, and back when the store can be opened anew."""
        node = self.node
        if node is None or self._stopped:
            return
        well = self._body.clock.monotonic_ms() - self._began_ms >= WELL_MS
        self._failures = 1 if well else self._failures + 1
        _log.error("the store has failed: %s", error)
        node.replica.give_up()
        self._rest(error)
        self._close(self._wait)

    def _rest(self, why: OdysseyError | None) -> None:
        if self.node is not None:
            self._known_ms = self._body.clock.monotonic_ms() if self._leads(self.node) else self.node.replica.told_ms
            self.node.stop()
        if self._notes is not None:
            self._notes.stop()
        self.node, self.trouble = None, why
        self.is_current = False
        self._changed(None)

    def _close(self, then: Callable[[], None]) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            then()
        else:
            keeper.close(then)

    def _wait(self) -> None:
        self._end_thread()
        self._loop.call_later(wait_ms(self._failures) / 1000, self._try_again)

    def _end_thread(self) -> None:
        for worker in (self._worker, self._reader):
            if worker is not None:
                worker.close()
        self._worker = self._reader = None

    def _try_again(self) -> None:
        if not self._stopped and self.node is None and self._worker is None:
            self._open(self._tried)

    def _tried(self, found: Opened | OdysseyError) -> None:
        if self._stopped:
            return
        if isinstance(found, OdysseyError):
            self._failures += 1
            self.trouble = found
            self._wait()
        else:
            _log.warning("the store can be used again")
            self._live(found)

    def _move(self, move: Move, lineage: Lineage) -> None:
        """To another generation: this life ends, and the next begins on a store that is of that one."""
        if self.node is None:
            return
        _log.warning("this machine goes over to generation %d: %s", lineage.tip.number, move.value)
        self.node.stop()
        self._loop.call_soon(self._go_over, move, lineage)

    def _go_over(self, move: Move, lineage: Lineage) -> None:
        worker = self._worker
        if self._stopped or self.node is None or worker is None:
            return
        self._rest(None)
        self._close(lambda: worker.run(lambda: self._storehouse.move(move, lineage), self._went_over))

    def _went_over(self, found: OdysseyError | None) -> None:
        if isinstance(found, OdysseyError):
            _log.error("the store did not go over: %s", found)  # the next life shows what is there
        self._end_thread()
        self._try_again()

    async def clear_out(self, seconds: float, going: Going = Going.SHUTDOWN) -> bool:
        """What runs here is ended, and the log knows it: it starts again elsewhere, or here with the next daemon.
        False: that could not be told in this time."""
        node, hands = self.node, self._body.hands
        if node is None:
            return False
        node.agent.go(going)
        end = self._loop.time() + seconds
        while self.node is node and self._loop.time() < end:
            live = any(not one.ended for one in hands.here().values())
            if not live and (self._is_settled(node) or self.is_cut_off):
                return self._is_settled(node)
            await asyncio.sleep(CLEAR_STEP_S)
        _log.warning("not all that ran here is known to have ended")
        return False

    def _is_settled(self, node: Node) -> bool:
        """Nothing is here, by the log of whoever coordinates."""
        me = self.me if node.coordinator is not None else None
        return not self._body.hands.reports() and not (me is not None and node.book.state.held.get(me.number))

    @property
    def is_cut_off(self) -> bool:
        """Nobody hears what this machine has to tell."""
        node = self.node
        if node is None:
            return True
        served = node.agent.served()
        return node.coordinator is None and (served is None or served[1] >= UNHEARD_MS)

    def stay(self) -> None:
        """After all: what was ended starts again."""
        if self.node is not None:
            self.node.agent.go(Going.STAYING)

    async def end(self) -> None:
        """Everything that was asked of the disk is done, and the store is closed."""
        self._stopped = True
        if self.node is not None:
            self._rest(None)
        await self._let_go()

    async def _let_go(self) -> None:
        over = self._loop.create_future()
        if self._keeper is not None:
            self._close(lambda: over.set_result(None))
            await over
        self._end_thread()

"""This machine on its network: links to the others, the join socket where it may let machines in, and what of that goes
to which part of the daemon.

Promises: nothing listens before this was made and opened; what is asked through it is asked by a member, as whose
machine it is.
Never: is made for a daemon that was started by the way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from odyssey import __version__
from odyssey.api import errands as q
from odyssey.api import rights
from odyssey.api.door import Handler
from odyssey.api.operations import BY_NAME
from odyssey.api.ports import Examining, Others
from odyssey.api.relay.choosing import Choosing, Own
from odyssey.api.relay.guests import Guests
from odyssey.api.relay.passing import Passing
from odyssey.api.requests import Goodbye, Nodes, TellFacts
from odyssey.api.requests import Node as OneNode
from odyssey.api.rights import Asker
from odyssey.api.views import NodeDetail
from odyssey.clock import Clock, SystemEntropy
from odyssey.commands import Facts
from odyssey.daemon.alone import NoExamining
from odyssey.daemon.answering import Answering
from odyssey.daemon.doors import Doors
from odyssey.daemon.examining import Examiner, Surroundings
from odyssey.daemon.founding import Belonging
from odyssey.daemon.knowing import Knowing, Place
from odyssey.daemon.life import Around, Life
from odyssey.daemon.papers import Papers
from odyssey.daemon.reception import House, Reception
from odyssey.daemon.shore import Beach, Shore
from odyssey.errors import NotPermitted, OdysseyError, Unreachable
from odyssey.events import Event
from odyssey.ids import NodeId
from odyssey.mesh import company as companies
from odyssey.mesh import speaking
from odyssey.mesh.company import Company
from odyssey.mesh.discovery.adverts import tag_of
from odyssey.mesh.discovery.listening import Plan
from odyssey.mesh.discovery.sightings import Found
from odyssey.mesh.identity import Identity
from odyssey.mesh.letters import Letter, Scope
from odyssey.mesh.links.gate import Gate
from odyssey.mesh.links.ports import Refusal
from odyssey.mesh.links.sockets import Keys
from odyssey.mesh.links.switchboard import Switchboard, Versions, World
from odyssey.mesh.links.wires import ZmqWires
from odyssey.mesh.trust.certificates import Grant
from odyssey.mesh.trust.standing import load
from odyssey.mesh.vouching import is_vouched
from odyssey.messages import Acquainted, Asked, AskKeeper, CopySeen, HereIAm, MembersAre, Parts, StopAsking, Taken
from odyssey.node import Node
from odyssey.paths import Home
from odyssey.scheduler.state import State

TICK_S: Final = 1.0
_log: Final = logging.getLogger(__name__)
FIRST_S: Final = 0.7  # for the first answer of the mesh; then another machine is asked
TELL_MS: Final = 60_000  # so often what this machine is is told again


class Lan:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        home: Home,
        identity: Identity,
        belonging: Belonging,
        clock: Clock,
        report: Callable[[BaseException], None],
        plan: Plan,
        remember: Callable[[str], None],
        is_new: bool,
    ) -> None:
        """`plan`: where to listen; `remember` is told where that is; `is_new`: this machine was opened, or joined, just
        now."""
        self._plan, self._remember, self._is_new = plan, remember, is_new
        self._loop, self._home, self._me, self._belonging = loop, home, identity.id, belonging
        self._clock, self._report = clock, report
        standing = load(home, identity.key, belonging.anchor)
        self.company = Company(identity.id, standing, home.peers, clock)
        self._papers = Papers(home, standing, self.company)
        world = World(
            *(self.company, self.company, self, loop, clock, SystemEntropy(), self._deliver),
            copied=self._copied,
            sent_away=_note_offence,
            may_fetch=lambda node: self.company.may(node, Grant.VOTE),
        )
        self._board = Switchboard(identity.id, world, Versions(program=__version__))
        self.knowing = Knowing(
            *(self.company, self._papers, self._board, self._place, belonging.name, loop, clock, SystemEntropy())
        )
        self._scope = Scope(belonging.mesh.hex(), 0)
        self._passing = Passing(
            *(clock.boottime_ms(), self._post, self._keepers, clock.monotonic_ms, loop),
            issuers=self._issuers_up,
            leads=self._leads,
            keeps=lambda: self.keeps,
        )
        self._guests: Guests | None = None
        self._life: Life | None = None
        self._wires: ZmqWires | None = None
        self._gate: Gate | None = None
        self._doors: Doors | None = None
        self.examining: Examining = NoExamining()
        self.reception: Reception | None = None  # once this daemon is put together
        self.shore: Shore | None = None
        self.addresses: tuple[str, ...] = ()
        self._telling: asyncio.Task[None] | None = None
        self._is_leaving = False
        self._told: Facts | None = None
        self._tell_again_ms = self._turn = 0
        self._answering: Answering | None = None

    @property
    def _place(self) -> Place:
        return Place(
            coordinator=lambda: self._me if self.coordinates else self._coordinator(),
            node=lambda: self._node,
            state=self._state,
            addresses=lambda: self.addresses,
            post=self._post,
            shut=self._shut,
        )

    def _state(self) -> State:
        assert self._life is not None
        return self._life.book.state

    @property
    def _keys(self) -> Keys:
        curve = self._papers.standing.curve
        return Keys(curve.public, curve.secret)

    @property
    def around(self) -> Around:
        company = self.company
        return Around(
            *(self._board, self._board, company.others, company.verify),
            may_keep=lambda node: company.may(node, Grant.VOTE),
            vouched=lambda command: is_vouched(command, company.roster),
        )

    def enter(
        self,
        life: Life,
        own: Callable[[], Own],
        facts: Callable[[], Facts],
        called: Callable[[str], None],
    ) -> None:
        self._life, self._own, self._facts, self._called = life, own, facts, called
        self.reception = Reception(self._house, life)

    def serve_others(self, handlers: Mapping[str, Handler], errands: Mapping[str, q.Handler]) -> Mapping[str, Handler]:
        """What this daemon's door and other machines are answered by from now on."""
        self._guests = Guests(
            *(handlers, self._post, self._clock.monotonic_ms, self._welcome, self._report),
            *(errands, self._is_one),
        )
        chosen = Choosing(self, handlers, self._passing.handlers, self._own, self._clock.monotonic_ms).handlers
        examiner = self.examining = Examiner(
            Surroundings(
                *(self._me, self._passing, self.company, self._board.peers),
                *(lambda: chosen["nodes"](Nodes()), lambda: errands["examine"](q.Examine()), self._clock),  # type: ignore[arg-type]
            )
        )

        async def node(request: OneNode) -> NodeDetail:
            return await examiner.completed(await chosen["node"](request))  # type: ignore[misc]

        return {**chosen, "node": node}

    @property
    def others(self) -> Others:
        return self._passing

    @property
    def may_rule(self) -> bool:
        """Whoever sits here, by this machine's own certificate."""
        return self.company.may(self._me, Grant.ADMIN)

    # -- this machine's place ------------------------------------------------------------------------------------------

    @property
    def _node(self) -> Node | None:
        return self._life.node if self._life is not None else None

    @property
    def coordinates(self) -> bool:
        return self._node is not None and self._node.coordinator is not None

    @property
    def coordinator(self) -> NodeId | None:
        return self._coordinator()

    @property
    def reaches(self) -> bool:
        return bool(self.knowing.up())

    @property
    def keeps(self) -> bool:
        node = self._node
        return node is not None and any(one.node == self._me for one in node.replica.core.config.members)

    @property
    def hears_nobody(self) -> bool:
        """The log is here, and just now nobody is known to coordinate: who is to is being settled."""
        return self.keeps and self._leads() is None

    def _leads(self) -> NodeId | None:
        """Who coordinates just now; of who keeps no log, whose Duty came last."""
        node = self._node
        if node is None:
            return None
        leader, served = node.replica.core.leader, node.agent.served()
        if leader is not None:
            return leader.node
        return None if self.keeps or served is None else served[0]

    def _coordinator(self) -> NodeId | None:
        node = self._node
        if node is None:
            return None
        served = node.agent.served()
        leader = node.replica.core.leader
        return leader.node if leader is not None else served[0] if served is not None else None

    # -- bytes that others ask for -------------------------------------------------------------------------------------

    def serve(self, digest: bytes, first: int, doubted: bool, done: Callable[[Sequence[bytes] | None], None]) -> None:
        keeper = self._life.keeper if self._life is not None else None
        if keeper is None:
            self._loop.call_soon(done, None)
        else:
            keeper.serve(digest, first, doubted, done)

    def serve_segment(self, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None:
        keeper = self._life.keeper if self._life is not None else None
        if keeper is None:
            self._loop.call_soon(done, None)
        else:
            keeper.serve_segment(digest, start, done)

    # -- the sockets ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """The join port and the two behind it. Raises CannotListen. Who was put out of the mesh opens nothing."""
        if self.out:
            self.knowing.notice_out()
            self._called(self._belonging.machine)
            return
        keys = self._keys
        self._wires = ZmqWires(self._loop, keys, self._clock, self._board)
        assert self.reception is not None
        if self._is_knocked_at:
            self._gate = self._new_gate()
        self._answering = Answering(self._clock)
        doors = self._doors = Doors(self._plan, self._wires, self._gate)
        has_joined = self._is_new and self._belonging.joined
        beach = Beach(
            *(tag_of(self._belonging.mesh), keys.public, self._is_new, has_joined),
            *(self._remember, self._moved, self._saw),
        )
        self.shore = Shore(self._home, SystemEntropy(), self._plan, doors, beach, self._answering)
        self.shore.open()
        self._board.start(self._wires)
        self.knowing.hear_log()
        self._tick()

    def _moved(self, addresses: Sequence[str]) -> None:
        self.addresses = tuple(addresses)
        self.company.find(self._me, self.addresses)

    def _saw(self, found: Sequence[Found]) -> None:
        """Members among those that are seen on the LAN may be reached there."""
        tag, seen = tag_of(self._belonging.mesh), dict[NodeId, tuple[str, ...]]()
        for one in found:
            node = self.company.who(one.advert.key) if one.advert.tag == tag else None
            if node is not None and not isinstance(node, Refusal) and node != self._me:
                ways = (companies.written(address, one.advert.port) for address in one.addresses)
                seen[node] = (*seen.get(node, ()), *ways)
        for node in self.company.see(seen):
            self._board.look_again(node)

    async def close(self) -> None:
        if self.shore is not None:
            await self.shore.close()
        if self._guests is not None:
            self._guests.close()
        self._shut()
        self.knowing.keep_peers()

    def _shut(self) -> None:
        """Nobody talks to this machine any more."""
        if self._answering is not None:
            self._answering.close()
        if self.shore is not None:
            self.shore.stop()
        self._board.stop()
        gate, wires, self._gate, self._wires = self._gate, self._wires, None, None
        if gate is not None:
            gate.close()
        if wires is not None:
            wires.close()

    def _tick(self) -> None:
        if self._guests is not None:
            self._guests.tick()
        self.knowing.tick()
        self._follow_right()
        if self.shore is not None:
            self.shore.meet(_address(peer.address) for peer in self._board.peers().values() if peer.up)
        self._timer = self._loop.call_later(TICK_S, self._tick)
        if self._life is not None:
            self._life.age_ms()
        self.tell_facts()

    def tell_facts(self) -> None:
        """They may have changed."""
        if not self.coordinates and self._telling is None and not (self._is_leaving or self.knowing.is_out):
            self._telling = self._loop.create_task(self._tell_facts())

    async def _tell_facts(self) -> None:
        """What this machine is, to whoever coordinates: when that has changed, and now and then."""
        facts, now = self._facts(), self._clock.monotonic_ms()
        try:
            if facts != self._told or now >= self._tell_again_ms:
                async with asyncio.timeout(FIRST_S if self._told is None else None):
                    known = await self._passing.handlers["facts"](TellFacts(facts))  # type: ignore[misc]
                self._told, self._tell_again_ms = facts, now + TELL_MS
                self._called(known.name)
                self._beat_to(NodeId(known.coordinator))
        except TimeoutError:
            self._loop.call_soon(self.tell_facts)  # another one: whoever was asked may be as new as this machine
        except OdysseyError:
            pass
        finally:
            self._telling = None

    def _beat_to(self, coordinator: NodeId) -> None:
        """At once: the others see a machine from its first beat on."""
        if self._node is not None and coordinator not in ("", self._me):
            self._node.agent.shown(coordinator)

    def changed(self, events: Sequence[Event]) -> None:
        self.knowing.changed(events)

    @property
    def out(self) -> str:
        """That this machine was put out of its mesh, as a sentence; empty while it was not."""
        return self.knowing.out

    # -- going away ----------------------------------------------------------------------------------------------------

    def issuers(self) -> set[NodeId]:
        """Who lets machines in."""
        return {one.node for one in self.company.roster.trust.issuers(self._clock.wall_ms())}

    @property
    def issues(self) -> bool:
        return self._papers.issues(self._clock.wall_ms())

    def _issuers_up(self) -> Sequence[NodeId]:
        """Of those the ones that can be asked just now. Raises where there are none, with whom to go to."""
        issuers = self.issuers() - {self._me}
        if found := [node for node in self.knowing.up() if node in issuers]:
            return found
        named = [entry.certificate.name for node in issuers if (entry := self.company.roster.entry(node)) is not None]
        if not named:
            hint = "only the root key of the mesh names another one; it is on the machine that began it"
            raise Unreachable("no machine of this mesh lets others in any more", hint=hint)
        raise Unreachable(f"{' or '.join(sorted(named))} lets machines in, and cannot be reached", hint="type it there")

    async def say_goodbye(self) -> None:
        """To whoever coordinates, and to one that can shut it out. Nobody is told that this machine is there now."""
        self._is_leaving = True
        if self.knowing.copies.is_one:
            return  # it is another machine that is meant by this name
        await self._passing.handlers["goodbye"](Goodbye())  # type: ignore[misc]
        with suppress(OdysseyError):  # else its certificate ends by itself
            await self._passing.at(self._issuers_up()[0], BY_NAME["goodbye"], Goodbye())

    # -- letters -------------------------------------------------------------------------------------------------------

    def _deliver(self, sender: NodeId, letter: Letter) -> None:
        speaking.check(sender, letter, self.company.may)
        match letter.content:
            case AskKeeper() | Taken() | StopAsking() as asked:
                if self._guests is not None:
                    self._guests.hear(sender, asked)
            case Parts() as parts:
                self._passing.hear(sender, parts)
            case HereIAm() | MembersAre() as told:
                self.knowing.acquainting.hear(sender, told)
            case CopySeen(address=address):
                self.knowing.copies.seen(address)
            case _ if self._node is not None:
                self._node.receive(sender, letter)

    def _copied(self, node: NodeId, address: str) -> None:
        """Two machines have one key. The one that was here first is told of it; the other one was, when it came."""
        where = _address(address)
        _log.warning("machine %s is there twice; the one at %s is not let in: its home is a copy", node, where)
        self._post(node, CopySeen(where))

    def _post(self, to: NodeId, message: Asked | Parts | Acquainted) -> None:
        self._board.send(to, Letter(self._scope, message))

    def _keepers(self) -> Sequence[NodeId]:
        """Whom to ask: who coordinates, those who are likely to know, then the others, each time from another on. Who
        may not keep the log could only lie. Who is new asks whoever let it in: others may not know it yet."""
        first, likely = self._coordinator(), self._node.agent.likely() if self._node is not None else ()
        rest = (*_from(self._turn, self.knowing.up()), *_from(self._turn, self.company.others()))
        if self._told is None:
            likely = (*_from(self._turn, self.company.others()), *likely)
        self._turn += 1
        ordered = (*(() if first is None else (first,)), *likely, *rest)
        return [one for one in dict.fromkeys(ordered) if one != self._me and self.company.may(one, Grant.VOTE)]

    def _welcome(self, node: NodeId) -> None:
        entry = self.company.roster.entry(node)
        if entry is None or not self.company.may(node, Grant.SUBMIT):
            raise NotPermitted("this machine may not ask that", hint="its certificate does not say so: odyssey nodes")
        if not (self.keeps or self.issues):
            raise Unreachable("that machine does not keep the jobs of this mesh", hint="try again in a while")
        rights.welcome(Asker(entry.certificate.owner, node, entry.certificate.may(Grant.ADMIN)))

    def _is_one(self, node: NodeId, who: q.Who) -> bool:
        return self.company.may(node, Grant.VOTE if who is q.Who.KEEPER else Grant.WORKER)

    # -- letting in ----------------------------------------------------------------------------------------------------

    @property
    def _house(self) -> House:
        return House(
            *(self._belonging, self.company, self.knowing.standing, self._board.peers, lambda: self.addresses),
            *(self._clock, SystemEntropy(), self._passing.ask, lambda: self._papers.offer(SystemEntropy())),
        )

    @property
    def _is_knocked_at(self) -> bool:
        return self._papers.is_knocked_at(self._clock.wall_ms())

    def _follow_right(self) -> None:
        """Where this machine may let in from now on it is knocked at; where it may not any more, nobody is heard."""
        doors, wires = self._doors, self._wires
        if doors is None or wires is None or (self._gate is not None) is self._is_knocked_at:
            return
        if self._gate is not None:
            doors.let_nobody_in()
            self._gate.close()
            self._gate = None
            return
        gate = self._new_gate()
        try:
            doors.let_in(gate)
        except OdysseyError as error:
            gate.close()
            _log.warning("others cannot come in here: %s", error)
        else:
            self._gate = gate

    def _new_gate(self) -> Gate:
        reception = self.reception
        assert reception is not None
        return Gate(self._loop, self._keys, self._clock, reception.visit, reception.take, reception.askers)

    def is_linked(self, node: NodeId) -> bool:
        """It can be talked to just now."""
        peer = self._board.peers().get(node)
        return peer is not None and peer.up


def _from(place: int, nodes: Sequence[NodeId]) -> Sequence[NodeId]:
    """All of them, as a ring."""
    at = place % len(nodes) if nodes else 0
    return (*nodes[at:], *nodes[:at])


def _note_offence(node: NodeId, why: str) -> None:
    _log.warning("machine %s broke the rules and is sent away for a while: %s", node, why)


def _address(text: str) -> str:
    """Of a line: `tcp://10.0.0.1:7661`, or where its other end is."""
    host = text.removeprefix("tcp://")
    host = host.rpartition(":")[0] if text.startswith("tcp://") else host
    return host.strip("[]").removeprefix("::ffff:")

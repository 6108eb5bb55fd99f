"""What machines tell each other of who belongs to the mesh, and of where they are.

Each machine says who it is and where it can be dialled to the one that coordinates, and how much of that one's list it
has heard. It is told what it has not, a page at a time, and from then on what is new at once. Who finds nobody that
coordinates asks others: any machine answers with what it knows. So a machine that was away finds a mesh that has moved,
and one that everybody else cannot reach calls them.

Statements (who may let in, who was put out) are handed on to all that can be talked to, once, by whoever hears them
first: also where nobody coordinates. Who was put out is told last, and then cut off.

Promises: what is lost is told again; a machine costs others one short letter in ten seconds while nothing happens.
Never: believes more than signatures say, or takes a list that it has not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from odyssey.clock import Clock, Entropy
from odyssey.ids import NodeId
from odyssey.mesh import company as companies
from odyssey.mesh.company import Company
from odyssey.mesh.trust.letters import Peer
from odyssey.messages import Acquaintance, Acquainted, HereIAm, MembersAre

SAY_MS: Final = 10_000
CALL_MS: Final = 30_000  # so often the one that coordinates calls those of whom it does not hear
LISTENS_MS: Final = 3 * SAY_MS  # who has said so much ago where it is, still wants to hear
PUSH_MS: Final = 20  # what comes together is told together
LAST_WORD_MS: Final = 100  # from the last word to the end of the line
ASKED: Final = 2  # at a time, where nobody coordinates
PAGE: Final = 32 << 10
MOST: Final = 64  # of each, on one page


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


class World(NamedTuple):
    post: Callable[[NodeId, Acquainted], None]
    coordinator: Callable[[], NodeId | None]  # as far as this machine knows
    up: Callable[[], Sequence[NodeId]]  # who can be talked to just now
    addresses: Callable[[], Sequence[str]]  # of this machine
    look_again: Callable[[NodeId], None]  # something new is known of where it is
    learnt: Callable[[], None]  # statements: to be kept
    cut: Callable[[], None]  # whoever is no member any more
    timers: Timers
    clock: Clock
    entropy: Entropy


class _Listener(NamedTuple):
    heard_ms: int
    upto: tuple[int, int]


class Acquainting:
    """To be told of each tick, and of what comes in."""

    def __init__(self, company: Company, run: int, world: World) -> None:
        self._company, self._run, self._world = company, run, world
        self._listeners: dict[NodeId, _Listener] = {}
        self._heard: dict[NodeId, tuple[int, tuple[int, int]]] = {}  # of whose list how much
        self._asked_ms: dict[NodeId, int] = {}
        self._said: tuple[NodeId | None, Acquaintance | None] = (None, None)
        self._say_ms = self._call_ms = 0
        self._is_pushing = False
        company.news, company.changed = self._news, self._gone

    # -- saying --------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """About once a second."""
        now, coordinator, me = self._world.clock.monotonic_ms(), self._world.coordinator(), self._company.me
        addresses = companies.for_others(self._world.addresses())
        self._company.find(me, addresses)
        mine = self._mine(addresses)
        if coordinator == me:
            self._call(now)
        elif now >= self._say_ms or (coordinator, mine) != self._said:
            self._say_ms, self._said = now + self._world.entropy.spread(SAY_MS, 10), (coordinator, mine)
            for node in [coordinator] if coordinator is not None else self._some():
                self._say(node, mine, now)

    def _mine(self, addresses: tuple[str, ...]) -> Acquaintance | None:
        known = self._company.peer(self._company.me)
        return Acquaintance(known.certificate, addresses) if known is not None else None

    def _say(self, node: NodeId, mine: Acquaintance | None, now: int) -> None:
        if mine is not None:
            self._asked_ms[node] = now
            run, (members, statements) = self._heard.get(node, (0, (0, 0)))
            self._world.post(node, HereIAm(mine, run, members, statements))

    def _some(self) -> Sequence[NodeId]:
        """Others that may know more. Who can be talked to first, and by chance: the next time it is somebody else."""
        left, found = list(self._world.up()) or list(self._company.others()), list[NodeId]()
        while left and len(found) < ASKED:
            found.append(left.pop(self._world.entropy.below(len(left))))
        return found

    def _call(self, now: int) -> None:
        """This machine may be somewhere else than they think."""
        if now < self._call_ms:
            return
        self._call_ms = now + self._world.entropy.spread(CALL_MS, 10)
        mine = self._mine(companies.for_others(self._world.addresses()))
        for node in self._company.others():
            listener = self._listeners.get(node)
            if listener is None or now - listener.heard_ms >= LISTENS_MS:
                self._say(node, mine, now)

    # -- hearing -------------------------------------------------------------------------------------------------------

    def hear(self, sender: NodeId, message: Acquainted) -> None:
        match message:
            case HereIAm():
                self._on_here(sender, message)
            case MembersAre():
                self._on_members(sender, message)
            case _:
                pass

    def _on_here(self, sender: NodeId, message: HereIAm) -> None:
        now = self._world.clock.monotonic_ms()
        self._company.meet([Peer(message.me.certificate)])
        self._company.find(sender, companies.for_others(message.me.addresses))
        upto = (message.members, message.statements) if message.run == self._run else (0, 0)
        if min(upto) < 0 or upto[1] > self._company.roster.trust.size or upto[0] > self._company.revision:
            upto = (0, 0)  # nobody can have heard that
        self._listeners[sender] = _Listener(now, upto)
        self._tell(sender)

    def _on_members(self, sender: NodeId, message: MembersAre) -> None:
        self._take(sender, message.statements)
        asked_ms = self._asked_ms.get(sender)
        if message.run == 0 or asked_ms is None or self._world.clock.monotonic_ms() - asked_ms >= LISTENS_MS:
            return
        run, upto = self._heard.get(sender, (0, (0, 0)))
        upto = upto if run == message.run else (0, 0)
        if message.since[0] > upto[0] or message.since[1] > upto[1]:
            return  # one before it was lost: all of it is told again
        self._company.meet(Peer(one.certificate, companies.for_others(one.addresses)) for one in message.members)
        self._heard[sender] = message.run, message.upto

    def _take(self, sender: NodeId, statements: Sequence[bytes]) -> None:
        """What is new of it is handed on, before whoever it puts out is cut off."""
        trust = self._company.roster.trust
        before = trust.size
        self._company.hear((), statements)
        if trust.size > before:
            self.hand_on(tuple(trust.since(before)), sender)

    def hand_on(self, statements: tuple[bytes, ...], but: NodeId | None = None) -> None:
        self._world.learnt()
        for node in self._world.up():
            if node != but and node != self._company.me:
                for first in range(0, len(statements), MOST // 2):
                    self._world.post(node, MembersAre(0, statements=statements[first : first + MOST // 2]))

    # -- what is new ---------------------------------------------------------------------------------------------------

    def _news(self, node: NodeId) -> None:
        if node != self._company.me:
            self._world.look_again(node)
        if not self._is_pushing and self._listeners:
            self._is_pushing = True
            self._world.timers.call_later(PUSH_MS / 1000, self._push)

    def _push(self) -> None:
        self._is_pushing = False
        now = self._world.clock.monotonic_ms()
        for node, listener in list(self._listeners.items()):
            if now - listener.heard_ms >= LISTENS_MS:
                del self._listeners[node]
            else:
                self._tell(node)

    def _gone(self, gone: frozenset[NodeId]) -> None:
        """They hear why, as all do, and then nothing any more."""
        for node in gone:
            self._listeners.pop(node, None)
            self._heard.pop(node, None)
        self._world.timers.call_later(LAST_WORD_MS / 1000, self._world.cut)

    # -- pages ---------------------------------------------------------------------------------------------------------

    def _tell(self, node: NodeId) -> None:
        listener = self._listeners[node]
        for page in self._pages(listener.upto):
            self._world.post(node, page)
            listener = listener._replace(upto=page.upto)
        self._listeners[node] = listener

    def _pages(self, upto: tuple[int, int]) -> Iterator[MembersAre]:
        """All that is new since then: statements first, since by them the members are believed."""
        for statements, after in self._statements(upto[1]):
            yield MembersAre(self._run, upto, (upto[0], after), (), statements)
            upto = upto[0], after
        for members, after in self._members(upto[0]):
            yield MembersAre(self._run, upto, (after, upto[1]), members)
            upto = after, upto[1]

    def _statements(self, after: int) -> Iterator[tuple[tuple[bytes, ...], int]]:
        left = list(self._company.roster.trust.since(after))
        for first in range(0, len(left), MOST // 2):
            some = tuple(left[first : first + MOST // 2])
            yield some, after + first + len(some)

    def _members(self, after: int) -> Iterator[tuple[tuple[Acquaintance, ...], int]]:
        page, size, upto = list[Acquaintance](), 0, after
        for number, peer in self._company.since(after):
            one = Acquaintance(peer.certificate, companies.for_others(peer.addresses))
            cost = len(one.certificate) + sum(len(text) + 3 for text in one.addresses)
            if page and (len(page) >= MOST or size + cost > PAGE):
                yield tuple(page), upto
                page, size = [], 0
            page.append(one)
            size, upto = size + cost, number
        if page:
            yield tuple(page), upto

"""The driver of history: ended jobs leave the state, as segments that every keeper of the log has first.

`Holding` is at work on every keeper, as long as its daemon runs: it answers offers, fetches what its disk lacks,
deletes what may go. `Archiving` is there while this machine leads, one per term: it makes a segment when one is due,
offers it, and orders that its jobs leave. Both act on what `mesh/archive.py` says.

What is on the disk is asked of the disk each time, and one look ends before the next begins: so nobody is told of a
segment that is about to be deleted.

Promises: a segment is made in slices, between which others have their turn; the fate of every order is known, or the
term is over and with it this driver; a lost leadership leaves nothing behind but bytes that go with the next offer.
Never: decides when or who: `Archivist` and `Holder` do; changes the state.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from odyssey import events as e
from odyssey.book import Book
from odyssey.clock import Clock
from odyssey.commands import AdoptSegment, ArchiveJobs, DropSegments, Fence
from odyssey.ids import NodeId
from odyssey.mesh.archive import Archivist, Fetch, Holder, Keeper, Retention, Ripening
from odyssey.mesh.letters import Accepted, Again, Outcome
from odyssey.mesh.raft.types import Member
from odyssey.mesh.replica import Replica
from odyssey.messages import HandInSegment, HaveSegment, OfferSegment
from odyssey.scheduler.segments import Packed, Packing, ripe

LOOK_MS: Final = 3_000  # until the coordinator asks again whether a segment is due
HOLD_MS: Final = 2_000  # until a keeper looks at its disk again, while that is not as it should be
HELD_MS: Final = 20_000  # although it is, and nothing has been heard since
FETCH_MS: Final = 30_000  # a foreign segment of which nothing more comes: it is handed in again
GIVE_UP_MS: Final = 10 * 60_000  # an offer that some keeper does not take: the same jobs are offered anew
SLICE_MS: Final = 3  # of making a segment at a time
STEPS: Final = 32  # and so many at most: what takes no time takes a turn all the same


class Habits(NamedTuple):
    """When jobs become history, and how much of it is kept."""

    ripening: Ripening = Ripening()
    keep: Retention = Retention()


class Shelf(Protocol):
    """The segments on this disk, from the side of somebody who must not wait."""

    def segments(self, done: Callable[[frozenset[bytes]], None]) -> None: ...

    def put_segment(self, digest: bytes, data: bytes, done: Callable[[], None]) -> None: ...

    def drop_segments(self, digests: Iterable[bytes]) -> None: ...

    def fetch_segment(
        self, source: Member, digest: bytes, size: int, came: Callable[[], None], done: Callable[[bool], None]
    ) -> None: ...


class Post(Protocol):
    def tell(self, node: NodeId, message: OfferSegment | HaveSegment) -> None: ...


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


def member_of(replica: Replica, node: NodeId) -> Member | None:
    """The machine as a keeper, if it is one: its store is part of its name."""
    return next((one for one in replica.core.config.members if one.node == node), None)


# -- whoever keeps the log ---------------------------------------------------------------------------------------------


class Holding:
    """From the start of a daemon on."""

    def __init__(
        self,
        replica: Replica,
        book: Book,
        shelf: Shelf,
        post: Post,
        clock: Clock,
        hoards: Callable[[], bool] = lambda: False,
    ) -> None:
        """Nothing is deleted while this machine `hoards`: an old log may name it that is still to be read."""
        self._hoards = hoards
        self._replica, self._book, self._shelf, self._post, self._clock = replica, book, shelf, post, clock
        self._holder = Holder(replica.me, replica.core.log.last)
        self._offer: OfferSegment | None = None  # the newest heard: it says the size
        self._looking = self._again = False
        self._look_ms = 0

    def tick(self, now: int) -> None:
        if now >= self._look_ms:
            self.look()

    def hear(self, sender: NodeId, offer: OfferSegment) -> None:
        """Who offers and is no keeper as far as this log tells offers again, and by then the log has gone on."""
        member = member_of(self._replica, sender)
        if member is not None:
            self._hear(member, offer)
            self.look()

    def _hear(self, sender: Member, offer: OfferSegment) -> None:
        self._holder.hear(sender, offer)
        if self._offer is None or (offer.fence, offer.number) >= (self._offer.fence, self._offer.number):
            self._offer = offer

    def keep(self, offer: OfferSegment, data: bytes) -> None:
        """One of this machine's own making. The holder hears of it before the disk has it."""
        self._hear(self._replica.me, offer)
        self._shelf.put_segment(offer.digest, data, self.look)

    def keeps(self, offer: OfferSegment) -> None:
        """One that is on this disk already."""
        self._hear(self._replica.me, offer)
        self.look()

    def bring(
        self, source: Member, segment: HandInSegment, came: Callable[[], None], done: Callable[[bool], None]
    ) -> None:
        """From another machine, which need not keep the log."""
        if source == self._replica.me:
            done(True)
        else:
            self._shelf.fetch_segment(source, segment.digest, segment.size, came, done)

    def applied(self, events: Iterable[e.Event]) -> None:
        for event in events:
            match event:
                case e.SegmentsDropped(digests=digests):
                    self._holder.released(digests)
                    self._look_ms = 0
                case e.JobsArchived() | e.SegmentAdopted():
                    self._look_ms = 0
                case _:
                    pass

    # -- one look at the disk ------------------------------------------------------------------------------------------

    def look(self) -> None:
        self._look_ms = self._clock.monotonic_ms() + HOLD_MS
        if self._looking:
            self._again = True
        elif self._replica.me in self._replica.core.config.members:
            self._looking = True
            self._shelf.segments(self._decide)

    def _decide(self, held: frozenset[bytes]) -> None:
        self._looking = False
        state, now = self._book.state, self._clock.monotonic_ms()
        if self._look_ms and held == state.segments.keys() and (self._offer is None or self._offer.digest in held):
            self._look_ms = now + HELD_MS
        answer = self._holder.answer(held, state.head.index)
        if answer is not None:
            self._post.tell(answer[0].node, answer[1])
        if not self._hoards():
            self._drop(self._holder.surplus(state.segments, held, state.head.index))
        fetch = self._holder.next_fetch(state.segments, held, self._sources(), now)
        if fetch is not None:
            self._fetch(fetch)
        if self._again:
            self._again = False
            self.look()

    def _drop(self, surplus: Iterable[bytes]) -> None:
        if surplus:
            self._shelf.drop_segments(surplus)

    def _sources(self) -> Sequence[Member]:
        """Who leads comes first: it is there, and most likely has it."""
        core = self._replica.core
        others = (one for one in core.config.members if one != core.me)
        return sorted(others, key=lambda one: (one != core.leader, one))

    def _fetch(self, fetch: Fetch) -> None:
        digest = fetch.digest

        def came() -> None:
            self._holder.goes_on(digest, self._clock.monotonic_ms())

        def done(is_here: bool) -> None:
            if is_here:
                self.look()
            else:
                self._holder.failed(digest)  # the next look asks somebody else

        self._shelf.fetch_segment(fetch.source, digest, self._size(digest), came, done)

    def _size(self, digest: bytes) -> int:
        known = self._book.state.segments.get(digest)
        if known is not None:
            return known.size
        return self._offer.size if self._offer is not None and self._offer.digest == digest else 0


# -- the coordinator ---------------------------------------------------------------------------------------------------


class Archiving:
    """Of one term. It begins when all is applied that earlier coordinators have ordered."""

    def __init__(
        self,
        replica: Replica,
        book: Book,
        holding: Holding,
        post: Post,
        timers: Timers,
        clock: Clock,
        habits: Habits = Habits(),  # noqa: B008 - frozen
    ) -> None:
        self._replica, self._book, self._holding, self._post = replica, book, holding, post
        self._timers, self._clock, self._habits = timers, clock, habits
        self.term = replica.core.term
        self._fence = Fence(replica.scope.generation, self.term)
        self._elected_ms = clock.monotonic_ms()
        self._archivist: Archivist | None = None
        self._packing: Packing | None = None
        self._order: ArchiveJobs | AdoptSegment | None = None  # of what is on offer
        self._foreign: dict[bytes, tuple[Member, HandInSegment]] = {}  # to be adopted, and who has them
        self._until_ms: int | None = None  # while one is fetched
        self._offered_ms = 0
        self._dropping = False
        self._look_ms = 0

    def tick(self, now: int) -> None:
        """Several times a second."""
        if not self._leads:
            return
        if self._archivist is None and self._replica.applied >= self._replica.core.started:
            self._archivist = Archivist(self._fence, self._replica.applied, now, self._habits.ripening)
        archivist = self._archivist
        if archivist is None:
            return
        if now >= self._look_ms:
            self._look_ms = now + LOOK_MS
            self._consider(archivist, now)
            self._retain(archivist, now)
        self._advance(archivist, now)

    @property
    def _leads(self) -> bool:
        core = self._replica.core
        return core.term == self.term and core.leads_safely

    def hear(self, sender: NodeId, have: HaveSegment) -> None:
        member = member_of(self._replica, sender)
        if self._archivist is not None and member is not None:
            self._archivist.hear(member, have)
            self._advance(self._archivist, self._clock.monotonic_ms())

    # -- one of another generation -------------------------------------------------------------------------------------

    def adopt(self, source: Member, segment: HandInSegment) -> None:
        """It comes before any of this mesh's own; only one is asked for at a time. Who hands it in says so again."""
        if self._archivist is not None and self._archivist.on_offer != segment.digest:
            self._foreign = {segment.digest: (source, segment)}
            self._adopt_next(self._archivist, self._clock.monotonic_ms())

    def _adopt_next(self, archivist: Archivist, now: int) -> None:
        is_fetching = self._until_ms is not None and now < self._until_ms
        if is_fetching or not self._foreign or not self._is_free(archivist):
            return
        _, (source, segment) = self._foreign.popitem()

        def came() -> None:
            self._until_ms = self._clock.monotonic_ms() + FETCH_MS

        def done(is_here: bool) -> None:
            self._until_ms = None
            if is_here and self._leads and self._is_free(archivist):
                self._put_on_offer(archivist, segment)

        came()
        self._holding.bring(source, segment, came, done)

    def _is_free(self, archivist: Archivist) -> bool:
        return self._packing is None and archivist.on_offer is None and not self._replica.low

    def _put_on_offer(self, archivist: Archivist, segment: HandInSegment) -> None:
        offer = archivist.offer(segment.digest, segment.size, self._replica.applied)
        self._order = AdoptSegment(self._fence, segment.digest, segment.size, segment.first, segment.last, segment.jobs)
        self._offered_ms = self._clock.monotonic_ms()
        self._holding.keeps(offer)

    # -- making one ----------------------------------------------------------------------------------------------------

    def _consider(self, archivist: Archivist, now: int) -> None:
        self._adopt_next(archivist, now)
        if (self._until_ms is not None and now < self._until_ms) or not self._is_free(archivist):
            return
        found = ripe(self._book.state)
        if archivist.is_due(found.total, found.oldest, self._replica.applied, now):
            self._packing = Packing(self._book.state, found.jobs)
            self._pack(self._packing, archivist)

    def _pack(self, packing: Packing, archivist: Archivist) -> None:
        if not self._leads:
            return  # the state may be another one by now
        end = self._clock.monotonic_ms() + SLICE_MS
        for _ in range(STEPS):
            packed = packing.step()
            if packed is not None:
                self._packing = None
                self._offer(packed, archivist)
                return
            if self._clock.monotonic_ms() >= end:
                break
        self._timers.call_later(0, lambda: self._pack(packing, archivist))

    def _offer(self, packed: Packed, archivist: Archivist) -> None:
        if packed.jobs:
            offer = archivist.offer(packed.digest, len(packed.data), self._replica.applied)
            self._order, self._offered_ms = packed.order(self._fence), self._clock.monotonic_ms()
            self._holding.keep(offer, packed.data)

    # -- until its fate is known ---------------------------------------------------------------------------------------

    def _advance(self, archivist: Archivist, now: int) -> None:
        if self._order is None or not self._leads:
            return
        keepers = self._keepers(now)
        if archivist.take_order(keepers):
            self._replica.propose(self._order, self._decided)
            return
        offers = archivist.to_offer(keepers, now)
        for member, offer in offers:
            self._post.tell(member.node, offer)
        if offers and now - self._offered_ms >= GIVE_UP_MS:
            self._settle(archivist)

    def _keepers(self, now: int) -> list[Keeper]:
        core, heard = self._replica.core, self._replica.heard_ms
        return [
            Keeper(one, one in core.config.voters, 0 if one == core.me else now - heard.get(one, self._elected_ms))
            for one in core.config.members
        ]

    def _decided(self, outcome: Outcome) -> None:
        """What nobody knows is known when the next term begins."""
        if self._archivist is None:
            return
        if isinstance(outcome, Accepted):
            self._settle(self._archivist)
        elif isinstance(outcome, Again):
            self._archivist.again()

    def _settle(self, archivist: Archivist) -> None:
        archivist.settled()
        self._order, self._look_ms = None, 0

    # -- retention -----------------------------------------------------------------------------------------------------

    def _retain(self, archivist: Archivist, now: int) -> None:
        if self._dropping:
            return
        gone = archivist.expired(list(self._book.state.segments.values()), self._habits.keep, now)
        if gone:
            self._dropping = True
            self._replica.propose(DropSegments(self._fence, gone), lambda _: self._dropped())

    def _dropped(self) -> None:
        self._dropping = False

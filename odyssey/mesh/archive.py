"""How history leaves the state: every keeper of the log has a segment before its jobs are gone.

The coordinator's side is an `Archivist`, one per term. It says when a segment is due, offers it to those that keep the
log until they have it on their disks, and says when its order may go onto the log. One segment at a time: the next is
offered only when the fate of the one before is applied.

A keeper's side is a `Holder`. It says what is still to be fetched, and from whom: what is on offer first, then what the
state names and its disk lacks, because it was away, or is new. And it says what can be deleted: what the state has
dropped, and what was on offer once and never came to be. The latter shows when a newer offer comes: what the log had
made of all earlier ones up to its index is applied here.

Times are monotonic milliseconds of this machine. A new coordinator counts anew how long a job has been over and how
old a segment is.

Promises: a segment is ordered only when a quorum of the voters has it, and every keeper but those that were silent for
GONE_MS; who said that it has one keeps it until the log says otherwise.
Never: moves bytes, or deletes: it says what to do.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from odyssey.commands import Fence
from odyssey.mesh.raft.types import Member
from odyssey.mesh.roles import GONE_MS, quorum
from odyssey.messages import HaveSegment, OfferSegment
from odyssey.model import Segment

JOBS: Final = 1_000  # so many ended jobs are a segment
AGE_MS: Final = 10 * 60_000  # or fewer, once the first of them ended so long ago
MARK_EVERY_MS: Final = 30_000
OFFER_EVERY_MS: Final = 1_000
FETCH_MS: Final = 30_000  # then another source is asked
_DAY_MS: Final = 86_400_000


class Keeper(NamedTuple):
    """A member that keeps the log, as the coordinator sees it."""

    member: Member
    votes: bool
    silent_ms: int = 0  # 0 for the coordinator itself


class Ripening(NamedTuple):
    """When a segment is due."""

    jobs: int = JOBS
    age_ms: int = AGE_MS

    @property
    def mark_every_ms(self) -> int:
        return self.age_ms * MARK_EVERY_MS // AGE_MS


class Retention(NamedTuple):
    """How much history is kept. What is older than the first limit that is reached goes."""

    segments: int = 10_000
    bytes: int = 1 << 30
    age_ms: int = 180 * _DAY_MS  # as this coordinator has seen it; a new one counts anew


_RIPENING: Final = Ripening()


# -- the coordinator ---------------------------------------------------------------------------------------------------


class Archivist:
    """`index` is what the state had applied when this was made."""

    def __init__(self, fence: Fence, index: int, now_ms: int, when: Ripening = _RIPENING) -> None:
        self._fence, self._when = fence, when
        self._marks = deque([(index, now_ms)])  # the log was applied up to there, then
        self._offer: OfferSegment | None = None
        self._number = 0
        self._have: set[Member] = set()
        self._told: dict[Member, int] = {}  # when it was last offered to whom
        self._ordered = False
        self._seen: dict[bytes, int] = {}  # segments of the state, and since when

    # -- when ----------------------------------------------------------------------------------------------------------

    def is_due(self, total: int, oldest: int, index: int, now_ms: int) -> bool:
        """Whether to make a segment: so many jobs are ripe, and the first of them ended at the index `oldest`. `index`
        is what is applied. To be asked every few seconds."""
        when = self._when
        if now_ms >= self._marks[-1][1] + when.mark_every_ms:
            self._marks.append((index, now_ms))
        while len(self._marks) > 1 and self._marks[1][1] <= now_ms - when.age_ms:
            self._marks.popleft()
        if self._offer is not None or not total:
            return False
        return total >= when.jobs or (oldest <= self._marks[0][0] and now_ms >= self._marks[0][1] + when.age_ms)

    # -- one segment ---------------------------------------------------------------------------------------------------

    @property
    def on_offer(self) -> bytes | None:
        return self._offer.digest if self._offer is not None else None

    def offer(self, digest: bytes, size: int, index: int) -> OfferSegment:
        """It is made, and all up to this index is applied. This machine's own holder hears of it before its disk gets
        it, lest it takes it for what was on offer once."""
        if self._offer is not None:
            raise ValueError("another segment is on offer")
        self._number += 1
        self._offer = OfferSegment(self._fence, self._number, index, digest, size)
        self._have.clear()
        self._told.clear()
        return self._offer

    def hear(self, member: Member, have: HaveSegment) -> None:
        offer = self._offer
        if offer is not None and have.store == member.store and _answers(have, offer):
            self._have.add(member)

    def to_offer(self, keepers: Iterable[Keeper], now_ms: int) -> list[tuple[Member, OfferSegment]]:
        """Whom to tell of it now, again and again until they have it; also those that need not have it."""
        if self._offer is None or self._ordered:
            return []
        due = [
            one.member
            for one in keepers
            if one.member not in self._have
            and now_ms >= self._told.get(one.member, now_ms - OFFER_EVERY_MS) + OFFER_EVERY_MS
        ]
        self._told.update(dict.fromkeys(due, now_ms))
        return [(member, self._offer) for member in due]

    def take_order(self, keepers: Sequence[Keeper]) -> bool:
        """True, once: those who must have it have it, so the order may be proposed now. `keepers` are the members of
        the newest config, committed or not."""
        if self._offer is None or self._ordered:
            return False
        voters = [one.member for one in keepers if one.votes]
        holding = sum(1 for voter in voters if voter in self._have)
        missing = [one for one in keepers if one.silent_ms < GONE_MS and one.member not in self._have]
        self._ordered = holding >= quorum(len(voters)) and not missing
        return self._ordered

    def again(self) -> None:
        """The log did not take the order: it is not there, and never will be."""
        self._ordered = False

    def settled(self) -> None:
        """The order is applied, carried out or refused; or the segment is given up without one."""
        self._offer, self._ordered = None, False

    # -- retention -----------------------------------------------------------------------------------------------------

    def expired(self, segments: Sequence[Segment], keep: Retention, now_ms: int) -> tuple[bytes, ...]:
        """What to drop; `segments` are those of the state, oldest first."""
        self._seen = {one.digest: self._seen.get(one.digest, now_ms) for one in segments}
        count, size = len(segments), sum(one.size for one in segments)
        gone = []
        for one in segments:
            is_old = now_ms - self._seen[one.digest] >= keep.age_ms
            if count <= keep.segments and size <= keep.bytes and not is_old:
                break
            gone.append(one.digest)
            count, size = count - 1, size - one.size
        return tuple(gone)


def _answers(have: HaveSegment, offer: OfferSegment) -> bool:
    return (have.fence, have.number, have.digest) == (offer.fence, offer.number, offer.digest)


# -- whoever keeps the log ---------------------------------------------------------------------------------------------


class Fetch(NamedTuple):
    digest: bytes
    source: Member


class Holder:
    """Of one keeper, from its start on. `held` is always what is durable on its disk, `wanted` what the state it has
    applied names, oldest first."""

    def __init__(self, me: Member, begun: int) -> None:
        """`begun` is the last index of the log at the start: an offer that says no more may be older than one that was
        answered before the start, and says nothing of its fate."""
        self._me, self._begun = me, begun
        self._offer: OfferSegment | None = None
        self._offered_by: Member | None = None
        self._unanswered = False
        self._fetch: Fetch | None = None
        self._until_ms = 0
        self._tries: dict[bytes, int] = {}
        self._released: set[bytes] = set()  # dropped by the log

    def hear(self, sender: Member, offer: OfferSegment) -> None:
        known = self._offer
        if known is not None and (offer.fence, offer.number) < (known.fence, known.number):
            return
        self._offer, self._offered_by, self._unanswered = offer, sender, True

    def answer(self, held: Collection[bytes], applied: int) -> tuple[Member, HaveSegment] | None:
        """What to say to the newest offer, once for each time it was heard. Not before the log is here as far as the
        offer knows it: so after a start it is known which offers are older."""
        offer, sender = self._offer, self._offered_by
        if offer is None or sender is None or not self._unanswered:
            return None
        if offer.digest not in held or applied < offer.index:
            return None
        self._unanswered = False
        return sender, HaveSegment(self._me.store, offer.fence, offer.number, offer.digest)

    # -- what is missing -----------------------------------------------------------------------------------------------

    def lacks(self, wanted: Iterable[bytes], held: Collection[bytes]) -> list[bytes]:
        """Newest first, for that is what people look at."""
        return [digest for digest in wanted if digest not in held][::-1]

    def next_fetch(
        self, wanted: Iterable[bytes], held: Collection[bytes], sources: Sequence[Member], now_ms: int
    ) -> Fetch | None:
        """One at a time, each to be begun when it is given. `sources` are the other keepers that answer."""
        if self._fetch is not None and self._fetch.digest not in held and now_ms < self._until_ms:
            return None
        self._fetch = None
        digest = next(iter(self._to_fetch(wanted, held)), None)
        if digest is None:
            self._tries.clear()
            return None
        source = self._source(digest, sources)
        if source is not None:
            self._tries[digest] = self._tries.get(digest, 0) + 1
            self._fetch, self._until_ms = Fetch(digest, source), now_ms + FETCH_MS
        return self._fetch

    def _to_fetch(self, wanted: Iterable[bytes], held: Collection[bytes]) -> list[bytes]:
        """What was tried least often comes first, so that one that nobody has does not hold up the others."""
        offer = self._offer
        offered = [offer.digest] if offer is not None and offer.digest not in held else []
        return sorted([*offered, *self.lacks(wanted, held)], key=lambda digest: self._tries.get(digest, 0))

    def _source(self, digest: bytes, sources: Sequence[Member]) -> Member | None:
        """Who offers it, at first; then all others in turn."""
        tries = self._tries.get(digest, 0)
        if self._offer is not None and digest == self._offer.digest and self._offered_by != self._me and not tries:
            return self._offered_by
        return sources[tries % len(sources)] if sources else None

    def goes_on(self, digest: bytes, now_ms: int) -> None:
        """Some of it has come: a slow lane is no reason to ask another source."""
        if self._fetch is not None and self._fetch.digest == digest:
            self._until_ms = now_ms + FETCH_MS

    def failed(self, digest: bytes) -> None:
        """The source has not got it, or the transfer broke off."""
        if self._fetch is not None and self._fetch.digest == digest:
            self._fetch = None

    # -- what can go ---------------------------------------------------------------------------------------------------

    def released(self, digests: Iterable[bytes]) -> None:
        """The log has dropped these."""
        self._released.update(digests)

    def surplus(self, wanted: Collection[bytes], held: Iterable[bytes], applied: int) -> frozenset[bytes]:
        """What may be deleted now. `wanted` is the state's at the index `applied`."""
        offer, kept = self._offer, {*wanted}
        fates_known = offer is not None and applied >= offer.index > self._begun
        if offer is not None:
            kept.add(offer.digest)
        gone = frozenset(one for one in held if one not in kept and (fates_known or one in self._released))
        self._released -= gone
        return gone

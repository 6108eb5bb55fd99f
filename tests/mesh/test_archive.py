"""How history leaves the state: when, who must have it first, who fetches it from whom, and what is deleted when."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from odyssey.commands import Fence
from odyssey.ids import JobId
from odyssey.mesh.archive import (
    AGE_MS,
    FETCH_MS,
    JOBS,
    MARK_EVERY_MS,
    OFFER_EVERY_MS,
    Archivist,
    Fetch,
    Holder,
    Keeper,
    Retention,
)
from odyssey.mesh.raft.types import Member
from odyssey.mesh.roles import GONE_MS
from odyssey.messages import HaveSegment, OfferSegment
from odyssey.model import Segment
from tests.mesh.archive_model import World
from tests.mesh.raft.machine import member

FENCE = Fence(1, 4)
A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
NOW = 1_000_000
SEEDS = 150


def have(name: str, offer: OfferSegment, **other: Any) -> HaveSegment:
    return msgspec.structs.replace(HaveSegment(member(name).store, offer.fence, offer.number, offer.digest), **other)


def keepers(text: str, **silent_ms: int) -> list[Keeper]:
    """`1 2 3 | 4`: three voters and a standby; `_2=1000` is how long 2 has been silent."""
    voters, _, others = text.partition("|")
    return [
        Keeper(member(name), name in voters.split(), silent_ms.get(f"_{name}", 0))
        for name in (*voters.split(), *others.split())
    ]


class Office:
    """An archivist with a segment on offer."""

    def __init__(self, digest: bytes = A) -> None:
        self.archivist = Archivist(FENCE, 10, NOW)
        self.offer = self.archivist.offer(digest, 700, 12)

    def hear(self, *names: str, **other: Any) -> None:
        for name in names:
            self.archivist.hear(member(name), have(name, self.offer, **other))


# -- when --------------------------------------------------------------------------------------------------------------


def test_a_thousand_jobs_are_a_segment_at_once() -> None:
    archivist = Archivist(FENCE, 10, NOW)
    assert not archivist.is_due(JOBS - 1, 5, 10, NOW)
    assert archivist.is_due(JOBS, 5, 10, NOW)


def test_fewer_are_one_ten_minutes_after_the_first_of_them_ended() -> None:
    archivist = Archivist(FENCE, 10, NOW)
    due = []
    for minute in range(1, 16):
        index = 10 + minute
        due.append(archivist.is_due(1, 13, index, NOW + minute * 60_000))
    assert due == [False] * 12 + [True] * 3  # it ended in the third minute


def test_a_new_coordinator_counts_from_its_beginning() -> None:
    archivist = Archivist(FENCE, 10, NOW)
    assert not archivist.is_due(1, 2, 10, NOW + AGE_MS - 1)
    assert archivist.is_due(1, 2, 10, NOW + AGE_MS)


def test_however_often_it_is_asked_it_remembers_little() -> None:
    archivist = Archivist(FENCE, 10, NOW)
    for turn in range(100_000):
        archivist.is_due(1, 1 << 40, 10 + turn, NOW + turn * 1_000)
    assert len(archivist._marks) <= AGE_MS // MARK_EVERY_MS + 2


def test_where_nothing_has_ended_nothing_is_due() -> None:
    assert not Archivist(FENCE, 10, NOW).is_due(0, 0, 10, NOW + 10 * AGE_MS)


def test_one_segment_at_a_time() -> None:
    office = Office()
    assert office.archivist.on_offer == A
    assert not office.archivist.is_due(JOBS, 5, 12, NOW)
    with pytest.raises(ValueError, match="another segment"):
        office.archivist.offer(B, 1, 13)
    office.archivist.settled()
    assert not office.archivist.to_offer(keepers("1"), NOW)
    assert office.archivist.is_due(JOBS, 5, 14, NOW)
    assert office.archivist.offer(B, 1, 14).number == office.offer.number + 1


# -- who must have it --------------------------------------------------------------------------------------------------


def test_it_is_ordered_once_when_voters_and_standbys_have_it() -> None:
    office, all_of_them = Office(), keepers("1 2 3 | 4")
    for name in ("1", "2", "3"):
        office.hear(name)
        assert not office.archivist.take_order(all_of_them)
    office.hear("4")
    assert office.archivist.take_order(all_of_them)
    assert not office.archivist.take_order(all_of_them)


def test_who_has_been_gone_for_long_does_not_hold_it_up() -> None:
    office = Office()
    office.hear("1", "2")
    assert not office.archivist.take_order(keepers("1 2 3 | 4", _3=GONE_MS, _4=GONE_MS - 1))
    assert office.archivist.take_order(keepers("1 2 3 | 4", _3=GONE_MS, _4=GONE_MS))


def test_a_quorum_of_the_voters_has_it_whoever_is_gone() -> None:
    office = Office()
    office.hear("1", "4")
    assert not office.archivist.take_order(keepers("1 2 3 | 4", _2=GONE_MS, _3=GONE_MS))
    assert office.archivist.take_order(keepers("1 | 2 3 4", _2=GONE_MS, _3=GONE_MS))


def test_a_standby_that_has_just_come_must_have_it_too() -> None:
    office = Office()
    office.hear("1", "2", "3")
    assert not office.archivist.take_order(keepers("1 2 3 | 4"))


@pytest.mark.parametrize(
    "other",
    [{"store": b"another"}, {"fence": Fence(1, 3)}, {"number": 7}, {"digest": B}],
    ids=["store", "fence", "number", "digest"],
)
def test_the_answer_to_something_else_says_nothing(other: dict[str, Any]) -> None:
    office = Office()
    office.hear("1", **other)
    assert not office.archivist.take_order(keepers("1"))
    office.hear("1")
    assert office.archivist.take_order(keepers("1"))


def test_a_late_answer_to_an_earlier_offer_of_the_same_bytes_says_nothing() -> None:
    office = Office()
    late = have("1", office.offer)
    office.archivist.settled()
    office.archivist.offer(A, 700, 20)
    office.archivist.hear(member("1"), late)
    assert not office.archivist.take_order(keepers("1"))


def test_an_order_that_was_not_taken_is_given_again() -> None:
    office = Office()
    office.hear("1")
    assert office.archivist.take_order(keepers("1"))
    office.archivist.again()
    assert office.archivist.take_order(keepers("1"))


def test_it_is_offered_every_second_to_whoever_has_not_answered() -> None:
    office, all_of_them = Office(), keepers("1 2 3 | 4", _3=10 * GONE_MS)

    def told(now_ms: int) -> list[Member]:
        offers = office.archivist.to_offer(all_of_them, now_ms)
        assert {offer for _, offer in offers} <= {office.offer}
        return [to for to, _ in offers]

    assert told(NOW) == [member(name) for name in "1234"]
    assert told(NOW + OFFER_EVERY_MS - 1) == []
    office.hear("1", "4")
    assert told(NOW + OFFER_EVERY_MS) == [member("2"), member("3")]
    office.hear("2")
    assert office.archivist.take_order(all_of_them)
    assert told(NOW + 9 * OFFER_EVERY_MS) == []
    office.archivist.settled()
    assert told(NOW + 9 * OFFER_EVERY_MS) == []


# -- retention ---------------------------------------------------------------------------------------------------------


def segments(*sizes: int) -> list[Segment]:
    return [Segment(bytes([number]) * 32, JobId(1), JobId(9), 9, size) for number, size in enumerate(sizes)]


def expired(some: list[Segment], now_ms: int = NOW, archivist: Archivist | None = None, **keep: int) -> list[int]:
    archivist = archivist or Archivist(FENCE, 1, NOW)
    return [digest[0] for digest in archivist.expired(some, Retention(**keep), now_ms)]


def test_the_oldest_go_first_by_count_and_by_bytes() -> None:
    assert expired(segments(5, 5, 5, 5), segments=3) == [0]
    assert expired(segments(5, 5, 5, 5), bytes=10) == [0, 1]
    assert expired(segments(1, 50, 5, 5), segments=3, bytes=30) == [0, 1]
    assert expired(segments(5, 5), segments=2, bytes=10) == []
    assert expired(segments(50), bytes=10) == [0]
    assert expired([]) == []


def test_they_go_by_age_from_when_this_coordinator_first_saw_them() -> None:
    archivist, some = Archivist(FENCE, 1, NOW), segments(5, 5, 5)
    assert expired(some[:2], NOW, archivist, age_ms=1_000) == []
    assert expired(some, NOW + 600, archivist, age_ms=1_000) == []
    assert expired(some, NOW + 1_000, archivist, age_ms=1_000) == [0, 1]
    assert expired(some[2:], NOW + 1_599, archivist, age_ms=1_000) == []
    assert expired(some[2:], NOW + 1_600, archivist, age_ms=1_000) == [2]


# -- a keeper ----------------------------------------------------------------------------------------------------------

ME, LEADER, OTHER = member("9"), member("1"), member("2")


def an_offer(digest: bytes = A, number: int = 1, index: int = 12, fence: Fence = FENCE) -> OfferSegment:
    return OfferSegment(fence, number, index, digest, 700)


def holder(*offers: OfferSegment) -> Holder:
    one = Holder(ME, 0)
    for offer in offers:
        one.hear(LEADER, offer)
    return one


def test_an_offer_is_answered_when_it_is_on_the_disk_and_once_each_time() -> None:
    one = holder(an_offer())
    assert one.answer({B}, 99) is None
    said = HaveSegment(ME.store, FENCE, 1, A)
    assert one.answer({A, B}, 99) == (LEADER, said)
    assert one.answer({A}, 99) is None
    one.hear(LEADER, an_offer())
    assert one.answer({A}, 99) == (LEADER, said)


def test_an_older_offer_changes_nothing() -> None:
    one = holder(an_offer(B, 2))
    for old in (an_offer(A, 1), an_offer(A, 9, fence=Fence(1, 3))):
        one.hear(OTHER, old)
        assert one.answer({A}, 99) is None
        assert one.surplus((), {B}, 99) == frozenset()


def test_what_is_on_offer_is_fetched_from_who_offers_it() -> None:
    one = holder(an_offer())
    assert one.next_fetch([], set(), [OTHER], NOW) == Fetch(A, LEADER)


def test_what_the_state_names_is_fetched_the_newest_first() -> None:
    one, held, fetched = holder(an_offer()), set[bytes](), []
    while (fetch := one.next_fetch([B, C], held, [OTHER], NOW)) is not None:
        fetched.append(fetch.digest)
        held.add(fetch.digest)
    assert fetched == [A, C, B]
    assert one.lacks([B, C], {B}) == [C]


def test_one_at_a_time_until_it_came_failed_or_took_too_long() -> None:
    one = holder()
    assert one.next_fetch([A, B], set(), [OTHER], NOW) == Fetch(B, OTHER)
    assert one.next_fetch([A, B], set(), [OTHER], NOW + FETCH_MS - 1) is None
    assert one.next_fetch([A, B], {B}, [OTHER], NOW) == Fetch(A, OTHER)
    one.failed(B)
    assert one.next_fetch([A, B], {B}, [OTHER], NOW) is None
    one.failed(A)
    assert one.next_fetch([A, B], {B}, [OTHER], NOW) == Fetch(A, OTHER)
    assert one.next_fetch([A, B], {B}, [OTHER], NOW + FETCH_MS) == Fetch(A, OTHER)


def test_another_source_is_asked_each_time() -> None:
    one, asked = holder(an_offer()), []
    for _ in range(5):
        fetch = one.next_fetch([], set(), [OTHER, LEADER], NOW)
        assert fetch is not None
        asked.append(fetch.source)
        one.failed(fetch.digest)
    assert set(asked) == {LEADER, OTHER}


def test_one_that_nobody_has_does_not_hold_up_the_others() -> None:
    one, fetched = holder(), []
    for _ in range(4):
        fetch = one.next_fetch([A, B], set(), [OTHER], NOW)
        assert fetch is not None
        fetched.append(fetch.digest)
        one.failed(fetch.digest)
    assert sorted(fetched) == [A, A, B, B]
    assert fetched[0] != fetched[1]


def test_where_nobody_answers_nobody_is_asked() -> None:
    assert holder().next_fetch([A], set(), [], NOW) is None


def test_what_the_log_dropped_is_deleted() -> None:
    one = holder()
    assert one.surplus([B], [A, B], 50) == frozenset()
    one.released([A])
    assert one.surplus([B], [A, B], 50) == {A}
    assert one.surplus([B], [B], 50) == frozenset()


def test_what_was_dropped_and_came_again_stays() -> None:
    one = holder(an_offer(B))
    one.released([A, B])
    assert one.surplus([A], [A, B], 5) == frozenset()


def test_what_never_came_to_be_is_deleted_when_the_fate_of_its_offer_is_known() -> None:
    one = holder(an_offer(A, 1, 12), an_offer(B, 2, 20))
    assert one.surplus([C], [A, B, C], 19) == frozenset()
    assert one.surplus([C], [A, B, C], 20) == {A}


def test_after_a_start_nothing_is_deleted_before_an_offer_is_heard() -> None:
    assert holder().surplus([], [A, B], 1 << 40) == frozenset()


def test_an_offer_from_before_the_start_says_nothing_of_later_ones() -> None:
    """B was offered last, and this machine has said that it has it. Then it starts anew, and an old letter comes."""
    one = Holder(ME, 20)
    one.hear(LEADER, an_offer(A, 1, 12))
    assert one.surplus([], {A, B}, 20) == frozenset()
    one.hear(LEADER, an_offer(C, 3, 30))
    assert one.surplus([], {A, B, C}, 30) == {A, B}


def test_an_offer_is_answered_when_the_log_is_here_as_far_as_it_knows_it() -> None:
    one = holder(an_offer(index=12))
    assert one.answer({A}, 11) is None
    assert one.answer({A}, 12) is not None


# -- all together ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(3))
def test_whatever_happens_each_job_that_ended_is_where_it_can_be_found(part: int) -> None:
    archived = sum(World(seed).run().archived for seed in range(part * SEEDS, (part + 1) * SEEDS))
    assert archived > SEEDS

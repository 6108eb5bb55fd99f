"""How history leaves the state, in one daemon: what it makes and orders while it leads, what it holds and fetches."""

from __future__ import annotations

from hashlib import sha256

import pytest

from odyssey import archiving, wire
from odyssey.archiving import HOLD_MS, LOOK_MS, Habits
from odyssey.commands import AdmitNode, AdoptSegment, CancelTasks, DropSegments, Facts, Fence, RetryTasks, SubmitJobs
from odyssey.ids import ClientId, JobId, NodeId, UserId
from odyssey.mesh.archive import OFFER_EVERY_MS, Retention, Ripening
from odyssey.mesh.letters import Accepted, Logged
from odyssey.messages import HandInSegment, HaveSegment, OfferSegment, SegmentTaken
from odyssey.scheduler.segments import Packing, contents
from tests.builders import a_spec
from tests.mesh.raft.alone import beat
from tests.mesh.raft.machine import member
from tests.test_node import TOTAL, Desk

FEW = Habits(Ripening(jobs=3, age_ms=60_000))
ME, OTHER, THIRD = (NodeId(name) for name in "123")
DATA = b"a segment"
DIGEST = sha256(DATA).digest()


def leading(members: str = "1 2 3", habits: Habits = FEW) -> Desk:
    desk = Desk(members, habits)
    desk.wait(5_000)
    assert desk.node.replica.core.leads_safely
    return desk


def end_jobs(desk: Desk, count: int) -> None:
    """Cancelled before they began."""
    state = desk.book.state
    client = ClientId(state.head.index.to_bytes(16, "big"))
    first = state.head.last_job + 1
    desk.propose(SubmitJobs(client, 0, (a_spec(),) * count))
    for job in range(first, first + count):
        desk.propose(CancelTasks(JobId(job)))


def answer(desk: Desk, *names: str) -> None:
    """What others say when they have what was offered last."""
    for name in names:
        offer = desk.said(OfferSegment, NodeId(name))[-1]
        desk.hears(name, HaveSegment(member(name).store, offer.fence, offer.number, offer.digest))
    desk.wait(20)


def with_an_offer(habits: Habits = FEW) -> Desk:
    desk = leading(habits=habits)
    end_jobs(desk, 3)
    desk.wait(LOOK_MS + 100)
    assert desk.said(OfferSegment, OTHER)
    return desk


def archived(desk: Desk) -> list[list[int]]:
    """The jobs of each segment of the state, which must be on this disk."""
    return [[one.job.id for one in contents(desk.disk.history[digest]).jobs] for digest in desk.book.state.segments]


# -- while it leads ----------------------------------------------------------------------------------------------------


def test_what_has_ended_leaves_when_every_keeper_has_it() -> None:
    desk = with_an_offer()
    (offer,) = {one.digest: one for one in desk.said(OfferSegment)}.values()
    assert sha256(desk.disk.history[offer.digest]).digest() == offer.digest
    assert offer.size == len(desk.disk.history[offer.digest])
    answer(desk, "2")
    desk.wait(5 * LOOK_MS)
    assert not desk.book.state.segments
    answer(desk, "3")
    assert archived(desk) == [[1, 2, 3]]
    assert not desk.book.state.jobs


def test_fewer_wait_until_they_are_old() -> None:
    desk = leading("1")
    end_jobs(desk, 2)
    desk.wait(50_000)
    assert not desk.book.state.segments
    desk.wait(20_000)
    assert archived(desk) == [[1, 2]]


def test_who_keeps_the_log_alone_asks_nobody() -> None:
    desk = leading("1")
    end_jobs(desk, 3)
    desk.wait(LOOK_MS + 200)
    assert archived(desk) == [[1, 2, 3]]
    assert not desk.said(OfferSegment)


def test_one_that_is_not_there_is_told_again_and_again() -> None:
    desk = with_an_offer()
    desk.wait(10 * OFFER_EVERY_MS)
    assert len(desk.said(OfferSegment, THIRD)) >= 10
    assert len(set(desk.said(OfferSegment))) == 1


def test_a_lost_leadership_leaves_nothing_wrong() -> None:
    desk = with_an_offer()
    answer(desk, "2")
    term = desk.node.replica.core.term
    desk.hears("2", beat("2", term + 1))
    assert desk.node.archiving is None
    desk.wait(20_000)
    assert desk.node.replica.core.leads_safely
    assert {one.fence.term for one in desk.said(OfferSegment)} == {term, desk.node.replica.core.term}
    answer(desk, "2", "3")
    assert archived(desk) == [[1, 2, 3]]
    assert len(desk.disk.history) == 1


def test_an_answer_of_before_says_nothing_in_the_next_term() -> None:
    desk = with_an_offer()
    old = desk.said(OfferSegment, THIRD)[-1]
    desk.hears("2", beat("2", desk.node.replica.core.term + 1))
    desk.wait(20_000)
    answer(desk, "2")
    desk.hears("3", HaveSegment(member("3").store, old.fence, old.number, old.digest))
    desk.wait()
    assert not desk.book.state.segments


def test_an_order_that_the_log_does_not_take_is_given_again() -> None:
    desk = with_an_offer()
    core = desk.node.replica.core
    core.transferring, core._transfer_until = member("2"), 1 << 40
    answer(desk, "2", "3")
    desk.wait()
    assert not desk.book.state.segments
    core.transferring = None
    desk.wait()
    assert archived(desk) == [[1, 2, 3]]


def test_an_order_that_is_refused_is_history_itself() -> None:
    """A job began again meanwhile: the next segment is without it, and the bytes of this one go."""
    desk = with_an_offer()
    (stale,) = desk.disk.history
    desk.propose(RetryTasks(JobId(2)))
    answer(desk, "2", "3")
    assert not desk.book.state.segments
    end_jobs(desk, 1)
    desk.wait(LOOK_MS + 200)
    answer(desk, "2", "3")
    desk.wait(2 * HOLD_MS)
    assert archived(desk) == [[1, 3, 4]]
    assert stale not in desk.disk.history


def test_an_offer_that_a_keeper_never_takes_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "GIVE_UP_MS", 20_000)
    desk = with_an_offer()
    answer(desk, "2")
    desk.propose(RetryTasks(JobId(2)))
    end_jobs(desk, 1)
    desk.wait(20_000 + LOOK_MS + 200)
    offers = desk.said(OfferSegment, OTHER)
    assert len({one.digest for one in offers}) == 2
    answer(desk, "2", "3")
    assert archived(desk) == [[1, 3, 4]]


def test_nothing_is_made_while_the_disk_is_nearly_full() -> None:
    desk = leading()
    end_jobs(desk, 3)
    desk.node.replica.low = True
    desk.wait(2 * LOOK_MS)
    assert not desk.said(OfferSegment)
    desk.node.replica.low = False
    desk.wait(2 * LOOK_MS)
    assert desk.said(OfferSegment)


def test_the_oldest_go_when_there_is_enough() -> None:
    desk = leading("1", Habits(Ripening(jobs=3, age_ms=60_000), Retention(segments=1)))
    for _ in range(2):
        end_jobs(desk, 3)
        desk.wait(2 * LOOK_MS)
    desk.wait(2 * LOOK_MS)
    assert archived(desk) == [[4, 5, 6]]
    assert len(desk.disk.history) == 1


def test_what_is_dropped_goes_from_the_disk_at_once() -> None:
    """Also where no offer was heard since the start."""
    desk = leading("1", Habits(keep=Retention(segments=1)))
    fence = Fence(1, desk.node.replica.core.term)
    digests = {sha256(data).digest(): data for data in (b"another", DATA)}
    for digest, data in digests.items():
        desk.disk.history[digest] = data
        desk.propose(AdoptSegment(fence, digest, len(data), JobId(1), JobId(2), 2))
    desk.wait(2 * LOOK_MS)
    assert list(desk.book.state.segments) == list(desk.disk.history) == [DIGEST]


def test_a_segment_is_made_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "STEPS", 2)
    desk = leading("1")
    turns: list[int] = []
    step = Packing.step

    def counted(packing: Packing) -> object:
        turns.append(desk.time.turns)
        return step(packing)

    monkeypatch.setattr(Packing, "step", counted)
    end_jobs(desk, 3)
    desk.wait(2 * LOOK_MS)
    assert archived(desk) == [[1, 2, 3]]
    assert len(turns) == 4
    assert max(turns.count(turn) for turn in turns) == 2


def test_who_leads_no_more_leaves_what_it_was_making(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "STEPS", 1)
    desk, step = leading(), Packing.step

    def interrupted(packing: Packing) -> object:
        desk.time.call_later(0, lambda: desk.hears("2", beat("2", 9)))
        return step(packing)

    monkeypatch.setattr(Packing, "step", interrupted)
    end_jobs(desk, 3)
    desk.wait(LOOK_MS)
    assert not desk.node.replica.core.is_leader
    assert not desk.disk.history


def test_what_is_to_go_is_ordered_once() -> None:
    desk = leading("1", Habits(Ripening(jobs=3, age_ms=60_000), Retention(segments=0)))
    end_jobs(desk, 3)
    while not desk.book.state.segments:
        desk.wait(10)
    desk.disk.held = True
    desk.wait(4 * LOOK_MS)
    log = desk.node.replica.core.log
    commands = [wire.decode_log(one.data, Logged).command for one in log.since(log.commit + 1, 1 << 20, 1 << 40)]
    assert [type(command) for command in commands] == [DropSegments]
    desk.disk.let_go()
    desk.wait(2 * LOOK_MS)
    assert not desk.book.state.segments


# -- while it keeps the log --------------------------------------------------------------------------------------------


def following(members: str = "1 2 3") -> Desk:
    desk = Desk(members)
    desk.hears("2", beat("2", 1))
    return desk


def an_offer(number: int = 1, data: bytes = DATA, index: int = 0) -> OfferSegment:
    return OfferSegment(Fence(1, 1), number, index, sha256(data).digest(), len(data))


def brings(desk: Desk, data: bytes | None = DATA) -> str:
    """Whom it was asked of."""
    asked = desk.disk.fetches.pop()
    if data is not None:
        assert (asked.digest, asked.size) == (sha256(data).digest(), len(data))
        desk.disk.history[asked.digest] = data
    asked.done(data is not None)
    desk.wait(20)
    return asked.source.node


def have(offer: OfferSegment) -> HaveSegment:
    return HaveSegment(member("1").store, offer.fence, offer.number, offer.digest)


def test_what_is_offered_is_fetched_and_then_answered() -> None:
    desk, offer = following(), an_offer()
    desk.hears("2", offer)
    desk.wait(20)
    assert not desk.said(HaveSegment)
    assert brings(desk) == "2"
    assert desk.said(HaveSegment, OTHER) == [have(offer)]
    desk.hears("2", offer)
    desk.wait(20)
    assert desk.said(HaveSegment, OTHER) == [have(offer)] * 2
    assert not desk.disk.fetches


def test_where_it_is_not_to_be_had_another_is_asked_a_while_later() -> None:
    desk = following()
    desk.hears("2", an_offer())
    desk.wait(20)
    asked = [brings(desk, None)]
    assert not desk.disk.fetches
    for _ in range(2):
        desk.wait(HOLD_MS + 100)
        asked.append(brings(desk, None))
    assert set(asked) == {"2", "3"}


def test_a_transfer_that_goes_on_is_waited_for() -> None:
    desk = following()
    desk.hears("2", an_offer())
    desk.wait(20)
    for second in range(1, 140):
        desk.wait(1_000)
        desk.hears("2", beat("2", 1))
        if second % 20 == 0 and second <= 100:
            desk.disk.fetches[-1].came()
        assert len(desk.disk.fetches) == 1 or second > 130
    assert len(desk.disk.fetches) == 2


def test_two_looks_never_overlap() -> None:
    """What is heard during one is looked at in the next."""
    desk = following()
    desk.wait(150)
    looks = desk.disk.looks
    desk.hears("2", an_offer(1))
    desk.hears("2", an_offer(2, b"another"))
    desk.hears("2", an_offer(3))
    assert desk.disk.looks == looks + 1
    desk.wait(20)
    assert desk.disk.looks == looks + 2


def test_who_does_not_keep_the_log_takes_nothing() -> None:
    desk = following("2 3")
    desk.hears("2", an_offer())
    desk.wait(3 * HOLD_MS)
    assert not desk.disk.fetches


def test_an_offer_of_a_stranger_is_for_nobody() -> None:
    desk = following()
    desk.hears("7", an_offer())
    desk.wait(3 * HOLD_MS)
    assert not desk.disk.fetches


def test_who_is_told_of_one_that_is_about_to_be_deleted_is_not_told_that_it_is_here() -> None:
    desk = leading()
    desk.hears("2", beat("2", 9))  # it has led, and so it knows some of the log
    desk.hears("2", an_offer(1, index=1))
    desk.wait(20)
    brings(desk)
    desk.hears("2", an_offer(2, b"another", index=1))  # so the first one never came to be
    desk.wait(1)  # this is seen, and it goes
    desk.hears("2", an_offer(3, index=1))
    desk.wait(20)
    assert DIGEST not in desk.disk.history
    assert [one.number for one in desk.said(HaveSegment)] == [1]
    brings(desk, b"another")
    brings(desk)
    assert [one.number for one in desk.said(HaveSegment)] == [1, 3]


def test_what_the_state_names_is_fetched() -> None:
    desk = leading()
    fence = Fence(1, desk.node.replica.core.term)
    order = AdoptSegment(fence, DIGEST, len(DATA), JobId(1), JobId(2), 2)
    (outcome,) = desk.propose(order)
    assert isinstance(outcome, Accepted)
    desk.wait(HOLD_MS)
    assert brings(desk) in ("2", "3")
    desk.wait(3 * HOLD_MS)
    assert not desk.disk.fetches
    assert DIGEST in desk.disk.history


# -- history of another generation -------------------------------------------------------------------------------------

SOURCE = member("2")
FOREIGN = HandInSegment(SOURCE.store, DIGEST, len(DATA), JobId(7), JobId(9), 3)


def adopting() -> Desk:
    """It leads, machine 2 has been admitted and hands a segment in, which is being fetched."""
    desk = leading()
    desk.propose(AdmitNode(OTHER, "pc2", UserId("anna"), Facts(TOTAL, shared=True)))
    desk.hears("2", FOREIGN)
    desk.wait(20)
    assert [(one.source, one.digest, one.size) for one in desk.disk.fetches] == [(SOURCE, DIGEST, len(DATA))]
    assert desk.said(OfferSegment) == []
    return desk


def arrives(desk: Desk) -> None:
    desk.disk.history[DIGEST] = DATA
    desk.disk.fetches.pop().done(True)
    desk.wait(50)


def test_a_foreign_segment_is_adopted_when_every_keeper_has_it() -> None:
    desk = adopting()
    arrives(desk)
    assert {one.digest for one in desk.said(OfferSegment)} == {DIGEST}
    answer(desk, "2")
    assert not desk.book.state.segments
    answer(desk, "3")
    (known,) = desk.book.state.segments.values()
    assert (known.digest, known.first, known.last, known.jobs) == (DIGEST, 7, 9, 3)
    assert desk.said(SegmentTaken) == []
    desk.hears("2", FOREIGN)
    desk.wait(20)
    assert desk.said(SegmentTaken, OTHER) == [SegmentTaken(DIGEST)]
    assert desk.disk.fetches == []


def test_a_fetch_that_breaks_off_is_begun_anew_when_it_is_handed_in_again() -> None:
    desk = adopting()
    desk.hears("2", FOREIGN)
    assert len(desk.disk.fetches) == 1, "one is under way"
    desk.disk.fetches.pop().done(False)
    desk.hears("2", FOREIGN)
    arrives(desk)
    assert {one.digest for one in desk.said(OfferSegment)} == {DIGEST}


def test_a_fetch_of_which_nothing_comes_any_more_is_given_up() -> None:
    desk = adopting()
    desk.wait(archiving.FETCH_MS)
    desk.hears("2", FOREIGN)
    assert len(desk.disk.fetches) == 2


def test_this_meshs_own_history_waits_for_its_turn() -> None:
    desk = adopting()
    end_jobs(desk, 3)
    desk.wait(LOOK_MS + 100)
    assert desk.said(OfferSegment) == []
    arrives(desk)
    answer(desk, "2", "3")
    desk.wait(2 * LOOK_MS)
    assert len({one.digest for one in desk.said(OfferSegment)}) == 2


def test_nothing_is_deleted_while_an_old_log_is_still_to_be_read() -> None:
    desk = leading("1")
    desk.node.salvaging.busy = True
    desk.disk.history[DIGEST] = DATA
    end_jobs(desk, 3)
    desk.propose(AdmitNode(ME, "pc1", UserId("anna"), Facts(TOTAL, shared=True)))
    desk.wait(LOOK_MS + HOLD_MS)
    assert desk.book.state.segments
    assert DIGEST in desk.disk.history
    desk.node.salvaging.busy = False
    desk.wait(2 * HOLD_MS)
    assert DIGEST not in desk.disk.history

"""What leaves is true on disk; what must not wait does not; and writes come one at a time and hold everything."""

import pytest

from odyssey.mesh.raft import core as core_module
from odyssey.mesh.raft.types import (
    AnyMessage,
    AppendReply,
    Busy,
    HardState,
    Heartbeat,
    HeartbeatReply,
    NotLeader,
    VoteReply,
)
from tests.mesh.raft.alone import (
    append,
    asks,
    beat,
    core,
    entries,
    entry,
    hears,
    holds,
    leader,
    said,
    wait,
    write_of,
)
from tests.mesh.raft.cluster import Cluster
from tests.mesh.raft.machine import member

# -- what waits for its write ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(asks("2", 2), id="a vote"),
        pytest.param(asks("2", 2, (0, 0)), id="a refusal in a new term"),
        pytest.param(append("2", 1, (1, 1), [entry(2, 1)]), id="an acknowledgement"),
        pytest.param(append("2", 2, (9, 1)), id="a refusal to a new leader"),
        pytest.param(beat("2", 2), id="an answer to the first heartbeat of a new leader"),
    ],
)
def test_what_says_something_new_waits(message: AnyMessage) -> None:
    one = core("1")
    one.step(message)
    ready = one.ready()
    assert ready.messages == ()
    assert ready.write is not None
    one.written(ready.write.number)
    assert len(one.ready().messages) == 1


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(beat("2", 1), id="an answer to a heartbeat"),
        pytest.param(append("2", 1, (9, 1)), id="a refusal"),
        pytest.param(append("2", 0, (9, 1)), id="an answer to an old leader"),
        pytest.param(asks("2", 1), id="a refusal to an old candidate"),
        pytest.param(asks("2", 7, (9, 9), pre=True), id="what it would vote"),
    ],
)
def test_what_says_nothing_new_leaves_while_a_write_is_under_way(message: AnyMessage) -> None:
    one = core("1", vote="3")
    one.step(append("2", 1, (1, 1), [entry(2, 1)]))
    assert one.ready().write is not None
    for _ in range(15):  # so that it sticks to nobody
        one.tick()
    one.step(message)
    assert len(one.ready().messages) == 1


def test_a_leader_waits_for_nothing_to_replicate_and_to_beat() -> None:
    one = leader()
    hears(one, holds("2", 1, 1), holds("3", 1, 1))
    one.propose(b"x")
    ready = one.ready()
    assert ready.write is not None
    assert [outgoing.to for outgoing in ready.messages] == [member("2"), member("3")]
    for _ in range(3):
        one.tick()
    assert [type(outgoing.message) for outgoing in one.ready().messages] == [Heartbeat, Heartbeat]


def test_an_acknowledgement_waits_for_the_write_that_holds_it_and_not_for_the_one_before() -> None:
    one = core("1")
    one.step(append("2", 1, (1, 1), [entry(2, 1)]))
    first = write_of(one)
    one.step(append("2", 1, (2, 1), [entry(3, 1)]))
    assert one.ready().write is None
    one.written(first.number)
    ready = one.ready()
    assert [outgoing.message for outgoing in ready.messages] == [AppendReply(1, one.me, True, match=2)]
    assert ready.write is not None
    assert [item.index for item in ready.write.entries] == [3]
    one.written(ready.write.number)
    assert [outgoing.message for outgoing in one.ready().messages] == [AppendReply(1, one.me, True, match=3)]


def test_what_is_on_disk_is_acknowledged_again_at_once() -> None:
    one = core("1 1")
    assert hears(one, append("2", 1, (1, 1), entries("1", 2))) == [("2", AppendReply(1, one.me, True, match=2))]
    assert one.ready().write is None


def test_a_promise_of_an_older_term_is_not_sent_any_more() -> None:
    """What was acknowledged is cut by then, or may be. Its write is not the one that comes."""
    one = core("1")
    one.step(append("2", 1, (1, 1), [entry(2, 1)]))
    one.step(append("3", 2, (1, 1), [entry(2, 2)]))
    write = write_of(one)
    assert [(item.index, item.term) for item in write.entries] == [(2, 2)]
    one.written(write.number)
    assert [outgoing.message for outgoing in one.ready().messages] == [AppendReply(2, one.me, True, match=2)]


def test_a_second_vote_in_memory_leaves_only_the_second() -> None:
    one = core()
    one.step(asks("2", 1))
    one.step(asks("3", 2))
    write = write_of(one)
    assert write.hard == HardState(2, member("3"), 0)
    one.written(write.number)
    assert [outgoing.message for outgoing in one.ready().messages] == [VoteReply(2, one.me, member("3"), True)]


# -- writes ------------------------------------------------------------------------------------------------------------


def test_one_write_at_a_time_and_the_next_holds_all_the_rest() -> None:
    one = leader(members="1")
    said(one)
    one.propose(b"a")
    first = write_of(one)
    for data in (b"b", b"c"):
        one.propose(data)
        assert one.ready().write is None
    one.written(first.number)
    assert [item.data for item in write_of(one).entries] == [b"b", b"c"]


def test_numbers_grow() -> None:
    one = leader(members="1")
    said(one)
    numbers = []
    for _ in range(3):
        one.propose(b"x")
        write = write_of(one)
        one.written(write.number)
        numbers.append(write.number)
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("number", [0, 2, 99])
def test_the_end_of_another_write_is_nothing(number: int) -> None:
    one = core()
    one.step(asks("2", 1))
    write = write_of(one)
    assert write.number == 1
    one.written(number)
    ready = one.ready()
    assert (ready.write, ready.messages) == (None, ())
    one.written(write.number)
    one.written(write.number)
    assert len(one.ready().messages) == 1


def test_what_is_cut_while_it_is_written_is_written_again() -> None:
    one = core("1")
    one.step(append("2", 1, (1, 1), entries("1 1 1", 2)))
    first = write_of(one)
    one.step(append("3", 2, (2, 1), entries("2", 3)))
    one.written(first.number)
    assert one.log.stable == 1
    second = write_of(one)
    assert [(item.index, item.term) for item in second.entries] == [(2, 1), (3, 2)]
    one.written(second.number)
    assert one.log.stable == 3


def test_a_shorter_log_than_the_one_written_counts_as_what_it_is() -> None:
    one = core("1")
    one.step(append("2", 1, (1, 1), entries("1 1 1", 2)))
    first = write_of(one)
    one.step(append("3", 2, (1, 1), entries("2", 2)))
    one.written(first.number)
    assert [(item.index, item.term) for item in write_of(one).entries] == [(2, 2)]


def test_term_and_vote_go_with_the_entries() -> None:
    one = core("1")
    one.step(append("2", 3, (1, 1), [entry(2, 3)], commit=2))
    write = write_of(one)
    assert (write.hard, [item.index for item in write.entries]) == (HardState(3, None, 2), [2])


# -- back-pressure -----------------------------------------------------------------------------------------------------


def test_too_many_proposals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "MAX_PROPOSALS", 3)
    one = leader(members="1 2")
    for _ in range(3):
        one.propose(b"x")
    with pytest.raises(Busy, match="3 proposals"):
        one.propose(b"x")
    assert one.propose(b"a report", urgent=True) == 5
    hears(one, holds("2", 1, 3))
    one.propose(b"x")
    one.propose(b"x", urgent=True)
    with pytest.raises(Busy):
        one.propose(b"x")


def test_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "MAX_PROPOSED_BYTES", 100)
    one = leader(members="1 2")
    one.propose(bytes(60))
    with pytest.raises(Busy):
        one.propose(bytes(41))
    one.propose(bytes(40))
    hears(one, holds("2", 1, 2))
    one.propose(bytes(60))


def test_a_new_leadership_begins_with_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "MAX_PROPOSALS", 2)
    group = Cluster("1 2 3")
    group.elect("1")
    group.cut("1", "2 3")
    group.propose("1", "a", "b")
    group.elect("2")
    group.heal()
    group.tick("2", 3)
    group.settle()
    group.elect_by("1", "2 3")
    group.settle()
    group.propose("1", "c", "d")
    group.settle()
    group.propose("1", "e")
    group.settle()
    assert group.state("3") == "c d e"


def test_who_does_not_lead_takes_nothing() -> None:
    one = core(term=1)
    hears(one, beat("2", 1))
    with pytest.raises(NotLeader) as raised:
        one.propose(b"x")
    assert raised.value.leader == member("2")


def test_heartbeats_are_answered_in_their_round() -> None:
    one = core(term=1)
    assert hears(one, beat("2", 1, number=7)) == [("2", HeartbeatReply(1, one.me, 7))]
    assert wait(one, 3) == []

"""Restarts: whatever was under way, a member comes back with what it has promised, and with nothing it has not."""

import pytest

from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.log import CutsCommitted, Log
from odyssey.mesh.raft.types import HardState, Role, Snapshot, VoteReply
from tests.mesh.raft.alone import LONG, answer, append, asks, beat, core, entries, hears, leader, said, wait, write_of
from tests.mesh.raft.cluster import Cluster, Longest
from tests.mesh.raft.machine import config, member


def test_nothing_is_to_be_done_after_a_start() -> None:
    one = core("1 1 2", vote="2", commit=0, term=3)
    assert said(one) == []
    assert (one.term, one.vote, one.role, one.leader) == (3, member("2"), Role.FOLLOWER, None)


def test_what_was_committed_is_handed_out_again() -> None:
    one = core("1 1 1", commit=2)
    assert [item.index for item in one.ready().committed] == [1, 2]


def test_after_a_snapshot_only_what_follows_it() -> None:
    held = Log(Snapshot(3, 1, config("1 2 3")), entries("1 1", 4), 4)
    one = Core(member("1"), HardState(1, None, 4), held, Longest())
    assert [item.index for item in one.ready().committed] == [4]


def test_a_vote_is_kept() -> None:
    one = core(term=5, vote="3")
    assert answer(one, asks("2", 5)) == VoteReply(5, one.me, member("2"), False)
    assert answer(one, asks("3", 5)) == VoteReply(5, one.me, member("3"), True)


def test_a_leader_that_restarts_does_not_lead() -> None:
    """It may have sent entries to others that it has lost itself. It can make no others in that term."""
    group = Cluster("1 2 3")
    group.elect("1")
    group.machines["1"].slow = True
    group.propose("1", "a")
    group.crash("1")
    group.restart("1")
    assert group.core("1").role is Role.FOLLOWER
    assert group.core("1").log.last == 1
    group.machines["1"].slow = False
    group.elect("2")
    group.tick("2", 3)
    group.settle()
    assert [group.state(name) for name in "123"] == ["a", "a", "a"]  # the others had it


@pytest.mark.parametrize("after_write", [False, True])
def test_a_write_under_way_may_be_done_or_not(after_write: bool) -> None:
    group = Cluster("1 2 3")
    group.elect("1")
    group.machines["2"].slow = True
    group.propose("1", "a")
    group.settle()
    group.crash("2", after_write)
    assert group.machines["2"].disk.last == (2 if after_write else 1)
    group.restart("2")
    group.machines["2"].slow = False
    group.tick("1", 3)
    group.settle()
    assert group.state("2") == "a"


def test_a_candidate_whose_vote_was_not_written_has_not_voted() -> None:
    group = Cluster("1 2 3")
    group.machines["1"].slow = True
    group.timeout("1")
    group.deliver(list(group.wire))
    group.deliver(list(group.wire))
    assert group.core("1").role is Role.CANDIDATE
    assert group.wire == []
    group.crash("1")
    group.restart("1")
    assert (group.core("1").term, group.core("1").vote) == (0, None)


def test_how_far_is_committed_is_written_with_the_next_entries() -> None:
    one = core("1 1", term=1)
    hears(one, beat("2", 1, (2, 1)))
    one.step(append("2", 1, (2, 1), entries("1", 3)))
    assert write_of(one).hard.commit == 2


def test_or_alone_within_a_second() -> None:
    one = core("1 1", term=1)
    hears(one, beat("2", 1, (2, 1)))
    assert one.ready().write is None
    for _ in range(10):
        one.tick()
    assert write_of(one).hard == HardState(1, None, 2)


def test_an_idle_member_writes_nothing() -> None:
    one = leader(members="1")
    said(one)
    wait(one, 20)
    for _ in range(100):
        one.tick()
        assert one.ready().write is None


def test_a_log_that_lacks_what_was_committed_is_no_start() -> None:
    with pytest.raises(ValueError, match="ends at 2, but 3"):
        Log(Snapshot(config=config("1")), entries("1 1"), 3)


def test_a_log_with_a_gap_is_no_start() -> None:
    with pytest.raises(ValueError, match="cannot follow 1"):
        Log(Snapshot(1, 1, config("1")), entries("1 1", 3), 1)


def test_nor_one_that_begins_before_its_snapshot() -> None:
    with pytest.raises(CutsCommitted):
        Log(Snapshot(1, 1, config("1")), entries("1 1", 1), 1)


def test_a_sole_voter_goes_on_alone() -> None:
    group = Cluster("1")
    group.elect("1")
    group.propose("1", "a")
    group.crash("1")
    group.restart("1")
    group.elect("1")
    group.propose("1", "b")
    assert group.state("1") == "a b"


def test_all_crash_and_come_back() -> None:
    group = Cluster("1 2 3 | 4")
    group.elect("1")
    group.propose("1", "a", "b")
    group.settle()
    for name in "1234":
        group.crash(name)
    group.wire.clear()
    for name in "4321":
        group.restart(name)
    group.elect("3")
    group.propose("3", "c")
    group.settle()
    assert {group.state(name) for name in "1234"} == {"a b c"}


def test_waiting_begins_anew() -> None:
    one = core(term=1)
    assert wait(one, LONG - 1) == []
    assert wait(one, 1) != []

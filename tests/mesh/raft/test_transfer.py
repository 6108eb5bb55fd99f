"""Leadership is handed over (Raft thesis 3.10)."""

import pytest

from odyssey.mesh.raft.types import Busy, ConfigRefused, NotLeader, Role, TakeOver, VoteRequest
from tests.mesh.raft.alone import beat, beats_back, core, hears, holds, leader, said, wait
from tests.mesh.raft.cluster import Cluster
from tests.mesh.raft.machine import member

TAKE_OVER = TakeOver(1, member("1"))


def test_to_who_holds_everything_at_once() -> None:
    one = leader()
    hears(one, holds("2", 1, 1))
    one.transfer(member("2"))
    assert ("2", TAKE_OVER) in said(one)


def test_to_others_when_they_do() -> None:
    one = leader()
    hears(one, holds("2", 1, 1))
    one.propose(b"x")
    one.transfer(member("2"))
    assert ("2", TAKE_OVER) not in said(one)
    assert ("2", TAKE_OVER) in hears(one, holds("2", 1, 2))


def test_the_order_is_repeated_for_it_may_be_lost() -> None:
    one = leader()
    hears(one, holds("2", 1, 1))
    one.transfer(member("2"))
    said(one)
    assert wait(one, 3).count(("2", TAKE_OVER)) == 1


def test_meanwhile_nothing_is_taken_in() -> None:
    one = leader()
    one.transfer(member("2"))
    for urgent in (False, True):
        with pytest.raises(Busy, match="handed to 2"):
            one.propose(b"x", urgent=urgent)


def test_it_is_given_up_after_an_election_timeout() -> None:
    one = leader(members="1 2 3")
    one.transfer(member("2"))
    for _ in range(14):
        hears(one, beats_back("3", 1, 0))
        wait(one, 1)
    assert one.transferring is not None
    wait(one, 1)
    one.propose(b"x")


def test_to_ask_for_it_again_and_again_does_not_keep_a_cut_off_leader() -> None:
    one = leader(members="1 2 3")
    for _ in range(30):
        if one.is_leader:
            one.transfer(member("2"))
            wait(one, 1)
    assert not one.is_leader


@pytest.mark.parametrize("to", ["1", "4", "2'", "9"])
def test_only_to_another_voter(to: str) -> None:
    with pytest.raises(ConfigRefused):
        leader(members="1 2 3 | 4").transfer(member(to))


def test_only_by_a_leader() -> None:
    with pytest.raises(NotLeader):
        core().transfer(member("2"))


def test_who_is_to_take_over_stands_at_once_and_says_why() -> None:
    one = core(term=1)
    hears(one, beat("2", 1))
    heard = hears(one, TakeOver(1, member("2")))
    assert (one.role, one.term) == (Role.CANDIDATE, 2)
    assert heard == [(name, VoteRequest(2, one.me, 0, 0, forced=True)) for name in "23"]


@pytest.mark.parametrize(
    "order", [TakeOver(1, member("3")), TakeOver(0, member("2")), TakeOver(2, member("3"))], ids=str
)
def test_only_its_leader_may_say_so(order: TakeOver) -> None:
    one = core(term=1)
    hears(one, beat("2", 1), order)
    assert one.role is Role.FOLLOWER


def test_a_learner_does_not_take_over() -> None:
    one = core(term=1, members="2 3 | 1")
    hears(one, beat("2", 1), TakeOver(1, member("2")))
    assert one.role is Role.FOLLOWER


def test_the_whole_way() -> None:
    group = Cluster("1 2 3")
    group.elect("1")
    group.propose("1", "a")
    group.run("1", lambda one: one.transfer(member("3")))
    group.settle()
    assert group.leader == "3"
    group.propose("3", "b")
    group.settle()
    assert {group.state(name) for name in "123"} == {"a b"}


def test_a_target_with_a_worse_log_than_the_rest_is_not_elected() -> None:
    """A late order reaches it when the log has moved on. That costs an election, and loses nothing."""
    group = Cluster("1 2 3")
    group.elect("1")
    group.run("1", lambda one: one.transfer(member("3")))
    (order,) = [parcel for parcel in group.wire if isinstance(parcel.message, TakeOver)]
    order.held = True
    group.settle()
    group.tick("1", 15)
    group.cut("3", "1 2")
    group.propose("1", "a")
    group.settle()
    group.heal()
    group.deliver([order])
    group.settle()
    assert group.leader == ""
    group.elect("1")
    group.tick("1", 3)
    group.settle()
    assert {group.state(name) for name in "123"} == {"a"}

"""What is committed (Raft paper 5.3, 5.4.2), and when it takes effect."""

import pytest

from odyssey.mesh.raft.types import AnyMessage, Append
from tests.mesh.raft.alone import append, beat, core, entries, entry, hears, holds, leader, log, said
from tests.mesh.raft.cluster import Cluster
from tests.mesh.raft.machine import member


@pytest.mark.parametrize(
    ("members", "holding", "committed"),
    [
        ("1", "", True),
        ("1 2", "", False),
        ("1 2", "2", True),
        ("1 2 3", "", False),
        ("1 2 3", "3", True),
        ("1 2 3 4", "2", False),
        ("1 2 3 4", "2 3", True),
        ("1 2 3 4 5", "2", False),
        ("1 2 3 4 5", "4 5", True),
        ("1 2 3 | 4 5", "4 5", False),
        ("1 2 3", "2' 3' 7", False),
    ],
)
def test_a_majority_of_the_voters(members: str, holding: str, committed: bool) -> None:
    one = leader(members=members)
    hears(one, *(holds(name, 1, 1) for name in holding.split()))
    assert one.log.commit == int(committed)
    assert one.leads_safely == committed


def test_what_is_held_by_a_majority_at_any_place() -> None:
    one = leader(members="1 2 3 4 5")
    for _ in range(9):
        one.propose(b"x")
    hears(one, holds("2", 1, 4), holds("3", 1, 7), holds("4", 1, 2))
    assert one.log.commit == 4
    hears(one, holds("5", 1, 9))
    assert one.log.commit == 7


def test_the_same_acknowledgement_again_is_one() -> None:
    one = leader(members="1 2 3 4 5")
    hears(one, *[holds("2", 1, 1)] * 3)
    assert one.log.commit == 0


def test_a_leader_counts_itself_when_its_own_disk_has_it() -> None:
    one = leader()
    hears(one, holds("2", 1, 1))
    one.propose(b"x")
    write = one.ready().write
    assert write is not None
    one.step(holds("2", 1, 2))
    assert one.ready().committed == ()
    assert one.log.commit == 1
    one.written(write.number)
    assert [item.index for item in one.ready().committed] == [2]


def test_others_are_enough_but_nothing_takes_effect_before_it_is_here() -> None:
    one = leader()
    hears(one, holds("2", 1, 1))
    one.propose(b"x")
    write = one.ready().write
    assert write is not None
    one.step(holds("2", 1, 2))
    one.step(holds("3", 1, 2))
    assert one.ready().committed == ()
    assert one.log.commit == 2
    one.written(write.number)
    assert [item.index for item in one.ready().committed] == [2]


def test_an_entry_of_an_older_term_is_committed_only_together_with_one_of_this_term() -> None:
    one = leader("1 1 1")
    hears(one, holds("2", 2, 3), holds("3", 2, 3))
    assert one.log.commit == 0
    hears(one, holds("2", 2, 4))
    assert one.log.commit == 4


def test_an_acknowledgement_of_an_older_term_is_none() -> None:
    one = leader("1 1 1")
    hears(one, holds("2", 1, 4), holds("3", 1, 4))
    assert one.log.commit == 0


def test_the_others_hear_of_it_at_once() -> None:
    one = leader()
    heard = hears(one, holds("2", 1, 1))
    assert heard == [("2", append("1", 1, (1, 1), commit=1))]
    assert hears(one, holds("3", 1, 1)) == [("3", append("1", 1, (1, 1), commit=1))]
    assert hears(one, holds("2", 1, 1), holds("3", 1, 1)) == []


# -- a follower --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "committed"),
    [
        (append("2", 2, (2, 1), commit=4), 2),  # what follows was not compared
        (append("2", 2, (1, 1), entries("1", 2), commit=4), 2),
        (append("2", 2, (2, 1), entries("2 2", 3), commit=3), 3),
        (append("2", 2, (2, 1), entries("2 2", 3), commit=9), 4),
        (append("2", 2, (4, 2), commit=4), 1),  # does not fit
        (beat("2", 2, (3, 1)), 3),
        (beat("2", 2, (3, 2)), 1),  # another entry 3 is committed
        (beat("2", 2, (9, 2)), 1),
        (beat("2", 2, (1, 1)), 1),
    ],
)
def test_a_follower_believes_what_it_has_compared(message: AnyMessage, committed: int) -> None:
    one = core("1 1 1 1", commit=1)
    hears(one, message)
    assert one.log.commit == committed


def test_a_heartbeat_meant_for_another_store_of_the_machine_says_nothing_wrong() -> None:
    """Messages are addressed to machines. The old store had acknowledged three entries, this one has others."""
    one = core("1 1 1", name="3'", members="1 2 3")
    hears(one, beat("2", 2, (3, 2)))
    assert one.log.commit == 0


def test_it_never_goes_back() -> None:
    one = core("1 1 1 1", commit=3)
    hears(one, append("2", 1, (1, 1), entries("1", 2), commit=2), beat("2", 1, (1, 1)))
    assert one.log.commit == 3


def test_what_is_committed_is_handed_out_once_in_order_and_in_pieces() -> None:
    held = log("1 " * 3000)
    held.commit_to(2500)
    taken = [held.hand_out(1024) for _ in range(4)]
    assert [len(piece) for piece in taken] == [1024, 1024, 452, 0]
    assert [item.index for piece in taken for item in piece] == list(range(1, 2501))


def test_a_follower_hands_out_only_what_is_on_its_disk() -> None:
    one = core("1")
    one.step(append("2", 1, (1, 1), [entry(2, 1)], commit=2))
    ready = one.ready()
    assert [item.index for item in ready.committed] == [1]
    assert ready.write is not None
    one.written(ready.write.number)
    assert [item.index for item in one.ready().committed] == [2]


# -- where one votes alone ---------------------------------------------------------------------------------------------


def test_a_standby_in_step_must_have_it_too() -> None:
    one = leader(members="1 | 2 3")
    one.in_step = frozenset({member("2")})
    one.propose(b"x")
    hears(one, holds("3", 1, 2), holds("2", 1, 1))
    assert one.log.commit == 1
    hears(one, holds("2", 1, 2))
    assert one.log.commit == 2


def test_when_it_is_out_of_step_nothing_else_need_happen() -> None:
    one = leader(members="1 | 2")
    one.in_step = frozenset({member("2")})
    one.propose(b"x")
    said(one)
    assert one.log.commit == 1
    one.in_step = frozenset()
    assert [item.index for item in one.ready().committed] == [2]


def test_who_is_no_member_is_not_waited_for() -> None:
    one = leader(members="1 | 2")
    one.in_step = frozenset({member("2'"), member("7")})
    one.propose(b"x")
    said(one)
    assert one.log.commit == 2


def test_among_several_voters_a_standby_is_not_waited_for() -> None:
    one = leader(members="1 2 3 | 4")
    one.in_step = frozenset({member("4")})
    hears(one, holds("2", 1, 1))
    assert one.log.commit == 1


def test_a_new_leader_waits_for_nobody_until_it_is_told() -> None:
    one = leader(members="1 | 2")
    one.in_step = frozenset({member("2")})
    one.step_down()
    assert one.in_step == frozenset()


def test_what_two_leaders_left_behind_is_settled_by_the_third() -> None:
    group = Cluster("1 2 3")
    group.elect("1")
    group.cut("1", "2 3")
    group.propose("1", "a", "b")
    group.elect("2")
    group.propose("2", "c")
    group.settle()
    group.heal()
    group.tick("2", 3)
    group.settle()
    assert [group.state(name) for name in "123"] == ["c", "c", "c"]


def test_commit_is_told_with_every_append() -> None:
    one = leader()
    hears(one, holds("2", 1, 1))
    one.propose(b"x")
    ((_, message),) = [item for item in said(one) if item[0] == "2"]
    assert isinstance(message, Append)
    assert message.commit == 1

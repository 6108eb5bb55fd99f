"""Reads and leases need proof of leadership: a quorum has answered a heartbeat sent after the question (ReadIndex)."""

import pytest

from odyssey.mesh.raft.types import Heartbeat, NotLeader
from tests.mesh.raft.alone import beats_back, core, hears, holds, leader, said, wait
from tests.mesh.raft.cluster import Cluster
from tests.mesh.raft.machine import config


def test_everybody_is_asked_at_once() -> None:
    one = leader(members="1 2 3 | 4")
    said(one)
    number = one.confirm()
    assert said(one) == [(name, Heartbeat(1, one.me, 0, 0, number)) for name in "234"]


def test_a_quorum_of_voters_proves_it() -> None:
    one = leader(members="1 2 3 4 5 | 6 7")
    number = one.confirm()
    assert one.confirmed_round < number
    hears(one, beats_back("2", 1, number), beats_back("6", 1, number), beats_back("7", 1, number))
    assert one.confirmed_round < number
    hears(one, beats_back("3", 1, number))
    assert one.confirmed_round == number


def test_an_older_answer_proves_nothing_for_a_newer_question() -> None:
    one = leader()
    first, second = one.confirm(), one.confirm()
    hears(one, beats_back("2", 1, first))
    assert (one.confirmed_round, second > first) == (first, True)


def test_a_late_older_answer_takes_nothing_back() -> None:
    one = leader()
    first, second = one.confirm(), one.confirm()
    hears(one, beats_back("2", 1, second), beats_back("2", 1, first))
    assert one.confirmed_round == second


@pytest.mark.parametrize("name", ["2'", "9"])
def test_who_does_not_vote_proves_nothing(name: str) -> None:
    one = leader()
    number = one.confirm()
    hears(one, beats_back(name, 1, number))
    assert one.confirmed_round < number


def test_who_votes_alone_needs_no_answer() -> None:
    one = leader(members="1 | 2")
    assert one.confirm() == one.confirmed_round


def test_every_heartbeat_is_a_question_too() -> None:
    one = leader()
    before = one.confirm()
    wait(one, 3)
    hears(one, beats_back("2", 1, before + 1))
    assert one.confirmed_round == before + 1


def test_the_answer_to_another_term_proves_nothing() -> None:
    one = leader(term=4)
    number = one.confirm()
    hears(one, beats_back("2", 4, number), beats_back("3", 1, number))
    assert one.confirmed_round < number


def test_nobody_else_can_ask() -> None:
    one = core()
    with pytest.raises(NotLeader):
        one.confirm()
    assert one.confirmed_round == 0


def test_a_new_leadership_begins_without_proof() -> None:
    one = leader()
    number = one.confirm()
    hears(one, beats_back("2", 1, number))
    one.step_down()
    assert one.confirmed_round == 0


def test_by_the_newest_config() -> None:
    one = leader(members="1 2 3 | 4")
    hears(one, holds("2", 1, 1))
    number = one.confirm()
    hears(one, beats_back("2", 1, number))
    assert one.confirmed_round == number
    one.propose_config(config("1 2 3 4"))
    assert one.confirmed_round < number  # two of four
    hears(one, beats_back("4", 1, number))
    assert one.confirmed_round == number


def test_a_leader_that_was_deposed_without_knowing_gets_no_proof() -> None:
    group = Cluster("1 2 3")
    group.elect("1")
    group.cut("1", "2 3")
    group.elect("2")
    group.heal()
    assert group.core("1").is_leader
    number = group.core("1").confirm()
    group.run("1", lambda one: None)
    group.settle()
    assert group.core("1").confirmed_round < number
    assert not group.core("1").is_leader


def test_what_was_ever_committed_is_known_only_after_the_first_own_entry() -> None:
    group = Cluster("1 2 3")
    group.elect("1")
    group.propose("1", "a")
    group.settle()
    group.elect_by("2", "1 3")
    two = group.core("2")
    assert (two.is_leader, two.leads_safely) == (True, False)
    group.settle()
    assert two.leads_safely

"""Changes of members, one at a time (Raft thesis 4)."""

import pytest

from odyssey import wire
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.members import is_majority, quorum_value, why_unsafe
from odyssey.mesh.raft.types import Append, Config, ConfigRefused, Kind, LogEntry, NotLeader, Role
from tests.mesh.raft.alone import LONG, append, beats_back, core, entry, hears, holds, leader, said, votes, wait
from tests.mesh.raft.cluster import Cluster
from tests.mesh.raft.machine import config, member

# -- what is safe ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "wanted", "reason"),
    [
        ("1 2 3", "1 2 3", ""),
        ("1 2 3", "1 2", ""),
        ("1 2 3", "1 2 3 | 4 5 6", ""),
        ("1 2 3 | 4", "1 2 3 4", ""),
        ("1 2 3 | 4", "1 2 3", ""),
        ("1 2 3", "1 2 | 3", ""),
        ("1 2 3", "1 2 | 3'", ""),
        ("1 2 3 | 4 5", "1 2 3 4 5", "more than one voter changes"),
        ("1 2 3 | 4", "1 2 4", "more than one voter changes"),
        ("1 2 3", "1 2 3'", "more than one voter changes"),
        ("1 2 3", "1 2 3 4", "4 has not learnt the log yet"),
        ("1 2 | 3", "1 2 3'", "3 has not learnt the log yet"),
        ("1", "| 1", "nobody would vote"),
        ("1 2", "1 2 | 2", "a machine would be there twice"),
        ("1 2", "1 2 | 2'", "a machine would be there twice"),
        ("1 2", "1 2 2", "a machine would be there twice"),
    ],
)
def test_what_is_safe(now: str, wanted: str, reason: str) -> None:
    found = why_unsafe(config(now), config(wanted))
    assert found.startswith(reason) if reason else not found


def test_majorities() -> None:
    assert [is_majority(count, 4) for count in range(5)] == [False, False, False, True, True]
    assert [is_majority(count, 3) for count in range(4)] == [False, False, True, True]
    assert not is_majority(0, 0)


@pytest.mark.parametrize(
    ("values", "reached"),
    [([], 0), ([7], 7), ([7, 5], 5), ([9, 5, 7], 7), ([1, 2, 3, 4], 2), ([5, 4, 3, 2, 1], 3), ([0, 0, 9], 0)],
)
def test_what_a_majority_has_reached(values: list[int], reached: int) -> None:
    assert quorum_value(values) == reached


# -- when a leader may change them -------------------------------------------------------------------------------------


def settled(members: str) -> Core:
    """1 leads, and its first entry is committed."""
    one = leader(members=members)
    hears(one, *(holds(voter.node, 1, 1) for voter in one.config.voters if voter != one.me))
    assert one.leads_safely
    return one


@pytest.mark.parametrize("wanted", ["1 2 3", "1 2 4", "1 2 3 4 | 5"])
def test_only_one_change_at_a_time(wanted: str) -> None:
    one = settled("1 2 3 | 4")
    assert one.propose_config(config("1 2 3 4")) == 2
    hears(one, holds("2", 1, 2))
    with pytest.raises(ConfigRefused, match="another change is not committed yet"):
        one.propose_config(config(wanted))
    hears(one, holds("4", 1, 2))
    one.propose_config(config("1 2 4"))


def test_not_before_an_entry_of_the_own_term_is_committed() -> None:
    one = leader()
    with pytest.raises(ConfigRefused, match="no entry of this term"):
        one.propose_config(config("1 2"))
    hears(one, holds("2", 1, 1))
    one.propose_config(config("1 2"))


def test_not_while_leadership_is_handed_over() -> None:
    one = settled("1 2 3")
    one.transfer(member("2"))
    with pytest.raises(ConfigRefused, match="handed to 2"):
        one.propose_config(config("1 2"))


def test_only_a_leader() -> None:
    with pytest.raises(NotLeader):
        core().propose_config(config("1 2"))


# -- it counts as soon and as long as it is there ----------------------------------------------------------------------


def changed(index: int, term: int, members: str) -> LogEntry:
    return LogEntry(index, term, Kind.CONFIG, wire.encode(config(members)))


def test_a_follower_uses_it_from_the_moment_it_has_it() -> None:
    one = core("1")
    hears(one, append("2", 1, (1, 1), [changed(2, 1, "1 2")]))
    assert (one.config, one.log.commit) == (config("1 2"), 0)


def test_and_takes_it_back_when_it_is_cut() -> None:
    one = core("1")
    hears(one, append("2", 1, (1, 1), [changed(2, 1, "1 2"), entry(3, 1)]))
    hears(one, append("3", 2, (1, 1), [entry(2, 2)]))
    assert one.config == config("1 2 3")
    assert one.log.config_index == 0


def test_votes_are_counted_by_it() -> None:
    one = core("1", members="1 2 3 | 4")
    hears(one, append("2", 1, (1, 1), [changed(2, 1, "1 2 3 4")]))
    wait(one, LONG)
    hears(one, votes("2", 2, pre=True))
    assert one.role is Role.PRE_CANDIDATE
    hears(one, votes("4", 2, pre=True))
    assert {name for name, _ in wait(one, 3)} == {"2", "3", "4"}


def test_a_leader_commits_by_it() -> None:
    one = settled("1 2 3 | 4")
    one.propose_config(config("1 2 3 4"))
    hears(one, holds("2", 1, 2))
    assert one.log.commit == 1  # two of four
    hears(one, holds("3", 1, 2))
    assert one.log.commit == 2


def test_a_smaller_group_commits_at_once_what_it_holds() -> None:
    one = settled("1 2")
    one.propose(b"x")
    one.propose_config(config("1 | 2"))
    said(one)
    assert one.log.commit == 3


def test_a_quorum_is_heard_by_it() -> None:
    one = settled("1 2 3")
    one.propose_config(config("1 2"))
    hears(one, holds("2", 1, 2))
    for _ in range(6):
        hears(one, beats_back("2", 1, 0))
        wait(one, 10)
    assert one.is_leader
    for _ in range(6):
        hears(one, beats_back("3", 1, 0))
        wait(one, 10)
    assert not one.is_leader


def test_who_was_let_go_is_not_heard_any_more() -> None:
    one = settled("1 2 3")
    one.propose_config(config("1 2"))
    said(one)
    hears(one, holds("3", 1, 2))
    assert one.log.commit == 1
    assert {name for name, _ in wait(one, 3)} == {"2"}


# -- new members -------------------------------------------------------------------------------------------------------


def test_a_learner_gets_the_log_at_once() -> None:
    one = settled("1 2 3")
    one.propose_config(config("1 2 3 | 4"))
    assert [message for name, message in said(one) if name == "4" and isinstance(message, Append)]


def test_a_learner_that_becomes_a_voter_keeps_its_place() -> None:
    one = settled("1 2 3 | 4")
    hears(one, holds("4", 1, 1))
    one.propose_config(config("1 2 3 4"))
    assert one.peers[member("4")].match == 1


def test_a_new_store_of_a_machine_begins_with_nothing() -> None:
    one = settled("1 2 3")
    one.propose_config(config("1 2 | 3'"))
    assert one.peers[member("3'")].match == 0
    assert member("3") not in one.peers


def test_a_machine_that_lost_its_store_comes_back_as_a_learner() -> None:
    group = Cluster("1 2 3")
    group.elect("1")
    group.propose("1", "a")
    group.settle()
    group.replace("3")
    with pytest.raises(ConfigRefused):
        group.reconfigure("1", "1 2 3'")
    group.reconfigure("1", "1 2 | 3'")
    group.settle()
    group.reconfigure("1", "1 2 3'")
    group.settle()
    group.crash("2")
    group.propose("1", "b")
    group.settle()
    assert group.state("1") == group.state("3") == "a b"


# -- a leader that takes itself off ------------------------------------------------------------------------------------


def test_it_leads_until_that_is_committed_by_the_others() -> None:
    one = settled("1 2 3")
    one.propose_config(config("2 3"))
    hears(one, holds("2", 1, 2))
    assert one.is_leader
    assert one.log.commit == 1
    heard = hears(one, holds("3", 1, 2))
    assert (one.log.commit, one.is_leader) == (2, False)
    assert {name for name, _ in heard} == {"2", "3"}  # they are told


def test_it_stands_until_that_is_committed_and_not_longer() -> None:
    one = settled("1 2 3")
    one.propose_config(config("2 3"))
    said(one)
    one.step_down()
    wait(one, LONG)
    assert one.role is Role.PRE_CANDIDATE
    hears(one, append("2", 2, (2, 1), [entry(3, 2)], commit=3))
    assert wait(one, 4 * LONG) == []


def test_its_own_vote_does_not_count() -> None:
    one = settled("1 2 3")
    one.propose_config(config("2 3"))
    said(one)
    one.step_down()
    wait(one, LONG)
    hears(one, votes("2", 2, pre=True))
    assert one.role is Role.PRE_CANDIDATE


def test_the_last_voter_stays() -> None:
    with pytest.raises(ConfigRefused, match="nobody would vote"):
        settled("1 | 2").propose_config(Config((), (member("1"), member("2"))))


def test_from_one_to_three_and_back() -> None:
    group = Cluster("1 | 2 3")
    group.elect("1")
    for members in ("1 2 | 3", "1 2 3", "1 2 | 3", "1 | 2 3"):
        group.propose("1", members.replace(" ", ""))
        group.reconfigure("1", members)
        group.settle()
    assert {group.state(name) for name in "123"} == {"12|3 123 12|3 1|23"}
    assert group.core("2").config == config("1 | 2 3")

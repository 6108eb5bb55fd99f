"""Elections (Raft paper 5.2, 5.4.1; thesis 9.6 PreVote, 6.4.1 stickiness)."""

import pytest

from odyssey.clock import SeededEntropy
from odyssey.mesh.raft.types import AnyMessage, AppendReply, Role, VoteReply, VoteRequest
from tests.mesh.raft.alone import (
    LONG,
    answer,
    append,
    asks,
    beat,
    beats_back,
    core,
    hears,
    leader,
    said,
    votes,
    wait,
    write_of,
)
from tests.mesh.raft.cluster import Cluster
from tests.mesh.raft.machine import member
from tests.mesh.raft.words import role

# -- standing ----------------------------------------------------------------------------------------------------------


def test_who_hears_nothing_asks_whether_an_election_would_succeed() -> None:
    one = core("1 1", term=3)
    request = VoteRequest(4, one.me, 2, 1, pre=True)
    assert wait(one, LONG) == [("2", request), ("3", request)]
    assert (one.role, one.term, one.vote) == (Role.PRE_CANDIDATE, 3, None)


def test_the_waiting_time_is_drawn_between_one_and_two_election_timeouts() -> None:
    drawn = set()
    for seed in range(200):
        one = core(entropy=SeededEntropy(seed))
        while one.role is Role.FOLLOWER:
            one.tick()
        drawn.add(one._ticks)
    assert drawn == set(range(15, 31))


def test_who_hears_its_leader_does_not_stand() -> None:
    one = core(term=1)
    for _ in range(10):
        hears(one, beat("2", 1))
        assert wait(one, LONG - 1) == []
    assert one.role is Role.FOLLOWER


def test_a_majority_that_would_vote_makes_a_candidate() -> None:
    one = core("1 1", members="1 2 3 4 5")
    wait(one, LONG)
    assert hears(one, votes("2", 2, pre=True)) == []
    request = VoteRequest(2, one.me, 2, 1)
    assert hears(one, votes("3", 2, pre=True)) == [(name, request) for name in "2345"]
    assert (one.role, one.term, one.vote) == (Role.CANDIDATE, 2, one.me)


def test_a_candidate_asks_when_its_own_vote_is_on_disk() -> None:
    one = core()
    wait(one, LONG)
    one.step(votes("2", 1, pre=True))
    ready = one.ready()
    assert ready.messages == ()
    assert ready.write is not None
    assert (ready.write.hard.term, ready.write.hard.vote) == (1, one.me)
    one.written(ready.write.number)
    assert [type(outgoing.message) for outgoing in one.ready().messages] == [VoteRequest, VoteRequest]


def test_one_alone_elects_itself_but_not_before_its_vote_is_on_disk() -> None:
    one = core(members="1")
    for _ in range(LONG):
        one.tick()
    write = write_of(one)
    assert one.role is Role.CANDIDATE
    one.written(write.number)
    assert one.is_leader


def test_a_vote_of_an_earlier_candidacy_on_disk_is_not_the_vote_of_this_one() -> None:
    one = core(members="1")
    for _ in range(LONG):
        one.tick()
    old = write_of(one)
    for _ in range(LONG):
        one.tick()
    assert (one.role, one.term) == (Role.CANDIDATE, 2)
    one.written(old.number)
    assert role(one) == "candidate"
    one.written(write_of(one).number)
    assert one.is_leader


def test_a_majority_elects() -> None:
    one = core(members="1 2 3 4 5")
    wait(one, LONG)
    hears(one, votes("2", 1, pre=True), votes("3", 1, pre=True))
    hears(one, votes("4", 1))
    assert one.role is Role.CANDIDATE
    hears(one, votes("5", 1))
    assert (one.role, one.leader) == (Role.LEADER, one.me)


def test_a_majority_that_refuses_ends_it() -> None:
    one = core(members="1 2 3 4 5")
    wait(one, LONG)
    hears(one, votes("2", 0, False, pre=True), votes("3", 0, False, pre=True))
    assert role(one) == "pre-candidate"
    hears(one, votes("4", 0, False, pre=True))
    assert (one.role, one.term) == (Role.FOLLOWER, 0)


def test_half_of_four_is_no_majority_and_half_that_refuses_ends_it() -> None:
    one = core(members="1 2 3 4")
    wait(one, LONG)
    hears(one, votes("2", 1, pre=True))
    assert role(one) == "pre-candidate"
    hears(one, votes("3", 0, False, pre=True), votes("4", 0, False, pre=True))
    assert one.role is Role.FOLLOWER


@pytest.mark.parametrize("lost", ["pre-vote", "vote"])
def test_requests_are_repeated_until_they_are_answered(lost: str) -> None:
    """Else a lost one, or one that came before the other had lost patience too, costs a whole timeout."""
    one = core()
    wait(one, LONG)
    if lost == "vote":
        hears(one, votes("2", 1, pre=True))
    said(one)
    repeated = wait(one, 3)
    assert {name for name, _ in repeated} == {"2", "3"}
    hears(one, votes("2", one.term, False, pre=lost == "pre-vote"))
    assert {name for name, _ in wait(one, 3)} == {"3"}


# -- counting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([votes("2", 1), votes("2", 1), votes("2", 1)], id="the same vote again"),
        pytest.param([votes("2", 1), votes("3'", 1)], id="another store of a voter"),
        pytest.param([votes("2", 1), votes("6", 1)], id="no voter"),
        pytest.param([votes("2", 1), votes("3", 1, candidate="1'")], id="for another store of the candidate"),
        pytest.param([votes("2", 1), votes("3", 0)], id="of an older term"),
        pytest.param([votes("2", 1), votes("3", 2, pre=True)], id="only what it would do"),
        pytest.param([votes("2", 1), votes("3", 1, False), votes("3", 1)], id="who has refused"),
    ],
)
def test_what_is_not_a_vote(replies: list[VoteReply]) -> None:
    one = core(members="1 2 3 4 5")
    wait(one, LONG)
    hears(one, votes("2", 1, pre=True), votes("3", 1, pre=True))
    hears(one, *replies)
    assert one.role is Role.CANDIDATE


def test_a_late_answer_to_an_earlier_question_is_not_one_to_this() -> None:
    one = core(members="1 2 3", term=4)
    wait(one, LONG)
    hears(one, votes("2", 4, pre=True))
    assert one.role is Role.PRE_CANDIDATE


# -- voting ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "last", "yes"),
    [
        ("", (0, 0), True),
        ("1 1", (1, 2), True),
        ("1 1", (1, 3), True),
        ("1 1", (1, 1), False),
        ("1 1", (2, 1), True),
        ("1 2", (1, 9), False),
    ],
)
@pytest.mark.parametrize("pre", [False, True])
def test_a_vote_goes_only_to_a_log_that_is_as_good(mine: str, last: tuple[int, int], yes: bool, pre: bool) -> None:
    reply = answer(core(mine, term=2), asks("2", 3, last, pre))
    assert isinstance(reply, VoteReply)
    assert (reply.granted, reply.pre, reply.candidate) == (yes, pre, member("2"))


def test_one_vote_a_term() -> None:
    one = core()
    assert answer(one, asks("2", 1)) == VoteReply(1, one.me, member("2"), True)
    assert answer(one, asks("3", 1)) == VoteReply(1, one.me, member("3"), False)
    assert answer(one, asks("2'", 1)) == VoteReply(1, one.me, member("2'"), False)
    assert answer(one, asks("2", 1)) == VoteReply(1, one.me, member("2"), True)
    assert answer(one, asks("3", 2)) == VoteReply(2, one.me, member("3"), True)


def test_a_vote_waits_for_its_write() -> None:
    one = core()
    one.step(asks("2", 1))
    ready = one.ready()
    assert ready.messages == ()
    assert ready.write is not None
    assert (ready.write.hard.term, ready.write.hard.vote) == (1, member("2"))
    one.written(ready.write.number)
    ((_, reply),) = said(one)
    assert reply == VoteReply(1, one.me, member("2"), True)


def test_to_be_asked_beforehand_changes_nothing() -> None:
    one = core(term=1)
    wait(one, LONG - 1)
    assert answer(one, asks("2", 5, pre=True)) == VoteReply(5, one.me, member("2"), True, pre=True)
    assert (one.term, one.vote, one.role) == (1, None, Role.FOLLOWER)
    assert wait(one, 1) != []  # its own time is up as if nobody had asked


def test_who_would_stand_in_our_term_or_an_older_one_is_refused_and_told_our_term() -> None:
    for term in (1, 2, 3):
        reply = answer(core(term=3), asks("2", term, (9, 9), pre=True))
        assert reply == VoteReply(3, member("1"), member("2"), False, pre=True)


def test_who_has_a_leader_votes_for_nobody_else_in_its_term() -> None:
    one = core(term=1)
    hears(one, beat("2", 1))
    assert answer(one, asks("3", 1, (9, 9))) == VoteReply(1, one.me, member("3"), False)


def test_who_only_asks_beforehand_gives_way_to_who_stands() -> None:
    one = core(term=1)
    wait(one, LONG)
    assert role(one) == "pre-candidate"
    assert answer(one, asks("2", 1)) == VoteReply(1, one.me, member("2"), True)
    assert one.role is Role.FOLLOWER


@pytest.mark.parametrize("name", ["4", "7"])
def test_a_learner_and_even_a_stranger_vote(name: str) -> None:
    """The candidate may know of a promotion that has not come here yet. It decides whom it counts."""
    one = core(members="1 2 3 | 4", name=name)
    assert answer(one, asks("2", 1)) == VoteReply(1, one.me, member("2"), True)
    wait(one, 4 * LONG)
    assert one.role is Role.FOLLOWER  # but it never stands


# -- stickiness, and leaders of other terms ----------------------------------------------------------------------------


@pytest.mark.parametrize("pre", [False, True])
def test_who_hears_its_leader_helps_nobody_to_depose_it(pre: bool) -> None:
    one = core(term=1)
    hears(one, beat("2", 1))
    wait(one, 14)
    assert hears(one, asks("3", 5, (9, 9), pre)) == []
    assert one.term == 1
    wait(one, 1)
    assert len(hears(one, asks("3", 5, (9, 9), pre))) == 1


@pytest.mark.parametrize("pre", [False, True])
def test_a_leader_helps_nobody_to_depose_it(pre: bool) -> None:
    one = leader()
    assert hears(one, asks("3", 5, (9, 9), pre)) == []
    assert (one.term, one.is_leader) == (1, True)


def test_but_if_the_leader_itself_wants_it() -> None:
    one = core(term=1)
    hears(one, beat("2", 1))
    assert answer(one, asks("3", 2, forced=True)) == VoteReply(2, one.me, member("3"), True)


@pytest.mark.parametrize("message", [beat("2", 1), append("2", 1, (0, 0))])
def test_a_candidate_follows_the_leader_of_its_term(message: AnyMessage) -> None:
    one = core()
    wait(one, LONG)
    hears(one, votes("2", 1, pre=True))
    assert one.role is Role.CANDIDATE
    hears(one, message)
    assert (one.role, one.leader, one.vote) == (Role.FOLLOWER, member("2"), one.me)


@pytest.mark.parametrize("message", [beat("2", 1), append("2", 1, (0, 0))])
def test_a_leader_of_an_older_term_is_told(message: AnyMessage) -> None:
    one = core(term=3)
    assert answer(one, message) == AppendReply(3, one.me, False)
    assert one.leader is None


def test_a_newer_term_ends_a_leadership() -> None:
    one = leader()
    hears(one, AppendReply(7, member("2"), False))
    assert (one.role, one.term, one.vote, one.leader) == (Role.FOLLOWER, 7, None, None)


def test_nobody_else_leads_the_term_of_a_leader() -> None:
    one = leader()
    assert hears(one, append("2", 1, (0, 0), commit=9), beat("3", 1)) == []
    assert one.is_leader


# -- CheckQuorum -------------------------------------------------------------------------------------------------------


def test_a_leader_that_hears_no_quorum_steps_down_after_an_election_timeout() -> None:
    one = leader()
    wait(one, 14)
    assert one.is_leader
    wait(one, 1)
    assert (one.role, one.term) == (Role.FOLLOWER, 1)


@pytest.mark.parametrize(
    ("members", "heard", "stays"), [("1 2 3", "2", True), ("1 2 3 4 5", "2", False), ("1 2", "", False)]
)
def test_a_quorum_counts_voters_only(members: str, heard: str, stays: bool) -> None:
    one = leader(members=f"{members} | 8 9")
    for _ in range(10):
        hears(one, *(beats_back(name, 1, 0) for name in [*heard.split(), "8", "9"]))
        wait(one, 10)
    assert one.is_leader == stays


def test_two_voters_elect_and_so_do_four() -> None:
    for members in ("1 2", "1 2 3 4"):
        group = Cluster(members)
        group.elect("2")
        group.propose("2", "x")
        group.settle()
        assert {group.state(name) for name in members.split()} == {"x"}


# -- how long it takes -------------------------------------------------------------------------------------------------


def test_of_two_who_ask_at_once_one_gives_way() -> None:
    group = Cluster("1 2 3")
    group.crash("3")
    for name in "12":
        group.timeout(name)
    group.settle()
    assert group.leader == "1"
    assert group.core("1").term == 1


def test_who_asks_at_once_gives_way_to_a_better_log() -> None:
    one = core("1 1", term=1)
    wait(one, LONG)
    for name, last, yes in (("2", (1, 2), False), ("2", (1, 3), True), ("0", (1, 2), True)):
        reply = answer(one, asks(name, 2, last, pre=True))
        assert isinstance(reply, VoteReply)
        assert reply.granted == yes


def failover_ticks(seed: int, members: str) -> int:
    """From the crash of a leader to the first commit of the next, where a message takes one tick."""
    group = Cluster(members, entropy=SeededEntropy(seed).fork)

    def pass_time() -> None:
        group.tick(members)
        group.deliver(list(group.wire))

    def led() -> bool:
        return bool(group.leader) and group.core(group.leader).leads_safely

    ticks = 0
    while not led():
        pass_time()
    for _ in range(20 + seed % 10):
        pass_time()
    group.crash(group.leader)
    while not led():
        pass_time()
        ticks += 1
    return ticks


@pytest.mark.parametrize("members", ["1 2 3", "1 2 3 4 5"])
def test_a_new_leader_is_there_in_time(members: str) -> None:
    """A tick is 0.1 s: half of the time within 3 s, always within 5 s."""
    taken = sorted(failover_ticks(seed, members) for seed in range(100))
    assert taken[50] <= 30
    assert taken[-1] <= 50

"""Replication (Raft paper 5.3): the log of a follower becomes the leader's, whatever is lost, doubled or late."""

from collections.abc import Sequence

import pytest

from odyssey.clock import SeededEntropy
from odyssey.mesh.raft import core as core_module
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.types import AnyMessage, Append, AppendReply, HardState, Outgoing
from tests.mesh.raft.alone import (
    answer,
    append,
    beats_back,
    core,
    entries,
    entry,
    hears,
    holds,
    leader,
    refuses,
    said,
    wait,
)
from tests.mesh.raft.cluster import Cluster

# -- a leader ----------------------------------------------------------------------------------------------------------


def appends(heard: Sequence[tuple[str, AnyMessage]], to: str) -> list[Append]:
    return [message for name, message in heard if name == to and isinstance(message, Append)]


def test_a_leader_begins_its_term_with_an_entry_of_its_own() -> None:
    one = leader("1 1")
    assert [(item.index, item.term) for item in one.log.all()] == [(1, 1), (2, 1), (3, 2)]


def test_what_is_proposed_together_travels_together() -> None:
    one = leader()
    hears(one, holds("2", 1, 1))
    for data in (b"a", b"b", b"c"):
        one.propose(data)
    (message,) = appends(said(one), "2")
    assert [item.data for item in message.entries] == [b"a", b"b", b"c"]
    assert (message.prev_index, message.prev_term) == (1, 1)


def test_a_follower_that_has_not_answered_yet_gets_one_append_only() -> None:
    one = leader()
    for _ in range(5):
        one.propose(b"x")
        assert appends(said(one), "2") == []
    assert len(appends(hears(one, holds("2", 1, 1)), "2")) == 1


def streaming() -> Core:
    """1 leads, and 2 holds all it has and knows that it is committed."""
    one = leader()
    hears(one, holds("2", 1, 1))
    hears(one, holds("2", 1, 1))
    return one


def test_after_that_they_flow_without_waiting_up_to_a_window() -> None:
    one = streaming()
    sent = 0
    for _ in range(100):
        one.propose(b"x")
        sent += len(appends(said(one), "2"))
    assert sent == 64
    assert len(appends(hears(one, holds("2", 1, 11)), "2")) == 1  # the rest, in one
    assert one.peers[one.config.voters[1]].next == 102


def test_an_answer_to_a_heartbeat_lets_one_more_through() -> None:
    """Else a window full of lost appends would be the end."""
    one = streaming()
    for _ in range(70):
        one.propose(b"x")
        said(one)
    (probe,) = appends(hears(one, beats_back("2", 1, 1)), "2")
    assert probe.prev_index == 65
    assert hears(one, refuses("2", 1, 65, 1))[0][1] == append("1", 1, (1, 1), one.log.all()[1:], 1)


def test_large_appends_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "APPEND_ENTRIES", 3)
    monkeypatch.setattr(core_module, "APPEND_BYTES", 100)
    one = leader()
    hears(one, holds("2", 1, 1))
    for size in (1, 1, 1, 1, 99, 1, 1, 500, 1):
        one.propose(bytes(size))
    sizes = [[len(item.data) for item in message.entries] for message in appends(said(one), "2")]
    assert sizes == [[1, 1, 1], [1, 99], [1, 1], [500], [1]]


def test_a_refusal_makes_the_leader_look_for_the_place() -> None:
    one = leader("1 1 1 1")
    (message,) = appends(hears(one, refuses("2", 2, 4, 2)), "2")
    assert (message.prev_index, [item.index for item in message.entries]) == (2, [3, 4, 5])


@pytest.mark.parametrize("late", [refuses("2", 2, 3, 0), refuses("2", 2, 5, 3), refuses("2", 2, 1, 0)])
def test_a_late_refusal_changes_nothing(late: AppendReply) -> None:
    """It is about another append than the one under way, or about what is known to be equal."""
    one = leader("1 1 1 1")
    hears(one, refuses("2", 2, 4, 2))
    before = one.peers[one.config.voters[1]].next
    assert hears(one, late) == []
    assert one.peers[one.config.voters[1]].next == before


def test_a_leader_cuts_nothing_of_its_own() -> None:
    one = leader("1 1")
    hears(one, append("2", 2, (0, 0), entries("2")), append("2", 1, (0, 0), entries("1")))
    assert [item.term for item in one.log.all()] == [1, 1, 2]


def test_a_dead_follower_is_not_flooded() -> None:
    one = streaming()
    heard: list[tuple[str, AnyMessage]] = []
    for _ in range(100):
        one.propose(b"x")
        heard += wait(one, 1)
        hears(one, beats_back("2", 1, 1), holds("2", 1, one.log.last))
    assert len(appends(heard, "3")) == 0


# -- a follower --------------------------------------------------------------------------------------------------------


def test_a_follower_takes_what_fits() -> None:
    one = core("1 1")
    assert answer(one, append("2", 2, (2, 1), entries("2 2", 3))) == AppendReply(2, one.me, True, match=4)
    assert [item.term for item in one.log.all()] == [1, 1, 2, 2]


def test_what_differs_is_replaced_and_what_follows_it_is_gone() -> None:
    one = core("1 1 1 1", members="1 2 3")
    assert answer(one, append("2", 2, (1, 1), entries("1 2", 2))) == AppendReply(2, one.me, True, match=3)
    assert [item.term for item in one.log.all()] == [1, 1, 2]


def test_what_does_not_differ_stays() -> None:
    one = core("1 1 1 1")
    assert answer(one, append("2", 1, (1, 1), entries("1", 2))) == AppendReply(1, one.me, True, match=2)
    assert answer(one, append("2", 1, (1, 1))) == AppendReply(1, one.me, True, match=1)
    assert one.log.last == 4


@pytest.mark.parametrize(
    ("mine", "prev", "hint"),
    [
        ("1 1", (5, 1), 2),  # too short
        ("1 1 2 2", (4, 3), 2),  # all of term 2 is skipped
        ("1 1 4 4 4", (5, 3), 2),  # younger than anything the leader has there
        ("1 1 2 3 4", (5, 2), 3),  # entries of term 3 cannot be there either, of term 2 they may
        ("2 2 2", (3, 1), 0),
    ],
)
def test_a_refusal_says_what_is_worth_trying(mine: str, prev: tuple[int, int], hint: int) -> None:
    one = core(mine, term=5)
    assert answer(one, append("2", 5, prev)) == AppendReply(5, one.me, False, prev_index=prev[0], hint=hint)


def test_a_hint_never_goes_below_what_is_committed() -> None:
    one = core("1 1 1 1 1", commit=3)
    reply = answer(one, append("2", 2, (5, 2)))
    assert isinstance(reply, AppendReply)
    assert reply.hint == 3


def test_a_leader_that_would_cut_what_is_committed_has_lost_something() -> None:
    for message in (append("2", 2, (1, 1), entries("2", 2)), append("2", 2, (3, 2)), append("2", 2, (1, 2))):
        one = core("1 1 1 1", commit=3)
        assert answer(one, message) == AppendReply(2, one.me, False, prev_index=message.prev_index, rewound=True)
        assert one.rewound == message.sender
        assert (one.log.last, one.log.commit) == (4, 3)


def test_a_leader_that_is_told_so_leads_no_more() -> None:
    one = leader()
    hears(one, AppendReply(1, one.config.voters[1], False, rewound=True))
    assert (one.is_leader, one.rewound) == (False, one.me)


def test_a_leader_that_hears_of_more_than_it_has_leads_no_more() -> None:
    """A follower answers with what is committed; every leader has that."""
    one = leader()
    hears(one, holds("2", 1, 2))
    assert (one.is_leader, one.rewound) == (False, one.me)


# -- together ----------------------------------------------------------------------------------------------------------

LEADER = "1 1 1 4 4 5 5 6 6 6"
FIGURE_7 = {
    "a": "1 1 1 4 4 5 5 6 6",
    "b": "1 1 1 4",
    "c": "1 1 1 4 4 5 5 6 6 6 6",
    "d": "1 1 1 4 4 5 5 6 6 6 7 7",
    "e": "1 1 1 4 4 4 4",
    "f": "1 1 1 2 2 2 3 3 3 3 3",
}


def with_log(group: Cluster, node: str, terms: str, term: int) -> None:
    disk = group.machines[node].disk
    disk.entries, disk.hard = entries(terms), HardState(term)
    group.restart(node)


@pytest.mark.parametrize("case", FIGURE_7)
def test_figure_7(case: str) -> None:
    group = Cluster("1 2 3")
    with_log(group, "1", LEADER, 7)
    with_log(group, "2", LEADER, 7)
    with_log(group, "3", FIGURE_7[case], 7)
    group.elect_by("1", "2")
    group.settle()
    assert group.core("3").log.all() == group.core("1").log.all()


def test_a_long_tail_of_another_term_costs_a_few_rounds_only() -> None:
    group = Cluster("1 2 3")
    with_log(group, "1", "1 " + "3 " * 400, 4)
    with_log(group, "2", "1 " + "3 " * 400, 4)
    with_log(group, "3", "1 " + "2 " * 300, 4)
    refused = []
    group.tell = lambda name, what, about: refused.append(about) if is_refusal(about) else None
    group.elect_by("1", "2")
    group.settle()
    assert group.core("3").log.all() == group.core("1").log.all()
    assert len(refused) <= 3


def is_refusal(about: object) -> bool:
    return isinstance(about, Outgoing) and isinstance(about.message, AppendReply) and not about.message.ok


@pytest.mark.parametrize("seed", range(10))
def test_any_order_gives_the_same_log(seed: int) -> None:
    chance = SeededEntropy(seed)
    group = Cluster("1 2 3")
    group.elect("1")
    for number in range(60):
        group.propose("1", f"c{number}")
        for _ in range(chance.below(6)):
            if group.wire:
                group.deliver([chance.choose(group.wire)])
        if group.wire and chance.chance(200):
            group.wire.remove(chance.choose(group.wire))
    for _ in range(5):
        group.tick("1", 3)
        group.settle()
    assert group.state("1") == group.state("2") == group.state("3") == " ".join(f"c{n}" for n in range(60))


def test_entries_that_do_not_follow_are_refused_by_the_log() -> None:
    with pytest.raises(ValueError, match="cannot follow"):
        core("1").step(append("2", 1, (1, 1), [entry(3, 1)]))

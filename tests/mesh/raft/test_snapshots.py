"""Snapshots (Raft paper 7): what is compacted, offered, fetched and installed, and what must never go back."""

import pytest

from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.log import Log
from odyssey.mesh.raft.types import AppendReply, HardState, Install, Kind, LogEntry, Snapshot
from tests.mesh.raft.alone import (
    LONG,
    append,
    beat,
    beats_back,
    core,
    entries,
    entry,
    hears,
    holds,
    leader,
    refuses,
    said,
    votes,
    wait,
    write_of,
)
from tests.mesh.raft.alone import answer as answered
from tests.mesh.raft.cluster import Cluster, Longest
from tests.mesh.raft.machine import config, member

THREE = config("1 2 3")


def snapshot(index: int, term: int, members: str = "1 2 3") -> Snapshot:
    return Snapshot(index, term, config(members), b"digest", 6)


def offer(name: str, term: int, index: int, at: int) -> Install:
    return Install(term, member(name), snapshot(index, at))


def compacted(terms: str, index: int, members: str = "1 2 3") -> Core:
    """A follower whose log begins after `index`; all up to there is committed."""
    held = entries(terms)
    base = Snapshot(index, held[index - 1].term, config(members), b"digest", 6)
    return Core(member("1"), HardState(held[-1].term, None, index), Log(base, held[index:], index), Longest())


# -- a snapshot of one's own -------------------------------------------------------------------------------------------


def test_what_it_covers_is_forgotten_and_the_rest_stays() -> None:
    one = core("1 1 2 2", commit=3)
    said(one)
    one.compact(snapshot(2, 1))
    log = one.log
    assert (log.snapshot.index, log.last, log.last_term, log.commit, log.stable) == (2, 4, 2, 3, 4)
    assert [log.term(index) for index in range(6)] == [None, None, 1, 2, 2, None]


@pytest.mark.parametrize("index", [0, 4, 9])
def test_only_what_was_applied(index: int) -> None:
    one = core("1 1 2 2", commit=3)
    said(one)
    one.compact(snapshot(index, 2))
    assert one.log.snapshot.index == 0


def test_an_older_one_changes_nothing() -> None:
    one = core("1 1 2 2", commit=3)
    said(one)
    one.compact(snapshot(3, 2))
    one.compact(snapshot(2, 1))
    assert one.log.snapshot.index == 3


def test_it_must_carry_the_term_and_the_config_of_its_place_and_not_the_newest() -> None:
    group = Cluster("1 2 3")
    group.elect("1")
    group.propose("1", "a")
    group.settle()
    group.cut("1", "2 3")
    group.reconfigure("1", "1 2")  # not committed, and will be taken back
    one = group.core("1")
    with pytest.raises(ValueError, match="config"):
        one.compact(Snapshot(2, 1, one.config, b"digest", 6))
    with pytest.raises(ValueError, match="config"):
        one.compact(Snapshot(2, 2, one.log.config_at(2), b"digest", 6))
    one.compact(Snapshot(2, 1, one.log.config_at(2), b"digest", 6))
    assert (one.log.config_at(2), one.config) == (THREE, config("1 2"))


def test_some_of_what_it_covers_may_be_kept_for_members_that_lag() -> None:
    one = leader("1 1 1 1")
    hears(one, holds("2", 2, 5))
    one.compact(snapshot(5, 2), keep_from=3)
    log = one.log
    assert (log.snapshot.index, log.last, log.last_term, log.all(), log.unstable()) == (5, 5, 2, (), ())
    assert [log.term(index) for index in range(7)] == [None, None, None, 1, 1, 2, None]
    ((_, message),) = hears(one, refuses("3", 2, 4, 3))
    assert message == append("1", 2, (3, 1), [*entries("1", 4), LogEntry(5, 2, Kind.START, b"")], 5)


def test_what_is_kept_is_neither_written_nor_handed_out_again() -> None:
    one = core("1 1 2 2", commit=3)
    said(one)
    one.compact(snapshot(3, 2), keep_from=2)
    assert [item.index for item in one.log.all()] == [4]
    hears(one, beat("2", 2, (4, 2)))
    assert one.log.handed == 4
    one.step(append("2", 3, (3, 2), entries("3 3", 4)))
    assert one.log.last_term == 2  # entry 4 is committed: it stays


def test_who_lacks_more_than_is_kept_gets_the_snapshot() -> None:
    one = leader("1 1 1 1")
    hears(one, holds("2", 2, 5))
    one.compact(snapshot(5, 2), keep_from=3)
    assert [message for _, message in hears(one, refuses("3", 2, 4, 2))] == [Install(2, one.me, snapshot(5, 2))]


def test_an_install_drops_what_was_kept() -> None:
    one = core("1 1 2 2", commit=3)
    said(one)
    one.compact(snapshot(3, 2), keep_from=1)
    hears(one, offer("2", 3, 9, 3))
    assert one.install(snapshot(9, 3))
    assert [one.log.term(index) for index in (1, 3, 4, 9, 10)] == [None, None, None, 3, None]
    hears(one, append("2", 3, (9, 3), entries("3", 10)))
    assert (one.log.last, one.log.stable) == (10, 10)


def test_an_append_that_begins_before_it_is_compared_where_it_can_be() -> None:
    one = compacted("1 1 1 1", 3)
    assert answered(one, append("2", 2, (1, 1), entries("1 1 1 2", 2))) == AppendReply(2, one.me, True, match=5)
    assert answered(one, append("2", 2, (1, 1), entries("1", 2))) == AppendReply(2, one.me, True, match=3)
    assert one.log.last == 5


def test_a_leader_with_another_entry_at_its_end_has_lost_something() -> None:
    one = compacted("1 1 1 1", 3)
    reply = answered(one, append("2", 2, (1, 1), entries("1 2", 2)))
    assert isinstance(reply, AppendReply)
    assert reply.rewound


# -- a leader that offers one ------------------------------------------------------------------------------------------


def lagging(members: str = "1 2 3", behind: str = "3") -> Core:
    """1 leads, has compacted up to 3, and finds out that somebody has nothing."""
    one = leader("1 1", members)
    hears(one, *(holds(voter.node, 2, 3) for voter in one.config.voters if voter.node not in ("1", behind)))
    one.compact(snapshot(3, 2, members))
    heard = hears(one, refuses(behind, 2, 2, 0))
    assert heard == [(behind, Install(2, one.me, snapshot(3, 2, members)))]
    return one


def test_while_it_is_fetched_nothing_else_is_sent() -> None:
    one = lagging()
    one.propose(b"x")
    assert {name for name, _ in hears(one, beats_back("3", 2, 0), refuses("3", 2, 2, 0))} == {"2"}


def test_when_it_is_there_the_rest_follows() -> None:
    one = lagging()
    one.propose(b"x")
    said(one)
    assert hears(one, holds("3", 2, 3)) == [("3", append("1", 2, (3, 2), one.log.all(), 3))]


@pytest.mark.parametrize(("members", "behind"), [("1 2 3", "3"), ("1 2 3 | 4", "4"), ("1 | 4", "4")])
def test_it_is_offered_again_while_the_peer_lives(members: str, behind: str) -> None:
    """Also to a learner: the offer or its answer may be lost."""
    one = lagging(members, behind)
    offers = []
    for _ in range(10):
        heard = hears(one, *(beats_back(other.node, 2, 0) for other in one.config.members if other != one.me))
        heard += wait(one, 3)
        offers += [message for _, message in heard if isinstance(message, Install)]
    assert len(offers) == 2  # every election timeout


def test_it_is_not_offered_to_the_dead() -> None:
    """Once more, because it has just refused an append; then never again."""
    one = lagging()
    offers = []
    for _ in range(20):
        heard = hears(one, beats_back("2", 2, 0)) + wait(one, 3)
        offers += [message for _, message in heard if isinstance(message, Install)]
    assert len(offers) == 1


# -- a follower that gets one ------------------------------------------------------------------------------------------


def fetching(terms: str = "1 1", index: int = 5, term: int = 2, commit: int = 0) -> Core:
    one = core(terms, commit=commit)
    said(one)
    assert hears(one, offer("2", 3, index, term)) == []
    assert one.ready().fetch == snapshot(index, term)
    return one


def test_it_takes_the_place_of_the_log() -> None:
    one = fetching()
    assert one.install(snapshot(5, 2))
    write = write_of(one)
    assert (write.snapshot, write.entries, write.hard) == (snapshot(5, 2), (), HardState(3, None, 5))
    one.written(write.number)
    assert said(one) == [("2", AppendReply(3, one.me, True, match=5))]
    assert (one.log.last, one.log.last_term, one.log.commit, one.log.handed) == (5, 2, 5, 5)
    assert one.ready().fetch is None


def test_the_acknowledgement_waits_for_the_write() -> None:
    one = fetching()
    one.install(snapshot(5, 2))
    assert one.ready().messages == ()


def test_entries_of_another_branch_that_go_further_are_dropped() -> None:
    one = fetching("1 1 1 1 1 1 1 1")
    assert one.install(snapshot(5, 2))
    assert (one.log.last, one.log.last_term, write_of(one).entries) == (5, 2, ())


def test_what_stays_is_written_again_for_a_snapshot_replaces_all_on_disk() -> None:
    """Also what another write brings to disk between the installing and the writing."""
    one = fetching("1 1 1 1 1 1 1 1", index=4)
    one.step(append("2", 3, (1, 1), entries("2 2 2 2", 2)))
    under_way = write_of(one)
    one.step(append("2", 3, (5, 2), entries("3", 6)))
    assert one.install(snapshot(4, 2))
    one.written(under_way.number)
    write = write_of(one)
    assert (write.snapshot, [item.index for item in write.entries]) == (snapshot(4, 2), [5, 6])


def test_one_that_is_already_covered_by_the_log_is_acknowledged() -> None:
    one = core("1 1 1 1")
    assert answered(one, offer("2", 2, 3, 1)) == AppendReply(2, one.me, True, match=3)
    assert (one.log.commit, one.log.last, one.ready().fetch) == (3, 4, None)


def test_one_that_is_older_than_what_is_committed_is_answered_with_that() -> None:
    one = core("1 1 1 1", commit=4)
    assert answered(one, offer("2", 2, 2, 1)) == AppendReply(2, one.me, True, match=4)


def test_bytes_that_come_too_late_are_not_wanted() -> None:
    one = fetching("1 1")
    hears(one, append("2", 3, (2, 1), entries("2 2 2 2", 3), commit=6))
    assert not one.install(snapshot(5, 2))
    assert (one.log.snapshot.index, one.log.last, one.log.commit) == (0, 6, 6)


def test_nothing_is_fetched_any_more_once_the_log_has_caught_up() -> None:
    one = fetching("1 1")
    hears(one, append("2", 3, (2, 1), entries("2 2 2 2", 3), commit=6))
    assert one.ready().fetch is None


def test_nobody_asked_for_it() -> None:
    one = core("1 1")
    assert not one.install(snapshot(5, 2))
    assert one.log.last == 2


def test_who_has_become_leader_meanwhile_keeps_its_own_log() -> None:
    one = fetching("1 1")
    wait(one, LONG)
    hears(one, votes("2", 4, pre=True))
    hears(one, votes("2", 4))
    assert one.is_leader
    assert not one.install(snapshot(5, 2))
    assert [item.term for item in one.log.all()] == [1, 1, 4]


def test_a_newer_offer_takes_the_place_of_the_old_one() -> None:
    one = fetching()
    hears(one, offer("2", 3, 9, 3))
    assert one.ready().fetch == snapshot(9, 3)


def test_the_config_of_a_snapshot_counts() -> None:
    one = core("1 1", members="1 2 3")
    hears(one, Install(3, member("2"), snapshot(5, 2, "1 2 | 3 4")))
    one.install(snapshot(5, 2, "1 2 | 3 4"))
    assert (one.config, one.log.config_index) == (config("1 2 | 3 4"), 5)


def test_entries_after_it_do_not_come_before_it_on_disk() -> None:
    one = fetching()
    one.install(snapshot(5, 2))
    one.step(append("2", 3, (5, 2), [entry(6, 3)], commit=6))
    write = write_of(one)
    assert (write.snapshot, [item.index for item in write.entries]) == (snapshot(5, 2), [6])
    one.written(write.number)
    assert [item.index for item in one.ready().committed] == [6]


def test_a_crash_before_or_after_the_write() -> None:
    for after_write in (False, True):
        group = Cluster("1 2 3")
        group.elect("1")
        group.cut("3", "1 2")
        group.propose("1", "a", "b")
        group.settle()
        group.compact("1")
        group.heal()
        group.machines["3"].slow = True
        for _ in range(10):
            group.tick("1", 3)
            group.settle()
        assert group.state("3") == "a b"
        group.crash("3", after_write)
        group.restart("3")
        assert group.state("3") == ("a b" if after_write else "")
        group.machines["3"].slow = False
        for _ in range(10):
            group.tick("1", 3)
            group.settle()
        assert group.state("3") == "a b"

"""The log in memory: what follows, what is cut, what is on disk, and which config counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey import wire
from odyssey.errors import NotUnderstood
from odyssey.mesh.raft.log import CutsCommitted, Log
from odyssey.mesh.raft.types import Kind, LogEntry, Snapshot
from tests.mesh.raft.alone import entries, entry, log
from tests.mesh.raft.machine import config


def changed(index: int, term: int, members: str) -> LogEntry:
    return LogEntry(index, term, Kind.CONFIG, wire.encode(config(members)))


def terms(one: Log) -> list[int]:
    return [item.term for item in one.all()]


def test_an_empty_log() -> None:
    one = log()
    assert (one.last, one.last_term, one.commit, one.stable, one.handed) == (0, 0, 0, 0, 0)
    assert [one.term(index) for index in (-1, 0, 1)] == [None, 0, None]
    assert one.all() == one.unstable() == one.since(1, 10, 10) == ()


def test_terms_are_known_for_what_is_held_and_for_the_snapshot() -> None:
    one = Log(Snapshot(3, 2), entries("2 5", 4), 3)
    assert [one.term(index) for index in range(7)] == [None, None, None, 2, 2, 5, None]
    assert (one.last, one.last_term) == (5, 5)


@pytest.mark.parametrize("indexes", [(3,), (3, 4), (2, 4), (2, 2)])
def test_only_entries_that_follow_can_be_appended(indexes: tuple[int, ...]) -> None:
    one = log("1")
    with pytest.raises(ValueError, match="cannot follow 1"):
        one.merge(1, 1, [entry(index, 1) for index in indexes])
    assert one.last == 1


def test_a_config_of_a_newer_version_changes_nothing() -> None:
    one = log("1 1 1")
    newer = LogEntry(3, 2, Kind.CONFIG, wire.encode([[], [], [["a witness"]]]))
    with pytest.raises(NotUnderstood):
        one.merge(1, 1, [entry(2, 2), newer])
    assert (terms(one), one.stable, one.config) == ([1, 1, 1], 3, config("1 2 3"))


@pytest.mark.parametrize(
    ("prev", "some", "match", "after"),
    [
        ((0, 0), "", 0, [1, 1, 2]),
        ((0, 0), "1 1", 2, [1, 1, 2]),
        ((3, 2), "2", 4, [1, 1, 2, 2]),
        ((2, 1), "2 2", 4, [1, 1, 2, 2]),
        ((1, 1), "3", 2, [1, 3]),
        ((0, 0), "1 3", 2, [1, 3]),
        ((3, 1), "1", None, [1, 1, 2]),
        ((4, 2), "2", None, [1, 1, 2]),
    ],
)
def test_merge(prev: tuple[int, int], some: str, match: int | None, after: list[int]) -> None:
    one = log("1 1 2")
    assert one.merge(*prev, entries(some, prev[0] + 1)) == match
    assert terms(one) == after


def test_what_is_committed_is_never_cut() -> None:
    one = log("1 1 2", commit=2)
    for prev, some in (((0, 0), "1 3"), ((1, 1), "3"), ((1, 3), ""), ((2, 2), "")):
        with pytest.raises(CutsCommitted):
            one.merge(*prev, entries(some, prev[0] + 1))
    assert terms(one) == [1, 1, 2]
    assert one.merge(2, 1, entries("3", 3)) == 3


def test_to_be_told_of_committed_entries_again_is_to_hold_all_that_is_committed() -> None:
    assert log("1 1 1 1", commit=3).merge(0, 0, entries("1")) == 3


def test_entries_to_send_are_limited_by_number_and_by_bytes_but_one_always_goes() -> None:
    one = Log(Snapshot(1, 1), [entry(index, 1, bytes(10)) for index in range(2, 8)], 1)
    assert [item.index for item in one.since(3, 2, 1000)] == [3, 4]
    assert [item.index for item in one.since(3, 9, 25)] == [3, 4]
    assert [item.index for item in one.since(3, 9, 0)] == [3]
    assert [item.index for item in one.since(7, 9, 99)] == [7]
    assert one.since(8, 9, 99) == ()


# -- disk --------------------------------------------------------------------------------------------------------------


def test_what_was_written_counts_if_it_is_still_there() -> None:
    one = log("1")
    one.merge(1, 1, entries("1 1 1", 2))
    assert (one.stable, [item.index for item in one.unstable()]) == (1, [2, 3, 4])
    one.written(entry(3, 1))
    assert one.stable == 3
    one.merge(1, 1, entries("2 2", 2))
    assert (one.stable, terms(one)) == (1, [1, 2, 2])
    one.written(entry(4, 1))
    one.written(entry(3, 1))
    assert one.stable == 1
    one.written(entry(3, 2))
    assert one.stable == 3


def test_aba_the_same_entry_again_is_the_same_entry() -> None:
    """Index and term name it, and all before it."""
    one = log("1")
    one.merge(1, 1, entries("1 1", 2))
    one.merge(1, 1, entries("2", 2))
    one.merge(1, 1, entries("1 1 3", 2))
    one.written(entry(3, 1))
    assert (one.stable, [item.index for item in one.unstable()]) == (3, [4])


def test_an_older_write_takes_nothing_back() -> None:
    one = log("1 1 1")
    one.written(entry(2, 1))
    assert one.stable == 3


# -- configs -----------------------------------------------------------------------------------------------------------


def test_the_newest_config_counts_and_the_one_of_any_place_is_known() -> None:
    one = Log(Snapshot(2, 1, config("1")), [changed(3, 1, "1 | 2"), entry(4, 1), changed(5, 1, "1 2")], 4)
    assert (one.config, one.config_index) == (config("1 2"), 5)
    assert [one.config_at(index) for index in (2, 3, 4, 5)] == [*map(config, ("1", "1 | 2", "1 | 2", "1 2"))]


def test_a_config_that_is_cut_counts_no_more() -> None:
    one = Log(Snapshot(config=config("1")), [changed(1, 1, "1 | 2"), changed(2, 1, "1 2")], 0)
    one.merge(1, 1, [entry(2, 2)])
    assert (one.config, one.config_index) == (config("1 | 2"), 1)
    one.merge(0, 0, [entry(1, 3)])
    assert (one.config, one.config_index) == (config("1"), 0)


def test_configs_before_and_after_a_snapshot() -> None:
    one = Log(Snapshot(config=config("1")), [changed(1, 1, "1 | 2"), entry(2, 1), changed(3, 1, "1 2")], 3)
    one.hand_out(9)
    one.compact(Snapshot(2, 1, config("1 | 2")))
    assert (one.config, one.config_at(2), one.config_index) == (config("1 2"), config("1 | 2"), 3)
    one.compact(Snapshot(3, 1, config("1 2")))
    assert (one.config, one.config_index) == (config("1 2"), 3)


def test_a_snapshot_of_another_branch_brings_its_config() -> None:
    one = Log(Snapshot(config=config("1")), [changed(1, 1, "1 | 2"), changed(2, 1, "1 2")], 0)
    one.install(Snapshot(2, 2, config("1 | 3")))
    assert (one.config, one.config_index, one.last) == (config("1 | 3"), 2, 2)


# -- against a plain model ---------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 6), st.lists(st.booleans(), max_size=4)), max_size=12))
def test_merging_leaders_one_after_another(told: list[tuple[int, list[bool]]]) -> None:
    """Each leader has what the one before it had up to some place, and then entries of its own or of nobody."""
    one, model = log(), [0]
    for term, (keep, own) in enumerate(told, start=1):
        leader = model[: keep + 1] + [term for _ in own]
        prev = min(keep, len(model) - 1, len(leader) - 1)
        assert one.merge(prev, leader[prev], entries(" ".join(map(str, leader[prev + 1 :])), prev + 1)) is not None
        model = leader if len(leader) > prev + 1 else model
        assert terms(one) == model[1:]
        assert one.last == len(model) - 1
        assert one.stable <= one.last

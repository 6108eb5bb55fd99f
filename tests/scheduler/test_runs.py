"""Arithmetic on runs is arithmetic on tasks: every function does to ranges what a plain list of states would do."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from odyssey.commands import Span
from odyssey.model import Run, TaskState
from odyssey.scheduler.runs import change, cut, first_waiting, joined, outside, size, spans_of, tidy
from odyssey.scheduler.transitions.base import newly

T = TaskState
COUNT = 14
Plain = list[TaskState | None]  # by index; None: the task has a record

plains = st.lists(st.sampled_from([None, T.WAITING, T.WAITING, T.CANCELLED, T.SKIPPED]), max_size=COUNT)
spans = st.lists(st.tuples(st.integers(0, COUNT), st.integers(0, COUNT)), max_size=4)
some_states = st.frozensets(st.sampled_from([T.WAITING, T.CANCELLED, T.SKIPPED]))


def runs_of(plain: Plain) -> tuple[Run, ...]:
    return joined(Run(index, index + 1, state) for index, state in enumerate(plain) if state is not None)


def plain_of(runs: Iterable[Run], count: int) -> Plain:
    plain: Plain = [None] * count
    for run in runs:
        for index in range(run.start, run.stop):
            assert plain[index] is None, "two runs hold the same task"
            plain[index] = run.state
    return plain


def are_tidy(runs: tuple[Run, ...]) -> bool:
    """In order, disjoint, non-empty, and neighbours of equal state are joined."""
    return all(run.start < run.stop for run in runs) and all(
        left.stop < right.start or (left.stop == right.start and left.state is not right.state)
        for left, right in pairwise(runs)
    )


def inside(index: int, only: Iterable[Span]) -> bool:
    return any(start <= index < stop for start, stop in only)


@given(plains)
def test_runs_say_what_the_list_says(plain: Plain) -> None:
    runs = runs_of(plain)
    assert are_tidy(runs)
    assert plain_of(runs, len(plain)) == plain


@given(plains)
def test_the_first_waiting_task_is_the_first(plain: Plain) -> None:
    assert first_waiting(runs_of(plain)) == next((at for at, state in enumerate(plain) if state is T.WAITING), None)


@given(plains, st.integers(-1, COUNT), st.integers(-1, COUNT + 1))
def test_a_cut_takes_exactly_these_tasks_and_only_if_all_of_them_wait(plain: Plain, start: int, stop: int) -> None:
    left = cut(runs_of(plain), start, stop)
    wanted = range(start, stop)
    if len(wanted) and start >= 0 and stop <= len(plain) and all(plain[at] is T.WAITING for at in wanted):
        assert left is not None
        assert are_tidy(left)
        assert plain_of(left, len(plain)) == [None if at in wanted else state for at, state in enumerate(plain)]
    else:
        assert left is None


@given(plains, spans, some_states, st.sampled_from([T.WAITING, T.CANCELLED, T.SKIPPED]))
def test_a_change_reaches_what_is_meant_and_nothing_else(
    plain: Plain, given: list[Span], old: frozenset[TaskState], new: TaskState
) -> None:
    only = tidy(given)
    changed = change(runs_of(plain), only, old, new)
    assert are_tidy(changed)
    assert plain_of(changed, len(plain)) == [
        new if state in old and (not only or inside(at, only)) else state for at, state in enumerate(plain)
    ]


@given(plains, spans, st.sampled_from([T.CANCELLED, T.SKIPPED]))
def test_what_is_newly_ended_is_what_waited_before(plain: Plain, given: list[Span], new: TaskState) -> None:
    before = runs_of(plain)
    after = change(before, tidy(given), frozenset({T.WAITING}), new)
    found = [at for start, stop in newly(before, after, new) for at in range(start, stop)]
    waited = [at for at, state in enumerate(plain) if state is T.WAITING]
    assert found == [at for at in waited if plain_of(after, len(plain))[at] is new]


@given(plains, some_states)
def test_the_size_is_the_number_of_tasks(plain: Plain, states: frozenset[TaskState]) -> None:
    assert size(runs_of(plain), states) == sum(state in states for state in plain)


@given(plains, spans)
def test_outside_are_the_tasks_with_a_record(plain: Plain, given: list[Span]) -> None:
    records = [at for at, state in enumerate(plain) if state is None]
    only = tidy(given)
    assert list(outside(runs_of(plain), len(plain))) == records
    if only:
        assert list(outside(runs_of(plain), len(plain), only)) == [at for at in records if inside(at, only)]


@given(st.sets(st.integers(0, 30)))
def test_numbers_become_the_fewest_spans(numbers: set[int]) -> None:
    found = spans_of(sorted(numbers))
    assert [at for start, stop in found for at in range(start, stop)] == sorted(numbers)
    assert len(found) == sum(at - 1 not in numbers for at in numbers)


@given(st.lists(st.tuples(st.integers(-5, 20), st.integers(-5, 20)), max_size=6))
def test_tidy_spans_hold_the_same_numbers_in_order_and_apart(given: list[Span]) -> None:
    tidied = tidy(given)
    assert [at for start, stop in tidied for at in range(start, stop)] == [
        at for at in range(-5, 21) if inside(at, given)
    ]
    assert all(left[1] < right[0] for left, right in pairwise(tidied))


def test_an_array_of_a_million_is_handled_as_one_run() -> None:
    whole = (Run(0, 1 << 20),)
    assert cut(whole, 500_000, 500_001) == (Run(0, 500_000), Run(500_001, 1 << 20))
    assert change(whole, (), frozenset({T.WAITING}), T.CANCELLED) == (Run(0, 1 << 20, T.CANCELLED),)


class Looks(tuple[Span, ...]):
    """Counts how often an element is looked at."""

    looks = 0

    def __getitem__(self, at: Any) -> Any:
        self.looks += 1
        return super().__getitem__(at)

    def __iter__(self) -> Iterator[Span]:
        return (self[at] for at in range(len(self)))


def test_scattered_changes_of_a_scattered_array_are_one_walk() -> None:
    pieces = 2_000
    runs = tuple(Run(3 * at, 3 * at + 2) for at in range(pieces))
    only = Looks((3 * at, 3 * at + 1) for at in range(pieces))
    changed = change(runs, only, frozenset({T.WAITING}), T.CANCELLED)
    assert size(changed, frozenset({T.CANCELLED})) == pieces
    assert 0 < only.looks < 10 * pieces

"""Arithmetic on runs: the tasks of a job that have no record of their own, as ranges with a state.

An array of 100,000 waiting tasks is one run; assigning its first task cuts one number off the front.

Promises: runs stay in order, disjoint, non-empty, and neighbours of equal state are joined.
Never: touches a task that has a record.
"""

from collections.abc import Iterable, Iterator

from odyssey.commands import Span
from odyssey.model import Run, TaskState

WAITING = TaskState.WAITING


def first_waiting(runs: tuple[Run, ...]) -> int | None:
    for run in runs:
        if run.state is WAITING:
            return run.start
    return None


def cut(runs: tuple[Run, ...], start: int, stop: int) -> tuple[Run, ...] | None:
    """The runs without start <= i < stop, all of which must be waiting in one run; None when they are not."""
    for position, run in enumerate(runs):
        if run.start <= start and stop <= run.stop:
            if run.state is not WAITING or start >= stop:
                return None
            left = (Run(run.start, start),) if run.start < start else ()
            right = (Run(stop, run.stop),) if stop < run.stop else ()
            return runs[:position] + left + right + runs[position + 1 :]
    return None


def change(runs: tuple[Run, ...], only: tuple[Span, ...], old: frozenset[TaskState], new: TaskState) -> tuple[Run, ...]:
    """Runs in an `old` state, where they meet `only` (all of them when it is empty), get the state `new`."""
    return joined(_changed(runs, only, old, new))


def _changed(runs: tuple[Run, ...], only: tuple[Span, ...], old: frozenset[TaskState], new: TaskState) -> Iterator[Run]:
    for run in runs:
        if run.state not in old:
            yield run
            continue
        at = run.start
        for start, stop in only or ((run.start, run.stop),):
            start, stop = max(start, at), min(stop, run.stop)  # noqa: PLW2901 - the span, cut to this run
            if start < stop:
                if at < start:
                    yield Run(at, start, run.state)
                yield Run(start, stop, new)
                at = stop
        if at < run.stop:
            yield Run(at, run.stop, run.state)


def joined(runs: Iterable[Run]) -> tuple[Run, ...]:
    result: list[Run] = []
    for run in runs:
        if result and result[-1].stop == run.start and result[-1].state is run.state:
            result[-1] = Run(result[-1].start, run.stop, run.state)
        else:
            result.append(run)
    return tuple(result)


def size(runs: Iterable[Run], states: frozenset[TaskState]) -> int:
    return sum(run.stop - run.start for run in runs if run.state in states)


def spans_of(indices: Iterable[int]) -> tuple[Span, ...]:
    """Sorted numbers as the fewest spans: 1 2 3 7 becomes (1, 4) (7, 8)."""
    spans: list[Span] = []
    for index in indices:
        if spans and spans[-1][1] == index:
            spans[-1] = (spans[-1][0], index + 1)
        else:
            spans.append((index, index + 1))
    return tuple(spans)


def tidy(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans sorted, joined where they meet or overlap, without empty ones."""
    result: list[Span] = []
    for start, stop in sorted(spans):
        if start >= stop:
            continue
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(stop, result[-1][1]))
        else:
            result.append((start, stop))
    return tuple(result)


def outside(runs: tuple[Run, ...], count: int) -> Iterator[int]:
    """The indices of a job of `count` tasks that are in no run: those that have a record."""
    at = 0
    for run in runs:
        yield from range(at, run.start)
        at = run.stop
    yield from range(at, count)

"""Arithmetic on runs: the tasks of a job that have no record of their own, as ranges with a state.

An array of 100,000 waiting tasks is one run; assigning its first task cuts one number off the front.

Promises: runs stay in order, disjoint, non-empty, and neighbours of equal state are joined.
Never: touches a task that has a record.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

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
    """Runs in an `old` state, where they meet `only` (tidy; all of them when it is empty), get the state `new`."""
    meant = spans_in(runs, old)
    return joined(_changed(runs, list(overlaps(meant, only)) if only else meant, new))


def _changed(runs: tuple[Run, ...], spans: Sequence[Span], new: TaskState) -> Iterator[Run]:
    """Each of the spans lies within one run."""
    following = 0
    for run in runs:
        at = run.start
        while following < len(spans) and spans[following][1] <= run.stop:
            start, stop = spans[following]
            if at < start:
                yield Run(at, start, run.state)
            yield Run(start, stop, new)
            at = stop
            following += 1
        if at < run.stop:
            yield Run(at, run.stop, run.state)


def spans_in(runs: Iterable[Run], states: frozenset[TaskState]) -> list[Span]:
    return [(run.start, run.stop) for run in runs if run.state in states]


def overlaps(left: Sequence[Span], right: Sequence[Span]) -> Iterator[Span]:
    """Where two tidy lists of spans meet, in one walk along both: arrays may be in a hundred thousand pieces."""
    i = j = 0
    while i < len(left) and j < len(right):
        start, stop = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < stop:
            yield start, stop
        if left[i][1] <= right[j][1]:
            i += 1
        else:
            j += 1


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


def outside(runs: tuple[Run, ...], count: int, only: tuple[Span, ...] = ()) -> Iterator[int]:
    """The indices of a job of `count` tasks that are in no run: those that have a record. Limited to `only`, tidy,
    when it is given."""
    gaps = _gaps(runs, count)
    for start, stop in overlaps(gaps, only) if only else gaps:
        yield from range(start, stop)


def pieces(runs: tuple[Run, ...], start: int, stop: int) -> Iterator[tuple[int, int, TaskState | None]]:
    """start <= i < stop in order: each run as far as it lies there, and the gaps between them with None."""
    at = start
    for run in runs[bisect_right(runs, start, key=_stop) :]:
        if run.start >= stop:
            break
        if at < run.start:
            yield at, run.start, None
        yield max(at, run.start), min(run.stop, stop), run.state
        at = run.stop
    if at < stop:
        yield at, stop, None


def _stop(run: Run) -> int:
    return run.stop


def _gaps(runs: tuple[Run, ...], count: int) -> list[Span]:
    edges = [0, *(edge for run in runs for edge in (run.start, run.stop)), count]
    return [(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if start < stop]

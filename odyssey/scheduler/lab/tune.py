"""Search for weights: one term at a time over a coarse grid, on workloads that are not the ones it is judged on.

A set of weights is better by how much sooner the same workloads end with it, and their tasks on average: the mean over
all workloads of the logarithms of makespan and of mean turnaround, by those with the best set so far. So -0.05 is about
5 % less, and a long workload counts as much as a short one. A run is chaotic (one task placed elsewhere moves all that
follow), so each mean has its standard error beside it, and only what is better by two of them is kept.

Only ratios of weights matter, therefore `speed` stands still.

Promises: every set that was tried is told, with its gain and the error of that.
Never: tries everything: terms that only help together are not found.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from odyssey.scheduler.lab.compare import simulate, workloads
from odyssey.scheduler.lab.kinds import HETEROGENEOUS
from odyssey.scheduler.lab.measure import mean, measure
from odyssey.scheduler.policies.weighted import POLICY

GRID: Final = (0, 5, 10, 20, 40, 80, 160)
FIXED: Final = "speed"
_ERRORS: Final = 2


class Gain(NamedTuple):
    """Means of logarithms; below 0 is better."""

    makespan: float
    turnaround: float
    error: float  # standard error of the sum of both

    @property
    def total(self) -> float:
        return self.makespan + self.turnaround

    @property
    def sure(self) -> bool:
        return self.total < -_ERRORS * self.error


class Tried(NamedTuple):
    term: str
    weights: Mapping[str, int]
    gain: Gain  # over the best before it
    kept: bool


class Cost(NamedTuple):
    """Of one workload, as logarithms."""

    makespan: float
    turnaround: float


def costs(weights: Mapping[str, int], seeds: int, first: int = 0, kinds: Sequence[str] = HETEROGENEOUS) -> list[Cost]:
    measured = (measure(simulate(one, POLICY.name, weights)) for one in workloads(seeds, kinds, first))
    return [Cost(math.log(max(1, one.makespan_ms)), math.log(max(1, one.turnaround_ms))) for one in measured]


def gain(new: Sequence[Cost], old: Sequence[Cost]) -> Gain:
    """Workload by workload."""
    pairs = list(zip(new, old, strict=True))
    makespan = [mine.makespan - other.makespan for mine, other in pairs]
    turnaround = [mine.turnaround - other.turnaround for mine, other in pairs]
    return Gain(mean(makespan), mean(turnaround), _error([a + b for a, b in zip(makespan, turnaround, strict=True)]))


def _error(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    middle = mean(values)
    return math.sqrt(sum((value - middle) ** 2 for value in values) / (len(values) - 1) / len(values))


def descend(
    seeds: int,
    first: int = 0,
    kinds: Sequence[str] = HETEROGENEOUS,
    start: Mapping[str, int] = POLICY.weights,
    grid: Sequence[int] = GRID,
    rounds: int = 2,
) -> Iterator[Tried]:
    """Term by term, each along the grid; again, until a round changes nothing."""
    best, lowest = dict(start), costs(start, seeds, first, kinds)
    for _ in range(rounds):
        before = dict(best)
        for term in (name for name in start if name != FIXED):
            for weight in grid:
                if weight == best[term]:
                    continue
                weights = {**best, term: weight}
                found = costs(weights, seeds, first, kinds)
                over = gain(found, lowest)
                yield Tried(term, weights, over, over.sure)
                if over.sure:
                    best, lowest = weights, found
        if best == before:
            return

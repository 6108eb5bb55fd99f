"""Policies against each other on the same workloads: who ends sooner, how often, by how much.

Workload i of a comparison is of kind i modulo the kinds, with seed first + i. A makespan within half a percent of the
other's is a tie: it is counted as one, not as a win.

Promises: each pair of makespans is of one and the same workload; medians and quartiles are of all pairs, ties included.
Never: leaves a workload out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from odyssey.scheduler.lab.kinds import HETEROGENEOUS, draw
from odyssey.scheduler.lab.measure import Measures, measure, quantile
from odyssey.scheduler.lab.simulate import History, Simulation
from odyssey.scheduler.lab.workload import Workload

POLICIES: Final = ("weighted", "round_robin", "pack")
TIE: Final = 0.005
Weights = Mapping[str, int]


class Trial(NamedTuple):
    """One run, measured."""

    kind: str
    seed: int
    policy: str
    machines: int
    measures: Measures


class Against(NamedTuple):
    """One policy against a rival, over many workloads."""

    rival: str
    wins: int
    ties: int
    losses: int
    quartiles: tuple[float, float, float]  # of rival's makespan / ours: above 1 is how much longer the rival takes

    @property
    def trials(self) -> int:
        return self.wins + self.ties + self.losses

    @property
    def won(self) -> float:
        return self.wins / self.trials if self.trials else 0.0


class Comparison(NamedTuple):
    policy: str
    against: tuple[Against, ...]
    trials: tuple[Trial, ...]

    def within(self, kind: str) -> tuple[Against, ...]:
        """The same for one kind of workload."""
        return versus([trial for trial in self.trials if trial.kind == kind], self.policy)


def workloads(
    seeds: int, kinds: Sequence[str] = HETEROGENEOUS, first: int = 0, machines: int = 0
) -> Iterator[Workload]:
    for number in range(seeds):
        yield draw(kinds[number % len(kinds)], first + number, machines)


def simulate(workload: Workload, policy: str, weights: Weights | None = None, learning: bool = True) -> History:
    return Simulation(workload, policy, weights, learning).run()


def trial(workload: Workload, policy: str, weights: Weights | None = None) -> Trial:
    measures = measure(simulate(workload, policy, weights))
    return Trial(workload.kind, workload.seed, policy, len(workload.machines), measures)


def compare(
    seeds: int = 200,
    policies: Sequence[str] = POLICIES,
    kinds: Sequence[str] = HETEROGENEOUS,
    first: int = 0,
    machines: int = 0,
    weights: Weights | None = None,
) -> Comparison:
    """The first policy against each of the others; `weights` replace single ones of the first."""
    trials = []
    for workload in workloads(seeds, kinds, first, machines):
        trials += [trial(workload, policy, weights if policy == policies[0] else None) for policy in policies]
    return Comparison(policies[0], versus(trials, policies[0]), tuple(trials))


def versus(trials: Sequence[Trial], policy: str) -> tuple[Against, ...]:
    mine = {(one.kind, one.seed): one.measures.makespan_ms for one in trials if one.policy == policy}
    rivals = dict.fromkeys(one.policy for one in trials if one.policy != policy)
    return tuple(
        _against(rival, [one.measures.makespan_ms / mine[one.kind, one.seed] for one in trials if one.policy == rival])
        for rival in rivals
    )


def _against(rival: str, ratios: list[float]) -> Against:
    wins = sum(ratio > 1 + TIE for ratio in ratios)
    losses = sum(ratio < 1 - TIE for ratio in ratios)
    quartiles = (quantile(ratios, 0.25), quantile(ratios, 0.5), quantile(ratios, 0.75))
    return Against(rival, wins, len(ratios) - wins - losses, losses, quartiles)

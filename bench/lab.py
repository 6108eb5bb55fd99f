"""Is the default policy worth its weights? Weighted against the plain ones, on workloads drawn from seeds.

The laboratory runs the real planner and the real state machine in virtual time, so these figures do not depend on how
fast this machine is.

Promises: every workload is counted, ties too (as no win); best and worst are the kinds of workload that went so.
Never: tunes anything: it only asks.
"""

from collections.abc import Iterator
from typing import Final

from bench.harness import Effort, Figure, Result, bench
from odyssey.scheduler.lab.compare import Against, Comparison, compare

WORKLOADS: Final = 200
TARGET: Final = 90.0


@bench("lab.makespan")
def makespan(effort: Effort) -> Iterator[Result]:
    compared = compare(seeds=effort.size(WORKLOADS))
    for against in compared.against:
        yield _share(compared, against)
        yield _how_much(compared, against)


def _share(compared: Comparison, against: Against) -> Figure:
    """Of the workloads that end sooner than with the rival."""
    shares = [100 * one.won for one in _by_kind(compared, against.rival)]
    won = 100 * against.won
    return Figure(
        f"lab: {compared.policy} ends before {against.rival}",
        "%",
        won,
        max(shares),
        min(shares),
        against.trials,
        100.0,
        "all workloads",
        100 / won if won else 0.0,
        TARGET,
        at_least=True,
        note=f"{against.wins} wins, {against.ties} ties, {against.losses} losses; best and worst kind",
    )


def _how_much(compared: Comparison, against: Against) -> Figure:
    """The rival's makespan in makespans of ours."""
    middles = [one.quartiles[1] for one in _by_kind(compared, against.rival)]
    low, middle, high = against.quartiles
    return Figure(
        f"lab: makespan of {against.rival} by that of {compared.policy}",
        "x",
        middle,
        max(middles),
        min(middles),
        against.trials,
        1.0,
        "as long",
        middle,
        note=f"quartiles {low:.2f} and {high:.2f}; best and worst kind",
    )


def _by_kind(compared: Comparison, rival: str) -> list[Against]:
    kinds = dict.fromkeys(trial.kind for trial in compared.trials)
    return [one for kind in kinds for one in compared.within(kind) if one.rival == rival]

"""What the laboratory found, as text: a table of policies, and the steps of a search for weights.

Promises: text made from measures alone; the same ones give the same text.
Never: rounds a loss into a tie, or leaves out a policy that did badly.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from odyssey.scheduler.lab.compare import Comparison, Trial
from odyssey.scheduler.lab.measure import Measures, quantile
from odyssey.scheduler.lab.tune import Tried

_COLUMNS: Final = ("policy", "makespan", "wait", "p95", "longest", "slowdown", "fairness", "busy", "lost")


def table(comparison: Comparison) -> str:
    """A line for each policy (medians over the workloads), then how often the first one won."""
    policies = dict.fromkeys(trial.policy for trial in comparison.trials)
    rows = [_COLUMNS, *(_row(policy, _of(comparison.trials, policy)) for policy in policies)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    workloads = len({(trial.kind, trial.seed) for trial in comparison.trials})
    return "\n".join([f"medians over {workloads} workloads", *lines, "", *_versus(comparison)])


def _of(trials: Sequence[Trial], policy: str) -> list[Measures]:
    return [trial.measures for trial in trials if trial.policy == policy]


def _row(policy: str, measures: list[Measures]) -> tuple[str, ...]:
    fair = [one.fairness for one in measures if one.fairness is not None]
    return (
        policy,
        minutes(_median([one.makespan_ms for one in measures])),
        minutes(_median([one.wait_mean_ms for one in measures])),
        minutes(_median([one.wait_p95_ms for one in measures])),
        minutes(max(one.wait_max_ms for one in measures)),
        f"{_median([one.slowdown for one in measures]):.2f}",
        f"{_median(fair):.3f}" if fair else "-",
        f"{100 * _median([one.utilisation for one in measures]):.0f} %",
        f"{100 * _median([one.lost for one in measures]):.1f} %",
    )


def _versus(comparison: Comparison) -> Iterator[str]:
    for one in comparison.against:
        low, middle, high = one.quartiles
        yield (
            f"{comparison.policy} ends before {one.rival} in {one.wins} of {one.trials} ({100 * one.won:.1f} %), "
            f"ties {one.ties}; {one.rival} takes {middle:.2f} times as long (quartiles {low:.2f} to {high:.2f})"
        )


def _median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)


def minutes(ms: float) -> str:
    return f"{ms / 1000:.1f} s" if ms < 120_000 else f"{ms / 60_000:.1f} min"


def step(tried: Tried) -> str:
    """One set of weights that a search tried, as a line; a star if it is kept."""
    weights = " ".join(f"{name}={weight}" for name, weight in tried.weights.items())
    found = tried.gain
    parts = f"makespan {100 * found.makespan:+5.1f} %  turnaround {100 * found.turnaround:+5.1f} %"
    return f"{'*' if tried.kept else ' '} {parts}  (error {100 * found.error:.1f})  {weights}"

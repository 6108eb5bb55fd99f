"""What the laboratory found, for eyes: a table of policies, and a drawing of one workload under each of them.

The drawing shows every machine as a strip with a line for each core, and every try as a bar in the colour of its
command; what was lost is hatched. Below the strips a policy's bars show its makespan, mean wait and use of the machines
beside the others'.

Promises: text made from measures and histories alone; the same ones give the same text.
Never: rounds a loss into a tie, or leaves out a policy that did badly.
"""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from odyssey.model import Outcome
from odyssey.scheduler.lab.compare import Comparison, Trial
from odyssey.scheduler.lab.floor import Span
from odyssey.scheduler.lab.measure import Measures, measure, quantile
from odyssey.scheduler.lab.simulate import History

_COLUMNS: Final = ("policy", "makespan", "wait", "p95", "longest", "slowdown", "fairness", "busy", "lost")
_COLOURS: Final = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#997700", "#bbbbbb")
_WIDTH: Final = 1100
_LEFT: Final = 130
_CORE: Final = 5
_GAP: Final = 6


# -- text --------------------------------------------------------------------------------------------------------------


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


# -- drawing -----------------------------------------------------------------------------------------------------------


def drawing(histories: Sequence[History]) -> str:
    """One workload under several policies, one below the other on the same scale of time."""
    first = histories[0].workload
    longest = max(history.end_ms for history in histories)
    parts, top = [], 40
    for history in histories:
        strips, height = _strips(history, longest)
        parts.append(f'<g transform="translate(0,{top})">{strips}</g>')
        top += height + 26
    bars, height = _bars(histories)
    parts.append(f'<g transform="translate(0,{top})">{bars}</g>')
    title = f"{first.kind}, seed {first.seed}: {len(first.machines)} machines, {len(histories[0].times)} tasks"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top + height + 10}" '
        'font-family="sans-serif" font-size="11"><defs><pattern id="lost" width="4" height="4" '
        'patternUnits="userSpaceOnUse"><path d="M0 4L4 0" stroke="#000" stroke-width="0.7"/></pattern></defs>'
        '<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="10" y="22" font-size="15">{escape(title)}</text>{_legend(histories[0])}{"".join(parts)}</svg>\n'
    )


def _keys(history: History) -> list[str]:
    return sorted({submission.spec.want.key for submission in history.workload.submissions})


def _colour(history: History, span: Span) -> str:
    keys = _keys(history)
    return _COLOURS[keys.index(history.submission(span.task).spec.want.key) % len(_COLOURS)]


def _legend(history: History) -> str:
    x, parts = _WIDTH // 2, []
    for number, key in enumerate(_keys(history)):
        parts.append(f'<rect x="{x}" y="13" width="10" height="10" fill="{_COLOURS[number % len(_COLOURS)]}"/>')
        parts.append(f'<text x="{x + 14}" y="22">{escape(key)}</text>')
        x += 24 + 7 * len(key)
    return "".join(parts)


def _strips(history: History, longest: int) -> tuple[str, int]:
    scale = (_WIDTH - _LEFT - 20) / max(1, longest)
    parts = [f'<text x="10" y="0" font-weight="bold">{history.policy}: {minutes(history.end_ms)}</text>']
    y = 8
    for number, machine in enumerate(history.workload.machines, 1):
        height = machine.cpus * _CORE
        label = f"{machine.name} {machine.cpus} x {machine.speed / 1000:.2f}"
        parts.append(f'<text x="10" y="{y + min(height, 12)}">{escape(label)}</text>')
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{longest * scale:.1f}" height="{height}" fill="#f2f2f2"/>')
        spans = sorted((span for span in history.spans if span.node == number), key=lambda span: span.start_ms)
        parts += _tries(history, spans, machine.cpus, y, scale)
        y += height + _GAP
    end = _LEFT + history.end_ms * scale
    parts.append(f'<line x1="{end:.1f}" x2="{end:.1f}" y1="4" y2="{y}" stroke="#c00" stroke-dasharray="3 2"/>')
    return "".join(parts), y


def _tries(history: History, spans: Sequence[Span], cpus: int, y: int, scale: float) -> Iterator[str]:
    """Each try on the first cores that are free."""
    free_at = [0] * cpus
    for span in spans:
        wanted = max(1, -(-history.submission(span.task).spec.want.need.cpu_milli // 1000))
        line = next((n for n in range(cpus) if all(at <= span.start_ms for at in free_at[n : n + wanted])), 0)
        free_at[line : line + wanted] = [span.end_ms] * len(free_at[line : line + wanted])
        x, width = _LEFT + span.start_ms * scale, max(0.6, (span.end_ms - span.start_ms) * scale - 0.4)
        box = f'x="{x:.1f}" y="{y + line * _CORE}" width="{width:.1f}" height="{wanted * _CORE - 1}"'
        yield f'<rect {box} fill="{_colour(history, span)}"/>'
        if span.outcome is not Outcome.EXITED:
            yield f'<rect {box} fill="url(#lost)"/>'


def _bars(histories: Sequence[History]) -> tuple[str, int]:
    measures = [(history.policy, measure(history)) for history in histories]
    figures = (
        ("makespan", [float(one.makespan_ms) for _, one in measures], minutes),
        ("mean wait", [float(one.wait_mean_ms) for _, one in measures], minutes),
        ("machines busy", [100 * one.utilisation for _, one in measures], lambda value: f"{value:.0f} %"),
    )
    parts, column = [], (_WIDTH - 40) // 3
    for number, (name, values, show) in enumerate(figures):
        x, most = 10 + number * (column + 10), max([*values, 1e-9])
        parts.append(f'<text x="{x}" y="0" font-weight="bold">{name}</text>')
        for line, ((policy, _), value) in enumerate(zip(measures, values, strict=True)):
            y, width = 10 + line * 20, (column - 190) * value / most
            parts.append(f'<text x="{x}" y="{y + 11}">{escape(policy)}</text>')
            parts.append(f'<rect x="{x + 85}" y="{y}" width="{width:.1f}" height="14" fill="{_COLOURS[line]}"/>')
            parts.append(f'<text x="{x + 90 + width:.1f}" y="{y + 11}">{show(value)}</text>')
    return "".join(parts), 20 + 20 * len(measures)

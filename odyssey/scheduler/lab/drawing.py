"""A picture of what the laboratory found, as the text of an SVG.

First one workload under each policy, one below the other on the same scale of time: every machine is a strip with a
line for each core, every try a bar in the colour of its command; what was lost is hatched, and where a machine was away
or with its owner its strip is darker. Then how the policies compare there; then, if there were more workloads, a dot
for each of them: how much longer every rival took.

Promises: made from measures and histories alone; the same ones give the same picture.
Never: leaves out a policy or a workload that did badly: what is off the scale stands at its edge.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from odyssey.model import Outcome
from odyssey.resources import show_duration
from odyssey.scheduler.lab.compare import Comparison
from odyssey.scheduler.lab.floor import Span
from odyssey.scheduler.lab.machines import Machine
from odyssey.scheduler.lab.measure import measure
from odyssey.scheduler.lab.report import minutes
from odyssey.scheduler.lab.simulate import History

COLOURS: Final = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#997700", "#bbbbbb")
_WIDTH, _LEFT, _RIGHT = 1100, 150, 20
_ACROSS: Final = _WIDTH - _LEFT - _RIGHT
_CORE, _GAP = 5, 6
_STEPS_MS: Final = tuple(
    1000 * step for step in (1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200)
)
_TICKS: Final = 12  # at most
_RATIOS: Final = (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)


def drawing(histories: Sequence[History], comparison: Comparison | None = None) -> str:
    parts = [_title(histories[0]), _legend(histories[0])]
    top = 44
    longest = max(history.end_ms for history in histories)
    sections = [_strips(history, longest) for history in histories] + [_bars(histories)]
    if comparison is not None and len({(one.kind, one.seed) for one in comparison.trials}) > 1:
        sections.append(_dots(comparison))
    for content, height in sections:
        parts.append(f'<g transform="translate(0,{top})">{content}</g>')
        top += height + 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" font-family="sans-serif" '
        'font-size="11" fill="#222"><defs><pattern id="lost" width="4" height="4" patternUnits="userSpaceOnUse">'
        '<path d="M0 4L4 0" stroke="#000" stroke-width="0.8"/></pattern></defs>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'


def _line(x: float, y1: float, y2: float, more: str) -> str:
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" {more}/>'


# -- one workload ------------------------------------------------------------------------------------------------------


def _title(history: History) -> str:
    first = history.workload
    told = f"{first.kind}, seed {first.seed}: {len(first.machines)} machines, {len(history.times)} tasks"
    return _text(10, 22, told, 'font-size="15"')


def _keys(history: History) -> list[str]:
    return sorted({submission.spec.want.key for submission in history.workload.submissions})


def _legend(history: History) -> str:
    x, parts = _WIDTH // 2, []
    for number, key in enumerate(_keys(history)):
        parts += [_box(x, 13, 10, 10, COLOURS[number % len(COLOURS)]), _text(x + 14, 22, key)]
        x += 26 + 7 * len(key)
    return "".join(parts)


def _strips(history: History, longest: int) -> tuple[str, int]:
    scale = _ACROSS / max(1, longest)
    parts, y = [_text(10, 0, f"{history.policy}: {minutes(history.end_ms)}", 'font-weight="bold"')], 8
    for number, machine in enumerate(history.workload.machines, 1):
        height = machine.cpus * _CORE
        parts.append(_text(10, y + min(height, 12), f"{machine.name}  {machine.cpus} x {machine.speed / 1000:.2f}"))
        parts.append(_box(_LEFT, y, longest * scale, height, "#f2f2f2"))
        parts += [_box(_LEFT + a * scale, y, (b - a) * scale, height, "#d4d4d4") for a, b in _away(machine, longest)]
        mine = sorted((span for span in history.spans if span.node == number), key=lambda span: span.start_ms)
        parts += _tries(history, mine, machine.cpus, y, scale)
        y += height + _GAP
    parts += _ticks(longest, y, scale)
    parts.append(_line(_LEFT + history.end_ms * scale, 4, y, 'stroke="#c00" stroke-dasharray="3 2"'))
    return "".join(parts), y + 12


def _away(machine: Machine, longest: int) -> Iterator[tuple[int, int]]:
    """Changes come in pairs: away, and back."""
    for away, back in zip(machine.changes[::2], machine.changes[1::2], strict=True):
        if away.at_ms < longest:
            yield away.at_ms, min(back.at_ms, longest)


def _ticks(longest: int, y: int, scale: float) -> Iterator[str]:
    step = next((step for step in _STEPS_MS if longest // step <= _TICKS), _STEPS_MS[-1])
    for at in range(0, longest + 1, step):
        yield _line(_LEFT + at * scale, y - _GAP, y - 2, 'stroke="#888"')
        yield _text(_LEFT + at * scale, y + 9, show_duration(at), 'text-anchor="middle" font-size="9" fill="#666"')


def _tries(history: History, spans: Iterable[Span], cpus: int, y: int, scale: float) -> Iterator[str]:
    """Each try on cores that are free; neighbouring cores are drawn as one bar."""
    keys, free_at = _keys(history), [0] * cpus
    for span in spans:
        want = history.submission(span.task).spec.want
        wanted = max(1, -(-want.need.cpu_milli // 1000))
        cores = lines([core for core, at in enumerate(free_at) if at <= span.start_ms], wanted)
        x, width = _LEFT + span.start_ms * scale, max(0.6, (span.end_ms - span.start_ms) * scale - 0.4)
        for first, count in neighbours(cores):
            place = (x, y + first * _CORE, width, count * _CORE - 1)
            yield _box(*place, COLOURS[keys.index(want.key) % len(COLOURS)])
            if span.outcome is not Outcome.EXITED:
                yield _box(*place, "url(#lost)")
        for core in cores:
            free_at[core] = span.end_ms


def lines(free: list[int], wanted: int) -> list[int]:
    """The first that lie together, else the first there are."""
    for at in range(len(free) - wanted + 1):
        if free[at + wanted - 1] - free[at] == wanted - 1:
            return free[at : at + wanted]
    return free[:wanted]


def neighbours(lines: list[int]) -> list[tuple[int, int]]:
    """(first, how many) of each stretch."""
    stretches: list[tuple[int, int]] = []
    for core in lines:
        if stretches and sum(stretches[-1]) == core:
            stretches[-1] = (stretches[-1][0], stretches[-1][1] + 1)
        else:
            stretches.append((core, 1))
    return stretches


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
        parts.append(_text(x, 0, name, 'font-weight="bold"'))
        for line, ((policy, _), value) in enumerate(zip(measures, values, strict=True)):
            y, width = 10 + line * 20, (column - 190) * value / most
            parts += [_text(x, y + 11, policy), _box(x + 85, y, width, 14, COLOURS[line % len(COLOURS)])]
            parts.append(_text(x + 90 + width, y + 11, show(value)))
    return "".join(parts), 20 + 20 * len(measures)


# -- many workloads ----------------------------------------------------------------------------------------------------


def _dots(comparison: Comparison) -> tuple[str, int]:
    """A row for each kind and rival, a dot for each workload."""
    kinds = dict.fromkeys(trial.kind for trial in comparison.trials)
    mine = {
        (one.kind, one.seed): one.measures.makespan_ms for one in comparison.trials if one.policy == comparison.policy
    }
    parts, y = (
        [
            _text(
                10,
                0,
                f"every makespan by that of {comparison.policy}: right of 1 the rival takes longer",
                'font-weight="bold"',
            )
        ],
        14,
    )
    for kind in kinds:
        parts.append(_text(10, y + 8, kind))
        for number, one in enumerate(comparison.against, 1):
            colour = COLOURS[number % len(COLOURS)]
            trials = [trial for trial in comparison.trials if (trial.kind, trial.policy) == (kind, one.rival)]
            ratios = [trial.measures.makespan_ms / mine[trial.kind, trial.seed] for trial in trials]
            parts += [
                f'<circle cx="{_at(ratio):.1f}" cy="{y + 4}" r="3" fill="{colour}" opacity="0.6"/>' for ratio in ratios
            ]
            y += 10
        y += 4
    for ratio in _RATIOS:
        parts.append(_line(_at(ratio), 6, y, f'stroke="{"#222" if ratio == 1 else "#ddd"}"'))
        parts.append(_text(_at(ratio), y + 10, f"{ratio:g}", 'text-anchor="middle" font-size="9" fill="#666"'))
    return "".join(parts), y + 14


def _at(ratio: float) -> float:
    low, high = math.log(_RATIOS[0]), math.log(_RATIOS[-1])
    return _LEFT + _ACROSS * (min(high, max(low, math.log(ratio))) - low) / (high - low)

"""How far a job is, as one line for a terminal.

Promises: what is left is said only when something has ended while we looked; without that it is unknown and not said.
Never: looks at a clock: elapsed times are handed in.
"""

from __future__ import annotations

from typing import Final

from odyssey.api.views import Counts, Progress
from odyssey.resources import show_duration_rounded

BAR: Final = 20


def ended(tasks: Counts) -> int:
    return tasks.done + tasks.failed + tasks.cancelled + tasks.skipped


def line(progress: Progress, ended_at_first: int, elapsed_ms: int) -> str:
    tasks = progress.tasks
    over = ended(tasks)
    full = BAR * over // max(1, tasks.total)
    parts = [f" {'█' * full}{'░' * (BAR - full)}  {over}/{tasks.total}"]
    if tasks.failed:
        parts.append(f"{tasks.failed} failed")
    if len(progress.nodes) > 1:  # of a single machine the number says nothing that helps
        parts.append(" · ".join(f"{name} {count}" for name, count in progress.nodes))
    left_ms = remaining_ms(tasks, ended_at_first, elapsed_ms)
    if left_ms is not None:
        parts.append(f"about {show_duration_rounded(left_ms)} left")
    return "   ".join(parts)


def remaining_ms(tasks: Counts, ended_at_first: int, elapsed_ms: int) -> int | None:
    """From the rate since we began to look."""
    seen = ended(tasks) - ended_at_first
    left = tasks.total - ended(tasks)
    return elapsed_ms * left // seen if seen > 0 and left > 0 and elapsed_ms >= 1000 else None


def closing(name: str, state: str, run_ms: int | None, node: str | None) -> str:
    """`job 42 fit: done in 2h11m on titan`, for the tap on the shoulder."""
    took = f" in {show_duration_rounded(run_ms)}" if run_ms is not None else ""
    return f"{name}: {state}{took}{f' on {node}' if node else ''}"

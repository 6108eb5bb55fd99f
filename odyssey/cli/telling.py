"""How times and counts are told to people, and a view as text or as JSON.

Promises: on a terminal times are ages and lengths, elsewhere RFC 3339, as in JSON; what is not known is not told.
Never: prints.
"""

from __future__ import annotations

import time
from typing import Any

from odyssey.api.documents import document, rfc3339
from odyssey.api.views import Counts, JobView, View
from odyssey.cli.desk import Desk
from odyssey.resources import show_duration_rounded


def as_json(desk: Desk, view: View | tuple[View, ...]) -> bool:
    """Whether it was asked for, and so is done."""
    if desk.output.as_json:
        desk.output.json(document(view))
    return desk.output.as_json


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def moment(desk: Desk, wall_ms: int | None) -> str | None:
    if wall_ms is None:
        return None
    return ago(now_ms() - wall_ms) if desk.output.out.is_terminal else rfc3339(wall_ms)


def ago(ms: int) -> str:
    return "now" if ms < 1000 else f"{show_duration_rounded(ms)} ago"


def clock(wall_ms: int) -> str:
    """The time of day here, as people read it beside others of today."""
    return time.strftime("%H:%M:%S", time.localtime(wall_ms // 1000)) + f".{wall_ms % 1000 // 100}"


def took_ms(job: JobView) -> int | None:
    if job.started_at is None:
        return None
    return max(0, (job.ended_at if job.ended_at is not None else now_ms()) - job.started_at)


def length(ms: int | None) -> str | None:
    return None if ms is None else show_duration_rounded(ms)


def tasks(counts: Counts) -> str:
    over = counts.done + counts.failed + counts.cancelled + counts.skipped
    return f"{over}/{counts.total}"


def counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def names(parts: dict[str, Any]) -> str:
    return ", ".join(f"{value} {name}" for name, value in parts.items() if value)

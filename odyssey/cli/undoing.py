"""`odyssey cancel --undo 30s`: a cancel that can be taken back for a while.

Promises: until the time is over the jobs go on as if nothing had been typed, and Ctrl-C leaves it at that. A terminal
that is lost meanwhile takes nothing back.
Never: touches the jobs itself.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from odyssey.api.requests import Job
from odyssey.cli.desk import Desk
from odyssey.resources import show_duration_rounded

STEP_SECONDS: Final = 0.2


def is_taken_back(desk: Desk, refs: Sequence[str], ms: int) -> bool:
    names = ", ".join(str(desk.ask(Job(ref, limit=0)).job.id) for ref in refs)
    end = time.monotonic() + ms / 1000
    with _signals() as heard:
        while (left := end - time.monotonic()) > 0 and not heard:
            told = show_duration_rounded(max(1, round(left)) * 1000)
            desk.output.progress(f"odyssey: job {names} is cancelled in {told}; Ctrl-C: not")
            time.sleep(min(STEP_SECONDS, left))
        desk.output.clear()
    if signal.SIGINT not in heard:
        return False
    desk.output.say(f"job {names} goes on")
    return True


@contextmanager
def _signals() -> Iterator[list[int]]:
    heard: list[int] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    numbers = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, hear) for number in numbers}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""One run of a schedule and what came of it, in words that can be sent from process to process.

Promises: whatever goes wrong in a run is a failure with a name: the invariant's, or where the error was raised.
Never: raises because of what a run did.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import process_time
from traceback import extract_tb
from typing import NamedTuple

from tests.sim.checks import Violation
from tests.sim.schedule import Schedule
from tests.sim.world import World


class Failure(NamedTuple):
    name: str  # two runs with the same one fail for the same reason, as far as can be told
    text: str
    at_ms: int


class Ran(NamedTuple):
    schedule: Schedule
    events: int
    cpu_seconds: float
    failure: Failure | None


Run = Callable[[Schedule], Ran]


def ran(schedule: Schedule) -> Ran:
    begin = process_time()
    world = World(schedule)
    failure = None
    try:
        world.run()
    except Exception as error:  # noqa: BLE001 - also a bug in the code under test ends the run, and only the run
        failure = Failure(_name(error), f"{_name(error)}: {error}", world.loop.now_ms)
    return Ran(schedule, world.events, process_time() - begin, failure)


def _name(error: Exception) -> str:
    if isinstance(error, Violation):
        return f"invariant {error.invariant}"
    frames = extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, {frames[-1].name}" if frames else ""
    return f"{type(error).__name__}{where}"

"""`make sim SEEDS=2000 [FROM=17]`, `make sim REPLAY='…'`: many seeds on all cores, or one schedule again.

Promises: a failure is printed with the command that repeats it, then as short a schedule as was found, with its own;
exit status 1 when anything failed; fresh seeds are printed before they run.
Never: stops at the first failure, or loses a seed whose process died.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from statistics import median
from time import perf_counter
from typing import Final

from odyssey.clock import SystemEntropy
from tests.sim.pool import Died, Pool
from tests.sim.runs import Failure, Ran, Run, ran
from tests.sim.schedule import Schedule, Unreadable, drawn
from tests.sim.shrink import RUNS, Shrunk, shortest

FRESH_BITS: Final = 48
SHRUNK_AT_MOST: Final = 4  # failures with a name of their own
EVERY_SECONDS: Final = 10
SHRINK_SECONDS: Final = 900.0
DIED: Final = "died"


def main(words: Sequence[str]) -> int:
    options = _options(words)
    if options.replay is not None:
        return replay(options.replay)
    seeds = list(range(options.first, options.first + options.seeds))
    if options.fixed or options.fresh:
        seeds = [*range(options.fixed), *(SystemEntropy().bits(FRESH_BITS) for _ in range(options.fresh))]
        print(f"fresh seeds: {' '.join(map(str, seeds[options.fixed :]))}", flush=True)
    return explore(seeds, options.workers, options.shrink_runs)


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sim", description="Whole nodes on virtual time, with faults, from seeds.")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="how many, one after the other")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="SEED", help="the first of them")
    parser.add_argument("--fixed", type=int, default=0, metavar="N", help="the seeds from 0 on, the same in every run")
    parser.add_argument("--fresh", type=int, default=0, metavar="N", help="and as many that nobody has seen")
    parser.add_argument("--replay", metavar="LINE", help="run this schedule again, and tell it")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--shrink-runs", type=int, default=RUNS, metavar="N", help="how many tries for each failure")
    return parser.parse_args(words)


# -- one schedule ------------------------------------------------------------------------------------------------------


def replay(line: str) -> int:
    try:
        schedule = Schedule.of(line)
    except Unreadable as error:
        print(f"error: {error}\nhint: a schedule is what the simulator printed after REPLAY=", file=sys.stderr)
        return 2
    print("\n".join(schedule.sentences()))
    result = ran(schedule)
    print(f"{result.events} events in {result.cpu_seconds:.1f} CPU seconds")
    print(f"at {result.failure.at_ms / 1000:g} s: {result.failure.text}" if result.failure else "no violation")
    return 1 if result.failure else 0


# -- many --------------------------------------------------------------------------------------------------------------


def explore(seeds: Iterable[int], workers: int, shrink_runs: int, run: Run = ran) -> int:
    results = _run_all([drawn(seed) for seed in seeds], workers, run)
    failed = [one for one in results if one.failure is not None]
    _summary(results, len(failed))
    _shorten(failed, workers, shrink_runs, run)
    return 1 if failed else 0


def _run_all(schedules: list[Schedule], workers: int, run: Run) -> list[Ran]:
    results: list[Ran] = []
    told = begin = perf_counter()
    for schedule, outcome in Pool(run, workers).each(schedules):
        result = Ran(schedule, 0, 0.0, Failure(DIED, outcome.why, 0)) if isinstance(outcome, Died) else outcome
        results.append(result)
        if result.failure is not None:
            _tell(schedule, result.failure)
        if perf_counter() - told > EVERY_SECONDS:
            told = perf_counter()
            print(f"{len(results)} of {len(schedules)} seeds, {told - begin:.0f} s", flush=True)
    return results


def _tell(schedule: Schedule, failure: Failure) -> None:
    seed = schedule.seed
    print(f"FAILED seed {seed}: {failure.text}\n  again: make sim FROM={seed} SEEDS=1", flush=True)


def _summary(results: list[Ran], failures: int) -> None:
    speeds = [one.events / one.cpu_seconds for one in results if one.cpu_seconds]
    events = sum(one.events for one in results)
    speed = f"{median(speeds):,.0f} a CPU second and core (median)" if speeds else "none measured"
    print(f"{len(results)} seeds, {events:,} events, {speed}, {failures} failed", flush=True)


def _shorten(failed: list[Ran], workers: int, runs: int, run: Run) -> None:
    """The first of each name: a hundred seeds that fail alike have one reason."""
    firsts = {one.failure.name: one for one in reversed(failed) if one.failure and one.failure.name != DIED}
    chosen = list(firsts.values())[:SHRUNK_AT_MOST]
    if chosen:
        print(f"shortening {len(chosen)} of them", flush=True)
    for result, outcome in Pool(partial(shortest, run, runs), workers, SHRINK_SECONDS).each(chosen):
        seed = result.schedule.seed
        if isinstance(outcome, Died):
            print(f"seed {seed} could not be shortened: {outcome.why}", flush=True)
        else:
            print("\n".join(chain((f"seed {seed}, after {outcome.runs} tries:",), _short(outcome))), flush=True)


def _short(found: Shrunk) -> Iterable[str]:
    yield from (f"  {sentence}" for sentence in found.schedule.sentences())
    yield f"  at {found.failure.at_ms / 1000:g} s: {found.failure.text}"
    yield f"  again: make sim REPLAY='{found.schedule.line()}'"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

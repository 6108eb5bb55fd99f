"""The simulator: delivered messages and completed disk writes a second, of whole machines with every check on.

Timers are not counted: they cost what they cost. The seeds are the first ones, so they have calm and storm as every
seed does, and each is a world of five machines for at least 75 virtual seconds.

Promises: what is measured is what `make sim` runs.
Never: leaves a check out to be faster.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from bench.harness import Effort, Result, bench, paired, rate, timed
from tests.sim.loop import new_loop
from tests.sim.world import World

TARGET: Final = 15_000.0
SEEDS: Final = 10
RAW_IS: Final = "as many callbacks on the bare loop"


def events(seed: int) -> int:
    world = World(seed)
    world.run()
    return world.events


def seconds(seeds: range) -> float:
    return sum(timed(World(seed).run) for seed in seeds)


def raw(count: int) -> float:
    loop = new_loop()

    def again(left: int) -> None:
        if left:
            loop.call_later(0.001, again, left - 1)

    loop.call_soon(again, count)
    return timed(lambda: loop.run_until(count))


@bench("sim.events")
def simulated(effort: Effort) -> Iterator[Result]:
    seeds = range(effort.size(SEEDS))
    count = sum(map(events, seeds))
    samples = paired(partial(seconds, seeds), partial(raw, count), effort.repeats(5))
    note = f"{count / len(seeds):,.0f} a seed"
    yield rate("messages and writes of simulated machines, a core", "/s", samples, count, RAW_IS, TARGET, note)

"""What every measurement shares: the register, paired timing, figures and their table.

A number alone says little on a machine that others use too. So each figure has its raw limit beside it: the cheapest
thing that could possibly do the same job, timed in the same minutes, turn by turn with the real one. The ratio of the
two travels from machine to machine; the milliseconds do not.

Time is cpu time: what is measured here only computes, so on an idle machine it is the time on the wall, and on a busy
one the waiting for a processor is not billed.

Promises: medians, with the best and the worst beside them; the garbage collector runs as in production, only the waste
of the preparation is collected before the clock starts.
Never: drops a measurement because it looks odd.
"""

import gc
import importlib
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing.connection import Connection
from statistics import median
from time import process_time
from typing import Final, NamedTuple

import msgspec

MS: Final = 1e3  # from seconds
US: Final = 1e6
now: Final = process_time


class Figure(msgspec.Struct, frozen=True):
    """One measured number. `ratio` is its cost in raw limits: 1.0 would be perfect."""

    name: str
    unit: str
    median: float
    best: float
    worst: float
    repeats: int
    raw: float
    raw_is: str
    ratio: float
    target: float | None = None
    at_least: bool = False  # the target is a floor: more is better
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.median >= self.target if self.at_least else self.median <= self.target


class Check(msgspec.Struct, frozen=True):
    """Something that must be true at any speed."""

    name: str
    ok: bool
    text: str


Result = Figure | Check


class Effort(NamedTuple):
    quick: bool

    def repeats(self, full: int) -> int:
        return max(3, full // 10) if self.quick else full

    def size(self, full: int) -> int:
        return full // 10 if self.quick else full


Bench = Callable[[Effort], Iterator[Result]]
REGISTER: Final[dict[str, Bench]] = {}


def bench(name: str) -> Callable[[Bench], Bench]:
    def register(work: Bench) -> Bench:
        assert name not in REGISTER, f"two measurements are called {name}"
        REGISTER[name] = work
        return work

    return register


def chosen(names: Iterable[str]) -> tuple[dict[str, Bench], list[str]]:
    """The measurements whose name is, or begins with, one of these (all, if there are none); and names of nothing."""
    wanted = list(names)
    found = {name: work for name, work in REGISTER.items() if not wanted or any(_covers(one, name) for one in wanted)}
    return found, [one for one in wanted if not any(_covers(one, name) for name in REGISTER)]


def _covers(wanted: str, name: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}.")


# -- timing ------------------------------------------------------------------------------------------------------------


class Samples(NamedTuple):
    real: list[float]
    raw: list[float]


def timed(work: Callable[[], object], collect: bool = True) -> float:
    """Seconds that one call takes."""
    if collect:
        gc.collect()
    begin = now()
    work()
    return now() - begin


def paired(real: Callable[[], float], raw: Callable[[], float], repeats: int) -> Samples:
    """Both by turns, so that what disturbs one disturbs the other. Each returns what it measured."""
    samples = Samples([], [])
    for turn in range(repeats):
        for mine, measure in ((samples.real, real), (samples.raw, raw))[:: 1 if turn % 2 else -1]:
            mine.append(measure())
    return samples


def cost(
    name: str, unit: str, samples: Samples, scale: float, raw_is: str, target: float | None = None, note: str = ""
) -> Figure:
    """Of measurements where less is better."""
    real, raw = [one * scale for one in samples.real], median(samples.raw) * scale
    middle = median(real)
    ratio = middle / raw if raw else 0.0
    return Figure(name, unit, middle, min(real), max(real), len(real), raw, raw_is, ratio, target, note=note)


def rate(
    name: str, unit: str, samples: Samples, count: int, raw_is: str, target: float | None = None, note: str = ""
) -> Figure:
    """Of seconds for so many things: things a second, where more is better."""
    real, raw = [count / one for one in samples.real], count / median(samples.raw)
    middle = median(real)
    ratio = raw / middle
    return Figure(name, unit, middle, max(real), min(real), len(real), raw, raw_is, ratio, target, True, note)


def size(name: str, real: float, raw: float, raw_is: str, target: float | None = None, note: str = "") -> Figure:
    """A number of bytes: the same in every run."""
    ratio = real / raw if raw else 0.0
    return Figure(name, "B", real, real, real, 1, raw, raw_is, ratio, target, note=note)


# -- processes ---------------------------------------------------------------------------------------------------------


def measured(name: str, effort: Effort) -> Iterator[Result]:
    """The results of one measurement, each as soon as it is there, from a process of its own."""
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=_measure, args=(name, effort, there))
    child.start()
    there.close()
    while True:
        try:
            yield here.recv()
        except EOFError:
            break
    child.join()
    if child.exitcode:
        raise SystemExit(f"error: the measurement {name} failed")


def _measure(name: str, effort: Effort, out: Connection) -> None:
    importlib.import_module(f"bench.{name.partition('.')[0]}")
    for result in REGISTER[name](effort):
        out.send(result)


def in_own_process(module: str, arguments: Iterable[str], env: Mapping[str, str] | None = None) -> dict[str, object]:
    """What `python -m module …` prints as JSON: for what needs an interpreter of a certain kind."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **(env or {})},
        check=True,
        stdout=subprocess.PIPE,
    )
    told: dict[str, object] = json.loads(done.stdout)
    return told


# -- the table ---------------------------------------------------------------------------------------------------------

_HEAD: Final = ("figure", "median", "best", "worst", "unit", "target", "met", "raw", "x raw", "raw limit")
_WIDTHS: Final = (66, 10, 10, 10, 5, 10, 4, 10, 6, 0)


def heading() -> str:
    return _line(_HEAD)


def line(result: Result) -> str:
    if isinstance(result, Check):
        return f"{result.name}: {result.text}"
    target = ""
    if result.target is not None:
        target = f"{'>=' if result.at_least else '<='} {_number(result.target)}"
    met = {None: "", True: "yes", False: "NO"}[result.met]
    numbers = [_number(one) for one in (result.median, result.best, result.worst)]
    tail = f"{result.raw_is}; {result.note}" if result.note else result.raw_is
    ratio = f"{result.ratio:.1f}" if result.raw else "-"
    return _line((result.name, *numbers, result.unit, target, met, _number(result.raw), ratio, tail))


def _line(cells: Iterable[str]) -> str:
    first, *rest = (
        cell.rjust(width) if 0 < position < len(_WIDTHS) - 1 else cell.ljust(width)
        for position, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))
    )
    return "  ".join([first, *rest]).rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"

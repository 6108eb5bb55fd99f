"""Machines that go, while the mesh works: how soon another one coordinates and work is done elsewhere, and whether
anything ran twice. In hosts in a box, on the wall clock.

What is seen of jobs is what they have written themselves, in files that all hosts share.

Promises: the mesh is whole again, with all its keepers, before the next one goes.
Never: counts a try that ran beside another one as a success.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.daemon import plain
from bench.harness import MS, Check, Effort, Figure, Result, bench
from bench.mesh import impossible
from odyssey.api import requests as r
from odyssey.errors import OdysseyError
from odyssey.ids import UserId
from odyssey.resources import Resources
from odyssey.spec import JobSpec, Want
from tests.chaos import witness
from tests.chaos.witness import Sign
from tests.lab import Lab
from tests.lab.together import Machine, Together

TIMES: Final = 20
PATIENCE_S: Final = 90.0
KEEPERS_S: Final = 150.0
LOOK_S: Final = 0.005
LONG: Final = 100_000  # beats


class Bed(NamedTuple):
    lab: Lab
    mesh: Together
    folder: Path  # where jobs write

    @property
    def coordinator(self) -> Machine:
        name = self.mesh[0].status().coordinator
        return next(one for one in self.mesh if one.host.name == name)

    def others(self, than: Machine) -> list[Machine]:
        return [one for one in self.mesh if one is not than]

    def until_whole(self) -> None:
        def whole() -> bool:
            with suppress(OSError, OdysseyError):
                return self.mesh.is_whole(self.mesh) and self.mesh[0].status().quorum.have == len(self.mesh)
            return False

        until(whole, KEEPERS_S)

    def signs(self, name: str) -> list[Sign]:
        return witness.signs(self.folder / name)


@contextmanager
def a_bed(machines: int = 3) -> Iterator[Bed]:
    with tempfile.TemporaryDirectory(prefix="odyssey-bench-", dir="/var/tmp") as folder, Lab(machines) as lab:
        mesh = Together(lab)
        try:
            mesh.found(mesh.machines[1:])
            bed = Bed(lab, mesh, Path(folder))
            bed.until_whole()
            yield bed
        finally:
            mesh.close()


def until(fact: Callable[[], Any], patience_s: float = PATIENCE_S) -> float:
    began = time.monotonic()
    while not fact():
        if time.monotonic() - began > patience_s:
            raise AssertionError(f"not within {patience_s:g} s: {fact}")
        time.sleep(LOOK_S)
    return time.monotonic() - began


def submit(machine: Machine, bed: Bed, name: str, beats: int, on: str = "", avoid: str = "") -> int:
    """As often as it is not known what came of it; under one id."""
    want = Want(Resources(1000, 64 << 20), key="sh", on=(on,) if on else (), avoid=(avoid,) if avoid else ())
    spec = JobSpec(UserId(""), witness.argv(bed.folder, name, beats), want, cwd=b"/")
    request, began = r.Submit(os.urandom(16), (spec,)), time.monotonic()
    while True:
        with suppress(OSError, OdysseyError):
            return machine.call(request).id
        if time.monotonic() - began > PATIENCE_S:
            raise AssertionError("no job is taken in")
        time.sleep(LOOK_S)


def cancel(machine: Machine, *jobs: int) -> None:
    for job in jobs:
        machine.call(r.Cancel(str(job)))


def tries(machine: Machine, job: int) -> int:
    return sum(one.tries_total for one in machine.call(r.Job(str(job))).task_list)


# -- the coordinator ---------------------------------------------------------------------------------------------------


@bench("failover.coordinator")
def coordinator(effort: Effort) -> Iterator[Result]:
    """Its daemon is killed, or it is stopped in order, while a task runs on each machine."""
    if (no := impossible("failover.coordinator")) is not None:
        yield no
        return
    repeats = effort.repeats(TIMES)
    with a_bed() as bed:
        long = [submit(bed.mesh[0], bed, f"long-{one.host.name}", LONG, one.host.name) for one in bed.mesh]
        until(lambda: all(bed.signs(f"long-{one.host.name}") for one in bed.mesh))
        killed = [_without(bed, f"killed-{number}", _kill_daemon) for number in range(repeats)]
        stopped = [_without(bed, f"stopped-{number}", _stop) for number in range(repeats)]
        again = [job for job in long if tries(bed.mesh[0], job) != 1]
        cancel(bed.mesh[0], *long)
    yield from _gaps("the coordinator is killed", killed, 3_000, 5_000, 4_000, 6_000)
    yield from _gaps("the coordinator is stopped", stopped, 500, None, None, None)
    yield Check("what ran meanwhile was not run again", not again, f"{len(again)} of {len(long)} were")


class Gap(NamedTuple):
    taken_s: float  # until a job is on the log
    begun_s: float  # until it runs


def _without(bed: Bed, name: str, end: Callable[[Machine], None]) -> Gap:
    bed.until_whole()
    gone = bed.coordinator
    door = bed.others(gone)[0]
    end(gone)
    began, at_ns = time.monotonic(), time.time_ns()
    submit(door, bed, name, 0)
    taken = time.monotonic() - began
    until(lambda: bed.signs(name))
    gone.forget_door()
    gone.host.run("odyssey", "up", limit_s=PATIENCE_S)
    return Gap(taken, (bed.signs(name)[0].at_ns - at_ns) / 1e9)


def _gaps(
    what: str,
    gaps: Sequence[Gap],
    taken_ms: float,
    worst_ms: float | None,
    begun_ms: float | None,
    last_ms: float | None,
) -> Iterator[Figure]:
    taken, begun = [one.taken_s * MS for one in gaps], [one.begun_s * MS for one in gaps]
    yield plain(f"{what}: until a job is taken in elsewhere", "ms", taken, taken_ms)
    yield plain("  the longest", "ms", [max(taken)], worst_ms)
    yield plain(f"{what}: until it runs", "ms", begun, begun_ms)
    yield plain("  the longest", "ms", [max(begun)], last_ms)


def _kill_daemon(machine: Machine) -> None:
    for process in machine.daemons():
        os.kill(process, signal.SIGKILL)


def _stop(machine: Machine) -> None:
    """As `down` does it; its answer is not waited for."""
    with suppress(OSError, OdysseyError):
        machine.call(r.Down())


# -- work that moves ---------------------------------------------------------------------------------------------------


@bench("failover.moved")
def moved(effort: Effort) -> Iterator[Result]:
    """A machine, or its hands, are lost with a task; until that runs elsewhere."""
    if (no := impossible("failover.moved")) is not None:
        yield no
        return
    repeats = effort.repeats(TIMES)
    with a_bed() as bed:
        hands = [_lost(bed, f"hands-{number}", _kill_hands) for number in range(repeats)]
        power = [_lost(bed, f"power-{number}", lambda one: one.host.kill(), True) for number in range(repeats)]
    yield from _moves("the hands of a machine are killed", hands, 1_000, 2_000)
    yield from _moves("a machine loses its power", power, 10_000, 14_000)
    beside = [text for one in (*hands, *power) for text in one.beside]
    yield Check("no task ran beside itself", not beside, "; ".join(beside) or f"in {len(hands) + len(power)} moves")


class Moved(NamedTuple):
    after_s: float
    beside: tuple[str, ...]


def _lost(bed: Bed, name: str, end: Callable[[Machine], None], boots: bool = False) -> Moved:
    bed.until_whole()
    door = bed.coordinator
    lost = bed.others(door)[0]
    job = submit(door, bed, name, LONG, avoid=door.host.name)
    until(lambda: bed.signs(name))
    if bed.signs(name)[0].machine != lost.host.name:
        lost = next(one for one in bed.others(door) if one is not lost)
    lost.forget_door()
    end(lost)
    at_ns = time.time_ns()
    until(lambda: len({sign.attempt for sign in bed.signs(name)}) > 1)
    signs = bed.signs(name)
    begun = next(sign.at_ns for sign in signs if sign.attempt != signs[0].attempt)
    cancel(door, job)
    if boots:
        bed.lab.boot(lost.host.number)
    lost.host.run("odyssey", "up", limit_s=PATIENCE_S)
    return Moved((begun - at_ns) / 1e9, tuple(witness.together(signs)))


def _moves(what: str, moves: Sequence[Moved], median_ms: float, worst_ms: float) -> Iterator[Figure]:
    values = [one.after_s * MS for one in moves]
    yield plain(f"{what}: until its task runs elsewhere", "ms", values, median_ms)
    yield plain("  the longest", "ms", [max(values)], worst_ms)


def _kill_hands(machine: Machine) -> None:
    for process in machine.hands():
        os.kill(process, signal.SIGKILL)

"""The hands beside the raw rate of the machine: attempts a second, what each costs, and what idleness costs.

The raw limit is a loop in C around posix_spawn and waitpid, in as many processes as there are slots and with the
priority of attempts, on the same machine by turns. So it is time on the clock, not cpu time, that is compared. On a
machine that is busy with other things both are slow, and the ratio says little.

Promises: as in earnest: the home is on the disk that TMPDIR names, output is read, leftovers are looked for, limits are
set, starts are in the journal.
Never: counts the start of the supervisor, or the first runners.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from bench.harness import MS, US, Check, Effort, Result, Samples, bench, cost, paired, rate, size
from bench.raw_spawn import RAW, SLOTS, compiled, raw
from odyssey.ids import AttemptId
from odyssey.messages import Listed
from tests.exec.rig import Rig, a_spec, listed

TASKS: Final = 5_000
AHEAD: Final = 128  # as many as a machine is given beforehand
SHARE: Final = 0.85
SUPERVISOR_US: Final = 45.0
SUPERVISOR_BYTES: Final = 12 << 20
IDLE_S: Final = 3.0
SPEC: Final = a_spec("/bin/true")
_TICK: Final = os.sysconf("SC_CLK_TCK")


class Array:
    """Attempts that are alike, handed over as an agent does it."""

    def __init__(self, rig: Rig) -> None:
        self._rig, self._number = rig, 0
        self._live: set[AttemptId] = set()
        self._left = 0

    def run(self, count: int, ahead: int = AHEAD) -> float:
        self._left = count
        self._rig.hands._on_end = lambda _: self._go_on(ahead)
        begin = time.perf_counter()
        self._go_on(ahead)
        self._rig.loop.run_forever()
        return time.perf_counter() - begin

    def _go_on(self, ahead: int) -> None:
        hands = self._rig.hands
        for attempt, report in hands.reports().items():
            assert report.code == 0, report
            self._live.discard(attempt)
            hands.forget(attempt)
        while self._left and len(self._live) < SLOTS + ahead:
            self._number += 1
            self._left -= 1
            one = listed(self._number)
            (hands.start if len(self._live) < SLOTS else hands.follow)(one, SPEC)
            self._live.add(one.attempt)
        self._promote()
        if not self._live:
            self._rig.loop.stop()

    def _promote(self) -> None:
        """Those that had nobody left to follow, as an agent does it."""
        here = self._rig.hands.here()
        running = sum(one.started and not one.ended for one in here.values())
        for attempt, one in here.items():
            if running < SLOTS and not one.started:
                self._rig.hands.start(Listed(attempt, one.task), SPEC)
                running += 1


@bench("exec.array")
def array(effort: Effort) -> Iterator[Result]:
    count = effort.size(TASKS)
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(folder))
        if program is None:
            yield Check("exec: attempts a second", True, "NOT MEASURED: there is no C compiler for the raw limit")
            return
        rig = Rig(Path(folder, "home")).open()
        try:
            runs = Array(rig)
            runs.run(100)
            before = _cpu_s(rig.hands.pid)
            done = 0

            def real() -> float:
                nonlocal done
                done += count
                return runs.run(count)

            samples = paired(real, partial(raw, program, count), effort.repeats(5))
            target = SHARE * count / median(samples.raw)
            yield rate(f"exec: /bin/true on {SLOTS} slots", "1/s", samples, count, RAW, target)
            spent = Samples([(_cpu_s(rig.hands.pid) - before) / done], [0.0])
            yield cost("exec: cpu time of the supervisor for each", "us", spent, US, "-", SUPERVISOR_US)
        finally:
            rig.close()


@bench("exec.single")
def single(effort: Effort) -> Iterator[Result]:
    """One after the other: from the order to the report."""
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(folder))
        rig = Rig(Path(folder, "home")).open()
        try:
            runs = Array(rig)
            runs.run(20, ahead=0)
            times = sorted(_one(rig) for _ in range(effort.repeats(500)))
            limit = [] if program is None else [raw(program, 100) / 100 * SLOTS for _ in range(3)]
            worst = times[len(times) * 99 // 100]
            note = f"p99 {worst * MS:.2f} ms"
            yield cost("exec: one attempt, start to report", "ms", Samples(times, limit or [0.0]), MS, RAW, 3.0, note)
        finally:
            rig.close()


_numbers: Final = iter(range(1_000_000, 2_000_000))


def _one(rig: Rig) -> float:
    one = listed(next(_numbers))
    rig.hands._on_end = lambda _: rig.loop.stop()
    begin = time.perf_counter()
    rig.hands.start(one, SPEC)
    while one.attempt not in rig.hands.reports():
        rig.loop.run_forever()
    took = time.perf_counter() - begin
    rig.hands.forget(one.attempt)
    return took


@bench("exec.idle")
def idle(effort: Effort) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder)).open()
        try:
            Array(rig).run(effort.size(2_000))
            pid = rig.hands.pid
            rig.until(lambda: _runners(pid) <= SLOTS, 30)
            before = _switches(pid)
            time.sleep(IDLE_S)
            woken = _switches(pid) - before
            yield Check("exec: an idle supervisor", woken == 0, f"woke up {woken} times in {IDLE_S:.0f} s")
            held = _status(pid, "smaps_rollup", "Pss:") * 1024
            yield size("exec: memory of the supervisor (Pss)", held, 0.0, "-", SUPERVISOR_BYTES)
        finally:
            rig.close()


def _cpu_s(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _status(pid: int | None, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(name))


def _switches(pid: int | None) -> int:
    return _status(pid, "status", "voluntary_ctxt_switches:")


def _runners(pid: int | None) -> int:
    return len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

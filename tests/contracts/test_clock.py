"""What every clock promises, and what only the system's or the fake one does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from odyssey.clock import Clock, SystemClock
from tests.fakes import FakeClock

ROOT = Path(__file__).resolve().parents[2]
SPAN_MS = 3


class Case(NamedTuple):
    clock: Clock
    let_pass: Callable[[], None]


def busy() -> None:
    end = time.perf_counter_ns() + SPAN_MS * 1_000_000
    while time.perf_counter_ns() < end:
        pass


def fake() -> Case:
    clock = FakeClock()
    return Case(clock, lambda: clock.advance(SPAN_MS))


@pytest.fixture(params=["system", "fake"])
def case(request: pytest.FixtureRequest) -> Case:
    return Case(SystemClock(), busy) if request.param == "system" else fake()


def readings(clock: Clock) -> tuple[int, int, int]:
    return clock.monotonic_ms(), clock.boottime_ms(), clock.wall_ms()


def test_all_readings_are_whole_numbers(case: Case) -> None:
    assert [type(reading) for reading in readings(case.clock)] == [int, int, int]


def test_neither_clock_for_decisions_goes_back(case: Case) -> None:
    seen = []
    for _ in range(20):
        seen.append((case.clock.monotonic_ms(), case.clock.boottime_ms()))
        case.let_pass()
    assert [awake for awake, _ in seen] == sorted(awake for awake, _ in seen)
    assert [booted for _, booted in seen] == sorted(booted for _, booted in seen)


def test_all_clocks_count_milliseconds_while_awake(case: Case) -> None:
    before = readings(case.clock)
    case.let_pass()
    for early, late in zip(before, readings(case.clock), strict=True):
        assert SPAN_MS - 1 <= late - early < 60_000  # a reading is cut to whole milliseconds


def test_sleep_never_counts_as_negative(case: Case) -> None:
    """Read awake first: what passes between the two readings then counts as sleep, never as less than none."""
    awake, booted = case.clock.monotonic_ms(), case.clock.boottime_ms()
    case.let_pass()
    awake = case.clock.monotonic_ms() - awake
    assert case.clock.boottime_ms() - booted >= awake - 1


def test_the_wall_clock_counts_from_1970(case: Case) -> None:
    year = time.gmtime(case.clock.wall_ms() // 1000).tm_year
    assert 2020 <= year < 2120


def test_a_sleeping_machine_has_boot_time_and_wall_time_only() -> None:
    clock = FakeClock()
    before = readings(clock)
    clock.suspend(60_000)
    assert readings(clock) == (before[0], before[1] + 60_000, before[2] + 60_000)


def test_setting_the_wall_clock_moves_nothing_else() -> None:
    clock = FakeClock()
    before = readings(clock)
    clock.set_wall(5)
    assert readings(clock) == (before[0], before[1], 5)


@pytest.mark.parametrize("move", [FakeClock.advance, FakeClock.suspend])
def test_the_fake_cannot_break_the_promise(move: Callable[[FakeClock, int], None]) -> None:
    clock = FakeClock()
    before = readings(clock)
    with pytest.raises(ValueError, match="does not go back"):
        move(clock, -1)
    assert readings(clock) == before


ASK = """
import json
from odyssey.clock import SystemClock
clock = SystemClock()
print(json.dumps([clock.monotonic_ms(), clock.boottime_ms()]))
"""


def in_a_machine_that_slept(seconds: int) -> list[int]:
    """A time namespace in which boot time is ahead, as it is after sleep."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare here")
    command = [unshare, "--time", "--boottime", str(seconds), "--monotonic", "0", "--fork"]
    done = subprocess.run(
        [*command, sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0 and "unshare" in done.stderr:
        pytest.skip(f"no time namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    readings: list[int] = json.loads(done.stdout)
    return readings


@pytest.mark.skipif(sys.platform != "linux", reason="time namespaces are Linux's")
def test_only_boot_time_knows_of_sleep() -> None:
    slept_ms = 86_400_000
    clock = SystemClock()
    here = clock.boottime_ms() - clock.monotonic_ms()
    awake, booted = in_a_machine_that_slept(slept_ms // 1000)
    assert abs((booted - awake) - here - slept_ms) < 1000

"""One log, one meaning: every process, whatever its hash seed and its restarts, comes to the same state and events."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from odyssey import events
from odyssey.clock import SeededEntropy
from odyssey.commands import Entry
from odyssey.events import Event
from odyssey.scheduler.apply import TRANSITIONS, apply
from odyssey.scheduler.draft import replace
from odyssey.scheduler.state import State
from tests.scheduler.replay import replay, write
from tests.scheduler.storm import Storm

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = 5_000


@cache
def a_log() -> tuple[tuple[Entry, ...], tuple[Event, ...]]:
    """A long storm, and what came of it here."""
    storm, state = Storm(SeededEntropy(20)), State()
    log: list[Entry] = []
    told: list[Event] = []
    for index in range(1, ENTRIES + 1):
        command = storm.command(state)
        log.append(Entry(storm.generation, storm.term, index, 1_000 + index, command))  # type: ignore[arg-type]
        state, new = apply(state, log[-1:])
        told += new
    return tuple(log), tuple(told)


def test_the_log_holds_every_command_and_tells_every_event() -> None:
    """Else the tests below would prove less than they seem to."""
    log, told = a_log()
    assert {type(entry.command) for entry in log} == set(TRANSITIONS)
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)}
    assert kinds - {type(event) for event in told} == {Event, events.CommandFailed}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "entries"
    write(path, a_log()[0])
    return path


@pytest.mark.parametrize("reload_every", [0, 617])
@pytest.mark.parametrize("hash_seed", ["0", "1", "31337"])
def test_every_process_comes_to_the_same_state_and_events(file: Path, hash_seed: str, reload_every: int) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.scheduler.replay", str(file), str(reload_every)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert tuple(answer.stdout.split()) == replay(a_log()[0])


@pytest.mark.parametrize("reload_every", [1, 2, 7])
def test_restarts_at_any_place_leave_no_trace(reload_every: int) -> None:
    log = a_log()[0][:400]
    assert replay(log, reload_every) == replay(log)


def test_the_wall_clock_only_dates() -> None:
    """No rule compares it: with any other clock the same things happen."""
    log, told = a_log()
    for wall_ms in (0, -(1 << 60), 1 << 60):
        state = State()
        _, events_ = apply(state, [replace(entry, wall_ms=wall_ms) for entry in log])
        assert tuple(events_) == told

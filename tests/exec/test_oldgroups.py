"""Control groups that a killed supervisor has left: found wherever they are, and removed if they are ours and empty."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from odyssey.exec.supervisor import oldgroups
from tests.exec.rig import Rig, running, shell


@pytest.fixture
def home(tmp_path: Path) -> str:
    (tmp_path / "home").mkdir()
    return str(tmp_path / "home")


def a_group(tmp_path: Path, name: str, *slots: str) -> Path:
    path = tmp_path / "groups" / name
    for slot in slots:
        (path / slot).mkdir(parents=True)
    path.mkdir(parents=True, exist_ok=True)
    return path


def test_what_is_ours_and_empty_goes(home: str, tmp_path: Path) -> None:
    ours = a_group(tmp_path, oldgroups.name(home), "slot-0", "slot-1")
    for path in (ours, tmp_path / "gone" / oldgroups.name(home)):
        oldgroups.note(home, str(path))
    oldgroups.sweep(home)
    assert (ours.exists(), os.listdir(home)) == (False, [])


def test_where_somebody_is_it_stays_and_goes_later(home: str, tmp_path: Path) -> None:
    ours = a_group(tmp_path, oldgroups.name(home), "slot-0", "slot-1/somebody")
    oldgroups.note(home, str(ours))
    oldgroups.sweep(home)
    assert [path.name for path in ours.iterdir()] == ["slot-1"]
    (ours / "slot-1/somebody").rmdir()
    oldgroups.sweep(home)
    assert not ours.exists()


def test_what_is_not_ours_stays_whatever_was_noted(home: str, tmp_path: Path) -> None:
    for name in (oldgroups.name(f"{home}2"), "system.slice"):
        oldgroups.note(home, str(a_group(tmp_path, name, "slot-0")))
    oldgroups.thaw(home)
    oldgroups.sweep(home)
    assert len(list((tmp_path / "groups").glob("*/slot-0"))) == 2


def test_after_a_supervisor_that_was_killed_and_the_next_one_nothing_is_left(tmp_path: Path) -> None:
    rig, mark = Rig(tmp_path / "rig").open(), f"{os.getpid()}16.25"
    own = str(rig.places.own)
    try:
        attempt = rig.start(shell(f"sleep {mark}"))
        rig.until(lambda: running(mark))
        elsewhere = a_group(tmp_path, oldgroups.name(own), "slot-7")  # where another supervisor was
        oldgroups.note(own, str(elsewhere))
        noted = [Path(path) for path in oldgroups.noted(own)]
        assert (len(noted) > 1) == (rig.hands.abilities["freeze"] != "none")
        assert rig.hands.pid is not None
        os.kill(rig.hands.pid, signal.SIGKILL)
        rig.wait(attempt)
        assert not elsewhere.exists()
    finally:
        rig.close()
    assert [path for path in noted if path.exists()] == []
    assert not (rig.places.own / "groups").exists()

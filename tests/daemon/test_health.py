"""How the machine is: what others leave, and the mains."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from odyssey.daemon.health import (
    SAMPLE_MS,
    Health,
    LinuxSystem,
    PortableSystem,
    System,
    Times,
    boot_id,
    cpu_free_milli,
    lid_of,
    mains_of,
    memory_of,
    real_system,
    times_of,
)
from odyssey.messages import OwnerState, Pause
from tests.daemon_fakes import Time

GIB = 1 << 30


class Scripted(System):
    def __init__(self) -> None:
        self.at = Times(0, 0, 0, 0)
        self.asked = 0
        self.is_in: bool | None = True

    def times(self) -> Times:
        self.asked += 1
        return self.at

    def memory(self) -> tuple[int, int]:
        return 10 * GIB, 4 * GIB

    def load(self) -> float:
        return 1.5

    def mains(self) -> bool | None:
        return self.is_in

    def lid(self) -> bool | None:
        return None

    def battery(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("after", "free"),
    [
        (Times(0, 0, 0, 10), 4000),
        (Times(10, 0, 0, 0), 0),
        (Times(0, 10, 0, 0), 4000),  # niced work gives way
        (Times(5, 0, 0, 5), 2000),
        (Times(2, 2, 4, 0), 2000),  # half of the system's time is for others
        (Times(0, 0, 5, 5), 2000),
        (Times(0, 0, 0, 0), None),
        (Times(-1, 0, 0, 10), 4000),  # a counter that went back
    ],
)
def test_what_programs_of_others_leave(after: Times, free: int | None) -> None:
    assert cpu_free_milli(Times(0, 0, 0, 0), after, 4) == free


def test_a_tenth_of_the_memory_is_never_given() -> None:
    assert Health(Scripted(), Time(), 4).telemetry(None).memory_free == 3 * GIB


def test_the_system_is_asked_no_more_often_than_a_beat_needs() -> None:
    system, time = Scripted(), Time()
    health = Health(system, time, 4)
    health.telemetry(None)
    before = system.asked
    for _ in range(10):
        health.telemetry(None)
    assert system.asked == before
    time.wait(SAMPLE_MS)
    system.at = Times(1, 0, 0, 1)
    assert health.telemetry(None).cpu_free_milli == 2000
    assert system.asked == before + 1


def test_a_pause_is_told_and_what_is_not_known_is_not() -> None:
    system = Scripted()
    health = Health(system, Time(), 4)
    assert health.telemetry(Pause.ASKED).owner is OwnerState.PAUSED
    told = health.telemetry(None)
    assert (told.owner, told.mains, told.load_milli) == (None, True, 1500)
    system.is_in = None
    assert health.look_at_mains() is None
    assert health.telemetry(None).mains is None


# -- mains -------------------------------------------------------------------------------------------------------------


def supplies(path: Path, **those: dict[str, str]) -> Path:
    for name, files in those.items():
        (path / name).mkdir()
        for file, text in files.items():
            (path / name / file).write_text(text + "\n")
    return path


AC_IN, AC_OUT = {"type": "Mains", "online": "1"}, {"type": "Mains", "online": "0"}


@pytest.mark.parametrize(
    ("those", "is_in"),
    [
        ({}, None),
        ({"ac": AC_IN}, True),
        ({"ac": AC_IN, "bat": {"type": "Battery", "status": "Charging"}}, True),
        ({"ac": AC_OUT, "bat": {"type": "Battery", "status": "Discharging"}}, False),
        ({"bat": {"type": "Battery", "status": "Discharging"}}, False),
        ({"bat": {"type": "Battery", "status": "Not charging"}}, True),
        ({"bat0": {"type": "Battery", "status": "Full"}, "bat1": {"type": "Battery", "status": "Discharging"}}, False),
        ({"mouse": {"type": "Battery", "scope": "Device", "status": "Discharging"}}, None),
        ({"usb": {"type": "USB", "online": "1"}, "bat": {"type": "Battery", "status": "Discharging"}}, True),
        ({"odd": {}}, None),
    ],
)
def test_whether_it_is_on_mains(tmp_path: Path, those: dict[str, dict[str, str]], is_in: bool | None) -> None:
    assert mains_of(supplies(tmp_path, **those)) is is_in


STAT = b"cpu  1000 200 300 4000 500 60 70 80 90 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
MEMINFO = b"MemTotal:       24684084 kB\nMemFree:        1 kB\nMemAvailable:   24098228 kB\nHugeP"


def test_what_the_kernel_says_is_read() -> None:
    assert times_of(STAT, 100) == Times(10, 2, 5.1, 45)
    assert memory_of(MEMINFO) == (24684084 << 10, 24098228 << 10)


def test_the_real_system_answers(tmp_path: Path) -> None:
    system = real_system()
    total, available = system.memory()
    assert 0 < available <= total
    assert sum(system.times()) > 0
    assert system.load() >= 0
    assert system.mains() in (True, False, None)
    assert boot_id() == boot_id() != b""


@pytest.mark.parametrize(
    ("texts", "is_open"),
    [
        ((), None),
        (("state:      open\n",), True),
        (("state:      closed\n",), False),
        (("state: closed", "state: open"), True),
    ],
)
def test_the_lid_is_as_the_firmware_tells(tmp_path: Path, texts: tuple[str, ...], is_open: bool | None) -> None:
    for number, text in enumerate(texts):
        (tmp_path / f"LID{number}").mkdir()
        (tmp_path / f"LID{number}" / "state").write_text(text)
    assert lid_of(tmp_path) is is_open
    assert sys.platform != "linux" or LinuxSystem(lids=tmp_path).lid() is is_open


@pytest.mark.skipif(sys.platform != "linux", reason="it reads what Linux offers")
def test_both_real_sides_say_the_same(tmp_path: Path) -> None:
    fast, portable = LinuxSystem(supplies(tmp_path, ac=AC_IN)), PortableSystem()
    assert fast.mains() is True
    assert fast.memory()[0] == portable.memory()[0]
    for one, other in zip(fast.times(), portable.times(), strict=True):
        assert one == pytest.approx(other, rel=0.001, abs=10)  # time goes on between the two
    fast.close()

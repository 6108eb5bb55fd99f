"""The note of the lease: on the disk before anybody is told, and no rot is believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from odyssey.commands import Fence
from odyssey.daemon.notes import NoteFile, read
from odyssey.errors import OdysseyError
from odyssey.ids import AttemptId
from odyssey.mesh.lease import NOTHING_KEPT, Kept
from odyssey.mesh.worker import Worker, outcome
from odyssey.messages import BootId
from tests.daemon_fakes import Time

T = TypeVar("T")
KEPT = Kept(Fence(1, 7), BootId(b"boot"), AttemptId(5))


class Now(Worker):
    def run(self, job: Callable[[], T], done: Callable[[T | OdysseyError], None]) -> None:
        done(outcome(job))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lease"


def test_what_was_saved_is_read(file: Path) -> None:
    told: list[Kept] = []
    NoteFile(file, Now(), Time()).save(KEPT, lambda: told.append(read(file)))
    assert told == [KEPT]


def test_a_disk_that_takes_none_is_asked_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    time, told = Time(), list[str]()
    monkeypatch.setattr("os.fsync", full)
    NoteFile(file, Now(), time).save(KEPT, lambda: told.append("done"))
    time.wait(5_000)
    assert (told, read(file)) == ([], NOTHING_KEPT)
    monkeypatch.undo()
    time.wait(1_500)
    assert (told, read(file)) == (["done"], KEPT)


def test_who_has_stopped_is_not_told(file: Path) -> None:
    notes = NoteFile(file, Now(), Time())
    notes.stop()
    notes.save(KEPT, lambda: pytest.fail("told"))


@pytest.mark.parametrize("data", [b"", b"short", bytes(40)])
def test_rot_says_nothing(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    assert read(file) == NOTHING_KEPT

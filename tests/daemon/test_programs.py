"""Programs that somebody asks for by `has:NAME`."""

from __future__ import annotations

from pathlib import Path

import pytest

from odyssey.daemon.programs import FRESH_MS, MOST, Programs, is_program
from tests.fakes import FakeClock


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, FakeClock()
        self.path = str(folder).encode()
        self.programs = Programs(lambda: self.path, self.clock)

    def install(self, name: str) -> None:
        (self.folder / name).touch(0o755)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_only_what_is_asked_for_is_told(desk: Desk) -> None:
    desk.install("ffmpeg")
    desk.install("sox")
    assert desk.programs.labels({}) == {}
    assert desk.programs.ask(["ffmpeg", "nope"]) == {"ffmpeg"}
    assert desk.programs.labels({}) == {"has:ffmpeg": "yes"}


def test_what_was_told_before_a_restart_is_looked_at_again(desk: Desk) -> None:
    desk.install("ffmpeg")
    assert desk.programs.labels({"has:ffmpeg": "yes", "has:gone": "yes", "os": "linux"}) == {"has:ffmpeg": "yes"}


def test_what_is_installed_or_removed_later_is_noticed(desk: Desk) -> None:
    assert desk.programs.ask(["ffmpeg"]) == set()
    desk.install("ffmpeg")
    assert desk.programs.ask(["ffmpeg"]) == {"ffmpeg"}  # whoever asks gets the answer of now
    (desk.folder / "ffmpeg").unlink()
    assert desk.programs.labels({})
    desk.clock.advance(FRESH_MS)
    assert desk.programs.labels({}) == {}
    desk.install("ffmpeg")
    desk.clock.advance(FRESH_MS)
    assert desk.programs.labels({}) == {"has:ffmpeg": "yes"}


def test_of_very_many_the_newest_are_remembered(desk: Desk) -> None:
    for number in range(MOST + 5):
        desk.install(f"p{number}")
        desk.programs.ask([f"p{number}"])
    told = desk.programs.labels({})
    assert len(told) == MOST
    assert f"has:p{MOST + 4}" in told


def test_a_program_is_a_file_that_may_be_run(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").touch(0o644)
    (tmp_path / "tool").touch(0o755)
    path = b"/nowhere:" + str(tmp_path).encode()
    assert [is_program(name, path) for name in ("tool", "text", "folder", "", "../x", "a\0b")] == [True] + [False] * 5

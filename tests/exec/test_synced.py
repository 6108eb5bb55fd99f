"""What attempts have written is on the disk before their end is told."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from odyssey.exec.outputs import Outputs
from odyssey.exec.supervisor.outlet import ERR, OUT, Outlet, segment_name
from odyssey.exec.supervisor.workplace import kept
from odyssey.exec.synced import Synced, Written, sync_tree
from odyssey.ids import AttemptId, TaskId
from tests.certain import Certain
from tests.certain import certain as certain  # the fixture
from tests.daemon_fakes import Time
from tests.exec.rig import Rig, shell

PATIENCE_S = 10.0


def an_outlet(folder: Path, life: int = 1, slot: int = 0) -> Outlet:
    folder.mkdir(exist_ok=True)
    return Outlet(str(folder), life, slot)


def write(outlet: Outlet, attempt: int, text: bytes) -> None:
    outlet.begin(attempt)
    outlet.write(OUT, text)
    outlet.write(ERR, text)
    outlet.end()


def all_last(certain: Certain, folder: Path) -> bool:
    return all(certain.has(path, folder.parent) for path in folder.iterdir())


def test_what_was_written_lasts(certain: Certain, tmp_path: Path) -> None:
    outlet, written = an_outlet(tmp_path / "out"), Written(tmp_path / "out")
    for attempt in range(3):
        write(outlet, attempt, b"hello\n")
        written.sync()
        assert all_last(certain, tmp_path / "out")


def test_new_segments_and_new_processes_are_found(certain: Certain, tmp_path: Path) -> None:
    written = Written(tmp_path / "out")
    for life, slot in ((1, 0), (1, 4096), (2, 0), (2, 1)):
        write(an_outlet(tmp_path / "out", life, slot), 1, b"hello\n")
        written.sync()
        assert all_last(certain, tmp_path / "out")


def test_the_last_words_of_a_process_are_not_forgotten_when_another_begins(certain: Certain, tmp_path: Path) -> None:
    old, written = an_outlet(tmp_path / "out", 1), Written(tmp_path / "out")
    write(old, 1, b"hello\n")
    written.sync()
    write(old, 2, b"bye\n")
    write(an_outlet(tmp_path / "out", 2), 3, b"hello\n")
    written.sync()
    assert all_last(certain, tmp_path / "out")


def test_what_has_not_grown_is_not_waited_for_again(
    certain: Certain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slot in range(3):
        write(an_outlet(tmp_path / "out", slot=slot), 1, b"hello\n")
    written = Written(tmp_path / "out")
    written.sync()
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    written.sync()
    assert not synced


def test_nobody_waits_for_what_a_job_that_runs_has_written(
    certain: Certain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, ends, written = an_outlet(tmp_path / "out"), an_outlet(tmp_path / "out", slot=1), Written(tmp_path / "out")
    write(runs, 1, b"hello\n")
    write(ends, 2, b"hello\n")
    written.sync()
    runs.begin(3)
    runs.write(OUT, b"much")
    write(ends, 4, b"more\n")
    written.sync()
    there = {path.name: certain.has(path, tmp_path) for path in (tmp_path / "out").iterdir()}
    assert [name for name, lasts in there.items() if not lasts] == [segment_name(1, 0, 0) + ".out"]
    runs.end()
    written.sync()
    assert all_last(certain, tmp_path / "out")


def test_it_is_quiet_while_nobody_writes(tmp_path: Path) -> None:
    folder, written = tmp_path / "out", Written(tmp_path / "out")
    assert not written.is_quiet()
    outlet = an_outlet(folder)
    write(outlet, 1, b"hello\n")
    os.utime(folder, ns=(0, 0))
    assert not written.is_quiet()
    written.sync()
    assert written.is_quiet()
    write(outlet, 2, b"")
    assert written.is_quiet()
    write(outlet, 3, b"more\n")
    assert not written.is_quiet()
    written.sync()
    assert written.is_quiet()
    write(an_outlet(folder, slot=1), 4, b"there\n")
    assert not written.is_quiet()


def test_a_segment_that_is_gone_is_no_error(tmp_path: Path) -> None:
    write(an_outlet(tmp_path / "out"), 1, b"hello\n")
    written = Written(tmp_path / "out")
    written.sync()
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    written.sync()


# -- one pass after the other ------------------------------------------------------------------------------------------


def on_a_loop(test: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    async def run() -> None:
        async with asyncio.timeout(seconds):
            await test()  # type: ignore[misc]

    asyncio.run(run())


def asked(folder: Path, told: list[Sequence[AttemptId]], over: asyncio.Event) -> Synced:
    def sure(attempts: Sequence[AttemptId]) -> None:
        told.append(attempts)
        over.set()

    return Synced(asyncio.get_running_loop(), folder / "out", folder / "files", sure)


def ended(*attempts: int) -> dict[AttemptId, TaskId]:
    return {AttemptId(attempt): TaskId(attempt) for attempt in attempts}


def test_who_asks_during_a_pass_waits_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, passes = threading.Event(), threading.Event(), list[int]()

    def slow(_: Written) -> None:
        passes.append(len(passes))
        begun.set()
        go_on.wait(PATIENCE_S)

    monkeypatch.setattr(Written, "sync", slow)

    async def test() -> None:
        over, told = asyncio.Event(), list[Sequence[AttemptId]]()
        synced = asked(tmp_path, told, over)
        synced.ask(ended(1))
        await asyncio.to_thread(begun.wait, PATIENCE_S)
        synced.ask(ended(2))
        synced.ask(ended(3))
        go_on.set()
        while len(told) < 2:
            over.clear()
            await over.wait()
        assert (told, len(passes)) == ([[1], [2, 3]], 2)
        synced.close()

    on_a_loop(test)


def test_a_disk_that_fails_does_not_keep_the_end_from_being_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Written) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Written, "sync", fails)

    async def test() -> None:
        over, told = asyncio.Event(), list[Sequence[AttemptId]]()
        synced = asked(tmp_path, told, over)
        synced.ask(ended(1))
        await over.wait()
        assert told == [[1]]
        synced.close()

    on_a_loop(test)
    assert "not safe on the disk" in caplog.text


# -- what was kept -----------------------------------------------------------------------------------------------------


def a_folder(files: Path, attempt: int) -> Path:
    folder = Path(kept(str(files), attempt, attempt))
    (folder / "deep").mkdir(parents=True)
    (folder / "model").write_bytes(b"weights")
    (folder / "deep" / "notes").write_bytes(b"words")
    return folder


def test_all_that_was_kept_lasts(certain: Certain, tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "files", 1)
    sync_tree(str(folder), str(tmp_path))
    assert certain.has(folder / "model", tmp_path)
    assert certain.has(folder / "deep" / "notes", tmp_path)


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "files", 1)
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/dev/tty")
    (folder / "round").symlink_to(folder)
    sync_tree(str(folder), str(tmp_path))


def test_nobody_waits_for_what_another_has_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    a_folder(tmp_path / "files", 1)
    monkeypatch.setattr("odyssey.exec.synced.sync_tree", lambda *_: go_on.wait(PATIENCE_S))

    async def test() -> None:
        over, told = asyncio.Event(), list[Sequence[AttemptId]]()
        synced = asked(tmp_path, told, over)
        synced.ask(ended(1, 2))
        await over.wait()
        assert told == [[2]]
        over.clear()
        go_on.set()
        await over.wait()
        assert told == [[2], [1]]
        synced.close()

    on_a_loop(test)


# -- the hands ---------------------------------------------------------------------------------------------------------


def test_an_end_is_told_when_its_output_is_on_the_disk(rig: Rig, certain: Certain) -> None:
    attempt = rig.start(shell("echo out; echo err >&2"))
    rig.wait(attempt)
    assert all_last(certain, rig.places.outputs)


def test_an_end_is_told_when_what_it_kept_is_on_the_disk(rig: Rig, certain: Certain) -> None:
    attempt = rig.start(shell('echo words > "$ODYSSEY_OUT/notes"'))
    report = rig.wait(attempt)
    files = rig.places.files
    assert certain.has(Path(kept(str(files), report.task, attempt)) / "notes", files.parent)


def test_until_then_it_counts_as_running(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, asked = threading.Event(), threading.Event()

    def slow(_: Written) -> None:
        asked.set()
        go_on.wait(PATIENCE_S)

    monkeypatch.setattr(Written, "sync", slow)
    attempt = rig.start(shell("echo out"))
    rig.until(asked.is_set)
    assert attempt not in rig.hands.reports()
    assert not rig.hands.here()[attempt].ended
    rig.hands.forget(attempt)  # of an older beat: nothing was told yet
    go_on.set()
    rig.wait(attempt)
    assert rig.hands.here()[attempt].ended


def test_a_name_that_comes_within_one_step_of_the_clock_is_found(
    certain: Certain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, written = tmp_path / "out", Written(tmp_path / "out")
    write(an_outlet(folder), 1, b"hello\n")
    when = time.time_ns()
    os.utime(folder, ns=(when, when))
    written.sync()
    write(an_outlet(folder, slot=1), 2, b"hello\n")
    os.utime(folder, ns=(when, when))  # as a coarse clock would have it
    written.sync()
    assert all_last(certain, folder)


def test_its_output_is_found_then_too(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    outputs = Outputs(folder, tmp_path / "slots", Time())
    write(an_outlet(folder), 1, b"hello\n")
    when = time.time_ns()
    os.utime(folder, ns=(when, when))
    assert outputs.read(AttemptId(1), OUT, 0, 10) == b"hello\n"
    write(an_outlet(folder, slot=1), 2, b"there\n")
    os.utime(folder, ns=(when, when))
    assert outputs.read(AttemptId(2), OUT, 0, 10) == b"there\n"

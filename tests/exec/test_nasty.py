"""Jobs that nobody wants: each ends in the right state, harms nobody else, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from odyssey.exec.supervisor import cgroups, desk
from odyssey.exec.supervisor.outlet import OUT
from odyssey.exec.supervisor.slots import look
from odyssey.model import Outcome
from tests.exec.rig import Rig, a_spec, running, shell

LONG_S = 200  # jobs run only where nothing else wants to: on a busy machine that is rarely


@pytest.fixture(autouse=True)
def _others_are_not_harmed(rig: Rig) -> None:
    assert rig.run(shell("exit 5")).code == 5


def still_works(rig: Rig) -> bool:
    return rig.run(shell("exit 6")).code == 6


def test_it_ignores_term(tmp_path: Path) -> None:
    """It is asked to end, and made to end when it has not for as long as people are told."""

    def be_impatient() -> None:
        desk.POLITE_MS = 200  # type: ignore[misc]

    rig, mark = Rig(tmp_path / "impatient").start_supervisor(be_impatient), f"{os.getpid()}7.25"
    try:
        attempt = rig.start(shell(f"trap 'echo no' TERM HUP INT; echo up; while :; do sleep {mark}; done"))
        rig.until(lambda: rig.out(attempt))
        rig.hands.stop(attempt)
        assert rig.wait(attempt).outcome is Outcome.CANCELLED
        assert running(mark) == []
        assert still_works(rig)
    finally:
        rig.close()


def test_it_hides_from_its_session_and_closes_its_streams(rig: Rig) -> None:
    mark = f"{os.getpid()}8.25"
    script = f"(setsid sh -c 'exec >&- 2>&- <&-; (sleep {mark} &) ; sleep {mark}' &) ; echo gone"
    attempt = rig.start(shell(script))
    assert rig.wait(attempt).code == 0
    assert rig.out(attempt) == b"gone\n"
    assert running(mark) == []


def test_it_closes_its_output_and_works_on(rig: Rig) -> None:
    attempt = rig.start(shell("echo a; exec >&- 2>&-; sleep 0.2; exit 3"))
    report = rig.wait(attempt)
    assert (report.code, report.run_ms >= 200, rig.out(attempt)) == (3, True, b"a\n")


def test_its_lines_are_long_and_full_of_zeros(rig: Rig) -> None:
    attempt = rig.start(shell("head -c 1000000 /dev/zero; printf 'x\\ny'; head -c 1000000 /dev/zero | tr '\\0' z"))
    rig.wait(attempt)
    assert rig.out(attempt) == bytes(1_000_000) + b"x\ny" + b"z" * 1_000_000


def test_it_leaves_its_pipe_without_blocking(rig: Rig) -> None:
    """As some runtimes do: the next one gets a pipe as it should be."""
    nonblocking = "import fcntl, os; fcntl.fcntl(1, fcntl.F_SETFL, os.O_NONBLOCK)"
    rig.run(a_spec("python3", "-S", "-E", "-c", nonblocking))
    attempt = rig.start(shell("head -c 3000000 /dev/zero"))
    assert rig.wait(attempt).code == 0
    assert len(rig.out(attempt)) == 3_000_000


def test_it_forks_ten_thousand(rig: Rig) -> None:
    """With the limit that everybody gets."""
    if rig.hands.abilities["pids"] == "none":
        pytest.skip("this machine limits no processes: that is not tried on it")
    bomb = """
import os, signal
made = 0
try:
    while made < 10_000:
        if not os.fork():
            signal.pause()
        made += 1
except BlockingIOError:
    os.write(1, b"%d" % made)
"""
    mark = f"{os.getpid()}9.25"
    attempt = rig.start(a_spec("python3", "-S", "-E", "-c", bomb, mark))
    report = rig.wait(attempt, LONG_S)
    assert (report.outcome, report.code, report.leaked) == (Outcome.EXITED, 0, False)
    assert cgroups.MOST_PROCESSES - 10 < int(rig.out(attempt)) < cgroups.MOST_PROCESSES
    assert running(mark) == []
    assert still_works(rig)


def test_it_writes_ten_gigabytes(tmp_path: Path) -> None:
    """Up to its limit on the disk, and no further."""
    rig = Rig(tmp_path / "small", limit=1 << 20).open()
    try:
        attempt = rig.start(shell("dd if=/dev/zero bs=1M count=10000 2> /dev/null; exit 3"))
        assert rig.wait(attempt, LONG_S).code == 3
        extent = rig.outputs.extent(attempt, OUT)
        assert extent is not None
        assert (extent.size, extent.cut_bytes) == (1 << 20, (10_000 - 1) << 20)
        on_disk = sum(path.stat().st_blocks * 512 for path in rig.places.outputs.iterdir())
        assert on_disk < 2 << 20
        assert still_works(rig)
    finally:
        rig.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", path], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no disk can be made here: what a full one does is not tried")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_the_disk_is_full_while_it_writes(tmp_path: Path, small_disk: Path) -> None:
    """It goes on; what found no room is counted, and said. Where there is room again, all is kept again."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/outputs").symlink_to(small_disk)
    rig = Rig(tmp_path / "home").open()
    try:
        (small_disk / "ballast").write_bytes(bytes(1 << 20))
        attempt = rig.start(shell("echo b >&2; head -c 8000000 /dev/zero; echo e >&2; exit 3"))
        report = rig.wait(attempt)
        assert (report.outcome, report.code) == (Outcome.EXITED, 3)
        (small_disk / "ballast").unlink()
        after = rig.start(shell("echo kept; echo too >&2"))
        assert rig.wait(after).code == 0
        assert (rig.out(after), rig.err(after)) == (b"kept\n", b"too\n")
        extent = rig.outputs.extent(attempt, OUT)
        assert extent is not None
        assert (0 < extent.size < 1 << 20, extent.size + extent.cut_bytes) == (True, 8_000_000)
        assert rig.err(attempt).startswith(b"b\n")
        assert rig.outputs.note(attempt) == "the disk was full: a part of the output is lost"
    finally:
        rig.close()


def test_the_disk_is_full_before_it_writes(rig: Rig) -> None:
    pages = look(str(rig.places.own / "slots"))
    assert pages is not None
    name = f"{pages.life:012x}-000-0000"
    pages.close()
    for ending in ("out", "err"):
        (rig.places.outputs / f"{name}.{ending}").symlink_to("/dev/full")
    attempt = rig.start(shell("echo lost; exit 3"))
    assert rig.wait(attempt).code == 3
    assert rig.out(attempt) == b""
    for ending in ("out", "err"):
        (rig.places.outputs / f"{name}.{ending}").unlink()
    assert still_works(rig)


def test_it_stops_itself_and_its_time_runs_out(rig: Rig) -> None:
    report = rig.run(shell("kill -STOP $$; exit 3", timeout_ms=300))
    assert report.outcome is Outcome.TIMEOUT
    assert still_works(rig)


def test_it_eats_all_the_memory_that_it_may_have(rig: Rig) -> None:
    if rig.hands.abilities["memory"] == "none":
        pytest.skip("this machine limits no memory: that is not tried on it")
    eater = "b = bytearray()\nwhile True: b += bytes(8 << 20)"
    spec = a_spec("python3", "-S", "-E", "-c", eater, memory=64 << 20, memory_is_limit=True)
    assert rig.run(spec).outcome is Outcome.OOM
    assert still_works(rig)


def test_its_words_are_no_text_and_its_last_line_has_no_end(rig: Rig) -> None:
    attempt = rig.start(a_spec("printf", "%s", b"\xff\xfe\n" + b"x" * 100_000))
    assert rig.wait(attempt).code == 0
    assert rig.out(attempt) == b"\xff\xfe\n" + b"x" * 100_000


def test_it_writes_to_everybody_and_everything_it_can_reach(rig: Rig) -> None:
    attempt = rig.start(shell("for fd in /proc/self/fd/* /proc/$PPID/fd/*; do echo x > $fd; done 2> /dev/null; exit 3"))
    assert rig.wait(attempt).code == 3
    assert still_works(rig)


def test_it_kills_everybody_it_can_reach(rig: Rig) -> None:
    attempt = rig.start(shell("kill -9 -1; kill -9 1; kill -9 $PPID"))
    assert rig.wait(attempt).outcome in (Outcome.EXITED, Outcome.SIGNALLED)
    assert still_works(rig)

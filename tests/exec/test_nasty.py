"""Jobs that nobody wants: each ends in the right state, harms nobody else, and leaves nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from odyssey.exec.supervisor import cgroups
from odyssey.exec.supervisor.outlet import OUT
from odyssey.exec.supervisor.slots import look
from odyssey.model import Outcome
from tests.exec.rig import Rig, a_spec, running, shell


@pytest.fixture(autouse=True)
def _others_are_not_harmed(rig: Rig) -> None:
    assert rig.run(shell("exit 5")).code == 5


def still_works(rig: Rig) -> bool:
    return rig.run(shell("exit 6")).code == 6


def test_it_ignores_term(rig: Rig) -> None:
    mark = f"{os.getpid()}7.25"
    attempt = rig.start(shell(f"trap '' TERM HUP INT; echo up; while :; do sleep {mark}; done"))
    rig.until(lambda: rig.out(attempt))
    rig.hands.stop(attempt)
    rig.hands.kill(attempt)
    assert rig.wait(attempt).outcome is Outcome.CANCELLED
    assert running(mark) == []
    assert still_works(rig)


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


def test_it_forks_ten_thousand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "MOST_PROCESSES", 200)
    rig = Rig(tmp_path / "few").start_supervisor(lambda: None)
    try:
        if rig.hands.abilities["pids"] == "none":
            pytest.skip("this machine limits no processes: that is not tried on it")
        bomb = "import os, signal\nfor _ in range(10_000):\n  if not os.fork(): signal.pause()"
        mark = f"{os.getpid()}9.25"
        report = rig.run(a_spec("python3", "-S", "-E", "-c", bomb, mark))
        assert (report.outcome, report.code, report.leaked) == (Outcome.EXITED, 1, False)
        assert running(mark) == []
        assert still_works(rig)
    finally:
        rig.close()


def test_it_writes_far_beyond_its_limit(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "small", limit=1 << 20).open()
    try:
        attempt = rig.start(shell("head -c 2000000000 /dev/zero; exit 3"))
        assert rig.wait(attempt).code == 3
        extent = rig.outputs.extent(attempt, OUT)
        assert extent is not None
        assert (extent.size, extent.cut_bytes) == (1 << 20, 2_000_000_000 - (1 << 20))
        assert still_works(rig)
    finally:
        rig.close()


def test_the_disk_is_full_while_it_writes(rig: Rig) -> None:
    """It goes on; what found no room is counted, and said."""
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


def test_it_writes_to_everybody_and_everything_it_can_reach(rig: Rig) -> None:
    attempt = rig.start(shell("for fd in /proc/self/fd/* /proc/$PPID/fd/*; do echo x > $fd; done 2> /dev/null; exit 3"))
    assert rig.wait(attempt).code == 3
    assert still_works(rig)


def test_it_kills_everybody_it_can_reach(rig: Rig) -> None:
    attempt = rig.start(shell("kill -9 -1; kill -9 1; kill -9 $PPID"))
    assert rig.wait(attempt).outcome in (Outcome.EXITED, Outcome.SIGNALLED)
    assert still_works(rig)

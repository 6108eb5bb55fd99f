"""The daemon is killed while attempts come and go; see `chaos`."""

from __future__ import annotations

import subprocess
import sys

from tests.exec.rig import ROOT

BOX = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def boxed() -> tuple[str, ...]:
    """What is started in it dies with it, where this machine can do that."""
    try:
        able = subprocess.run([*BOX, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return ()
    return BOX if able else ()


def test_nothing_runs_twice_and_nothing_is_lost_when_the_daemon_is_killed_again_and_again() -> None:
    words = [*boxed(), sys.executable, "-m", "tests.exec.chaos", "300", "10", "1"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr

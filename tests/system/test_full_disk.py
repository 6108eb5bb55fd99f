"""A daemon whose disk others fill goes on as far as it can, and by itself when there is room again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.place import ROOT

EXPECTED = """\
at first: done
nearly full: 5 the disk of the machine that keeps the jobs is nearly full: no new job is taken in
full: the log stands still
status: True
emptied: done
the same daemon: True
"""


def apart(directory: Path) -> tuple[str, ...]:
    """Words before a command so that its disks and processes are its own, and end with it."""
    unshare = shutil.which("unshare") or "unshare"
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    around = (unshare, *user, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    trial = [*around, "mount", "-t", "tmpfs", "none", str(directory)]
    if shutil.which("unshare") is None or subprocess.run(trial, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a disk of its own, so none can be filled")
    return around


def test_a_disk_that_is_filled_and_emptied(tmp_path: Path) -> None:
    words = [*apart(tmp_path), sys.executable, "-m", "tests.system.full_disk", str(tmp_path)]
    found = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert (found.stdout, found.returncode) == (EXPECTED, 0), found.stderr

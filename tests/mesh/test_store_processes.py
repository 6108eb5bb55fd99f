"""The store on SQLite among processes and on real disks: killed, competed with, filled up, made read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from odyssey.clock import SeededEntropy
from odyssey.errors import OdysseyError
from odyssey.mesh.sidefiles import set_aside
from odyssey.mesh.sqlite_store import SqliteStore, create_store, open_store
from odyssey.mesh.store import InUse, StoreError
from tests.contracts.store_rigs import BARE, GENERATION, MESH, NODE, entries

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mesh.db"


def made(path: Path) -> SqliteStore:
    return create_store(path, SeededEntropy(1), MESH, NODE, GENERATION, BARE)


def opened(path: Path) -> SqliteStore:
    return open_store(path, MESH, NODE, BARE)


# -- other processes ---------------------------------------------------------------------------------------------------


def child(*words: object, around: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*around, sys.executable, "-m", "tests.mesh.store_child", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("acknowledged", [1, 7, 20, 45])
def test_killed_at_any_moment_it_keeps_what_it_acknowledged(path: Path, acknowledged: int) -> None:
    """The kill comes while the next deeds are under way: how many more are done is not known."""
    for _ in range(2):
        with child("write", path, 4) as process:
            assert process.stdout is not None
            said = [int(process.stdout.readline()) for _ in range(acknowledged)]
            process.kill()
            said += [int(line) for line in process.stdout if line.endswith("\n")]
        store = opened(path)
        loaded = store.load()
        everything = store.entries(0, 1 << 40)
        store.close()
        last = loaded.entries[-1].index if loaded.entries else loaded.snapshot.index
        assert said[-1] <= loaded.hard.commit == last <= said[-1] + 4
        assert everything == [*entries(loaded.kept_from, last)]


def test_two_daemons_are_refused_with_the_number_of_the_other(path: Path) -> None:
    store = made(path)
    with child("look", path, 0) as process:
        assert process.communicate()[0] == "InUse\n"
    with pytest.raises(InUse, match=f"process {os.getpid()}"):
        opened(path)
    with pytest.raises(InUse):
        set_aside(path)
    store.close()
    with child("look", path, 0) as process:
        assert process.communicate()[0] == "opened\n"


def test_a_child_process_does_not_inherit_the_lock(path: Path) -> None:
    store = made(path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as process:
        store.close()
        opened(path).close()
        process.communicate(b"\n")


def namespace(tmp_path: Path) -> tuple[str, ...]:
    """Words before a command so that what it mounts is its own, and goes with it."""
    unshare = shutil.which("unshare")
    around = (unshare or "unshare", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), "--mount")
    trial = [*around, "mount", "-t", "tmpfs", "none", str(tmp_path)]
    if unshare is None or subprocess.run(trial, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a disk of its own, so no real disk can be filled or made read-only")
    return around


def test_a_really_full_disk(path: Path, tmp_path: Path) -> None:
    with child("fill", path, 24, around=namespace(tmp_path)) as process:
        told = process.communicate()[0].split()
    assert process.returncode == 0
    assert told == ["DiskFull", "0", "True", "DiskFull", "True"]


def test_a_disk_that_others_have_filled(path: Path, tmp_path: Path) -> None:
    """Even a look needs a little room; the ballast gives it."""
    with child("crowd", path, 8, around=namespace(tmp_path)) as process:
        told = process.communicate()[0].split()
    assert process.returncode == 0
    assert told == ["DiskFull", "0", "False"]


def test_a_really_read_only_disk(path: Path, tmp_path: Path) -> None:
    with child("read-only", path, 0, around=namespace(tmp_path)) as process:
        told = process.communicate()[0].split()
    assert told == ["opened", "ReadOnly", "ReadOnly"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; the test above covers it")
def test_a_directory_of_somebody_else(path: Path) -> None:
    made(path).close()
    path.parent.chmod(0o555)
    try:
        with pytest.raises(StoreError):
            opened(path)
    finally:
        path.parent.chmod(0o755)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        made(tmp_path / "missing" / "mesh.db")
    with pytest.raises(OdysseyError):
        opened(tmp_path / "missing" / "mesh.db")

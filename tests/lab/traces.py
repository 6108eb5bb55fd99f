"""What a lab leaves on this machine while it is there: one folder, and control groups. And how all of it goes.

Its processes and its network need nothing of this: they are held by processes alone, whose first one ends when whoever
made the lab ends, however that is.

Promises: `sweep` removes what earlier labs have left whose makers are gone; only what carries our mark.
Never: touches a lab whose maker lives.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from odyssey.exec.supervisor import cgroups

MARK: Final = "odyssey-lab-"
PLACE: Final = Path("/var/tmp")  # hosts have a /tmp of their own
PATIENCE_S: Final = 10.0


class Traces:
    """The folder of one lab, locked as long as its maker lives, and its control groups."""

    def __init__(self, place: Path = PLACE) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=MARK, dir=place))
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.groups = [path for parent in _parents() if (path := _made(parent, self.folder.name)) is not None]
        (self.folder / "groups").write_text("".join(f"{path}\n" for path in self.groups))

    def begins_with(self, process: int) -> None:
        """The process with which all others of the lab end."""
        (self.folder / "first").write_text(f"{process} {_born(process)}")

    def for_host(self, name: str) -> list[Path]:
        """A group in each hierarchy, so that the groups of daemons on several hosts are strangers."""
        found = [path for parent in self.groups if (path := _made(parent, name)) is not None]
        return [path for path in found if os.access(path / "cgroup.procs", os.W_OK)]

    def remove(self) -> None:
        """Once nothing of it runs."""
        _remove(self.folder, self.groups)
        os.close(self._lock)


def sweep(place: Path = PLACE) -> list[Path]:
    """The folders that were swept."""
    return [folder for folder in left(place) if _swept(folder)]


def left(place: Path = PLACE) -> list[Path]:
    """The folders of labs of this user, whether their makers live or not."""
    return [one for one in sorted(place.glob(f"{MARK}*")) if one.is_dir() and one.stat().st_uid == os.geteuid()]


def groups_of(folder: Path) -> list[Path]:
    """Those that are told there and carry our mark."""
    try:
        told = (folder / "groups").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [Path(line) for line in told if Path(line).name == folder.name]


def _swept(folder: Path) -> bool:
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # it is only just being made, or its maker died in that moment
        if time.time() - folder.stat().st_mtime > 60:
            shutil.rmtree(folder, ignore_errors=True)
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _end_first(folder)
        _end_doors(folder)
        _remove(folder, groups_of(folder))
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _end_first(folder: Path) -> None:
    """It has ended by itself, unless somebody else holds the pipe by which it hears that its maker is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        process, born = (folder / "first").read_text().split()
        if _born(int(process)) == int(born):
            os.kill(int(process), signal.SIGKILL)


def _end_doors(folder: Path) -> None:
    """A `nsenter` stands outside, and stands still when what it waits for was frozen: then it waits for ever."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
                if words[0] == b"nsenter" and any(word.startswith(b"%b/" % os.fsencode(folder)) for word in words):
                    os.kill(int(entry), signal.SIGKILL)


def _born(process: int) -> int:
    """When it began, in ticks since boot: with it, a number means one process for ever."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
    except FileNotFoundError as error:
        raise ProcessLookupError(process) from error


def _remove(folder: Path, groups: list[Path]) -> None:
    for group in groups:
        _emptied(group)
    deadline = time.monotonic() + PATIENCE_S
    while folder.exists():  # what was killed may still be writing
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > deadline:
            raise AssertionError(f"{folder} cannot be removed")


def _emptied(group: Path) -> None:
    """A group goes when its last process was buried, which takes a moment."""
    deadline = time.monotonic() + PATIENCE_S
    while group.is_dir():
        for path, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                os.rmdir(path)
        if time.monotonic() > deadline:
            raise AssertionError(f"the control group {group} is still in use")
        time.sleep(0.01)


# -- control groups ----------------------------------------------------------------------------------------------------


def _parents() -> Iterator[Path]:
    """The groups that we are in, of the kinds that daemons use."""
    found = cgroups._paths(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())
    yield from {Path(path) for path in found.values()}


def _made(parent: Path, name: str) -> Path | None:
    """None: it cannot be had here, and hosts do without."""
    path = parent / name
    try:
        path.mkdir()
    except OSError:
        return None
    return path

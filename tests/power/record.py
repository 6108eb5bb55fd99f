"""Records one run: what the daemon, the process that runs jobs and all they start do to the files of a home, and in
between what people were told.

Promises: the record is complete: gone through to its end it gives the very files that are there, or it is refused.
Never: leaves a process behind.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.power.calls import KNOWN, UNKNOWN, Step, steps
from tests.power.daemon import LIMITS
from tests.power.disk import SOCKET, Disk, Image
from tests.system.place import Place, wait_for

HOME: Final = "state/odyssey"  # in a world: neither folder is there at first
GROUPS: Final = f"{HOME}/hands/groups"  # goes when nothing runs any more, by the hand of whoever ends the recording
SHARED: Final = f"{HOME}/hands/slots"  # memory that is a file by name: never written, and worth nothing after a restart
LIMIT_S: Final = 300
LONGEST: Final = 64 << 20  # bytes in one call
_WORDS: Final = ("-f", "-qq", "--seccomp-bpf", "-y", "-xx", "-s", str(LONGEST), "-e", "signal=none")


class NoRecord(Exception):
    """It could not be made, or is not what happened."""


class Record(NamedTuple):
    world: Path  # as it was called then
    before: Image
    marks: Path
    text: Path

    def steps(self) -> Iterator[Step]:
        """On the files of the world, and the marks."""
        with self.text.open(encoding="ascii") as lines:
            yield from steps(lines, os.fspath(self.world.parent))

    def disk(self) -> Disk:
        disk = Disk(os.fspath(self.world))
        disk.put(self.before)
        return disk

    def is_told(self, step: Step) -> bool:
        """A line of the account was written."""
        call = step.call
        return call.name == "write" and step.result is not None and call.path == os.fspath(self.marks)

    def is_of_world(self, step: Step) -> bool:
        return f"{step.call.path}/".startswith(f"{self.world}/")


def is_possible() -> str:
    """Why not; nothing: it is."""
    if shutil.which("strace") is None:
        return "there is no strace on this machine"
    told = subprocess.run(["strace", *_WORDS, "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return told.stderr.strip() if told.returncode else ""


def record(folder: Path, before: Image, boot: str, seed: int, acts: int) -> Record:
    """In a folder that is made for it."""
    folder.mkdir(parents=True)
    found = Record(folder / "world", before, folder / "marks", folder / "calls")
    put(found.world, before)
    names = ",".join(sorted(KNOWN | UNKNOWN))
    command = ["strace", *_WORDS, "-e", f"trace={names}", "-o", os.fspath(found.text)]
    command += [sys.executable, "-P", "-m", "tests.power.people"]
    command += [os.fspath(found.world / HOME), os.fspath(found.marks), boot, str(seed), str(acts)]
    place = Watched(found.world)
    watcher = subprocess.Popen(command, env=place.environment, stderr=subprocess.PIPE, text=True)
    place.watcher = watcher.pid
    try:
        wait_for(lambda: watcher.poll() is not None or _is_over(found.marks), LIMIT_S)
    finally:
        place.end()
        told = watcher.communicate(timeout=LIMIT_S)[1]
    if not _is_over(found.marks, ""):
        raise NoRecord(f"the people gave up: {told}")
    _check(found)
    return found


class Watched(Place):
    """The home of a world. Whoever watches its processes ends with the last of them."""

    def __init__(self, world: Path) -> None:
        super().__init__(world)
        self.watcher = 0
        self.environment |= {"ODYSSEY_HOME": os.fspath(world / HOME), **LIMITS}

    def processes(self) -> Iterator[int]:
        yield from (one for one in super().processes() if one != self.watcher)


def _is_over(marks: Path, how: str | None = None) -> bool:
    last = marks.read_bytes().rstrip().rpartition(b"\n")[2] if marks.exists() else b""
    return b'"over"' in last and (how is None or json.loads(last)["over"] == how)


def _check(found: Record) -> None:
    disk = found.disk()
    for step in found.steps():
        if found.is_of_world(step):
            disk.take(step)
    ours, there = disk.now, look(found.world)
    for image in (ours, there):
        for path in (SHARED, GROUPS):
            image.pop(path, None)
    if wrong := sorted(path for path in {*ours, *there} if ours.get(path, b"-") != there.get(path, b"-")):
        raise NoRecord(f"the record does not give what is there: {wrong[:5]}")


# -- images ------------------------------------------------------------------------------------------------------------


def look(world: Path) -> Image:
    found: Image = {}
    for folder, folders, files in os.walk(world):
        for name in folders:
            found[os.path.relpath(os.path.join(folder, name), world)] = None
        for name in files:
            path = Path(folder, name)
            is_socket = stat.S_ISSOCK(path.lstat().st_mode)
            found[os.path.relpath(path, world)] = SOCKET if is_socket else path.read_bytes()
    return found


def put(world: Path, image: Image) -> None:
    world.mkdir(mode=0o700)
    for path, data in sorted(image.items()):
        place = world / path
        if data is None:
            place.mkdir(mode=0o700)
        elif data == SOCKET:
            os.mknod(place, stat.S_IFSOCK | 0o600)
        else:
            place.write_bytes(data)
            place.chmod(0o600)

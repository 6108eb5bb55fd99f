"""Everything of Odyssey goes from this machine: what `odyssey leave --clean` removes.

What a home holds is listed here by name, and only that is removed: a home may have been put into a folder that holds
other things. Keys go first, so that whoever is interrupted belongs to no mesh; locks go last, so that no daemon begins
in between, and what is left is still known for a home.

Promises: works without a daemon and without a mesh; programs that still run for jobs are ended before their files go.
Never: follows a link, or removes what it does not know.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple

from odyssey.daemon.lock import HomeLock
from odyssey.errors import OdysseyError
from odyssey.exec.supervisor import oldgroups
from odyssey.exec.supervisor.emptying import delete
from odyssey.paths import Home, known_door

# What it is for people, and the names of it; in the order in which it goes.
KINDS: Final = (
    ("keys", ("identity", "peers*", "joining", "leaving*", "invited*")),
    ("database", ("mesh.db*", "history.db*", "events.jsonl*", "lease*", "networks*", "invited*")),
    ("output", ("outputs", "files")),
    ("old meshes", ("old",)),
    ("cache", ("blobs", "spool")),
    ("settings", ("config.toml*", "policy.toml*", "programs*")),
    ("", ("hands", "door*")),
    ("logs", ("logs",)),
    ("", ("start.lock", "daemon.lock")),
)
END_S: Final = 15.0
_STEP_S: Final = 0.02


class Cleared(NamedTuple):
    kinds: tuple[str, ...]
    bytes: int
    left: tuple[str, ...]  # that are none of Odyssey's


def holds_work(home: Home) -> bool:
    """Is there anything that somebody may want to read once more?"""
    there = (home.path / "mesh.db", home.old, home.path / "outputs")
    return any(path.exists() for path in there)


def clear(home: Home) -> Cleared:
    """No daemon of this home runs. Raises `Occupied` where one does."""
    lock = HomeLock(home.daemon_lock)
    try:
        end_hands(home)
        _take_socket(home)
        kinds, size = list[str](), 0
        for kind, path in _ours(home):
            size += _size(path)
            kinds += [kind] if kind and kind not in kinds else []
            delete(os.fspath(path))
    finally:
        with suppress(OSError):
            lock.release()
    _forget_folder(home)
    return Cleared(tuple(kinds), size, tuple(sorted(_names(home))))


def end_hands(home: Home) -> None:
    """The process that runs jobs ends by itself when the lock that it holds is no longer where it was."""
    hands = home.path / "hands"
    try:
        file = os.open(hands / "lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not _is_free(file):
            (hands / "lock").unlink(missing_ok=True)
            _wait_until_free(file, hands)
    finally:
        os.close(file)
    oldgroups.sweep(os.fspath(hands))


def _wait_until_free(file: int, hands: Path) -> None:
    end = time.monotonic() + END_S
    while not _is_free(file):
        if time.monotonic() >= end:
            raise OdysseyError("what runs here for jobs has not ended", hint=f"end it, then again; it has {hands}")
        time.sleep(_STEP_S)


def _is_free(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _take_socket(home: Home) -> None:
    door = known_door(home, {})
    if door is not None and door.socket.is_socket():
        with suppress(OSError):
            door.socket.unlink()
        with suppress(OSError):  # other homes have theirs there
            door.socket.parent.rmdir()


def _ours(home: Home) -> Iterator[tuple[str, Path]]:
    for kind, patterns in KINDS:
        for name in _names(home):
            if any(fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}~") for pattern in patterns):
                yield kind, home.path / name


def _names(home: Home) -> list[str]:
    try:
        return sorted(os.listdir(home.path))
    except FileNotFoundError:
        return []


def _size(path: Path) -> int:
    """Of all files in it; what cannot be looked at counts nothing."""
    if path.is_symlink() or not path.is_dir():
        with suppress(OSError):
            return path.lstat().st_size
        return 0
    found = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                found += os.lstat(os.path.join(folder, name)).st_size
    return found


def _forget_folder(home: Home) -> None:
    """And the folder above it, if that is ours alone and no other machine's home is in it."""
    with suppress(OSError):
        home.path.rmdir()
        if home.path.parent.name == "odyssey":
            home.path.parent.rmdir()

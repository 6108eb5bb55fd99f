"""The socket at which the daemon is spoken to, and the note in the home that says where it is.

The directory of a socket may vanish while the daemon runs: a session's runtime directory goes with its last login. So
the gate looks now and then, and opens again where there is a place.

Promises: a socket that a dead daemon has left is replaced, one at which somebody answers never; nobody but this user
reaches it.
Never: reads or writes anything that comes through.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from odyssey.errors import CallersError, OdysseyError
from odyssey.paths import Door, Home, socket_path, write_door
from odyssey.starting import answers

BACKLOG: Final = 128


class Taken(CallersError):
    """Somebody else answers there."""


class Gate:
    def __init__(self, home: Home, is_embedded: bool, environment: Mapping[str, str] = os.environ) -> None:
        self._home, self._is_embedded, self._environment = home, is_embedded, environment
        self.path, self.listener, self._inode = _opened(home, is_embedded, environment)

    def is_there(self) -> bool:
        return _inode(self.path) == self._inode

    def open_again(self) -> bool:
        """Where there is a place. Who listens closes the old listener."""
        try:
            self.path, self.listener, self._inode = _opened(self._home, self._is_embedded, self._environment)
        except (OSError, OdysseyError):
            return False
        return True

    def leave(self) -> None:
        """Nobody finds it any more; who listens closes the listener."""
        if self.is_there():
            with suppress(OSError):
                self.path.unlink()
        with suppress(OSError):
            self._home.door.unlink()


def _opened(
    home: Home, is_embedded: bool, environment: Mapping[str, str]
) -> tuple[Path, socket.socket, tuple[int, int] | None]:
    path = socket_path(home, environment)
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        write_door(home, Door(path, is_embedded))
    except BaseException:
        listener.close()
        raise
    return path, listener, _inode(path)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _clear(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    hint = "set ODYSSEY_SOCKET to another path, or unset it"
    if not stat.S_ISSOCK(found.st_mode):
        raise Taken(f"{path} is there and is no socket", hint=hint)
    if answers(path):
        raise Taken(f"another daemon answers at {path}", hint=hint)
    path.unlink(missing_ok=True)

"""Deletes whatever programs have left in a folder.

Programs leave trees that are deeper than a path can be long, folders that may not be entered, links to everywhere, and
folders from elsewhere that are mounted there. So nobody walks down: what is in a folder comes up beside it, one level
after the other. A folder is only opened after it was moved, and where something is mounted it cannot be moved.

Promises: nothing outside of the folder is touched, not through links nor through mounts. What cannot be deleted stays,
and nothing is raised for it.
Never: needs more open files for a deep tree than for a flat one, or goes on for as long as somebody writes there.
"""

import os
import stat
import time
from contextlib import suppress
from itertools import count
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def delete(path: str) -> None:
    """With all that is in it, whatever it is."""
    away = f"{path}~"
    with suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.rename(path, away)
            empty(away)
            os.rmdir(away)
        else:
            os.unlink(path)


def empty(path: str) -> None:
    with suppress(OSError):
        here = os.open(path, _FOLDER)
        try:
            _Emptying(here).run()
        finally:
            os.close(here)


class _Emptying:
    def __init__(self, here: int) -> None:
        self._here, self._prefix, self._numbers = here, f".gone-{time.time_ns()}", count()
        self._up = list[str]()  # folders that have come up

    def run(self) -> None:
        self._take_all(self._here)
        while self._up:
            name = self._up.pop()
            with suppress(OSError):
                self._open_up(name)
                os.rmdir(name, dir_fd=self._here)

    def _open_up(self, name: str) -> None:
        os.chmod(name, 0o700, dir_fd=self._here)
        folder = os.open(name, _FOLDER, dir_fd=self._here)
        try:
            self._take_all(folder)
        finally:
            os.close(folder)

    def _take_all(self, folder: int) -> None:
        for name in os.listdir(folder):
            with suppress(OSError):
                self._take(folder, name)

    def _take(self, folder: int, name: str) -> None:
        """Gone, or come up."""
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
            return
        new = f"{self._prefix}-{next(self._numbers)}"
        try:
            os.rename(name, new, src_dir_fd=folder, dst_dir_fd=self._here)
        except PermissionError:  # where it may not be written to, it may not be moved
            os.chmod(name, 0o700, dir_fd=folder)
            os.rename(name, new, src_dir_fd=folder, dst_dir_fd=self._here)
        self._up.append(new)

"""What attempts have written goes onto the disk before anybody is told that they have ended.

Runners only write: a wait for the disk after each attempt would cost more than most attempts. Here one pass in a thread
of its own looks which files have grown and waits for all of them; whoever ends meanwhile waits for the next pass.

Promises: when `done` is called, all that was in the files when it was asked for is there also after a power cut, with
the names of the files; a disk that fails is said in the log, and the end of the attempt is told all the same.
Never: waits on the loop, or looks again at a segment that no longer grows.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from odyssey.exec.outputs import settled_ns
from odyssey.lasting import Folders, sync_names

_log: Final = logging.getLogger(__name__)


class Written:
    """The files of one folder, as `supervisor.outlet` makes them. For one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._folders = folder, Folders(folder.parent)
        self._known: set[str] = set()  # names that are on the disk
        self._sizes: dict[str, int] = {}  # how much of those that may grow
        self._listed_ns: int | None = None

    def sync(self) -> None:
        self._folders.make(self._folder)
        new = self._listed()
        for name in (*self._sizes, *new):
            self._sync(name)
        if new:
            sync_names(self._folder)
            self._known |= new
            self._sizes = {name: self._sizes[name] for name in _growing(self._known) if name in self._sizes}

    def _listed(self) -> set[str]:
        """What is new. The time is taken before the names: what comes in between is found the next time."""
        changed_ns = settled_ns(os.fspath(self._folder))
        if changed_ns is not None and changed_ns == self._listed_ns:
            return set()
        names = set(os.listdir(self._folder))
        self._listed_ns = changed_ns
        self._known &= names
        return names - self._known

    def _sync(self, name: str) -> None:
        path = os.path.join(self._folder, name)
        with suppress(FileNotFoundError):  # it was old, and is gone
            size = os.stat(path).st_size
            if size != self._sizes.get(name, -1):
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fdatasync(file) if hasattr(os, "fdatasync") else os.fsync(file)
                finally:
                    os.close(file)
                self._sizes[name] = size


def _growing(names: set[str]) -> Iterator[str]:
    """The newest segment of each slot, of the newest process that makes any."""
    newest: dict[str, str] = {}
    life = max((name.partition("-")[0] for name in names), default="")
    for name in names:
        if name.startswith(life):
            slot, _, segment = name.partition(".")[0].rpartition("-")
            newest[slot] = max(newest.get(slot, ""), segment)
    return (name for name in names if name.partition(".")[0] in {f"{slot}-{one}" for slot, one in newest.items()})


class Synced:
    """One pass after the other, each for all that have asked before it began."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
        self._loop, self._written = loop, Written(folder)
        self._thread = ThreadPoolExecutor(1, "outputs")
        self._waiting: list[Callable[[], None]] = []
        self._is_busy = self._is_closed = False

    def ask(self, done: Callable[[], None]) -> None:
        """`done` comes later, and from the loop."""
        self._waiting.append(done)
        self._begin()

    def close(self) -> None:
        """Nobody is told any more."""
        self._is_closed = True
        self._waiting.clear()
        self._thread.shutdown(wait=True)

    def _begin(self) -> None:
        if self._waiting and not self._is_busy and not self._is_closed:
            self._is_busy = True
            waiting, self._waiting = self._waiting, []
            self._thread.submit(self._pass, waiting)

    def _pass(self, waiting: list[Callable[[], None]]) -> None:
        try:
            self._written.sync()
        except OSError as error:
            _log.error("the output of jobs is not safe on the disk: %s", error)
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._over, waiting)

    def _over(self, waiting: list[Callable[[], None]]) -> None:
        self._is_busy = False
        if not self._is_closed:
            for done in waiting:
                done()
        self._begin()

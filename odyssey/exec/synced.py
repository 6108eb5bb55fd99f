"""What attempts have written and kept goes onto the disk before anybody is told that they have ended.

Runners only write: a wait for the disk after each attempt would cost more than most attempts. Here one pass in a thread
of its own looks which files have grown and waits for all of them; whoever ends meanwhile waits for the next pass.

Promises: of whom it is sure, all is there also after a power cut, with the names of the files; a disk that fails is
said in the log, and the end of the attempt is told all the same.
Never: waits on the loop, or looks again at a segment that no longer grows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from odyssey.exec.outputs import settled_ns
from odyssey.exec.supervisor.workplace import kept
from odyssey.ids import AttemptId, TaskId
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


def sync_tree(top: str, home: str) -> None:
    """All that is in a folder and in those below it, and the names from the home on. What its owner has closed to
    himself, and what is no file, is passed over."""
    for folder, _, names in os.walk(top, topdown=False):
        for name in names:
            _sync_file(os.path.join(folder, name))
        _sync_file(folder)
    _sync_file(top)  # where a job has put something else in the place of its folder
    while top != home:
        top = os.path.dirname(top)
        sync_names(Path(top))


def _sync_file(path: str) -> None:
    """Whatever a job has put there: a pipe that nobody writes to must not hold this up."""
    with suppress(PermissionError, FileNotFoundError):
        if not stat.S_ISREG(kind := os.lstat(path).st_mode) and not stat.S_ISDIR(kind):
            return
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)


class Synced:
    """One pass after the other, each for all that have ended before it began. Who has kept files in a folder of his own
    waits for those in another thread: they may be many, and large, and nobody else is to wait for them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        outputs: Path,
        files: Path,
        sure: Callable[[Sequence[AttemptId]], None],
    ) -> None:
        """`sure` is told later, from the loop, whose output and files are on the disk."""
        self._loop, self._written, self._files, self._sure = loop, Written(outputs), str(files), sure
        self._home = str(files.parent)
        self._thread, self._slow = ThreadPoolExecutor(1, "outputs"), ThreadPoolExecutor(1, "files")
        self._waiting: dict[AttemptId, TaskId] = {}
        self._is_busy = self._is_closed = False

    def ask(self, ended: Mapping[AttemptId, TaskId]) -> None:
        self._waiting |= ended
        self._begin()

    def close(self) -> None:
        """Nobody is told any more."""
        self._is_closed = True
        self._waiting.clear()
        self._thread.shutdown(wait=True)
        self._slow.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        if self._waiting and not self._is_busy and not self._is_closed:
            self._is_busy = True
            waiting, self._waiting = self._waiting, {}
            self._thread.submit(self._pass, waiting)

    def _pass(self, waiting: Mapping[AttemptId, TaskId]) -> None:
        self._try(self._written.sync)
        folders = {attempt: kept(self._files, task, attempt) for attempt, task in waiting.items()}
        self._hand_over(
            self._over, {attempt: path for attempt, path in folders.items() if os.path.lexists(path)}, waiting
        )

    def _over(self, folders: Mapping[AttemptId, str], waiting: Mapping[AttemptId, TaskId]) -> None:
        self._is_busy = False
        if self._is_closed:
            return
        for attempt, folder in folders.items():
            self._slow.submit(self._keep, attempt, folder)
        self._sure([attempt for attempt in waiting if attempt not in folders])
        self._begin()

    def _keep(self, attempt: AttemptId, folder: str) -> None:
        self._try(lambda: sync_tree(folder, self._home))
        self._hand_over(self._is_kept, attempt)

    def _is_kept(self, attempt: AttemptId) -> None:
        if not self._is_closed:
            self._sure([attempt])

    def _try(self, sync: Callable[[], None]) -> None:
        try:
            sync()
        except OSError as error:
            _log.error("what jobs have written is not safe on the disk: %s", error)

    def _hand_over(self, call: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(call, *arguments)

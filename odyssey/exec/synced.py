"""What attempts have written and kept goes onto the disk before anybody is told that they have ended.

Runners only write: a wait for the disk after each attempt would cost more than most attempts. Here one pass in a thread
of its own waits for all segments in which somebody has ended; whoever ends meanwhile waits for the next pass.

Promises: of whom it is sure, all is there also after a power cut, with the names of the files; a disk that fails is
said in the log, and the end of the attempt is told all the same.
Never: waits on the loop, or looks again at a segment that no longer grows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from odyssey.exec.outputs import settled_ns
from odyssey.exec.supervisor.workplace import kept
from odyssey.ids import AttemptId, TaskId
from odyssey.lasting import Folders, sync_names

_ENDINGS: Final = ("out", "err", "idx")
_log: Final = logging.getLogger(__name__)


class Written:
    """The segments of one folder, as `supervisor.outlet` makes them. An attempt that has written anything has a record
    in the index of its segment, behind all its bytes; so where no index has grown there is nothing to wait for."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._folders = folder, Folders(folder.parent)
        self._all: set[str] = set()
        self._growing: set[str] = set()
        self._sizes: dict[str, int] = {}  # of indexes that are on the disk, with all they speak of
        self._listed_ns: int | None = None

    def is_quiet(self) -> bool:
        """Nobody has written anything since the last pass. Costs a look at each slot."""
        with suppress(FileNotFoundError):
            changed_ns = settled_ns(os.fspath(self._folder))
            return changed_ns is not None and changed_ns == self._listed_ns and not self._grown(self._growing)
        return False

    def sync(self) -> None:
        self._folders.make(self._folder)
        before = self._growing
        self._list()
        grown = self._grown(before | self._growing)  # also the last words of a process that has died
        for segment in grown:
            for ending in _ENDINGS:
                self._sync(f"{segment}.{ending}")
        if not grown.keys() <= self._sizes.keys():
            sync_names(self._folder)
        self._sizes |= grown
        self._growing = newest(self._all)

    def _list(self) -> None:
        """The time is taken before the names: what comes in between is found the next time."""
        changed_ns = settled_ns(os.fspath(self._folder))
        if changed_ns is not None and changed_ns == self._listed_ns:
            return
        names = {name.removesuffix(".idx") for name in os.listdir(self._folder) if name.endswith(".idx")}
        self._listed_ns = changed_ns
        self._growing = newest(names) | (names - self._all)
        self._all = names
        self._sizes = {segment: size for segment, size in self._sizes.items() if segment in names}

    def _grown(self, segments: Iterable[str]) -> dict[str, int]:
        """With the size that their indexes have now."""
        found: dict[str, int] = {}
        for segment in segments:
            with suppress(FileNotFoundError):  # it was old, and is gone
                size = os.stat(os.path.join(self._folder, f"{segment}.idx")).st_size
                if size and size != self._sizes.get(segment):
                    found[segment] = size
        return found

    def _sync(self, name: str) -> None:
        with suppress(FileNotFoundError):
            file = os.open(os.path.join(self._folder, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)


def newest(segments: Iterable[str]) -> set[str]:
    """Of each slot, of the newest process that makes any: only these may grow."""
    found: dict[str, str] = {}
    for segment in segments:
        slot = segment.rpartition("-")[0]
        found[slot] = max(found.get(slot, ""), segment)
    life = max((slot.partition("-")[0] for slot in found), default="")
    return {segment for slot, segment in found.items() if slot.startswith(life)}


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
        """Most attempts write nothing: for those no thread is woken."""
        if not self._is_busy and not self._waiting and self._written.is_quiet() and not self._kept(ended):
            self._loop.call_soon(self._over, {}, ended)
        else:
            self._waiting |= ended
            self._begin()

    def _kept(self, ended: Mapping[AttemptId, TaskId]) -> dict[AttemptId, str]:
        """Who has kept files, and where. Most jobs have kept none: then one look is enough for all of a job's."""
        folders = {attempt: kept(self._files, task, attempt) for attempt, task in ended.items()}
        jobs = {os.path.dirname(folder) for folder in folders.values()}
        there = {job for job in jobs if os.path.lexists(job)}
        return {a: path for a, path in folders.items() if os.path.dirname(path) in there and os.path.lexists(path)}

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
        self._hand_over(self._passed, self._kept(waiting), waiting)

    def _passed(self, folders: Mapping[AttemptId, str], waiting: Mapping[AttemptId, TaskId]) -> None:
        self._is_busy = False
        self._over(folders, waiting)
        self._begin()

    def _over(self, folders: Mapping[AttemptId, str], waiting: Mapping[AttemptId, TaskId]) -> None:
        if self._is_closed:
            return
        for attempt, folder in folders.items():
            self._slow.submit(self._keep, attempt, folder)
        self._sure([attempt for attempt in waiting if attempt not in folders])

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

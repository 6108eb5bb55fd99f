"""The two folders that an attempt finds: one for what is to be kept, and a scratch.

They belong to the slot and are there before the attempt begins; making them for each one would cost more than starting
it. Afterwards one look tells whether anybody touched them. What is in the first then gets the attempt's name and stays;
what is in the scratch is deleted, by the slot itself, so that a slot that fills the disk pays for it. Fresh ones take
their places.

    FILES/slots/3/out, FILES/slots/3/tmp    of slot 3
    FILES/jobs/42/7-140737488355329         what an attempt of task 7 of job 42 has kept
    FILES/trash                             to be deleted

Promises: an attempt finds both empty; what it put into the first is in its place before its end is told. What cannot
be moved stays where it is, and others get other folders.
Never: deletes what was to be kept.
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, takewhile
from typing import Final

from odyssey.exec.supervisor import emptying

INDEX_BITS: Final = 20  # of a task's number: which of its job's tasks it is; as in `ids`
_MARK_NS: Final = 1_000_000_007 * 1_000_000_000 + 123_456_789  # no clock and no archive gives a folder this time
_Look = tuple[int, int, int, int, int]


class _Folder:
    """One that is empty when an attempt begins. `path` may change when something cannot be moved out of its way."""

    def __init__(self, base: str) -> None:
        self._base, self.path, self.name = base, base, b""
        self._as_it_was: _Look | None = None

    def make(self) -> None:
        """There, and empty. OSError: it cannot be made now."""
        for path in _paths(self._base):
            with suppress(FileExistsError):
                os.makedirs(path, 0o700)
                break
            if _is_empty(path):
                break
        self.path, self.name = path, os.fsencode(path)
        os.chmod(path, 0o700)
        os.utime(path, ns=(_MARK_NS, _MARK_NS))
        self._as_it_was = _look(path)

    @property
    def is_ready(self) -> bool:
        return self._as_it_was is not None

    @property
    def is_untouched(self) -> bool:
        return self._as_it_was is not None and _look(self.path) == self._as_it_was

    def move(self, to: str) -> bool:
        """What is in it. False: nothing is. OSError: it cannot be moved, and stays."""
        self._as_it_was = None
        if _is_empty(self.path) is not False:
            return False
        _move(self.path, to)
        return True


class Workplace:
    """Of one slot."""

    def __init__(self, files: str, slot: int) -> None:
        self._files, self._slot = files, slot
        self._out, self._scratch = (_Folder(base) for base in _bases(files, slot))

    def open(self) -> None:
        """Before an attempt. What somebody has left in the scratch goes. OSError: there is no room for it."""
        if not self._scratch.is_ready:
            self.clear()
        if not self._out.is_ready:
            self._out.make()

    def tell(self, env: dict[bytes, bytes]) -> None:
        """What was asked for wins, but for what is ours."""
        env[b"ODYSSEY_OUT"] = self._out.name
        env[b"ODYSSEY_SCRATCH"] = self._scratch.name
        env.setdefault(b"TMPDIR", self._scratch.name)

    def keep(self, task: int, attempt: int) -> str:
        """After it. A sentence, if what is to be kept cannot be moved."""
        out = self._out
        if out.is_untouched:
            return ""
        try:
            out.move(kept(self._files, task, attempt))
        except OSError as error:
            return f"what it has put into ODYSSEY_OUT is still in {out.path}: {error.strerror}"
        finally:
            with suppress(OSError):  # tried again before the next attempt
                out.make()
        return ""

    def clear(self) -> None:
        """After it, once its end is told. OSError: see `open`."""
        scratch = self._scratch
        if scratch.is_untouched:
            return
        trash = _trash(self._files, self._slot)
        with suppress(OSError):
            if scratch.move(trash):
                emptying.delete(trash)
        scratch.make()


def rescue(files: str, slot: int, task: int | None, attempt: int) -> bool:
    """In the place of a runner that was killed; `task` is None where nobody knows whose the files are. True: there is
    trash."""
    out, scratch = _bases(files, slot)
    mine = kept(files, task, attempt) if task is not None else ""
    for path in reversed(_those(out)):
        with suppress(OSError):
            if _is_empty(path) is False:
                _move(path, mine or os.path.join(files, "jobs", "unknown", f"{slot}-{time.time_ns()}"))
                mine = ""
    for path in _those(scratch):
        with suppress(OSError):
            if _is_empty(path) is False:
                _move(path, _trash(files, slot))
    return has_trash(files)


def has_trash(files: str) -> bool:
    return _is_empty(os.path.join(files, "trash")) is False


def kept(files: str, task: int, attempt: int) -> str:
    """Where that is which an attempt has put into its first folder."""
    job, index = divmod(task, 1 << INDEX_BITS)
    return os.path.join(files, "jobs", str(job), f"{index}-{attempt}")


def _bases(files: str, slot: int) -> tuple[str, str]:
    return os.path.join(files, "slots", str(slot), "out"), os.path.join(files, "slots", str(slot), "tmp")


def _trash(files: str, slot: int) -> str:
    return os.path.join(files, "trash", f"{slot}-{time.time_ns()}")


def _paths(base: str) -> Iterator[str]:
    yield base
    for number in count(1):
        yield f"{base}-{number}"


def _those(base: str) -> list[str]:
    """That are there, oldest first."""
    return list(takewhile(os.path.lexists, _paths(base)))


def _look(path: str) -> _Look | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_dev, found.st_mtime_ns, found.st_ctime_ns, found.st_mode


def _is_empty(path: str) -> bool | None:
    """None: there is nothing of that name."""
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            return False
        return not os.listdir(path)
    except FileNotFoundError:
        return None
    except PermissionError:  # it was closed: there may be something in it
        os.chmod(path, 0o700)
        return not os.listdir(path)


def _move(path: str, to: str) -> None:
    os.makedirs(os.path.dirname(to), 0o700, exist_ok=True)
    os.rename(path, to)

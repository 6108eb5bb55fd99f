"""One daemon at a time on one home.

Promises: the lock ends with its process, however that ends; who is refused is told which process has it.
Never: waits longer than it takes a process that has died to let go.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from odyssey.errors import CallersError

_PATIENCE_S: Final = 2.0  # a child of the one before, between fork and exec, may still hold it
_STEP_S: Final = 0.02


class Occupied(CallersError):
    """Another daemon has this home."""


class HomeLock:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        end = time.monotonic() + _PATIENCE_S
        while not self._taken():
            owner = owner_of(path)
            if (owner is not None and _is_alive(owner)) or time.monotonic() >= end:
                os.close(self._file)
                who = "another process" if owner is None else f"process {owner}"
                hint = "`odyssey status` shows it, `odyssey down` ends it; another home makes another daemon"
                raise Occupied(f"a daemon of {path.parent} runs already ({who})", hint=hint)
            time.sleep(_STEP_S)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, b"%d\n" % os.getpid(), 0)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def release(self) -> None:
        os.ftruncate(self._file, 0)
        fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)


def owner_of(path: Path) -> int | None:
    """The process that took it last, as far as it says."""
    try:
        text = path.read_bytes()[:20].strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True

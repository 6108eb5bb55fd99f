"""The small file in which a machine keeps what its lease must remember.

Promises: `done` is called when the note is on the disk; a disk that takes none is asked again, and nothing goes on
meanwhile. A file that cannot be read says nothing.
Never: writes on the loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol
from zlib import crc32

from odyssey import wire
from odyssey.errors import OdysseyError, WireError
from odyssey.mesh.lease import NOTHING_KEPT, Kept
from odyssey.mesh.sidefiles import refused
from odyssey.mesh.worker import Worker
from odyssey.paths import write_whole

AGAIN_S: Final = 1.0
_BYTES: Final = 4
_log: Final = logging.getLogger(__name__)


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


class NoteFile:
    def __init__(self, path: Path, worker: Worker, timers: Timers) -> None:
        self._path, self._worker, self._timers = path, worker, timers
        self._stopped = False

    def stop(self) -> None:
        """What is under way may still become durable; nobody is told any more."""
        self._stopped = True

    def save(self, kept: Kept, done: Callable[[], None]) -> None:
        def saved(found: OdysseyError | None) -> None:
            if self._stopped:
                return
            if found is None:
                done()
            else:
                _log.warning("a note of the lease could not be written: %s", found)
                self._timers.call_later(AGAIN_S, lambda: self.save(kept, done))

        if not self._stopped:
            self._worker.run(lambda: _write(self._path, kept), saved)


def _write(path: Path, kept: Kept) -> None:
    data = wire.encode(kept)
    try:
        write_whole(path, crc32(data).to_bytes(_BYTES, "big") + data)
    except OSError as error:
        raise refused(path, error) from error


def read(path: Path) -> Kept:
    try:
        text = path.read_bytes()
    except OSError:
        return NOTHING_KEPT
    if crc32(text[_BYTES:]).to_bytes(_BYTES, "big") != text[:_BYTES]:
        _log.warning("the note of the lease cannot be read and is not believed")
        return NOTHING_KEPT
    try:
        return wire.decode(text[_BYTES:], Kept)
    except WireError:
        return NOTHING_KEPT

"""The standard input of an attached job: spooled at the daemon, so that a job that moves gets it again.

A file is sent before the job is submitted; afterwards its place is put back to what the job did not read, so that the
loop `while read line; do odyssey run …; done < list` sees every line. A pipe is sent beside the running job.

Promises: the job reads exactly these bytes, and their end; a closed stdin and /dev/null are not sent, nor is a terminal
that nobody asked for.
Never: waits for a pipe that nobody writes to.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from select import select
from typing import Final

from odyssey.api.cuts import Cut
from odyssey.api.operations import Asker
from odyssey.api.requests import PutStdin
from odyssey.api.views import HowFar
from odyssey.errors import OdysseyError, Unreachable

NAME_BYTES: Final = 16
PIECE: Final = 256 << 10
GAP_SECONDS: Final = 3.0
SPOOL_LIMIT: Final = 1 << 30  # a job that moves gets it again, so all of it is kept


class Gap(OdysseyError):
    """What was sent before is not there."""


class Stdin:
    """What is on descriptor `number`; `name` is b"" when there is nothing to send."""

    def __init__(self, number: int, is_typed: bool = False) -> None:
        """`is_typed`: what a person types there is sent too, line by line."""
        self._number = number
        self._start = self._sent = 0
        self._has_ended = False
        self.failure: OdysseyError | None = None  # why the job will not see all of it: there is too much, or no room
        self._lock = threading.Lock()  # around what is sent, so that the pieces stay in order
        try:
            status = os.fstat(number)
        except OSError:
            status = None
        mode = status.st_mode if status else 0
        self.is_file = stat.S_ISREG(mode)
        self._is_typed = is_typed and stat.S_ISCHR(mode) and os.isatty(number)
        self.is_pipe = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or self._is_typed
        self.name = os.urandom(NAME_BYTES) if self.is_file or self.is_pipe else b""
        if self.is_file and status:
            self._start = os.lseek(number, 0, os.SEEK_CUR)
            self.size: int | None = max(0, status.st_size - self._start)
        else:
            self.size = None

    def send_file(self, asker: Asker) -> None:
        while self._send_piece(asker):
            pass

    def begin(self, asker: Asker) -> None:
        """A job may be started before the first byte has come: then there is something to wait at."""
        asker.call(PutStdin(self.name, 0, b""))

    def send_beside(self, asker: Asker, failed: Callable[[], None]) -> None:
        """In a thread that ends with the input, or with this process. `failed`: see `failure`."""
        threading.Thread(target=self._work, args=(asker, failed), name="stdin", daemon=True).start()

    def _work(self, asker: Asker, failed: Callable[[], None]) -> None:
        try:
            self.send_file(asker)
        except Unreachable:
            return  # a daemon that stays away is noticed by whoever follows the job
        except OdysseyError as error:
            if isinstance(error, Gap):  # of a job that has ended nothing is kept either: then this process ends too
                time.sleep(GAP_SECONDS)
            self.failure = error
            failed()
        except OSError as error:
            what = (error.strerror or "it cannot be read").lower()
            self.failure = OdysseyError(f"stdin cannot be read: {what}", hint="run the job with -n if it reads nothing")
            failed()

    def _send_piece(self, asker: Asker) -> bool:
        return self._send(asker, self._read())

    def _read(self) -> bytes:
        """Whoever else has this pipe may have made it non-blocking."""
        while True:
            try:
                return os.read(self._number, PIECE)
            except BlockingIOError:
                select([self._number], [], [])

    def finish(self, asker: Asker) -> None:
        """The person goes, the job stays: what has been sent is all there is."""
        if self.is_pipe:
            self._send(asker, b"")

    def _send(self, asker: Asker, data: bytes) -> bool:
        with self._lock:
            if self._has_ended:
                return False
            here = self._put(asker, PutStdin(self.name, self._sent, data, is_end=not data))
            if here.size < self._sent:  # a gap: somebody else keeps it now, without the beginning
                hint = "see odyssey nodes, and run it again"
                raise Gap("the machine that keeps what the job reads is not there any more", hint=hint)
            self._sent += len(data)
            self._has_ended = not data
        return bool(data)

    def _put(self, asker: Asker, piece: PutStdin) -> HowFar:
        """What the job reads must not end because a cable was cut for a moment."""
        cut = Cut()
        cut.answered()
        while True:
            try:
                return asker.call(piece)
            except Unreachable as error:
                if (pause := cut.pause(error, time.monotonic())) is None:
                    raise
                time.sleep(pause)

    def put_back(self, unread: int | None) -> str | None:
        """After the job: the place in a file is where the job stopped. For a pipe, what is lost, as a sentence."""
        if unread is None or not self.name:
            return None
        read = max(0, self._sent - unread)
        if self.is_file:
            os.lseek(self._number, self._start + read, os.SEEK_SET)
            return None
        if not unread or not self._has_ended or self._is_typed:
            return None
        return f"note: the job read {read} of {self._sent} bytes of stdin, the rest is gone for your loop; use -n"

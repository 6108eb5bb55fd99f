"""Starts the daemon again when it died without a word.

It is told how with each Hello. One that says that it leaves is not wanted back. The first time it is started at once,
then ever later; one that has lived for a while counts as well again.

Promises: one start at a time, and no more than TRIES in a row; a start that somebody else was quicker with costs
nothing, for a home has one daemon.
Never: waits for what it has started.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final

FIRST_MS: Final = 500
LONGEST_MS: Final = 60_000
WELL_MS: Final = 60_000  # who lived so long did not die of its start
TRIES: Final = 10


class Nurse:
    def __init__(self, start: Callable[[Sequence[bytes]], None]) -> None:
        self._start = start
        self.due_ms: int | None = None  # when to start it
        self._words: tuple[bytes, ...] = ()
        self._met_ms = 0
        self._failures = 0  # in a row

    def met(self, tail: bytes, now: int) -> None:
        """A daemon said Hello, and how it is started again."""
        self._words = tuple(tail.split(b"\0")[:-1])
        self._met_ms, self.due_ms = now, None

    def knocked(self) -> None:
        """Somebody is at the door, who will say Hello, or be lost."""
        self.due_ms = None

    def left(self) -> None:
        """It goes on purpose."""
        self._words, self.due_ms = (), None

    def lost(self, now: int) -> None:
        """The connection ended, and it had not said that it goes."""
        if not self._words:
            return
        if now - self._met_ms >= WELL_MS:
            self._failures = 0
        self._later(now)

    def _later(self, now: int) -> None:
        if self._failures >= TRIES:
            self.due_ms = None
            return
        wait = 0 if not self._failures else min(LONGEST_MS, FIRST_MS << (self._failures - 1))
        self._failures += 1
        self.due_ms = now + wait

    def tick(self, now: int) -> None:
        if self.due_ms is not None and now >= self.due_ms:
            self._start(self._words)
            self._later(now)  # in case nobody says Hello


def start(words: Sequence[bytes]) -> None:
    """What is started leaves the daemon behind and ends at once; whoever waits for children here waits for it too."""
    try:
        os.posix_spawn(words[0], list(words), os.environ, setsid=True, setsigdef=(signal.SIGPIPE, signal.SIGTERM))
    except OSError as error:
        sys.stderr.write(f"the daemon cannot be started again: {error.strerror}\n")
        sys.stderr.flush()

"""What attempts have written goes when it is old, or when there is too much of it; the files that they have kept go
when they are old.

Promises: what a job that has not ended wrote or kept stays, and output that is newer than other goes after it.
Never: deletes more than a piece of output at a time between other work; files are deleted aside from it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

from odyssey.clock import Clock
from odyssey.ids import AttemptId, JobId, job_of
from odyssey.scheduler.state import State

FIRST_S: Final = 60.0
AGAIN_S: Final = 600.0
STEP_S: Final = 0.05
_log: Final = logging.getLogger(__name__)


class Piece(NamedTuple):
    """Some attempts' output, as it lies on the disk."""

    highest: AttemptId  # the newest attempt in it
    size: int
    written_ms: int  # wall time of its last byte


class Keep(NamedTuple):
    size: int
    age_ms: int


class Outputs(Protocol):
    def pieces(self) -> Sequence[tuple[int, int, int]]:
        """Oldest first: as in `Piece`."""
        ...

    def sweep(self, is_wanted: Callable[[AttemptId], bool]) -> bool: ...


class Files(Protocol):
    def sweep(self, before: float, is_live: Callable[[int], bool]) -> int: ...


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


def newest_to_go(pieces: Sequence[Piece], keep: Keep, now_ms: int) -> AttemptId:
    """Output of attempts up to this one may go; 0: none."""
    left, newest = sum(one.size for one in pieces), AttemptId(0)
    for one in pieces:
        if left <= keep.size and one.written_ms >= now_ms - keep.age_ms:
            break
        left -= one.size
        newest = max(newest, one.highest)
    return newest


def of_live_jobs(state: State) -> frozenset[AttemptId]:
    """Attempts and tries of jobs that have not ended."""
    found: set[AttemptId] = set()
    for task in state.tasks.values():
        if job_of(task.id) not in state.ended:
            found.update(one.id for one in task.attempts)
            found.update(one.attempt for one in task.tries)
    return frozenset(found)


class Tidying:
    def __init__(self, outputs: Outputs, state: Callable[[], State], keep: Keep, clock: Clock, timers: Timers) -> None:
        self._outputs, self._state, self._keep, self._clock, self._timers = outputs, state, keep, clock, timers

    def start(self) -> None:
        self._timers.call_later(FIRST_S, self._look)

    def _look(self) -> None:
        self._timers.call_later(AGAIN_S, self._look)
        pieces = [Piece(AttemptId(highest), size, written) for highest, size, written in self._outputs.pieces()]
        newest = newest_to_go(pieces, self._keep, self._clock.wall_ms())
        if newest:
            _log.info("output of %d pieces is old, or too much", sum(one.highest <= newest for one in pieces))
            self._step(newest, of_live_jobs(self._state()))

    def _step(self, newest: AttemptId, live: frozenset[AttemptId]) -> None:
        if self._outputs.sweep(lambda attempt: attempt > newest or attempt in live):
            self._timers.call_later(STEP_S, lambda: self._step(newest, live))


class FilesTidying:
    """`aside` has something done that may take long, away from this thread."""

    def __init__(
        self,
        files: Files,
        state: Callable[[], State],
        age_ms: int,
        clock: Clock,
        timers: Timers,
        aside: Callable[[Callable[[], None]], object],
    ) -> None:
        self._files, self._state, self._age_ms = files, state, age_ms
        self._clock, self._timers, self._aside = clock, timers, aside
        self._is_busy = False

    def start(self) -> None:
        self._timers.call_later(FIRST_S, self._look)

    def _look(self) -> None:
        self._timers.call_later(AGAIN_S, self._look)
        if self._is_busy:
            return
        self._is_busy = True
        state = self._state()
        live = frozenset(job for job in state.jobs if job not in state.ended)
        self._aside(partial(self._sweep, (self._clock.wall_ms() - self._age_ms) / 1000, live))

    def _sweep(self, before: float, live: frozenset[JobId]) -> None:
        try:
            if gone := self._files.sweep(before, live.__contains__):
                _log.info("files that %d tries had kept were old", gone)
        finally:
            self._is_busy = False

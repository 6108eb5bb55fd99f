"""Stand-ins for all that surrounds one daemon: time with timers, hands, a note, people who are written to.

Promises: everything asked of them is written down in order; what takes time takes it only when the test says so.
Never: decides anything, or starts an attempt twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from odyssey.commands import Report
from odyssey.ids import AttemptId
from odyssey.mesh.lease import Kept
from odyssey.mesh.raft.types import Member, Write
from odyssey.messages import Here, Listed
from odyssey.model import Outcome
from odyssey.spec import JobSpec
from tests.fakes import FakeClock


class Time(FakeClock):
    """A clock with timers: what is due is called while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._made = 0
        self.turns = 0  # of what was due

    def call_later(self, delay: float, callback: Callable[[], None], /) -> object:
        self._made += 1
        heapq.heappush(self._due, (self.monotonic_ms() + round(delay * 1000), self._made, callback))
        return None

    def wait(self, ms: int) -> None:
        end = self.monotonic_ms() + ms
        while self._due and self._due[0][0] <= end:
            at, _, callback = heapq.heappop(self._due)
            self.advance(max(0, at - self.monotonic_ms()))
            self.turns += 1
            callback()
        self.advance(max(0, end - self.monotonic_ms()))


class Fetching(NamedTuple):
    """A segment that is asked for; what comes of it is for the test to say."""

    source: Member
    digest: bytes
    size: int
    came: Callable[[], None]
    done: Callable[[bool], None]


class SlowDisk:
    """Writes take a millisecond, or until the test lets them go. Segments are there at once, and told of later."""

    def __init__(self, time: Time) -> None:
        self._time, self._waiting = time, list[Callable[[], None]]()
        self.held = self.instant = False
        self.history: dict[bytes, bytes] = {}
        self.fetches: list[Fetching] = []
        self.looks = 0  # how often somebody asked which segments there are

    def write(self, write: Write, done: Callable[[], None]) -> None:
        if self.held:
            self._waiting.append(done)
        elif self.instant:
            done()
        else:
            self._time.call_later(0.001, done)

    def fetch(self, *_: object) -> None:
        raise AssertionError("nobody has a snapshot here")

    def room(self, done: Callable[[Any], None]) -> None:
        """As if it never answered."""

    def save(self, *_: object) -> None:
        raise AssertionError("the log is short")

    def segments(self, done: Callable[[frozenset[bytes]], None]) -> None:
        self.looks += 1
        held = frozenset(self.history)
        self._time.call_later(0.001, lambda: done(held))

    def put_segment(self, digest: bytes, data: bytes, done: Callable[[], None]) -> None:
        self.history[digest] = data
        self._time.call_later(0.001, done)

    def segment(self, digest: bytes, done: Callable[[bytes | None], None]) -> None:
        self._time.call_later(0.001, lambda: done(self.history.get(digest)))

    def drop_segments(self, digests: Iterable[bytes]) -> None:
        for digest in digests:
            del self.history[digest]

    def fetch_segment(self, *asked: Any) -> None:
        self.fetches.append(Fetching(*asked))

    def let_go(self) -> None:
        self.held = False
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done()


class Hands:
    """The supervisor of one boot: attempts run until the test ends them. `told` is all it was told to do."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.told: list[tuple[str, int]] = []
        self.until_ms = 0
        self.slow = False  # it confirms what it is told of the lease when the test says so
        self._bodies: dict[AttemptId, Here] = {}
        self._reports: dict[AttemptId, Report] = {}
        self._journal: set[AttemptId] = set()
        self.unconfirmed: list[Callable[[], None]] = []

    def here(self) -> Mapping[AttemptId, Here]:
        return dict(self._bodies)

    def reports(self) -> Mapping[AttemptId, Report]:
        return dict(self._reports)

    def lease(self, until_ms: int, told: Callable[[], None] = lambda: None) -> None:
        if until_ms != self.until_ms:
            self.told.append(("lease", until_ms))
        self.until_ms = until_ms
        if self.slow:
            self.unconfirmed.append(told)
        else:
            told()

    def start(self, one: Listed, spec: JobSpec) -> None:
        if one.attempt not in self._journal:
            self.told.append(("start", one.attempt))
            self._journal.add(one.attempt)
            self._bodies[one.attempt] = Here(one.task)
        elif one.attempt not in self._bodies:
            self._bodies[one.attempt] = Here(one.task, ended=True)
            self._reports[one.attempt] = Report(one.attempt, one.task, Outcome.LOST)

    def follow(self, one: Listed, spec: JobSpec) -> None:
        if one.attempt not in self._journal and one.attempt not in self._bodies:
            self.told.append(("follow", one.attempt))
            self._bodies[one.attempt] = Here(one.task, started=False)

    def refuse(self, one: Listed) -> None:
        if one.attempt not in self._journal:
            self.told.append(("refuse", one.attempt))
            self._journal.add(one.attempt)
            self._bodies[one.attempt] = Here(one.task, started=False, ended=True)
            self._reports[one.attempt] = Report(one.attempt, one.task, Outcome.REJECTED)

    def stop(self, attempt: AttemptId) -> None:
        self.told.append(("stop", attempt))

    def freeze(self, attempt: AttemptId) -> None:
        self.told.append(("freeze", attempt))
        self._bodies[attempt] = msgspec.structs.replace(self._bodies[attempt], frozen_at_ms=self._time.boottime_ms())

    def thaw(self, attempt: AttemptId) -> None:
        self.told.append(("thaw", attempt))
        self._bodies[attempt] = msgspec.structs.replace(self._bodies[attempt], frozen_at_ms=None)

    def kill(self, attempt: AttemptId) -> None:
        self.told.append(("kill", attempt))

    def forget(self, attempt: AttemptId) -> None:
        if attempt in self._reports:
            self.told.append(("forget", attempt))
            del self._reports[attempt], self._bodies[attempt]

    # -- what the test does and asks

    def end(self, attempt: int, outcome: Outcome = Outcome.EXITED, code: int = 0) -> None:
        known = AttemptId(attempt)
        self._bodies[known] = msgspec.structs.replace(self._bodies[known], ended=True, frozen_at_ms=None)
        self._reports[known] = Report(known, self._bodies[known].task, outcome, code)

    def confirm(self) -> None:
        told, self.unconfirmed = self.unconfirmed, []
        for call in told:
            call()

    def did(self, what: str) -> list[int]:
        return [to for word, to in self.told if word == what]


class Notes:
    """A small file: a note is on it at once, or when the test says so."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []  # what was on the file, the newest last
        self.slow = False
        self.under_way: list[tuple[Kept, Callable[[], None]]] = []

    def save(self, kept: Kept, done: Callable[[], None]) -> None:
        self.under_way.append((kept, done))
        if not self.slow:
            self.finish()

    def finish(self, which: int = 0) -> None:
        kept, done = self.under_way.pop(which)
        self.kept.append(kept)
        done()

"""The disk of one simulated machine and the thread that writes to it: slow, sometimes very slow, and what is not synced
when the power goes is lost, wholly or in part.

Promises: jobs run as a store's thread runs them; what is acknowledged is synced. `Durable` is what a restart must find,
kept beside the store by other code, so that one watches the other.
Never: waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar

from odyssey.clock import SeededEntropy
from odyssey.errors import OdysseyError
from odyssey.mesh.raft.types import HardState, LogEntry, Member, Snapshot, Write
from odyssey.mesh.store import Loaded
from odyssey.mesh.worker import Worker, outcome
from tests.memory_disk import Disk
from tests.sim.loop import VirtualLoop

T = TypeVar("T")

BULK_DELAY_MS: Final = 5
BULK_BYTES_A_MS: Final = 2_000  # a slow lane, so that a transfer has time to break off
BULK_PATIENCE_MS: Final = 2_000
PIECE: Final = 2_000  # bytes of a segment at a time


class SimDisk:
    """It outlives the machine's starts; its moods are drawn once and may be set."""

    def __init__(self, loop: VirtualLoop, entropy: SeededEntropy) -> None:
        self._loop, self._entropy = loop, entropy
        self.cells = Disk()
        self.cells.lazy = True
        self.delay_ms = 1 + entropy.below(20)
        self.stall_per_mille = entropy.below(20)
        self.completed = 0

    def takes_ms(self) -> int:
        entropy = self._entropy
        delay_ms = 1 + entropy.below(self.delay_ms)
        if self.stall_per_mille and entropy.below(1000) < self.stall_per_mille:
            delay_ms += entropy.below(1500)
        return delay_ms

    def crash(self) -> None:
        self.cells.crash(self._entropy)


class SimWorker(Worker):
    """The thread: a job is done at once, and over when its time has passed and what it changed is synced."""

    def __init__(self, loop: VirtualLoop, disk: SimDisk, sync: Callable[[], None]) -> None:
        self._loop, self._disk, self._sync = loop, disk, sync
        self._queue: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()
        self._busy = self._closed = False

    def run(self, job: Callable[[], T], done: Callable[[T | OdysseyError], None]) -> None:
        if self._closed:
            return  # whoever asks is dead
        if self._busy:
            self._queue.append((job, done))
        else:
            self._begin(job, done)

    def _begin(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self._busy = True
        try:
            found = outcome(job)
        except Exception as bug:  # noqa: BLE001 - raised on the loop, as by the real thread
            found, done = bug, _raise
        self._loop.call_later(self._disk.takes_ms() / 1000, self._end, found, done)

    def _end(self, found: Any, done: Callable[[Any], None]) -> None:
        if self._closed:
            return
        try:
            self._sync()
        except OdysseyError as error:
            found = error
        self._disk.completed += 1
        self._busy = False
        if self._queue:
            self._begin(*self._queue.popleft())
        done(found)

    def close(self) -> None:
        self._closed = True
        while self._queue:
            outcome(self._queue.popleft()[0])

    def crash(self) -> None:
        """What waits is never done, and nobody hears of what was under way."""
        self._queue.clear()
        self.close()


def _raise(bug: BaseException) -> NoReturn:
    raise bug


# -- what must be there ------------------------------------------------------------------------------------------------


@dataclass
class Durable:
    hard: HardState = field(default_factory=HardState)
    snapshot: Snapshot = field(default_factory=Snapshot)
    entries: list[LogEntry] = field(default_factory=list)

    @staticmethod
    def of(loaded: Loaded) -> Durable:
        return Durable(loaded.hard, loaded.snapshot, list(loaded.entries))

    def take(self, change: Write | Snapshot) -> None:
        if isinstance(change, Snapshot):
            self._begin_at(change)
            return
        if change.snapshot is not None:
            self.snapshot, self.entries = change.snapshot, []
        if change.entries:
            del self.entries[change.entries[0].index - self.snapshot.index - 1 :]
            self.entries += change.entries
        hard = change.hard
        self.hard = hard if hard.commit >= self.hard.commit else HardState(hard.term, hard.vote, self.hard.commit)

    def _begin_at(self, snapshot: Snapshot) -> None:
        """One of its own."""
        del self.entries[: snapshot.index - self.snapshot.index]
        self.snapshot = snapshot
        if self.hard.commit < snapshot.index:
            self.hard = HardState(self.hard.term, self.hard.vote, snapshot.index)

    @property
    def last(self) -> int:
        return self.snapshot.index + len(self.entries)

    def term(self, index: int) -> int | None:
        position = index - self.snapshot.index - 1
        if position == -1:
            return self.snapshot.term
        return self.entries[position].term if 0 <= position < len(self.entries) else None


# -- the bulk lane -----------------------------------------------------------------------------------------------------


class Server(Protocol):
    """Who has snapshots and segments, seen from the lane."""

    def serve(
        self, digest: bytes, first: int, doubted: bool, done: Callable[[Sequence[bytes] | None], None]
    ) -> None: ...

    def serve_segment(self, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None: ...


class SimBulk:
    """Bytes at a limited rate; a cut in either direction breaks it off, as does a source that is silent."""

    def __init__(
        self,
        loop: VirtualLoop,
        is_open: Callable[[Member], bool],
        server: Callable[[Member], Server | None],
        awake: Callable[[Callable[[], None]], None],
    ) -> None:
        """`awake` calls when the machine that asks is awake, and never after it went down."""
        self._loop, self._is_open, self._server, self._awake = loop, is_open, server, awake
        self.carried = 0

    def ask(
        self, source: Member, digest: bytes, first: int, doubted: bool, done: Callable[[Sequence[bytes] | None], None]
    ) -> None:
        asked = self._asked(done)

        def serve(server: Server) -> None:
            server.serve(digest, first, doubted, lambda slices: self._bring_slices(source, slices, asked))

        self._loop.call_later(BULK_DELAY_MS / 1000, self._reach, source, serve, asked)

    def ask_segment(self, source: Member, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None:
        asked = self._asked(done)

        def serve(server: Server) -> None:
            server.serve_segment(digest, start, lambda data: self._bring_piece(source, data, asked))

        self._loop.call_later(BULK_DELAY_MS / 1000, self._reach, source, serve, asked)

    def _asked(self, done: Callable[[T | None], None]) -> _Asked[T | None]:
        asked: _Asked[T | None] = _Asked(lambda found: self._awake(lambda: done(found)))
        self._loop.call_later(BULK_PATIENCE_MS / 1000, asked.answer, None)
        return asked

    def _reach(self, source: Member, serve: Callable[[Server], None], asked: _Asked[Any]) -> None:
        server = self._server(source) if self._is_open(source) else None
        if server is None:
            asked.answer(None)
        else:
            serve(server)

    def _bring_slices(
        self, source: Member, slices: Sequence[bytes] | None, asked: _Asked[Sequence[bytes] | None]
    ) -> None:
        some = slices[:1] if slices else slices  # one at a time: its slices are few
        self._bring(source, some, sum(map(len, some or ())), asked)

    def _bring_piece(self, source: Member, data: bytes | None, asked: _Asked[bytes | None]) -> None:
        piece = data[:PIECE] if data else data  # small, so that it takes some
        self._bring(source, piece, len(piece or b""), asked)

    def _bring(self, source: Member, found: T, size: int, asked: _Asked[T]) -> None:
        self.carried += size
        takes_ms = BULK_DELAY_MS + size // BULK_BYTES_A_MS
        self._loop.call_later(takes_ms / 1000, self._arrive, source, found, asked)

    def _arrive(self, source: Member, found: Any, asked: _Asked[Any]) -> None:
        asked.answer(found if self._is_open(source) else None)


@dataclass
class _Asked(Generic[T]):
    done: Callable[[T], None]
    answered: bool = False

    def answer(self, found: T) -> None:
        if not self.answered:
            self.answered = True
            self.done(found)

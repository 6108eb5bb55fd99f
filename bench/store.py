"""The durable store: entries a second beside bare SQLite doing the same inserts, and how long a restart takes.

Waiting for the disk is the point of a write, so entries are counted by time on the clock, unlike elsewhere. On a
temporary directory in memory these figures say nothing about disks: set TMPDIR to the disk that is meant.

Promises: real and raw write the same rows in the same batches on the same disk, by turns. A restart reads what a long
life has left: snapshots and tails as the real rules make them, at the worst moment, just before the next snapshot.
Never: counts what is prepared beforehand.
"""

import gc
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final, NamedTuple

import msgspec

from bench.builders import FENCE, Mesh
from bench.harness import MS, Effort, Result, bench, cost, now, paired, rate, timed
from bench.live import BATCH, LIVE, SPEC, Writer, live_mesh
from odyssey import wire
from odyssey.clock import SeededEntropy
from odyssey.commands import ArchiveJobs, CancelTasks, Entry
from odyssey.ids import NodeId
from odyssey.mesh.raft.types import Config, HardState, Kind, LogEntry, Snapshot, Write
from odyssey.mesh.sound import digest_of
from odyssey.mesh.sqlite_store import SqliteStore, create_store, open_store
from odyssey.mesh.store import MIB, Generation, Settings
from odyssey.scheduler.apply import apply
from odyssey.scheduler.dump import dump, load
from odyssey.scheduler.state import State

DATA: Final = bytes(range(250)) + bytes(50)  # as long as a common entry
SHARE: Final = 0.6
RESTART_S: Final = 5.0
HISTORY: Final = 1_000_000
TAIL: Final = 16 * MIB  # or the size of the last snapshot, if that is larger
_MESH, _NODE = bytes(16), NodeId("a" * 26)
_SETTINGS: Final = Settings(guard=0, ballast=0)
_TABLE: Final = (
    "CREATE TABLE entry (idx INTEGER PRIMARY KEY, term INT NOT NULL, kind INT NOT NULL, data BLOB NOT NULL,"
    " crc INT NOT NULL)"
)


def _new_store(path: Path) -> SqliteStore:
    return create_store(path, SeededEntropy(1), _MESH, _NODE, Generation(1, bytes(16)), _SETTINGS)


def clocked(work: Callable[[], object]) -> float:
    gc.collect()
    begin = perf_counter()
    work()
    return perf_counter() - begin


# -- entries a second --------------------------------------------------------------------------------------------------


@bench("store.entries")
def entries(effort: Effort) -> Iterator[Result]:
    repeats = effort.repeats(15)
    with tempfile.TemporaryDirectory() as folder:
        real, raw = _Real(_new_store(Path(folder, "mesh.db"))), _Raw(Path(folder, "raw.db"))
        for batch, writes in ((1, 500), (64, 100), (1024, 20)):
            samples = paired(partial(real.seconds, batch, writes), partial(raw.seconds, batch, writes), repeats)
            count = batch * writes
            target = SHARE * count / median(samples.raw)
            name = f"store: entries of {len(DATA)} B on disk, {batch:,} a write"
            yield rate(name, "1/s", samples, count, "bare SQLite, the same rows and batches", target)
        real.store.close()
        raw.connection.close()


class _Real:
    def __init__(self, store: SqliteStore) -> None:
        self.store, self._last = store, 0

    def seconds(self, batch: int, writes: int) -> float:
        prepared = [self._write(batch) for _ in range(writes)]

        def work() -> None:
            for one in prepared:
                self.store.write(one)

        return clocked(work)

    def _write(self, batch: int) -> Write:
        committed, self._last = self._last, self._last + batch
        told = (LogEntry(at, 1, Kind.COMMAND, DATA) for at in range(committed + 1, self._last + 1))
        return Write(1, HardState(1, None, committed), tuple(told), None)


class _Raw:
    """What anyone would write first: a table, a transaction, the same care for durability."""

    def __init__(self, path: Path) -> None:
        self.connection, self._last = sqlite3.connect(path, isolation_level=None), 0
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", _TABLE):
            self.connection.execute(statement)

    def seconds(self, batch: int, writes: int) -> float:
        prepared = [self._rows(batch) for _ in range(writes)]
        execute, many = self.connection.execute, self.connection.executemany

        def work() -> None:
            for rows in prepared:
                execute("BEGIN IMMEDIATE")
                many("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", rows)
                execute("COMMIT")

        return clocked(work)

    def _rows(self, batch: int) -> list[tuple[int, int, int, bytes, int]]:
        first, self._last = self._last + 1, self._last + batch
        return [(at, 1, 0, DATA, 0x12345678) for at in range(first, self._last + 1)]


# -- a restart ---------------------------------------------------------------------------------------------------------


class _Steps(NamedTuple):
    """Seconds until the file is checked, the snapshot is a state, the tail is applied."""

    file: float
    snapshot: float
    tail: float


@bench("store.restart")
def restart(effort: Effort) -> Iterator[Result]:
    live, history = effort.size(LIVE), effort.size(HISTORY)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mesh.db")
        index, tail = _long_life(path, live, history)
        steps: list[_Steps] = []

        def real() -> float:
            steps.append(_restarted(path, index))
            return sum(steps[-1])

        samples = paired(real, lambda: timed(lambda: _plainly_read(path)), effort.repeats(7))
        parts = [median(part) for part in zip(*steps, strict=True)]
        note = f"{tail:,} entries in the tail; " + ", ".join(
            f"{name} {seconds:.2f} s" for name, seconds in zip(_Steps._fields, parts, strict=True)
        )
        name = f"store: restart after {index:,} entries with {live:,} live tasks"
        yield cost(name, "ms", samples, MS, "SQLite reads it, msgspec makes plain lists", RESTART_S * MS, note)


def _restarted(path: Path, index: int) -> _Steps:
    gc.collect()
    times = [now()]
    store = open_store(path, _MESH, _NODE, _SETTINGS)
    loaded = store.load()
    times.append(now())
    state = load(store.snapshot_slices(loaded.snapshot.digest))
    times.append(now())
    for start in range(0, len(loaded.entries), BATCH):
        part = loaded.entries[start : start + BATCH]
        apply(state, [wire.decode_log(one.data, Entry) for one in part])
    times.append(now())
    assert state.head.index == index
    store.close()
    return _Steps(*(late - early for early, late in pairwise(times)))


def _plainly_read(path: Path) -> list[object]:
    connection = sqlite3.connect(path)
    statements = ("SELECT data FROM slice", "SELECT data FROM entry")
    made = [msgspec.msgpack.decode(row[0]) for statement in statements for row in connection.execute(statement)]
    connection.close()
    return made


def _long_life(path: Path, live: int, history: int) -> tuple[int, int]:
    """A replica that joined an old mesh, and all it wrote since: its last index, and how many follow its snapshot."""
    mesh = live_mesh(live)
    mesh.keep = True
    life = _Life(_new_store(path), mesh.state)
    turn = 0
    while mesh.state.head.index < history:
        _jobs_come_and_go(mesh, turn)
        life.take(mesh.log)
        turn += 1
    life.snapshot()
    while not life.is_due(ahead=MIB):
        life.write(Writer(mesh).mix(4096), mesh.state)
    life.store.close()
    return life.last, life.since


def _jobs_come_and_go(mesh: Mesh, turn: int) -> None:
    first = mesh.state.head.last_job + 1
    for _ in range(2000):
        mesh.do(CancelTasks(mesh.submit(SPEC)))
    digest = turn.to_bytes(32, "big")
    mesh.do(ArchiveJobs(FENCE, digest, 1, ((first, mesh.state.head.last_job + 1),), mesh.state.head.index))


class _Life:
    """Writes as a replica does, and takes a snapshot when the rule says so."""

    def __init__(self, store: SqliteStore, state: State) -> None:
        self.store, self._state, self.last = store, state, state.head.index
        pieces = list(dump(state))
        told = digest_of(pieces)
        began = Snapshot(self.last, 1, Config(), told.digest, told.size)
        store.stage(told.digest, 0, pieces)
        store.write(Write(1, HardState(1, None, self.last), (), began))
        self.since = 0

    def is_due(self, ahead: int = 0) -> bool:
        room = self.store.room()
        return room.tail + ahead > max(TAIL, room.snapshot)

    def take(self, log: list[Entry]) -> None:
        """Entries that are applied already."""
        for start in range(0, len(log), BATCH):
            part = log[start : start + BATCH]
            told = (LogEntry(one.index, 1, Kind.COMMAND, wire.encode_log(one)) for one in part)
            self.last += len(part)
            self.store.write(Write(1, HardState(1, None, self.last), tuple(told), None))
        self.since += len(log)
        log.clear()
        if self.is_due():
            self.snapshot()

    def write(self, log: list[Entry], state: State) -> None:
        apply(state, log)
        self.take(log)

    def snapshot(self) -> None:
        pieces = list(dump(self._state))
        told = digest_of(pieces)
        self.store.save_snapshot(Snapshot(self.last, 1, Config(), told.digest, told.size), self.last + 1, pieces)
        self.since = 0

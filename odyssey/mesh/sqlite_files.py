"""How the SQLite file of a store is made, and how it is looked at before it is used.

`mesh.db` holds three records (whose store it is, hard state, snapshot), the log, and the slices of snapshots, staged or
in use. Every change counts itself in the record of the hard state, so that the mark beside can tell an old copy.

Promises: a file of that name is whole: it was made under another one. What is looked at is checked to the last byte
that a start relies on, by a connection that cannot write, so what is damaged stays as it is found.
Never: repairs.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from odyssey import wire
from odyssey.errors import NotUnderstood, WireError
from odyssey.lasting import sync_names
from odyssey.mesh import shelf, sound
from odyssey.mesh.raft.types import HardState, LogEntry, Snapshot
from odyssey.mesh.sidefiles import COMPANIONS, beside
from odyssey.mesh.sound import Held
from odyssey.mesh.sqlite import Database
from odyssey.mesh.store import Identity, NoStore

FORMAT: Final = 1
IDENTITY, TOP, BASE = 1, 2, 3  # numbers of the records
LAST: Final = (1 << 63) - 1
ENTRIES: Final = "SELECT idx, term, kind, data, crc FROM entry WHERE idx BETWEEN ? AND ? ORDER BY idx"
_COLUMNS: Final = "idx INTEGER PRIMARY KEY, term INT NOT NULL, kind INT NOT NULL, data BLOB NOT NULL, crc INT NOT NULL"
_TABLES: Final = (f"CREATE TABLE entry ({_COLUMNS})", *shelf.TABLES)

T = TypeVar("T")


class Top(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    changes: int
    hard: HardState


class Base(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    area: int  # of the shelf
    snapshot: Snapshot


class Found(NamedTuple):
    """All that a start needs, read and checked."""

    identity: Identity
    changes: int
    base: Base
    held: Held
    entries: list[LogEntry]


def make(path: Path, identity: Identity, founds: bool) -> None:
    new = beside(path, ".new")
    for suffix in COMPANIONS:
        beside(new, suffix).unlink(missing_ok=True)  # of a making that was interrupted
    database = Database(new, "rwc", "PRAGMA auto_vacuum=NONE")
    try:
        with database.transaction():
            database.lay_out(FORMAT, *_TABLES)
            database.put_record(IDENTITY, wire.encode(identity))
            database.put_record(TOP, wire.encode(Top(1, HardState())))
            database.put_record(BASE, wire.encode(Base(0, sound.beginning(identity, founds))))
        database.settle()
    finally:
        database.close()
    new.replace(path)
    sync_names(path.parent)


def look(path: Path) -> Found:
    with _looked_at(path) as database:
        return read(database)


def look_back(path: Path) -> tuple[Found, list[bytes]]:
    """At a store that was set aside: with the slices of its snapshot, and nothing left behind."""
    with _looked_at(path) as database:
        found = read(database)
        return found, list(shelf.slices(database, found.base.area)) if found.base.snapshot.index else []


@contextmanager
def _looked_at(path: Path) -> Iterator[Database]:
    if not path.exists():
        raise NoStore(f"there is no store at {path}", hint="this machine has to join a mesh first", path=path)
    database = Database(path, "ro")
    try:
        database.check_layout(FORMAT)
        database.check_pages()
        yield database
    finally:
        database.close()
        _tidy(path)


def _tidy(path: Path) -> None:
    """A look leaves an index for other readers, of whom there are none, and makes an empty log where there is none."""
    beside(path, "-shm").unlink(missing_ok=True)
    log = beside(path, "-wal")
    if log.exists() and not log.stat().st_size:
        log.unlink()


def read(database: Database) -> Found:
    path = database.path
    identity = _record(database, IDENTITY, Identity)
    top = _record(database, TOP, Top)
    base = _record(database, BASE, Base)
    snapshot = base.snapshot
    following = snapshot.index + 1
    entries = sound.entries_of(path, database.rows(ENTRIES, following, LAST), following)
    first = database.number("SELECT coalesce(min(idx), ?) FROM entry", following)
    end = entries[-1] if entries else snapshot
    held = Held(top.hard, snapshot, first, end.index, end.term)
    sound.check_held(path, held, entries)
    if snapshot.index:
        deque(sound.verified(path, snapshot, shelf.slices(database, base.area)), maxlen=0)
    return Found(identity, top.changes, base, held, entries)


def _record(database: Database, number: int, kind: type[T]) -> T:
    data = database.record(number)
    if data is None:
        raise sound.damaged(database.path, f"record {number} is missing")
    try:
        return wire.decode(data, kind, wire.ENTRY)  # a long line of generations is larger than an item
    except NotUnderstood as error:
        raise sound.newer(database.path, f"record {number}: {error.message}") from error
    except WireError as error:
        raise sound.damaged(database.path, f"record {number}: {error.message}") from error

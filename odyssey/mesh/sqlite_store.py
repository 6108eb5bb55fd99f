"""The store of one replica in a SQLite file, with its side files and its history beside it.

Promises: what `Store` promises. A crash at any moment leaves the state before or after the change that was under way.
Never: used from two threads, or by two daemons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from odyssey import wire
from odyssey.clock import Entropy
from odyssey.ids import NodeId
from odyssey.mesh import shelf, sound
from odyssey.mesh.generation import Lineage
from odyssey.mesh.history import History
from odyssey.mesh.others import Voters, voters
from odyssey.mesh.raft.types import LogEntry, Snapshot, StoreId, Write
from odyssey.mesh.shelf import Shelf
from odyssey.mesh.sidefiles import (
    COMPANIONS,
    Ballast,
    Lock,
    Mark,
    NoteFile,
    beside,
    check_mark,
    check_there,
    move_aside,
    refused,
)
from odyssey.mesh.sound import Held
from odyssey.mesh.sqlite import Database
from odyssey.mesh.sqlite_files import BASE, ENTRIES, IDENTITY, LAST, TOP, Base, Found, Top, look, make, read
from odyssey.mesh.store import (
    OWN,
    DiskFull,
    Generation,
    Identity,
    ImpossibleWrite,
    Loaded,
    Room,
    Settings,
    SnapshotGone,
    Staged,
    Store,
    StoreExists,
)

_INSERT: Final = "INSERT INTO entry VALUES (?, ?, ?, ?, ?)"
_BYTES: Final = "SELECT coalesce(sum(length(data)), 0) FROM entry WHERE idx BETWEEN ? AND ?"
_AT_ONCE: Final = 16  # slices written in one transaction
_PIECE: Final = 2048  # entries dropped with one write
_DEFAULTS: Final = Settings()


def create_store(
    path: Path,
    entropy: Entropy,
    mesh: bytes,
    node: NodeId,
    generation: Generation,
    settings: Settings = _DEFAULTS,
    founds: bool = False,
) -> SqliteStore:
    """A new one with a store id of its own. Who founds a mesh is its first voter; others learn who votes."""
    lock = Lock(path)
    try:
        if path.exists():
            raise StoreExists(f"there is a store at {path} already", hint="open it, or set it aside", path=path)
        if any(beside(path, suffix).exists() for suffix in COMPANIONS):
            move_aside(path)  # a WAL without its database would be taken for the new one's
        make(path, Identity(mesh, node, StoreId(entropy.token(16)), generation), founds)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        lock.release()
    return open_store(path, mesh, node, settings)


def open_store(path: Path, mesh: bytes, node: NodeId, settings: Settings = _DEFAULTS) -> SqliteStore:
    lock, ballast = Lock(path), Ballast(path, settings)
    with ExitStack() as undo:
        undo.callback(lock.release)
        ballast.make_room()  # even a look needs a little
        check_there(path)
        found = look(path)
        sound.check_identity(path, found.identity, mesh, node)
        check_mark(path, found.identity.store, found.changes)
        try:
            return SqliteStore(path, found, ballast, undo.pop_all())
        except OSError as error:
            raise refused(path, error) from error


class SqliteStore(Store):
    def __init__(self, path: Path, found: Found, ballast: Ballast, undo: ExitStack) -> None:
        """`undo` frees what is held already, at the end or when this fails."""
        with undo:
            self._path, self._ballast = path, ballast
            self._identity, self._base, self._held = found.identity, found.base, found.held
            self._changes, self._drop_before = found.changes, found.held.first
            self._tail = self._kept = 0
            self._ballast.reserve()
            self._database = Database(path, "rw")
            undo.callback(self._database.close)
            self._database.settle()
            self._mark = Mark(path, self._identity.store, self._changes)
            undo.callback(self._mark.close)
            self._history = History(path.with_name("history.db"), self._identity.mesh)
            undo.callback(self._history.close)
            self._note = NoteFile(path)
            self._voters = voters(self._identity.member, found.base.snapshot, found.entries, found.held.hard.commit)
            with self._change():
                pass  # so that the emptied write-ahead log is synced too: an older one would hide what was copied
            self._follow(self._voters)
            self._shelf = Shelf(self._database)
            self.unstage(OWN)
            self._weigh()
            self._fresh: Found | None = found  # until the first change
            self._closing = undo.pop_all()

    @property
    def identity(self) -> Identity:
        return self._identity

    def adopt(self, lineage: Lineage) -> None:
        identity = sound.next_generation(self._identity, lineage)
        with self._change():
            self._database.put_record(IDENTITY, wire.encode(identity))
        self._identity = identity

    def close(self) -> None:
        self._closing.close()

    @contextmanager
    def _change(self, held: Held | None = None, size: int = 0) -> Iterator[None]:
        after = self._held if held is None else held
        try:
            with self._database.transaction(size):
                yield
                self._drop(after.first)
                self._database.put_record(TOP, wire.encode(Top(self._changes + 1, after.hard)))
        finally:
            if isinstance(self._database.broken, DiskFull):
                self._ballast.release()
        self._held = after
        self._changes += 1
        self._fresh = None
        self._mark.note(self._changes)

    def _drop(self, first: int) -> None:
        if first > self._held.first:
            self._kept -= self._database.number(_BYTES, 0, first - 1)
            self._database.run("DELETE FROM entry WHERE idx < ?", first)

    # -- the log -------------------------------------------------------------------------------------------------------

    def load(self) -> Loaded:
        found, self._fresh = self._fresh or read(self._database), None
        return Loaded(found.held.hard, found.held.snapshot, found.entries, found.held.first)

    def entries(self, first: int, last: int) -> list[LogEntry]:
        first, last = max(first, self._held.first), min(last, self._held.last)
        if last < first:
            return []
        entries = sound.entries_of(self._path, self._database.rows(ENTRIES, first, last), first)
        if not entries or entries[-1].index != last:
            raise sound.damaged(self._path, f"entry {last} is missing")
        return entries

    def write(self, write: Write) -> None:
        change = sound.change(self._held, write, self._seen)
        if write.snapshot is not None:
            sound.check_staged(self.staged(write.snapshot.digest), write.snapshot)
        size, cuts = sum([len(entry.data) for entry in change.entries]), change.cut_from <= self._held.last
        now = self._voters.after(write)
        if now is not self._voters and now.note is None:
            self._note.withdraw()
        with self._change(self._with_fewer(change.held), size):
            if write.snapshot is not None:
                self._database.run("DELETE FROM entry")  # all of it: without a condition SQLite need not look at each
                self._use(write.snapshot, write.snapshot.digest)
            elif cuts:
                self._database.run("DELETE FROM entry WHERE idx >= ?", change.cut_from)
            if change.entries:
                self._database.many(_INSERT, sound.rows(change.entries))
        if now is not self._voters:
            self._follow(now)
        self._tail += size
        if cuts:
            self._weigh()

    def _follow(self, now: Voters) -> None:
        self._voters = now
        if (note := now.note) is not None:
            self._note.show(note)
        else:
            self._note.withdraw()

    def _with_fewer(self, held: Held) -> Held:
        """Of the entries that nobody needs any more a piece goes with each write, so that none takes long."""
        return held._replace(first=max(held.first, min(self._drop_before, held.first + _PIECE)))

    def _seen(self, index: int) -> tuple[int, int] | None:
        found = self._database.row("SELECT term, crc FROM entry WHERE idx = ?", index)
        return None if found is None else (found[0], found[1])

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def stage(self, name: bytes, first: int, slices: Sequence[bytes]) -> Staged:
        pieces = self._shelf.missing(name, first, slices)
        with self._change(size=sum(map(len, pieces))):
            self._shelf.put(name, pieces, self._base.area)
        return self.staged(name)

    def staged(self, name: bytes) -> Staged:
        return self._shelf.staged(name)

    def staged_slices(self, name: bytes) -> Iterator[bytes]:
        return self._shelf.slices(name)

    def staging(self) -> frozenset[bytes]:
        return self._shelf.names

    def unstage(self, name: bytes) -> None:
        if name in self._shelf:
            with self._change():
                self._shelf.drop(self._shelf.take(name))

    def save_snapshot(self, snapshot: Snapshot, keep_from: int, slices: Iterable[bytes] = ()) -> None:
        held = sound.compacted(self._held, snapshot, keep_from, self._seen)
        coming = iter(slices)
        while pieces := list(islice(coming, _AT_ONCE)):
            self.stage(OWN, self.staged(OWN).slices, pieces)
        try:
            sound.check_staged(self.staged(OWN), snapshot)
        except ImpossibleWrite:
            self.unstage(OWN)
            raise
        self._drop_before = held.first
        with self._change(self._with_fewer(held._replace(first=self._held.first))):
            self._use(snapshot, OWN)
            before, self._tail = self._tail, self._database.number(_BYTES, snapshot.index + 1, LAST)
            self._kept += before - self._tail
        self._follow(self._voters.compacted(snapshot))
        self._mark.sync()
        self._ballast.reserve()

    def _use(self, snapshot: Snapshot, name: bytes) -> None:
        """What is staged under the name takes the place of the snapshot before."""
        self._shelf.drop(self._base.area)
        self._base = Base(self._shelf.take(name), snapshot)
        self._database.put_record(BASE, wire.encode(self._base))

    def snapshot_slices(self, digest: bytes, first: int = 0) -> Iterator[bytes]:
        self._check_current(digest)
        pieces = self._pieces(self._base, first)
        return pieces if first else sound.verified(self._path, self._base.snapshot, pieces)

    def _pieces(self, base: Base, first: int) -> Iterator[bytes]:
        """Writes may come between, also a newer snapshot: then there are no more of these."""
        yield from shelf.slices(self._database, base.area, first)
        self._check_current(base.snapshot.digest)

    def _check_current(self, digest: bytes) -> None:
        if not self._base.snapshot.index or self._base.snapshot.digest != digest:
            text = f"snapshot {digest.hex()[:12]} is not the current one"
            raise SnapshotGone(text, hint="ask for the newest", path=self._path)

    # -- segments ------------------------------------------------------------------------------------------------------

    def put_segment(self, digest: bytes, data: bytes) -> None:
        try:
            self._history.put(digest, data)
        except DiskFull:
            self._ballast.release()
            raise

    def segment(self, digest: bytes) -> bytes | None:
        return self._history.get(digest)

    def has_segment(self, digest: bytes) -> bool:
        return self._history.has(digest)

    def drop_segment(self, digest: bytes) -> None:
        self._history.drop(digest)

    def segments(self) -> frozenset[bytes]:
        return self._history.digests

    # -- room ----------------------------------------------------------------------------------------------------------

    def room(self) -> Room:
        ballast, size = self._ballast, self._base.snapshot.size
        return Room(ballast.free, ballast.guard, ballast.held, self._tail, self._kept, size)

    def _weigh(self) -> None:
        snapshot = self._held.snapshot.index
        self._tail = self._database.number(_BYTES, snapshot + 1, LAST)
        self._kept = self._database.number(_BYTES, 0, snapshot)

"""A store on a disk in memory: the fake side of `odyssey.mesh.store`.

Each cell of the disk carries a checksum of its own, but for slices, which have a digest together. It keeps running sums
and remembers what it has read, because a simulation writes a hundred thousand times.

Promises: the rules are those of the real store, so a simulation meets the same refusals and the same damage.
Never: waits, or touches a real file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple, TypeVar
from zlib import crc32

import msgspec

from odyssey import wire
from odyssey.clock import Entropy
from odyssey.ids import NodeId
from odyssey.mesh import sound
from odyssey.mesh.generation import Lineage
from odyssey.mesh.opening import Home
from odyssey.mesh.others import Voters, sealed, unsealed, voters
from odyssey.mesh.raft.types import HardState, LogEntry, Snapshot, StoreId, Write
from odyssey.mesh.sound import Held
from odyssey.mesh.store import (
    OWN,
    Broken,
    Damaged,
    DamagedSegment,
    Generation,
    Identity,
    ImpossibleWrite,
    InUse,
    Loaded,
    NoStore,
    Old,
    ReadOnly,
    Room,
    Settings,
    SnapshotGone,
    Staged,
    Store,
    StoreError,
    StoreExists,
)
from tests.memory_disk import PATH, Cells, Changes, Disk, Key, Mark

T = TypeVar("T")

FORMAT: Final = 1
_FORMAT, _IDENTITY, _TOP, _BASE = ("format",), ("identity",), ("top",), ("base",)
_LIMITS: Final = wire.ENTRY._replace(bytes=1 << 40, bin=1 << 40)
_ENTRY: Final = Struct(">QQBI")  # before the data of an entry: index, term, kind, checksum
_NO_BALLAST: Final = Settings(guard=0, ballast=0)
_PLENTY: Final = 1 << 40


# -- the store ---------------------------------------------------------------------------------------------------------


class _Top(msgspec.Struct, frozen=True, array_like=True):
    changes: int
    hard: HardState


class _Base(msgspec.Struct, frozen=True, array_like=True):
    area: int
    snapshot: Snapshot


class _Found(NamedTuple):
    """All that a start needs, read and checked."""

    changes: int
    base: _Base
    held: Held
    entries: list[LogEntry]


def _sealed(key: Key, record: object) -> bytes:
    data = wire.encode(record)
    return _checksum(key, data) + data


def _checksum(key: Key, data: bytes) -> bytes:
    return crc32(repr(key).encode() + data).to_bytes(4, "big")


def _unsealed(cells: Cells, key: Key, kind: type[T]) -> T:
    sealed = cells.get(key, b"")
    if not sealed or _checksum(key, sealed[4:]) != sealed[:4]:
        raise sound.damaged(PATH, f"{key} is {'not what was written' if sealed else 'missing'}")
    return wire.decode(sealed[4:], kind, _LIMITS)


def _row(cells: Cells, index: int) -> sound.Row:
    cell = cells.get(("entry", index), b"")
    if len(cell) < _ENTRY.size:
        raise sound.damaged(PATH, f"entry {index} is {'torn' if cell else 'missing'}")
    return (*_ENTRY.unpack_from(cell)[:3], cell[_ENTRY.size :], _ENTRY.unpack_from(cell)[3])


def _size(cell: bytes | None) -> int:
    return max(0, len(cell or b"") - _ENTRY.size)


def _read(cells: Cells) -> _Found:
    top, base = _unsealed(cells, _TOP, _Top), _unsealed(cells, _BASE, _Base)
    following = base.snapshot.index + 1
    indexes = sorted([key[1] for key in cells if key[0] == "entry" and type(key[1]) is int])
    rows = [_row(cells, index) for index in indexes if index >= following]
    entries = sound.entries_of(PATH, rows, following)
    end = entries[-1] if entries else base.snapshot
    first = indexes[0] if indexes else following
    held = Held(top.hard, base.snapshot, first, end.index, end.term)
    sound.check_held(PATH, held, entries)
    if base.snapshot.index:
        deque(sound.verified(PATH, base.snapshot, _slices(cells, base.area)), maxlen=0)
    return _Found(top.changes, base, held, entries)


def _slices(cells: Cells, area: int, first: int = 0) -> Iterator[bytes]:
    for number in count(first):
        piece = cells.get(("slice", area, number))
        if piece is None:
            return
        yield piece


def create_memory_store(
    disk: Disk,
    entropy: Entropy,
    mesh: bytes,
    node: NodeId,
    generation: Generation,
    settings: Settings = _NO_BALLAST,
    founds: bool = False,
    began: Snapshot | None = None,
    store: StoreId | None = None,
) -> MemoryStore:
    """`began` and `store` are for tests that begin in the middle: with several voters, and names they know."""
    if _IDENTITY in disk.cells:
        raise StoreExists(f"there is a store at {PATH} already", hint="open it, or set it aside", path=PATH)
    identity = Identity(mesh, node, store or StoreId(entropy.token(16)), generation)
    records: dict[Key, object] = {
        _FORMAT: FORMAT,
        _IDENTITY: identity,
        _TOP: _Top(1, HardState()),
        _BASE: _Base(0, began or sound.beginning(identity, founds)),
    }
    disk.commit({key: _sealed(key, record) for key, record in records.items()}, Mark(identity.store, 1))
    return MemoryStore(disk, mesh, node, settings)


def open_memory_store(disk: Disk, mesh: bytes, node: NodeId, settings: Settings = _NO_BALLAST) -> MemoryStore:
    check_there(disk)
    return MemoryStore(disk, mesh, node, settings)


def check_there(disk: Disk) -> None:
    if _IDENTITY not in disk.cells and disk.mark is not None:
        raise sound.rolled_back(PATH, "the file is gone, its mark is there")
    if _IDENTITY not in disk.cells:
        raise NoStore(f"there is no store at {PATH}", hint="this machine has to join a mesh first", path=PATH)


def look_back(disk: Disk, mesh: bytes, node: NodeId) -> Old:
    """At a store that was set aside."""
    identity = _unsealed(disk.cells, _IDENTITY, Identity)
    sound.check_identity(PATH, identity, mesh, node)
    found = _read(disk.cells)
    _check_mark(disk.mark, identity, found.changes)
    return Old(identity, found.base.snapshot, list(_slices(disk.cells, found.base.area)), found.entries)


def _check_mark(mark: Mark | None, identity: Identity, changes: int) -> None:
    if mark is None and changes <= 1:
        return  # its making was interrupted
    if mark is None or mark.store != identity.store or mark.changes > changes:
        raise sound.rolled_back(PATH, f"it holds {changes} changes, its mark says {mark}")


class MemoryHome(Home):
    def __init__(self, disk: Disk, entropy: Entropy, mesh: bytes, node: NodeId, generation: Generation) -> None:
        self._disk, self._entropy, self._mesh, self._node, self._generation = disk, entropy, mesh, node, generation

    def open(self) -> Store:
        return open_memory_store(self._disk, self._mesh, self._node)

    def create(self) -> Store:
        return create_memory_store(self._disk, self._entropy, self._mesh, self._node, self._generation)

    def set_aside(self, error: Damaged) -> Path:
        self._disk.set_aside()
        return PATH.with_name(f"{PATH.name}.aside-{len(self._disk.aside)}")

    def begin_anew(self) -> None:
        self._disk.begin_anew()
        self.create().close()

    def tails(self) -> list[str]:
        return list(self._disk.tails)

    def old(self, name: str) -> Old:
        return look_back(self._disk.olds[name], self._mesh, self._node)

    def handed_in(self, name: str, account: bytes) -> None:
        self._disk.handed_in(name, account)

    def others(self) -> tuple[NodeId, ...] | None:
        note = unsealed(self._disk.note or b"")
        return None if note is None else note.others


def make_newer(disk: Disk) -> None:
    """As if a newer version had written it."""
    disk.put({_FORMAT: _sealed(_FORMAT, FORMAT + 1)})


class MemoryStore(Store):
    def __init__(self, disk: Disk, mesh: bytes, node: NodeId, settings: Settings) -> None:
        self._disk, self._settings = disk, settings
        self._broken: StoreError | None = None
        if disk.owner is not None:
            raise InUse(f"{PATH} is used by another daemon", hint="stop that one first", path=PATH)
        if disk.read_only:
            raise ReadOnly(f"{PATH} cannot be written", hint="make it writable", path=PATH)
        if _unsealed(disk.cells, _FORMAT, int) > FORMAT:
            raise sound.newer(PATH, "its format")
        self._identity = _unsealed(disk.cells, _IDENTITY, Identity)
        sound.check_identity(PATH, self._identity, mesh, node)
        found = _read(disk.cells)
        self._changes, self._base, self._held = found.changes, found.base, found.held
        _check_mark(disk.mark, self._identity, self._changes)
        names = [key[1] for key in disk.cells if key[0] == "stage" and isinstance(key[1], bytes)]
        self._areas = {name: _unsealed(disk.cells, ("stage", name), int) for name in names}
        self._digests: dict[bytes, sound.Digest] = {}
        self._tail = sum([len(entry.data) for entry in found.entries])
        self._kept = self._weigh(range(found.held.first, found.base.snapshot.index + 1))
        disk.sync()  # what a start shows has to stay
        self._reserve()
        self._commit({})
        self._follow(voters(self._identity.member, self._base.snapshot, found.entries, self._held.hard.commit))
        self.unstage(OWN)
        self._fresh: _Found | None = found  # until the first change
        disk.owner = self

    @property
    def identity(self) -> Identity:
        return self._identity

    def adopt(self, lineage: Lineage) -> None:
        identity = sound.next_generation(self._identity, lineage)
        self._commit({_IDENTITY: _sealed(_IDENTITY, identity)})
        self._identity = identity

    def close(self) -> None:
        if self._disk.owner is self:
            self._disk.owner = None

    def _commit(self, changes: Changes, held: Held | None = None) -> None:
        if self._broken is not None:
            text = f"{PATH} is not written any more, because of an earlier error: {self._broken.message}"
            raise Broken(text, hint="start the daemon again", path=PATH)
        after = self._held if held is None else held
        changes[_TOP] = _sealed(_TOP, _Top(self._changes + 1, after.hard))
        try:
            self._disk.commit(changes, Mark(self._identity.store, self._changes + 1))
        except StoreError as error:
            self._broken = error
            raise
        self._held = after
        self._changes += 1
        self._fresh = None

    def sync(self) -> None:
        """Of a lazy disk: what was written is there for good, or nothing is written any more."""
        if not self._disk.unsynced:
            return
        try:
            self._disk.sync()
        except StoreError as error:
            self._broken = error
            raise

    # -- the log

    def load(self) -> Loaded:
        found, self._fresh = self._fresh or _read(self._disk.cells), None
        return Loaded(found.held.hard, found.held.snapshot, found.entries, found.held.first)

    def entries(self, first: int, last: int) -> list[LogEntry]:
        first, last = max(first, self._held.first), min(last, self._held.last)
        rows = [_row(self._disk.cells, index) for index in range(first, last + 1)]
        return sound.entries_of(PATH, rows, first)

    def write(self, write: Write) -> None:
        change, before = sound.change(self._held, write, self._seen), self._held
        cut = range(max(change.cut_from, before.first), before.last + 1)
        changes: Changes = {("entry", index): None for index in cut}
        for index, term, kind, data, checksum in sound.rows(change.entries):
            changes["entry", index] = _ENTRY.pack(index, term, kind, checksum) + data
        base = self._base
        if write.snapshot is not None:
            sound.check_staged(self.staged(write.snapshot.digest), write.snapshot)
            base = self._use(write.snapshot, write.snapshot.digest, changes)
        gone, now = self._weigh(cut), self._voters.after(write)
        if now is not self._voters and now.note is None:
            self._disk.put_note(None)
        self._commit(changes, change.held)
        self._base = base
        if now is not self._voters:
            self._follow(now)
        self._tail += sum([len(entry.data) for entry in change.entries]) - gone
        if write.snapshot is not None:
            self._tail, self._kept = sum([len(entry.data) for entry in change.entries]), 0

    def _follow(self, now: Voters) -> None:
        self._voters = now
        self._disk.put_note(None if now.note is None else sealed(now.note))

    def _weigh(self, indexes: Iterable[int]) -> int:
        return sum([_size(self._disk.cells.get(("entry", index))) for index in indexes])

    def _seen(self, index: int) -> tuple[int, int] | None:
        if ("entry", index) not in self._disk.cells:
            return None
        row = _row(self._disk.cells, index)
        return row[1], row[4]

    # -- snapshots

    def stage(self, name: bytes, first: int, slices: Sequence[bytes]) -> Staged:
        digest = self._digest(name)
        there = digest.slices
        if first > there:
            raise ImpossibleWrite(f"slices from {first} on, but {there} are staged")
        area = self._areas.get(name) or max((self._base.area, *self._areas.values())) + 1
        changes: Changes = {("stage", name): _sealed(("stage", name), area)}
        for number, piece in enumerate(slices[there - first :], there):
            changes["slice", area, number] = piece
        self._commit(changes)
        self._areas[name], self._digests[name] = area, digest
        for piece in slices[there - first :]:
            digest.add(piece)
        return digest.now

    def staged(self, name: bytes) -> Staged:
        return self._digest(name).now

    def _digest(self, name: bytes) -> sound.Digest:
        """After a restart read once from what is there."""
        if name not in self._areas:
            return sound.Digest()
        if name not in self._digests:
            digest = self._digests[name] = sound.Digest()
            for piece in _slices(self._disk.cells, self._areas[name]):
                digest.add(piece)
        return self._digests[name]

    def staging(self) -> frozenset[bytes]:
        return frozenset(self._areas)

    def staged_slices(self, name: bytes) -> Iterator[bytes]:
        return _slices(self._disk.cells, self._areas.get(name, -1))

    def unstage(self, name: bytes) -> None:
        if name in self._areas:
            changes: Changes = {("stage", name): None}
            self._drop(self._areas.pop(name), changes)
            self._digests.pop(name, None)
            self._commit(changes)

    def _drop(self, area: int, changes: Changes) -> None:
        for number in count():
            if ("slice", area, number) not in self._disk.cells:
                return
            changes["slice", area, number] = None

    def save_snapshot(self, snapshot: Snapshot, keep_from: int, slices: Iterable[bytes] = ()) -> None:
        held = sound.compacted(self._held, snapshot, keep_from, self._seen)
        for piece in slices:
            self.stage(OWN, self.staged(OWN).slices, (piece,))
        try:
            sound.check_staged(self.staged(OWN), snapshot)
        except ImpossibleWrite:
            self.unstage(OWN)
            raise
        dropped = range(self._held.first, held.first)
        changes: Changes = {("entry", index): None for index in dropped}
        base = self._use(snapshot, OWN, changes)
        covered = self._weigh(range(self._base.snapshot.index + 1, snapshot.index + 1))
        gone = self._weigh(dropped)
        self._commit(changes, held)
        self._base = base
        self._tail, self._kept = self._tail - covered, self._kept + covered - gone
        self._follow(self._voters.compacted(snapshot))
        self._reserve()

    def _use(self, snapshot: Snapshot, name: bytes, changes: Changes) -> _Base:
        base = _Base(self._areas.pop(name), snapshot)
        self._digests.pop(name, None)
        self._drop(self._base.area, changes)
        changes["stage", name] = None
        changes[_BASE] = _sealed(_BASE, base)
        return base

    def snapshot_slices(self, digest: bytes, first: int = 0) -> Iterator[bytes]:
        self._check_current(digest)
        pieces = self._pieces(self._base, first)
        return pieces if first else sound.verified(PATH, self._base.snapshot, pieces)

    def _pieces(self, base: _Base, first: int) -> Iterator[bytes]:
        yield from _slices(self._disk.cells, base.area, first)
        self._check_current(base.snapshot.digest)

    def _check_current(self, digest: bytes) -> None:
        if not self._base.snapshot.index or self._base.snapshot.digest != digest:
            text = f"snapshot {digest.hex()[:12]} is not the current one"
            raise SnapshotGone(text, hint="ask for the newest", path=PATH)

    # -- segments

    def put_segment(self, digest: bytes, data: bytes) -> None:
        if sha256(data).digest() != digest:
            raise ImpossibleWrite(f"these are not the bytes of segment {digest.hex()[:12]}")
        if not self.has_segment(digest):
            self._commit({("segment", digest): data})

    def segment(self, digest: bytes) -> bytes | None:
        data = self._disk.cells.get(("segment", digest))
        if data is not None and sha256(data).digest() != digest:
            text = f"segment {digest.hex()[:12]} in {PATH} is not what was written"
            raise DamagedSegment(text, hint="drop it and fetch it from another replica", path=PATH)
        return data

    def has_segment(self, digest: bytes) -> bool:
        return ("segment", digest) in self._disk.cells

    def drop_segment(self, digest: bytes) -> None:
        self._commit({("segment", digest): None})

    def segments(self) -> frozenset[bytes]:
        return frozenset(key[1] for key in self._disk.cells if key[0] == "segment" and type(key[1]) is bytes)

    # -- room

    def room(self) -> Room:
        size = self._base.snapshot.size
        return Room(self._free, self._settings.guard, self._disk.ballast, self._tail, self._kept, size)

    @property
    def _free(self) -> int:
        return _PLENTY if self._disk.room is None else self._disk.room - self._disk.used

    def _reserve(self) -> None:
        guard, wanted = self._settings.guard, self._settings.ballast
        if self._free < min(guard, wanted):
            self._disk.ballast = 0
        elif self._disk.ballast != wanted and self._free - wanted >= guard:
            self._disk.ballast = wanted

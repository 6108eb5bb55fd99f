"""A store on a disk in memory: the fake side of `odyssey.mesh.store`.

Each cell of the disk carries a checksum of its own.

Promises: the rules are those of the real store, so a simulation meets the same refusals and the same damage.
Never: waits, or touches a real file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import count
from typing import Final, TypeVar
from zlib import crc32

import msgspec

from odyssey import wire
from odyssey.clock import Entropy
from odyssey.ids import NodeId
from odyssey.mesh import sound
from odyssey.mesh.raft.types import HardState, LogEntry, Snapshot, StoreId, Write
from odyssey.mesh.sound import Held
from odyssey.mesh.store import (
    OWN,
    Broken,
    DamagedSegment,
    Generation,
    Identity,
    ImpossibleWrite,
    InUse,
    Loaded,
    NoStore,
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
_NO_BALLAST: Final = Settings(guard=0, ballast=0)
_PLENTY: Final = 1 << 40


# -- the store ---------------------------------------------------------------------------------------------------------


class _Top(msgspec.Struct, frozen=True, array_like=True):
    changes: int
    hard: HardState


class _Base(msgspec.Struct, frozen=True, array_like=True):
    area: int
    snapshot: Snapshot


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


def create_memory_store(
    disk: Disk,
    entropy: Entropy,
    mesh: bytes,
    node: NodeId,
    generation: Generation,
    settings: Settings = _NO_BALLAST,
    founds: bool = False,
) -> MemoryStore:
    if _IDENTITY in disk.cells:
        raise StoreExists(f"there is a store at {PATH} already", hint="open it, or set it aside", path=PATH)
    identity = Identity(mesh, node, StoreId(entropy.token(16)), generation)
    records: dict[Key, object] = {
        _FORMAT: FORMAT,
        _IDENTITY: identity,
        _TOP: _Top(1, HardState()),
        _BASE: _Base(0, sound.beginning(identity, founds)),
    }
    disk.commit({key: _sealed(key, record) for key, record in records.items()}, Mark(identity.store, 1))
    return MemoryStore(disk, mesh, node, settings)


def open_memory_store(disk: Disk, mesh: bytes, node: NodeId, settings: Settings = _NO_BALLAST) -> MemoryStore:
    if _IDENTITY not in disk.cells:
        raise NoStore(f"there is no store at {PATH}", hint="this machine has to join a mesh first", path=PATH)
    return MemoryStore(disk, mesh, node, settings)


def make_newer(disk: Disk) -> None:
    """As if a newer version had written it."""
    disk.cells[_FORMAT] = _sealed(_FORMAT, FORMAT + 1)


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
        self._changes = _unsealed(disk.cells, _TOP, _Top).changes
        self._check_mark()
        self._held = self.load_held()[0]
        self._base = _unsealed(disk.cells, _BASE, _Base)
        names = [key[1] for key in disk.cells if key[0] == "stage"]
        self._areas = {name: _unsealed(disk.cells, ("stage", name), int) for name in names}
        disk.sync()  # what a start shows has to stay
        self._reserve()
        self._commit({})
        self.unstage(OWN)
        self._weigh()
        disk.owner = self

    def _check_mark(self) -> None:
        mark = self._disk.mark
        if mark is None and self._changes <= 1:
            return  # its making was interrupted
        if mark is None or mark.store != self._identity.store or mark.changes > self._changes:
            raise sound.rolled_back(PATH, f"it holds {self._changes} changes, its mark says {mark}")

    @property
    def identity(self) -> Identity:
        return self._identity

    def adopt(self, generation: Generation) -> None:
        identity = sound.next_generation(self._identity, generation)
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

    # -- the log

    def load(self) -> Loaded:
        held, entries = self.load_held()
        return Loaded(held.hard, held.snapshot, entries, held.first)

    def load_held(self) -> tuple[Held, list[LogEntry]]:
        cells = self._disk.cells
        snapshot = _unsealed(cells, _BASE, _Base).snapshot
        indexes = sorted(key[1] for key in cells if key[0] == "entry" and type(key[1]) is int)
        following = [index for index in indexes if index > snapshot.index]
        entries = self._entries(following, snapshot.index + 1)
        end = entries[-1] if entries else snapshot
        first = indexes[0] if indexes else snapshot.index + 1
        held = Held(_unsealed(cells, _TOP, _Top).hard, snapshot, first, end.index, end.term)
        sound.check_held(PATH, held, entries)
        if snapshot.index:
            area = _unsealed(cells, _BASE, _Base).area
            deque(sound.verified(PATH, snapshot, self._slices(area)), maxlen=0)
        return held, entries

    def _entries(self, indexes: Iterable[int], expected: int) -> list[LogEntry]:
        found = [_unsealed(self._disk.cells, ("entry", index), LogEntry) for index in indexes]
        return sound.entries_of(PATH, sound.rows(found), expected)

    def entries(self, first: int, last: int) -> list[LogEntry]:
        first, last = max(first, self._held.first), min(last, self._held.last)
        return self._entries(range(first, last + 1), first)

    def write(self, write: Write) -> None:
        change = sound.change(self._held, write, self._seen)
        first, last = max(change.cut_from, self._held.first), self._held.last
        changes: Changes = {("entry", index): None for index in range(first, last + 1)}
        changes |= {("entry", entry.index): _sealed(("entry", entry.index), entry) for entry in change.entries}
        base = self._base
        if write.snapshot is not None:
            sound.check_staged(self.staged(write.snapshot.digest), write.snapshot)
            base = self._use(write.snapshot, write.snapshot.digest, changes)
        cuts = change.cut_from <= last
        self._commit(changes, change.held)
        self._base = base
        self._tail += sum(len(entry.data) for entry in change.entries)
        if cuts or write.snapshot is not None:
            self._weigh()

    def _seen(self, index: int) -> tuple[int, int] | None:
        if ("entry", index) not in self._disk.cells:
            return None
        entry = _unsealed(self._disk.cells, ("entry", index), LogEntry)
        return entry.term, sound.rows((entry,))[0][4]

    # -- snapshots

    def stage(self, name: bytes, first: int, slices: Sequence[bytes]) -> Staged:
        there = self.staged(name).slices
        if first > there:
            raise ImpossibleWrite(f"slices from {first} on, but {there} are staged")
        area = self._areas.get(name) or max((self._base.area, *self._areas.values())) + 1
        changes: Changes = {("stage", name): _sealed(("stage", name), area)}
        for number, piece in enumerate(slices[there - first :], there):
            changes["slice", area, number] = _sealed(("slice", area, number), piece)
        self._commit(changes)
        self._areas[name] = area
        return self.staged(name)

    def staged(self, name: bytes) -> Staged:
        return sound.digest_of(self._slices(self._areas.get(name, -1)))

    def _slices(self, area: int, first: int = 0) -> Iterator[bytes]:
        for number in count(first):
            if ("slice", area, number) not in self._disk.cells:
                return
            yield _unsealed(self._disk.cells, ("slice", area, number), bytes)

    def unstage(self, name: bytes) -> None:
        if name in self._areas:
            changes: Changes = {("stage", name): None}
            self._drop(self._areas.pop(name), changes)
            self._commit(changes)

    def _drop(self, area: int, changes: Changes) -> None:
        changes.update((key, None) for key in self._disk.cells if key[:2] == ("slice", area))

    def save_snapshot(self, snapshot: Snapshot, keep_from: int, slices: Iterable[bytes] = ()) -> None:
        held = sound.compacted(self._held, snapshot, keep_from, self._seen)
        for piece in slices:
            self.stage(OWN, self.staged(OWN).slices, (piece,))
        try:
            sound.check_staged(self.staged(OWN), snapshot)
        except ImpossibleWrite:
            self.unstage(OWN)
            raise
        changes: Changes = {("entry", index): None for index in range(self._held.first, held.first)}
        base = self._use(snapshot, OWN, changes)
        self._commit(changes, held)
        self._base = base
        self._weigh()
        self._reserve()

    def _use(self, snapshot: Snapshot, name: bytes, changes: Changes) -> _Base:
        base = _Base(self._areas.pop(name), snapshot)
        self._drop(self._base.area, changes)
        changes["stage", name] = None
        changes[_BASE] = _sealed(_BASE, base)
        return base

    def snapshot_slices(self, digest: bytes, first: int = 0) -> Iterator[bytes]:
        self._check_current(digest)
        pieces = self._pieces(self._base, first)
        return pieces if first else sound.verified(PATH, self._base.snapshot, pieces)

    def _pieces(self, base: _Base, first: int) -> Iterator[bytes]:
        yield from self._slices(base.area, first)
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

    def _weigh(self) -> None:
        held = self._held
        sizes = {entry.index: len(entry.data) for entry in self.entries(held.first, held.last)}
        self._tail = sum(size for index, size in sizes.items() if index > held.snapshot.index)
        self._kept = sum(sizes.values()) - self._tail

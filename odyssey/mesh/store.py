"""What a replica keeps on its disk, as a port: identity, hard state, log, snapshot, and segments of history.

Calls are synchronous and all made from one thread. What changes something is durable when it returns, and happens as a
whole or not at all. A snapshot is a sequence of slices; its digest is the SHA-256 over each slice's length (4 bytes,
big-endian) and bytes, the same by which replicas compare their states.

Promises: `load` gives what was written last, or one `StoreError` that says what is wrong and what would help. After an
error of the disk nothing more is written by this store: it must be closed, and opened again.
Never: cuts, repairs or skips anything by itself. What is damaged is set aside by whoever uses the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from odyssey.errors import Fault, OdysseyError, Remedy
from odyssey.ids import NodeId
from odyssey.mesh.generation import Charter, Lineage
from odyssey.mesh.generation import Generation as Generation
from odyssey.mesh.raft.types import HardState, LogEntry, Member, Snapshot, StoreId, Write

MIB: Final = 1 << 20
OWN: Final = b"own"  # the name under which slices of a snapshot of one's own are staged: its digest comes last


class Identity(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Whose store it is. The store id is made with the store and never again, so an emptied one is another member."""

    mesh: bytes
    node: NodeId
    store: StoreId
    generation: Generation
    charters: tuple[Charter, ...] = ()  # how it and those before it began; none of the first

    @property
    def lineage(self) -> Lineage:
        root = self.charters[0].parent if self.charters else self.generation
        return Lineage(self.mesh, root, self.charters)

    @property
    def member(self) -> Member:
        return Member(self.node, self.store)


class Loaded(NamedTuple):
    hard: HardState
    snapshot: Snapshot  # the empty one, if none was ever saved
    entries: list[LogEntry]  # all that follow the snapshot
    kept_from: int  # the oldest index that `entries` of the store can still give; last + 1 if there is none


class Staged(NamedTuple):
    """Slices that wait to become a snapshot. Complete when the digest is the wanted one."""

    slices: int
    size: int
    digest: bytes


class Room(NamedTuple):
    free: int  # bytes on the disk
    guard: int  # below so many the daemon takes no new jobs
    ballast: int  # bytes that can be given back when the disk is full; 0 when they were
    tail: int  # bytes of entries after the snapshot: a reason to make the next one
    kept: int  # bytes of older entries, for replicas that lag
    snapshot: int

    @property
    def low(self) -> bool:
        return self.free < self.guard


class Settings(NamedTuple):
    guard: int = 256 * MIB
    ballast: int = 32 * MIB


class Old(NamedTuple):
    """What a store held that was set aside: looked at, never changed."""

    identity: Identity
    snapshot: Snapshot
    slices: Sequence[bytes]  # of the snapshot
    entries: Sequence[LogEntry]  # all that follow it


class Store(Protocol):
    @property
    def identity(self) -> Identity: ...

    def load(self) -> Loaded: ...

    def write(self, write: Write) -> None:
        """Entries replace everything from the first one's index on. With a snapshot, which must be staged under its
        digest, they are all that follows it, and all of the log goes. How far is committed never goes back."""
        ...

    def entries(self, first: int, last: int) -> list[LogEntry]:
        """Those of them that are held, also older ones than the snapshot."""
        ...

    def adopt(self, lineage: Lineage) -> None:
        """This store belongs to the tip of a line from now on, which must be a descendant of the one before."""
        ...

    # -- snapshots

    def stage(self, name: bytes, first: int, slices: Sequence[bytes]) -> Staged:
        """Lay slices by, numbered from `first`; those already there are skipped. They outlive a restart under a digest
        as name, so a transfer can go on; under `OWN` they do not."""
        ...

    def staged(self, name: bytes) -> Staged: ...

    def staged_slices(self, name: bytes) -> Iterator[bytes]: ...

    def staging(self) -> frozenset[bytes]:
        """The names of all that is laid by."""
        ...

    def unstage(self, name: bytes) -> None: ...

    def save_snapshot(self, snapshot: Snapshot, keep_from: int, slices: Iterable[bytes] = ()) -> None:
        """A snapshot of one's own, from what is staged under `OWN` and then `slices`; if they are not its bytes, they
        are dropped. Only when it is durable older entries go too, some with each write: those before `keep_from`, but
        none that follow the snapshot."""
        ...

    def snapshot_slices(self, digest: bytes, first: int = 0) -> Iterator[bytes]:
        """From the first one on they are verified: a damaged snapshot raises before its last slice is given."""
        ...

    # -- segments: history that has left the state, known by the SHA-256 of their bytes

    def put_segment(self, digest: bytes, data: bytes) -> None: ...

    def segment(self, digest: bytes) -> bytes | None: ...

    def has_segment(self, digest: bytes) -> bool: ...

    def drop_segment(self, digest: bytes) -> None: ...

    def segments(self) -> frozenset[bytes]: ...

    # --

    def room(self) -> Room: ...

    def close(self) -> None: ...


# -- what can go wrong -------------------------------------------------------------------------------------------------


class StoreError(OdysseyError):
    """The disk of this machine, or what is on it. `path` is the file that is meant."""

    fault = Fault.MACHINE
    remedy = Remedy.FIX

    def __init__(self, message: str, *, hint: str, path: Path | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


class NoStore(StoreError):
    """Nothing is there yet."""


class StoreExists(StoreError):
    """One is there already."""


class Damaged(StoreError):
    """What was written is not what is there: a bad checksum, a missing entry, a broken file."""


class RolledBack(Damaged):
    """The file is older than its mark: a copy was put back, or its newest part was lost."""


class DamagedHistory(Damaged):
    """The file of segments; the log beside it is whole."""


class DamagedSegment(Damaged):
    """One segment of history; other replicas hold it too."""


class Foreign(StoreError):
    """Another mesh's or machine's store, or no store at all."""


class NewerFormat(StoreError):
    """Written by a newer version than this one."""


class ReadOnly(StoreError):
    """Nothing can be written there."""


class InUse(StoreError):
    """Another daemon has it."""


class DiskFull(StoreError):
    """Nothing was written. The ballast has been given back, so that opening again and compacting has room."""


class Broken(StoreError):
    """The disk refused once. Whether that write is there shows only after opening again; nothing is tried twice."""


class SnapshotGone(StoreError):
    """A newer one has taken its place."""

    remedy = Remedy.RETRY


class ImpossibleWrite(OdysseyError):
    """What was asked would break a promise: lose a committed entry, take back a vote. Nothing was changed."""

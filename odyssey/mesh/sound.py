"""What may be written to a store, and what must be true of what is read: one set of rules for every kind of store.

Promises: what breaks a promise is refused before anything is changed; what is wrong in a file is `Damaged`, with the
first thing that is wrong.
Never: reads or writes by itself.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from odyssey.mesh.generation import Lineage, may_move
from odyssey.mesh.raft.types import Config, HardState, Kind, LogEntry, Snapshot, Write
from odyssey.mesh.store import (
    Damaged,
    Foreign,
    Identity,
    ImpossibleWrite,
    NewerFormat,
    RolledBack,
    Staged,
)

Seen = Callable[[int], tuple[int, int] | None]  # term and checksum of the entry at an index
Row = tuple[int, int, int, bytes, int]  # index, term, kind, data, checksum

_HEAD: Final = struct.Struct(">QQB")
_KINDS: Final = tuple(Kind)
_REJOIN: Final = "set it aside and let this machine rejoin: what its mesh has agreed on is not lost with it"


def damaged(path: Path, what: str) -> Damaged:
    return Damaged(f"{path} is damaged: {what}", hint=_REJOIN, path=path)


# -- entries -----------------------------------------------------------------------------------------------------------


def rows(entries: Iterable[LogEntry]) -> list[Row]:
    pack = _HEAD.pack
    return [
        (e.index, e.term, kind, e.data, crc32(e.data, crc32(pack(e.index, e.term, kind))))
        for e in entries
        for kind in (int(e.kind),)
    ]


def entries_of(path: Path, found: Iterable[Row], expected: int | None = None) -> list[LogEntry]:
    """Checked one by one: consecutive, from `expected` on, each as it was written."""
    entries: list[LogEntry] = []
    pack = _HEAD.pack
    for index, term, kind, data, checksum in found:
        if expected is not None and index != expected:
            raise damaged(path, f"entry {expected} is missing, the next is {index}")
        try:
            sound = crc32(data, crc32(pack(index, term, kind))) == checksum
        except (struct.error, TypeError):
            sound = False
        if not sound:
            raise damaged(path, f"entry {index} is not what was written")
        if kind >= len(_KINDS):
            raise newer(path, f"entry {index} is of kind {kind}")
        entries.append(LogEntry(index, term, _KINDS[kind], data))
        expected = index + 1
    return entries


# -- slices ------------------------------------------------------------------------------------------------------------


class Digest:
    """The hash of a sequence of slices, as they come."""

    def __init__(self) -> None:
        self._hash = sha256()
        self.slices = self.size = 0

    def add(self, piece: bytes) -> None:
        self._hash.update(len(piece).to_bytes(4, "big"))
        self._hash.update(piece)
        self.slices += 1
        self.size += len(piece)

    @property
    def now(self) -> Staged:
        return Staged(self.slices, self.size, self._hash.digest())


def digest_of(slices: Iterable[bytes]) -> Staged:
    digest = Digest()
    for piece in slices:
        digest.add(piece)
    return digest.now


def verified(path: Path, snapshot: Snapshot, slices: Iterable[bytes]) -> Iterator[bytes]:
    """The last slice is given only when all of them together are what they should be."""
    digest = Digest()
    last: bytes | None = None
    for piece in slices:
        if last is not None:
            yield last
        digest.add(piece)
        last = piece
    if (digest.now.digest, digest.size) != (snapshot.digest, snapshot.size):
        raise damaged(path, f"the snapshot up to entry {snapshot.index} is not what was written")
    if last is not None:
        yield last


# -- changes -----------------------------------------------------------------------------------------------------------


class Held(NamedTuple):
    """What a store holds, but for the bytes: entries `first` to `last`, none if `first` is the larger one."""

    hard: HardState
    snapshot: Snapshot
    first: int
    last: int
    last_term: int


class Change(NamedTuple):
    """What a write comes down to."""

    held: Held  # afterwards
    cut_from: int  # entries from here on go
    entries: tuple[LogEntry, ...]  # then these come


def change(held: Held, write: Write, seen: Seen) -> Change:
    committed = held.hard.commit
    now = held._replace(hard=_next_hard(held.hard, write.hard))
    if write.snapshot is not None:
        now = _installed(now, write.snapshot, committed, seen)
    cut_from, entries = now.last + 1, write.entries
    if entries:
        _check_entries(now, entries, seen)
        known = _known(entries, committed, seen)
        now = now._replace(last=entries[-1].index, last_term=entries[-1].term)
        cut_from, entries = entries[0].index + known, entries[known:]
    if write.snapshot is not None:
        cut_from, entries = 0, write.entries
    if not now.snapshot.index <= now.hard.commit <= now.last:
        raise ImpossibleWrite(f"commit {now.hard.commit} with a log from {now.snapshot.index} to {now.last}")
    return Change(now, cut_from, entries)


def _next_hard(old: HardState, new: HardState) -> HardState:
    """Terms and votes are as they are told; how far is committed may be told late, so it only grows."""
    if new.term < old.term or (new.term == old.term and old.vote not in (None, new.vote)):
        raise ImpossibleWrite(f"term {new.term} with its vote after term {old.term} with another")
    return new if new.commit >= old.commit else HardState(new.term, new.vote, old.commit)


def _installed(held: Held, snapshot: Snapshot, committed: int, seen: Seen) -> Held:
    if snapshot.index <= held.snapshot.index:
        raise ImpossibleWrite(f"a snapshot up to {snapshot.index} over one up to {held.snapshot.index}")
    if snapshot.index <= committed and _term(seen(snapshot.index)) != snapshot.term:
        raise ImpossibleWrite(f"a snapshot of another entry {snapshot.index}, but that is committed")
    return Held(held.hard, snapshot, snapshot.index + 1, snapshot.index, snapshot.term)


def _check_entries(held: Held, entries: tuple[LogEntry, ...], seen: Seen) -> None:
    start = entries[0].index
    if not held.snapshot.index < start <= held.last + 1:
        raise ImpossibleWrite(f"entries from {start} on do not follow {held.snapshot.index} to {held.last}")
    if [entry.index for entry in entries] != list(range(start, start + len(entries))):
        raise ImpossibleWrite(f"the entries from {start} on are not consecutive")
    terms = [_term_before(held, start, seen), *[entry.term for entry in entries], held.hard.term]
    if terms != sorted(terms):
        raise ImpossibleWrite(f"the terms of the entries from {start} on go back, or ahead of term {held.hard.term}")


def _term_before(held: Held, start: int, seen: Seen) -> int:
    if start == held.last + 1:
        return held.last_term
    before = _term(seen(start - 1)) if start - 1 > held.snapshot.index else None
    return held.snapshot.term if before is None else before


def _term(seen: tuple[int, int] | None) -> int | None:
    return None if seen is None else seen[0]


def _known(entries: tuple[LogEntry, ...], committed: int, seen: Seen) -> int:
    """How many of them are committed here: they may be told again, but not otherwise."""
    known = [entry for entry in entries if entry.index <= committed] if entries[0].index <= committed else []
    for index, term, _, _, checksum in rows(known):
        if seen(index) != (term, checksum):
            raise ImpossibleWrite(f"another entry {index}, but it is committed")
    return len(known)


def compacted(held: Held, snapshot: Snapshot, keep_from: int, seen: Seen) -> Held:
    """After a snapshot of one's own: it covers entries that are held, and they were committed before it was made."""
    if snapshot.index <= held.snapshot.index or _term(seen(snapshot.index)) != snapshot.term:
        raise ImpossibleWrite(f"a snapshot up to {snapshot.index}, which this log does not hold")
    hard = held.hard
    if hard.commit < snapshot.index:
        hard = HardState(hard.term, hard.vote, snapshot.index)
    first = max(held.first, min(keep_from, snapshot.index + 1))
    return held._replace(hard=hard, snapshot=snapshot, first=first)


def beginning(identity: Identity, founds: bool) -> Snapshot:
    """What a log starts from before any snapshot: nothing, and the founder as the only voter."""
    return Snapshot(config=Config((identity.member,))) if founds else Snapshot()


def next_generation(identity: Identity, lineage: Lineage) -> Identity:
    if not may_move(identity.lineage, lineage):
        raise ImpossibleWrite(f"generation {lineage.tip.number} after {identity.generation.number}, not its child")
    return Identity(identity.mesh, identity.node, identity.store, lineage.tip, lineage.charters)


def check_staged(staged: Staged, snapshot: Snapshot) -> None:
    if not staged.slices or (staged.digest, staged.size) != (snapshot.digest, snapshot.size):
        raise ImpossibleWrite(
            f"of the snapshot up to {snapshot.index} {staged.size} of {snapshot.size} bytes are staged, or others"
        )


# -- what was read -----------------------------------------------------------------------------------------------------


def check_held(path: Path, held: Held, entries: list[LogEntry]) -> None:
    """`entries` are those after the snapshot."""
    hard, snapshot = held.hard, held.snapshot
    if hard.commit < snapshot.index:
        raise damaged(path, f"its hard state ends at {hard.commit}, its snapshot at {snapshot.index}")
    if hard.commit > held.last:
        raise damaged(path, f"entries {held.last + 1} to {hard.commit} are missing")
    terms = [snapshot.term, *(entry.term for entry in entries), hard.term]
    if terms != sorted(terms):
        raise damaged(path, f"the terms of its entries go back, or beyond term {hard.term} of its hard state")


def check_identity(path: Path, found: Identity, mesh: bytes, node: str) -> None:
    if found.mesh != mesh:
        whose = f"mesh {found.mesh.hex()[:12]}"
    elif found.node != node:
        whose = f"machine {found.node}"
    else:
        return
    hint = "give this daemon a home of its own, or set the file aside"
    raise Foreign(f"{path} belongs to {whose}", hint=hint, path=path)


def newer(path: Path, what: str) -> NewerFormat:
    return NewerFormat(f"{path} was written by a newer version: {what}", hint="upgrade Odyssey here", path=path)


def rolled_back(path: Path, what: str) -> RolledBack:
    hint = f"put its newest copy back if there is one, else {_REJOIN}"
    return RolledBack(f"{path} has gone back: {what}", hint=hint, path=path)

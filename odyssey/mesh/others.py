"""Whether other voters hold the log too: what must be known of a store when the store itself cannot be read any more.

A damaged store may be set aside, and its machine rejoin under a new store id, if what its mesh has agreed on lives
elsewhere. Only who votes alone must not: there is no other copy that counts. The damaged file cannot say which it was,
so a note beside it does, while it is sound. It is there only where others vote:

- It is taken back before an entry is written that leaves this member to vote alone. Such a change is committed by this
  disk and nothing else, so no such change can be in force that this store never held; a note that is there is true,
  however far behind the log is.
- It is put there only after the change that lets others vote is committed, since before that they may not have it.

A note that is missing, torn or another store's says nothing, and then this machine counts as alone.

Promises: errs to one side only: a start is refused that could have gone on, never the other way.
Never: reads or writes by itself.
"""

from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

import msgspec

from odyssey import wire
from odyssey.errors import WireError
from odyssey.ids import NodeId
from odyssey.mesh.raft.types import Config, Kind, LogEntry, Member, Snapshot, StoreId, Write


class Note(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    store: StoreId
    others: tuple[NodeId, ...]  # who votes; empty: nobody voted for anything here yet


def sealed(note: Note) -> bytes:
    data = wire.encode(note)
    return crc32(data).to_bytes(4, "big") + data


def unsealed(data: bytes) -> Note | None:
    if crc32(data[4:]).to_bytes(4, "big") != data[:4]:
        return None
    try:
        return wire.decode(data[4:], Note)
    except WireError:
        return None


class Voters(NamedTuple):
    """The configs that may be in force: the newest that is committed, and all that follow it. None: unreadable."""

    me: Member
    configs: tuple[tuple[int, Config | None], ...]

    @property
    def note(self) -> Note | None:
        """None where this member votes alone, or may do so soon."""
        if any(config is None or config.voters == (self.me,) for _, config in self.configs):
            return None
        config = self.configs[0][1]
        assert config is not None
        return Note(self.me.store, tuple(voter.node for voter in config.voters if voter != self.me))

    def after(self, write: Write) -> "Voters":
        entries = _configs(write.entries)
        if not entries and write.snapshot is None and len(self.configs) == 1:
            return self
        known = self.configs if write.snapshot is None else ((write.snapshot.index, write.snapshot.config),)
        if write.entries:
            known = tuple(one for one in known if one[0] < write.entries[0].index)
        return _since(self.me, (*known, *entries), write.hard.commit)

    def compacted(self, snapshot: Snapshot) -> "Voters":
        """After a snapshot of one's own: what it covers is committed."""
        return _since(self.me, self.configs, snapshot.index)


def voters(me: Member, snapshot: Snapshot, entries: Iterable[LogEntry], commit: int) -> Voters:
    return _since(me, ((snapshot.index, snapshot.config), *_configs(entries)), commit)


def _configs(entries: Iterable[LogEntry]) -> list[tuple[int, Config | None]]:
    return [(entry.index, _config(entry.data)) for entry in entries if entry.kind is Kind.CONFIG]


def _config(data: bytes) -> Config | None:
    try:
        return wire.decode(data, Config)
    except WireError:
        return None


def _since(me: Member, configs: tuple[tuple[int, Config | None], ...], commit: int) -> Voters:
    committed = [at for at, _ in configs if at <= commit]
    return Voters(me, tuple(one for one in configs if not committed or one[0] >= committed[-1]))

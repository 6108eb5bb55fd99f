"""The log of one member in memory: what follows its last snapshot, and how far it is on disk.

Promises: indexes are consecutive; what is committed is never cut.
Never: writes. It knows what must be written and hands it out once.
"""

from odyssey import wire
from odyssey.mesh.raft.types import Config, Kind, LogEntry, Snapshot


class CutsCommitted(Exception):
    """Somebody wants to replace an entry that is committed."""


class Log:
    __slots__ = ("_configs", "_entries", "commit", "handed", "snapshot", "stable")

    def __init__(self, snapshot: Snapshot, entries: list[LogEntry], commit: int) -> None:
        self.snapshot = snapshot
        self._entries = list(entries)
        self.commit = max(commit, snapshot.index)
        self.stable = self.last  # what is on disk
        self.handed = snapshot.index  # what was given out to be applied
        self._configs: list[tuple[int, Config]] = [(snapshot.index, snapshot.config)]
        for entry in self._entries:
            self._note_config(entry)

    @property
    def last(self) -> int:
        return self.snapshot.index + len(self._entries)

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self.snapshot.term

    @property
    def config(self) -> Config:
        """The newest in the log, committed or not: a change counts from the moment it is appended."""
        return self._configs[-1][1]

    @property
    def config_index(self) -> int:
        return self._configs[-1][0]

    def term(self, index: int) -> int | None:
        """The term of an entry; None when it is not held here."""
        position = index - self.snapshot.index - 1
        if position == -1:
            return self.snapshot.term
        return self._entries[position].term if 0 <= position < len(self._entries) else None

    def since(self, index: int, most: int, room: int) -> tuple[LogEntry, ...]:
        """Entries from `index` on, at most so many and so many bytes, but one at least."""
        start = index - self.snapshot.index - 1
        taken: list[LogEntry] = []
        for entry in self._entries[start : start + most]:
            room -= len(entry.data)
            if taken and room < 0:
                break
            taken.append(entry)
        return tuple(taken)

    def append(self, entry: LogEntry) -> None:
        if entry.index != self.last + 1:
            raise ValueError(f"entry {entry.index} cannot follow {self.last}")
        self._entries.append(entry)
        self._note_config(entry)

    def merge(self, entries: tuple[LogEntry, ...]) -> None:
        """Take over a leader's entries: equal ones stay, from the first that differs on all is replaced."""
        for position, entry in enumerate(entries):
            if entry.index <= self.last and self.term(entry.index) == entry.term:
                continue
            if entry.index <= self.snapshot.index:
                continue
            if entry.index <= self.last:
                self._cut(entry.index)
            for new in entries[position:]:
                self.append(new)
            return

    def _cut(self, index: int) -> None:
        if index <= self.commit:
            raise CutsCommitted(f"entry {index} is committed up to {self.commit}")
        del self._entries[index - self.snapshot.index - 1 :]
        self._configs = [known for known in self._configs if known[0] < index]
        self.stable = min(self.stable, index - 1)

    def _note_config(self, entry: LogEntry) -> None:
        if entry.kind is Kind.CONFIG:
            self._configs.append((entry.index, wire.decode(entry.data, Config)))

    # -- to disk, to be applied ----------------------------------------------------------------------------------------

    def unstable(self) -> tuple[LogEntry, ...]:
        return tuple(self._entries[self.stable - self.snapshot.index :])

    def written(self, last: LogEntry) -> None:
        """Entries up to this one are on disk; if they were cut meanwhile, others must still be written."""
        if self.term(last.index) == last.term:
            self.stable = max(self.stable, last.index)

    def hand_out(self, most: int) -> tuple[LogEntry, ...]:
        """Committed entries that are on this disk too, each once."""
        start = self.handed - self.snapshot.index
        stop = min(self.commit, self.stable) - self.snapshot.index
        taken = tuple(self._entries[start : min(stop, start + most)])
        self.handed += len(taken)
        return taken

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def compact(self, snapshot: Snapshot) -> None:
        """Forget what a snapshot of one's own covers. What stays is on disk as before."""
        term = self.term(snapshot.index)
        if snapshot.index > self.handed or term is None:
            return
        del self._entries[: snapshot.index - self.snapshot.index]
        self._rebase(snapshot)

    def install(self, snapshot: Snapshot) -> None:
        """Start over from a leader's snapshot; entries that follow it stay if they belong to it."""
        if self.term(snapshot.index) == snapshot.term:
            del self._entries[: snapshot.index - self.snapshot.index]
        else:
            self._entries.clear()
            self.stable = snapshot.index
        self._rebase(snapshot)
        self.stable = max(self.stable, snapshot.index)
        self.commit = max(self.commit, snapshot.index)
        self.handed = max(self.handed, snapshot.index)

    def _rebase(self, snapshot: Snapshot) -> None:
        self._configs = [(snapshot.index, snapshot.config), *(c for c in self._configs if c[0] > snapshot.index)]
        if not self._entries:
            self._configs = self._configs[:1]
        self.snapshot = snapshot

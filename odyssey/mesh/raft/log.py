"""The log of one member in memory: what follows its last snapshot, and how far it is on disk.

Some entries before the snapshot may be kept, for members that lag: they are sent on, and nothing else.

Promises: indexes are consecutive; what is committed is never cut; a config counts as soon and as long as its entry is
there.
Never: writes. It knows what must be written and hands it out.
"""

from collections.abc import Iterator, Sequence

from odyssey import wire
from odyssey.mesh.raft.types import Config, Kind, LogEntry, Snapshot


class CutsCommitted(Exception):
    """A leader has something else where we know what is committed: its log has gone back."""


class Log:
    __slots__ = ("_configs", "_entries", "_first", "commit", "handed", "last", "snapshot", "stable")

    def __init__(self, snapshot: Snapshot, entries: Sequence[LogEntry], commit: int) -> None:
        self.snapshot = snapshot
        self._entries: list[LogEntry] = []
        self._first = snapshot.index + 1  # index of the first one held, or of the next one
        self.last = snapshot.index
        self._configs = [(snapshot.index, snapshot.config)]
        self.commit = max(commit, snapshot.index)
        self._put(entries)
        self.stable = self.last  # what is on disk
        self.handed = snapshot.index  # what was given out to be applied
        if self.commit > self.last:
            raise ValueError(f"the log ends at {self.last}, but {self.commit} entries were committed")

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self.snapshot.term

    @property
    def config(self) -> Config:
        """The newest in the log, committed or not."""
        return self._configs[-1][1]

    @property
    def config_index(self) -> int:
        return self._configs[-1][0]

    def config_at(self, index: int) -> Config:
        """The one a snapshot of this index must carry."""
        return [config for at, config in self._configs if at <= index][-1]

    def term(self, index: int) -> int | None:
        """The term of an entry; None when it is not held here."""
        if index == self.snapshot.index:
            return self.snapshot.term
        position = index - self._first
        return self._entries[position].term if 0 <= position < len(self._entries) else None

    def since(self, index: int, most: int, room: int) -> tuple[LogEntry, ...]:
        """Entries from `index` on, at most so many and so many bytes, but one at least."""
        start = index - self._first
        taken: list[LogEntry] = []
        for entry in self._entries[start : start + most]:
            room -= len(entry.data)
            if taken and room < 0:
                break
            taken.append(entry)
        return tuple(taken)

    def sizes_back(self, index: int) -> Iterator[int]:
        """Of the entry there and those before it, as far as they are held."""
        return (len(self._entries[position].data) for position in range(index - self._first, -1, -1))

    def append(self, entry: LogEntry) -> None:
        self._put((entry,))

    def _put(self, entries: Sequence[LogEntry]) -> None:
        """These, and nothing else from the first one's index on. Who cannot read one of them changes nothing."""
        if not entries:
            return
        first, last = entries[0].index, entries[-1].index
        if first > self.last + 1 or last != first + len(entries) - 1:
            raise ValueError(f"entries {first} to {last} cannot follow {self.last}")
        configs = [(new.index, wire.decode(new.data, Config)) for new in entries if new.kind is Kind.CONFIG]
        if first <= self.last:
            self._cut(first)
        self._entries += entries
        self._configs += configs
        self.last = last

    def commit_to(self, index: int) -> None:
        if index > self.commit:
            self.commit = index

    # -- following a leader --------------------------------------------------------------------------------------------

    def merge(self, prev_index: int, prev_term: int, entries: Sequence[LogEntry]) -> int | None:
        """Take over a leader's entries: equal ones stay, from the first that differs on all is replaced.

        Gives the last index that is surely equal, or None if the entries do not fit on what is here. What a snapshot
        covers is committed, and every leader holds what is committed.
        """
        if prev_index >= self.snapshot.index and self.term(prev_index) != prev_term:
            if prev_index <= self.commit:
                raise CutsCommitted(f"entry {prev_index} is committed, and not of term {prev_term}")
            return None
        for position, entry in enumerate(entries):
            if entry.index < self.snapshot.index or self.term(entry.index) == entry.term:
                continue
            self._put(entries[position:])
            break
        return max(prev_index + len(entries), self.commit)

    def hint(self, prev_index: int, prev_term: int) -> int:
        """What a leader may try instead of `prev_index`: before all of our term that did not fit.

        So a long tail of another term costs one round, not one for each entry; at worst some entries come twice.
        """
        other = self.term(prev_index)
        hint = min(prev_index - 1, self.last)
        while hint > self.commit and ((term := self.term(hint) or 0) > prev_term or term == other):
            hint -= 1
        return hint

    def _cut(self, index: int) -> None:
        if index <= self.commit:
            raise CutsCommitted(f"entry {index} is committed up to {self.commit}")
        del self._entries[index - self._first :]
        self.last = index - 1
        self._configs = [known for known in self._configs if known[0] < index]
        self.stable = min(self.stable, index - 1)

    # -- to disk, to be applied ----------------------------------------------------------------------------------------

    def all(self) -> tuple[LogEntry, ...]:
        """What follows the snapshot."""
        return tuple(self._entries[self.snapshot.index + 1 - self._first :])

    def unstable(self) -> tuple[LogEntry, ...]:
        return tuple(self._entries[self.stable + 1 - self._first :])

    def written(self, last: LogEntry) -> None:
        """Entries up to this one are on disk; if they were cut meanwhile, others must still be written."""
        if self.term(last.index) == last.term:
            self.stable = max(self.stable, last.index)

    def hand_out(self, most: int) -> tuple[LogEntry, ...]:
        """Committed entries that are on this disk too, each once."""
        stop = min(self.commit, self.stable)
        if stop <= self.handed:
            return ()
        start = self.handed + 1 - self._first
        taken = tuple(self._entries[start : min(stop + 1 - self._first, start + most)])
        self.handed += len(taken)
        return taken

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def compact(self, snapshot: Snapshot, keep_from: int | None = None) -> None:
        """Forget what a snapshot of one's own covers, but not what is kept. What stays is on disk as before."""
        if not self.snapshot.index < snapshot.index <= self.handed:
            return
        if (snapshot.term, snapshot.config) != (self.term(snapshot.index), self.config_at(snapshot.index)):
            raise ValueError(f"the snapshot does not carry the term and config of entry {snapshot.index}")
        following = snapshot.index + 1
        self._begin_at(snapshot, following if keep_from is None else min(keep_from, following))

    def install(self, snapshot: Snapshot) -> None:
        """Start over from a leader's snapshot; entries that follow it stay if they belong to it.

        On disk may be another branch, so all that stays counts as not written yet.
        """
        if self.term(snapshot.index) != snapshot.term:
            self._entries.clear()
            self._configs.clear()
            self._first, self.last = snapshot.index + 1, snapshot.index
        self._begin_at(snapshot, snapshot.index + 1)
        self.stable = self.commit = self.handed = snapshot.index

    def _begin_at(self, snapshot: Snapshot, first: int) -> None:
        del self._entries[: max(0, first - self._first)]
        self._first = max(self._first, first)
        self._configs = [(snapshot.index, snapshot.config), *(c for c in self._configs if c[0] > snapshot.index)]
        self.snapshot = snapshot

"""One machine in memory: a core, the disk that survives its crashes, and a state that is a list of words.

Promises: a disk that refuses what would break a promise made before.
Never: sends. The cluster carries what the core wants to say.
"""

from __future__ import annotations

from odyssey import wire
from odyssey.clock import Entropy
from odyssey.ids import NodeId
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.log import Log
from odyssey.mesh.raft.types import Config, HardState, Kind, LogEntry, Member, Snapshot, StoreId, Write


def member(name: str) -> Member:
    """`2` is the machine 2 with its first store, `2'` the same machine with its second one."""
    return Member(NodeId(name.rstrip("'")), StoreId(name.encode()))


def name_of(one: Member) -> str:
    return one.store.decode()


def config(text: str) -> Config:
    """`1 2 3 | 4`: three voters and a learner."""
    voters, _, learners = text.partition("|")
    return Config(tuple(map(member, voters.split())), tuple(map(member, learners.split())))


def data_of(command: str) -> bytes:
    """`a*600000` stands for so many bytes."""
    text, _, times = command.partition("*")
    return (text * int(times or 1)).encode()


def command_of(data: bytes) -> str:
    text = data.decode()
    return text if len(text) < 100 else f"{text[0]}*{len(text)}"


class Disk:
    def __init__(self, snapshot: Snapshot) -> None:
        self.hard = HardState()
        self._told = 0  # a snapshot of one's own may know of more that is committed than a write still under way
        self.snapshot = snapshot
        self.entries: list[LogEntry] = []

    @property
    def last(self) -> int:
        return self.snapshot.index + len(self.entries)

    def term(self, index: int) -> int | None:
        if index == self.snapshot.index:
            return self.snapshot.term
        position = index - self.snapshot.index - 1
        return self.entries[position].term if 0 <= position < len(self.entries) else None

    def holds(self, index: int, term: int | None) -> bool:
        return index < self.snapshot.index or self.term(index) == term

    def take(self, write: Write) -> None:
        old, new = self.hard, write.hard
        assert new.term >= old.term, f"term {new.term} after {old.term}"
        assert new.term > old.term or old.vote in (None, new.vote), f"a second vote in term {new.term}"
        assert new.commit >= self._told, f"commit {new.commit} after {self._told}"
        if write.snapshot is not None:
            assert write.snapshot.index > old.commit, "a snapshot over what is committed"
            self.snapshot, self.entries = write.snapshot, []
        if write.entries:
            first = write.entries[0].index
            assert old.commit < first <= self.last + 1, f"entries from {first} after {self.last}, commit {old.commit}"
            self.entries[first - self.snapshot.index - 1 :] = write.entries
        assert new.commit <= self.last, f"{new.commit} committed, but only {self.last} written"
        self._told = new.commit
        self.hard = HardState(new.term, new.vote, max(old.commit, new.commit))

    def compact(self, snapshot: Snapshot) -> None:
        del self.entries[: snapshot.index - self.snapshot.index]
        self.snapshot = snapshot
        self.hard = HardState(self.hard.term, self.hard.vote, max(self.hard.commit, snapshot.index))

    def roll_back(self, index: int) -> None:
        del self.entries[index - self.snapshot.index :]
        self._told = min(self.hard.commit, index)
        self.hard = HardState(self.hard.term, self.hard.vote, self._told)


def loaded(snapshot: Snapshot) -> tuple[str, ...]:
    """Here a snapshot's bytes are its digest, so nobody needs to carry them."""
    return wire.decode(snapshot.digest, tuple[str, ...]) if snapshot.digest else ()


class Machine:
    def __init__(self, name: str, known: Config, entropy: Entropy) -> None:
        self.me, self.disk, self.entropy = member(name), Disk(Snapshot(config=known)), entropy
        self.slow = False
        self.start()

    def start(self) -> None:
        """From what is on disk; what was in memory or under way is gone."""
        self.up = True
        self.under_way: Write | None = None
        self.fetch: Snapshot | None = None
        self.offered: Snapshot | None = None
        self.state = loaded(self.disk.snapshot)
        self.reached = (self.disk.hard.term, self.disk.hard.commit)
        self.shown = ""
        log = Log(self.disk.snapshot, self.disk.entries, self.disk.hard.commit)
        self.core = Core(self.me, self.disk.hard, log, self.entropy)

    @property
    def name(self) -> str:
        return name_of(self.me)

    def apply(self, entry: LogEntry) -> None:
        if entry.kind is Kind.COMMAND:
            self.state = (*self.state, command_of(entry.data))

    def take_snapshot(self) -> Snapshot:
        """Of the state as it is, saved, as the driver does before it tells the core."""
        log, index = self.core.log, self.core.log.handed
        data = wire.encode(self.state)
        snapshot = Snapshot(index, log.term(index) or 0, log.config_at(index), data, len(data))
        self.disk.compact(snapshot)
        return snapshot

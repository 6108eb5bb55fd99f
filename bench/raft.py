"""Consensus alone: committed entries a second, with three members in one process and neither disk nor network.

This is what the core itself costs for all three members together: a leader that takes in entries of 300 bytes, so many
outstanding at a time, two followers that take them over, and the acknowledgements. Every entry is handed out to be
applied by all three before it counts.

Promises: the driver does what a real one must do, in the same order, and only that.
Never: measures a disk, a codec or a socket.
"""

from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Final

from bench.harness import Effort, Result, bench, paired, rate, timed
from odyssey.clock import SeededEntropy
from odyssey.ids import NodeId
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.log import Log
from odyssey.mesh.raft.types import AnyMessage, Config, HardState, Kind, LogEntry, Member, Snapshot, StoreId

TARGET: Final = 100_000.0
MEMBERS: Final = tuple(Member(NodeId(name), StoreId(name.encode())) for name in "abc")
BYTES: Final = 300
RAW_IS: Final = "an entry made and put into three lists"


class Group:
    """Three members and the messages between them. The first one leads."""

    def __init__(self) -> None:
        config, chance = Config(MEMBERS), SeededEntropy(1)
        self.cores = {
            member: Core(member, HardState(), Log(Snapshot(config=config), [], 0), chance) for member in MEMBERS
        }
        self.applied = dict.fromkeys(MEMBERS, 0)
        self._wire: deque[tuple[Member, AnyMessage]] = deque()
        self.leader = self.cores[MEMBERS[0]]
        while not self.leader.leads_safely:
            self.leader.tick()
            self.run(MEMBERS[0])
            self.settle()

    def run(self, member: Member) -> None:
        core = self.cores[member]
        while True:
            ready = core.ready()
            for outgoing in ready.messages:
                self._wire.append((outgoing.to, outgoing.message))
            if ready.write is not None:
                core.written(ready.write.number)
            self.applied[member] += len(ready.committed)
            if not ready.messages and ready.write is None and not ready.committed:
                return

    def settle(self) -> None:
        while self._wire:
            to, message = self._wire.popleft()
            self.cores[to].step(message)
            self.run(to)

    def commit(self, count: int, outstanding: int) -> None:
        data = bytes(BYTES)
        for _ in range(count // outstanding):
            for _ in range(outstanding):
                self.leader.propose(data)
            self.run(MEMBERS[0])
            self.settle()


def seconds(count: int, outstanding: int) -> float:
    group = Group()
    before = dict(group.applied)
    taken = timed(lambda: group.commit(count, outstanding))
    assert all(group.applied[member] - before[member] == count for member in MEMBERS)
    return taken


def raw(count: int) -> float:
    data = bytes(BYTES)

    def work() -> None:
        logs: tuple[list[LogEntry], ...] = ([], [], [])
        for index in range(count):
            entry = LogEntry(index, 1, Kind.COMMAND, data)
            for log in logs:
                log.append(entry)

    return timed(work)


@bench("raft.committed")
def committed(effort: Effort) -> Iterator[Result]:
    for outstanding, target in ((64, TARGET), (1024, None), (1, None)):
        count = effort.size(102_400 if outstanding > 1 else 20_480) // outstanding * outstanding
        samples = paired(partial(seconds, count, outstanding), partial(raw, count), effort.repeats(9))
        yield rate(f"committed entries, 3 members, {outstanding} outstanding", "/s", samples, count, RAW_IS, target)

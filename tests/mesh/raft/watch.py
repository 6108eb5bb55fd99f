"""What must be true after every step, seen from outside: by disks, and by what is sent and applied.

It does not believe a core's own counters. Whether an entry is committed rightly is judged by the disks of the voters,
whether a message may leave by the disk of its sender.

Promises: one leader a term, log matching, leader completeness, one command an index, no cut of what is committed, no
promise before its write, nothing goes back, voters change one at a time.
Never: changes anything.
"""

from __future__ import annotations

from itertools import pairwise

from odyssey import wire
from odyssey.mesh.raft.types import (
    Append,
    AppendReply,
    Config,
    Heartbeat,
    HeartbeatReply,
    Install,
    Kind,
    LogEntry,
    Member,
    Outgoing,
    TakeOver,
    VoteReply,
    VoteRequest,
)
from tests.mesh.raft.machine import Machine


class Watch:
    def __init__(self) -> None:
        self.leaders: dict[int, Member] = {}
        self.disks_went_back = False  # then a leader may lack what was committed; it must find out
        self.committed: dict[int, tuple[LogEntry, int]] = {}  # with the term in which it became so
        self._entries: dict[tuple[int, int], tuple[LogEntry, int]] = {}  # by index and term, with the term before it

    def after(self, machine: Machine, everybody: list[Machine]) -> None:
        """A step of this machine."""
        core, log = machine.core, machine.core.log
        term, commit = machine.reached
        assert core.term >= term, f"{machine.name}: term {core.term} after {term}"
        assert log.commit >= commit, f"{machine.name}: commit {log.commit} after {commit}"
        assert log.commit <= log.last, f"{machine.name}: {log.commit} committed of {log.last}"
        machine.reached = (core.term, log.commit)
        self._check_log(machine)
        if core.is_leader:
            self._check_leader(machine, everybody)
        for entry in log.all()[max(0, commit - log.snapshot.index) : log.commit - log.snapshot.index]:
            self._note_committed(machine, entry)

    def _check_log(self, machine: Machine) -> None:
        """An index and a term name one entry and the term of the one before: so logs that share it are equal there."""
        before = machine.core.log.snapshot.term
        for entry in machine.core.log.all():
            known = self._entries.setdefault((entry.index, entry.term), (entry, before))
            assert known == (entry, before), f"{machine.name}: two entries {entry.index} of term {entry.term}"
            assert entry.term >= before, f"{machine.name}: entry {entry.index} is older than the one before"
            before = entry.term

    def _check_leader(self, machine: Machine, everybody: list[Machine]) -> None:
        core, hard = machine.core, machine.disk.hard
        other = self.leaders.setdefault(core.term, machine.me)
        assert other == machine.me, f"{other} and {machine.me} lead term {core.term}"
        assert (hard.term, hard.vote) == (core.term, machine.me), f"{machine.name} leads with {hard} on disk"
        if self.disks_went_back:
            return
        for index, (entry, since) in self.committed.items():
            if index > core.log.snapshot.index and since < core.term:
                assert core.log.term(index) == entry.term, f"{machine.name} leads term {core.term} without {entry}"
        if core.log.commit > core.log.snapshot.index and core.log.commit not in self.committed:
            self._check_quorum(machine, everybody)

    def _check_quorum(self, machine: Machine, everybody: list[Machine]) -> None:
        """What a leader calls committed is on the disks of most of its voters, and is of its own term."""
        log = machine.core.log
        index, term = log.commit, log.term(log.commit)
        assert term == machine.core.term, f"{machine.name} commits entry {index} of term {term} by counting"
        holding = {other.me for other in everybody if other.disk.holds(index, term)}
        voters = set(log.config.voters)
        assert len(voters & holding) * 2 > len(voters), f"{machine.name} commits {index}, but only {holding} hold it"
        if len(voters) == 1:
            standbys = machine.core.in_step & set(log.config.members)
            assert standbys <= holding, f"{machine.name} commits {index} without its standby"

    def _note_committed(self, machine: Machine, entry: LogEntry) -> None:
        if self.disks_went_back:
            return
        known, _ = self.committed.setdefault(entry.index, (entry, machine.core.term))
        assert known == entry, f"{machine.name}: committed are {entry} and {known}"

    # -- what leaves, what is written, what takes effect ---------------------------------------------------------------

    def sending(self, machine: Machine, outgoing: Outgoing) -> None:
        """What a message promises is on the sender's disk now."""
        disk, message = machine.disk, outgoing.message
        ballot = (disk.hard.term, disk.hard.vote)
        match message:
            case VoteReply(pre=False, granted=True):
                kept = ballot == (message.term, outgoing.to)
            case VoteRequest(pre=False) | Append() | Heartbeat() | Install() | TakeOver():
                kept = ballot == (message.term, machine.me)
            case AppendReply(ok=True):
                kept = disk.hard.term == message.term and _as_in_memory(machine, message.match)
            case AppendReply() | HeartbeatReply() | VoteReply(pre=False):
                kept = disk.hard.term >= message.term
            case _:
                kept = True  # to ask beforehand binds nobody
        assert message.sender == machine.me
        assert kept, f"{machine.name} sends {message} with {disk.hard} and {disk.last} entries on disk"

    def wrote(self, machine: Machine) -> None:
        entries = [entry for entry in machine.disk.entries if entry.kind is Kind.CONFIG]
        configs = [machine.disk.snapshot.config, *(wire.decode(entry.data, Config) for entry in entries)]
        for old, new in pairwise(configs):
            if old.voters:  # a machine that joins knows nobody at first
                assert len(set(old.voters) ^ set(new.voters)) <= 1, f"{machine.name}: from {old} to {new}"

    def applying(self, machine: Machine, entry: LogEntry) -> None:
        assert machine.disk.term(entry.index) == entry.term, f"{machine.name} applies {entry}, not on its disk"
        self._note_committed(machine, entry)


def _as_in_memory(machine: Machine, match: int) -> bool:
    log, disk = machine.core.log, machine.disk
    first = max(log.snapshot.index, disk.snapshot.index)
    return disk.last >= match and all(log.term(index) == disk.term(index) for index in range(first, match + 1))

"""What must hold, looked at whenever something happened; cheap enough to look every time.

The numbers are those of the invariants: one leader per term (1), logs match (2), a leader holds all that is
acknowledged (3), one command per index (4), nothing committed is cut (5), nothing leaves before it is on disk (6), hard
state never goes back (7), members change one at a time and learn first (8), equal logs give equal states (12).

Promises: a violation stops the run at the step that shows it, with its number and names.
Never: changes anything it looks at.
"""

from typing import NamedTuple

from odyssey import wire
from odyssey.commands import Entry
from odyssey.mesh.raft.types import (
    AnyMessage,
    AppendReply,
    Config,
    HardState,
    Kind,
    LogEntry,
    Member,
    VoteReply,
    VoteRequest,
    Write,
)
from tests.sim.disk import Durable


class Violation(AssertionError):
    """An invariant is broken: its text begins with which, and a colon."""

    @property
    def invariant(self) -> str:
        return str(self).partition(":")[0]


class Known(NamedTuple):
    data: bytes
    prev_term: int


class Checks:
    def __init__(self) -> None:
        self.leaders: dict[int, Member] = {}  # by term
        self.entries: dict[tuple[int, int], Known] = {}  # by (index, term): a log is a chain of these
        self.committed: dict[int, tuple[int, bytes]] = {}
        self.results: dict[int, bytes] = {}  # what applying an entry said
        self.last_committed = 0

    def fork(self, index: int, term: int) -> "Checks":
        """What is true up to there, for a generation that goes on from there, in this term."""
        new = Checks()
        new.leaders = {led: leader for led, leader in self.leaders.items() if led < term}
        new.entries = {at: entry for at, entry in self.entries.items() if at[0] <= index}
        new.committed = {at: entry for at, entry in self.committed.items() if at <= index}
        new.results = {at: result for at, result in self.results.items() if at <= index}
        new.last_committed = min(self.last_committed, index)
        return new

    # -- of the core ---------------------------------------------------------------------------------------------------

    def leads(self, member: Member, term: int, held: int | None) -> None:
        """`held` is the term the new leader's log has at the last committed index. Who wins an election late, after a
        sleep, may lack what later terms have committed since."""
        known = self.leaders.setdefault(term, member)
        if known != member:
            raise Violation(f"1: {known.node} and {member.node} both lead term {term}")
        newest = self.committed[self.last_committed][0] if self.last_committed else 0
        if newest and newest < term and held != newest:
            raise Violation(f"3: {member.node} leads term {term} without entry {self.last_committed}")

    def leaves(self, durable: Durable, message: AnyMessage) -> None:
        hard, name = durable.hard, message.sender.node
        if message.term > hard.term and not (isinstance(message, VoteRequest | VoteReply) and message.pre):
            raise Violation(f"6: {name} speaks in term {message.term}, its disk is in {hard.term}")
        if isinstance(message, VoteReply) and message.granted and not message.pre and hard.term == message.term:
            if hard.vote is None:
                raise Violation(f"6: {name} grants a vote that is not on its disk")
        elif isinstance(message, AppendReply) and message.ok and message.match > durable.last:
            raise Violation(f"6: {name} acknowledges {message.match}, its disk ends at {durable.last}")

    # -- of the disk ---------------------------------------------------------------------------------------------------

    def written(self, member: Member, durable: Durable, write: Write) -> None:
        self._hard(member, durable.hard, write.hard)
        if write.snapshot is not None and write.snapshot.index < durable.hard.commit:
            raise Violation(f"5: {member.node} installs a snapshot below its commit {durable.hard.commit}")
        if not write.entries:
            return
        first = write.entries[0]
        if first.index <= durable.hard.commit and durable.term(first.index) not in (None, first.term):
            raise Violation(f"5: {member.node} cuts entry {first.index}, committed up to {durable.hard.commit}")
        prev_term = durable.term(first.index - 1) if write.snapshot is None else write.snapshot.term
        for entry in write.entries:
            self._entry(member, entry, prev_term)
            prev_term = entry.term

    def _hard(self, member: Member, old: HardState, new: HardState) -> None:
        back = (new.term, new.commit) < (old.term, 0) or new.commit < old.commit
        if back or (new.term == old.term and old.vote is not None and new.vote != old.vote):
            raise Violation(f"7: {member.node} goes back from {old} to {new}")

    def _entry(self, member: Member, entry: LogEntry, prev_term: int | None) -> None:
        if prev_term is None:
            raise Violation(f"2: {member.node} writes entry {entry.index} behind a hole")
        known = self.entries.setdefault((entry.index, entry.term), Known(entry.data, prev_term))
        if known != (entry.data, prev_term):
            raise Violation(f"2: {member.node} has another entry {entry.index} of term {entry.term}")

    # -- of what is applied --------------------------------------------------------------------------------------------

    def commits(self, member: Member, entry: LogEntry) -> None:
        known = self.committed.setdefault(entry.index, (entry.term, entry.data))
        if known != (entry.term, entry.data):
            raise Violation(f"4: {member.node} applies another entry {entry.index} than others did")
        self.last_committed = max(self.last_committed, entry.index)

    def config_change(self, old: Config, entry: LogEntry) -> None:
        if entry.kind is not Kind.CONFIG:
            return
        new = wire.decode(entry.data, Config)
        changed = set(old.voters) ^ set(new.voters)
        if len(changed) > 1 or (set(new.voters) - set(old.voters)) - set(old.learners):
            raise Violation(f"8: voters change from {old.voters} to {new.voters}")

    def applied(self, member: Member, entry: Entry, result: bytes) -> None:
        known = self.results.setdefault(entry.index, result)
        if known != result:
            raise Violation(f"12: entry {entry.index} has another effect on {member.node} than it had elsewhere")

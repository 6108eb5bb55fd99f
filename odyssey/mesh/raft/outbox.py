"""What is to be written and to be sent, and what may only be sent once it is written.

A vote, an acknowledgement, the request of a candidate that has voted for itself: each promises something that a crash
must not undo. Such a message waits for the write that holds all that was in memory when it was made. Writes are handed
out one at a time and have numbers, so waiting means waiting for a number.

Promises: what leaves is true on disk; a write holds everything that is not on disk when it is handed out.
Never: writes or sends. It says what to write and what to send.
"""

from odyssey.mesh.raft.log import Log
from odyssey.mesh.raft.types import AnyMessage, HardState, Member, Outgoing, Snapshot, Write


class Outbox:
    __slots__ = ("_gated", "_leaving", "_log", "_number", "_under_way", "installed", "saved")

    def __init__(self, log: Log, saved: HardState) -> None:
        self._log = log
        self.saved = saved  # what is on disk
        self.installed: Snapshot | None = None  # in memory the log begins there; to be written
        self._number = 0  # of the newest write handed out
        self._under_way: Write | None = None
        self._leaving: list[Outgoing] = []
        self._gated: list[tuple[int, Outgoing]] = []

    def send(self, to: Member, message: AnyMessage) -> None:
        self._leaving.append(Outgoing(to, message))

    def send_after(self, number: int, to: Member, message: AnyMessage) -> None:
        if self._under_way is None and number == self._number:
            self.send(to, message)
        else:
            self._gated.append((number, Outgoing(to, message)))

    def covering(self, term: int, vote: Member | None) -> int:
        """The number of the write after which all that is in memory now is on disk."""
        return self._number + 1 if self._is_dirty(term, vote) else self._number

    def _is_dirty(self, term: int, vote: Member | None) -> bool:
        """Something is in memory that no write, done or under way, holds. How far is committed can wait for another."""
        write = self._under_way
        hard = write.hard if write is not None else self.saved
        if (term, vote) != (hard.term, hard.vote) or self.installed is not None:
            return True
        if write is None or not write.entries:
            return self._log.stable < self._log.last
        return (write.entries[-1].index, write.entries[-1].term) != (self._log.last, self._log.last_term)

    def next_write(self, term: int, vote: Member | None, even_commit: bool) -> Write | None:
        """One at a time. What a member knows to be committed alone is not worth one, unless it is time for that."""
        if self._under_way is not None:
            return None
        commit = self._log.commit
        if not self._is_dirty(term, vote) and not (even_commit and commit != self.saved.commit):
            return None
        entries = self._log.unstable() if self.installed is None else self._log.all()
        self._number += 1
        self._under_way = Write(self._number, HardState(term, vote, commit), entries, self.installed)
        self.installed = None
        return self._under_way

    def done(self, number: int, term: int) -> bool:
        """This write is on disk. A promise of an older term is dropped: what it spoke of may be cut by now."""
        write = self._under_way
        if write is None or write.number != number:
            return False
        self._under_way, self.saved = None, write.hard
        if write.entries:
            self._log.written(write.entries[-1])
        self._leaving += [out for gate, out in self._gated if gate <= number and out.message.term == term]
        self._gated = [(gate, out) for gate, out in self._gated if gate > number]
        return True

    def take(self) -> tuple[Outgoing, ...]:
        if not self._leaving:
            return ()
        leaving, self._leaving = tuple(self._leaving), []
        return leaving

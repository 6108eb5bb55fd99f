"""What a leader knows of each other member, and how fast it sends.

A peer is probed with one message until it answers; from then on entries flow without waiting, up to a window; a peer
that lacks what the log no longer holds is sent to a snapshot.

Promises: `match` only grows while this leader leads, and only by the peer's own word.
Never: counts votes or decides what is committed.
"""

import enum
from typing import Final

WINDOW: Final = 64  # appends under way to one peer


class Flow(enum.IntEnum):
    PROBE = 0
    STREAM = 1
    SNAPSHOT = 2


class Peer:
    __slots__ = ("_paused", "_sent", "active", "flow", "match", "next", "round")

    def __init__(self, following: int) -> None:
        self.match = 0
        self.next = following
        self.flow = Flow.PROBE
        self.round = 0  # the newest heartbeat it has answered
        self.active = True  # heard of since the quorum was last checked
        self._paused = False  # a probe is under way
        self._sent: list[int] = []  # last index of each append under way

    @property
    def may_send(self) -> bool:
        if self.flow is Flow.STREAM:
            return len(self._sent) < WINDOW
        return self.flow is Flow.PROBE and not self._paused

    def sent(self, last: int) -> None:
        if self.flow is Flow.STREAM:
            self._sent.append(last)
            self.next = last + 1
        else:
            self._paused = True

    def accepted(self, match: int) -> bool:
        """It holds everything up to `match`; True if that is news."""
        news = match > self.match
        self.match = max(self.match, match)
        self.next = max(self.next, match + 1)
        self._sent = [last for last in self._sent if last > match]
        if self.flow is Flow.PROBE or (self.flow is Flow.SNAPSHOT and news):
            self.flow = Flow.STREAM
            self._sent.clear()
            self.next = self.match + 1
        self._paused = False
        return news

    def refused(self, prev_index: int, hint: int) -> None:
        """What was sent does not fit on what it holds. An answer to an older message says nothing new."""
        if prev_index <= self.match or self.flow is Flow.SNAPSHOT:
            return
        if self.flow is Flow.PROBE and prev_index != self.next - 1:
            return
        self.flow = Flow.PROBE
        self._sent.clear()
        self._paused = False
        self.next = max(self.match + 1, min(prev_index, hint + 1))

    def alive(self) -> None:
        """It answers: what was lost on the way is sent again."""
        self._paused = False
        if self.flow is Flow.STREAM and self._sent:
            self._sent.pop(0)

    def needs_snapshot(self) -> None:
        self.flow = Flow.SNAPSHOT

    def restart(self) -> None:
        """After a snapshot was offered without an answer: try again from what is known."""
        self.flow = Flow.PROBE
        self._paused = False
        self._sent.clear()
        self.next = self.match + 1

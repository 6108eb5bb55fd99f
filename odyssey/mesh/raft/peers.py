"""What a leader knows of each other member, and how fast it sends.

A peer is probed with one message until it answers; from then on entries flow without waiting, up to a window; a peer
that lacks what the log no longer holds is offered a snapshot, again and again while it lives and has not taken it.

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
    __slots__ = ("_active", "_paused", "_sent", "flow", "match", "next", "round", "told")

    def __init__(self, following: int) -> None:
        self.match = 0
        self.next = following
        self.flow = Flow.PROBE
        self.round = 0  # the newest heartbeat it has answered
        self.told = 0  # how far it was told that entries are committed
        self._active = False  # heard of since the quorum was last checked
        self._paused = False  # a probe is under way
        self._sent: list[int] = []  # last index of each append under way

    @property
    def may_send(self) -> bool:
        if self.flow is Flow.STREAM:
            return len(self._sent) < WINDOW
        return self.flow is Flow.PROBE and not self._paused

    def lacks(self, last: int, commit: int) -> bool:
        """Entries up to `last`, or, when it has all of them, the news that they are committed."""
        return self.next <= last or (self.match == last and self.told < commit)

    def sent(self, last: int) -> None:
        if self.flow is Flow.STREAM:
            self._sent.append(last)
            self.next = last + 1
        else:
            self._paused = True

    def accepted(self, match: int) -> None:
        """It holds everything up to `match`."""
        news = match > self.match
        self.match = max(self.match, match)
        if self.flow is Flow.PROBE or (self.flow is Flow.SNAPSHOT and news):
            self._begin(Flow.STREAM, self.match + 1)
        self.next = max(self.next, match + 1)
        self._sent = [last for last in self._sent if last > match]

    def refused(self, prev_index: int, hint: int) -> None:
        """What was sent does not fit on what it holds. An answer to an older message says nothing new."""
        if prev_index <= self.match or self.flow is Flow.SNAPSHOT:
            return
        if self.flow is Flow.PROBE and prev_index != self.next - 1:
            return
        self._begin(Flow.PROBE, max(self.match + 1, min(prev_index, hint + 1)))

    def heard(self) -> None:
        self._active = True

    def beat_answered(self, number: int) -> None:
        """It lives, so if the newest append has no answer it may be lost: one more may be sent to find out."""
        self.round = max(self.round, number)
        self._paused = False
        del self._sent[:1]

    def take_active(self) -> bool:
        """Whether it was heard of since the last call."""
        active, self._active = self._active, False
        if active and self.flow is Flow.SNAPSHOT:
            self._begin(Flow.PROBE, self.match + 1)  # the offer or its answer may be lost
        return active

    def needs_snapshot(self) -> None:
        self._begin(Flow.SNAPSHOT, self.next)

    def _begin(self, flow: Flow, following: int) -> None:
        self.flow, self.next, self._paused = flow, following, False
        self._sent.clear()

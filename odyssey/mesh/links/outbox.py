"""Letters on their way to one peer: what goes next, what must go again, what is given up.

Two kinds. What is only worth something now (beats, votes, Duties) goes first, is not numbered and not sent again: its
sender says it anew soon, so of many that wait the oldest go. All else is work: numbered in the order it goes out, kept
until it is acknowledged, sent again from the first one that is not when another line takes the place of the old. Only
so much of it is under way at a time, so what comes first never waits behind more than that.

Times are monotonic milliseconds.

Promises: pure; never holds more than its budget; work goes out in order; what is given up is counted.
Never: gives a number twice, or keeps what nobody waits for any more.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from odyssey.errors import Malformed

BUDGET: Final = 8 << 20  # bytes of work for one peer
MOST: Final = 8_192  # letters of work
WINDOW: Final = 512 << 10  # bytes of work under way
FRESH: Final = 64  # letters that are only worth something now
FRESH_MS: Final = 2_000
WORK_MS: Final = 10_000  # whoever asked has given up by then


class Next(NamedTuple):
    number: int
    since: int
    letter: bytes


class _Fresh(NamedTuple):
    put_ms: int
    letter: bytes


class _Work(NamedTuple):
    put_ms: int
    number: int
    letter: bytes


class Outbox:
    def __init__(self, budget: int = BUDGET, window: int = WINDOW) -> None:
        self._budget, self._window = budget, window
        self._fresh: deque[_Fresh] = deque()
        self._waiting: deque[_Fresh] = deque()
        self._sent: deque[_Work] = deque()  # and not acknowledged
        self._out = 0  # so many of these went out on the line of now
        self._out_bytes = 0
        self._last = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._fresh) + len(self._waiting) + len(self._sent)

    @property
    def unacknowledged(self) -> int:
        return len(self._sent)

    @property
    def wants(self) -> bool:
        """Is there anything that asks for a line?"""
        return bool(self._fresh or self._waiting or self._sent)

    # -- in ------------------------------------------------------------------------------------------------------------

    def put(self, letter: bytes, fresh: bool, now_ms: int) -> int:
        """How many letters were given up for want of room."""
        if fresh:
            return self._put_fresh(letter, now_ms)
        if self.bytes + len(letter) > self._budget or len(self._waiting) + len(self._sent) >= MOST:
            return 1
        self._waiting.append(_Fresh(now_ms, letter))
        self.bytes += len(letter)
        return 0

    def _put_fresh(self, letter: bytes, now_ms: int) -> int:
        self._fresh.append(_Fresh(now_ms, letter))
        self.bytes += len(letter)
        given_up = 0
        while len(self._fresh) > FRESH or (self.bytes > 2 * self._budget and len(self._fresh) > 1):
            self.bytes -= len(self._fresh.popleft().letter)
            given_up += 1
        return given_up

    # -- out -----------------------------------------------------------------------------------------------------------

    def next(self) -> Next | None:
        """What to send now. It counts as sent when `went` is called."""
        if self._fresh:
            return Next(0, 0, self._fresh[0].letter)
        if self._out < len(self._sent):
            work = self._sent[self._out]
            return Next(work.number, self._since, work.letter) if self._fits(work.letter) else None
        if self._waiting and self._fits(self._waiting[0].letter):
            return Next(self._last + 1, self._since, self._waiting[0].letter)
        return None

    def went(self) -> None:
        if self._fresh:
            self.bytes -= len(self._fresh.popleft().letter)
            return
        if self._out == len(self._sent):
            put_ms, letter = self._waiting.popleft()
            self._last += 1
            self._sent.append(_Work(put_ms, self._last, letter))
        self._out_bytes += len(self._sent[self._out].letter)
        self._out += 1

    def _fits(self, letter: bytes) -> bool:
        """One always does, however large."""
        return self._out_bytes == 0 or self._out_bytes + len(letter) <= self._window

    @property
    def _since(self) -> int:
        return self._sent[0].number if self._sent else self._last + 1

    # -- what becomes of it --------------------------------------------------------------------------------------------

    def acknowledged(self, number: int) -> None:
        if number > self._last:
            raise Malformed(f"letter {number} is acknowledged, and {self._last} was the last")
        while self._sent and self._sent[0].number <= number:
            self._drop_first()

    def rewind(self) -> None:
        """On another line all that is not acknowledged goes out again."""
        self._out = self._out_bytes = 0

    def expire(self, now_ms: int) -> int:
        """How many are given up because nobody waits for them any more."""
        before = len(self)
        while self._fresh and now_ms - self._fresh[0].put_ms >= FRESH_MS:
            self.bytes -= len(self._fresh.popleft().letter)
        while self._sent and now_ms - self._sent[0].put_ms >= WORK_MS:
            self._drop_first()
        while not self._sent and self._waiting and now_ms - self._waiting[0].put_ms >= WORK_MS:
            self.bytes -= len(self._waiting.popleft().letter)
        return before - len(self)

    def _drop_first(self) -> None:
        work = self._sent.popleft()
        self.bytes -= len(work.letter)
        if self._out:
            self._out -= 1
            self._out_bytes -= len(work.letter)


class Inbox:
    """What has arrived of one run of a peer, so that nothing is taken twice."""

    def __init__(self) -> None:
        self.last = 0

    def takes(self, number: int, since: int) -> bool:
        """False: it was here before. A line is in order and begins with what is not acknowledged, so none is left out
        but what was given up."""
        if not 0 < since <= number:
            raise Malformed(f"letter {number} after {since}")
        self.last = max(self.last, since - 1)
        if number > self.last + 1:
            raise Malformed(f"letter {number} after {self.last}")
        fresh = number == self.last + 1
        self.last = max(self.last, number)
        return fresh

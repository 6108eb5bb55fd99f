"""The two ends of an answer on its way between machines: what was sent and may not have arrived, and what was taken.

Promises: each part is taken once and in order, whatever is lost, doubled or late on the way; what waits to be taken is
bounded.
Never: looks at a clock, or sends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

WINDOW_BYTES: Final = 256 << 10  # on the way; the last part may be larger than what is left
WINDOW_PARTS: Final = 64
LETTER_BYTES: Final = 512 << 10  # of parts, in one letter; a single part may be larger


class Outbox:
    """Where an answer is made."""

    def __init__(self) -> None:
        self._parts: deque[bytes] = deque()  # not known to be taken
        self._bytes = 0
        self.taken = 0
        self._sent = 0  # so many of `_parts` have gone out at least once

    @property
    def has_room(self) -> bool:
        return self._bytes < WINDOW_BYTES and len(self._parts) < WINDOW_PARTS

    @property
    def end(self) -> int:
        """The position behind the last part so far."""
        return self.taken + len(self._parts)

    def add(self, part: bytes) -> None:
        self._parts.append(part)
        self._bytes += len(part)

    def acknowledge(self, taken: int) -> None:
        """All before that position have arrived. What never went out cannot have: that is somebody's mistake."""
        while self.taken < taken and self._sent:
            self._bytes -= len(self._parts.popleft())
            self.taken += 1
            self._sent -= 1

    def fresh(self) -> tuple[int, tuple[bytes, ...]] | None:
        """What has never gone out, as much as fits into a letter, with the position of the first."""
        return self._letter(self._sent) if self._sent < len(self._parts) else None

    def again(self) -> None:
        """It has been silent for long: everything goes out once more."""
        self._sent = 0

    def _letter(self, start: int) -> tuple[int, tuple[bytes, ...]]:
        parts: list[bytes] = []
        size = 0
        for at in range(start, len(self._parts)):
            size += len(self._parts[at])
            if parts and size > LETTER_BYTES:
                break
            parts.append(self._parts[at])
        self._sent = start + len(parts)
        return self.taken + start, tuple(parts)


class Inbox:
    """Where an answer is taken."""

    def __init__(self) -> None:
        self.taken = 0

    def accept(self, first: int, parts: Sequence[bytes]) -> Sequence[bytes]:
        """What is new of it. Behind a gap nothing is taken: it comes again."""
        if first > self.taken:
            return ()
        new = parts[self.taken - first :]
        self.taken += len(new)
        return new

    def has_all(self, first: int, parts: Sequence[bytes]) -> bool:
        """Is everything taken, if these are the last ones?"""
        return self.taken >= first + len(parts)

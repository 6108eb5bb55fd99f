"""A set of growing numbers that come mostly in rows: kept as spans, and the oldest given up when there are too many.

Promises: pure; a number that was added is in it. One below `floor` is said to be in it too: that is the careful answer.
Never: grows without bound.
"""

from bisect import bisect_right
from typing import Final

MOST: Final = 50_000


class Spans:
    def __init__(self, most: int = MOST) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._most = most
        self.floor = 0

    def __contains__(self, number: int) -> bool:
        if number < self.floor:
            return True
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number < self._stops[at]

    def add(self, start: int, stop: int | None = None) -> None:
        """One number, or all from start to before stop."""
        stop = start + 1 if stop is None else stop
        starts, stops = self._starts, self._stops
        first = bisect_right(stops, start - 1)  # the first span that touches or follows it
        last = first
        while last < len(starts) and starts[last] <= stop:
            start, stop = min(start, starts[last]), max(stop, stops[last])
            last += 1
        starts[first:last], stops[first:last] = [start], [stop]
        if len(starts) > self._most:
            cut = len(starts) // 2
            self.floor = stops[cut - 1]
            del starts[:cut], stops[:cut]

    def __bool__(self) -> bool:
        return bool(self._starts)

    def all(self) -> list[tuple[int, int]]:
        """With what was given up."""
        return [(0, self.floor), *self.spans()] if self.floor else self.spans()

    def spans(self) -> list[tuple[int, int]]:
        return list(zip(self._starts, self._stops, strict=True))

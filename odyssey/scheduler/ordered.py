"""A sorted set of integers that is cheap at both ends, because queues are used there.

Ids grow, so most additions are at the end and most removals at the front: both cost a few hundred nanoseconds at any
length. In the middle it costs a search and a memory move.

Promises: always sorted, no duplicates.
Never: keeps much more than twice the room it needs, and never stands being changed while someone iterates over it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

_SMALL = 32


class SortedIds:
    __slots__ = ("_ids", "_start")

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._ids: list[int] = sorted(set(ids))
        self._start = 0  # what lies before it has been removed

    def __len__(self) -> int:
        return len(self._ids) - self._start

    def __iter__(self) -> Iterator[int]:
        ids = self._ids
        for position in range(self._start, len(ids)):
            yield ids[position]

    def __contains__(self, value: int) -> bool:
        position = bisect_left(self._ids, value, self._start)
        return position < len(self._ids) and self._ids[position] == value

    def first(self) -> int:
        return self._ids[self._start]

    def after(self, value: int) -> int | None:
        """The smallest member above `value`."""
        position = bisect_left(self._ids, value + 1, self._start)
        return self._ids[position] if position < len(self._ids) else None

    def add(self, value: int) -> None:
        ids, start = self._ids, self._start
        if len(ids) == start or value > ids[-1]:
            ids.append(value)
            return
        position = bisect_left(ids, value, start)
        if ids[position] == value:
            return
        if position == start > 0:
            self._start = start - 1
            ids[start - 1] = value
        else:
            ids.insert(position, value)

    def discard(self, value: int) -> None:
        ids, start = self._ids, self._start
        position = bisect_left(ids, value, start)
        if position == len(ids) or ids[position] != value:
            return
        if position > start:
            del ids[position]
        else:
            self._start = start = start + 1
        if start > _SMALL and start * 2 > len(ids):
            del ids[:start]
            self._start = 0

"""The machines that admit a wish, in the order in which it prefers them, kept while machines change.

A row that changes is written into a log of touched rows; each ranking reads on from where it stopped. Of a row that
changed twice the older opinions are still in the heap; they carry the row's stamp of then and are passed over.

Promises: the best acceptable machine is found as if all had been compared; equals go by their number.
Never: looks at machines that have not changed.
"""

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush
from typing import Final

from odyssey.ids import NodeNumber
from odyssey.scheduler.feasible import Code, why_closed
from odyssey.scheduler.rows import Row, Wish


class Ranking:
    """The machines that admit a wish, best first."""

    __slots__ = ("_admits", "_heap", "_log", "_read", "_value", "codes", "wish")

    def __init__(
        self,
        wish: Wish,
        rows: Mapping[NodeNumber, Row],
        log: list[Row],
        value: Callable[[Wish, Row], int],
        admits: Callable[[Wish, Row], bool],
    ) -> None:
        self.wish, self._log, self._value, self._admits = wish, log, value, admits
        self.codes: dict[NodeNumber, Code] = {}  # machines that are closed to this wish, and why
        self._heap: list[tuple[int, NodeNumber, int]] = []
        self.renew(rows)

    def renew(self, rows: Mapping[NodeNumber, Row]) -> None:
        wish, value, admits, codes = self.wish, self._value, self._admits, self.codes
        heap = []
        codes.clear()
        for number, row in rows.items():
            code = why_closed(wish, row)
            if code is not None:
                codes[number] = code
            elif admits(wish, row):
                heap.append((-value(wish, row), number, row.stamp))
        heapify(heap)
        self._heap, self._read = heap, len(self._log)

    def catch_up(self) -> None:
        """Look again at the machines that changed since the last time."""
        log, read = self._log, self._read
        if read == len(log):
            return
        for row in dict.fromkeys(log[read:]):
            code = why_closed(self.wish, row)
            if code is not None:
                self.codes[row.number] = code
                continue
            self.codes.pop(row.number, None)
            if row.reserved_for is None and self._admits(self.wish, row):
                heappush(self._heap, (-self._value(self.wish, row), row.number, row.stamp))
        self._read = len(log)

    def skip(self, cut: int) -> bool:
        """The log lost so many from its front; False if some of them were not read."""
        self._read -= cut
        return self._read >= 0

    def best(self, rows: Mapping[NodeNumber, Row], accept: Callable[[Row], bool] | None) -> tuple[int, Row] | None:
        """The best machine that is acceptable to this very task, with its value."""
        heap, aside, found = self._heap, [], None
        while heap:
            negative, number, stamp = heap[0]
            row = rows.get(number)
            if row is None or row.stamp != stamp or row.reserved_for is not None:
                heappop(heap)  # an old opinion: the new one, if any, is further down
                continue
            if accept is None or accept(row):
                found = (-negative, row)
                break
            aside.append(heappop(heap))
        for entry in aside:
            heappush(heap, entry)
        return found

    def in_order(self, rows: Mapping[NodeNumber, Row], most: int) -> list[Row]:
        """The first few, for the record."""
        taken: list[tuple[int, NodeNumber, int]] = []
        result: list[Row] = []
        while self._heap and len(result) < most:
            entry = heappop(self._heap)
            row = rows.get(entry[1])
            if row is not None and row.stamp == entry[2] and row.reserved_for is None:
                taken.append(entry)
                result.append(row)
        for entry in taken:
            heappush(self._heap, entry)
        return result


# -- backlog -----------------------------------------------------------------------------------------------------------

WAY_MS: Final = 250  # so much work per slot hides the way to the coordinator and back, also on a busy machine
MOST_WAITING: Final = 64  # per slot
SHORT_MS: Final = 1_000  # two wait per slot
MEDIUM_MS: Final = 10_000  # one waits per slot; anything longer is better placed when it can start


def depth(expected_ms: int) -> int:
    """How many tasks may wait per slot on a machine: enough to hide the way to the coordinator, never a long wait."""
    if not expected_ms or expected_ms > MEDIUM_MS:
        return 0
    return min(max(2, WAY_MS // expected_ms), MOST_WAITING) if expected_ms <= SHORT_MS else 1


def may_queue(wish: Wish, row: Row) -> bool:
    """Only where something has to end first: what fits by the books is started as soon as it is there."""
    if row.backlog >= depth(wish.expected(row)) * wish.slots(row):
        return False
    return (
        wish.cpu > row.free_cpu
        or wish.memory > row.booked_memory
        or wish.gpus > row.free_gpus
        or wish.disk > row.free_disk
    )


def soonest(wish: Wish, row: Row) -> int:
    """Higher is sooner: the end of a task that queues here, as if what is ahead were like it."""
    slots = wish.slots(row)
    return -(wish.expected(row) * (slots + row.backlog + 1) // slots)

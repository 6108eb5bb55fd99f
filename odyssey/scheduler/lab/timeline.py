"""Virtual time: what is due when.

Promises: things happen in the order of their time, and those of one moment in the order in which they were planned.
Never: goes back, or waits.
"""

from collections.abc import Callable
from heapq import heappop, heappush


class Timeline:
    def __init__(self) -> None:
        self.now = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0

    def at(self, when: int, what: Callable[[], None]) -> None:
        self._planned += 1
        heappush(self._due, (max(when, self.now), self._planned, what))

    def after(self, delay: int, what: Callable[[], None]) -> None:
        self.at(self.now + delay, what)

    def step(self) -> bool:
        """On to the next moment, with all that happens in it; False when nothing will happen any more."""
        if not self._due:
            return False
        self.now = self._due[0][0]
        while self._due and self._due[0][0] == self.now:
            heappop(self._due)[2]()
        return True

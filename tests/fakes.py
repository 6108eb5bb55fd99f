"""Scripted stand-ins for the world, each passing the same contract test as the real thing.

Never: waits, or looks at the real world.
"""

from __future__ import annotations

from odyssey.clock import Clock
from tests.memory_disk import Disk
from tests.memory_store import MemoryStore, create_memory_store, open_memory_store

__all__ = ["Disk", "FakeClock", "MemoryStore", "create_memory_store", "open_memory_store"]


class FakeClock(Clock):
    """Time passes only when the test says so. The three clocks start far apart, so mixing them up shows."""

    def __init__(self, monotonic: int = 1_000_000, boottime: int = 50_000_000, wall: int = 1_700_000_000_000) -> None:
        self._monotonic = monotonic
        self._boottime = boottime
        self._wall = wall

    def monotonic_ms(self) -> int:
        return self._monotonic

    def boottime_ms(self) -> int:
        return self._boottime

    def wall_ms(self) -> int:
        return self._wall

    def advance(self, ms: int) -> None:
        """The machine is awake for so long."""
        self.suspend(ms)
        self._monotonic += ms

    def suspend(self, ms: int) -> None:
        """The machine sleeps for so long."""
        if ms < 0:
            raise ValueError("time does not go back; only the wall clock can be set")
        self._boottime += ms
        self._wall += ms

    def set_wall(self, ms: int) -> None:
        """Somebody sets the clock."""
        self._wall = ms

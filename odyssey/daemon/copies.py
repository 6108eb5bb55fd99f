"""Homes that were copied: two machines that say they are one. Who was here first stays, and both say what helps.

Promises: what is said stops when it is not so any more.
Never: ends anything: whoever is not let in has nothing to do for others anyway.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from odyssey.clock import Clock
from odyssey.mesh.links.channel import TWIN_MS

FIX: Final = "odyssey leave --clean, then odyssey join"


class Copies:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: tuple[str, int] | None = None
        self._refused_ms: int | None = None

    def seen(self, address: str) -> None:
        """Somebody has refused a copy of this machine."""
        self._seen = address, self._clock.monotonic_ms()

    def refused(self) -> None:
        """This machine was refused as a copy, just now."""
        self._refused_ms = self._clock.monotonic_ms()

    @property
    def is_one(self) -> bool:
        return self._refused_ms is not None and self._clock.monotonic_ms() - self._refused_ms < TWIN_MS

    def note(self) -> str:
        if self.is_one:
            return f"This machine is not let in: its home is a copy of another machine's. Here: {FIX}."
        if self._seen is not None and self._clock.monotonic_ms() - self._seen[1] < 2 * TWIN_MS:
            return f"A copy of this machine's home runs {_at(self._seen[0])} and is not let in. There: {FIX}."
        return ""


def _at(text: str) -> str:
    try:
        return f"at {ip_address(text)}"
    except ValueError:
        return "on another machine"

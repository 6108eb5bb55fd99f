"""Whoever is on the same LAN, as a port: what a machine says there of itself, and what it hears of others.

Promises: on no interfaces it is silent and has no socket.
Never: keeps anybody waiting who did not ask to wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from odyssey.errors import Fault, OdysseyError, Remedy
from odyssey.mesh.discovery.adverts import Advert
from odyssey.mesh.discovery.interfaces import Interface
from odyssey.mesh.discovery.sightings import Found

LOOK_S: Final = 5.0


class NotHeard(OdysseyError):
    """This machine may neither speak nor hear by multicast just now."""

    fault = Fault.MACHINE
    remedy = Remedy.FIX


class Neighbours(Protocol):
    async def be_on(self, lan: Sequence[Interface]) -> None:
        """From now on these interfaces, and no others; with their addresses of now. Raises NotHeard."""
        ...

    async def announce(self, advert: Advert | None) -> None:
        """From now on others are told this; None: nothing, and they hear that it is over."""
        ...

    def found(self) -> tuple[Found, ...]:
        """Who else has said that it is there. Some may be gone without a word."""
        ...

    def when_changed(self, call: Callable[[], None]) -> None: ...

    async def close(self) -> None:
        """Others hear that it is over."""
        ...


def anybody(found: Sequence[Found]) -> bool:
    return bool(found)


async def look(
    neighbours: Neighbours, enough: Callable[[Sequence[Found]], bool] = anybody, seconds: float = LOOK_S
) -> tuple[Found, ...]:
    """Who is there, as soon as it is enough; after so many seconds, as many as there are."""
    changed = asyncio.Event()
    neighbours.when_changed(changed.set)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not enough(neighbours.found()):
                await changed.wait()
                changed.clear()
    return neighbours.found()

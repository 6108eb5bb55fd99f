"""Multicast DNS for a daemon: loaded when there is a network for it, beside everything else.

Loading takes half a second of one core, which a machine that has just joined needs for its first words.
Promises: nobody waits for the loading; what was wished last is what is done once it is loaded; silence is at once.
Never: is loaded on a machine that is on no known network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from odyssey.clock import Entropy
from odyssey.mesh.discovery.adverts import Advert
from odyssey.mesh.discovery.interfaces import Interface
from odyssey.mesh.discovery.neighbours import Neighbours, NotHeard
from odyssey.mesh.discovery.sightings import Found

CALM_S: Final = 1.5


def load(entropy: Entropy) -> Neighbours:
    from odyssey.mesh.discovery.mdns import Mdns

    return Mdns(entropy)


class Later(Neighbours):
    def __init__(self, made: Callable[[], Neighbours], wait_s: float) -> None:
        """`made` is called in a thread of its own, `wait_s` after it is first needed."""
        self._made, self._wait = made, wait_s
        self._real: Neighbours | None = None
        self._loading: asyncio.Task[None] | None = None
        self._wish: tuple[Interface, ...] = ()
        self._turn = asyncio.Lock()
        self._advert: Advert | None = None
        self._call: Callable[[], None] = lambda: None

    @property
    def is_loading(self) -> bool:
        return self._loading is not None and not self._loading.done()

    async def be_on(self, lan: Sequence[Interface]) -> None:
        self._wish = tuple(lan)
        if self._real is not None:
            await self._go(self._real)
        elif lan and self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(self._load())

    async def _load(self) -> None:
        await asyncio.sleep(self._wait)
        real = await asyncio.to_thread(self._made)
        real.when_changed(self._call)
        await real.announce(self._advert)
        self._real = real
        with suppress(NotHeard):  # the next look is told so
            await self._go(real)

    async def _go(self, real: Neighbours) -> None:
        async with self._turn:
            await real.be_on(self._wish)

    async def announce(self, advert: Advert | None) -> None:
        self._advert = advert
        if self._real is not None:
            await self._real.announce(advert)

    def found(self) -> tuple[Found, ...]:
        return self._real.found() if self._real is not None else ()

    def when_changed(self, call: Callable[[], None]) -> None:
        self._call = call
        if self._real is not None:
            self._real.when_changed(call)

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
        if self._real is not None:
            await self._real.close()

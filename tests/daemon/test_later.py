"""Multicast DNS that is loaded late: nobody waits, and what was wished meanwhile is what is done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from odyssey.daemon.later import Later
from odyssey.mesh.discovery.adverts import Advert
from odyssey.mesh.discovery.interfaces import made
from tests.api.counter import until
from tests.mesh.discovery.memory_lan import MemoryLan, MemoryNeighbours

ETH = made("eth0", "10.0.0.1/24")
WLAN = made("wlan0", "192.168.1.1/24")
ADVERT = Advert(1, "0123456789abcdef", bytes(32), 7660)


class Loading:
    """It is over when the test says so."""

    def __init__(self) -> None:
        self.real = MemoryNeighbours(MemoryLan(), bytes(8))
        self.go = threading.Event()
        self.begun = 0
        self.later = Later(self._made, 0)

    def _made(self) -> MemoryNeighbours:
        self.begun += 1
        assert self.go.wait(20)
        return self.real


def played(play: Callable[[Loading], Awaitable[None]]) -> None:
    async def main() -> None:
        loading = Loading()
        try:
            await play(loading)
        finally:
            loading.go.set()
            await loading.later.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_without_a_known_network_it_is_not_loaded() -> None:
    async def play(loading: Loading) -> None:
        await loading.later.be_on(())
        await loading.later.announce(ADVERT)
        await asyncio.sleep(0)
        assert loading.begun == 0

    played(play)


def test_the_last_wish_is_done_once_it_is_loaded() -> None:
    async def play(loading: Loading) -> None:
        await loading.later.be_on((ETH,))
        await until(lambda: loading.begun == 1)
        await loading.later.announce(ADVERT)
        await loading.later.be_on((WLAN,))
        loading.go.set()
        await until(lambda: loading.real.on == (WLAN,))
        assert loading.real.advert == ADVERT
        assert loading.begun == 1

    played(play)


def test_a_network_that_became_strange_meanwhile_hears_nothing() -> None:
    async def play(loading: Loading) -> None:
        await loading.later.be_on((ETH,))
        await until(lambda: loading.begun == 1)
        await loading.later.be_on(())
        loading.go.set()
        await until(lambda: loading.real.advert is None and not loading.later.is_loading)
        assert loading.real.on == ()

    played(play)

"""Who has an address of this machine may ask which mesh is here: only where it listens, and while it may let in."""

from __future__ import annotations

import asyncio

from odyssey.clock import SystemClock
from odyssey.daemon.answering import Answering
from odyssey.mesh.discovery.adverts import Advert
from odyssey.mesh.discovery.calling import call
from odyssey.mesh.places import probe

HERE = "127.0.0.1"


def advert() -> Advert:
    return Advert(1, "0123456789abcdef", bytes(32), probe(HERE, 0))


async def answered(port: int, wanted: bool) -> None:
    while (await call(HERE, port, 0.1) is not None) is not wanted:
        pass


def test_it_answers_where_it_listens_and_no_longer() -> None:
    async def main() -> None:
        answering, said = Answering(SystemClock()), advert()
        try:
            answering.follow((HERE,), said)
            await answered(said.port, True)
            answering.follow((), said)
            await answered(said.port, False)
            answering.follow((HERE,), said)
            await answered(said.port, True)
        finally:
            answering.close()
        answering.follow((HERE,), said)
        await answered(said.port, False)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_an_address_that_it_does_not_have_costs_the_others_nothing() -> None:
    async def main() -> None:
        answering, said = Answering(SystemClock()), advert()
        try:
            answering.follow(("203.0.113.7", HERE), said)
            await answered(said.port, True)
        finally:
            answering.close()

    asyncio.run(asyncio.wait_for(main(), 20))

"""One contract for neighbours in memory and by multicast DNS.

The real ones need a network of their own: a host of the lab runs these tests with ODYSSEY_MDNS=1
(tests/lab/test_discovery.py).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from odyssey.clock import SystemEntropy
from odyssey.mesh.discovery.adverts import Advert
from odyssey.mesh.discovery.interfaces import Interface, made
from odyssey.mesh.discovery.neighbours import Neighbours, look
from tests.mesh.discovery.memory_lan import MemoryLan, MemoryNeighbours

PATIENCE_S: Final = 10.0
KINDS: Final = ("memory", *["mdns"] * ("ODYSSEY_MDNS" in os.environ))
ADVERT: Final = Advert(1, "0123456789abcdef", bytes(range(32)), 7660)
Make = Callable[[], Neighbours]


def place(number: int) -> Interface:
    """One machine, on the network that all of them share."""
    return made("eth0", f"10.77.0.{number}/24")


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "mdns":
        from odyssey.mesh.discovery.mdns import Mdns

        return lambda: Mdns(SystemEntropy())
    lan = MemoryLan()
    return lambda: MemoryNeighbours(lan, os.urandom(8))


def in_time(steps: Coroutine[Any, Any, None]) -> None:
    async def run() -> None:
        async with asyncio.timeout(6 * PATIENCE_S):
            await steps

    asyncio.run(run())


async def until(neighbours: Neighbours, addresses: set[str]) -> None:
    """These are found, and no others."""

    def is_so(found: Any) -> bool:
        return {address for one in found for address in one.addresses} == addresses

    assert is_so(await look(neighbours, is_so, PATIENCE_S)), neighbours.found()


def test_who_announces_is_found_with_what_it_says_and_where_and_not_by_itself(make: Make) -> None:
    async def steps() -> None:
        one, other = make(), make()
        await one.be_on([place(1)])
        await other.be_on([place(2)])
        await one.announce(ADVERT)
        await until(other, {"10.77.0.1"})
        assert [found.advert for found in other.found()] == [ADVERT]
        assert one.found() == ()
        await one.close()
        await other.close()

    in_time(steps())


def test_a_late_one_finds_who_is_there_and_what_is_said_anew_is_heard(make: Make) -> None:
    async def steps() -> None:
        one, late = make(), make()
        await one.announce(ADVERT)
        await one.be_on([place(1)])
        await late.be_on([place(2)])
        await until(late, {"10.77.0.1"})
        await one.announce(ADVERT._replace(port=9))
        await look(late, lambda found: [one.advert.port for one in found] == [9], PATIENCE_S)
        assert [found.advert.port for found in late.found()] == [9]
        await one.close()
        await late.close()

    in_time(steps())


def test_who_says_goodbye_is_gone_and_who_is_silent_says_nothing(make: Make) -> None:
    async def steps() -> None:
        one, two, ear = make(), make(), make()
        await ear.be_on([place(3)])
        for number, speaker in ((2, two), (1, one)):
            await speaker.be_on([place(number)])
            await speaker.announce(ADVERT._replace(port=number))
        await until(ear, {"10.77.0.1", "10.77.0.2"})
        await one.announce(None)
        await until(ear, {"10.77.0.2"})
        await two.be_on([])
        await until(ear, set())
        await ear.close()
        assert ear.found() == ()
        await one.close()

    in_time(steps())


def test_a_goodbye_is_the_last_word(make: Make) -> None:
    """What is said again and again, so that it is not lost, must not come after it."""

    async def steps() -> None:
        one, ear, late = make(), make(), make()
        await ear.be_on([place(2)])
        await one.be_on([place(1)])
        await one.announce(ADVERT)
        await until(ear, {"10.77.0.1"})
        await one.announce(None)
        await late.be_on([place(3)])
        assert await look(late, seconds=1.0) == ()
        for neighbours in (one, ear, late):
            await neighbours.close()

    in_time(steps())


def test_who_moves_and_says_the_same_at_once_is_found_where_it_is(make: Make) -> None:
    async def steps() -> None:
        one, ear = make(), make()
        await ear.be_on([place(2)])
        await one.be_on([place(1)])
        await one.announce(ADVERT)
        await until(ear, {"10.77.0.1"})
        await one.be_on([place(3)])
        await until(ear, {"10.77.0.3"})
        await one.be_on([place(1)])
        await until(ear, {"10.77.0.1"})
        await one.close()
        await ear.close()

    in_time(steps())


def test_looking_ends_when_it_is_enough_or_when_the_time_is_over(make: Make) -> None:
    async def steps() -> None:
        one, other = make(), make()
        await one.be_on([place(1)])
        assert await look(one, seconds=0.05) == ()
        await other.be_on([place(2)])
        await other.announce(ADVERT)
        assert len(await look(one, seconds=PATIENCE_S)) == 1
        await one.close()
        await other.close()

    in_time(steps())

"""Networks as a daemon follows them, on a LAN in memory: what is known or quiet, and what its owner says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from odyssey.daemon import nearby as module
from odyssey.daemon.nearby import Nearby, is_behind
from odyssey.errors import UsageError
from odyssey.mesh.discovery import around
from odyssey.mesh.discovery.adverts import Advert
from odyssey.mesh.discovery.interfaces import Interface, made
from odyssey.mesh.discovery.networks import Network, written
from odyssey.paths import Home
from tests.api.counter import until
from tests.mesh.discovery.memory_lan import MemoryLan, MemoryNeighbours

MAC = "02:77:00:00:00:fe"
ETH = made("eth0", "192.168.1.20/24", router="192.168.1.1", router_mac=MAC)
UNSETTLED = ETH._replace(router_mac="")
KNOWN = Network("192.168.1.0/24", MAC)
ADVERT = Advert(1, "0123456789abcdef", bytes(32), 7660)


class World:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.home, self.interfaces, self.moved = Home(folder), [ETH], 0
        patch.setattr(around, "interfaces", lambda: tuple(self.interfaces))
        patch.setattr(around, "settled", self._settled)
        patch.setattr(module, "STEP_S", 0.0)
        self.neighbours = MemoryNeighbours(MemoryLan(), bytes(8))
        self.nearby = Nearby(self.home, self.neighbours, self._moved, lambda _: None)

    async def _settled(self) -> tuple[Interface, ...]:
        return tuple(self.interfaces)

    def _moved(self) -> None:
        self.moved += 1

    def play(self, plays: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            try:
                await plays()
            finally:
                await self.nearby.close()

        asyncio.run(asyncio.wait_for(main(), 20))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_a_strange_network_is_quiet_and_said(world: World) -> None:
    async def plays() -> None:
        world.nearby.begin(ADVERT, trusts=False)
        shown = await world.nearby.show()
        assert [(one.subnet, one.interface, one.state) for one in shown.networks] == [(KNOWN.subnet, "eth0", "new")]
        assert world.nearby.notes() == (
            "New network 192.168.1.0/24 (eth0): quiet here. It is mine: odyssey network trust",
        )
        assert world.neighbours.on == ()

    world.play(plays)


def test_trusting_and_forgetting_are_remembered_and_followed_at_once(world: World) -> None:
    async def plays() -> None:
        world.nearby.begin(ADVERT, trusts=False)
        assert [one.state for one in (await world.nearby.trust()).networks] == ["known"]
        assert (world.neighbours.on, world.nearby.notes()) == ((ETH,), ())
        assert world.home.networks.read_bytes() == written((KNOWN,))
        assert [one.state for one in (await world.nearby.forget("eth0")).networks] == ["new"]
        assert world.neighbours.on == ()
        with pytest.raises(UsageError):
            await world.nearby.forget("10.0.0.0/8")

    world.play(plays)


def test_who_opens_a_machine_trusts_once_the_router_has_told_which_it_is(world: World) -> None:
    async def plays() -> None:
        world.interfaces = [UNSETTLED]
        world.nearby.begin(ADVERT, trusts=True)
        await until(lambda: world.moved >= 2)
        assert world.nearby.stance.open_on == ()
        world.interfaces = [ETH]
        await until(lambda: world.nearby.stance.open_on == (ETH,))
        world.interfaces = [ETH._replace(router_mac="02:88:00:00:00:fe")]
        await until(lambda: world.nearby.stance.quiet_on != ())
        moved = world.moved
        await until(lambda: world.moved >= moved + 3)
        assert world.nearby.stance.open_on == ()  # later networks are strange again

    world.play(plays)


def test_where_a_member_was_met_it_is_known(world: World) -> None:
    async def plays() -> None:
        world.nearby.begin(ADVERT, trusts=False)
        world.nearby.meet(["10.0.0.5", "", "nonsense"])
        await until(lambda: world.moved >= 3)
        assert world.nearby.stance.open_on == ()
        world.nearby.meet(["192.168.1.9"])
        await until(lambda: world.nearby.stance.open_on == (ETH,))

    world.play(plays)


def test_what_is_straight_behind_an_interface() -> None:
    assert is_behind(ETH, ["192.168.1.9"])
    assert is_behind(made("eth0", "fe80::1/64"), ["fe80::2%eth0"])
    assert not is_behind(ETH, ["192.168.2.9", "fe80::2", "", "x"])

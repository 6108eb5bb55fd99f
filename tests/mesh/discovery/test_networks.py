"""Known and strange networks, and what a machine that moves does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from odyssey.clock import SeededEntropy
from odyssey.mesh.discovery.adverts import Advert
from odyssey.mesh.discovery.interfaces import Interface, made
from odyssey.mesh.discovery.networks import (
    MOST_KNOWN,
    Change,
    Network,
    change,
    network_of,
    posture,
    read,
    with_known,
    without,
    written,
)
from odyssey.mesh.discovery.wandering import Wandering
from tests.mesh.discovery.memory_lan import MemoryLan, MemoryNeighbours

MAC, OTHER = "02:77:00:00:00:fe", "02:88:00:00:00:fe"
HOME = made("eth0", "192.168.1.20/24", router="192.168.1.1", router_mac=MAC)
CAFE = HOME._replace(router_mac=OTHER)
KNOWN = Network("192.168.1.0/24", MAC)


# -- rules -------------------------------------------------------------------------------------------------------------


def test_a_network_is_its_subnet_and_its_router() -> None:
    assert network_of(HOME) == KNOWN
    assert network_of(made("eth0", "10.1.0.1/24")) == Network("10.1.0.0/24")


def test_a_machine_is_open_on_what_is_known_and_quiet_elsewhere() -> None:
    wifi = CAFE._replace(name="wlan0")
    assert posture([HOME, wifi], {KNOWN}) == ((HOME,), (wifi,))
    assert posture([HOME], set()).open_on == ()


@pytest.mark.parametrize("mac", ["", OTHER, "nonsense"])
def test_the_same_subnet_behind_another_router_is_another_network(mac: str) -> None:
    assert posture([HOME._replace(router_mac=mac)], {KNOWN}).open_on == ()


def test_a_router_that_is_not_seen_is_not_the_lack_of_one() -> None:
    without_router = Network("192.168.1.0/24")
    assert posture([HOME._replace(router_mac="")], {without_router}).open_on == ()
    assert posture([made("eth0", "192.168.1.20/24")], {without_router, KNOWN}).open_on != ()


def test_bridges_and_tunnels_are_neither() -> None:
    assert posture([made("docker0", "172.17.0.1/16"), made("wg0", "10.9.0.1/24")], set()) == ((), ())


# -- what is remembered ------------------------------------------------------------------------------------------------


def test_it_is_read_as_it_was_written() -> None:
    known = (KNOWN, Network("10.0.0.0/8"), Network("2001:db8::/64", OTHER))
    assert read(written(known)) == known


def test_the_oldest_goes_when_there_are_too_many_and_one_may_be_forgotten() -> None:
    known: tuple[Network, ...] = ()
    for number in range(MOST_KNOWN + 1):
        known = with_known(known, Network(f"10.{number // 256}.{number % 256}.0/24", MAC))
    assert len(known) == MOST_KNOWN
    assert known[0].subnet == "10.0.1.0/24"
    assert with_known(known, known[0])[-1] == known[0]
    assert without(known, known[0]) == known[1:]
    assert len(read(written(known))) == MOST_KNOWN


def test_damage_makes_networks_strange_and_never_strange_ones_known() -> None:
    entropy, data = SeededEntropy(5), written((KNOWN, Network("10.0.0.0/8", OTHER)))
    for _ in range(2000):
        broken = bytearray(data)
        for _ in range(1 + entropy.below(5)):
            broken[entropy.below(len(broken))] = entropy.below(256)
        del broken[entropy.below(len(broken)) :]
        for network in read(bytes(broken)):
            assert read(written((network,))) == (network,)
    assert read(b"") == read(b"\xff" * 100_000) == read(b"odyssey networks 2\n10.0.0.0/8\n") == ()
    assert read(b"odyssey networks 1\n10.0.0.1/8\n10.0.0.0/8 nonsense\n\n10.0.0.0/8 x y\n") == ()


# -- changes -----------------------------------------------------------------------------------------------------------


def test_a_change_is_told_by_address() -> None:
    assert change([HOME], [HOME]) is None
    moved = HOME._replace(addresses=made("eth0", "10.0.0.7/8").addresses)
    assert change([HOME], [moved]) == Change(("eth0 10.0.0.7",), ("eth0 192.168.1.20",))
    assert change([HOME], [HOME._replace(is_up=False)]) == Change(
        (), ("eth0 192.168.1.20", f"eth0 router 192.168.1.1 {MAC}")
    )


def test_another_router_behind_the_same_address_is_a_change() -> None:
    assert change([HOME], [CAFE]) is not None


# -- moving about ------------------------------------------------------------------------------------------------------


class Machine:
    def __init__(self, folder: Path, lan: MemoryLan, *on: Interface) -> None:
        self.on = on
        self.neighbours = MemoryNeighbours(lan, b"\1" * 8)
        self.wandering = Wandering(folder / "networks", self.neighbours, self._around)

    def hears(self) -> list[Interface]:
        return list(self.neighbours.on)

    def is_troubled(self) -> bool:
        return self.wandering.trouble is not None

    async def _around(self) -> tuple[Interface, ...]:
        return self.on


def test_on_a_strange_network_nothing_is_said_until_its_owner_says_so_and_that_is_remembered(tmp_path: Path) -> None:
    async def steps() -> None:
        lan = MemoryLan()
        machine = Machine(tmp_path, lan, HOME)
        await machine.neighbours.announce(Advert(1, "0" * 16, bytes(32), 1))
        await machine.wandering.look()
        assert machine.hears() == []
        assert await machine.wandering.trust() == (KNOWN,)
        assert machine.hears() == [HOME]
        assert await machine.wandering.trust() == ()
        again = Machine(tmp_path, lan, HOME)
        await again.wandering.look()
        assert again.hears() == [HOME]

    asyncio.run(steps())


def test_who_carries_it_into_a_cafe_falls_silent_at_the_next_look_and_at_home_speaks_again(tmp_path: Path) -> None:
    async def steps() -> None:
        machine = Machine(tmp_path, MemoryLan(), HOME)
        told: list[Change] = []
        machine.wandering.when_changed(told.append)
        await machine.wandering.look()
        await machine.wandering.trust()
        machine.on = (CAFE,)
        await machine.wandering.look()
        assert machine.hears() == []
        assert machine.wandering.stance.quiet_on == (CAFE,)
        machine.on = (HOME,)
        await machine.wandering.look()
        assert machine.hears() == [HOME]
        assert len(told) == 3

    asyncio.run(steps())


def test_a_network_whose_router_has_not_told_who_it_is_cannot_be_trusted_yet(tmp_path: Path) -> None:
    async def steps() -> None:
        machine = Machine(tmp_path, MemoryLan(), HOME._replace(router_mac=""))
        await machine.wandering.look()
        assert await machine.wandering.trust() == ()
        assert machine.hears() == []

    asyncio.run(steps())


def test_what_could_not_be_done_is_tried_again(tmp_path: Path) -> None:
    async def steps() -> None:
        machine = Machine(tmp_path, MemoryLan(), HOME)
        (tmp_path / "networks").write_bytes(written((KNOWN,)))
        machine.neighbours.is_refused = True
        machine.wandering = Wandering(tmp_path / "networks", machine.neighbours, machine._around)
        await machine.wandering.look()
        assert machine.is_troubled()
        machine.neighbours.is_refused = False
        await machine.wandering.look()
        assert not machine.is_troubled()
        assert machine.hears() == [HOME]

    asyncio.run(steps())

"""What is said of meshes that are here already, and what of them is counted."""

from __future__ import annotations

from odyssey.cli.around import told
from odyssey.looking import Nearby, nearby
from odyssey.mesh.discovery.adverts import Advert, instance
from odyssey.mesh.discovery.interfaces import made
from odyssey.mesh.discovery.sightings import Found

LAN = (made("eth0", "10.0.0.1/24"), made("wlan0", "192.168.1.5/24", "fe80::5/64"))


def found(number: int, *addresses: str, key: int = 0) -> Found:
    advert = Advert(1, "0123456789abcdef", bytes([key or number]) * 32, 7660)
    return Found(instance(bytes([number]) * 8), advert, addresses)


def test_a_machine_that_is_seen_on_two_networks_is_one() -> None:
    seen = [found(1, "10.0.0.2"), found(2, "192.168.1.6", key=1), found(3, "fe80::6%wlan0")]
    assert nearby(LAN, "t", seen) == Nearby("t", 2, ("eth0", "wlan0"))


def test_how_many_and_where_is_said() -> None:
    assert told([Nearby("t", 2, ("eth0",))]) == "is a mesh here already (2 machines, seen on eth0)"
    assert told([Nearby("t", 1, ())]) == "is a mesh here already (1 machine)"
    assert told([Nearby("t", 1, ()), Nearby("u", 1, ())]) == "are 2 meshes here already"

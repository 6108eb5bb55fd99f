"""Where a machine listens: what its owner says, what is found, and which addresses that comes to."""

from __future__ import annotations

import pytest

from odyssey.errors import UsageError
from odyssey.mesh.discovery.interfaces import made
from odyssey.mesh.discovery.listening import JOIN_PORT, LOOPBACK, MOST, STEP, Spot, hosts, plan, read, told, written
from odyssey.mesh.discovery.networks import Posture

CABLE = made("eth0", "192.168.1.20/24", "fd00:1::20/64", "fe80::20/64", router="192.168.1.1")
CAFE = made("wlan0", "10.0.0.7/24", router="10.0.0.1")
TUNNEL = made("wg0", "10.9.0.2/24", has_multicast=False)
HERE = Posture((CABLE,), (CAFE,))
ALL = (CABLE, CAFE, TUNNEL, made("lo", "127.0.0.1/8"))


def test_what_is_read_is_what_is_written() -> None:
    for text in ("0.0.0.0:7660", "127.0.0.1:0", "[fd00::1]:80", "192.168.1.5:65531"):
        assert written(read(text)) == text
    assert read("[::]:7660") == Spot("0.0.0.0", 7660)


@pytest.mark.parametrize(
    "text",
    [
        *("", "7660", ":7660", "nova:7660", "localhost:0", "10.0.0.1", "10.0.0.1:", "10.0.0.1:x", "10.0.0.1:-1"),
        *("10.0.0.1:65533", "10.0.0.1:99999", "224.0.0.1:7660", "10.0.0.1:７６６０", "10.0.0.1:000000"),
    ],
)
def test_what_is_no_place_to_listen_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    assert caught.value.hint


def test_nobody_asked_so_the_usual_ports_then_the_next() -> None:
    first = plan("", "")
    assert (first.is_everywhere, first.is_fixed, first.ports[:2]) == (True, False, (JOIN_PORT, JOIN_PORT + STEP))


def test_the_ports_of_last_time_come_first() -> None:
    assert plan("", "0.0.0.0:7680").ports[:2] == (7680, 7660)
    assert plan("", "127.0.0.1:4711").ports[0] == JOIN_PORT  # of another place
    assert plan("127.0.0.1:0", "127.0.0.1:4711").ports == (4711,)
    assert plan("127.0.0.1:0", "").ports == ()


def test_what_its_owner_asks_for_is_the_only_one() -> None:
    fixed = plan("0.0.0.0:80", "0.0.0.0:7660")
    assert (fixed.ports, fixed.is_fixed) == ((80,), True)


def test_it_listens_on_networks_that_it_knows_on_tunnels_and_at_its_own_door() -> None:
    assert hosts(plan("", ""), HERE, ALL) == (LOOPBACK, "192.168.1.20", "fd00:1::20", "10.9.0.2")
    assert hosts(plan("", ""), Posture(), (CABLE,)) == (LOOPBACK,)


def test_an_address_that_was_asked_for_is_listened_at_wherever_that_is() -> None:
    assert hosts(plan("10.0.0.7:7660", ""), HERE, ALL) == ("10.0.0.7",)


def test_a_cable_from_machine_to_machine_has_link_local_addresses_only() -> None:
    alone = made("eth1", "169.254.3.4/16", "fe80::4/64")
    assert hosts(plan("", ""), Posture((alone,)), (alone,)) == (LOOPBACK, "169.254.3.4", "fe80::4%eth1")


def test_a_crowd_of_addresses_is_not_listened_at() -> None:
    many = made("eth0", *(f"10.1.{n}.1/24" for n in range(50)))
    assert len(hosts(plan("", ""), Posture((many,)), (many,))) == MOST


def test_others_are_told_where_it_listens_and_never_of_its_loopback() -> None:
    assert told(plan("", ""), (LOOPBACK, "192.168.1.20", "10.9.0.2"), ALL) == ("192.168.1.20", "10.9.0.2")
    assert told(plan("", ""), (LOOPBACK,), ALL) == ()
    assert told(plan("127.0.0.1:0", ""), (LOOPBACK,), ()) == (LOOPBACK,)

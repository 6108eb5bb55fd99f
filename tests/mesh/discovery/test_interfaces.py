"""Which interfaces lead to a LAN, what an invite may hold, who is within reach."""

from __future__ import annotations

import pytest

from odyssey.mesh.discovery.interfaces import MOST_OFFERED, is_from, lans, made, offered, told, within_reach

CABLE = made("eth0", "192.168.1.20/24", "fd00:1::20/64", "fe80::20/64", router="192.168.1.1")
TAILSCALE = made("tailscale0", "100.101.102.103/32", "fd7a:115c:a1e0::1/128", has_multicast=False)
WIREGUARD = made("wg0", "10.9.0.2/24", has_multicast=False)


def names(*interfaces: object) -> list[str]:
    return [one.name for one in lans(interfaces)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["docker0", "br-3f2a1c", "veth12ab", "virbr0", "vmnet8", "bridge100", "cni0", "podman0", "awdl0", "llw0", "lxdbr0"],
)
def test_what_serves_containers_and_the_system_itself_is_no_lan(name: str) -> None:
    assert names(made(name, "172.17.0.1/16")) == []


@pytest.mark.parametrize("name", ["tun0", "tap0", "wg0", "wg-home", "utun3", "tailscale0", "ppp0", "zt5u4y"])
def test_a_tunnel_is_no_lan_even_if_everything_goes_through_it(name: str) -> None:
    assert names(made(name, "10.9.0.2/24", router="10.9.0.1")) == []


@pytest.mark.parametrize("name", ["eth0", "enp3s0", "wlan0", "wlp2s0", "en0", "br0", "vmbr0", "bond0", "eno1", "usb0"])
def test_cables_and_radios_are(name: str) -> None:
    assert names(made(name, "192.168.1.5/24")) == [name]


def test_a_bridge_between_a_machine_and_its_router_is_as_good_as_a_cable() -> None:
    assert names(made("br-lan", "192.168.1.5/24", router="192.168.1.1")) == ["br-lan"]


def test_a_loopback_is_none_whatever_it_is_called() -> None:
    assert names(made("lo", "127.0.0.1/8", "10.5.5.5/32"), made("lo0", "::1/128"), made("odd", "127.0.0.2/8")) == []


def test_without_cable_multicast_or_address_there_is_none() -> None:
    assert names(made("eth0", "192.168.1.5/24", is_up=False), made("eth1", "10.0.0.1/8", has_multicast=False)) == []
    assert names(made("eth0")) == []


def test_the_one_that_leads_to_the_router_is_first() -> None:
    assert names(made("eth0", "10.0.0.1/24"), CABLE._replace(name="eth1")) == ["eth1", "eth0"]


def test_an_invite_holds_one_address_of_each_kind_before_a_second_of_any() -> None:
    second = made("wlan0", "192.168.2.20/24")
    assert offered([TAILSCALE, CABLE, second, WIREGUARD]) == (
        "192.168.1.20",
        "100.101.102.103",
        "fd00:1::20",
        "192.168.2.20",
    )
    assert len(offered([TAILSCALE, CABLE, second, WIREGUARD])) == MOST_OFFERED


def test_tunnels_are_offered_and_bridges_loopbacks_and_link_local_addresses_are_not() -> None:
    assert offered([WIREGUARD]) == ("10.9.0.2",)
    assert offered([made("docker0", "172.17.0.1/16"), made("lo", "127.0.0.1/8"), made("eth0", "fe80::1/64")]) == ()
    assert offered([WIREGUARD._replace(is_up=False)]) == ()


def test_an_address_of_tailscale_makes_a_tunnel_of_whatever_has_it() -> None:
    assert names(made("eth7", "100.64.0.1/10")) == []
    assert offered([made("eth7", "100.64.0.1/10")]) == ("100.64.0.1",)


def test_who_is_behind_a_router_is_not_called_on_anybodys_word() -> None:
    said = [
        "192.168.1.7",
        "8.8.8.8",
        "127.0.0.1",
        "::1",
        "224.0.0.1",
        "0.0.0.0",
        "fd00:1::7",
        "2001:db8::1",
        "junk",
        "",
    ]
    assert within_reach(said, lans([CABLE])) == ("192.168.1.7", "fd00:1::7")


def test_a_machine_does_not_call_itself() -> None:
    assert within_reach(["192.168.1.20", "fd00:1::20"], lans([CABLE])) == ()


def test_a_link_local_address_is_called_through_its_own_interface() -> None:
    assert within_reach(["fe80::9%2", "fe80::9"], lans([CABLE])) == ("fe80::9%eth0",)


def test_a_datagram_is_from_a_lan_by_its_source_and_a_link_local_one_by_where_it_came_in() -> None:
    lan = lans([CABLE])
    for source in ("192.168.1.7", "::ffff:192.168.1.7", "fd00:1::7"):
        assert is_from(source, "", lan)
    for source in ("192.168.2.7", "::ffff:192.168.2.7", "8.8.8.8", "127.0.0.1", "fd00:2::7", "fe80::7", "junk", ""):
        assert not is_from(source, "", lan)
    assert is_from("fe80::7%eth0", "eth0", lan)
    assert not is_from("fe80::7%wlan0", "wlan0", lan)


def test_people_read_the_network_that_says_most() -> None:
    assert told(CABLE) == "eth0 192.168.1.0/24"
    assert told(made("eth0", "fe80::1/64", "2001:db8::5/64")) == "eth0 2001:db8::/64"

"""Which of a machine's interfaces lead to a LAN, and which addresses an invite may hold.

What it is told of them is data; names say what an interface is for, since that is all that every system tells alike.
Promises: a loopback, a bridge of containers, a tunnel is never taken for a LAN; what the way to the router goes through
is none of containers, whatever it is called.
Never: looks at a system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Final, NamedTuple

MOST_OFFERED: Final = 4
Address = IPv4Interface | IPv6Interface

# Of containers, virtual machines and the system itself (awdl, llw, anpi: macOS).
_VIRTUAL: Final = re.compile(
    r"(docker|br-|bridge|veth|virbr|vmnet|vboxnet|vnet|cni|cbr|flannel|cali|podman|lxc|lxdbr|incusbr|kube|dummy|ifb"
    r"|awdl|llw|anpi|nan)[\w.-]*$"
)
_TUNNEL: Final = re.compile(r"(tun|tap|utun|wg|tailscale|zt|ppp|ipsec|nebula|gif|stf|sit|gre|vti)\d*[\w.-]*$")
_SHARED: Final = ip_network("100.64.0.0/10")  # where Tailscale numbers its machines


class Interface(NamedTuple):
    name: str
    is_up: bool  # with a cable in it, or its radio connected
    has_multicast: bool
    addresses: tuple[Address, ...]
    router: str = ""  # the address of the router that is reached through it, if one is
    router_mac: str = ""  # where this machine can tell


def made(name: str, *addresses: str, **more: bool | str) -> Interface:
    """For what is known of one: up and with multicast, if nothing else is said."""
    rest = {"is_up": True, "has_multicast": True, **more}
    return Interface(name=name, addresses=tuple(ip_interface(one) for one in addresses), **rest)  # type: ignore[arg-type]


# -- what they are for -------------------------------------------------------------------------------------------------


def is_tunnel(one: Interface) -> bool:
    return _TUNNEL.match(one.name) is not None or any(_is_shared(address) for address in one.addresses)


def is_virtual(one: Interface) -> bool:
    """A bridge that somebody has put between a machine and its router is as good as a cable."""
    return _VIRTUAL.match(one.name) is not None and not one.router


def is_loopback(one: Interface) -> bool:
    return re.match(r"lo\d*$", one.name) is not None or any(address.ip.is_loopback for address in one.addresses)


def lans(interfaces: Iterable[Interface]) -> tuple[Interface, ...]:
    """Those on which others may be found, with the addresses that others may be told."""
    found = (one._replace(addresses=tuple(_told(one))) for one in interfaces if _may_carry(one))
    return tuple(sorted((one for one in found if one.addresses), key=lambda one: (not one.router, one.name)))


def _may_carry(one: Interface) -> bool:
    return one.is_up and one.has_multicast and not (is_loopback(one) or is_virtual(one) or is_tunnel(one))


def _told(one: Interface) -> Iterator[Address]:
    yield from (address for address in one.addresses if _is_somebodys(address))


def _is_somebodys(address: Address) -> bool:
    ip = address.ip
    return not (ip.is_loopback or ip.is_unspecified or ip.is_multicast or _is_shared(address))


def _is_shared(address: Address) -> bool:
    return address.version == 4 and address.ip in _SHARED


# -- what an invite holds ----------------------------------------------------------------------------------------------


def offered(interfaces: Sequence[Interface]) -> tuple[str, ...]:
    """Where this machine can be called, the likeliest first. A link-local address means nothing elsewhere."""
    near = [str(address.ip) for one in lans(interfaces) for address in one.addresses if not address.ip.is_link_local]
    up = (one for one in interfaces if one.is_up and is_tunnel(one) and not is_loopback(one))
    far = [str(address.ip) for one in up for address in one.addresses if not address.ip.is_link_local]
    fours, sixes = _by_version(near)
    # One of each kind before a second of any: whoever is invited may have one of them only.
    order = (*fours[:1], *far[:1], *sixes[:1], *fours[1:], *far[1:], *sixes[1:])
    return tuple(dict.fromkeys(order))[:MOST_OFFERED]


def _by_version(addresses: Iterable[str]) -> tuple[list[str], list[str]]:
    found = list(addresses)
    return [one for one in found if ":" not in one], [one for one in found if ":" in one]


# -- who is within reach -----------------------------------------------------------------------------------------------


def within_reach(addresses: Iterable[str], interfaces: Sequence[Interface]) -> tuple[str, ...]:
    """Of what somebody on the LAN says of itself: what is on our side of every router. Nobody's word makes this machine
    call a stranger in the internet, itself, or a machine behind a tunnel."""
    found = (_near(text, interfaces) for text in addresses)
    return tuple(dict.fromkeys(text for text in found if text is not None))


def _near(text: str, interfaces: Sequence[Interface]) -> str | None:
    bare = text.partition("%")[0]
    try:
        ip = ip_address(bare)
    except ValueError:
        return None
    if ip.is_loopback or ip.is_multicast or ip.is_unspecified:
        return None
    for one in interfaces:
        for mine in one.addresses:
            if ip.version == mine.version and ip in mine.network and ip != mine.ip:
                return f"{bare}%{one.name}" if ip.version == 6 and ip.is_link_local else bare
    return None


def is_from(text: str, scope: str, interfaces: Sequence[Interface]) -> bool:
    """Was a datagram with this source sent on one of these? `scope`: the interface that a link-local one came in by."""
    try:
        ip = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if ip.version == 6 and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.version == 6 and ip.is_link_local:
        return any(one.name == scope for one in interfaces)
    return any(ip in mine.network for one in interfaces for mine in one.addresses if mine.version == ip.version)


def told(one: Interface) -> str:
    """For people: `eth0 192.168.1.0/24`."""
    return f"{one.name} {subnet(one)}".rstrip()


def subnet(one: Interface) -> str:
    """The network it is on, by the address that says most about it: an IPv4 one, else one that is not link-local."""
    ranked = sorted(one.addresses, key=lambda address: (address.ip.is_link_local, address.version))
    return str(ranked[0].network) if ranked else ""

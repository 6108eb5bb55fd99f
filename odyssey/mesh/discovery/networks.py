"""Known networks and strange ones. On a strange one a machine is quiet: it announces nothing, hears nothing, and dials
members that it knows, no more.

A network is known when a member was met on it, or its owner has said so. It is told by its router and its subnet: the
subnet alone is the same in half of all cafés.
Promises: a network whose router is not seen is not the one that had a router; damage to what is remembered makes known
networks strange, never strange ones known.
Never: reads or writes a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Final, NamedTuple

from odyssey.mesh.discovery.interfaces import Interface, lans, subnet

MOST_KNOWN: Final = 256
_MAC: Final = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_HEAD: Final = "odyssey networks 1"


class Network(NamedTuple):
    subnet: str
    router: str = ""  # its hardware address; empty: there is none


class Posture(NamedTuple):
    """What a machine does on the networks that it is on."""

    open_on: tuple[Interface, ...] = ()
    quiet_on: tuple[Interface, ...] = ()


def network_of(one: Interface) -> Network | None:
    """None: its router is there but has not told its hardware address yet, so this may be any network."""
    if one.router and not _MAC.fullmatch(one.router_mac):
        return None
    return Network(subnet(one), one.router_mac if one.router else "")


def posture(interfaces: Iterable[Interface], known: frozenset[Network] | set[Network]) -> Posture:
    open_on, quiet_on = list[Interface](), list[Interface]()
    for one in lans(interfaces):
        (open_on if network_of(one) in known else quiet_on).append(one)
    return Posture(tuple(open_on), tuple(quiet_on))


def with_known(known: Sequence[Network], network: Network) -> tuple[Network, ...]:
    """The newest last; the oldest goes when there are too many."""
    return (*(one for one in known if one != network), network)[-MOST_KNOWN:]


def without(known: Sequence[Network], network: Network) -> tuple[Network, ...]:
    return tuple(one for one in known if one != network)


# -- as text -----------------------------------------------------------------------------------------------------------


def written(known: Sequence[Network]) -> bytes:
    return "".join(f"{line}\n" for line in (_HEAD, *(f"{one.subnet} {one.router}".rstrip() for one in known))).encode()


def read(data: bytes) -> tuple[Network, ...]:
    """Lines that are none are left out."""
    head, *lines = data[: 64 * MOST_KNOWN + 64].decode("ascii", "replace").split("\n")
    if head != _HEAD:
        return ()
    found = (_line(line) for line in lines[:MOST_KNOWN])
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _line(line: str) -> Network | None:
    net, _, router = line.partition(" ")
    try:
        is_one = str(ip_network(net)) == net
    except ValueError:
        return None
    return Network(net, router) if is_one and (not router or _MAC.fullmatch(router)) else None


# -- changes -----------------------------------------------------------------------------------------------------------


class Change(NamedTuple):
    appeared: tuple[str, ...]  # as `eth0 192.168.1.7`
    vanished: tuple[str, ...]


def change(before: Iterable[Interface], after: Iterable[Interface]) -> Change | None:
    """Of addresses on interfaces that are up; None: nothing that matters to anybody."""
    old, new = _places(before), _places(after)
    if old == new:
        return None
    return Change(tuple(sorted(new - old)), tuple(sorted(old - new)))


def _places(interfaces: Iterable[Interface]) -> set[str]:
    """What is behind them counts too: a cable that is put into another router changes nothing else."""
    up = [one for one in interfaces if one.is_up]
    routers = {f"{one.name} router {one.router} {one.router_mac}".rstrip() for one in up if one.router}
    return routers | {f"{one.name} {address.ip}" for one in up for address in one.addresses}

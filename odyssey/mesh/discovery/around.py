"""What interfaces this machine has just now, and which routers are behind them.

Promises: asks only this machine, and cheaply enough to be asked every few seconds; `settled` sends each router one
empty datagram, so that this machine learns its hardware address.
Never: fails: what a system does not tell is not known.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any, Final

import psutil

from odyssey.mesh.discovery import tables
from odyssey.mesh.discovery.interfaces import Address, Interface, lans

ROUTES: Final = Path("/proc/net/route")
NEIGHBOURS: Final = Path("/proc/net/arp")
PATIENCE_S: Final = 2.0
_STEP_S: Final = 0.05
_DISCARD: Final = 9


def interfaces() -> tuple[Interface, ...]:
    stats, addresses = psutil.net_if_stats(), psutil.net_if_addrs()
    routers, macs = tables.routers(_text(ROUTES)), known_neighbours()
    found = []
    for name, stat in sorted(stats.items()):
        flags = stat.flags.split(",")
        is_up = stat.isup and (not stat.flags or "running" in flags)
        router = routers.get(name, "")
        told = tuple(_addresses(addresses.get(name, ())))
        mac = macs.get((name, router), "")
        found.append(Interface(name, is_up, not stat.flags or "multicast" in flags, told, router, mac))
    return tuple(found)


def known_neighbours() -> dict[tuple[str, str], str]:
    return tables.neighbours(_text(NEIGHBOURS))


async def settled(patience_s: float = PATIENCE_S) -> tuple[Interface, ...]:
    """As `interfaces`, once each router on a LAN has told its hardware address; or as it is then."""
    deadline = asyncio.get_running_loop().time() + patience_s
    found = interfaces()
    for one in _unsettled(found):
        nudge(one.router)
    while _unsettled(found) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(_STEP_S)
        found = interfaces()
    return found


def nudge(address: str) -> None:
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        probe.sendto(b"", (address, _DISCARD))


def _unsettled(found: Iterable[Interface]) -> list[Interface]:
    return [one for one in lans(found) if one.router and not one.router_mac]


def _addresses(told: Iterable[Any]) -> Iterable[Address]:
    for one in told:
        if one.family in (socket.AF_INET, socket.AF_INET6) and one.netmask:
            with suppress(ValueError):
                bits = int(ip_address(one.netmask)).bit_count()
                yield ip_interface(f"{one.address.partition('%')[0]}/{bits}")


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""

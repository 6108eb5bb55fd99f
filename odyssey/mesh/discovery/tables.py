"""What Linux tells of routes and neighbours, as data. Elsewhere there are no such files, and nothing is known.

Promises: lines that are none are left out.
Never: opens a file.
"""

from __future__ import annotations

import sys
from ipaddress import IPv4Address
from typing import Final

_GATEWAY: Final = 0x2  # flags of a route: it goes through a router
_COMPLETE: Final = 0x2  # flags of a neighbour: its hardware address is known


def routers(routes: str) -> dict[str, str]:
    """Of /proc/net/route: by interface, the router to everywhere; the one that is preferred where there are several."""
    found: dict[str, tuple[int, str]] = {}
    for line in routes.splitlines()[1:]:
        words = line.split()
        try:
            name, target, gateway, mask = words[0], int(words[1], 16), int(words[2], 16), int(words[7], 16)
            flags, metric = int(words[3], 16), int(words[6])
        except (IndexError, ValueError):
            continue
        if target == mask == 0 and flags & _GATEWAY:
            found[name] = min(found.get(name, (metric, _address(gateway))), (metric, _address(gateway)))
    return {name: address for name, (_, address) in found.items()}


def _address(number: int) -> str:
    """The kernel writes the four bytes as one number of its own kind."""
    return str(IPv4Address((number & 0xFFFFFFFF).to_bytes(4, sys.byteorder)))


def neighbours(table: str) -> dict[tuple[str, str], str]:
    """Of /proc/net/arp: (interface, address) -> hardware address, of those that have answered."""
    found = {}
    for line in table.splitlines()[1:]:
        words = line.split()
        try:
            address, flags, hardware, name = words[0], int(words[2], 16), words[3].lower(), words[5]
        except (IndexError, ValueError):
            continue
        if flags & _COMPLETE and hardware.strip("0:"):
            found[name, address] = hardware
    return found

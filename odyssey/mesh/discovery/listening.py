"""Where a machine listens: at which of its addresses, and at which three ports: to join, for orders, for bytes.

Promises: what the owner asked for is taken as it was said, or refused; what nobody asked for is found, and is the same
again next time as long as it is free.
Never: opens a socket.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple

from odyssey.errors import UsageError, echo
from odyssey.mesh.discovery.interfaces import Interface, is_loopback, is_tunnel, offered
from odyssey.mesh.discovery.networks import Posture

JOIN_PORT: Final = 7660
PORTS: Final = 3  # that one and the two behind it
STEP: Final = 10  # the port behind the three is another one's
TRIES: Final = 32
MOST: Final = 16  # addresses
HIGHEST: Final = 65_535 - PORTS
EVERYWHERE: Final = "0.0.0.0"
LOOPBACK: Final = "127.0.0.1"
HINT: Final = f"write --listen {EVERYWHERE}:{JOIN_PORT}, or an address of this machine and a port"


class Spot(NamedTuple):
    host: str  # an address; EVERYWHERE: all that others can reach
    port: int  # to join; 0: three that are free


class Plan(NamedTuple):
    host: str
    ports: tuple[int, ...]  # to be tried, one after the other
    is_fixed: bool  # its owner said so: no other will do

    @property
    def is_everywhere(self) -> bool:
        return self.host == EVERYWHERE

    @property
    def is_here_only(self) -> bool:
        return ip_address(self.host).is_loopback


def read(text: str) -> Spot:
    """HOST:PORT, as a person writes it."""
    host, _, port = text.rpartition(":")
    try:
        ip = ip_address(host.strip("[]"))
    except ValueError:
        raise _bad(text) from None
    if ip.is_multicast or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > HIGHEST:
        raise _bad(text)
    return Spot(EVERYWHERE if ip.is_unspecified else str(ip), int(port))


def _bad(text: str) -> UsageError:
    return UsageError(f"{echo(text)} is no address to listen on", hint=HINT)


def written(spot: Spot) -> str:
    return f"[{spot.host}]:{spot.port}" if ":" in spot.host else f"{spot.host}:{spot.port}"


def plan(asked: str, found: str) -> Plan:
    """`asked`: by the owner, now or once; `found`: where it listened last. Either may be empty."""
    wish = read(asked) if asked else Spot(EVERYWHERE, 0)
    if wish.port:
        return Plan(wish.host, (wish.port,), is_fixed=True)
    last = read(found) if found else None
    kept = (last.port,) if last is not None and last.host == wish.host and last.port else ()
    usual = () if asked else tuple(range(JOIN_PORT, JOIN_PORT + TRIES * STEP, STEP))
    return Plan(wish.host, tuple(dict.fromkeys((*kept, *usual))), is_fixed=False)


def hosts(plan: Plan, stance: Posture, interfaces: Sequence[Interface]) -> tuple[str, ...]:
    """At which addresses to listen just now. Where that is everywhere, its loopback is always among them, so that the
    ports are kept while no network is there."""
    if not plan.is_everywhere:
        return (plan.host,)
    far = (one for one in interfaces if one.is_up and is_tunnel(one) and not is_loopback(one))
    found = (text for one in (*stance.open_on, *far) for text in _of(one))
    return tuple(dict.fromkeys((LOOPBACK, *found)))[:MOST]


def _of(one: Interface) -> Iterator[str]:
    """Link-local ones only where there are no others, as on a cable from machine to machine."""
    wide = [str(address.ip) for address in one.addresses if not address.ip.is_link_local]
    yield from wide
    if not wide:
        for address in one.addresses:
            yield f"{address.ip}%{one.name}" if address.version == 6 else str(address.ip)


def told(plan: Plan, listening: Sequence[str], interfaces: Sequence[Interface]) -> tuple[str, ...]:
    """Of the addresses at which it listens, those that others are told, the likeliest first."""
    if not plan.is_everywhere:
        return (plan.host,)
    return tuple(one for one in offered(interfaces) if one in listening)

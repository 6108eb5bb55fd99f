"""Asks the network why nobody answered: the router, a few neighbours, the addresses that are known, and the air.

Promises: a handful of connections to devices that this machine has already met, and one question by multicast; each
takes at most `patience_s`.
Never: walks through the addresses of a network, or sends a byte over a connection.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, Final, NamedTuple

from odyssey.mesh.discovery import around
from odyssey.mesh.discovery.interfaces import Interface, told
from odyssey.mesh.discovery.networks import Posture
from odyssey.mesh.discovery.nobody import Answer, Knock, Observed

PATIENCE_S: Final = 2.0
MOST_NEIGHBOURS: Final = 8
GROUP: Final = "224.0.0.251"
MDNS: Final = 5353
_ROUTERS_PORTS: Final = (53, 80, 443)
# The question of every service browser: which kinds of services are there? (_services._dns-sd._udp.local, PTR)
_QUESTION: Final = b"\0\0\0\0\0\1\0\0\0\0\0\0" + b"\x09_services\x07_dns-sd\x04_udp\x05local\0" + b"\0\x0c\0\1"


class Known(NamedTuple):
    name: str
    address: str
    port: int


async def observe(
    stance: Posture, known: Sequence[Known], port: int, seconds: float, patience_s: float = PATIENCE_S
) -> Observed:
    """`seconds`: how long was looked before; `port`: the one at which machines are joined."""
    ears = asyncio.create_task(heard_multicast(stance.open_on, patience_s))
    routers = [one.router for one in stance.open_on if one.router]
    others = _neighbours(stance.open_on, around.known_neighbours())
    answers = await asyncio.gather(
        *(_router_answers(router, patience_s) for router in routers),
        *(_is_there(address, port, patience_s) for address in others),
    )
    knocks = await asyncio.gather(*(knocked(one, patience_s) for one in known))
    return Observed(
        looked_on=tuple(told(one) for one in stance.open_on),
        quiet_on=tuple(told(one) for one in stance.quiet_on),
        seconds=seconds,
        router_answers=_any(answers[: len(routers)]),
        others_answer=any(answers[len(routers) :]),
        heard_multicast=await ears if stance.open_on else None,
        knocks=tuple(knocks),
        system=sys.platform,
    )


def _any(answers: Sequence[bool | None]) -> bool | None:
    """True if one does; False if all that could be asked do not."""
    if any(answers):
        return True
    return False if False in answers else None


# -- one device --------------------------------------------------------------------------------------------------------


async def knocked(one: Known, patience_s: float = PATIENCE_S) -> Knock:
    return Knock(one.name, one.address, one.port, await answer(one.address, one.port, patience_s))


async def answer(address: str, port: int, patience_s: float = PATIENCE_S) -> Answer:
    try:
        async with asyncio.timeout(patience_s):
            _, writer = await asyncio.open_connection(address, port)
        writer.close()
        return Answer.OPEN
    except ConnectionRefusedError:
        return Answer.CLOSED
    except (TimeoutError, OSError) as error:
        if getattr(error, "errno", None) in (errno.EPERM, errno.EACCES) or _is_kept_from_us(error):
            return Answer.BLOCKED
        return Answer.SILENT if _has_hardware(address) else Answer.NOTHING


def _is_kept_from_us(error: BaseException) -> bool:
    """macOS says that there is no way to a host of the LAN, when it does not let a program go there."""
    return sys.platform == "darwin" and getattr(error, "errno", None) == errno.EHOSTUNREACH


def _has_hardware(address: str) -> bool:
    """It has answered who has this address: then something is there, whatever it does with what it is sent."""
    return any(ip == address for _, ip in around.known_neighbours())


async def _is_there(address: str, port: int, patience_s: float) -> bool:
    return await answer(address, port, patience_s) in (Answer.OPEN, Answer.CLOSED)


async def _router_answers(address: str, patience_s: float) -> bool | None:
    """None: it is there, and says nothing to anybody."""
    answers = await asyncio.gather(*(answer(address, port, patience_s) for port in _ROUTERS_PORTS))
    if Answer.OPEN in answers or Answer.CLOSED in answers:
        return True
    return None if Answer.SILENT in answers else False


def _neighbours(lan: Iterable[Interface], table: Mapping[tuple[str, str], str]) -> list[str]:
    """Those that this machine has met; the router is asked by itself."""
    routers = {one.name: one.router for one in lan}
    found = [address for name, address in table if name in routers and address != routers[name]]
    return sorted(found)[:MOST_NEIGHBOURS]


# -- the air -----------------------------------------------------------------------------------------------------------


class _Ears(asyncio.DatagramProtocol):
    def __init__(self, own: Iterable[str]) -> None:
        self._own = set(own)
        self.heard = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """What it says does not matter: that it came does."""
        del data
        if addr[0] not in self._own:
            self.heard.set()


async def heard_multicast(lan: Sequence[Interface], patience_s: float = PATIENCE_S) -> bool | None:
    """Asks all devices for what they offer; did anything come from any of them? None: it could not be asked."""
    own = [str(address.ip) for one in lan for address in one.addresses if address.version == 4]
    if not own:
        return None
    try:
        sock = _socket(own)
    except OSError:
        return None
    loop = asyncio.get_running_loop()
    transport, ears = await loop.create_datagram_endpoint(lambda: _Ears(own), sock=sock)
    with closing(transport), suppress(TimeoutError):
        for address in own:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
            transport.sendto(_QUESTION, (GROUP, MDNS))
        async with asyncio.timeout(patience_s):
            await ears.heard.wait()
    return ears.heard.is_set()


def _socket(own: Sequence[str]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        sock.bind((GROUP, MDNS))  # what others of this machine are sent stays theirs
        for address in own:
            member = socket.inet_aton(GROUP) + socket.inet_aton(address)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock

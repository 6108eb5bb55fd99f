"""One machine is asked straight what it says of itself: where multicast does not get, but its address is known.

A datagram to the number of its join port, and one back with its advert. That is a hint, as an advert is: whoever
answers shows at the door who it is, and only codes that people compare say whether it is the one that was meant.

Promises: an answer is never longer than its question, so that nobody is flooded by way of this machine; so many a
second, and no more.
Never: says more than the advert, or hears anything but the question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

from odyssey.clock import Clock
from odyssey.mesh.discovery.adverts import LONGEST, Advert, BadAdvert, read, written
from odyssey.mesh.links.limits import Meter

QUESTION: Final = b"odyssey-who-v1\0"
ANSWER: Final = b"odyssey-here-v1\0"
SIZE: Final = len(ANSWER) + LONGEST  # of a question
A_SECOND: Final = 20
BURST: Final = 40
AGAIN_S: Final = 0.4  # a datagram may be lost
SECONDS: Final = 3.0


class Called(NamedTuple):
    """A join socket, as its machine says."""

    advert: Advert
    host: str
    port: int


def question() -> bytes:
    return QUESTION.ljust(SIZE, b"\0")


def is_question(data: bytes) -> bool:
    return data == question()


def answer(advert: Advert) -> bytes:
    return ANSWER + written(advert)


def heard(data: bytes) -> Advert | None:
    """None: that is no answer."""
    if not data.startswith(ANSWER):
        return None
    try:
        return read(data.removeprefix(ANSWER))
    except BadAdvert:
        return None


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, advert: Advert, clock: Clock) -> None:
        self._answer, self._clock = answer(advert), clock
        self._meter = Meter(A_SECOND, BURST, clock.monotonic_ms())
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # not one by its type, in Python 3.11

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if self._transport is not None and is_question(data) and self._meter.take(1, self._clock.monotonic_ms()):
            self._transport.sendto(self._answer, addr)


async def listen(host: str, advert: Advert, clock: Clock) -> asyncio.DatagramTransport:
    """Until it is closed. Raises OSError where another program has the port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Answering(advert, clock), local_addr=(host, advert.port)
    )
    return transport


class _Asking(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.found: asyncio.Future[Advert] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:  # noqa: ARG002 - as asyncio calls it
        if not self.found.done() and (advert := heard(data)) is not None:
            self.found.set_result(advert)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there, or no way leads there; the time runs out."""


async def call(host: str, port: int, seconds: float = SECONDS) -> Called | None:
    """None: nobody answers. `host` is an address."""
    loop = asyncio.get_running_loop()
    try:
        transport, asking = await loop.create_datagram_endpoint(_Asking, remote_addr=(host, port))
    except OSError:  # no way leads there
        return None
    try:
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            transport.sendto(question())
            done, _ = await asyncio.wait([asking.found], timeout=min(AGAIN_S, left))
            if done:
                return Called(asking.found.result(), host, port)
        return None
    finally:
        transport.close()


async def call_all(addresses: Sequence[tuple[str, int]], seconds: float = SECONDS) -> tuple[Called, ...]:
    """All at once, and those that answer."""
    return tuple(one for one in await asyncio.gather(*(call(*one, seconds) for one in addresses)) if one is not None)

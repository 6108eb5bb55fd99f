"""Neighbours by multicast DNS: the only module that knows zeroconf, which takes half a second and 16 MB to import.

Promises: says nothing but an advert under a random name, with addresses of the interfaces it was given; what others say
is looked through before it counts; a crowd of services that never answer costs the others no time.
Never: hears or answers what comes in by another interface.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from zeroconf import Error as ZeroconfError
from zeroconf import ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from odyssey.clock import Entropy
from odyssey.mesh.discovery.adverts import SERVICE, TOKEN_BYTES, Advert, instance, is_instance, written
from odyssey.mesh.discovery.interfaces import Interface, is_from
from odyssey.mesh.discovery.neighbours import Neighbours, NotHeard
from odyssey.mesh.discovery.sightings import Found, Sightings

ASK_MS: Final = 1000
MOST_ASKED: Final = 64  # services at once that have told half of what they should
# Linux hands a socket what any program has joined, on any interface, unless it is told not to.
_ONLY_OURS: Final = ((socket.IPPROTO_IP, 49), (socket.IPPROTO_IPV6, 29))


class Mdns(Neighbours):
    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._seen = Sightings()
        self._lan: tuple[Interface, ...] = ()
        self._advert: Advert | None = None
        self._said: AsyncServiceInfo | None = None
        self._saying: asyncio.Future[None] | None = None
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._call: Callable[[], None] = lambda: None

    # -- the port ------------------------------------------------------------------------------------------------------

    async def be_on(self, lan: Sequence[Interface]) -> None:
        if tuple(lan) == self._lan:
            return
        await self._fall_silent()
        if lan:
            try:
                await self._begin(tuple(lan))
            except (OSError, RuntimeError, ZeroconfError) as error:
                await self._fall_silent()
                hint = "is another program alone on UDP port 5353? odyssey join takes an invite without it"
                raise NotHeard(f"multicast DNS cannot be used: {error}", hint=hint) from error

    async def announce(self, advert: Advert | None) -> None:
        self._advert = advert
        if self._zeroconf is not None:
            await self._unsay()
            await self._say()

    def found(self) -> tuple[Found, ...]:
        return self._seen.all()

    def when_changed(self, call: Callable[[], None]) -> None:
        self._call = call

    async def close(self) -> None:
        await self._fall_silent()

    # -- speaking ------------------------------------------------------------------------------------------------------

    async def _begin(self, lan: tuple[Interface, ...]) -> None:
        self._zeroconf = AsyncZeroconf(interfaces=list(places(lan)))
        zeroconf = self._zeroconf.zeroconf
        await zeroconf.async_wait_for_start()
        _keep_to(lan, zeroconf)
        self._lan = lan
        self._browser = AsyncServiceBrowser(zeroconf, SERVICE, handlers=[self._heard])
        await self._say()

    async def _say(self) -> None:
        """Without asking first whether somebody has the name: it is 64 bits of chance, and asking takes a second. A new
        one each time: others take for the same what comes back a moment after its goodbye, and tell nobody."""
        if self._zeroconf is None or self._advert is None:
            return
        token = self._entropy.token(TOKEN_BYTES)
        self._seen.own = instance(token)
        self._said = AsyncServiceInfo(
            SERVICE,
            self._seen.own,
            port=self._advert.port,
            properties=written(self._advert),
            server=f"{token.hex()}.local.",
            parsed_addresses=[str(address.ip) for one in self._lan for address in one.addresses],
        )
        self._saying = asyncio.ensure_future(
            await self._zeroconf.async_register_service(self._said, cooperating_responders=True)
        )

    def _say_no_more(self) -> None:
        """It is said three times, so that it is not lost: never after the goodbye."""
        if self._saying is not None:
            self._saying.cancel()
            self._saying = None

    async def _unsay(self) -> None:
        self._say_no_more()
        if self._zeroconf is not None and self._said is not None:
            said, self._said = self._said, None
            await (await self._zeroconf.async_unregister_service(said))

    async def _fall_silent(self) -> None:
        self._say_no_more()
        for task in self._asking.values():
            task.cancel()
        self._asking.clear()
        if self._browser is not None:
            await self._browser.async_cancel()
        if self._zeroconf is not None:
            with suppress(OSError):  # an interface that has gone cannot carry the goodbye
                await self._zeroconf.async_close()
        self._zeroconf, self._browser, self._said, self._lan = None, None, None, ()
        had = self._seen.all()
        self._seen = Sightings()
        if had:
            self._call()

    # -- hearing -------------------------------------------------------------------------------------------------------

    def _heard(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if service_type != SERVICE or not is_instance(name) or self._zeroconf is None:
            return
        if state_change is ServiceStateChange.Removed:
            self._forget(name)
            return
        told = AsyncServiceInfo(SERVICE, name)
        if told.load_from_cache(zeroconf):
            self._take(told)
        elif name not in self._asking and len(self._asking) < MOST_ASKED:
            task = asyncio.get_running_loop().create_task(self._ask(zeroconf, told))
            self._asking[name] = task
            task.add_done_callback(lambda _, name=name: self._asking.pop(name, None))  # type: ignore[misc]

    async def _ask(self, zeroconf: Zeroconf, told: AsyncServiceInfo) -> None:
        if await told.async_request(zeroconf, ASK_MS):
            self._take(told)

    def _take(self, told: AsyncServiceInfo) -> None:
        if self._seen.see(told.name, told.text, told.port or 0, told.parsed_scoped_addresses(), self._lan):
            self._call()

    def _forget(self, name: str) -> None:
        if self._seen.lose(name):
            self._call()


def places(lan: Sequence[Interface]) -> list[str]:
    """Where to speak: at each IPv4 address, and at one of IPv6 of each interface, link-local if there is one."""
    found = []
    for one in lan:
        found += [str(address.ip) for address in one.addresses if address.version == 4]
        sixes = sorted(
            (address.ip for address in one.addresses if address.version == 6), key=lambda ip: not ip.is_link_local
        )
        found += [str(ip) for ip in sixes[:1]]
    return found


def _keep_to(lan: Sequence[Interface], zeroconf: Zeroconf) -> None:
    """Its socket is one for all interfaces, and would answer whoever asks this machine straight."""
    for wrapped in {id(one.transport): one for one in (*zeroconf.engine.readers, *zeroconf.engine.senders)}.values():
        transport: Any = wrapped.transport
        transport.set_protocol(_Gate(transport.get_protocol(), lan))
        if sys.platform == "linux":
            for level, option in _ONLY_OURS:
                with suppress(OSError):  # of the other family
                    transport.get_extra_info("socket").setsockopt(level, option, 0)


class _Gate(asyncio.DatagramProtocol):
    def __init__(self, inner: asyncio.DatagramProtocol, lan: Sequence[Interface]) -> None:
        self._inner, self._lan = inner, lan

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if is_from(addr[0], _scope(addr), self._lan):
            self._inner.datagram_received(data, addr)

    def error_received(self, exc: Exception) -> None:
        self._inner.error_received(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)


def _scope(addr: tuple[Any, ...]) -> str:
    try:
        return socket.if_indextoname(addr[3]) if len(addr) > 3 and addr[3] else ""
    except OSError:  # it has just gone
        return ""

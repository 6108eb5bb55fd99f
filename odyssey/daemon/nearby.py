"""This machine on the networks of now: which of them it knows, what it says there, and whom it sees.

Promises: on a network that is not known nothing is said and nothing listens; one on which a member was met is known
from then on.
Never: believes what it sees.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from odyssey.api.views import NetworkList, NetworkView
from odyssey.errors import OdysseyError, UsageError, echo
from odyssey.mesh.discovery import around, networks
from odyssey.mesh.discovery.adverts import Advert
from odyssey.mesh.discovery.interfaces import Interface, lans, subnet
from odyssey.mesh.discovery.neighbours import Neighbours
from odyssey.mesh.discovery.sightings import Found
from odyssey.mesh.discovery.wandering import STEP_S, Wandering
from odyssey.mesh.sidefiles import refused
from odyssey.paths import Home

TRUSTING: Final = 12  # looks, until every router has told which it is
FIRST_S: Final = 10.0  # so long somebody who asks waits for the first look
_log: Final = logging.getLogger(__name__)


class Nearby:
    """`moved` is told after each look, `saw` whoever was seen."""

    def __init__(
        self, home: Home, neighbours: Neighbours, moved: Callable[[], None], saw: Callable[[Sequence[Found]], None]
    ) -> None:
        self._home, self._neighbours, self._moved = home, neighbours, moved
        self._wandering = Wandering(home.networks, neighbours, around.settled)
        neighbours.when_changed(lambda: saw(neighbours.found()))
        self._turn = asyncio.Lock()
        self._looked = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._met: set[str] = set()
        self._said = ""

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        return self._wandering.interfaces

    @property
    def stance(self) -> networks.Posture:
        return self._wandering.stance

    def found(self) -> tuple[Found, ...]:
        return self._neighbours.found()

    def first(self) -> tuple[tuple[Interface, ...], networks.Posture]:
        """As far as it is known at once."""
        found = around.interfaces()
        return found, networks.posture(found, frozenset(self._wandering.known))

    def begin(self, advert: Advert, trusts: bool) -> None:
        """`trusts`: the networks of now are known: its owner has just begun or joined a mesh here."""
        self._following = asyncio.get_running_loop().create_task(self._follow(advert, trusts))

    async def _follow(self, advert: Advert, trusts: bool) -> None:
        await self._neighbours.announce(advert)
        tries = TRUSTING if trusts else 0
        while True:
            try:
                await self._look(tries > 0)
                tries = tries - 1 if self._unsettled() else 0
            except OSError as error:
                self._complain(f"known networks cannot be remembered: {error}")
            self._looked.set()
            await asyncio.sleep(STEP_S)

    def _complain(self, text: str) -> None:
        """Once, however often it is tried."""
        if text != self._said:
            _log.warning("%s", text)
            self._said = text

    def _unsettled(self) -> bool:
        """A router is there and has not told which it is."""
        return any(networks.network_of(one) is None for one in self.stance.quiet_on)

    async def _look(self, trusts: bool) -> None:
        async with self._turn:
            await self._wandering.look()
            if trusts:
                await self._wandering.trust()
            elif self._met:
                await self._wandering.trust(self._was_met_on)
        self._moved()

    def stop(self) -> None:
        """It says that it goes, and nothing more."""
        if self._closing is None:
            if self._following is not None:
                self._following.cancel()
            self._closing = asyncio.get_running_loop().create_task(self._neighbours.close())

    async def close(self) -> None:
        self.stop()
        assert self._closing is not None
        await self._closing

    # -- whom it meets -------------------------------------------------------------------------------------------------

    def meet(self, addresses: Iterable[str]) -> None:
        """Members that it talks to just now: where they are its own networks are known."""
        self._met = set(addresses)

    def _was_met_on(self, one: Interface) -> bool:
        """Straight, with no router in between."""
        return is_behind(one, self._met)

    # -- for people ----------------------------------------------------------------------------------------------------

    def notes(self) -> tuple[str, ...]:
        """Sentences for `status`."""
        remedy = "quiet here. It is mine: odyssey network trust"
        quiet = [f"New network {_named(one)}: {remedy}" for one in self.stance.quiet_on]
        trouble = self._wandering.trouble
        return (*quiet, *((f"Others are not seen here: {trouble.message}.",) if trouble is not None else ()))

    async def _ready(self) -> None:
        try:
            await asyncio.wait_for(self._looked.wait(), FIRST_S)
        except TimeoutError:
            raise OdysseyError("this machine's networks are not known yet", hint="try again in a while") from None

    async def trust(self) -> NetworkList:
        await self._ready()
        await self._change(self._wandering.trust())
        return await self.show()

    async def forget(self, which: str) -> NetworkList:
        await self._ready()
        here = {one.name: networks.network_of(one) for one in lans(self.interfaces)}
        found = [net for net in self._wandering.known if which in (net.subnet, net.router) or net == here.get(which)]
        if not found:
            raise UsageError(f"{echo(which)} is no network that is known", hint="odyssey network ls")
        for network in found:
            await self._change(self._wandering.forget(network))
        return await self.show()

    async def _change(self, change: Awaitable[object]) -> None:
        try:
            async with self._turn:
                await change
        except OSError as error:
            raise refused(self._home.networks, error) from error
        if self._closing is None:
            self._moved()

    async def show(self) -> NetworkList:
        await self._ready()
        known, here = self._wandering.known, lans(self.interfaces)
        on = [(one, networks.network_of(one)) for one in here]
        rows = [NetworkView(subnet(one), _mac(one), one.name, "known" if net in known else "new") for one, net in on]
        away = [net for net in known if net not in [net for _, net in on]]
        rows += [NetworkView(net.subnet, net.router, "", "away") for net in away]
        return NetworkList(tuple(rows))


def is_behind(one: Interface, addresses: Iterable[str]) -> bool:
    """Is any of these on its own network? What is no address is nowhere."""
    for text in addresses:
        with suppress(ValueError):
            ip = ip_address(text.partition("%")[0])
            if any(ip in mine.network for mine in one.addresses if mine.version == ip.version):
                return True
    return False


def _named(one: Interface) -> str:
    return f"{subnet(one)} ({one.name})"


def _mac(one: Interface) -> str:
    return one.router_mac if one.router else ""

"""A machine that moves: what it does on the networks that it is on, followed by looking every few seconds.

Promises: on a strange network it falls silent at the next look, before anything is said there; what could not be done
is tried again at the next look.
Never: asks the network anything but the routers for their hardware address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from odyssey.mesh.discovery import networks
from odyssey.mesh.discovery.interfaces import Interface
from odyssey.mesh.discovery.neighbours import Neighbours, NotHeard
from odyssey.mesh.discovery.networks import Change, Network, Posture
from odyssey.paths import write_whole

STEP_S: Final = 5.0
Around = Callable[[], Awaitable[tuple[Interface, ...]]]


class Wandering:
    def __init__(self, file: Path, neighbours: Neighbours, around: Around) -> None:
        """`file` remembers known networks; `around` tells this machine's interfaces."""
        self._file, self._neighbours, self._around = file, neighbours, around
        self._known = _remembered(file)
        self._seen: tuple[Interface, ...] = ()
        self.stance = Posture()
        self.trouble: NotHeard | None = None
        self._call: Callable[[Change], None] | None = None

    def when_changed(self, call: Callable[[Change], None]) -> None:
        """Addresses of this machine, or the networks that it is on."""
        self._call = call

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        return self._seen

    async def look(self) -> Change | None:
        before, self._seen = self._seen, await self._around()
        await self._take_stance()
        change = networks.change(before, self._seen)
        if change is not None and self._call is not None:
            self._call(change)
        return change

    async def follow(self, step_s: float = STEP_S) -> None:
        """Until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(step_s)

    @property
    def known(self) -> tuple[Network, ...]:
        return self._known

    async def trust(self, on: Callable[[Interface], bool] = lambda _: True) -> tuple[Network, ...]:
        """The networks of now are known from now on: their owner said so, or a member was met there. `on`: only those
        of these interfaces."""
        quiet = [one for one in self.stance.quiet_on if on(one)]
        found = tuple(net for one in quiet if (net := networks.network_of(one)) is not None)
        known = self._known
        for network in found:
            known = networks.with_known(known, network)
        if found:
            await self._remember(known)
        return found

    async def forget(self, network: Network) -> None:
        """It is strange from now on."""
        await self._remember(networks.without(self._known, network))

    async def _remember(self, known: tuple[Network, ...]) -> None:
        await asyncio.to_thread(write_whole, self._file, networks.written(known))
        self._known = known
        await self._take_stance()

    async def _take_stance(self) -> None:
        self.stance = networks.posture(self._seen, frozenset(self._known))
        try:
            await self._neighbours.be_on(self.stance.open_on)
            self.trouble = None
        except NotHeard as error:
            self.trouble = error


def _remembered(file: Path) -> tuple[Network, ...]:
    try:
        return networks.read(file.read_bytes())
    except OSError:
        return ()

"""A LAN in memory: who is on one subnet hears who else is there.

Promises: the contract of Neighbours, without a network and without time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from odyssey.mesh.discovery.adverts import Advert, instance, written
from odyssey.mesh.discovery.interfaces import Interface, subnet
from odyssey.mesh.discovery.neighbours import Neighbours, NotHeard
from odyssey.mesh.discovery.sightings import Found, Sightings


class MemoryLan:
    def __init__(self) -> None:
        self.there: list[MemoryNeighbours] = []
        self.has_multicast = True

    def tell(self) -> None:
        for one in self.there:
            one.hear()


class MemoryNeighbours(Neighbours):
    def __init__(self, lan: MemoryLan, token: bytes) -> None:
        self._lan, self.name = lan, instance(token)
        self.on: tuple[Interface, ...] = ()
        self.advert: Advert | None = None
        self._seen = Sightings(self.name)
        self._call: Callable[[], None] = lambda: None
        self.is_refused = False

    async def be_on(self, lan: Sequence[Interface]) -> None:
        if self.is_refused and lan:
            self.on = ()
            raise NotHeard("the port is taken", hint="free it")
        self.on = tuple(lan)
        if self not in self._lan.there:
            self._lan.there.append(self)
        self._lan.tell()

    async def announce(self, advert: Advert | None) -> None:
        self.advert = advert
        self._lan.tell()

    def found(self) -> tuple[Found, ...]:
        return self._seen.all()

    def when_changed(self, call: Callable[[], None]) -> None:
        self._call = call

    async def close(self) -> None:
        await self.be_on(())

    def vanish(self) -> None:
        """Without a word."""
        self._lan.there.remove(self)

    def hear(self) -> None:
        before, self._seen = self._seen.all(), Sightings(self.name)
        for one in self._lan.there:
            if one.advert is not None and self._lan.has_multicast and _subnets(one.on) & _subnets(self.on):
                addresses = [str(address.ip) for place in one.on for address in place.addresses]
                self._seen.see(one.name, written(one.advert), one.advert.port, addresses, self.on)
        if self._seen.all() != before:
            self._call()


def _subnets(interfaces: Sequence[Interface]) -> set[str]:
    return {subnet(one) for one in interfaces}

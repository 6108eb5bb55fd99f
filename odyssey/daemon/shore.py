"""Where this machine meets others: the sockets at which it listens, and the networks that lie before them.

Promises: it listens on the networks that are known, and where its owner has said so, nowhere else; where it listens is
remembered for the next time; who is told an address of this machine is told one at which it listens.
Never: lets anybody in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from odyssey.api.ports import Networks
from odyssey.api.views import NetworkList
from odyssey.clock import Entropy
from odyssey.daemon.answering import Answering
from odyssey.daemon.doors import Doors
from odyssey.daemon.later import CALM_S, Later, load
from odyssey.daemon.nearby import Nearby
from odyssey.errors import UsageError
from odyssey.mesh import company as companies
from odyssey.mesh.discovery import listening
from odyssey.mesh.discovery.adverts import VERSION, Advert
from odyssey.mesh.discovery.interfaces import Interface
from odyssey.mesh.discovery.listening import Plan, Spot
from odyssey.mesh.discovery.networks import Posture
from odyssey.mesh.discovery.sightings import Found
from odyssey.paths import Home

_MOST_MET: Final = 64


class Beach(NamedTuple):
    """What it is told of its daemon."""

    tag: str  # of the mesh
    key: bytes  # of its join socket
    is_new: bool  # its owner has just opened it, or joined: the networks of now are his
    has_joined: bool  # just now: others wait to see it
    remember: Callable[[str], None]  # where it listens
    moved: Callable[[Sequence[str]], None]  # these are its addresses now
    saw: Callable[[Sequence[Found]], None]


class Shore(Networks):
    def __init__(
        self, home: Home, entropy: Entropy, plan: Plan, doors: Doors, beach: Beach, answering: Answering
    ) -> None:
        self._plan, self._doors, self._beach, self._answering = plan, doors, beach, answering
        self._nearby: Nearby | None = None
        self.addresses: tuple[str, ...] = ()  # that others are told
        if plan.is_everywhere:
            self._nearby = Nearby(
                home, Later(partial(load, entropy), CALM_S if beach.has_joined else 0), self._follow, beach.saw
            )

    def open(self) -> None:
        """Raises CannotListen."""
        interfaces, stance = self._nearby.first() if self._nearby is not None else ((), Posture())
        self._doors.open(listening.hosts(self._plan, stance, interfaces))
        self._beach.remember(self.listen)
        self._tell(interfaces)
        if self._nearby is not None:
            self._nearby.begin(self._advert, self._beach.is_new)

    @property
    def _advert(self) -> Advert:
        return Advert(VERSION, self._beach.tag, self._beach.key, self._doors.port)

    def stop(self) -> None:
        """Nobody comes in any more; the sockets are closed by who made them."""
        if self._nearby is not None:
            self._nearby.stop()

    async def close(self) -> None:
        if self._nearby is not None:
            await self._nearby.close()

    def _follow(self) -> None:
        assert self._nearby is not None
        interfaces = self._nearby.interfaces
        self._doors.follow(listening.hosts(self._plan, self._nearby.stance, interfaces))
        self._tell(interfaces)
        self._beach.saw(self._nearby.found())

    def _tell(self, interfaces: Sequence[Interface]) -> None:
        self._answering.follow(self._doors.hosts if self._doors.lets_in else (), self._advert)
        hosts = listening.told(self._plan, self._doors.hosts, interfaces)
        addresses = tuple(companies.written(host, self._doors.port) for host in hosts)
        if addresses != self.addresses:
            self.addresses = addresses
            self._beach.moved(addresses)

    def meet(self, addresses: Iterable[str]) -> None:
        """Of members that it talks to just now."""
        if self._nearby is not None:
            self._nearby.meet(list(addresses)[:_MOST_MET])

    # -- for people ----------------------------------------------------------------------------------------------------

    @property
    def listen(self) -> str:
        return listening.written(Spot(self._plan.host, self._doors.port)) if self._doors.port else ""

    @property
    def address(self) -> str:
        return self.addresses[0] if self.addresses else ""

    def notes(self) -> tuple[str, ...]:
        trouble = self._doors.trouble
        found = (f"Others cannot come in by every address: {trouble.message}.",) if trouble is not None else ()
        return (*found, *(self._nearby.notes() if self._nearby is not None else ()))

    async def show(self) -> NetworkList:
        return self._with_address(await self._near.show())

    async def trust(self) -> NetworkList:
        return self._with_address(await self._near.trust())

    async def forget(self, which: str) -> NetworkList:
        return self._with_address(await self._near.forget(which))

    def _with_address(self, shown: NetworkList) -> NetworkList:
        return NetworkList(shown.networks, self.address)

    @property
    def _near(self) -> Nearby:
        if self._nearby is None:
            text = f"this machine listens at {self._plan.host} only, and looks at no network"
            raise UsageError(text, hint="odyssey down, then odyssey up --listen 0.0.0.0:7660")
        return self._nearby

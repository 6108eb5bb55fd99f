"""The sockets at which this machine listens: at each of its addresses the same three ports.

Promises: the ports are found once, all three of them free at every address, or the owner hears why not; an address that
goes takes its sockets with it, one that comes is listened at; what cannot be opened is tried again.
Never: decides at which addresses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from odyssey.mesh.discovery.listening import HIGHEST, Plan
from odyssey.mesh.places import CannotListen, NoSuchAddress, PortTaken, probe

CHANCES: Final = 32  # ports of the system's choice


class Links(Protocol):
    """`links.wires`."""

    def listen(self, host: str, control: int = 0, bulk: int = 0) -> object: ...

    def leave(self, host: str) -> None: ...


class Joining(Protocol):
    """`links.gate`."""

    def listen(self, host: str, port: int) -> int: ...

    def leave(self, host: str) -> None: ...


class Doors:
    def __init__(self, plan: Plan, links: Links, gate: Joining | None) -> None:
        """`gate`: where this machine may let others in."""
        self._plan, self._links, self._gate = plan, links, gate
        self.port = 0
        self.hosts: tuple[str, ...] = ()  # at which it listens
        self.trouble: CannotListen | None = None  # with the others

    @property
    def lets_in(self) -> bool:
        return self._gate is not None

    def open(self, hosts: Sequence[str]) -> int:
        """The port to join, found now. Raises CannotListen."""
        refusal: CannotListen | None = None
        for port in self._ports(hosts[0]):
            try:
                self.hosts = self._opened(hosts, port)
            except PortTaken as error:
                refusal = error
            else:
                self.port = port
                return port
        raise refusal or CannotListen("no three ports are free here", hint="odyssey up --listen 0.0.0.0:7670")

    def _ports(self, host: str) -> Iterator[int]:
        yield from self._plan.ports
        if not self._plan.is_fixed:
            for _ in range(CHANCES):
                if (port := probe(host, 0)) <= HIGHEST:
                    yield port

    def _opened(self, hosts: Sequence[str], port: int) -> tuple[str, ...]:
        """All or none, but for addresses that are not there yet."""
        opened = list[str]()
        try:
            for host in hosts:
                if self._is_open_at(host, port):
                    opened.append(host)
        except CannotListen:
            for host in opened:
                self._leave(host)
            raise
        return tuple(opened)

    def _is_open_at(self, host: str, port: int) -> bool:
        try:
            self._open_at(host, port)
        except NoSuchAddress:
            if not self._plan.is_everywhere:
                raise  # its owner has named it
            return False
        return True

    def _open_at(self, host: str, port: int) -> None:
        if self._gate is None:
            probe(host, port)  # it may let others in one day
        else:
            self._gate.listen(host, port)
        try:
            self._links.listen(host, port + 1, port + 2)
        except CannotListen:
            if self._gate is not None:
                self._gate.leave(host)
            raise

    def _leave(self, host: str) -> None:
        self._links.leave(host)
        if self._gate is not None:
            self._gate.leave(host)

    # -- later ---------------------------------------------------------------------------------------------------------

    def follow(self, hosts: Sequence[str]) -> None:
        """These are its addresses now."""
        for host in [one for one in self.hosts if one not in hosts]:
            self._leave(host)
        kept, self.trouble = [one for one in self.hosts if one in hosts], None
        for host in [one for one in hosts if one not in kept]:
            try:
                self._open_at(host, self.port)
                kept.append(host)
            except NoSuchAddress:
                pass  # an address of IPv6 is looked at for a while before it may be used
            except CannotListen as error:
                self.trouble = error
        self.hosts = tuple(one for one in hosts if one in kept)

    def let_in(self, gate: Joining) -> None:
        """From now on this machine may let others in. Raises CannotListen."""
        for host in self.hosts:
            gate.listen(host, self.port)
        self._gate = gate

    def let_nobody_in(self) -> None:
        """It may not any more."""
        if self._gate is not None:
            for host in self.hosts:
                self._gate.leave(host)
        self._gate = None

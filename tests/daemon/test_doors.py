"""The sockets at which a machine listens, on a system in memory."""

from __future__ import annotations

import pytest

from odyssey.daemon import doors as module
from odyssey.daemon.doors import Doors
from odyssey.mesh.discovery.listening import plan
from odyssey.mesh.places import CannotListen, NoSuchAddress, PortTaken

LO, LAN, NEW = "127.0.0.1", "10.0.0.1", "10.0.0.2"


class System:
    """`taken` are others' (host, port); `absent` addresses it does not have."""

    def __init__(self) -> None:
        self.taken, self.absent, self.ours = set[tuple[str, int]](), set[str](), set[tuple[str, int]]()
        self.free = 40_000

    def bind(self, host: str, port: int) -> None:
        self.probe(host, port)
        self.ours.add((host, port))

    def probe(self, host: str, port: int) -> int:
        if host in self.absent:
            raise NoSuchAddress("no such address")
        if {(host, port), ("0.0.0.0", port)} & (self.taken | self.ours):
            raise PortTaken(f"{port} is taken")
        if port == 0:
            self.free += 3
        return port or self.free


class Links:
    def __init__(self, system: System) -> None:
        self._system = system

    def listen(self, host: str, control: int = 0, bulk: int = 0) -> None:
        self._system.bind(host, control)
        try:
            self._system.bind(host, bulk)
        except CannotListen:
            self._system.ours.discard((host, control))
            raise

    def leave(self, host: str) -> None:
        self._system.ours -= {one for one in self._system.ours if one[0] == host and one[1] % 10 in (1, 2)}


class Joining:
    def __init__(self, system: System) -> None:
        self._system = system

    def listen(self, host: str, port: int) -> int:
        self._system.bind(host, port)
        return port

    def leave(self, host: str) -> None:
        self._system.ours -= {one for one in self._system.ours if one[0] == host and one[1] % 10 == 0}


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    system = System()
    monkeypatch.setattr(module, "probe", system.probe)
    return system


def made(system: System, asked: str = "", found: str = "") -> Doors:
    return Doors(plan(asked, found), Links(system), Joining(system))


@pytest.mark.parametrize("port", [7660, 7661, 7662])
@pytest.mark.parametrize("host", [LO, LAN, "0.0.0.0"])
def test_three_ports_that_are_not_all_free_everywhere_are_left(system: System, host: str, port: int) -> None:
    system.taken = {(host, port)}
    assert made(system).open((LO, LAN)) == 7670
    assert system.ours == {(one, 7670 + more) for one in (LO, LAN) for more in range(3)}


def test_a_port_that_its_owner_asked_for_is_that_or_an_error(system: System) -> None:
    system.taken = {(LAN, 7662)}
    with pytest.raises(PortTaken):
        made(system, "0.0.0.0:7660").open((LO, LAN))
    assert system.ours == set()


def test_where_all_usual_ones_are_taken_the_system_chooses(system: System) -> None:
    system.taken = {(LO, 7660 + 10 * number) for number in range(32)}
    assert made(system).open((LO,)) > 40_000
    assert made(system, "127.0.0.1:0").open((LO,)) > 40_000


def test_an_address_that_is_not_there_yet_is_opened_when_it_is(system: System) -> None:
    system.absent = {NEW}
    doors = made(system)
    doors.open((LO, NEW))
    assert list(doors.hosts) == [LO]
    doors.follow((LO, NEW))
    assert (list(doors.hosts), doors.trouble) == ([LO], None)
    system.absent = set()
    doors.follow((LO, NEW))
    assert list(doors.hosts) == [LO, NEW]
    assert (NEW, 7661) in system.ours


def test_an_address_that_its_owner_has_named_and_that_is_not_there_is_an_error(system: System) -> None:
    system.absent = {NEW}
    with pytest.raises(NoSuchAddress):
        made(system, f"{NEW}:7660").open((NEW,))


def test_an_address_that_goes_takes_its_sockets_along(system: System) -> None:
    doors = made(system)
    doors.open((LO, LAN))
    doors.follow((LO, NEW))
    assert system.ours == {(one, 7660 + more) for one in (LO, NEW) for more in range(3)}


def test_a_port_that_is_taken_later_is_said_and_tried_again(system: System) -> None:
    doors = made(system)
    doors.open((LO,))
    system.taken = {(LAN, 7662)}
    doors.follow((LO, LAN))
    assert isinstance(doors.trouble, PortTaken)
    assert system.ours == {(LO, 7660 + more) for more in range(3)}
    system.taken = set()
    doors.follow((LO, LAN))
    assert [doors.trouble, *doors.hosts] == [None, LO, LAN]


def test_who_may_let_others_in_later_listens_everywhere(system: System) -> None:
    doors = Doors(plan("", ""), Links(system), None)
    doors.open((LO, LAN))
    assert (LAN, 7660) not in system.ours
    doors.let_in(Joining(system))
    doors.follow((LO, LAN, NEW))
    assert {(one, 7660) for one in (LO, LAN, NEW)} <= system.ours

"""Machines that tell each other who belongs and where they are: on virtual time, with letters that get lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from odyssey.clock import Clock, SeededEntropy
from odyssey.ids import NodeId
from odyssey.mesh import acquainting
from odyssey.mesh.acquainting import SAY_MS, Acquainting, World
from odyssey.mesh.company import Company
from odyssey.mesh.links.ports import Refusal
from odyssey.mesh.trust.letters import Peer
from odyssey.mesh.trust.standing import Known, Standing
from odyssey.messages import Acquaintance, Acquainted, HereIAm, MembersAre
from tests.mesh.trust.people import NOW, Realm, curve, key, node
from tests.sim.loop import VirtualLoop

REALM = Realm()


class LoopClock(Clock):
    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def monotonic_ms(self) -> int:
        return self._loop.now_ms

    boottime_ms = monotonic_ms

    def wall_ms(self) -> int:
        return NOW + self._loop.now_ms


class Village:
    """Machines by name; a letter takes a millisecond. Who may talk to whom is a set of pairs, in both directions."""

    def __init__(self, folder: Path) -> None:
        self.loop, self.folder = VirtualLoop(), folder
        self.machines: dict[NodeId, Machine] = {}
        self.parted: set[frozenset[NodeId]] = set()
        self.lost = 0  # so many of the next letters
        self.said: list[tuple[NodeId, NodeId, Acquainted]] = []

    def machine(self, name: str, *known: Peer) -> Machine:
        made = self.machines[node(name)] = Machine(self, name, known)
        return made

    def carry(self, sender: NodeId, to: NodeId, message: Acquainted) -> None:
        self.said.append((sender, to, message))
        if self.lost:
            self.lost -= 1
            return
        there = self.machines.get(to)
        if there is not None and frozenset((sender, to)) not in self.parted:
            self.loop.call_later(0.001, there.receive, sender, message)

    def run(self, seconds: float) -> None:
        self.loop.run_until(self.loop.time() + seconds)


class Machine:
    def __init__(self, village: Village, name: str, known: Sequence[Peer]) -> None:
        self.village, self.id, self.name = village, node(name), name
        standing = Standing(
            Known(REALM.mesh, REALM.root.public, REALM.member(name), REALM.trust().items), key(name), curve(name)
        )
        clock = LoopClock(village.loop)
        self.company = Company(self.id, standing, village.folder / name, clock)
        self.addresses: list[str] = [f"10.0.0.{len(village.machines) + 1}:7660", "127.0.0.1:7660"]
        self.coordinator: NodeId | None = None
        self.looked: list[NodeId] = []
        self.kept = self.cuts = 0
        self.heard: list[Acquainted] = []
        world = World(
            post=lambda to, message: village.carry(self.id, to, message),
            coordinator=lambda: self.coordinator,
            up=lambda: [one for one in village.machines if one != self.id and self.reaches(one)],
            addresses=lambda: self.addresses,
            look_again=self.looked.append,
            learnt=self._learnt,
            cut=self._cut,
            timers=village.loop,
            clock=clock,
            entropy=SeededEntropy(len(village.machines)),
        )
        self.company.meet(known)
        self.acquainting = Acquainting(self.company, 1 + len(village.machines), world)
        self._tick()

    def reaches(self, other: NodeId) -> bool:
        return frozenset((self.id, other)) not in self.village.parted

    def receive(self, sender: NodeId, message: Acquainted) -> None:
        self.heard.append(message)
        if self.company.roster.entry(sender) is not None:
            self.acquainting.hear(sender, message)

    def knows(self, other: Machine) -> tuple[str, ...] | None:
        peer = self.company.peer(other.id)
        return None if peer is None else peer.addresses

    def _learnt(self) -> None:
        self.kept += 1

    def _cut(self) -> None:
        self.cuts += 1

    def _tick(self) -> None:
        self.acquainting.tick()
        self.village.loop.call_later(1, self._tick)


def a_mesh(folder: Path, *names: str) -> tuple[Village, list[Machine]]:
    """The first coordinates. It knows all, as the log does; the others know it only."""
    village = Village(folder)
    first, *others = names
    founder = village.machine(first)
    founder.coordinator = founder.id
    founder.company.hear([REALM.member(name) for name in others], ())
    made = [founder]
    for name in others:
        made.append(village.machine(name, Peer(REALM.member(first), tuple(founder.addresses))))
        made[-1].coordinator = founder.id
    return village, made


def test_everybody_learns_of_everybody(tmp_path: Path) -> None:
    village, (founder, pi, mac) = a_mesh(tmp_path, "gamebox", "pi", "mac")
    village.run(2)
    assert founder.knows(pi) == ("10.0.0.2:7660",)
    assert pi.knows(mac) == ("10.0.0.3:7660",)
    assert mac.knows(pi) == ("10.0.0.2:7660",)
    assert pi.knows(founder) == ("10.0.0.1:7660",)


def test_what_is_new_is_told_at_once_and_alone(tmp_path: Path) -> None:
    village, (founder, pi, mac) = a_mesh(tmp_path, "gamebox", "pi", "mac")
    village.run(5)
    village.said.clear()
    mac.addresses = ["10.0.9.9:7660"]
    village.run(1.2)
    assert pi.knows(mac) == ("10.0.9.9:7660",)
    assert mac.id in pi.looked
    founder.addresses = ["10.0.8.8:7660"]
    village.run(1.2)
    pages = [message for _, to, message in village.said if to == pi.id and isinstance(message, MembersAre)]
    assert [page.members for page in pages] == [
        (Acquaintance(REALM.member("mac"), ("10.0.9.9:7660",)),),
        (Acquaintance(REALM.member("gamebox"), ("10.0.8.8:7660",)),),
    ]


def test_nobody_says_much_while_nothing_happens(tmp_path: Path) -> None:
    village, machines = a_mesh(tmp_path, "gamebox", *(f"pi{number}" for number in range(9)))
    village.run(60)
    village.said.clear()
    village.run(60)
    assert len(village.said) <= 7 * (len(machines) - 1)


@pytest.mark.parametrize("lost", [1, 2, 3, 5, 8])
def test_what_is_lost_is_told_again(tmp_path: Path, lost: int) -> None:
    village, (_, pi, mac) = a_mesh(tmp_path, "gamebox", "pi", "mac")
    village.run(5)
    village.lost = lost
    mac.addresses = ["10.0.9.9:7660"]
    village.run(4 * SAY_MS / 1000)
    assert pi.knows(mac) == ("10.0.9.9:7660",)


def test_a_list_of_many_pages_arrives_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquainting, "MOST", 4)
    names = [f"pi{number}" for number in range(30)]
    village, machines = a_mesh(tmp_path, "gamebox", *names)
    village.run(25)
    for one in machines:
        assert {other.id for other in machines} - {one.id} == set(one.company.others())


def test_who_was_away_finds_a_mesh_that_has_moved(tmp_path: Path) -> None:
    village, (founder, pi, mac) = a_mesh(tmp_path, "gamebox", "pi", "mac")
    village.run(5)
    village.parted = {frozenset((pi.id, other.id)) for other in (founder, mac)}
    pi.coordinator = None
    founder.addresses = ["10.5.5.5:7660"]
    village.run(30)
    assert pi.knows(founder) == ("10.0.0.1:7660",)
    village.parted = {frozenset((pi.id, founder.id))}  # at its old address nobody answers
    village.run(25)
    assert pi.knows(founder) == ("10.5.5.5:7660",)


def test_the_coordinator_calls_whom_it_does_not_hear(tmp_path: Path) -> None:
    """They may have only its old address."""
    village, (founder, pi) = a_mesh(tmp_path, "gamebox", "pi")
    village.run(5)
    pi.coordinator = node("somebody")  # it asks a machine that is gone
    village.parted = {frozenset((pi.id, founder.id))}
    founder.addresses = ["10.5.5.5:7660"]
    village.run(40)
    village.parted.clear()
    village.run(40)
    assert pi.knows(founder) == ("10.5.5.5:7660",)


def test_an_address_of_this_machine_alone_is_told_to_nobody(tmp_path: Path) -> None:
    village, (founder, pi, _) = a_mesh(tmp_path, "gamebox", "pi", "mac")
    founder.company.find(pi.id, ["10.0.0.2:7660", "127.0.0.1:7660"])
    village.run(20)
    assert "127.0.0.1" not in repr(village.said)


# -- put out -----------------------------------------------------------------------------------------------------------


def test_a_statement_reaches_all_whoever_hears_it_first(tmp_path: Path) -> None:
    village, (founder, pi, mac) = a_mesh(tmp_path, "gamebox", "pi", "mac")
    village.run(5)
    statement = REALM.revocation(pi.id, by="gamebox")
    mac.acquainting.hear(founder.id, MembersAre(0, statements=(statement,)))
    village.run(0.2)
    for one in (founder, mac):
        assert one.company.who(curve("pi").public) is Refusal.REVOKED
        assert one.kept >= 1
        assert one.cuts == 1
    assert pi.company.roster.trust.is_revoked(pi.id)  # it was told, and was cut off afterwards


def test_who_puts_nobody_out_changes_nothing(tmp_path: Path) -> None:
    village, (founder, pi, mac) = a_mesh(tmp_path, "gamebox", "pi", "mac")
    village.run(5)
    village.said.clear()
    founder.acquainting.hear(mac.id, MembersAre(0, statements=(REALM.revocation(pi.id, by="mac"), b"", b"\xc1" * 99)))
    village.run(0.2)
    assert founder.company.who(curve("pi").public) == pi.id
    assert founder.cuts == 0
    assert [message for _, _, message in village.said if isinstance(message, MembersAre)] == []


def test_a_list_that_was_not_asked_for_is_not_taken(tmp_path: Path) -> None:
    village, (founder, pi, mac) = a_mesh(tmp_path, "gamebox", "pi", "mac")
    village.run(5)
    wrong = Acquaintance(REALM.member("mac"), ("10.6.6.6:7660",))
    founder.acquainting.hear(pi.id, MembersAre(9, (0, 0), (1, 0), (wrong,)))
    assert founder.knows(mac) == ("10.0.0.3:7660",)


def test_a_page_behind_a_lost_one_is_not_taken(tmp_path: Path) -> None:
    village, (founder, pi, _) = a_mesh(tmp_path, "gamebox", "pi", "mac")
    village.run(5)
    run = founder.acquainting._run
    late = Acquaintance(REALM.member("late"), ("10.0.0.8:7660",))
    pi.acquainting.hear(founder.id, MembersAre(run, (99, 1), (100, 1), (late,)))
    assert pi.company.peer(node("late")) is None
    assert pi.acquainting._heard[founder.id][1][0] < 99


@pytest.mark.parametrize(("members", "statements"), [(-1, 0), (0, -1), (1 << 63, 0), (0, 1 << 63), (-(1 << 63), 7)])
def test_nonsense_about_what_somebody_has_heard_ends_nothing(tmp_path: Path, members: int, statements: int) -> None:
    village, (founder, pi, mac) = a_mesh(tmp_path, "gamebox", "pi", "mac")
    village.run(2)
    (run,) = {one.run for one in pi.heard if isinstance(one, MembersAre) and one.run}
    founder.receive(pi.id, HereIAm(Acquaintance(REALM.member("pi")), run, members, statements))
    mac.addresses = ["10.0.9.9:7660"]
    village.run(12)
    assert pi.knows(mac) == ("10.0.9.9:7660",)

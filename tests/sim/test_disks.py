"""What befalls disks in the simulation: each fault alone, to see that it happens and that the mesh lives with it.

Promises: a fault that is planted is met; that is asked, not assumed.
"""

from __future__ import annotations

import pytest

from odyssey.errors import OdysseyError
from odyssey.mesh.opening import OnlyCopy
from odyssey.mesh.store import Broken, DiskFull, ReadOnly, StoreError
from tests.sim.checks import Violation
from tests.sim.faults import Fault
from tests.sim.losses import may_lose
from tests.sim.net import Weather
from tests.sim.node import SimNode
from tests.sim.schedule import Schedule
from tests.sim.world import World


def world(*faults: Fault, seed: int = 1, voters: int = 3) -> World:
    return World(Schedule(seed, 4, voters, 0, Weather(), 400, faults, faulty_ms=60_000))


def at(seconds: float, kind: str, machine: int = 1, amount: int = 1000, mask: int = 0) -> Fault:
    return Fault(round(seconds * 1000), kind, machine, amount, mask)


@pytest.mark.parametrize(
    "faults",
    [
        (at(10, "tear"),),
        (at(10, "rot", amount=700),),
        (at(5, "copy"), at(12, "roll-back")),
    ],
)
def test_who_loses_its_store_begins_anew_and_holds_the_log_again(faults: tuple[Fault, ...]) -> None:
    one = world(*faults)
    node = list(one.nodes.values())[1]
    before = node.member
    one.run()
    assert one.people.acknowledged
    assert node.home.stores == 1
    assert node.member != before
    assert len(node.disk.cells.aside) == 1
    assert node.replica is not None
    assert node.member in node.replica.core.config.members
    assert before not in node.replica.core.config.members


@pytest.mark.parametrize(
    ("kind", "error"),
    [("full-disk", DiskFull), ("failing-disk", Broken), ("read-only", ReadOnly)],
)
def test_whose_disk_fails_leaves_the_log_and_comes_back_with_the_same_store(
    kind: str, error: type[StoreError], monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[type[object]] = []
    leave = SimNode._leave

    def seen(node: SimNode, why: OdysseyError) -> None:
        met.append(type(why))
        leave(node, why)

    monkeypatch.setattr(SimNode, "_leave", seen)
    one = world(at(10, kind, amount=5000))
    node = list(one.nodes.values())[1]
    before = node.member
    one.run()
    assert error in met
    assert (node.home.stores, node.member, node.refused) == (0, before, None)


def test_a_disk_that_goes_back_with_its_mark_cannot_notice_but_the_checks_do() -> None:
    """The honest limit: as when a virtual machine goes back to an older image."""
    one = world()
    node = list(one.nodes.values())[1]
    one.loop.call_at(5, node.keep_copy)
    one.loop.call_at(12, node.roll_back, True)
    one.loop.call_at(13, node.boot)
    with pytest.raises(Violation, match="shows what it never held"):
        one.run()


def test_who_votes_alone_does_not_start_over_a_damaged_store() -> None:
    one = world(voters=1)
    node = one.nodes[min(one.nodes)]
    one.loop.run_until(1)
    assert not may_lose(node, one.nodes.values())
    node.tear()
    node.boot()
    assert isinstance(node.refused, OnlyCopy)
    one.loop.run_until(5)
    assert not node.up
    assert node.home.stores == 0
    one.loop.close()


def test_no_fault_takes_a_quorum_of_stores() -> None:
    one = world(voters=3)
    nodes = list(one.nodes.values())
    one.loop.run_until(5)
    assert [may_lose(node, nodes) for node in nodes] == [True] * 4
    nodes[0].rot(1)
    assert [may_lose(node, nodes) for node in nodes[1:]] == [False, False, True]
    one.loop.close()

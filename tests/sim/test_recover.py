"""Most voters are lost and somebody recovers: the machines go on in a new generation, and all find it in the end."""

import json
from typing import Any

import pytest

from odyssey.ids import ClientId, NodeId
from odyssey.salvaging import Salvaging
from tests.sim.checks import Violation
from tests.sim.faults import Fault
from tests.sim.schedule import Schedule, drawn
from tests.sim.tails import held, waiting
from tests.sim.world import World


def lost_at(seed: int, *faults: Fault, people_ms: int = 1000) -> World:
    calm: Schedule = drawn(seed)
    return World(calm._replace(faults=faults, people_ms=people_ms, voters=3, learners=2))


@pytest.mark.parametrize("away_ms", [0, 15_000])
def test_what_is_left_goes_on_and_who_comes_back_follows(away_ms: int) -> None:
    """Back soon, the old majority may agree on more of its own first; back late, it hears of the new generation."""
    world = lost_at(3, Fault(20_000, "recover", 4, away_ms))
    world.run()
    assert {node.lineage.tip.number for node in world.nodes.values()} == {2}
    (charter,) = world.branches.forks
    assert charter.founder.node in {"n3", "n4"}
    ended = world.branches.known[charter.generation].results.ended.values()
    assert any(index > charter.fork.index for _, index in ended)


def test_two_who_recover_on_two_sides_of_a_cut_come_together_in_a_third_generation() -> None:
    cut = Fault(10_000, "cut", 0, mask=0b01011)
    world = lost_at(
        5, Fault(9_000, "crash", 2, 20_000), cut, *(Fault(31_000, "recover", one, 20_000) for one in (3, 4))
    )
    world.run()
    numbers = sorted(charter.generation.number for charter in world.branches.forks)
    assert numbers[:2] == [2, 2]
    assert {node.lineage.tip.number for node in world.nodes.values()} == {max(numbers)}
    assert max(numbers) >= 3


def test_nobody_recovers_while_a_coordinator_is_heard() -> None:
    world = lost_at(3, Fault(20_000, "stall", 0))
    world.loop.call_at(30.0, world.recover, world.nodes[next(iter(world.nodes))])
    world.run()
    assert not world.branches.forks


# -- the tail of the old side ------------------------------------------------------------------------------------------


def two_sides() -> World:
    """Those cut off recover while the others go on; later they meet."""
    world = lost_at(4, Fault(15_000, "cut", 0, mask=0b00111), Fault(50_000, "mend", 0), people_ms=400)
    world.loop.call_at(30.0, lambda: world.recover(world.nodes[NodeId("n3")]))
    return world


def behind(world: World) -> list[ClientId]:
    """Submits that were acknowledged behind the fork and lie in a store that was set aside."""
    fork = world.branches.first_fork
    assert fork is not None
    held_there = held(world.nodes.values())
    return [one for one, index in world.people._told_at.items() if index > fork and one in held_there]


def test_what_the_other_side_acknowledged_is_in_the_mesh_in_the_end() -> None:
    world = two_sides()
    world.run()
    machines = world.nodes.values()
    accounts = [json.loads(one) for node in machines for one in node.disk.cells.accounts.values()]
    assert len(behind(world)) > 10
    assert sum(one["submitted"] for one in accounts) > 0
    assert any(one["segments"] for one in accounts)
    assert waiting(machines) == []


def test_a_tail_that_is_never_handed_in_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Salvaging, "start", lambda _: None)
    with pytest.raises(Violation, match="are not handed in"):
        two_sides().run()


@pytest.mark.parametrize("dropped", ["_submit", "_bring_all"])
def test_a_part_of_a_tail_that_is_dropped_is_seen(dropped: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any) -> Any:
        yield from ()
        return 0 if dropped == "_submit" else ([], [])

    monkeypatch.setattr(Salvaging, dropped, nothing)
    with pytest.raises(Violation, match="is in an old store and nowhere else"):
        two_sides().run()

"""Schedules: drawn from a seed, written as a line, read again, and followed exactly."""

import pytest

from tests.sim.faults import KINDS, Fault
from tests.sim.net import Weather
from tests.sim.schedule import Schedule, Unreadable, drawn
from tests.sim.world import World

CALM = Schedule(3, 3, 3, 0, Weather(), 500, (), 4000, 6000)


def test_a_seed_is_one_schedule_and_seeds_differ() -> None:
    assert drawn(11) == drawn(11)
    assert len({drawn(seed) for seed in range(50)}) == 50


def test_seeds_choose_among_the_kinds_and_all_kinds_are_chosen() -> None:
    chosen = [frozenset(fault.kind for fault in drawn(seed).faults) for seed in range(100)]
    assert frozenset().union(*chosen) == KINDS.keys()
    assert len(set(chosen)) > 30
    assert min(map(len, chosen)) <= 2


@pytest.mark.parametrize("seed", range(20))
def test_a_line_is_read_as_what_was_written(seed: int) -> None:
    schedule = drawn(seed)
    assert Schedule.of(schedule.line()) == schedule
    assert not set(schedule.line()) & set(" '\"$\\`&;()<>|*?!#~")


def test_without_faults_too() -> None:
    assert Schedule.of(CALM.line()) == CALM


@pytest.mark.parametrize(
    "line", ["", "1/5", CALM.line() + "flood@1.2.3.4", CALM.line() + "crash@1.2", "x" + CALM.line()]
)
def test_what_is_no_schedule_is_said_to_be_none(line: str) -> None:
    with pytest.raises(Unreadable):
        Schedule.of(line)


def test_it_can_be_told() -> None:
    told = list(CALM._replace(faults=(Fault(1500, "crash", 2, 700), Fault(1600, "cut", 0, 0, 0b101))).sentences())
    assert told[3:5] == ["   1.500 s  crash     n2 700", "   1.600 s  cut       n0 n0 n2"]


def test_a_world_does_what_its_schedule_says() -> None:
    calm, broken = (
        World(CALM),
        World(CALM._replace(faults=(Fault(1000, "crash", 1, 500), Fault(2000, "crash", 9, 500)))),
    )
    for world in (calm, broken):
        world.run()
    assert [node.boots for node in calm.nodes.values()] == [1, 1, 1]
    assert [node.boots for node in broken.nodes.values()] == [1, 2, 1]


def test_a_fault_less_does_not_change_who_acts() -> None:
    calm, broken = World(CALM), World(CALM._replace(faults=(Fault(1000, "stall", 1, 900),)))
    for world in (calm, broken):
        world.run()
    assert calm.people.submitted == broken.people.submitted > 3

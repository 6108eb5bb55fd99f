"""Whose turn it is: the least burdened first, and what was used long ago counts little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.commands import DecayUsage
from odyssey.ids import UserId
from odyssey.scheduler.fairshare import DECAY_EVERY_MS, HALF_LIFE_MS, Turns, burden, charge, keep_ppm
from odyssey.scheduler.state import State
from tests.builders import ANNA, BEN, Mesh

# -- turns -------------------------------------------------------------------------------------------------------------


def waiting_people(burdens: dict[str, int]) -> State:
    """A state in which these people used so much and have a job waiting."""
    mesh = Mesh()
    for user in burdens:
        mesh.submit(user=user)
    mesh.state.usage.update({UserId(user): used for user, used in burdens.items()})
    return mesh.state


BURDENS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 5_000_000), min_size=1)
ACTS = st.lists(st.integers(0, 4000) | st.just("drop"), max_size=40)


@given(BURDENS, ACTS)
def test_turns_go_to_the_least_burdened_and_equals_by_name(burdens: dict[str, int], acts: list[int | str]) -> None:
    """Against a plain minimum over all people."""
    turns, left = Turns(waiting_people(burdens)), dict(burdens)
    for act in acts:
        assert bool(turns) == bool(left)
        if not left:
            break
        first = min(left, key=lambda user: (left[user], user))
        assert turns.first() == first
        if isinstance(act, int):
            turns.charge_first(act)
            left[first] += charge(act)
        else:
            turns.drop_first()
            del left[first]


def test_nobody_waits_nobody_has_a_turn() -> None:
    assert not Turns(State())


def test_only_people_with_something_to_place_take_turns() -> None:
    mesh = Mesh()
    mesh.submit(user="anna", held=True)
    mesh.submit(user="ben")
    turns = Turns(mesh.state)
    assert turns.first() == BEN
    turns.drop_first()
    assert not turns


# -- what counts -------------------------------------------------------------------------------------------------------


def test_what_is_held_counts_as_ten_minutes_of_use_and_a_backlog_does_not() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=4)
    job = mesh.submit(cpus=2, count=3)
    assert burden(mesh.state, ANNA) == 0
    mesh.assign(job, node, 0, 1)
    assert burden(mesh.state, ANNA) == 2 * 2 * 600_000
    mesh.assign(job, node, 2, slot=False)
    assert burden(mesh.state, ANNA) == 2 * 2 * 600_000


def test_what_ran_counts_by_cpus_and_time_and_no_longer_as_held() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=4)
    job = mesh.submit(cpus=2)
    mesh.assign(job, node)
    mesh.report(job, run_ms=5000)
    assert burden(mesh.state, ANNA) == 10_000
    assert burden(mesh.state, BEN) == 0


# -- fading ------------------------------------------------------------------------------------------------------------


def test_half_is_left_after_a_day_and_nothing_changes_at_once() -> None:
    assert keep_ppm(0) == 1_000_000
    assert keep_ppm(HALF_LIFE_MS) == 500_000
    assert keep_ppm(3 * HALF_LIFE_MS) == 125_000
    assert keep_ppm(40 * HALF_LIFE_MS) == 0


@given(st.integers(0, 50 * HALF_LIFE_MS), st.integers(0, HALF_LIFE_MS))
def test_more_time_never_keeps_more_and_a_part_stays_a_part(passed: int, more: int) -> None:
    assert 0 <= keep_ppm(passed + more) <= keep_ppm(passed) <= 1_000_000


@given(st.integers(0, 10 * HALF_LIFE_MS))
def test_what_is_kept_is_half_to_the_power_of_the_days(passed: int) -> None:
    assert keep_ppm(passed) == pytest.approx(1_000_000 * 0.5 ** (passed / HALF_LIFE_MS), abs=2)


def test_a_day_of_small_steps_halves_as_well() -> None:
    """The coordinator sends a decay every ten minutes."""
    mesh = Mesh()
    mesh.state.usage[ANNA] = 1_000_000_000
    for _ in range(HALF_LIFE_MS // DECAY_EVERY_MS):
        mesh.do(DecayUsage(mesh.fence, keep_ppm(DECAY_EVERY_MS)))
    assert burden(mesh.state, ANNA) == pytest.approx(500_000_000, rel=0.001)


def test_use_fades_to_nothing() -> None:
    mesh = Mesh()
    mesh.state.usage[ANNA] = 1_000_000
    for _ in range(40):
        mesh.do(DecayUsage(mesh.fence, keep_ppm(HALF_LIFE_MS)))
    assert burden(mesh.state, ANNA) == 0

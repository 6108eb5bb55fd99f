"""The search for weights tells every set it tried, and keeps only what is better beyond chance."""

import pytest

from odyssey.scheduler.lab.report import step
from odyssey.scheduler.lab.tune import FIXED, Cost, costs, descend, gain
from odyssey.scheduler.policies.weighted import POLICY


def test_equal_costs_are_no_gain() -> None:
    old = costs(POLICY.weights, 2, kinds=["short"])
    found = gain(old, old)
    assert (found.total, found.error, found.sure) == (0.0, 0.0, False)


@pytest.mark.parametrize(
    ("makespans", "sure"),
    [([-0.11, -0.10, -0.09], True), ([-0.5, 0.2, 0.0], False), ([0.11, 0.10, 0.09], False)],
)
def test_a_gain_is_sure_when_it_is_larger_than_two_errors(makespans: list[float], sure: bool) -> None:
    assert gain([Cost(one, 0.0) for one in makespans], [Cost(0.0, 0.0)] * len(makespans)).sure is sure


def test_each_term_but_speed_is_tried_along_the_grid() -> None:
    tried = list(descend(1, kinds=["short"], grid=(0, 20), rounds=1))
    assert {one.term for one in tried} == POLICY.weights.keys() - {FIXED}
    assert all(one.weights[one.term] in (0, 20) for one in tried)
    assert all(one.weights[FIXED] == POLICY.weights[FIXED] for one in tried)
    assert all(f"{one.term}={one.weights[one.term]}" in step(one) for one in tried)


def test_what_is_better_is_kept_and_gone_on_from() -> None:
    """A mesh that is half idle, and a beginning that prefers the emptiest machine to a fast one."""
    start = {FIXED: 1, "room": 160, "power": 0}
    tried = list(descend(3, kinds=["steady"], start=start, grid=(0,), rounds=1))
    assert [(one.term, one.weights, one.kept) for one in tried] == [("room", {**start, "room": 0}, True)]

"""A few seeds on every run: whole replicas under faults, every invariant after every step.

Promises: a failing seed is named in the test's id; `World(seed).run()` repeats it anywhere.
Never: stands for the thousands that find what these do not.
"""

import pytest

from odyssey.ids import NodeId
from odyssey.mesh.raft.types import HardState, Member, StoreId, VoteReply
from tests.sim.checks import Checks, Violation
from tests.sim.disk import Durable
from tests.sim.world import World

A, B = (Member(NodeId(name), StoreId(name.encode() * 16)) for name in ("a", "b"))


@pytest.mark.parametrize("seed", range(4))
def test_what_was_acknowledged_is_kept_whatever_breaks(seed: int) -> None:
    world = World(seed)
    world.run()
    assert world.people.acknowledged
    assert world.events >= 3000


def test_one_seed_is_one_history() -> None:
    runs = [World(7), World(7)]
    for world in runs:
        world.run()
    first, second = runs
    assert first.branches.root.checks.committed == second.branches.root.checks.committed
    assert (first.net.sent, first.events) == (second.net.sent, second.events)


def test_two_leaders_of_one_term_are_seen() -> None:
    checks = Checks()
    checks.leads(A, 3, None)
    with pytest.raises(Violation, match="1: a and b both lead term 3"):
        checks.leads(B, 3, None)


def test_a_vote_that_leaves_before_it_is_on_disk_is_seen() -> None:
    with pytest.raises(Violation, match="6: "):
        Checks().leaves(Durable(HardState(2, None, 0)), VoteReply(3, A, B, True))

"""A board kept from plan to plan changes nothing but the time it takes.

Meshes live at random, under every policy. At every step the plan made with the board of all earlier plans equals the
one made with a new board, and the one made from the state as another machine would load it. Every plan passes the door.
"""

import pytest

from odyssey.clock import SeededEntropy
from odyssey.ids import NodeNumber
from odyssey.scheduler.board import Board
from odyssey.scheduler.dump import dump, load
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.plan import orders, plan
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.snapshot import NodeState, OwnerState, Seen, Snapshot
from odyssey.spec import Blob
from tests.builders import GIB, Mesh
from tests.scheduler.asking import chosen
from tests.scheduler.life import Life, refused


class Witnessed:
    """A life whose plans are compared and carried out."""

    def __init__(self, seed: int, policy: str, steady: bool = False) -> None:
        self.draw = SeededEntropy(seed)
        self.life = Life(self.draw.fork("life"), policy, steady=steady)
        self.board = Board()
        self.placed = 0

    def step(self) -> None:
        self.life.step()
        snapshot = self.life.snapshot()
        most = self.draw.choose([1, 4, 1000, 1000])
        kept = plan(snapshot, self.board, most=most)
        assert kept == plan(snapshot, Board(), most=most)
        if self.draw.chance(500):
            reloaded = Snapshot(load(dump(snapshot.state)), snapshot.seen)
            assert kept == plan(reloaded, Board(), most=most)
            assert violations(snapshot.state) == []
        if self.draw.chance(900):  # now and then a coordinator is deposed before its plan counts
            for order in orders(kept, self.life.mesh.fence):
                self.life.do(order)
            self.placed += kept.assigned


@pytest.mark.parametrize("policy", BUILT_IN)
@pytest.mark.parametrize("seed", range(4))
def test_a_kept_board_gives_the_plan_of_a_new_one(policy: str, seed: int) -> None:
    run = Witnessed(seed, policy)
    for _ in range(150):
        run.step()
    assert run.placed > 30
    assert refused(run.life.events) == []


@pytest.mark.parametrize(
    ("plain", "news", "before"),
    [
        (Seen(), Seen(owner=OwnerState.FREE), [1]),
        (Seen(), Seen(mains=True), [1]),
        (Seen(), Seen(stay_ms=7_200_000), [1]),
        (Seen(), Seen(blobs=frozenset({b"film"})), [1]),
        (Seen(cpu_free_milli=3000), Seen(cpu_free_milli=3900), [1]),
        (Seen(memory_free=2 * GIB), Seen(memory_free=7 * GIB), [1]),
        (Seen(state=NodeState.SILENT), Seen(), []),
        (Seen(owner=OwnerState.PAUSED), Seen(owner=OwnerState.IN_USE), []),
    ],
)
def test_what_a_machine_tells_reaches_a_board_that_is_kept(plain: Seen, news: Seen, before: list[int]) -> None:
    """The first machine of two is the better one, until the second tells this; and is again when that is over."""
    mesh, board = Mesh(), Board()
    mesh.machines(2, cpus=4)
    mesh.submit(inputs=(Blob(b"film", GIB),))
    for seen, best in ((plain, before), (news, [2]), (plain, before)):
        snapshot = mesh.snapshot({NodeNumber(1): plain, NodeNumber(2): seen})
        made = plan(snapshot, board)
        assert made == plan(snapshot)
        assert chosen(made) == best


@pytest.mark.parametrize("policy", BUILT_IN)
def test_a_board_kept_for_long_forgets_what_it_no_longer_needs_and_nothing_else(policy: str) -> None:
    """While no machine changes its facts nothing makes a board begin anew; its own log must not grow for ever."""
    run, longest, shortened = Witnessed(9, policy, steady=True), 0, 0
    for _ in range(50):
        for _ in range(30):
            run.life.observe()
            plan(run.life.snapshot(), run.board)
        run.step()
        shortened += len(run.board.log) < longest
        longest = max(longest, len(run.board.log))
    assert shortened
    assert longest < 2000

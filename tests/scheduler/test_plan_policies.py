"""What each policy does with machines and jobs that make the difference."""

from collections import Counter

import pytest

from odyssey.commands import AgeQueue, SetPolicy
from odyssey.ids import JobId, NodeNumber
from odyssey.model import Outcome
from odyssey.scheduler.board import Board
from odyssey.scheduler.plan import Plan, plan
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.snapshot import OwnerState, Seen
from tests.builders import Mesh
from tests.scheduler.asking import chosen, given, taught


def a_mesh(policy: str, machines: int, cpus: float = 4) -> Mesh:
    mesh = Mesh()
    mesh.machines(machines, cpus=cpus)
    mesh.do(SetPolicy(policy))
    return mesh


def planned(mesh: Mesh) -> Plan:
    return plan(mesh.snapshot())


def one_by_one(mesh: Mesh, tasks: int, board: Board | None = None) -> list[int]:
    """Where tasks go that come one at a time, each with a plan of its own."""
    nodes: list[int] = []
    for _ in range(tasks):
        mesh.submit()
        made = plan(mesh.snapshot(), board)
        nodes += chosen(made)
        mesh.carry_out(made)
    return nodes


# -- round robin -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("board", [None, Board()], ids=["new", "kept"])
def test_round_robin_gives_each_machine_its_turn_across_plans(board: Board | None) -> None:
    assert one_by_one(a_mesh("round_robin", 3), 7, board) == [1, 2, 3, 1, 2, 3, 1]


def test_round_robin_goes_on_where_the_last_plan_ended() -> None:
    """Five tasks at once for three machines: the third is due next."""
    mesh = a_mesh("round_robin", 3)
    mesh.submit(count=5)
    made = planned(mesh)
    assert given(made) == {(1, 1): 2, (1, 2): 2, (1, 3): 1}
    mesh.carry_out(made)
    assert one_by_one(mesh, 4) == [3, 1, 2, 3]


def test_round_robin_gives_a_machine_its_next_after_all_others_that_fit_had_one() -> None:
    mesh = a_mesh("round_robin", 3)
    mesh.machine(cpus=1)
    mesh.submit(count=13)
    assert given(planned(mesh)) == {(1, node): count for node, count in ((1, 4), (2, 4), (3, 4), (4, 1))}
    mesh.submit(cpus=2, priority=1)
    assert [batch.node for batch in planned(mesh).batches if batch.job == 2] == [1]


def test_round_robin_asks_nobody_how_fast_they_are() -> None:
    mesh = a_mesh("round_robin", 1)
    mesh.machine(cpus=64, speed=100_000)
    for node, run_ms in ((1, 90_000), (2, 1000)):
        taught(mesh, "cook", run_ms, on=node)
    assert one_by_one(mesh, 4) == [1, 2, 1, 2]
    job = mesh.submit(key="cook", count=4, priority=1)
    assert given(planned(mesh)) == {(job, 1): 2, (job, 2): 2}


def test_round_robin_keeps_to_what_owners_forbid() -> None:
    mesh = a_mesh("round_robin", 3)
    mesh.submit(count=4)
    paused = {NodeNumber(2): Seen(owner=OwnerState.PAUSED)}
    assert given(plan(mesh.snapshot(paused))) == {(1, 1): 2, (1, 3): 2}


# -- shortest job first ------------------------------------------------------------------------------------------------


def jobs(made: Plan) -> list[JobId]:
    return [batch.job for batch in made.batches]


def three_jobs(policy: str) -> tuple[Mesh, list[JobId]]:
    """A long one, one of an unknown command, a short one: in this order, for one slot."""
    mesh = a_mesh(policy, 1, cpus=1)
    for key, run_ms in (("long", 60_000), ("short", 20_000)):
        taught(mesh, key, run_ms, on=1)
    return mesh, [mesh.submit(key=key) for key in ("long", "never", "short")]


def drained(mesh: Mesh) -> list[JobId]:
    """The order in which jobs start when each ends before the next plan."""
    order = []
    while (made := planned(mesh)).batches:
        order += jobs(made)
        mesh.carry_out(made)
        mesh.finish_all(code=1)
    return order


def test_shortest_job_first_orders_by_learned_time_and_the_unknown_go_last() -> None:
    mesh, (long, never, short) = three_jobs("sjf")
    assert drained(mesh) == [short, long, never]


@pytest.mark.parametrize("policy", ["weighted", "round_robin", "pack"])
def test_the_others_keep_the_order_of_age(policy: str) -> None:
    mesh, in_order = three_jobs(policy)
    taught(mesh, "never", 1, on=1)
    assert drained(mesh) == in_order


def test_shortest_job_first_stays_below_priority_and_waiting() -> None:
    mesh, (long, never, short) = three_jobs("sjf")
    mesh.do(AgeQueue(mesh.fence))
    young = mesh.submit(key="short")
    urgent = mesh.submit(key="never", priority=2)
    assert drained(mesh) == [urgent, short, long, never, young]


def test_shortest_job_first_is_one_persons_affair() -> None:
    mesh, (long, _, _) = three_jobs("sjf")
    mesh.machine(cpus=1, shared=True)
    mesh.submit(user="ben", key="short", count=9)
    made = planned(mesh)
    assert {mesh.job(job).user for job in jobs(made)} == {"anna", "ben"}
    assert long not in jobs(made)


def test_shortest_job_first_learns_while_it_runs() -> None:
    """With a kept board: what was unknown turns out to be the shortest."""
    mesh, (long, never, short) = three_jobs("sjf")
    board = Board()
    assert jobs(plan(mesh.snapshot(), board)) == [short]
    taught(mesh, "never", 1, on=1)
    assert jobs(plan(mesh.snapshot(), board))[0] == never
    assert long not in jobs(plan(mesh.snapshot(), board))


# -- who waits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", BUILT_IN)
@pytest.mark.parametrize("key", ["cook", "new"])
@pytest.mark.parametrize("tried", [False, True])
def test_only_the_default_and_shortest_job_first_wait_for_a_faster_machine(policy: str, key: str, tried: bool) -> None:
    mesh = a_mesh(policy, 1, cpus=1)
    mesh.machine(cpus=1, speed=10_000)
    taught(mesh, "cook", 20_000, on=2)
    job = mesh.submit(key=key)
    if tried:
        mesh.assign(job, 2)
        mesh.report(job, outcome=Outcome.EVICTED)
    mesh.assign(mesh.submit(key=key), 2)
    assert given(planned(mesh)) == ({} if policy in ("weighted", "sjf") else {(job, 1): 1})


# -- pack, and the default ---------------------------------------------------------------------------------------------


def test_pack_fills_one_machine_after_the_other() -> None:
    assert one_by_one(a_mesh("pack", 3), 9) == [1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_pack_takes_the_fullest_that_has_room() -> None:
    mesh = a_mesh("pack", 3)
    mesh.assign(mesh.submit(cpus=2), 2)
    mesh.assign(mesh.submit(cpus=3), 3)
    assert one_by_one(mesh, 4) == [3, 2, 2, 1]


def test_weighted_spreads_equal_tasks_over_equal_machines() -> None:
    mesh = a_mesh("weighted", 3)
    mesh.submit(count=9)
    assert Counter(given(planned(mesh)).values()) == {3: 3}
    assert Counter(one_by_one(a_mesh("weighted", 3), 6)) == {1: 2, 2: 2, 3: 2}

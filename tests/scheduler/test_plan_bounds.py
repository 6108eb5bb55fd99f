"""What a plan costs and what it never depends on: it ends at its budget, and is the same for the same snapshot."""

import pytest

from odyssey.clock import SeededEntropy
from odyssey.commands import AssignTasks, DrainNode, GiveUpTasks, RecallAttempts, SetPolicy
from odyssey.ids import AttemptId, NodeNumber, TaskId, task_id
from odyssey.model import TaskState
from odyssey.scheduler.board import Board
from odyssey.scheduler.decision import decode
from odyssey.scheduler.dump import dump, load
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.plan import MOST, NEW_RANKINGS, Plan, orders, plan
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.snapshot import NodeState, Seen, Snapshot
from odyssey.scheduler.state import State
from tests.builders import FENCE, GIB, Mesh, a_spec
from tests.scheduler.asking import given, taught
from tests.scheduler.life import Life

NOTHING = Plan()


# -- nothing to do -----------------------------------------------------------------------------------------------------


def test_an_empty_mesh_plans_nothing() -> None:
    assert plan(Snapshot(State(), {})) == NOTHING


def test_machines_without_jobs_plan_nothing() -> None:
    mesh = Mesh()
    mesh.machines(3)
    assert plan(mesh.snapshot()) == NOTHING


def test_jobs_without_machines_wait() -> None:
    mesh = Mesh()
    job = mesh.submit(count=1000)
    made = plan(mesh.snapshot())
    assert (made.batches, made.give_up, [one.job for one in made.blocked]) == ((), (), [job])


@pytest.mark.parametrize("state", [NodeState.GONE, NodeState.SILENT, NodeState.ASLEEP])
def test_while_no_machine_is_up_jobs_wait(state: NodeState) -> None:
    mesh = Mesh()
    nodes = mesh.machines(3)
    job = mesh.submit()
    made = plan(mesh.snapshot({node: Seen(state=state) for node in nodes}))
    assert (made.batches, made.give_up, [one.job for one in made.blocked]) == ((), (), [job])
    assert plan(Snapshot(mesh.state, {})) == made


def test_orders_are_what_a_plan_holds_and_nothing_else() -> None:
    assert orders(NOTHING, FENCE) == []
    mesh = Mesh()
    mesh.machine()
    mesh.submit()
    made = plan(mesh.snapshot())
    assert orders(made, FENCE) == [AssignTasks(FENCE, made.batches, made.whys)]
    (signed,) = orders(made, FENCE, NodeNumber(7))
    assert isinstance(signed, AssignTasks)
    assert signed.batches == made.batches
    assert {(one.term, one.by) for one in map(decode, signed.whys) if one is not None} == {(FENCE.term, 7)}
    task, attempt = TaskId(7), AttemptId(8)
    more = made._replace(give_up=(task,), recall=((attempt, task),))
    assert orders(more, FENCE)[1:] == [GiveUpTasks(FENCE, (task,)), RecallAttempts(FENCE, ((attempt, task),))]


# -- budgets -----------------------------------------------------------------------------------------------------------


def carried_out(mesh: Mesh, board: Board, most: int = MOST) -> list[int]:
    """Plan and carry out until a plan says that there is no more; how much each of them placed."""
    sizes = []
    while True:
        made = plan(mesh.snapshot(), board, most=most)
        mesh.carry_out(made)
        sizes.append(made.assigned)
        assert violations(mesh.state) == []
        if not made.more:
            return sizes


def test_more_than_the_budget_is_placed_by_the_plans_that_follow() -> None:
    mesh = Mesh()
    mesh.machines(4, cpus=64, memory=64 * GIB)
    job = mesh.submit(count=100)
    assert carried_out(mesh, Board(), most=30) == [30, 30, 30, 10]
    assert mesh.job(job).counts[TaskState.ASSIGNED] == 100


def test_a_plan_that_just_fits_says_no_more() -> None:
    mesh = Mesh()
    mesh.machine(cpus=4)
    mesh.submit(count=4)
    assert not plan(mesh.snapshot(), most=4).more
    assert plan(mesh.snapshot(), most=3).more


def test_a_plan_has_a_budget_without_being_given_one() -> None:
    mesh = Mesh()
    mesh.machines(20, cpus=64, memory=64 * GIB)
    mesh.submit(count=2000)
    assert carried_out(mesh, Board()) == [MOST, 1280 - MOST]


def test_many_different_wishes_are_looked_at_in_turns() -> None:
    """They all fit nowhere; what comes after them is found by a later plan with the same board."""
    mesh = Mesh()
    mesh.machine()
    mesh.submit(*(a_spec(cpus=9, key=str(number)) for number in range(3 * NEW_RANKINGS)))
    job = mesh.submit()
    assert carried_out(mesh, Board()) == [0, 0, 0, 1]
    assert mesh.job(job).counts[TaskState.ASSIGNED] == 1


def test_while_there_is_more_no_backlog_is_called_back() -> None:
    """Whether nothing waits for the free machine is not known yet."""
    mesh = Mesh()
    mesh.machine(cpus=1)
    taught(mesh, "quick", 500, on=1)
    mesh.submit(key="quick", count=2)
    mesh.carry_out(plan(mesh.snapshot()))
    mesh.machines(3, cpus=1)
    mesh.submit()
    assert plan(mesh.snapshot(), most=1).recall != ()
    mesh.submit()
    assert plan(mesh.snapshot(), most=1).recall == ()


# -- the same for the same ---------------------------------------------------------------------------------------------


def shuffled(state: State, draw: SeededEntropy) -> State:
    """The same records, kept in another order: as if machines and jobs had come to this replica otherwise."""
    other = load(dump(state))
    for name in ("jobs", "tasks", "nodes", "uses", "held", "health", "usage", "reserved", "backoffs", "children"):
        table = getattr(other, name)
        items = list(table.items())
        table.clear()
        while items:
            key, value = items.pop(draw.below(len(items)))
            table[key] = dict(reversed(value.items())) if name == "held" else value
    return other


@pytest.mark.parametrize("policy", BUILT_IN)
def test_a_plan_does_not_depend_on_the_order_in_which_things_came(policy: str) -> None:
    draw = SeededEntropy(7)
    life = Life(draw.fork("life"), policy, machines=6)
    placed = 0
    for _ in range(60):
        life.step()
        made = plan(life.snapshot())
        state, seen = life.snapshot()
        assert plan(Snapshot(shuffled(state, draw), {number: seen[number] for number in reversed(list(seen))})) == made
        life.mesh.carry_out(made)
        placed += made.assigned
    assert placed > 20


def test_machines_that_were_admitted_the_other_way_round_are_chosen_by_number() -> None:
    """The dictionaries differ in their order, the plans do not."""
    mesh = Mesh()
    mesh.machines(3)
    mesh.submit(*(a_spec(key=key) for key in "abc"))
    mesh.do(SetPolicy("round_robin"))
    assert given(plan(mesh.snapshot())) == {(1, 1): 1, (2, 2): 1, (3, 3): 1}
    queued = mesh.submit(count=4, cpus=4)
    for node, index, slot in ((2, 0, True), (3, 1, True), (3, 2, False), (2, 3, False)):
        mesh.assign(queued, node, index, slot=slot)
    for node in (2, 3):
        mesh.do(DrainNode(NodeNumber(node), draining=True))
    other = load(dump(mesh.state))
    other.nodes = {number: other.nodes[number] for number in sorted(other.nodes, reverse=True)}
    other.jobs = {number: other.jobs[number] for number in sorted(other.jobs, reverse=True)}
    assert list(other.nodes) == [3, 2, 1] != list(mesh.state.nodes)
    seen = mesh.snapshot().seen
    made = plan(Snapshot(other, seen))
    assert made == plan(mesh.snapshot())
    assert [task for _, task in made.recall] == [task_id(queued, 3), task_id(queued, 2)]

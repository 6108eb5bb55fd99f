"""What would happen to a job that is submitted now: its mistakes, what it would wait for, or where it starts.

That a dry run agrees with the submit and the plan that follow is shown over random lives in test_explain_true.
"""

import pytest

from odyssey.commands import SetPolicy
from odyssey.ids import JobId, NodeNumber
from odyssey.scheduler.dump import state_hash
from odyssey.scheduler.explain import Waiting, Why, dry_run, waiting
from odyssey.scheduler.plan import MOST, NEW_RANKINGS, plan
from odyssey.scheduler.policies.protocol import WeightedSum
from odyssey.spec import JobSpec
from tests.builders import GIB, Mesh, a_spec
from tests.scheduler.asking import chosen

PC1, PC2 = NodeNumber(1), NodeNumber(2)


def a_mesh(cpus: float = 2) -> Mesh:
    mesh = Mesh()
    mesh.machine(cpus=cpus)
    return mesh


def tried(mesh: Mesh, spec: JobSpec) -> Waiting:
    answer = dry_run(mesh.snapshot(), spec)
    assert answer.faults == ()
    assert answer.waiting is not None
    return answer.waiting


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (a_spec(argv=()), "there is no command to run"),
        (a_spec(cpus=0.001), "--cpus 0.001 is too little"),
        (a_spec(needs="gpu="), "--needs: the expression ends too early"),
        (a_spec(after=(JobId(99),)), "there is no job 99 to wait for"),
        (a_spec(after=(JobId(1),)), "job 1 did not succeed, so this one would be skipped"),
    ],
)
def test_a_mistake_is_an_error_with_a_hint(spec: JobSpec, error: str) -> None:
    mesh = a_mesh()
    failed = mesh.submit()
    mesh.assign(failed, PC1)
    mesh.report(failed, code=1)
    answer = dry_run(mesh.snapshot(), spec)
    assert answer.waiting is None
    assert [fault.error for fault in answer.faults] == [error]
    assert all(fault.hint for fault in answer.faults)


def test_what_waits_for_people_or_parents_is_told_so() -> None:
    mesh = a_mesh()
    parent = mesh.submit()
    assert tried(mesh, a_spec(held=True)).why is Why.HELD
    waits = tried(mesh, a_spec(after=(parent,)))
    assert (waits.why, waits.parents) == (Why.PARENTS, (parent,))
    mesh.assign(parent, PC1)
    mesh.report(parent, code=1)
    assert tried(mesh, a_spec(after_any=(parent,))).why is Why.NEXT


def test_a_dry_run_counts_those_who_come_first_and_names_the_machine_of_the_plan() -> None:
    """The better machine goes to the older job, as it will."""
    mesh = a_mesh(cpus=1)
    mesh.machine(cpus=1, speed=2000)
    mesh.submit()
    spec = a_spec()
    answer = tried(mesh, spec)
    assert (answer.job, answer.why, answer.where, answer.verdicts[0].node) == (0, Why.NEXT, PC1, PC1)
    mesh.submit(spec)
    assert chosen(plan(mesh.snapshot())) == [PC2, PC1]


def test_a_question_looks_at_more_wishes_than_one_plan_does() -> None:
    mesh = a_mesh()
    mesh.submit(*(a_spec(cpus=3, key=str(number)) for number in range(NEW_RANKINGS + 5)))
    assert plan(mesh.snapshot()).more
    job = mesh.submit()
    answer = waiting(mesh.snapshot(), job)
    assert answer is not None
    assert answer.why is Why.NEXT
    assert tried(mesh, a_spec(cpus=2)).why is Why.FULL


def test_what_a_plan_does_not_come_to_is_next_while_there_is_room() -> None:
    mesh = Mesh()
    mesh.machines(20, cpus=64, memory=64 * GIB)
    mesh.submit(count=MOST)
    assert tried(mesh, a_spec(priority=-1)).why is Why.NEXT
    mesh.submit(count=280)
    assert tried(mesh, a_spec(priority=-1)).why is Why.NEXT  # so it seems now: there is room, and more to plan
    mesh.carry_out(plan(mesh.snapshot()))
    assert tried(mesh, a_spec(priority=-1)).why is Why.FULL


def test_a_policy_of_another_package_is_asked_as_the_planner_asks_it() -> None:
    mesh = a_mesh()
    mesh.machine(cpus=2, speed=2000)
    mesh.do(SetPolicy("backwards"))
    policies = {"backwards": WeightedSum("backwards", {"speed": -1})}
    spec = a_spec()
    assert tried(mesh, spec).where == PC2
    answer = dry_run(mesh.snapshot(), spec, policies).waiting
    assert answer is not None
    assert answer.where == PC1
    assert [sum(one.parts.values()) for one in answer.verdicts] == [-500, -1000]


def test_asking_changes_nothing() -> None:
    mesh = a_mesh()
    mesh.submit(cpus=2, count=5)
    before, queue = state_hash(mesh.state), mesh.state.waiting.layout()
    assert tried(mesh, a_spec(priority=1, cpus=2)).why is Why.NEXT
    assert tried(mesh, a_spec(cpus=2)).why is Why.FULL
    assert (state_hash(mesh.state), mesh.state.waiting.layout()) == (before, queue)

"""What is small cannot starve what is big: a machine is kept free for what has waited, and for no longer than that."""

import pytest

from odyssey.commands import AgeQueue, HoldJob
from odyssey.ids import JobId, NodeNumber, index_of, job_of
from odyssey.model import Outcome
from odyssey.scheduler.plan import Plan, plan
from odyssey.scheduler.snapshot import Seen
from tests.builders import GIB, Mesh
from tests.scheduler.asking import chosen, given

PC1, PC2, PC3 = NodeNumber(1), NodeNumber(2), NodeNumber(3)


def planned(mesh: Mesh, seen: dict[NodeNumber, Seen] | None = None) -> Plan:
    return plan(mesh.snapshot(seen))


def a_crowd(machines: int = 3) -> tuple[Mesh, JobId]:
    """Machines full of small tasks, many more that wait, and a task that needs a whole machine."""
    mesh = Mesh()
    mesh.machines(machines, cpus=2)
    mesh.submit(count=1000)
    mesh.carry_out(planned(mesh))
    big = mesh.submit(cpus=2, priority=1)
    return mesh, big


def end_one(mesh: Mesh, node: int) -> None:
    attempt, task = min(mesh.state.held[NodeNumber(node)].items())
    mesh.report(job_of(task), index_of(task))
    assert attempt not in mesh.state.held[NodeNumber(node)]


def test_a_big_task_among_small_ones_gets_a_machine_kept_free_once_it_has_waited() -> None:
    mesh, big = a_crowd()
    end_one(mesh, 2)
    assert set(chosen(planned(mesh))) == {PC2}  # it has not waited long
    mesh.carry_out(planned(mesh))
    mesh.do(AgeQueue(mesh.fence))
    for node in (2, 3):
        end_one(mesh, node)
    assert set(chosen(planned(mesh))) == {PC3}  # pc-2 is kept free, on the others work goes on
    mesh.carry_out(planned(mesh))
    end_one(mesh, 2)
    assert given(planned(mesh))[big, PC2] == 1


def test_not_more_than_an_eighth_of_the_machines_is_kept_free() -> None:
    for machines, kept in ((2, 1), (15, 1), (16, 2), (24, 3)):
        mesh, _ = a_crowd(machines)
        for number in range(9):
            mesh.submit(cpus=2, key=str(number), priority=2)
        mesh.do(AgeQueue(mesh.fence))
        for node in range(1, machines + 1):
            end_one(mesh, node)
        assert len(set(chosen(planned(mesh)))) == machines - kept


def test_the_machine_that_has_to_free_least_is_kept() -> None:
    mesh = Mesh()
    mesh.machines(2, cpus=4)
    mesh.assign(mesh.submit(cpus=3), 1)
    mesh.assign(mesh.submit(cpus=2), 2)
    mesh.submit(cpus=4)
    mesh.do(AgeQueue(mesh.fence))
    small = mesh.submit(count=9)
    assert given(planned(mesh)) == {(small, PC1): 1}


def test_no_machine_is_kept_for_what_it_could_not_take_when_it_is_empty() -> None:
    """Others use the memory, the task was refused there, or needs more memory than it has."""
    mesh = Mesh()
    mesh.machine(cpus=2)
    mesh.submit(memory=4 * GIB)
    mesh.do(AgeQueue(mesh.fence))
    small = mesh.submit(count=9)
    assert given(planned(mesh, {PC1: Seen(memory_free=3 * GIB)})) == {(small, PC1): 2}


@pytest.mark.parametrize("outcome", [Outcome.NOT_HERE, Outcome.OOM])
def test_for_a_task_that_may_not_go_back_another_machine_is_kept(outcome: Outcome) -> None:
    mesh = Mesh()
    mesh.machine(cpus=2, memory=4 * GIB)
    mesh.machine(cpus=2, memory=8 * GIB)
    big = mesh.submit(cpus=2)
    mesh.assign(big, 1)
    mesh.report(big, outcome=outcome)
    mesh.assign(mesh.submit(), 2)
    mesh.do(AgeQueue(mesh.fence))
    small = mesh.submit(count=9)
    assert given(planned(mesh)) == {(small, PC1): 2}


def test_what_was_kept_free_is_free_again_when_nobody_needs_it() -> None:
    mesh, big = a_crowd(1)
    mesh.do(AgeQueue(mesh.fence))
    end_one(mesh, 1)
    assert planned(mesh).batches == ()
    mesh.do(HoldJob(big))
    assert len(planned(mesh).batches) == 1

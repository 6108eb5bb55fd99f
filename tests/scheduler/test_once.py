"""--once: an attempt that may have started is never followed by another, except by the user's word."""

import pytest

from odyssey.events import JobEnded, TasksEnded
from odyssey.ids import JobId, NodeNumber
from odyssey.model import Cause, Ending, JobState, Outcome, TaskState
from tests.builders import Mesh
from tests.scheduler.acts import dropped, end_backoff, lose, queued, recall, states


def running(**fields: object) -> tuple[Mesh, JobId, NodeNumber]:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(once=True, **fields)
    mesh.assign(job, node)
    return mesh, job, node


@pytest.mark.parametrize("cause", list(Cause))
def test_lost_it_may_have_run_so_it_fails_with_that_reason(cause: Cause) -> None:
    mesh, job, node = running()
    events = lose(mesh, job, cause=cause)
    index = mesh.state.head.index
    assert events[1:] == [
        TasksEnded(index, job, ((0, 1),), TaskState.FAILED, Ending.ONCE),
        JobEnded(index, job, JobState.FAILED),
    ]
    assert dropped(mesh.assign(job, node)) == {"not-waiting": ((0, 1),)}


@pytest.mark.parametrize("outcome", [Outcome.EVICTED, Outcome.CANCELLED, Outcome.LOST])
def test_broken_off_by_its_machine_it_has_run_so_it_fails(outcome: Outcome) -> None:
    mesh, job, _ = running()
    mesh.report(job, outcome=outcome)
    assert (states(mesh, job), mesh.task(job).ending) == ("F", Ending.ONCE)


@pytest.mark.parametrize("outcome", [Outcome.EXITED, Outcome.SIGNALLED, Outcome.TIMEOUT, Outcome.OOM])
def test_its_own_failure_is_final_and_told_as_its_own(outcome: Outcome) -> None:
    mesh, job, _ = running()
    mesh.report(job, outcome=outcome, code=1)
    assert (states(mesh, job), mesh.task(job).ending) == ("F", Ending.OWN)


def test_what_never_started_moves() -> None:
    mesh, job, _ = running()
    mesh.report(job, outcome=Outcome.REJECTED)
    end_backoff(mesh, job)
    assert queued(mesh) == {job}
    mesh.assign(job, mesh.machine())
    mesh.report(job, outcome=Outcome.NOT_HERE)
    assert queued(mesh) == {job}


def test_what_is_taken_back_from_a_backlog_moves_at_once() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=1)
    mesh.assign(mesh.submit(), node)
    job = mesh.submit(once=True)
    mesh.assign(job, node, slot=False)
    recall(mesh, job)
    mesh.report(job, outcome=Outcome.REJECTED)
    assert queued(mesh) == {job}


def test_what_is_lost_from_a_backlog_may_have_been_started_by_its_machine() -> None:
    """The machine takes the next of its backlog by itself: nobody knows how far it got."""
    mesh = Mesh()
    node = mesh.machine(cpus=1)
    mesh.assign(mesh.submit(), node)
    job = mesh.submit(once=True)
    mesh.assign(job, node, slot=False)
    lose(mesh, job)
    assert (states(mesh, job), mesh.task(job).ending) == ("F", Ending.ONCE)


def test_one_task_of_an_array_may_fail_so_and_the_others_go_on() -> None:
    mesh, job, node = running(count=3)
    mesh.assign(job, node, 1)
    lose(mesh, job, 0)
    mesh.report(job, 1)
    assert states(mesh, job) == "FDW"
    assert queued(mesh) == {job}

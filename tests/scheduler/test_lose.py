"""Attempts that are given up: their tasks move at once; only machines that went down under a task count against it."""

import pytest

from odyssey.commands import AssignTasks, Batch, LoseAttempts, RemoveNode
from odyssey.events import AttemptEnded, TaskRequeued
from odyssey.ids import AttemptId, NodeNumber, TaskId, task_id
from odyssey.model import POISON_LIMIT, Cause, Ending, Health, Outcome
from tests.builders import Mesh, kinds
from tests.scheduler.acts import backoffs, changes_nothing, lose, queued, states, use


def running(count: int = 1, **fields: object) -> tuple[Mesh, int, NodeNumber]:
    mesh = Mesh()
    node = mesh.machine(cpus=8)
    job = mesh.submit(count=count, **fields)
    mesh.assign(job, node, *range(count))
    return mesh, job, node


@pytest.mark.parametrize("cause", list(Cause))
def test_what_is_lost_waits_again_at_once_and_its_room_is_free(cause: Cause) -> None:
    mesh, job, node = running()
    attempt, task = mesh.attempt(job), task_id(job, 0)
    index = mesh.state.head.index + 1
    assert lose(mesh, job, cause=cause) == [
        AttemptEnded(index, attempt, task, node, Outcome.LOST, 0),
        TaskRequeued(index, task, Outcome.LOST, 0),
    ]
    assert (states(mesh, job), queued(mesh), use(mesh, node).slots) == ("W", {job}, 0)


def test_the_loss_is_in_the_tasks_history() -> None:
    mesh, job, node = running()
    lose(mesh, job)
    mesh.do(AssignTasks(mesh.fence, (Batch(node, mesh.job(job).id, ((0, 1),), score=77),), (b"because",)))
    attempt = mesh.task(job).attempts[0]
    lose(mesh, job)
    one = mesh.task(job).tries[-1]
    assert (one.attempt, one.node, one.outcome, one.code) == (attempt.id, node, Outcome.LOST, 0)
    assert (one.assigned_ms, one.started_ms, one.ended_ms) == (attempt.assigned_ms, 0, mesh.entries[-1].wall_ms)
    assert (one.score, one.why) == (77, b"because")


def test_many_attempts_of_many_machines_are_lost_in_one_order() -> None:
    mesh, job, _ = running(3)
    other = mesh.machine()
    another = mesh.submit()
    mesh.assign(another, other)
    pairs = [(attempt, task) for node, attempt, task in mesh.running()]
    mesh.do(LoseAttempts(mesh.fence, Cause.MASS, tuple(pairs)))
    assert (states(mesh, job), states(mesh, another)) == ("WWW", "W")
    assert mesh.running() == []


# ---- what counts against whom ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", list(Cause))
def test_only_machines_that_went_down_count_towards_the_limit(cause: Cause) -> None:
    mesh, job, node = running()
    for _ in range(POISON_LIMIT + 1):
        lose(mesh, job, cause=cause)
        mesh.assign(job, node)
        if states(mesh, job) == "F":
            break
    poisonous = cause is Cause.DOWN
    assert states(mesh, job) == ("F" if poisonous else "A")
    assert mesh.task(job).deaths == (POISON_LIMIT if poisonous else 0)


def test_a_task_under_which_machines_keep_going_down_fails_with_that_reason() -> None:
    mesh, job, node = running()
    for at in range(POISON_LIMIT):
        assert mesh.task(job).deaths == at
        lose(mesh, job, cause=Cause.DOWN)
        mesh.assign(job, node)
    assert (states(mesh, job), mesh.task(job).ending) == ("F", Ending.POISON)


def test_losses_use_up_no_retries_and_cause_no_backoff() -> None:
    mesh, job, node = running(retries=1)
    for cause in (Cause.CUT, Cause.LEFT, Cause.REBOOT, Cause.DOWN):
        assert backoffs(lose(mesh, job, cause=cause)) == [0]
        mesh.assign(job, node)
    assert mesh.task(job).failures == 0


@pytest.mark.parametrize("cause", list(Cause))
def test_a_machine_is_blamed_once_an_order_and_only_when_it_failed(cause: Cause) -> None:
    mesh, _, node = running(3)
    pairs = tuple((attempt, task) for _, attempt, task in mesh.running())
    mesh.do(LoseAttempts(mesh.fence, cause, pairs))
    broke = mesh.state.health.get(node, Health()).broke
    assert broke == (1 if cause in (Cause.DOWN, Cause.REBOOT) else 0)


# ---- what is not held ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", list(Cause))
def test_what_is_over_or_unknown_is_not_lost_again(cause: Cause) -> None:
    mesh, job, _ = running(2)
    over, current = mesh.attempt(job, 0), mesh.attempt(job, 1)
    mesh.report(job, 0)
    pairs = (
        (over, task_id(job, 0)),
        (current, task_id(job, 0)),  # another task's
        (current, task_id(job, 7)),
        (AttemptId(0), TaskId(0)),
        (AttemptId(-1), TaskId(-1)),
        (over, task_id(99, 0)),
    )
    assert kinds(changes_nothing(mesh, LoseAttempts(mesh.fence, cause, pairs))) == ["ChangedNothing"]


def test_an_attempt_named_twice_is_lost_once() -> None:
    mesh, job, _ = running()
    pair = (mesh.attempt(job), task_id(job, 0))
    mesh.do(LoseAttempts(mesh.fence, Cause.DOWN, (pair, pair)))
    assert (mesh.task(job).deaths, mesh.task(job).tries_total) == (1, 1)


def test_an_order_of_nothing_changes_nothing() -> None:
    mesh, _, _ = running()
    assert kinds(changes_nothing(mesh, LoseAttempts(mesh.fence, Cause.DOWN, ()))) == ["ChangedNothing"]


def test_a_removed_machine_is_forgotten_with_its_last_attempt() -> None:
    mesh, job, node = running(2)
    mesh.do(RemoveNode(node))
    lose(mesh, job, 0, Cause.LEFT)
    assert node in mesh.state.nodes
    lose(mesh, job, 1, Cause.LEFT)
    for table in (mesh.state.nodes, mesh.state.uses, mesh.state.health, mesh.state.held):
        assert node not in table
    assert states(mesh, job) == "WW"

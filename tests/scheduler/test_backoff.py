"""Between two tries lies a backoff, and only the coordinator's clock ends it: as a command, never by itself."""

import pytest

from odyssey.commands import EndBackoff, HoldJob, ReleaseJob
from odyssey.events import BackoffEnded, TaskRequeued
from odyssey.ids import JobId, NodeNumber, TaskId, task_id
from odyssey.model import Outcome
from odyssey.scheduler.dump import dump, load
from odyssey.scheduler.retry import backoff_ms
from tests.builders import Mesh, kinds
from tests.scheduler.acts import cancel, changes_nothing, dropped, end_backoff, end_on, queued, states


def failed_once(count: int = 1, **fields: object) -> tuple[Mesh, JobId, NodeNumber]:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(**{"retries": 3, "count": count, **fields})
    mesh.assign(job, node)
    mesh.report(job, code=1)
    return mesh, job, node


def test_a_failed_task_backs_off_as_long_as_its_attempt_says() -> None:
    mesh, job, _ = failed_once()
    attempt = mesh.task(job).tries[-1].attempt
    (event,) = [event for event in mesh.events if isinstance(event, TaskRequeued)]
    assert event.backoff_ms == mesh.task(job).backoff_ms == backoff_ms(1, attempt)
    assert list(mesh.state.backoffs) == [task_id(job, 0)]


def test_while_it_backs_off_it_cannot_start() -> None:
    mesh, job, node = failed_once()
    assert queued(mesh) == set()
    assert dropped(mesh.assign(job, node)) == {"not-waiting": ((0, 1),)}


def test_no_other_command_ends_a_backoff() -> None:
    mesh, job, node = failed_once()
    other = mesh.submit()
    mesh.term += 1
    end_on(mesh, other, node)
    mesh.machine()
    assert mesh.task(job).backoff_ms
    assert states(mesh, job) == "W"


def test_its_end_makes_the_task_ready() -> None:
    mesh, job, node = failed_once()
    assert end_backoff(mesh, job) == [BackoffEnded(mesh.state.head.index, (task_id(job, 0),))]
    assert (queued(mesh), dict(mesh.state.backoffs), mesh.task(job).backoff_ms) == ({job}, {}, 0)
    assert dropped(mesh.assign(job, node)) == {}


def test_the_others_of_its_array_do_not_wait_for_it() -> None:
    mesh, job, node = failed_once(count=2)
    assert queued(mesh) == {job}
    assert dropped(mesh.assign(job, node, 0, 1)) == {"not-waiting": ((0, 1),)}
    assert states(mesh, job) == "WA"


def test_each_failure_backs_off_longer_until_the_retries_are_used_up() -> None:
    mesh, job, node = failed_once()
    lengths = [mesh.task(job).backoff_ms]
    while True:
        end_backoff(mesh, job)
        mesh.assign(job, node)
        mesh.report(job, code=1)
        if states(mesh, job) == "F":
            break
        lengths.append(mesh.task(job).backoff_ms)
    assert len(lengths) == 3
    assert lengths == sorted(lengths)
    assert lengths[0] * 2 < lengths[2]


def test_a_failure_that_is_not_to_be_retried_ends_the_task() -> None:
    mesh, job, _ = failed_once(retry_on=("signalled",))
    assert states(mesh, job) == "F"
    assert mesh.state.backoffs == {}


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.EVICTED, Outcome.NOT_HERE])
def test_what_the_machine_broke_moves_at_once(outcome: Outcome) -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit()
    mesh.assign(job, node)
    mesh.report(job, outcome=outcome)
    assert (mesh.task(job).backoff_ms, queued(mesh)) == (0, {job})


def test_a_rejected_task_does_not_come_back_in_the_same_breath() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit()
    mesh.assign(job, node)
    mesh.report(job, outcome=Outcome.REJECTED)
    assert mesh.task(job).backoff_ms
    assert mesh.task(job).failures == 0


def test_ending_what_does_not_back_off_changes_nothing() -> None:
    mesh, job, node = failed_once()
    end_backoff(mesh, job)
    mesh.assign(job, node)
    waiting = mesh.submit()
    tasks = [task_id(job, 0), task_id(job, 5), task_id(waiting, 0), task_id(99, 0), TaskId(-1)]
    assert kinds(changes_nothing(mesh, EndBackoff(mesh.fence, tuple(tasks)))) == ["ChangedNothing"]


def test_only_those_that_did_back_off_are_told() -> None:
    mesh, job, _ = failed_once(count=2)
    events = mesh.do(EndBackoff(mesh.fence, (task_id(job, 1), task_id(job, 0), task_id(job, 0))))
    assert events == [BackoffEnded(mesh.state.head.index, (task_id(job, 0),))]


def test_a_held_job_stays_out_of_the_queue_when_its_backoff_ends() -> None:
    mesh, job, _ = failed_once()
    mesh.do(HoldJob(job))
    end_backoff(mesh, job)
    assert queued(mesh) == set()
    mesh.do(ReleaseJob(job))
    assert queued(mesh) == {job}


def test_a_cancelled_task_backs_off_no_more() -> None:
    mesh, job, _ = failed_once()
    cancel(mesh, job)
    assert kinds(changes_nothing(mesh, EndBackoff(mesh.fence, (task_id(job, 0),)))) == ["ChangedNothing"]


def test_backoffs_are_still_known_after_a_restart() -> None:
    mesh, job, _ = failed_once()
    again = load(dump(mesh.state))
    assert list(again.backoffs) == [task_id(job, 0)]
    assert again.tasks[task_id(job, 0)].backoff_ms == mesh.task(job).backoff_ms

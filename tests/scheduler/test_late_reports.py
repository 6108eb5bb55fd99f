"""A machine is given up and comes back: what it did counts after all, exactly once, until the next try begins."""

import pytest

from odyssey.commands import AssignTasks, Batch, CancelTasks, GiveUpTasks, HoldJob, Report, ReportAttempts
from odyssey.events import TaskRequeued, TasksEnded
from odyssey.ids import JobId, NodeNumber, task_id
from odyssey.model import Cause, Ending, Learned, Outcome, TaskState, Try
from odyssey.scheduler.invariants import violations
from tests.builders import Mesh, kinds
from tests.scheduler.acts import (
    cancel,
    end_backoff,
    lose,
    queued,
    retry,
    states,
    tell,
    use,
)


def lost(cause: Cause = Cause.CUT, **fields: object) -> tuple[Mesh, JobId, NodeNumber, Try]:
    """A task whose machine was given up; it waits for its next try."""
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(**fields)
    mesh.assign(job, node)
    lose(mesh, job, cause=cause)
    return mesh, job, node, mesh.task(job).tries[-1]


def test_the_result_of_a_machine_that_came_back_counts() -> None:
    mesh, job, _, late = lost()
    events = tell(mesh, late, task_id(job, 0))
    assert TasksEnded(mesh.state.head.index, job, ((0, 1),), TaskState.DONE, Ending.OWN) in events
    assert states(mesh, job) == "D"
    assert queued(mesh) == set()
    assert violations(mesh.state) == []


def test_it_takes_the_place_of_the_loss_in_history() -> None:
    mesh, job, node, late = lost()
    tell(mesh, late, task_id(job, 0))
    (one,) = mesh.task(job).tries
    assert (one.attempt, one.node, one.outcome, one.assigned_ms) == (
        late.attempt,
        node,
        Outcome.EXITED,
        late.assigned_ms,
    )
    assert mesh.task(job).tries_total == 1


def test_what_was_known_of_the_attempt_stays_known() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit()
    mesh.do(AssignTasks(mesh.fence, (Batch(node, job, ((0, 1),), score=77),), (b"because",)))
    lose(mesh, job)
    tell(mesh, mesh.task(job).tries[-1], task_id(job, 0))
    assert (mesh.task(job).tries[-1].score, mesh.task(job).tries[-1].why) == (77, b"because")


def test_a_late_run_is_charged_and_learned_from_once() -> None:
    mesh, job, node, late = lost(key="ffmpeg")
    told = Report(late.attempt, task_id(job, 0), Outcome.EXITED, run_ms=3_000)
    for _ in range(2):
        mesh.do(ReportAttempts(node, (told,)))
        assert list(mesh.state.usage.values()) == [3_000]
        assert mesh.state.learned["ffmpeg", node] == Learned(1, 3_000)


def test_a_late_failure_says_that_a_backoff_begins() -> None:
    """Who counts it down hears of it by this event alone."""
    mesh, job, _, late = lost(retries=1)
    events = tell(mesh, late, task_id(job, 0), code=1)
    waits_ms = mesh.task(job).backoff_ms
    assert waits_ms
    assert TaskRequeued(mesh.state.head.index, task_id(job, 0), Outcome.EXITED, waits_ms) in events


def test_it_counts_exactly_once() -> None:
    mesh, job, _, late = lost(retries=5)
    tell(mesh, late, task_id(job, 0), code=1)
    assert kinds(tell(mesh, late, task_id(job, 0), code=1)) == ["ReportIgnored"]
    assert kinds(tell(mesh, late, task_id(job, 0))) == ["ReportIgnored"]
    assert (states(mesh, job), mesh.task(job).failures, mesh.task(job).tries_total) == ("W", 1, 1)


def test_it_comes_too_late_once_the_next_try_has_begun() -> None:
    mesh, job, _, late = lost()
    other = mesh.machine()
    mesh.assign(job, other)
    assert kinds(tell(mesh, late, task_id(job, 0))) == ["ReportIgnored"]
    assert states(mesh, job) == "A"


def test_it_comes_too_late_when_the_next_try_was_lost_as_well() -> None:
    """Only the latest attempt has a say; else two machines could both have it."""
    mesh, job, node, first = lost()
    mesh.assign(job, node)
    lose(mesh, job)
    second = mesh.task(job).tries[-1]
    assert kinds(tell(mesh, first, task_id(job, 0))) == ["ReportIgnored"]
    tell(mesh, second, task_id(job, 0))
    assert states(mesh, job) == "D"


def test_it_comes_too_late_for_a_task_that_was_cancelled_meanwhile() -> None:
    mesh, job, _, late = lost()
    cancel(mesh, job)
    assert kinds(tell(mesh, late, task_id(job, 0))) == ["ReportIgnored"]
    assert states(mesh, job) == "C"


def test_another_machine_cannot_tell_it() -> None:
    mesh, job, _, late = lost()
    other = mesh.machine()
    assert kinds(tell(mesh, Try(late.attempt, other, Outcome.LOST), task_id(job, 0))) == ["ReportIgnored"]


def test_that_it_is_lost_is_known_already() -> None:
    mesh, job, _, late = lost()
    assert kinds(tell(mesh, late, task_id(job, 0), Outcome.LOST)) == ["ReportIgnored"]


@pytest.mark.parametrize("outcome", [Outcome.EVICTED, Outcome.REJECTED, Outcome.CANCELLED])
def test_only_what_was_lost_can_be_told_again(outcome: Outcome) -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit()
    mesh.assign(job, node)
    mesh.report(job, outcome=outcome)
    assert kinds(tell(mesh, mesh.task(job).tries[-1], task_id(job, 0))) == ["ReportIgnored"]


def test_a_late_failure_uses_up_a_retry_and_backs_off() -> None:
    mesh, job, _, late = lost(retries=1)
    tell(mesh, late, task_id(job, 0), code=1)
    assert (states(mesh, job), mesh.task(job).failures) == ("W", 1)
    assert mesh.task(job).backoff_ms
    assert queued(mesh) == set()
    end_backoff(mesh, job)
    assert queued(mesh) == {job}


def test_a_late_failure_without_a_retry_ends_the_task() -> None:
    mesh, job, _, late = lost()
    tell(mesh, late, task_id(job, 0), code=1)
    assert states(mesh, job) == "F"
    assert mesh.task(job).ending is Ending.OWN


def test_a_late_not_here_is_remembered() -> None:
    mesh, job, node, late = lost()
    tell(mesh, late, task_id(job, 0), Outcome.NOT_HERE)
    assert mesh.task(job).refused_by == (node,)


def test_a_late_report_needs_no_room_and_frees_none() -> None:
    mesh, job, node, late = lost()
    other = mesh.submit(cpus=4)
    mesh.assign(other, node)
    before = use(mesh, node)
    tell(mesh, late, task_id(job, 0))
    assert use(mesh, node) == before
    assert mesh.job(job).attempts == 0


def test_a_held_job_takes_a_late_result_too() -> None:
    mesh, job, _, late = lost()
    mesh.do(HoldJob(job))
    tell(mesh, late, task_id(job, 0))
    assert states(mesh, job) == "D"


def test_a_job_that_runs_once_stays_failed_though_its_machine_came_back() -> None:
    mesh, job, _, late = lost(once=True)
    assert kinds(tell(mesh, late, task_id(job, 0))) == ["ReportIgnored"]
    assert (states(mesh, job), mesh.task(job).ending) == ("F", Ending.ONCE)


def test_after_the_users_retry_the_late_result_spares_the_second_run() -> None:
    mesh, job, _, late = lost(once=True)
    retry(mesh, job)
    tell(mesh, late, task_id(job, 0))
    assert states(mesh, job) == "D"


def test_a_late_report_after_the_task_was_given_up_is_history() -> None:
    mesh = Mesh()
    node, other = mesh.machines(2)
    job = mesh.submit()
    mesh.assign(job, other)
    mesh.report(job, outcome=Outcome.NOT_HERE)
    mesh.assign(job, node)
    lose(mesh, job)
    late = mesh.task(job).tries[-1]
    mesh.do(GiveUpTasks(mesh.fence, (task_id(job, 0),)))
    assert kinds(tell(mesh, late, task_id(job, 0))) == ["ReportIgnored"]
    assert states(mesh, job) == "F"


def test_with_two_attempts_lost_the_last_one_to_be_given_up_has_the_say() -> None:
    mesh = Mesh()
    one, two = mesh.machines(2)
    job = mesh.submit(overlap=True)
    mesh.assign(job, one)
    mesh.assign(job, two)
    lose(mesh, job, which=0)
    lose(mesh, job)
    first, second = mesh.task(job).tries
    assert kinds(tell(mesh, first, task_id(job, 0))) == ["ReportIgnored"]
    tell(mesh, second, task_id(job, 0))
    assert states(mesh, job) == "D"
    assert kinds(mesh.do(CancelTasks(job))) == ["CommandRefused"]

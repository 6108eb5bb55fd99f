"""Retry is the user's word: what failed, was cancelled or skipped waits again, with a clean sheet and its history."""

import pytest

from odyssey.commands import ArchiveJobs, RetryTasks, Span
from odyssey.events import TasksRetried
from odyssey.ids import JobId, NodeNumber
from odyssey.model import Cause, Ending, Outcome, Task
from tests.builders import GIB, Mesh, kinds
from tests.scheduler.acts import (
    cancel,
    changes_nothing,
    dropped,
    end_backoff,
    end_on,
    lose,
    queued,
    refusal,
    retry,
    states,
)


def a_mesh(**fields: object) -> tuple[Mesh, NodeNumber, JobId]:
    mesh = Mesh()
    node = mesh.machine(cpus=8)
    return mesh, node, mesh.submit(**fields)


def failed(**fields: object) -> tuple[Mesh, NodeNumber, JobId]:
    mesh, node, job = a_mesh(**fields)
    mesh.assign(job, node)
    mesh.report(job, code=1)
    return mesh, node, job


def test_a_failed_job_waits_again_and_is_live_again() -> None:
    mesh, _, job = failed()
    assert (states(mesh, job), job in mesh.state.ended) == ("F", True)
    events = retry(mesh, job)
    assert events == [TasksRetried(mesh.state.head.index, job, ((0, 1),))]
    assert (states(mesh, job), mesh.job(job).live, job in mesh.state.ended) == ("W", True, False)
    assert queued(mesh) == {job}


def test_the_sheet_is_clean_and_the_history_is_kept() -> None:
    mesh, node, job = a_mesh(retries=1)
    end_on(mesh, job, node, code=1)
    end_on(mesh, job, mesh.machine(), Outcome.NOT_HERE)
    end_on(mesh, job, mesh.machine(), Outcome.OOM)
    mesh.assign(job, mesh.machine(memory=64 * GIB))
    lose(mesh, job, cause=Cause.DOWN)
    end_on(mesh, job, mesh.machine(memory=64 * GIB), code=1)
    before = mesh.task(job)
    assert (before.failures, before.deaths, before.ending) == (1, 1, Ending.OWN)
    assert before.refused_by
    assert before.memory_floor
    retry(mesh, job)
    assert mesh.task(job) == Task(before.id, tries=before.tries, tries_total=5)


def test_a_retried_task_has_all_of_its_retries_again() -> None:
    mesh, node, job = failed(retries=1)
    end_backoff(mesh, job)
    end_on(mesh, job, node, code=1)
    assert states(mesh, job) == "F"
    retry(mesh, job)
    end_on(mesh, job, node, code=1)
    assert states(mesh, job) == "W"


def test_a_job_that_ran_once_may_run_again_when_the_user_says_so() -> None:
    mesh, node, job = a_mesh(once=True)
    mesh.assign(job, node)
    lose(mesh, job)
    assert dropped(mesh.assign(job, node)) == {"not-waiting": ((0, 1),)}
    retry(mesh, job)
    assert dropped(mesh.assign(job, node)) == {}
    mesh.report(job)
    assert states(mesh, job) == "D"


def test_machines_that_said_not_here_are_asked_again() -> None:
    mesh, node, job = a_mesh()
    end_on(mesh, job, node, Outcome.NOT_HERE)
    cancel(mesh, job)
    retry(mesh, job)
    assert dropped(mesh.assign(job, node)) == {}


def test_results_and_what_is_under_way_are_left_alone() -> None:
    mesh, node, job = a_mesh(count=6)
    mesh.assign(job, node, 0, 1, 2, 3)
    mesh.report(job, 0)
    mesh.report(job, 1, code=1)
    cancel(mesh, job, (2, 3), (4, 5))
    assert states(mesh, job) == "DFXACW"
    assert retry(mesh, job) == [TasksRetried(mesh.state.head.index, job, ((1, 2), (4, 5)))]
    assert states(mesh, job) == "DWXAWW"


def test_only_what_was_named_is_retried() -> None:
    mesh, node, job = a_mesh(count=5)
    mesh.assign(job, node, 0, 1)
    mesh.report(job, 0, code=1)
    mesh.report(job, 1, code=1)
    cancel(mesh, job)
    assert retry(mesh, job, (1, 3), (4, 5)) == [TasksRetried(mesh.state.head.index, job, ((1, 3), (4, 5)))]
    assert states(mesh, job) == "FWWCW"


def test_a_job_that_ends_again_ends_anew() -> None:
    mesh, node, job = failed()
    first = mesh.job(job).ended_index
    retry(mesh, job)
    mesh.assign(job, node)
    mesh.report(job)
    assert mesh.job(job).ended_index == mesh.state.head.index > first
    assert states(mesh, job) == "D"


def test_a_live_job_cannot_be_archived_and_an_archived_one_not_retried() -> None:
    mesh, _, job = failed()
    retry(mesh, job)
    archived = ArchiveJobs(mesh.fence, b"digest", 1, ((job, job + 1),), mesh.state.head.index)
    assert refusal(changes_nothing(mesh, archived)) == "not-ended"
    cancel(mesh, job)
    mesh.do(ArchiveJobs(mesh.fence, b"digest", 1, ((job, job + 1),), mesh.state.head.index))
    assert refusal(changes_nothing(mesh, RetryTasks(job))) == "no-such-job"


@pytest.mark.parametrize("fields", [{}, {"held": True}])
def test_what_waits_already_changes_nothing(fields: dict[str, object]) -> None:
    mesh, _, job = a_mesh(count=3, **fields)
    assert kinds(changes_nothing(mesh, RetryTasks(job))) == ["ChangedNothing"]


def test_a_result_cannot_be_retried() -> None:
    mesh, node, job = a_mesh()
    end_on(mesh, job, node)
    assert kinds(changes_nothing(mesh, RetryTasks(job))) == ["ChangedNothing"]
    assert not mesh.job(job).live


def test_a_held_job_that_is_retried_stays_held() -> None:
    mesh, _, job = a_mesh(held=True)
    cancel(mesh, job)
    retry(mesh, job)
    assert (states(mesh, job), queued(mesh)) == ("W", set())


@pytest.mark.parametrize("span", [(0, 2), (-1, 1), (0, 0), (1, 0)])
def test_tasks_the_job_does_not_have_are_refused(span: Span) -> None:
    mesh, _, job = failed()
    assert refusal(changes_nothing(mesh, RetryTasks(job, (span,)))) == "no-such-task"


def test_an_unknown_job_is_refused() -> None:
    assert refusal(changes_nothing(Mesh(), RetryTasks(JobId(1)))) == "no-such-job"

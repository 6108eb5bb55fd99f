"""Cancel is an intent: what waits is cancelled at once, what runs when its attempt has ended or its lease is over.

The order of the log decides against a report: who reports after the cancel comes too late.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.commands import CancelTasks, Span
from odyssey.events import JobEnded, TasksCancelling, TasksEnded
from odyssey.ids import JobId, NodeNumber, task_id
from odyssey.model import Cause, Ending, JobState, Outcome, TaskState
from odyssey.scheduler.invariants import violations
from tests.builders import Mesh, kinds
from tests.scheduler.acts import cancel, changes_nothing, dropped, lose, refusal, retry, states, tell, use


def a_mesh() -> tuple[Mesh, NodeNumber]:
    mesh = Mesh()
    return mesh, mesh.machine(cpus=8)


def running(count: int = 1, **fields: object) -> tuple[Mesh, JobId, NodeNumber]:
    mesh, node = a_mesh()
    job = mesh.submit(count=count, **fields)
    mesh.assign(job, node, *range(count))
    return mesh, job, node


# ---- what waits ------------------------------------------------------------------------------------------------------


def test_what_waits_is_cancelled_at_once() -> None:
    mesh, _ = a_mesh()
    job = mesh.submit(count=2)
    events = cancel(mesh, job)
    index = mesh.state.head.index
    assert events == [
        TasksEnded(index, job, ((0, 2),), TaskState.CANCELLED, Ending.CANCELLED),
        JobEnded(index, job, JobState.CANCELLED),
    ]


def test_what_backs_off_is_cancelled_at_once_and_backs_off_no_more() -> None:
    mesh, job, _ = running(retries=1)
    mesh.report(job, code=1)
    cancel(mesh, job)
    assert states(mesh, job) == "C"
    assert (mesh.task(job).backoff_ms, mesh.task(job).ending) == (0, Ending.CANCELLED)
    assert mesh.state.backoffs == {}


def test_what_is_held_or_blocked_can_be_cancelled() -> None:
    mesh, _ = a_mesh()
    held = mesh.submit(held=True)
    blocked = mesh.submit(after=(held,))
    cancel(mesh, blocked)
    cancel(mesh, held)
    assert [states(mesh, job) for job in (held, blocked)] == ["C", "C"]


# ---- what runs -------------------------------------------------------------------------------------------------------


def test_what_runs_is_cancelling_until_its_attempt_has_ended() -> None:
    mesh, job, node = running()
    assert cancel(mesh, job) == [TasksCancelling(mesh.state.head.index, job, (task_id(job, 0),))]
    assert states(mesh, job) == "X"
    assert mesh.job(job).live
    assert mesh.task(job).attempts[0].stopping
    assert use(mesh, node).slots == 1, "the machine is not free before the attempt has ended"
    events = mesh.report(job, outcome=Outcome.CANCELLED)
    assert (states(mesh, job), use(mesh, node).slots) == ("C", 0)
    assert events[-1] == JobEnded(mesh.state.head.index, job, JobState.CANCELLED)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_whatever_a_cancelling_attempt_reports_its_task_is_cancelled(outcome: Outcome) -> None:
    mesh, job, _ = running(retries=3)
    cancel(mesh, job)
    mesh.report(job, outcome=outcome)
    assert (states(mesh, job), mesh.task(job).ending) == ("C", Ending.CANCELLED)
    assert mesh.task(job).tries[-1].outcome is outcome, "history keeps what was told"


@pytest.mark.parametrize("cause", list(Cause))
def test_a_cancelling_task_whose_machine_is_lost_is_cancelled(cause: Cause) -> None:
    mesh, job, _ = running(once=True)
    cancel(mesh, job)
    lose(mesh, job, cause=cause)
    assert (states(mesh, job), mesh.task(job).ending) == ("C", Ending.CANCELLED)


def test_a_report_before_the_cancel_stands() -> None:
    mesh, job, _ = running()
    mesh.report(job)
    assert refusal(changes_nothing(mesh, CancelTasks(job))) == "job-ended"
    assert states(mesh, job) == "D"


def test_a_report_after_a_waiting_task_was_cancelled_is_history() -> None:
    mesh, job, _ = running()
    lose(mesh, job)
    cancel(mesh, job)
    assert kinds(tell(mesh, mesh.task(job).tries[-1], task_id(job, 0))) == ["ReportIgnored"]
    assert states(mesh, job) == "C"


def test_both_attempts_of_a_task_must_have_ended() -> None:
    mesh, job, _ = running(overlap=True)
    mesh.assign(job, mesh.machine())
    cancel(mesh, job)
    assert [attempt.stopping for attempt in mesh.task(job).attempts] == [True, True]
    mesh.report(job)
    assert states(mesh, job) == "X"
    lose(mesh, job)
    assert states(mesh, job) == "C"


def test_a_cancelling_task_is_not_given_again() -> None:
    mesh, job, node = running(overlap=True)
    cancel(mesh, job)
    other = mesh.machine()
    assert dropped(mesh.assign(job, node)) == {"not-waiting": ((0, 1),)}
    assert dropped(mesh.assign(job, other)) == {"not-waiting": ((0, 1),)}


def test_what_lies_in_a_backlog_is_cancelling_too() -> None:
    mesh, node = a_mesh()
    blocker, job = mesh.submit(cpus=8), mesh.submit()
    mesh.assign(blocker, node)
    mesh.assign(job, node, slot=False)
    cancel(mesh, job)
    assert states(mesh, job) == "X"
    mesh.report(job, outcome=Outcome.REJECTED)
    assert (states(mesh, job), use(mesh, node).backlog) == ("C", ())


# ---- parts, and what cannot be cancelled -----------------------------------------------------------------------------


def test_only_what_was_named_is_cancelled() -> None:
    mesh, node = a_mesh()
    job = mesh.submit(count=6)
    mesh.assign(job, node, 0, 1, 2)
    mesh.report(job, 0)
    cancel(mesh, job, (0, 2), (4, 5))
    assert states(mesh, job) == "DXAWCW"


@pytest.mark.parametrize("span", [(0, 4), (-1, 2), (3, 3), (2, 1), (1 << 20, (1 << 20) + 1)])
def test_tasks_the_job_does_not_have_are_refused(span: Span) -> None:
    mesh, _ = a_mesh()
    mesh.submit(count=3)
    assert refusal(changes_nothing(mesh, CancelTasks(JobId(1), (span,)))) == "no-such-task"


def test_cancelling_again_changes_nothing() -> None:
    mesh, job, _ = running(2)
    cancel(mesh, job)
    assert kinds(changes_nothing(mesh, CancelTasks(job))) == ["ChangedNothing"]


def test_a_part_that_is_over_is_no_mistake() -> None:
    mesh, job, _ = running(2)
    mesh.report(job, 0)
    assert kinds(changes_nothing(mesh, CancelTasks(job, ((0, 1),)))) == ["ChangedNothing"]


def test_an_unknown_job_is_refused() -> None:
    assert refusal(changes_nothing(Mesh(), CancelTasks(JobId(1)))) == "no-such-job"


@given(st.data())
def test_a_cancel_reaches_exactly_what_is_live_and_meant(data: st.DataObject) -> None:
    mesh, node = a_mesh()
    job = mesh.submit(count=6, retries=1)
    for index in range(6):
        for act in data.draw(st.sampled_from(["", "a", "ad", "af", "al", "c"])):
            {
                "a": lambda at: mesh.assign(job, node, at),
                "d": lambda at: mesh.report(job, at),
                "f": lambda at: mesh.report(job, at, code=1),
                "l": lambda at: lose(mesh, job, at),
                "c": lambda at: cancel(mesh, job, (at, at + 1)),
            }[act](index)
    before = states(mesh, job)
    start, stop = sorted(
        data.draw(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda pair: len(set(pair)) == 2))
    )
    cancel(mesh, job, (start, stop))
    becomes = {"W": "C", "A": "X"}
    assert states(mesh, job) == "".join(
        becomes.get(letter, letter) if start <= at < stop else letter for at, letter in enumerate(before)
    )
    assert violations(mesh.state) == []


def test_a_cancelled_job_can_be_retried() -> None:
    mesh, job, _ = running()
    cancel(mesh, job)
    mesh.report(job)
    retry(mesh, job)
    assert states(mesh, job) == "W"

"""What machines, people and coordinators do to a mesh, in one word each; and what a test asks of it afterwards.

Promises: every act is one entry of the log, applied by the real `apply`.
Never: hides an assertion, except in `changes_nothing`, which is one.
"""

from collections.abc import Iterable

from odyssey.commands import (
    AssignTasks,
    Batch,
    CancelTasks,
    Command,
    EndBackoff,
    Facts,
    LoseAttempts,
    RecallAttempts,
    Report,
    ReportAttempts,
    RetryTasks,
    Span,
)
from odyssey.events import AssignmentDropped, CommandRefused, Event, TaskRequeued
from odyssey.ids import JobId, NodeNumber, TaskId, task_id
from odyssey.model import Attempt, Cause, Outcome, TaskState, Try, Use
from odyssey.scheduler.draft import replace
from odyssey.scheduler.dump import state_hash
from tests.builders import Mesh

LETTERS = "WAXDFCS"  # by TaskState: waiting, assigned, cancelling (X), done, failed, cancelled, skipped


# -- acts --------------------------------------------------------------------------------------------------------------


def give(
    mesh: Mesh, job: int, node: int, *spans: Span, slot: bool = True, why: int = 0, whys: tuple[bytes, ...] = ()
) -> list[Event]:
    return mesh.do(AssignTasks(mesh.fence, (Batch(NodeNumber(node), JobId(job), spans, slot, why),), whys))


def lose(mesh: Mesh, job: int, index: int = 0, cause: Cause = Cause.DOWN, which: int = 0) -> list[Event]:
    attempt = mesh.task(job, index).attempts[which]
    return mesh.do(LoseAttempts(mesh.fence, cause, ((attempt.id, task_id(job, index)),)))


def recall(mesh: Mesh, job: int, index: int = 0) -> list[Event]:
    return mesh.do(RecallAttempts(mesh.fence, ((mesh.attempt(job, index), task_id(job, index)),)))


def end_backoff(mesh: Mesh, job: int, *indices: int) -> list[Event]:
    return mesh.do(EndBackoff(mesh.fence, tuple(task_id(job, index) for index in indices or (0,))))


def cancel(mesh: Mesh, job: int, *only: Span) -> list[Event]:
    return mesh.do(CancelTasks(JobId(job), only))


def retry(mesh: Mesh, job: int, *only: Span) -> list[Event]:
    return mesh.do(RetryTasks(JobId(job), only))


def tell(
    mesh: Mesh, attempt: Attempt | Try, task: TaskId, outcome: Outcome = Outcome.EXITED, code: int = 0
) -> list[Event]:
    """The machine of an attempt, current or not, says how it ended."""
    id_ = attempt.id if isinstance(attempt, Attempt) else attempt.attempt
    return mesh.do(ReportAttempts(attempt.node, (Report(id_, task, outcome, code),)))


def end_on(mesh: Mesh, job: int, node: int, outcome: Outcome = Outcome.EXITED, code: int = 0) -> None:
    """Give the job's first task to a machine and let it end so; a backoff is waited for."""
    mesh.assign(job, node)
    mesh.report(job, 0, outcome, code)
    end_backoff(mesh, job)


# -- answers -----------------------------------------------------------------------------------------------------------


def states(mesh: Mesh, job: int) -> str:
    """One letter a task, whether it has a record or is in a run."""
    known = mesh.job(job)
    found = {index: run.state for run in known.runs for index in range(run.start, run.stop)}
    for index in range(known.spec.count):
        record = mesh.state.tasks.get(task_id(job, index))
        if record is not None:
            found[index] = record.state
    return "".join(LETTERS[found[index]] for index in range(known.spec.count))


def state(mesh: Mesh, job: int, index: int = 0) -> TaskState:
    return TaskState(LETTERS.index(states(mesh, job)[index]))


def use(mesh: Mesh, node: int) -> Use:
    return mesh.state.uses.get(NodeNumber(node), Use())


def queued(mesh: Mesh) -> set[int]:
    """The jobs that could start now."""
    return {int(job) for job in mesh.state.waiting.jobs()}


def dropped(events: Iterable[Event]) -> dict[str, tuple[Span, ...]]:
    """Why which tasks were not given."""
    return {event.reason: event.spans for event in events if isinstance(event, AssignmentDropped)}


def refusal(events: Iterable[Event]) -> str:
    """The code of the one event there is."""
    (event,) = events
    assert isinstance(event, CommandRefused), event
    return event.code


def backoffs(events: Iterable[Event]) -> list[int]:
    return [event.backoff_ms for event in events if isinstance(event, TaskRequeued)]


def changes_nothing(mesh: Mesh, command: Command) -> list[Event]:
    """Apply it; the state must be as before, but for the place in the log."""
    before, head = state_hash(mesh.state), mesh.state.head
    events = mesh.do(command)
    now = mesh.state.head
    mesh.state.head = replace(now, generation=head.generation, term=head.term, index=head.index)
    same = state_hash(mesh.state) == before
    mesh.state.head = now
    assert same, events
    return events


def facts_of(mesh: Mesh, node: int, **changed: object) -> Facts:
    """What the machine said of itself, or would say now."""
    known = mesh.node(node)
    same = {name: getattr(known, name) for name in Facts.__struct_fields__}
    return Facts(**{**same, **changed})

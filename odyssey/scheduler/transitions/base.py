"""What all transitions share: how to refuse, how a task ends, and what follows when a job does.

Promises: a job's end reaches everything that waited for it, however long the chain, in the same entry.
Never: recursion: chains are as long as users make them.
"""

from collections import deque
from collections.abc import Iterable

from odyssey.commands import Entry, Span
from odyssey.events import AttemptEnded, Event, JobEnded, JobReady, TaskRequeued, TasksEnded
from odyssey.ids import JobId, index_of, job_of, task_id
from odyssey.model import (
    ENDED,
    MAX_TRIES_KEPT,
    Attempt,
    Ending,
    Job,
    JobState,
    Outcome,
    Run,
    Task,
    TaskState,
    Try,
    job_state,
)
from odyssey.scheduler.draft import Draft, replace
from odyssey.scheduler.retry import End, Sequel, sequel
from odyssey.scheduler.runs import change, outside, overlaps, size, spans_in

T = TaskState
WAITING_ONLY = frozenset({T.WAITING})


class Refused(Exception):
    """The command is well-formed but not possible now; nothing has changed."""

    def __init__(self, code: str, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.code, self.text, self.hint = code, text, hint


def live_job(draft: Draft, job_id: JobId) -> Job:
    job = known_job(draft, job_id)
    if job.ended_index:
        raise Refused("job-ended", f"job {job_id} has ended", f"see it with: odyssey show {job_id}")
    return job


def known_job(draft: Draft, job_id: JobId) -> Job:
    job = draft.job(job_id)
    if job is None:
        raise Refused("no-such-job", f"there is no job {job_id} here", "see older ones with: odyssey history")
    return job


def records(draft: Draft, job: Job, only: tuple[Span, ...]) -> Iterable[Task]:
    """The tasks of the job that have a record, in order, limited to `only` (tidy) when it is given."""
    for index in outside(job.runs, job.spec.count, only):
        task = draft.task(task_id(job.id, index))
        assert task is not None  # neither in a run nor recorded: the invariant walker would have said so
        yield task


def end_attempt(draft: Draft, entry: Entry, task: Task, end: End, history: Try) -> list[Event]:
    """Take one attempt off a task, and let follow what follows."""
    job = draft.job(job_of(task.id))
    assert job is not None
    others = tuple(attempt for attempt in task.attempts if attempt.id != end.attempt.id)
    following = sequel(job.spec, task, end, len(others))
    if following.state is T.DONE:
        others = tuple(replace(attempt, stopping=True) for attempt in others)
    draft.change(task, continued(task, following, others, history))
    events: list[Event] = [AttemptEnded(entry.index, end.attempt.id, task.id, end.attempt.node, end.outcome, end.code)]
    if following.state is T.WAITING:  # also one that waited already, when a late report tells how it ended
        events.append(TaskRequeued(entry.index, task.id, end.outcome, following.backoff_ms))
    elif following.state is not task.state and following.state in ENDED:
        index = index_of(task.id)
        events.append(TasksEnded(entry.index, job.id, ((index, index + 1),), following.state, following.ending))
        events += settle(draft, entry, job.id)
    return events


def continued(task: Task, following: Sequel, attempts: tuple[Attempt, ...], history: Try) -> Task:
    return Task(
        task.id,
        following.state,
        attempts,
        (*task.tries[-MAX_TRIES_KEPT + 1 :], history),
        task.tries_total + 1,
        following.failures,
        following.deaths,
        following.refused_by,
        following.memory_floor,
        following.backoff_ms,
        following.ending,
    )


def lost_try(attempt: Attempt, outcome: Outcome, wall_ms: int) -> Try:
    """History of an attempt whose machine did not tell."""
    return Try(
        attempt.id, attempt.node, outcome, 0, attempt.assigned_ms, 0, wall_ms, score=attempt.score, why=attempt.why
    )


def end_waiting(
    draft: Draft, entry: Entry, job: Job, only: tuple[Span, ...], state: TaskState, ending: Ending
) -> list[Event]:
    """End what waits of a job (all of it, or `only`): runs as ranges, records one by one."""
    runs = change(job.runs, only, WAITING_ONLY, state)
    moved = size(job.runs, WAITING_ONLY) - size(runs, WAITING_ONLY)
    spans = newly(job.runs, runs, state)
    if moved:
        counts = list(job.counts)
        counts[T.WAITING] -= moved
        counts[state] += moved
        draft.jobs[job.id] = replace(job, runs=runs, counts=tuple(counts))
    for task in list(records(draft, job, only)):
        if task.state is T.WAITING:
            draft.change(task, replace(task, state=state, ending=ending, backoff_ms=0))
            spans.append((index_of(task.id), index_of(task.id) + 1))
    return [TasksEnded(entry.index, job.id, tuple(spans), state, ending)] if spans else []


def newly(old: tuple[Run, ...], new: tuple[Run, ...], state: TaskState) -> list[Span]:
    """Where runs of `state` are that were waiting before."""
    return list(overlaps(spans_in(old, WAITING_ONLY), spans_in(new, frozenset({state}))))


def settle(draft: Draft, entry: Entry, job_id: JobId) -> list[Event]:
    """If the job's last task has ended, end the job and tell its children, and theirs, until nothing follows."""
    events: list[Event] = []
    todo = deque([job_id])
    while todo:
        job = draft.job(todo.popleft())
        assert job is not None
        if job.ended_index or job.counts[T.WAITING] or job.counts[T.ASSIGNED] or job.counts[T.CANCELLING]:
            continue
        draft.jobs[job.id] = replace(job, ended_index=entry.index, ended_ms=entry.wall_ms, blockers=())
        state = job_state(job)
        events.append(JobEnded(entry.index, job.id, state))
        for child in sorted(draft.state.children.get(job.id, ())):
            events += unblock(draft, entry, child, job.id, state)
            todo.append(child)
    return events


def unblock(draft: Draft, entry: Entry, child_id: JobId, parent: JobId, state: JobState) -> list[Event]:
    """A parent has ended: the child is skipped if it needed success, else it waits for one parent less."""
    child = draft.job(child_id)
    assert child is not None
    if parent not in child.blockers:
        return []
    left = tuple(blocker for blocker in child.blockers if blocker != parent)
    needs_success = parent in child.parents[: child.strict]
    if needs_success and state is not JobState.DONE:
        child = draft.jobs[child_id] = replace(child, blockers=(), blamed=parent)
        return end_waiting(draft, entry, child, (), T.SKIPPED, Ending.PARENT)
    draft.jobs[child_id] = replace(child, blockers=left)
    return [] if left else [JobReady(entry.index, child_id)]

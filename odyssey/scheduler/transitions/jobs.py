"""What people's commands do to jobs: submit, cancel, retry, hold, release, set a priority.

Promises: a submit is accepted once per client id; a cancel is an intent that waits for what still runs.
Never: asks who may do it: the counter does, before it proposes.
"""

from collections.abc import Iterator
from itertools import chain

from odyssey.commands import CancelTasks, Entry, HoldJob, ReleaseJob, RetryTasks, SetPriority, Span, SubmitJobs
from odyssey.events import (
    ChangedNothing,
    Event,
    JobChanged,
    JobSubmitted,
    SubmitRepeated,
    TasksCancelling,
    TasksRetried,
)
from odyssey.ids import CLIENT_ID_BYTES, JobId, index_of
from odyssey.model import NO_TASKS, Attempt, Ending, Job, JobState, Run, Task, TaskState, job_state
from odyssey.scheduler.draft import Draft, replace
from odyssey.scheduler.needs import needs_fault
from odyssey.scheduler.runs import change, size, tidy
from odyssey.scheduler.state import Submitted
from odyssey.scheduler.transitions.base import Refused, end_waiting, known_job, live_job, newly, records, settle
from odyssey.spec import MAX_PRIORITY, JobSpec, faults

T = TaskState


# -- submit ------------------------------------------------------------------------------------------------------------


def submit(draft: Draft, entry: Entry, command: SubmitJobs) -> list[Event]:
    known = draft.state.clients.get(command.client)
    if known is not None:
        return [SubmitRepeated(entry.index, command.client, known.first, known.jobs)]
    check_submit(draft, command)
    first = JobId(draft.head.last_job + 1)
    count = len(command.specs)
    draft.head = replace(draft.head, last_job=JobId(first + count - 1))
    draft.clients[command.client] = Submitted(entry.index, first, count)
    draft.forget_client()
    events: list[Event] = []
    for position in parents_first(command.specs):
        events += _add(draft, entry, command, first, position)
    return events


def check_submit(draft: Draft, command: SubmitJobs) -> None:
    if len(command.client) != CLIENT_ID_BYTES:
        raise Refused("bad-client", "the submit has no proper client id", "upgrade the program that sent it")
    if command.seen_index < draft.head.client_floor:
        raise Refused(
            "stale-submit",
            "this submit is so old that it may have been accepted before",
            "look with: odyssey ps --state all, then submit it anew",
        )
    found = [*faults(command.specs), *filter(None, (needs_fault(spec.want.needs) for spec in command.specs))]
    if found:
        raise Refused("bad-spec", *found[0])
    for spec in command.specs:
        for parent in (*spec.after, *spec.after_any):
            if draft.job(parent) is None:
                raise Refused("unknown-dependency", *_unknown(draft, parent))


def _unknown(draft: Draft, parent: JobId) -> tuple[str, str]:
    if 0 < parent <= draft.head.last_job:
        return f"job {parent} ended long ago and is in the history now", "leave the dependency out if it succeeded"
    return f"there is no job {parent} to wait for", f"the newest job is {draft.head.last_job}"


def parents_first(specs: tuple[JobSpec, ...]) -> list[int]:
    """Positions in an order in which a job comes after those of the same submit it waits for (known to be acyclic)."""
    placed: dict[int, None] = {}
    for position in range(len(specs)):
        walk = [(position, _parents_here(specs[position]))]
        while walk:
            at, parents = walk[-1]
            missing = next((parent for parent in parents if parent not in placed), None)
            if missing is not None:
                walk.append((missing, _parents_here(specs[missing])))
            else:
                placed.setdefault(at)
                walk.pop()
    return list(placed)


def _parents_here(spec: JobSpec) -> Iterator[int]:
    return chain(spec.after_here, spec.after_any_here)


def _add(draft: Draft, entry: Entry, command: SubmitJobs, first: JobId, position: int) -> list[Event]:
    spec = command.specs[position]
    strict = (*spec.after, *(JobId(first + other) for other in spec.after_here))
    parents = (*strict, *spec.after_any, *(JobId(first + other) for other in spec.after_any_here))
    job = Job(
        JobId(first + position),
        spec,
        command.client,
        entry.wall_ms,
        (Run(0, spec.count),),
        (spec.count, *NO_TASKS[1:]),
        priority=spec.priority,
        held=spec.held,
        blockers=_live_parents(draft, parents),
        parents=parents,
        strict=len(strict),
        blamed=_failed_parent(draft, strict),
    )
    draft.jobs[job.id] = job
    events: list[Event] = [JobSubmitted(entry.index, command.client, job.id, spec.count)]
    if job.blamed:
        events += end_waiting(draft, entry, job, (), T.SKIPPED, Ending.PARENT)
        events += settle(draft, entry, job.id)
    return events


def _live_parents(draft: Draft, parents: tuple[JobId, ...]) -> tuple[JobId, ...]:
    live: dict[JobId, None] = {}
    for parent in parents:
        job = draft.job(parent)
        if job is not None and not job.ended_index:
            live[parent] = None
    return tuple(live)


def _failed_parent(draft: Draft, strict: tuple[JobId, ...]) -> JobId:
    for parent in strict:
        job = draft.job(parent)
        if job is not None and job.ended_index and job_state(job) is not JobState.DONE:
            return parent
    return JobId(0)


# -- cancel ------------------------------------------------------------------------------------------------------------


def cancel(draft: Draft, entry: Entry, command: CancelTasks) -> list[Event]:
    """What waits is cancelled now; what is with a machine is `cancelling` until its attempt has ended or is lost."""
    job = live_job(draft, command.job)
    only = _spans(job, command.only)
    events = end_waiting(draft, entry, job, only, T.CANCELLED, Ending.CANCELLED)
    stopping = []
    for task in list(records(draft, draft.jobs.get(job.id, job), only)):
        if task.state is T.ASSIGNED:
            draft.change(task, replace(task, state=T.CANCELLING, attempts=_stopping(task.attempts)))
            stopping.append(task.id)
    if stopping:
        events.append(TasksCancelling(entry.index, job.id, tuple(stopping)))
    return (events + settle(draft, entry, job.id)) or [ChangedNothing(entry.index)]


def _stopping(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    return tuple(replace(attempt, stopping=True) for attempt in attempts)


def _spans(job: Job, only: tuple[Span, ...]) -> tuple[Span, ...]:
    spans = tidy(only)
    if only and (not spans or spans[0][0] < 0 or spans[-1][1] > job.spec.count):
        raise Refused(
            "no-such-task", f"job {job.id} has tasks 0 to {job.spec.count - 1}", f"see: odyssey show {job.id}"
        )
    return spans


# -- retry -------------------------------------------------------------------------------------------------------------

_AGAIN = frozenset({T.FAILED, T.CANCELLED, T.SKIPPED})


def retry(draft: Draft, entry: Entry, command: RetryTasks) -> list[Event]:
    """The user's word: what failed, was cancelled or skipped waits again, with a clean sheet."""
    job = known_job(draft, command.job)
    only = _spans(job, command.only)
    runs = change(job.runs, only, _AGAIN, T.WAITING)
    spans = newly_waiting(job.runs, runs)
    counts = list(job.counts)
    for state in _AGAIN:
        moved = size(job.runs, frozenset({state})) - size(runs, frozenset({state}))
        counts[state] -= moved
        counts[T.WAITING] += moved
    job = draft.jobs[job.id] = replace(job, runs=runs, counts=tuple(counts))
    for task in list(records(draft, job, only)):
        if task.state in _AGAIN and not task.attempts:
            draft.change(task, Task(task.id, tries=task.tries, tries_total=task.tries_total))
            spans.append((index_of(task.id), index_of(task.id) + 1))
    if not spans:
        return [ChangedNothing(entry.index)]
    job = draft.jobs[job.id]
    blockers = _live_parents(draft, job.parents)
    draft.jobs[job.id] = replace(job, ended_index=0, ended_ms=0, blamed=JobId(0), blockers=blockers)
    return [TasksRetried(entry.index, job.id, tidy(spans))]


def newly_waiting(old: tuple[Run, ...], new: tuple[Run, ...]) -> list[Span]:
    again = tuple(Run(run.start, run.stop) for run in old if run.state in _AGAIN)
    return newly(again, new, T.WAITING)


# -- hold, release, priority -------------------------------------------------------------------------------------------


def hold(draft: Draft, entry: Entry, command: HoldJob) -> list[Event]:
    return _set(draft, entry, live_job(draft, command.job), held=True)


def release(draft: Draft, entry: Entry, command: ReleaseJob) -> list[Event]:
    return _set(draft, entry, live_job(draft, command.job), held=False)


def set_priority(draft: Draft, entry: Entry, command: SetPriority) -> list[Event]:
    if not -MAX_PRIORITY <= command.priority <= MAX_PRIORITY:
        raise Refused(
            "bad-priority", f"priority {command.priority} is out of range", f"use -{MAX_PRIORITY} to {MAX_PRIORITY}"
        )
    return _set(draft, entry, live_job(draft, command.job), priority=command.priority)


def _set(draft: Draft, entry: Entry, job: Job, held: bool | None = None, priority: int | None = None) -> list[Event]:
    new = replace(
        job,
        held=job.held if held is None else held,
        priority=job.priority if priority is None else priority,
    )
    if new == job:
        return [ChangedNothing(entry.index)]
    draft.jobs[job.id] = new
    return [JobChanged(entry.index, job.id, new.held, new.priority)]

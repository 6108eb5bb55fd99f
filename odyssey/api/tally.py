"""What a job's tasks come to, kept up while the log goes on, so that nobody has to look at 100,000 tasks for one line.

Promises: the same numbers whether counted from the records or kept from events; a job that is retried is counted anew.
Never: holds what the job's own record says, or anything of a small job that has ended: that is counted when asked for.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from odyssey import events as e
from odyssey.ids import AttemptId, JobId, NodeNumber, TaskIndex, index_of, job_of, task_id
from odyssey.model import Job, Task, TaskState, Try
from odyssey.scheduler.runs import outside
from odyssey.scheduler.state import State

FEW: Final = 64  # tasks


class Tally(msgspec.Struct, gc=False):
    """Of one job. There may be very many, and collections of garbage need not look at them."""

    ended_tries: int = 0
    started_ms: int = 0  # of the first try that has ended; 0: of none is it known
    first_failed: TaskIndex | None = None
    nodes: tuple[NodeNumber, ...] = ()  # that have had tasks of it

    def add(self, task: Task) -> None:
        self.ended_tries += task.tries_total
        for current in task.attempts:
            self.had(current.node)
        for one in task.tries:
            self.had(one.node)
            self.ran(one)
        if task.state is TaskState.FAILED:
            self.failed(index_of(task.id))

    def ran(self, one: Try) -> None:
        if one.started_ms and (not self.started_ms or one.started_ms < self.started_ms):
            self.started_ms = one.started_ms

    def had(self, node: NodeNumber) -> None:
        if node not in self.nodes:
            self.nodes = (*self.nodes, node)

    def failed(self, index: int) -> None:
        if self.first_failed is None or index < self.first_failed:
            self.first_failed = TaskIndex(index)


def counted(job: Job, tasks: Iterable[Task]) -> Tally:
    tally = Tally()
    for task in tasks:
        tally.add(task)
    for run in job.runs:
        if run.state is TaskState.FAILED:
            tally.failed(run.start)
    return tally


def recorded(state: State, job: Job) -> Iterable[Task]:
    return (state.tasks[task_id(job.id, index)] for index in outside(job.runs, job.spec.count))


class Tallies:
    """Of all jobs that somebody has asked for, or that were submitted since the daemon began."""

    def __init__(self) -> None:
        self._of: dict[JobId, Tally | None] = {}  # None: nothing has happened to it yet
        self._state: State | None = None

    def of(self, state: State, job: Job) -> Tally:
        self._check(state)
        if job.id not in self._of:
            self._of[job.id] = counted(job, recorded(state, job))
        return self._kept(job.id)

    def _kept(self, job: JobId) -> Tally:
        tally = self._of[job]
        if tally is None:
            tally = self._of[job] = Tally()
        return tally

    def _check(self, state: State) -> None:
        """A snapshot that was loaded has a past of its own."""
        if state is not self._state:
            self._of.clear()
            self._state = state

    def heard(self, state: State, events: Iterable[e.Event]) -> None:
        self._check(state)
        for event in events:
            self._note(state, event)

    def _note(self, state: State, event: e.Event) -> None:
        match event:
            case e.JobSubmitted(job=job):
                self._of[job] = None
            case e.TasksAssigned(job=job, node=node) if job in self._of:
                self._kept(job).had(node)
            case e.AttemptEnded(task=task, attempt=attempt) if (job := job_of(task)) in self._of:
                self._ended(self._kept(job), attempt, state.tasks.get(task))
            case e.TasksEnded(job=job, spans=spans, state=TaskState.FAILED) if job in self._of:
                self._kept(job).failed(min(start for start, _ in spans))
            case e.JobEnded(job=job) if (ended := state.jobs.get(job)) is not None and ended.spec.count <= FEW:
                self._of.pop(job, None)
            case e.TasksRetried(job=job):
                self._of.pop(job, None)
            case e.JobsArchived(jobs=spans):
                for start, stop in spans:
                    for gone in range(start, stop):
                        self._of.pop(JobId(gone), None)
            case _:
                pass

    def _ended(self, tally: Tally, attempt: AttemptId, task: Task | None) -> None:
        tally.ended_tries += 1
        for one in task.tries if task is not None else ():
            if one.attempt == attempt:
                tally.ran(one)

"""Jobs as they are now, and what people do to them.

Promises: a list is of one moment; a change is on the log when it is answered.
Never: looks at every task of a job for one line of a list.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final

from odyssey.api import dag, project, rights, taskpage
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.committing import Committing
from odyssey.api.ledger import Ledger
from odyssey.api.names import Meant, resolve
from odyssey.api.past import Found, Past
from odyssey.api.ports import Counter
from odyssey.api.rights import Right
from odyssey.api.why import Reasons
from odyssey.commands import CancelTasks, Command, HoldJob, ReleaseJob, RetryTasks, SetPriority, Span
from odyssey.errors import UsageError
from odyssey.events import Event, TasksCancelling, TasksEnded, TasksRetried
from odyssey.ids import JobId, UserId, index_of
from odyssey.model import Job, TaskState, job_state
from odyssey.scheduler.state import ANY_NODE

RECENT_MS: Final = 3_600_000
MOST_AT_ONCE: Final = 1_000  # jobs or tasks in one answer
T = TaskState


class Jobs:
    def __init__(self, counter: Counter, ledger: Ledger, past: Past, committing: Committing, reasons: Reasons) -> None:
        self._counter, self._ledger, self._past, self._committing = counter, ledger, past, committing
        self._reasons = reasons

    # -- lists ---------------------------------------------------------------------------------------------------------

    async def jobs(self, request: r.Jobs) -> v.JobPage:
        views, more = self.newest(request)
        return v.JobPage(
            tuple(self._shown(view) for view in self._reasons.told(views)), more, self._counter.standing().age_ms
        )

    def _shown(self, view: v.JobView) -> v.JobView:
        return rights.shown(self._counter, view)

    def newest(self, request: r.Jobs) -> tuple[list[v.JobView], int]:
        """A page, and where the next one begins."""
        state, limit = self._counter.state, max(1, min(request.limit, MOST_AT_ONCE))
        wanted = {self._meant(ref).job for ref in request.refs}
        if request.states:
            _check_words("state", request.states, v.JOB_STATES)
        numbers = sorted((one for one in wanted if one in state.jobs), reverse=True) if wanted else reversed(state.jobs)
        fitting = (
            job
            for job in map(state.jobs.__getitem__, numbers)
            if (not request.below or job.id < request.below)
            and (not request.user or job.user == request.user)
            and (bool(wanted) or self._is_shown(request, job))
        )
        found = list(islice(fitting, limit + 1))
        more = found[limit - 1].id if len(found) > limit else 0
        return self._ledger.views(found[:limit]), more

    def _is_shown(self, request: r.Jobs, job: Job) -> bool:
        if request.states:
            return v.JOB_STATES[job_state(job)] in request.states
        return request.everything or not job.ended_index or self._is_recent(job)

    def _is_recent(self, job: Job) -> bool:
        return self._counter.clock.wall_ms() - (job.ended_ms or job.submitted_ms) < RECENT_MS

    async def job(self, request: r.Job) -> v.JobDetail:
        state = self._counter.state
        meant = self._meant(request.ref)
        found = await self._past.find(meant.job)
        job = found.job
        tasks, following = self._tasks(found, meant, request)
        return v.JobDetail(
            self._shown(self._reasons.told([found.view])[0]),
            rights.shown_spec(self._counter, job, project.spec_view(job, state.nodes.values())),
            tuple(tasks),
            following,
            job.parents,
            tuple(sorted(state.children.get(job.id, ()))),
            self._counter.standing().age_ms,
        )

    async def dag(self, request: r.Dag) -> v.DagView:
        found = await self._past.find(self._meant(request.ref).job)
        jobs = {**self._counter.state.jobs, found.job.id: found.job}
        near = dag.component(jobs, found.job.id)
        for number in near.jobs:  # of those that are history nobody but their segment knows more
            if number not in jobs and (old := await self._past.known(number)) is not None:
                jobs[number] = old.job
        shown = [jobs[number] for number in near.jobs if number in jobs]
        views = self._reasons.told([(await self._past.find(job.id)).view for job in shown])
        pairs = dag.edges(jobs, [job.id for job in shown])
        now = self._counter.clock.wall_ms()
        lengths = {
            view.id: dag.took_ms(view, now) or self._expected(job) for view, job in zip(views, shown, strict=True)
        }
        chain = dag.longest(lengths, pairs, lengths.__getitem__) if pairs else ()
        return v.DagView(found.job.id, tuple(map(self._shown, views)), pairs, chain, near.more)

    def _expected(self, job: Job) -> int | None:
        """One task of it, as far as its command is known."""
        learned = self._counter.state.learned.get((job.spec.want.key, ANY_NODE)) if job.spec.want.key else None
        return learned.mean_ms if learned is not None and not job.ended_index else None

    def _tasks(self, found: Found, meant: Meant, request: r.Job) -> taskpage.Page:
        if request.states:
            _check_words("state of a task", request.states, v.TASK_STATES)
        start, stop = max(0, request.start), found.job.spec.count
        if meant.task is not None:
            start, stop = meant.task, meant.task + 1
        asked = taskpage.Asked(start, stop, max(0, min(request.limit, MOST_AT_ONCE)), request.states)
        told = project.NOTHING_SEEN if found.is_past else self._ledger.observed()
        context = project.Context(found.records.name, told, self._counter.outputs.note)
        show = taskpage.Show(
            lambda task: project.task_view(found.job, task, context),
            lambda index, state: project.untouched_view(found.job, index, state),
        )
        return taskpage.page(found.job, found.records.tasks, asked, show)

    # -- changes -------------------------------------------------------------------------------------------------------

    async def cancel(self, request: r.Cancel) -> v.Changed:
        meant, only = self._spans(request)
        job = self._counter.state.jobs.get(meant.job)
        if job is not None and job.ended_index:
            rights.check(self._counter, job, Right.CHANGE)
            return v.Changed(meant.job, 0)
        return await self._change(meant, CancelTasks(meant.job, only, self._asker))

    async def retry(self, request: r.Retry) -> v.Changed:
        meant, only = self._spans(request)
        return await self._change(meant, RetryTasks(meant.job, only, self._asker))

    async def hold(self, request: r.Hold) -> v.Changed:
        meant = self._meant(request.ref)
        return await self._change(meant, HoldJob(meant.job, self._asker))

    async def release(self, request: r.Release) -> v.Changed:
        meant = self._meant(request.ref)
        return await self._change(meant, ReleaseJob(meant.job, self._asker))

    async def prio(self, request: r.Prio) -> v.Changed:
        meant = self._meant(request.ref)
        return await self._change(meant, SetPriority(meant.job, request.priority, self._asker))

    @property
    def _asker(self) -> UserId:
        return rights.asker(self._counter).user

    def _meant(self, ref: str) -> Meant:
        return resolve(ref, self._counter.state, self._asker)

    def _spans(self, request: r.Cancel | r.Retry) -> tuple[Meant, tuple[Span, ...]]:
        meant = self._meant(request.ref)
        own = ((meant.task, meant.task + 1),) if meant.task is not None else ()
        return meant, request.only or own

    async def _change(self, meant: Meant, command: Command) -> v.Changed:
        if meant.job not in self._counter.state.jobs:
            hint = f"look at it with: odyssey show {meant.job}; to run it again, submit it anew"
            raise UsageError(f"job {meant.job} ended long ago and cannot be changed any more", hint=hint)
        rights.check(self._counter, self._counter.state.jobs[meant.job], Right.CHANGE)
        return v.Changed(meant.job, changed_tasks(await self._committing.carry_out(command), meant.job))


def changed_tasks(events: Sequence[Event], job: JobId) -> int:
    indices: set[int] = set()
    for event in events:
        match event:
            case TasksEnded(spans=spans) | TasksRetried(spans=spans) if event.job == job:
                indices.update(index for start, stop in spans for index in range(start, stop))
            case TasksCancelling(tasks=tasks) if event.job == job:
                indices.update(map(index_of, tasks))
            case _:
                pass
    return len(indices)


def _check_words(what: str, words: Sequence[str], known: Sequence[str]) -> None:
    for word in words:
        if word not in known:
            raise UsageError(f"{word[:40]!r} is no {what}", hint=f"use: {', '.join(known)}")

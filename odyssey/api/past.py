"""Jobs that have left the state, from the segments of history on this disk.

A segment is read and taken apart outside the loop, since it may hold a thousand jobs; the last one is kept for a while,
because whoever looks at one old job looks at its neighbours.

Promises: a job is found in the state while it is there, else in history; what is shown of an old job is what was shown
when it ended, as far as its segment kept it.
Never: changes anything.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Set
from functools import cache, partial
from typing import Final, NamedTuple

from odyssey.api import project, rights
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.ledger import Ledger
from odyssey.api.ports import Counter
from odyssey.api.project import Records
from odyssey.api.tally import counted
from odyssey.errors import UsageError
from odyssey.ids import JobId, NodeNumber
from odyssey.model import Job, Segment, job_state
from odyssey.scheduler.segments import Contents, Kept, contents

KEPT_SECONDS: Final = 30.0
MOST_AT_ONCE: Final = 1_000
MOST_OWN: Final = 100_000


class Found(NamedTuple):
    job: Job
    records: Records
    shown: Callable[[], v.JobView]  # many only want the records
    is_past: bool

    @property
    def view(self) -> v.JobView:
        return self.shown()


class Past:
    def __init__(self, counter: Counter, ledger: Ledger) -> None:
        self._counter, self._ledger = counter, ledger
        self._last: tuple[bytes, Contents] | None = None
        self._found: Found | None = None  # in it: an array is asked for page by page
        self._forgetting: asyncio.TimerHandle | None = None
        self._own: OrderedDict[tuple[object, ...], None] = OrderedDict()  # submits seen in history of this life

    # -- one job -------------------------------------------------------------------------------------------------------

    async def find(self, job: JobId) -> Found:
        state = self._counter.state
        known = state.jobs.get(job)
        if known is not None:
            return Found(known, project.records_of(state), lambda: self._ledger.views([known])[0], is_past=False)
        for segment in list(state.segments.values()):
            if segment.first <= job <= segment.last:
                found = await self._in(segment, job)
                if found is not None:
                    return found
        raise UsageError(f"job {job} is not remembered any more", hint="what is: odyssey history")

    async def known(self, job: JobId) -> Found | None:
        """None: it is not remembered any more."""
        try:
            return await self.find(job)
        except UsageError:
            return None

    async def _in(self, segment: Segment, job: JobId) -> Found | None:
        opened = await self._open(segment.digest)
        if opened is None or opened.origin:  # of another generation: its numbers are its own
            return None
        if self._found is None or self._found.job.id != job:
            self._found = _found(opened, job)
        return self._found

    # -- all of them ---------------------------------------------------------------------------------------------------

    async def history(self, request: r.History) -> v.JobPage:
        """Segments overlap where jobs ended out of order, so one is only done with when all newer ones are read."""
        limit = max(1, min(request.limit, MOST_AT_ONCE))
        state = self._counter.state
        here = cache(lambda: {_submitted(job) for job in state.jobs.values()})
        found = {job: view for job in state.ended if (view := self._fitting_now(state.jobs[job], request)) is not None}
        for segment in sorted(state.segments.values(), key=lambda one: -one.last):
            newest = sorted(found, reverse=True)[: limit + 1]
            if len(newest) > limit and newest[-1] > segment.last:
                break
            if request.below and segment.first >= request.below:
                continue
            opened = await self._open(segment.digest)
            for kept in opened.jobs if opened is not None else ():
                if (
                    opened is not None
                    and not self._is_double(kept.job, opened.origin, here)
                    and _fits(kept.job, request)
                ):
                    found.setdefault(kept.job.id, _view(kept, _records(kept, opened)))
        newest = sorted(found, reverse=True)
        views = tuple(rights.shown(self._counter, found[job]) for job in newest[:limit])
        return v.JobPage(views, newest[limit - 1] if len(newest) > limit else 0, self._counter.standing().age_ms)

    def _is_double(self, job: Job, origin: bytes, here: Callable[[], Set[object]]) -> bool:
        """An earlier life of the mesh had a job that this one has too, perhaps by another number: what it is here
        counts. It is known again by the submit it came with."""
        key = _submitted(job)
        if not origin:
            self._own[key] = None
            while len(self._own) > MOST_OWN:
                self._own.popitem(last=False)
            return False
        return key in self._own or key in here()

    def _fitting_now(self, job: Job, request: r.History) -> v.JobView | None:
        return self._ledger.view(job) if _fits(job, request) else None

    # -- segments ------------------------------------------------------------------------------------------------------

    async def _open(self, digest: bytes) -> Contents | None:
        if self._last is not None and self._last[0] == digest:
            return self._last[1]
        came: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._counter.segment(digest, lambda data: None if came.done() else came.set_result(data))
        data = await came
        if data is None:
            return None
        opened = await asyncio.to_thread(contents, data)
        self._remember(digest, opened)
        return opened

    def _remember(self, digest: bytes, opened: Contents) -> None:
        self._last, self._found = (digest, opened), None
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._forget)

    def _forget(self) -> None:
        self._last = self._found = self._forgetting = None


def _fits(job: Job, request: r.History) -> bool:
    return (
        (not request.below or job.id < request.below)
        and (not request.name or job.spec.name == request.name)
        and (not request.states or v.JOB_STATES[job_state(job)] in request.states)
    )


def _found(opened: Contents, job: JobId) -> Found | None:
    for kept in opened.jobs:
        if kept.job.id == job:
            records = _records(kept, opened)
            return Found(kept.job, records, partial(_view, kept, records), is_past=True)
    return None


def _submitted(job: Job) -> tuple[object, ...]:
    """A job of one submit, whatever its number."""
    return job.client, job.spec.name, job.spec.argv, job.spec.count, job.spec.cwd


def _records(kept: Kept, opened: Contents) -> Records:
    def name(number: NodeNumber) -> str:
        return opened.names.get(number, f"machine {number}")

    return Records({kept.job.id: kept.job}, {task.id: task for task in kept.tasks}, name)


def _view(kept: Kept, records: Records) -> v.JobView:
    tally = counted(kept.job, kept.tasks)
    failed = project.failed_task(records, kept.job, tally)
    return project.job_view(kept.job, tally, failed, records.name)

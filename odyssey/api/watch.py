"""Looking on: a picture of jobs, machines and status, then what has changed, some times a second at most.

Promises: whoever puts the parts together has what a new picture would show; a slow watcher gets fewer, larger changes.
Never: makes a view again of a job nothing has happened to.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from odyssey import events as e
from odyssey.api import project, rights
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.census import touched
from odyssey.api.jobs import Jobs
from odyssey.api.ledger import Ledger
from odyssey.api.machines import Machines
from odyssey.api.ports import Counter
from odyssey.api.why import Reasons
from odyssey.ids import JobId

BEAT_SECONDS: Final = 0.25
EXPLAIN_MS: Final = 1_000
CALM_SECONDS: Final = 1.0  # for what changes without an event
MOST_DIRTY: Final = 10_000


class Eye:
    """The jobs that something has happened to since somebody looked."""

    def __init__(self) -> None:
        self.jobs: dict[JobId, None] = {}
        self.is_everything = False
        self.stirred = asyncio.Event()

    def heard(self, events: Sequence[e.Event]) -> None:
        for event in events:
            if isinstance(event, e.JobsArchived) or len(self.jobs) > MOST_DIRTY:
                self.is_everything = True
                self.jobs.clear()
            elif (job := touched(event)) is not None and not self.is_everything:
                self.jobs[job] = None
        self.stirred.set()

    async def wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.stirred.wait()
        except TimeoutError:
            pass
        self.stirred.clear()


class Watching:
    def __init__(self, counter: Counter, ledger: Ledger, jobs: Jobs, machines: Machines, reasons: Reasons) -> None:
        self._counter, self._ledger, self._jobs, self._machines = counter, ledger, jobs, machines
        self._reasons = reasons

    async def watch(self, request: r.Watch) -> AsyncGenerator[v.Picture, None]:
        eye = Eye()
        deaf = self._counter.subscribe(eye.heard)
        try:
            seen = _Seen(request.limit)
            while True:
                eye.stirred.clear()
                everything = eye.is_everything or seen.is_new
                jobs = self._shown(request) if everything else self._changed(eye, seen)
                eye.is_everything = False
                eye.jobs.clear()
                self._explain(jobs, seen)
                jobs = {job: self._masked(view) for job, view in jobs.items()}
                picture = seen.picture(jobs, everything, await self._mesh())
                if picture is not None:
                    yield picture
                await eye.wait(CALM_SECONDS)
                await asyncio.sleep(BEAT_SECONDS)  # what comes meanwhile is told together
        finally:
            deaf()

    def _masked(self, view: v.JobView | None) -> v.JobView | None:
        return rights.shown(self._counter, view) if view is not None else None

    def _shown(self, request: r.Watch) -> dict[JobId, v.JobView | None]:
        return {JobId(view.id): view for view in self._jobs.newest(r.Jobs(request.states, limit=request.limit))[0]}

    def _changed(self, eye: Eye, seen: "_Seen") -> dict[JobId, v.JobView | None]:
        """What events named, and what runs differently than it did: that comes without an event."""
        state = self._counter.state
        going = project.going(self._ledger.observed())
        named = {*eye.jobs, *(job for job in {*going, *seen.going} if going.get(job) != seen.going.get(job))}
        seen.going = dict(going)
        found: dict[JobId, v.JobView | None] = {}
        for number in named:
            job = state.jobs.get(number)
            found[number] = self._ledger.view(job, going.get(number)) if job is not None else None
        return found

    def _explain(self, jobs: dict[JobId, v.JobView | None], seen: "_Seen") -> None:
        """Why jobs wait changes without an event, and finding out costs a plan: once a second it is looked at again."""
        now = self._counter.clock.monotonic_ms()
        waiting = [view for view in jobs.values() if view is not None and view.state == "waiting"]
        if now >= seen.explain_ms:
            seen.explain_ms = now + EXPLAIN_MS
            known = self._counter.state.jobs
            waiting += [self._ledger.view(known[job]) for job in seen.waiting() if job in known and job not in jobs]
        jobs.update((JobId(view.id), view) for view in self._reasons.told(waiting))

    async def _mesh(self) -> tuple[tuple[v.NodeView, ...], v.StatusView]:
        nodes = await self._machines.nodes(r.Nodes())
        return nodes.nodes, await self._machines.status(r.Status())


class _Seen:
    """What one watcher has been told."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.is_new = True
        self.going: dict[JobId, project.Going] = {}
        self.explain_ms = 0  # when it is looked again why jobs wait
        self._jobs: dict[JobId, v.JobView] = {}
        self._nodes: tuple[v.NodeView, ...] | None = None
        self._status: v.StatusView | None = None

    def picture(
        self,
        jobs: dict[JobId, v.JobView | None],
        is_everything: bool,
        mesh: tuple[tuple[v.NodeView, ...], v.StatusView],
    ) -> v.Picture | None:
        gone = [job for job, view in jobs.items() if view is None and job in self._jobs]
        if is_everything:
            gone += [job for job in self._jobs if job not in jobs]
        changed = [view for job, view in jobs.items() if view is not None and self._jobs.get(job) != view]
        for number in gone:
            del self._jobs[number]
        self._jobs.update((JobId(view.id), view) for view in changed)
        gone += self._trim()
        shown = [view for view in changed if JobId(view.id) in self._jobs]
        nodes = mesh[0] if mesh[0] != self._nodes else None
        status = mesh[1] if mesh[1] != self._status else None
        first, self.is_new = self.is_new, False
        self._nodes, self._status = mesh
        if not (first or shown or gone or nodes or status):
            return None
        return v.Picture(first, tuple(shown), tuple(gone), nodes, status)

    def waiting(self) -> list[JobId]:
        return [job for job, view in self._jobs.items() if view.state == "waiting"]

    def _trim(self) -> list[JobId]:
        """The oldest that have ended go first."""
        over = len(self._jobs) - self._limit
        if over <= 0:
            return []
        ended = sorted(job for job, view in self._jobs.items() if view.ended_at is not None)
        gone = ended[:over]
        for number in gone:
            del self._jobs[number]
        return gone

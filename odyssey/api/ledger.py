"""What the daemon's jobs look like now, and who wants to hear when that changes.

Promises: a listener hears of every change after the state has it; what it does not take in time costs a bounded amount
of memory, and then it is told to look at everything.
Never: holds a view: they are made when somebody asks.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from odyssey import events as e
from odyssey.api import project
from odyssey.api import views as v
from odyssey.api.census import Census
from odyssey.api.ports import Counter
from odyssey.api.project import Going, Observed
from odyssey.api.tally import Tallies
from odyssey.commands import Span
from odyssey.ids import JobId, NodeNumber, TaskIndex, index_of, job_of
from odyssey.model import Job
from odyssey.scheduler.state import State

MOST_DIRTY: Final = 20_000  # tasks a listener is told of one by one


class Listener:
    """Of one job: the tasks that something has happened to, in the order of their last event but each once."""

    def __init__(self, job: JobId, stirred: asyncio.Event | None = None) -> None:
        """Several may share what stirs them."""
        self.job = job
        self.dirty: dict[int, None] = {}
        self.retried: list[Span] = []
        self.is_everything = False  # too much has happened: look at all tasks
        self._stirred = stirred or asyncio.Event()

    def note(self, spans: Iterable[Span]) -> None:
        for start, stop in spans:
            if len(self.dirty) + stop - start > MOST_DIRTY:
                self.is_everything = True
                self.dirty.clear()
            elif not self.is_everything:
                self.dirty.update(dict.fromkeys(range(start, stop)))
        self._stirred.set()

    def stir(self) -> None:
        self._stirred.set()

    async def wait(self, seconds: float | None) -> None:
        """Until something has happened, or for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        except TimeoutError:
            pass
        self._stirred.clear()


class Ledger:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._tallies, self._census = Tallies(), Census()
        self._listeners: dict[JobId, list[Listener]] = {}
        self._end = counter.subscribe(self._heard)

    def close(self) -> None:
        self._end()

    # -- views ---------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self._counter.state

    def me(self) -> NodeNumber | None:
        me = self._counter.me
        return next((number for number, node in self.state.nodes.items() if node.id == me), None)

    def observed(self) -> Observed:
        counter = self._counter
        return project.observed(self.state, self.me(), counter.here(), counter.seen(), counter.clock.wall_ms())

    def view(self, job: Job, now: Going | None = None) -> v.JobView:
        state = self.state
        tally = self._tallies.of(state, job)
        records = project.records_of(state)
        return project.job_view(job, tally, project.failed_task(records, job, tally), records.name, now)

    def views(self, jobs: Iterable[Job]) -> list[v.JobView]:
        """Of one moment."""
        going = project.going(self.observed())
        return [self.view(job, going.get(job.id)) for job in jobs]

    def numbers(self) -> dict[str, int]:
        """Of all jobs in the state, by views.JOB_STATES."""
        return dict(zip(v.JOB_STATES, self._census.counts(self.state), strict=True))

    # -- news ----------------------------------------------------------------------------------------------------------

    def listen(self, job: JobId, stirred: asyncio.Event | None = None) -> Listener:
        listener = Listener(job, stirred)
        self._listeners.setdefault(job, []).append(listener)
        return listener

    @property
    def listened(self) -> Iterable[JobId]:
        """Jobs of which somebody waits for news."""
        return self._listeners.keys()

    def leave(self, listener: Listener) -> None:
        those = self._listeners.get(listener.job, [])
        if listener in those:
            those.remove(listener)
        if not those:
            self._listeners.pop(listener.job, None)

    def _heard(self, events: Sequence[e.Event]) -> None:
        self._tallies.heard(self.state, events)
        self._census.heard(self.state, events)
        if self._listeners:
            for event in events:
                self._tell(event)

    def _tell(self, event: e.Event) -> None:
        match event:
            case e.TasksAssigned(job=job, spans=spans) | e.TasksEnded(job=job, spans=spans):
                self._note(job, spans)
            case e.AttemptEnded(task=task) | e.TaskRequeued(task=task) | e.BacklogPromoted(task=task):
                index = index_of(task)
                self._note(job_of(task), ((index, TaskIndex(index + 1)),))
            case e.TasksCancelling(job=job, tasks=tasks):
                self._note(job, [(index_of(task), index_of(task) + 1) for task in tasks])
            case e.TasksRetried(job=job, spans=spans):
                for listener in self._listeners.get(job, ()):
                    listener.retried += spans
                self._note(job, spans)
            case e.JobEnded(job=job) | e.JobReady(job=job) | e.JobChanged(job=job):
                self._note(job, ())
            case _:
                pass

    def _note(self, job: JobId, spans: Iterable[Span]) -> None:
        for listener in self._listeners.get(job, ()):
            listener.note(spans)

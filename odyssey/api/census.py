"""How many jobs are in which state, for whoever looks again and again.

Counted once when somebody asks, and kept from what happens after that. That an ended job is tried again, or becomes
history, changes numbers that nobody remembers one by one: then the next question counts anew.

Promises: the same numbers as counting all jobs.
Never: costs anything as long as nobody asks; holds more than one number for a live job.
"""

from collections.abc import Iterable

from odyssey import events as e
from odyssey.ids import JobId, job_of
from odyssey.model import JobState, job_state
from odyssey.scheduler.state import State


class Census:
    def __init__(self) -> None:
        self._state: State | None = None
        self._live: dict[JobId, JobState] = {}
        self._counts: list[int] = []

    def counts(self, state: State) -> list[int]:
        """By `JobState`."""
        if state is not self._state:
            self._count(state)
        return list(self._counts)

    def _count(self, state: State) -> None:
        self._state, self._live, self._counts = state, {}, [0] * len(JobState)
        for job in state.jobs.values():
            now = job_state(job)
            self._counts[now] += 1
            if not job.ended_index:
                self._live[job.id] = now

    def heard(self, state: State, events: Iterable[e.Event]) -> None:
        """`state` is as all of them have left it."""
        if self._state is None:
            return
        moved: dict[JobId, None] = {}
        for event in events:
            if isinstance(event, e.TasksRetried | e.JobsArchived):
                self._state = None
                return
            if isinstance(event, e.JobSubmitted):
                self._live[event.job] = JobState.WAITING
                self._counts[JobState.WAITING] += 1
            if (job := touched(event)) is not None:
                moved[job] = None
        for number in moved:
            self._note(state, number)

    def _note(self, state: State, number: JobId) -> None:
        before, job = self._live.pop(number, None), state.jobs.get(number)
        if before is None or job is None:  # it had ended before, whatever comes late
            return
        now = job_state(job)
        self._counts[before] -= 1
        self._counts[now] += 1
        if not job.ended_index:
            self._live[number] = now


def touched(event: e.Event) -> JobId | None:
    """The job whose view may be another one now."""
    match event:
        case e.JobSubmitted() | e.TasksAssigned() | e.TasksEnded() | e.TasksRetried() | e.TasksCancelling():
            return event.job
        case e.JobEnded() | e.JobReady() | e.JobChanged():
            return event.job
        case e.AttemptEnded() | e.TaskRequeued() | e.BacklogPromoted():
            return job_of(event.task)
        case _:
            return None

"""One person's queue while a plan is made: which job is next, and which of its tasks.

Where the policy waits for faster machines, a command that nobody has run yet sends one task ahead of the others, as a
scout: the sooner it is known how long it takes, the better the rest is placed. Only the first few groups are asked.

Effective priority (the job's own and what it gained by waiting) goes first, then the policy's rank if it has one, then
age. A group that found no room is left out for the rest of the plan, with all its jobs.

Promises: reads the queue as far as the plan gets, not further; the state is not changed.
Never: chooses machines.
"""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Final

from odyssey.ids import JobId, UserId
from odyssey.model import Job, TaskState
from odyssey.scheduler.state import State
from odyssey.scheduler.waiting import Group, Lane

WAITING = TaskState.WAITING
SCOUTS: Final = 16  # groups of a lane that are asked whether they are untried
_AHEAD: Final = -1  # a scout's rank

Rank = Callable[[Group], int]
Scout = Callable[[Group], bool]


class Cursor:
    """The jobs of one group in order, and the next task of the first of them."""

    __slots__ = ("_indices", "group", "job", "rank")

    def __init__(self, state: State, group: Group, job: JobId, rank: int) -> None:
        self.group, self.rank = group, rank
        self._open(state, job)

    def _open(self, state: State, job: JobId) -> None:
        self.job: Job = state.jobs[job]
        self._indices = task_indices(state, self.job)

    def take(self) -> int | None:
        """The next task's index; None when the job has no more."""
        return next(self._indices, None)

    def advance(self, state: State) -> bool:
        """On to the next job of the group, if there is one."""
        following = self.group.jobs.after(self.job.id)
        if following is None:
            return False
        self._open(state, JobId(following))
        return True


def task_indices(state: State, job: Job) -> Iterator[int]:
    """Those that had a try first: they have waited longest."""
    yield from state.waiting.ready.get(job.id, ())
    for run in job.runs:
        if run.state is WAITING:
            yield from range(run.start, run.stop)


class LaneLine:
    """One priority: groups by what their job gained by waiting, by rank, and by that job."""

    __slots__ = ("_active", "_newest", "_rest", "_scout", "_state", "priority")

    def __init__(self, state: State, priority: int, lane: Lane, rank: Rank | None, scout: Scout | None = None) -> None:
        self._state, self.priority, self._scout = state, priority, scout
        self._active: list[tuple[int, int, JobId, Cursor]] = []
        self._newest: Cursor | None = None  # while it stands at its first job, all of `rest` comes after it
        self._rest: Iterator[tuple[int, Group]] = iter(lane)
        if rank is None:
            for _ in range(SCOUTS if scout is not None else 1):
                self._pull()
            return
        for head, group in lane:
            self._push(Cursor(state, group, JobId(head), rank(group)))
        self._rest = iter(())

    def _push(self, cursor: Cursor) -> None:
        heappush(self._active, (-self._state.age(cursor.job.id), cursor.rank, cursor.job.id, cursor))

    def _pull(self) -> None:
        """Without a rank the older job is first, and the lane has groups in that order."""
        following = next(self._rest, None)
        self._newest = None
        if following is not None:
            ahead = self._scout is not None and self._scout(following[1])
            self._newest = Cursor(self._state, following[1], JobId(following[0]), _AHEAD if ahead else 0)
            self._push(self._newest)

    def first(self) -> Cursor | None:
        return self._active[0][-1] if self._active else None

    def scouted(self) -> None:
        """One task of the first group is placed: the rest of it takes its own place."""
        cursor = self._active[0][-1]
        if cursor.rank == _AHEAD:
            heappop(self._active)
            cursor.rank = 0
            self._push(cursor)

    def next_job(self) -> None:
        """The first cursor's job has nothing more: go on with the oldest job left, of whatever group."""
        cursor = heappop(self._active)[-1]
        if cursor.advance(self._state):
            self._push(cursor)
        if cursor is self._newest:
            self._pull()

    def drop_first(self) -> None:
        """The first cursor's group found no room: none of its jobs will."""
        if heappop(self._active)[-1] is self._newest:
            self._pull()


class Line:
    """All of one person's lanes."""

    __slots__ = ("_lanes", "_state")

    def __init__(self, state: State, user: UserId, rank: Rank | None, scout: Scout | None = None) -> None:
        self._state = state
        lanes = state.waiting.lanes[user]
        self._lanes = [
            LaneLine(state, priority, lanes[priority], rank, scout) for priority in sorted(lanes, reverse=True)
        ]

    def first(self) -> LaneLine | None:
        """The lane whose first job has the highest effective priority; equals by rank, then by age of the job."""
        best: LaneLine | None = None
        best_key = (0, 0, 0)
        if len(self._lanes) == 1:
            return self._lanes[0] if self._lanes[0].first() is not None else None
        for lane in self._lanes:
            cursor = lane.first()
            if cursor is None:
                continue
            key = (-lane.priority - self._state.age(cursor.job.id), cursor.rank, cursor.job.id)
            if best is None or key < best_key:
                best, best_key = lane, key
        return best

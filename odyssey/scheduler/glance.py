"""Why each of many jobs waits, for lists: one plan answers for all of them.

Promises: for each job the same answer as `explain.waiting` gives, without the change that would help; what is asked of
machines is bounded, and jobs beyond that get no answer.
Never: decides by itself: the planner's plan and its filters are what is told.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from odyssey.ids import JobId, NodeNumber
from odyssey.model import Job
from odyssey.scheduler.board import Board
from odyssey.scheduler.explain import Verdict, Waiting, Why, judged, overall, what_waits
from odyssey.scheduler.feasible import been_there, closed
from odyssey.scheduler.plan import Plan
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.snapshot import Snapshot
from odyssey.scheduler.suppose import placed

MOST_JUDGED: Final = 20_000  # machines times wishes
_Judged = tuple[list[Verdict], Why]


def glance(
    snapshot: Snapshot, jobs: Iterable[Job], most: int = MOST_JUDGED, policies: Mapping[str, Policy] = BUILT_IN
) -> dict[JobId, Waiting]:
    """Of jobs that do not wait it says so."""
    looks = _Glance(snapshot, most, policies)
    return {job.id: found for job in jobs if (found := looks.at(job)) is not None}


class _Glance:
    def __init__(self, snapshot: Snapshot, most: int, policies: Mapping[str, Policy]) -> None:
        self._snapshot, self._left, self._policies = snapshot, most, policies
        self._board = Board()
        self._plan: Plan | None = None
        self._starts: dict[JobId, NodeNumber] = {}
        self._judged: dict[tuple[object, ...], _Judged] = {}

    def at(self, job: Job) -> Waiting | None:
        task, why = what_waits(self._snapshot, job, None)
        if why is not None:
            return Waiting(job.id, why, job.blockers, task.backoff_ms if task is not None else 0)
        planned = self._planned()
        if job.id in self._starts:
            return Waiting(job.id, Why.NEXT, earliest_ms=0, where=self._starts[job.id])
        refused = (task.refused_by, task.memory_floor) if task is not None else ()
        reserved = any(row.reserved_for == job.id for row in self._board.rows.values())
        key = (job.user, job.spec.want, refused, job.id if reserved else None)
        if key not in self._judged:
            if self._left < len(self._board.rows):
                return None
            self._left -= len(self._board.rows)
            wish = self._board.wish(self._snapshot, job.user, job.spec.want)
            verdicts = [
                judged(self._snapshot, job, wish, row, been_there(task, row) or closed(wish, row), {})
                for row in self._board.rows.values()
            ]
            self._judged[key] = verdicts, overall(verdicts, None, planned)
        return _told(job.id, *self._judged[key])

    def _planned(self) -> Plan:
        if self._plan is None:
            self._plan = placed(self._snapshot, self._board, self._policies)
            firsts = sorted(
                (batch.job, start, batch.node) for batch in self._plan.batches if batch.slot for start, _ in batch.spans
            )
            self._starts = {job: node for job, _, node in reversed(firsts)}
        return self._plan


def _told(job: JobId, verdicts: list[Verdict], why: Why) -> Waiting:
    times = [(one.start_ms, one.node) for one in verdicts if one.start_ms is not None]
    soonest, where = min(times) if times and why is not Why.FASTER_SOON else (None, None)
    return Waiting(job, why, verdicts=tuple(verdicts), earliest_ms=soonest, where=where)

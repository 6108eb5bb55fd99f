"""What if there were one job more, or a job asked for something else? Answered by the planner itself.

A supposed state shares all records with the real one; only the one job and its person's queue are its own. So a
question costs a walk over the waiting jobs and a plan, and nobody else notices.

Promises: what is said to start now is what a plan of this moment places in a slot.
Never: changes the state it was made from, or enters the log.
"""

from collections.abc import Mapping

from odyssey.ids import JobId, NodeNumber
from odyssey.model import Job
from odyssey.scheduler.board import Board
from odyssey.scheduler.draft import requeue
from odyssey.scheduler.plan import Plan, plan
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.snapshot import Snapshot
from odyssey.scheduler.state import State


def with_job(snapshot: Snapshot, job: Job) -> Snapshot:
    """The same moment, with this job in the place of the one of its number, or as a new one."""
    state = State()
    for name in State.__slots__:
        setattr(state, name, getattr(snapshot.state, name))
    state.jobs = {**state.jobs, job.id: job}
    state.waiting = state.waiting.branched(job.user)
    requeue(state, job)
    return Snapshot(state, snapshot.seen)


def placed(snapshot: Snapshot, board: Board, policies: Mapping[str, Policy]) -> Plan:
    """What a plan would place now. One plan looks at so many new wishes only; a question goes on until it knows."""
    found = plan(snapshot, board, policies)
    while found.more and not found.assigned:
        found = plan(snapshot, board, policies)
    return found


def start_of(plan: Plan, job: JobId, index: int | None) -> tuple[int, NodeNumber] | None:
    """This task, or the first of the job that the plan starts, and where; None when it starts none."""
    starts = [
        (start if index is None else index, batch.node)
        for batch in plan.batches
        if batch.job == job and batch.slot
        for start, stop in batch.spans
        if index is None or start <= index < stop
    ]
    return min(starts, default=None)

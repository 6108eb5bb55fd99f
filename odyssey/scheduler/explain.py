"""Why does my job wait, and what would happen to this one? Asked by people, answered by the functions that decide.

Nothing is kept for this: a question builds the same rows and the same wish the planner would, and asks every machine
in turn with the same filters. So what is told as the reason is what the planner would find now.

Promises: one verdict for every member, never a missing one; an unknown time is None, not a guess; the change that is
named has been tried on the same data.
Never: changes anything, or answers from memory.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from odyssey.ids import JobId, NodeNumber, job_of, task_id
from odyssey.model import ENDED, Job, Task, TaskState
from odyssey.scheduler.board import Board, Row, Wish
from odyssey.scheduler.feasible import Code, Reason, been_there, closed, full
from odyssey.scheduler.needs import needs_fault
from odyssey.scheduler.plan import plan, policy_of
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.remedy import Change, best_change
from odyssey.scheduler.runs import first_waiting
from odyssey.scheduler.snapshot import Snapshot
from odyssey.scheduler.tail import remaining_ms
from odyssey.spec import JobSpec, SpecFault, faults


class Why(IntEnum):
    """What a job as a whole waits for."""

    HELD = 1
    PARENTS = 2
    BACKOFF = 3
    NO_MACHINES = 4
    IMPOSSIBLE = 5  # no member could ever take it as it is
    ABSENT = 6  # the members that could are away, asleep, paused or finishing
    FULL = 7
    FASTER_SOON = 8
    NEXT = 9  # room is there: it starts with the next plan
    NOT_WAITING = 10


class Verdict(NamedTuple):
    """One machine's answer. `reason` None: it would take the task now."""

    node: NodeNumber
    name: str
    reason: Reason | None
    start_ms: int | None  # in how long it could start here; 0 now, None when that cannot be told
    parts: Mapping[str, int]  # its score as it would be, when it is open to the task


class Waiting(NamedTuple):
    job: JobId
    why: Why
    parents: tuple[JobId, ...] = ()
    backoff_ms: int = 0
    verdicts: tuple[Verdict, ...] = ()  # best first, then those that are out
    earliest_ms: int | None = None
    where: NodeNumber | None = None
    change: Change | None = None
    ahead: int = 0  # tasks of others and of one's own that come first, as far as they want the same


class DryRun(NamedTuple):
    """What would happen to a spec that is submitted now."""

    faults: tuple[SpecFault, ...]
    waiting: Waiting | None  # NEXT when it would start


def waiting(
    snapshot: Snapshot, job_id: JobId, index: int | None = None, policies: Mapping[str, Policy] = BUILT_IN
) -> Waiting | None:
    """Why a job waits (or one task of it); None when there is no such job."""
    job = snapshot.state.jobs.get(job_id)
    if job is None:
        return None
    task, why = _what_waits(snapshot, job, index)
    if why is not None:
        backoff_ms = task.backoff_ms if task is not None else 0
        return Waiting(job_id, why, job.blockers, backoff_ms)
    return _ask(snapshot, job.spec, job_id, task, policies)


def dry_run(snapshot: Snapshot, spec: JobSpec, policies: Mapping[str, Policy] = BUILT_IN) -> DryRun:
    found = [*faults((spec,)), *filter(None, [needs_fault(spec.want.needs)])]
    unknown = [parent for parent in (*spec.after, *spec.after_any) if parent not in snapshot.state.jobs]
    found += [SpecFault(f"there is no job {parent} to wait for", "see: odyssey ps --state all") for parent in unknown]
    if found:
        return DryRun(tuple(found), None)
    parents = tuple(p for p in (*spec.after, *spec.after_any) if not snapshot.state.jobs[p].ended_index)
    if spec.held or parents:
        return DryRun((), Waiting(JobId(0), Why.HELD if spec.held else Why.PARENTS, parents))
    return DryRun((), _ask(snapshot, spec, JobId(0), None, policies))


def _what_waits(snapshot: Snapshot, job: Job, index: int | None) -> tuple[Task | None, Why | None]:
    """The task the question is about, and the answer if it is not about machines."""
    if job.ended_index or not job.counts[TaskState.WAITING]:
        return None, Why.NOT_WAITING
    if job.held:
        return None, Why.HELD
    if job.blockers:
        return None, Why.PARENTS
    if index is None:
        return _first(snapshot, job)
    task = snapshot.state.tasks.get(task_id(job.id, index))
    if task is not None and (task.state in ENDED or task.state is not TaskState.WAITING):
        return task, Why.NOT_WAITING
    return task, Why.BACKOFF if task is not None and task.backoff_ms else None


def _first(snapshot: Snapshot, job: Job) -> tuple[Task | None, Why | None]:
    ready = snapshot.state.waiting.ready.get(job.id)
    if first_waiting(job.runs) is not None:
        return None, None
    if ready is not None:
        return snapshot.state.tasks[task_id(job.id, ready.first())], None
    backing_off = [task for task in snapshot.state.backoffs if job_of(task) == job.id]
    return (snapshot.state.tasks[min(backing_off)] if backing_off else None), Why.BACKOFF


# -- asking every machine ----------------------------------------------------------------------------------------------


def _ask(snapshot: Snapshot, spec: JobSpec, job: JobId, task: Task | None, policies: Mapping[str, Policy]) -> Waiting:
    policy, weights = policy_of(snapshot, policies)
    board = Board()
    board.sync(snapshot, policy, weights)
    wish = board.wish(snapshot, spec.user, spec.want)
    inputs = {blob.digest: blob.size for blob in spec.inputs}
    verdicts = []
    for row in board.rows.values():
        reason = been_there(task, row) or closed(wish, row)
        parts = policy.parts(weights, wish, row, inputs) if reason is None else {}
        start_ms = None if reason is not None else _start_ms(snapshot, wish, row)
        verdicts.append(Verdict(row.number, row.node.name, reason or full(wish, row), start_ms, parts))
    verdicts.sort(key=_order)
    why = _overall(snapshot, verdicts, job, policies)
    soonest = min(
        (one for one in verdicts if one.start_ms is not None), key=lambda one: one.start_ms or 0, default=None
    )
    change = None if why in (Why.NEXT, Why.NO_MACHINES, Why.ABSENT) else best_change(snapshot, board, wish, task)
    return Waiting(
        job,
        why,
        verdicts=tuple(verdicts),
        earliest_ms=soonest.start_ms if soonest is not None else None,
        where=soonest.node if soonest is not None else None,
        change=change,
        ahead=_ahead(snapshot, spec, job),
    )


def _order(verdict: Verdict) -> tuple[int, int, int]:
    """Those that would take it by score, then the busy ones by score, then the rest by how lasting their reason is."""
    if verdict.reason is None or verdict.reason.code is Code.FULL:
        return (0 if verdict.reason is None else 1, -sum(verdict.parts.values()), verdict.node)
    return (2, -verdict.reason.code, verdict.node)


def _overall(snapshot: Snapshot, verdicts: list[Verdict], job: JobId, policies: Mapping[str, Policy]) -> Why:
    codes = {verdict.reason.code if verdict.reason is not None else None for verdict in verdicts}
    if not codes:
        return Why.NO_MACHINES
    if None in codes:
        return _tail_or_next(snapshot, job, policies)
    if Code.FULL in codes:
        return Why.FULL
    lasting = {code for code in codes if code is not None and (code <= Code.NOT_YOURS or code in _TASKS_OWN)}
    return Why.IMPOSSIBLE if lasting == codes else Why.ABSENT


_TASKS_OWN = frozenset({Code.NOT_HERE, Code.MEMORY_FLOOR})


def _tail_or_next(snapshot: Snapshot, job: JobId, policies: Mapping[str, Policy]) -> Why:
    """Room is there and it was not taken: the planner itself says whether that is on purpose."""
    blocked = {one.job: one.code for one in plan(snapshot, policies=policies).blocked}
    group = snapshot.state.waiting.group_of(job)
    heads = [blocked[JobId(member)] for member in group.jobs if JobId(member) in blocked] if group is not None else []
    return Why.FASTER_SOON if Code.FASTER_SOON in heads else Why.NEXT


def _start_ms(snapshot: Snapshot, wish: Wish, row: Row) -> int | None:
    """When enough of what runs there has ended, by learned times; None if one of them is unknown."""
    if full(wish, row) is None:
        return 0
    cpu, memory, gpus, disk = row.free_cpu, row.free_memory, row.free_gpus, row.free_disk
    ends = []
    for attempt, task in snapshot.state.held.get(row.number, {}).items():
        ends.append((remaining_ms(snapshot, row, attempt, task), task))
    ends.sort(key=lambda end: (end[0] is None, end[0] or 0, end[1]))
    for left_ms, task in ends:
        need = snapshot.state.jobs[job_of(task)].spec.want.need
        cpu, memory, gpus, disk = cpu + need.cpu_milli, memory + need.memory, gpus + need.gpus, disk + need.disk
        if left_ms is None:
            return None
        if wish.cpu <= cpu and wish.memory <= memory and wish.gpus <= gpus and wish.disk <= disk:
            return left_ms
    return None


def _ahead(snapshot: Snapshot, spec: JobSpec, job: JobId) -> int:
    """Waiting tasks of older jobs in the same line: what wants something else does not stand in the way."""
    group = snapshot.state.waiting.group_of(job)
    members = group.jobs if group is not None else ()
    if group is None:
        for lane in snapshot.state.waiting.lanes.get(spec.user, {}).values():
            members = next((one.jobs for _, one in lane if one.key.want == spec.want), members)
    return sum(snapshot.state.jobs[JobId(one)].counts[0] for one in members if not job or one < job)

"""Why does my job wait, and what would happen to this one? Asked by people, answered by the functions that decide.

Nothing is kept for this: a question lets the planner plan, and then asks every machine in turn with the same filters.
So what is told as the reason is what the planner finds now.

Promises: one verdict for every member, never a missing one; an unknown time is None, not a guess; the change that is
named has been tried on the same data.
Never: changes anything, or answers from memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from odyssey.ids import ClientId, JobId, NodeNumber, TaskId, job_of, task_id
from odyssey.model import NO_TASKS, Job, JobState, Run, Task, TaskState, job_state
from odyssey.scheduler.board import Board
from odyssey.scheduler.draft import replace
from odyssey.scheduler.feasible import LASTING, Code, Reason, been_there, closed, full, has_room
from odyssey.scheduler.needs import needs_fault
from odyssey.scheduler.plan import Plan, policy_of
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.remedy import Change, best_change
from odyssey.scheduler.rows import Row, Wish
from odyssey.scheduler.runs import first_waiting
from odyssey.scheduler.snapshot import Snapshot
from odyssey.scheduler.suppose import placed, start_of, with_job
from odyssey.scheduler.tail import remaining_ms
from odyssey.spec import JobSpec, SpecFault, Want, faults


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
    task, why = what_waits(snapshot, job, index)
    if why is not None:
        backoff_ms = task.backoff_ms if task is not None else 0
        return Waiting(job_id, why, job.blockers, backoff_ms)
    return _ask(snapshot, job, index, task, policies)


def dry_run(snapshot: Snapshot, spec: JobSpec, policies: Mapping[str, Policy] = BUILT_IN) -> DryRun:
    found = [*faults((spec,)), *filter(None, [needs_fault(spec.want.needs)]), *_parent_faults(snapshot, spec)]
    if found:
        return DryRun(tuple(found), None)
    parents = tuple(p for p in (*spec.after, *spec.after_any) if not snapshot.state.jobs[p].ended_index)
    if spec.held or parents:
        return DryRun((), Waiting(JobId(0), Why.HELD if spec.held else Why.PARENTS, parents))
    job = Job(
        JobId(snapshot.state.head.last_job + 1),
        spec,
        ClientId(b""),
        0,
        (Run(0, spec.count),),
        (spec.count, *NO_TASKS[1:]),
        priority=spec.priority,
    )
    return DryRun((), _ask(with_job(snapshot, job), job, None, None, policies)._replace(job=JobId(0)))


def _parent_faults(snapshot: Snapshot, spec: JobSpec) -> Iterator[SpecFault]:
    for parent in (*spec.after, *spec.after_any):
        job = snapshot.state.jobs.get(parent)
        if job is None:
            yield SpecFault(f"there is no job {parent} to wait for", "see: odyssey ps --state all")
        elif parent in spec.after and job.ended_index and job_state(job) is not JobState.DONE:
            yield SpecFault(
                f"job {parent} did not succeed, so this one would be skipped",
                f"repeat it first: odyssey retry {parent}",
            )


def what_waits(snapshot: Snapshot, job: Job, index: int | None) -> tuple[Task | None, Why | None]:
    """The task the question is about, and the answer if it is not about machines."""
    if job.ended_index or not job.counts[TaskState.WAITING]:
        return None, Why.NOT_WAITING
    task = snapshot.state.tasks.get(task_id(job.id, index)) if index is not None else None
    if index is not None and not _waits(job, task, index):
        return task, Why.NOT_WAITING
    if job.held:
        return None, Why.HELD
    if job.blockers:
        return None, Why.PARENTS
    if index is None:
        return _first(snapshot, job)
    return task, Why.BACKOFF if task is not None and task.backoff_ms else None


def _waits(job: Job, task: Task | None, index: int) -> bool:
    if task is not None:
        return task.state is TaskState.WAITING
    return any(run.start <= index < run.stop and run.state is TaskState.WAITING for run in job.runs)


def _first(snapshot: Snapshot, job: Job) -> tuple[Task | None, Why | None]:
    ready = snapshot.state.waiting.ready.get(job.id)
    if first_waiting(job.runs) is not None:
        return None, None
    if ready is not None:
        return snapshot.state.tasks[task_id(job.id, ready.first())], None
    backing_off = [task for task in snapshot.state.backoffs if job_of(task) == job.id]
    return (snapshot.state.tasks[min(backing_off)] if backing_off else None), Why.BACKOFF


# -- asking every machine ----------------------------------------------------------------------------------------------


def _ask(snapshot: Snapshot, job: Job, index: int | None, task: Task | None, policies: Mapping[str, Policy]) -> Waiting:
    """What the planner would do now. If it starts the task, machines are shown as they stand before it does; if not, as
    they are when all that goes first has got its place."""
    policy, weights = policy_of(snapshot, policies)
    board = Board()
    planned = placed(snapshot, board, policies)
    start = None
    if (starts := start_of(planned, job.id, index)) is not None:
        task, start = snapshot.state.tasks.get(task_id(job.id, starts[0])), starts[1]
        board.sync(snapshot, policy, weights)
    wish = board.wish(snapshot, job.user, job.spec.want)
    inputs = {blob.digest: blob.size for blob in job.spec.inputs}
    verdicts = []
    for row in board.rows.values():
        reason = been_there(task, row) or closed(wish, row)
        parts = policy.parts(weights, wish, row, inputs) if reason is None else {}
        verdicts.append(judged(snapshot, job, wish, row, reason, parts))
    why = overall(verdicts, start, planned)
    if why is Why.FASTER_SOON:
        verdicts = [one if one.reason else one._replace(reason=_FASTER, start_ms=None) for one in verdicts]
    verdicts.sort(key=lambda one: (one.node != start, *_order(one)))
    soonest = min(
        (one for one in verdicts if one.start_ms is not None), key=lambda one: one.start_ms or 0, default=None
    )
    change = None
    if why not in (Why.NEXT, Why.NO_MACHINES):
        change = best_change(snapshot, board, wish, task, _trial(snapshot, job, index, policies))
        if why is Why.ABSENT and change is not None and not change.now:
            change = None  # it only has to wait
    return Waiting(
        job.id,
        why,
        verdicts=tuple(verdicts),
        earliest_ms=soonest.start_ms if soonest is not None else None,
        where=soonest.node if soonest is not None else None,
        change=change,
        ahead=_ahead(snapshot, job),
    )


def judged(
    snapshot: Snapshot, job: Job, wish: Wish, row: Row, reason: Reason | None, parts: Mapping[str, int]
) -> Verdict:
    if reason is None and row.reserved_for not in (None, job.id):
        reason = Reason(Code.RESERVED)
    start_ms = _start_ms(snapshot, wish, row) if reason is None else None
    return Verdict(row.number, row.node.name, reason or full(wish, row), start_ms, parts)


def _trial(
    snapshot: Snapshot, job: Job, index: int | None, policies: Mapping[str, Policy]
) -> Callable[[Want], NodeNumber | None]:
    """Where the planner would start this job now if it wanted this."""
    board = Board()

    def trial(want: Want) -> NodeNumber | None:
        changed = replace(job, spec=replace(job.spec, want=want))
        starts = start_of(placed(with_job(snapshot, changed), board, policies), job.id, index)
        return starts[1] if starts is not None else None

    return trial


def _order(verdict: Verdict) -> tuple[int, int, int]:
    """Those that would take it by score, then the busy ones by score, then the rest by how lasting their reason is."""
    if verdict.reason is None or verdict.reason.code in _FOR_NOW:
        return (0 if verdict.reason is None else 1, -sum(verdict.parts.values()), verdict.node)
    return (2, -verdict.reason.code, verdict.node)


_FASTER = Reason(Code.FASTER_SOON)
_FOR_NOW = frozenset({Code.FULL, Code.RESERVED, Code.FASTER_SOON})
TASKS_OWN = frozenset({Code.NOT_HERE, Code.MEMORY_FLOOR})


def overall(verdicts: list[Verdict], start: NodeNumber | None, planned: Plan) -> Why:
    if start is not None:
        return Why.NEXT
    codes = {verdict.reason.code if verdict.reason is not None else None for verdict in verdicts}
    if not codes:
        return Why.NO_MACHINES
    if None in codes:  # room is left, and it was not taken: on purpose, or the next plan will
        return Why.NEXT if planned.more else Why.FASTER_SOON
    if codes & _FOR_NOW:
        return Why.FULL
    return Why.IMPOSSIBLE if codes <= LASTING | TASKS_OWN else Why.ABSENT


def _start_ms(snapshot: Snapshot, wish: Wish, row: Row) -> int | None:
    """When enough of what runs there has ended, and what queues there has begun, by learned times; None if one of them
    is unknown."""
    if has_room(wish, row):
        return 0
    asked = (wish.cpu, wish.memory, wish.gpus, wish.disk)
    free = [row.free_cpu, row.free_memory, row.free_gpus, row.free_disk]
    ends: list[tuple[int, TaskId]] = []
    queued: list[tuple[int, TaskId]] = []
    for attempt, task in sorted(snapshot.state.held.get(row.number, {}).items()):
        left_ms = remaining_ms(snapshot, row, attempt, task)
        (queued if attempt in row.use.backlog else ends).append((_UNKNOWN if left_ms is None else left_ms, task))
    heapify(ends)
    queued.reverse()
    while ends and ends[0][0] < _UNKNOWN:
        now_ms, task = heappop(ends)
        free = [have + freed for have, freed in zip(free, _needed(snapshot, task), strict=True)]
        while queued and _fits(needed := _needed(snapshot, queued[-1][1]), free):
            takes_ms, task = queued.pop()
            free = [have - taken for have, taken in zip(free, needed, strict=True)]
            heappush(ends, (min(_UNKNOWN, now_ms + takes_ms), task))
        if _fits(asked, free):
            return now_ms
    return None


_UNKNOWN = 1 << 62


def _needed(snapshot: Snapshot, task: TaskId) -> tuple[int, int, int, int]:
    need = snapshot.state.jobs[job_of(task)].spec.want.need
    return need.cpu_milli, need.memory, need.gpus, need.disk


def _fits(needed: Iterable[int], free: Iterable[int]) -> bool:
    return all(amount <= have for amount, have in zip(needed, free, strict=True))


def _ahead(snapshot: Snapshot, job: Job) -> int:
    """Waiting tasks of older jobs in the same line: what wants something else does not stand in the way."""
    group = snapshot.state.waiting.group_of(job.id)
    return sum(snapshot.state.jobs[JobId(one)].counts[0] for one in (group.jobs if group else ()) if one < job.id)

"""What must be true of every state, walked from end to end.

Tests and the simulator call this after every step; `odyssey doctor` may call it on a live state. It shares no code with
the transitions: where it can, it counts again from the records.

Promises: names every violation it finds, with the job, task or machine it is about; an empty list means sound.
Never: repairs.
"""

from collections import Counter
from collections.abc import Iterator

from odyssey.ids import AttemptId, JobId, NodeNumber, TaskId, index_of, job_of, show_task
from odyssey.model import ENDED, MAX_TRIES_KEPT, Job, Outcome, Task, TaskState, Use
from odyssey.scheduler.dump import rebuilt
from odyssey.scheduler.state import MAX_AGE, MAX_CLIENTS, MAX_LEARNED, State

T = TaskState


def violations(state: State) -> list[str]:
    records: dict[JobId, list[Task]] = {}
    for task_id, task in state.tasks.items():
        if task.id != task_id:
            return [f"task {show_task(task_id)} is filed under another's number"]
        records.setdefault(job_of(task_id), []).append(task)
    found = [text for job in state.jobs.values() for text in _job(state, job, records.pop(job.id, []))]
    if records:
        return found + [f"tasks of job {job}, which does not exist" for job in records]
    found += _attempts(state)
    found += _head(state)
    found += _belonging(state)
    return found or list(_indexes(state))


# -- jobs and tasks ----------------------------------------------------------------------------------------------------


def _job(state: State, job: Job, tasks: list[Task]) -> Iterator[str]:
    counts = Counter(task.state for task in tasks)
    covered = {int(index_of(task.id)) for task in tasks}
    at = 0
    for run in job.runs:
        if not at <= run.start < run.stop <= job.spec.count:
            yield f"job {job.id}: its runs overlap, are empty or leave the array: {job.runs}"
        if any(run.start <= index < run.stop for index in covered):
            yield f"job {job.id}: a task is both in a run and on record"
        if run.state not in (T.WAITING, T.CANCELLED, T.SKIPPED):
            yield f"job {job.id}: a run is {run.state.name}"
        at = run.stop
        counts[run.state] += run.stop - run.start
    if tuple(counts[state_] for state_ in T) != job.counts:
        yield f"job {job.id}: counts {job.counts}, but there are {dict(counts)}"
    if sum(job.counts) != job.spec.count:
        yield f"job {job.id}: {sum(job.counts)} tasks of {job.spec.count} are in exactly one state"
    if sum(len(task.attempts) for task in tasks) != job.attempts:
        yield f"job {job.id}: says it has {job.attempts} attempts"
    live = sum(job.counts[state_] for state_ in T if state_ not in ENDED)
    if bool(live) == bool(job.ended_index):
        yield f"job {job.id}: {live} live tasks, ended at {job.ended_index}"
    yield from _parents(state, job)
    for task in tasks:
        yield from _task(job, task)


def _parents(state: State, job: Job) -> Iterator[str]:
    for blocker in job.blockers:
        parent = state.jobs.get(blocker)
        if parent is None or parent.ended_index:
            yield f"job {job.id}: waits for job {blocker}, which is over"
        if blocker not in job.parents:
            yield f"job {job.id}: waits for job {blocker}, which is no parent of its"
    if job.ended_index and job.blockers:
        yield f"job {job.id}: is over and still waits for {job.blockers}"
    if job.id > state.head.last_job:
        yield f"job {job.id}: newer than the newest"


def _task(job: Job, task: Task) -> Iterator[str]:
    name = show_task(task.id)
    current = [attempt for attempt in task.attempts if not attempt.stopping]
    if (task.state is T.ASSIGNED) != bool(current):
        yield f"task {name}: {task.state.name} with {len(current)} current attempts"
    if task.state is T.CANCELLING and not task.attempts:
        yield f"task {name}: cancelling nothing"
    if task.state is T.WAITING and task.attempts:
        yield f"task {name}: waits while an attempt is out"
    if len(task.attempts) > (2 if job.spec.overlap else 1):
        yield f"task {name}: {len(task.attempts)} attempts at once"
    if task.backoff_ms and task.state is not T.WAITING:
        yield f"task {name}: backs off while {task.state.name}"
    if not 0 <= index_of(task.id) < job.spec.count:
        yield f"task {name}: outside the array"
    results = [one for one in task.tries if one.outcome is Outcome.EXITED and one.code == 0]
    if task.state is T.DONE and not results:
        yield f"task {name}: done without a result"
    if len(task.tries) != min(task.tries_total, MAX_TRIES_KEPT):
        yield f"task {name}: {len(task.tries)} tries on record of {task.tries_total}"
    if len({one.attempt for one in task.tries} | {one.id for one in task.attempts}) != len(task.tries) + len(
        task.attempts
    ):
        yield f"task {name}: the same attempt twice"


# -- machines ----------------------------------------------------------------------------------------------------------


def _attempts(state: State) -> Iterator[str]:
    """Each attempt is held once, by a member; a machine's use is the sum of what it holds in slots."""
    owners: dict[AttemptId, TaskId] = {}
    sums: dict[NodeNumber, Counter[str]] = {}
    for task in state.tasks.values():
        for attempt in task.attempts:
            if attempt.id in owners:
                yield f"attempt {attempt.id} belongs to {show_task(owners[attempt.id])} and {show_task(task.id)}"
            owners[attempt.id] = task.id
            if attempt.node not in state.nodes:
                yield f"task {show_task(task.id)}: on machine {attempt.node}, which is no member"
            if attempt.slot:
                _add(sums.setdefault(attempt.node, Counter()), state, task)
    for number, use in state.uses.items():
        counted = sums.pop(number, Counter())
        told = {"cpu": use.cpu_milli, "memory": use.memory, "gpus": use.gpus, "disk": use.disk, "slots": use.slots}
        if any(counted[name] != amount for name, amount in told.items()) or min(told.values()) < 0:
            yield f"machine {number}: says it uses {told}, but holds {dict(counted)}"
    for number, counted in sums.items():
        yield f"machine {number}: no use on record, but holds {dict(counted)}"
    names = [node.name for node in state.nodes.values() if not node.removed]
    if len(set(names)) != len(names):
        yield "two machines have the same name"


def _add(counted: Counter[str], state: State, task: Task) -> None:
    need = state.jobs[job_of(task.id)].spec.want.need
    counted["cpu"] += need.cpu_milli
    counted["memory"] += need.memory
    counted["gpus"] += need.gpus
    counted["disk"] += need.disk
    counted["slots"] += 1


def _head(state: State) -> Iterator[str]:
    if len(state.clients) > MAX_CLIENTS or len(state.learned) > MAX_LEARNED:
        yield f"{len(state.clients)} client ids and {len(state.learned)} learned times are kept"
    if len(state.head.age_marks) > MAX_AGE or list(state.head.age_marks) != sorted(state.head.age_marks):
        yield f"age marks are {state.head.age_marks}"
    if any(used < 0 for used in state.usage.values()):
        yield "someone used less than nothing"


def _belonging(state: State) -> Iterator[str]:
    for invite in state.invites.values():
        if len(set(invite.used)) != len(invite.used) or len(invite.used) > invite.uses:
            yield f"invite {invite.id.hex()}: for {invite.uses} machines, used by {invite.used}"
    for node in state.members.keys() & state.revoked.keys():
        yield f"machine {node}: a member and put out"


# -- indexes -----------------------------------------------------------------------------------------------------------


def _indexes(state: State) -> Iterator[str]:
    fresh = rebuilt(state)
    for name in ("backoffs", "children", "ended", "reserved"):
        if getattr(state, name) != getattr(fresh, name):
            yield f"index {name} is {getattr(state, name)}, should be {getattr(fresh, name)}"
    if _filled(state.held) != _filled(fresh.held):
        yield f"index held is {state.held}, should be {fresh.held}"
    if _used(state) != _used(fresh):
        yield f"index uses is {state.uses}, should be {fresh.uses}"
    if state.waiting.layout() != fresh.waiting.layout():
        yield f"the queue is {state.waiting.layout()}, should be {fresh.waiting.layout()}"


def _filled(held: dict[NodeNumber, dict[AttemptId, TaskId]]) -> dict[NodeNumber, dict[AttemptId, TaskId]]:
    return {node: attempts for node, attempts in held.items() if attempts}


def _used(state: State) -> dict[int, Use]:
    return {node: use for node, use in state.uses.items() if use != Use()}

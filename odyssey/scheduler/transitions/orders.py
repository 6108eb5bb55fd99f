"""What the coordinator's orders do: assign, lose, recall, end backoffs, give up, age, decay, archive, adopt history.

Promises: an assignment is checked again at the door: whatever changed since it was planned, a task is never given twice
and a machine never holds more than it has. What does not fit any more is dropped alone; the rest goes on.
Never: trusts that a plan is fresh.
"""

from odyssey.commands import (
    AdoptSegment,
    AgeQueue,
    ArchiveJobs,
    AssignTasks,
    Batch,
    DecayUsage,
    DropSegments,
    EndBackoff,
    Entry,
    GiveUpTasks,
    LoseAttempts,
    RecallAttempts,
)
from odyssey.events import (
    AssignmentDropped,
    AttemptsRecalled,
    BackoffEnded,
    ChangedNothing,
    Event,
    JobsArchived,
    QueueAged,
    SegmentAdopted,
    SegmentsDropped,
    TasksAssigned,
    TasksEnded,
    UsageDecayed,
)
from odyssey.ids import MAX_POSITIONS, JobId, NodeNumber, TaskId, attempt_id, index_of, job_of, task_id
from odyssey.model import Attempt, Cause, Ending, Job, Node, Outcome, Segment, Task, TaskState
from odyssey.scheduler.draft import Draft, has_room, replace
from odyssey.scheduler.retry import End
from odyssey.scheduler.runs import cut, spans_of, tidy
from odyssey.scheduler.state import MAX_AGE
from odyssey.scheduler.transitions.base import Refused, end_attempt, lost_try, settle
from odyssey.scheduler.transitions.reports import note_end, promote

T = TaskState


# -- assign ------------------------------------------------------------------------------------------------------------


def assign(draft: Draft, entry: Entry, command: AssignTasks) -> list[Event]:
    if not all(0 <= start < stop for batch in command.batches for start, stop in batch.spans):
        raise Refused("bad-order", "an assignment holds an empty span")
    if sum(stop - start for batch in command.batches for start, stop in batch.spans) > MAX_POSITIONS:
        raise Refused("too-many", f"more than {MAX_POSITIONS} assignments in one entry")
    events: list[Event] = []
    position = 0
    for batch in command.batches:
        why = command.whys[batch.why] if 0 <= batch.why < len(command.whys) else b""
        events += _assign_batch(draft, entry, batch, position, why)
        position += sum(stop - start for start, stop in batch.spans)
    return events or [ChangedNothing(entry.index)]


def _assign_batch(draft: Draft, entry: Entry, batch: Batch, position: int, why: bytes) -> list[Event]:
    job, node = draft.job(batch.job), draft.node(batch.node)
    reason = _closed(job, node)
    if reason or job is None or node is None:
        return [AssignmentDropped(entry.index, batch.job, batch.spans, batch.node, reason)]
    first = attempt_id(entry.generation, entry.index, position)
    placed: list[int] = []
    dropped: dict[str, list[int]] = {}
    for start, stop in batch.spans:
        for index in range(start, stop):
            attempt = Attempt(
                attempt_id(entry.generation, entry.index, position),
                batch.node,
                entry.wall_ms,
                batch.slot,
                score=batch.score,
                why=why,
            )
            position += 1
            reason = _assign_one(draft, job.id, index, node, attempt)
            if reason:
                dropped.setdefault(reason, []).append(index)
            else:
                placed.append(index)
    events: list[Event] = [
        AssignmentDropped(entry.index, batch.job, spans_of(indices), batch.node, reason)
        for reason, indices in dropped.items()
    ]
    if placed:
        draft.head = replace(draft.head, last_given=batch.node, gave=entry.generation)
        events.append(TasksAssigned(entry.index, batch.job, spans_of(placed), batch.node, first, batch.slot))
        events += () if batch.slot else promote(draft, entry, batch.node)
    return events


def _closed(job: Job | None, node: Node | None) -> str:
    if job is None:
        return "no-such-job"
    if node is None or node.removed:
        return "no-such-machine"
    if node.draining:
        return "draining"
    if job.ended_index or job.held or job.blockers:
        return "not-waiting"
    if not node.shared and node.owner != job.spec.user:
        return "not-yours"
    return ""


def _assign_one(draft: Draft, job_id: JobId, index: int, node: Node, attempt: Attempt) -> str:
    job = draft.jobs.get(job_id) or draft.state.jobs[job_id]
    if index >= job.spec.count:
        return "not-waiting"
    known = draft.task(task_id(job_id, index))
    if known is None:
        runs = cut(job.runs, index, index + 1)
        if runs is None:
            return "not-waiting"
        if not _has_room(draft, job, node, attempt):
            return "no-room"
        draft.jobs[job_id] = replace(job, runs=runs)
        known = Task(task_id(job_id, index))
    else:
        if not _may_start(job, known, node):
            return "not-waiting"
        if not _has_room(draft, job, node, attempt):
            return "no-room"
    draft.change(known, replace(known, state=T.ASSIGNED, attempts=(*known.attempts, attempt)))
    return ""


def _may_start(job: Job, task: Task, node: Node) -> bool:
    if node.number in task.refused_by or (task.memory_floor and node.total.memory <= task.memory_floor):
        return False
    if task.state is T.WAITING:
        return not task.backoff_ms and not task.attempts
    if task.state is not T.ASSIGNED or not job.spec.overlap or len(task.attempts) != 1:
        return False
    return task.attempts[0].node != node.number and not task.attempts[0].stopping


def _has_room(draft: Draft, job: Job, node: Node, attempt: Attempt) -> bool:
    need, total = job.spec.want.need, node.total
    if not attempt.slot:
        return need.fits(total)
    return has_room(draft.use(node.number), need, total)


# -- lose, recall ------------------------------------------------------------------------------------------------------


def lose(draft: Draft, entry: Entry, command: LoseAttempts) -> list[Event]:
    """The leases of these attempts are over: whatever their machines still say of them is history, unless the task is
    still waiting for its next try when they say it."""
    events: list[Event] = []
    nodes: dict[NodeNumber, None] = {}
    for attempt_id_, task_id_ in command.attempts:
        task = draft.task(task_id_)
        attempt = next((a for a in task.attempts if a.id == attempt_id_), None) if task is not None else None
        if task is None or attempt is None:
            continue
        end = End(attempt, Outcome.LOST, 0, command.cause)
        events += end_attempt(draft, entry, task, end, lost_try(attempt, Outcome.LOST, entry.wall_ms))
        nodes[attempt.node] = None
    for node in nodes:
        if command.cause in (Cause.DOWN, Cause.REBOOT):
            note_end(draft, node, broke=True)
        events += promote(draft, entry, node)
        _forget_removed(draft, node)
    return events or [ChangedNothing(entry.index)]


def _forget_removed(draft: Draft, number: NodeNumber) -> None:
    """A removed machine's record goes with its last attempt."""
    node = draft.node(number)
    if node is not None and node.removed:
        use = draft.use(node.number)
        if not use.slots and not use.backlog:
            draft.dropped_nodes.append(node.number)


def recall(draft: Draft, entry: Entry, command: RecallAttempts) -> list[Event]:
    recalled = []
    for attempt_id_, task_id_ in command.attempts:
        task = draft.task(task_id_)
        if task is None:
            continue
        attempts = tuple(
            replace(a, recalled=True) if a.id == attempt_id_ and not a.slot and not a.recalled else a
            for a in task.attempts
        )
        if attempts != task.attempts:
            draft.change(task, replace(task, attempts=attempts))
            recalled.append(attempt_id_)
    return [AttemptsRecalled(entry.index, tuple(recalled))] if recalled else [ChangedNothing(entry.index)]


# -- backoff, giving up ------------------------------------------------------------------------------------------------


def end_backoff(draft: Draft, entry: Entry, command: EndBackoff) -> list[Event]:
    ended = []
    for task_id_ in command.tasks:
        task = draft.task(task_id_)
        if task is not None and task.state is T.WAITING and task.backoff_ms:
            draft.change(task, replace(task, backoff_ms=0))
            ended.append(task_id_)
    return [BackoffEnded(entry.index, tuple(ended))] if ended else [ChangedNothing(entry.index)]


def give_up(draft: Draft, entry: Entry, command: GiveUpTasks) -> list[Event]:
    """Only tasks that at least one machine refused, or was too small for: what has not been tried goes on waiting."""
    ended: dict[tuple[JobId, Ending], list[TaskId]] = {}
    for task_id_ in command.tasks:
        task = draft.task(task_id_)
        if task is not None and task.state is T.WAITING and (task.refused_by or task.memory_floor):
            ending = Ending.OWN if task.memory_floor else Ending.NOWHERE
            draft.change(task, replace(task, state=T.FAILED, ending=ending, backoff_ms=0))
            ended.setdefault((job_of(task_id_), ending), []).append(task_id_)
    events: list[Event] = []
    for (job_id, ending), tasks in ended.items():
        spans = spans_of(sorted(index_of(task) for task in tasks))
        events.append(TasksEnded(entry.index, job_id, spans, T.FAILED, ending))
        events += settle(draft, entry, job_id)
    return events or [ChangedNothing(entry.index)]


# -- time, as the coordinator's clock told it --------------------------------------------------------------------------


def age(draft: Draft, entry: Entry, command: AgeQueue) -> list[Event]:
    marks = (*draft.head.age_marks, draft.head.last_job)[-MAX_AGE:]
    draft.head = replace(draft.head, age_marks=marks)
    return [QueueAged(entry.index, draft.head.last_job)]


def decay(draft: Draft, entry: Entry, command: DecayUsage) -> list[Event]:
    if not 0 <= command.keep_ppm <= 1_000_000:
        raise Refused("bad-order", f"keep {command.keep_ppm} per million")
    draft.usage.update({user: used * command.keep_ppm // 1_000_000 for user, used in draft.state.usage.items()})
    return [UsageDecayed(entry.index, command.keep_ppm)]


# -- archive -----------------------------------------------------------------------------------------------------------


def archive(draft: Draft, entry: Entry, command: ArchiveJobs) -> list[Event]:
    """All or nothing: the segment holds exactly these jobs, so exactly these must be ready to go."""
    spans = tidy(command.jobs)
    jobs = [JobId(number) for start, stop in spans for number in _bounded(draft, start, stop)]
    for number in jobs:
        job = draft.job(number)
        if job is None or not job.ended_index or job.attempts:
            raise Refused("not-ended", f"job {number} is not ready to be archived")
        if job.ended_index > command.upto:
            raise Refused("ended-later", f"job {number} ended after its segment was made")
    if not jobs or command.digest in draft.state.segments:
        return [ChangedNothing(entry.index)]
    draft.segments[command.digest] = Segment(command.digest, jobs[0], jobs[-1], len(jobs), command.size)
    draft.gone_jobs += jobs
    return [JobsArchived(entry.index, command.digest, spans)]


def _bounded(draft: Draft, start: int, stop: int) -> range:
    if start < 1 or stop > draft.head.last_job + 1:
        raise Refused("not-ended", f"there are no jobs {start} to {stop - 1}")
    return range(start, stop)


def drop_segments(draft: Draft, entry: Entry, command: DropSegments) -> list[Event]:
    known = tuple(dict.fromkeys(digest for digest in command.digests if digest in draft.state.segments))
    draft.dropped_segments += known
    return [SegmentsDropped(entry.index, known)] if known else [ChangedNothing(entry.index)]


def adopt_segment(draft: Draft, entry: Entry, command: AdoptSegment) -> list[Event]:
    if not (1 <= command.first <= command.last and 1 <= command.jobs <= command.last - command.first + 1):
        raise Refused("bad-order", f"a segment of {command.jobs} jobs from {command.first} to {command.last}")
    if command.digest in draft.state.segments:
        return [ChangedNothing(entry.index)]
    segment = Segment(command.digest, command.first, command.last, command.jobs, command.size)
    draft.segments[command.digest] = segment
    return [SegmentAdopted(entry.index, command.digest, command.jobs)]

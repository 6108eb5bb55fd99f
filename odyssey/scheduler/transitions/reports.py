"""What a machine's report does: end the attempt, learn from it, let the next of its backlog have the room.

Promises: one accepted result per task: a report counts if its attempt is current, or is the task's latest, declared
lost, while the task still waits for its next try; sending it again changes nothing.
Never: believes a report about an attempt that another machine was given.
"""

from odyssey.commands import Entry, Report, ReportAttempts
from odyssey.events import BacklogPromoted, ChangedNothing, Event, ReportIgnored
from odyssey.ids import AttemptId, NodeNumber, job_of
from odyssey.model import Attempt, Health, Job, Learned, Node, Outcome, Task, TaskState, Try
from odyssey.scheduler.draft import Draft, has_room, replace
from odyssey.scheduler.retry import End
from odyssey.scheduler.state import ANY_NODE
from odyssey.scheduler.transitions.base import Refused, end_attempt

_LEARN_OVER = 8  # runs; older ones fade
_HEALTH_GAIN, _HEALTH_LOSS = 32, 8
_LONGEST_RUN_MS = 1 << 40  # what a machine says is believed up to here, so that no sum outgrows 64 bits
_MOST_USED = 1 << 62


def report(draft: Draft, entry: Entry, command: ReportAttempts) -> list[Event]:
    node = draft.node(command.node)
    if node is None:
        raise Refused("no-such-machine", f"machine {command.node} is not a member")
    events: list[Event] = []
    for one in command.reports:
        events += _report_one(draft, entry, node, one)
    events += promote(draft, entry, node.number)
    if node.removed and not draft.use(node.number).slots and not draft.use(node.number).backlog:
        draft.dropped_nodes.append(node.number)
    return events or [ChangedNothing(entry.index)]


def _report_one(draft: Draft, entry: Entry, node: Node, one: Report) -> list[Event]:
    task = draft.task(one.task)
    job = draft.job(job_of(one.task))
    if task is None or job is None:
        return [ReportIgnored(entry.index, one.attempt, one.task, node.number)]
    for attempt in task.attempts:
        if attempt.id == one.attempt and attempt.node == node.number:
            _learn(draft, job, node, one)
            end = End(attempt, one.outcome, one.code, None, node.total.memory)
            return end_attempt(draft, entry, task, end, _try(one, attempt))
    return _late(draft, entry, node, job, task, one)


def _late(draft: Draft, entry: Entry, node: Node, job: Job, task: Task, one: Report) -> list[Event]:
    """Declared lost, but its machine is back before the next try began: what it did is the result after all."""
    last = task.tries[-1] if task.tries else None
    counts = (
        last is not None
        and last.attempt == one.attempt
        and last.node == node.number
        and last.outcome is Outcome.LOST
        and task.state is TaskState.WAITING
        and one.outcome is not Outcome.LOST
    )
    if last is None or not counts:
        return [ReportIgnored(entry.index, one.attempt, one.task, node.number)]
    _learn(draft, job, node, one)
    attempt = Attempt(last.attempt, last.node, last.assigned_ms, slot=False, score=last.score, why=last.why)
    before = replace(task, tries=task.tries[:-1], tries_total=task.tries_total - 1, backoff_ms=0)
    end = End(attempt, one.outcome, one.code, None, node.total.memory)
    return end_attempt(draft, entry, before, end, _try(one, attempt))


def _try(one: Report, attempt: Attempt) -> Try:
    return Try(
        one.attempt,
        attempt.node,
        one.outcome,
        one.code,
        attempt.assigned_ms,
        one.started_ms,
        one.ended_ms,
        one.run_ms,
        one.cpu_ms,
        one.peak_memory,
        one.leaked,
        attempt.score,
        attempt.why,
    )


# -- learning ----------------------------------------------------------------------------------------------------------


def _learn(draft: Draft, job: Job, node: Node, one: Report) -> None:
    spec = job.spec
    run_ms = min(max(0, one.run_ms), _LONGEST_RUN_MS)
    used = draft.usage.get(spec.user, draft.state.usage.get(spec.user, 0))
    draft.usage[spec.user] = min(used + run_ms * spec.want.need.cpu_milli // 1000, _MOST_USED)
    if one.outcome in _TELLS:
        note_end(draft, node.number, broke=False)
    if one.outcome is Outcome.EXITED and one.code == 0 and spec.want.key:
        _learn_time(draft, spec.want.key, node.number, max(1, run_ms))
        _learn_time(draft, spec.want.key, ANY_NODE, max(1, run_ms * node.speed // 1000))


_TELLS = frozenset({Outcome.EXITED, Outcome.SIGNALLED, Outcome.TIMEOUT, Outcome.OOM})


def _learn_time(draft: Draft, key: str, node: NodeNumber, run_ms: int) -> None:
    known = draft.learned.get((key, node)) or draft.state.learned.get((key, node))
    if known is None:
        draft.learned[key, node] = Learned(1, run_ms)
        return
    weight = min(known.count + 1, _LEARN_OVER)
    draft.learned[key, node] = Learned(known.count + 1, known.mean_ms + (run_ms - known.mean_ms) // weight)


def note_end(draft: Draft, node: NodeNumber, broke: bool) -> None:
    """A moving average that forgives slowly and takes offence quickly."""
    known = draft.health.get(node) or draft.state.health.get(node) or Health()
    if broke:
        reliability = known.reliability - known.reliability // _HEALTH_LOSS
    else:
        reliability = known.reliability + (1000 - known.reliability + _HEALTH_GAIN - 1) // _HEALTH_GAIN
    draft.health[node] = Health(reliability, known.ended + (not broke), known.broke + broke)


# -- backlog -----------------------------------------------------------------------------------------------------------


def promote(draft: Draft, entry: Entry, number: NodeNumber) -> list[Event]:
    """Room was freed: the machine takes the next of its backlog, in order, as long as the next one fits. It does so by
    itself, by this same rule; here the books follow."""
    events: list[Event] = []
    node = draft.node(number)
    while node is not None and (use := draft.use(number)).backlog:
        attempt_id = use.backlog[0]
        task = _holder(draft, number, attempt_id)
        job = draft.job(job_of(task.id))
        assert job is not None
        if not has_room(use, job.spec.want.need, node.total):
            break
        attempts = tuple(replace(a, slot=True) if a.id == attempt_id else a for a in task.attempts)
        draft.change(task, replace(task, attempts=attempts))
        events.append(BacklogPromoted(entry.index, attempt_id, task.id, number))
    return events


def _holder(draft: Draft, node: NodeNumber, attempt: AttemptId) -> Task:
    """The task of a backlog attempt: given earlier, or in this very entry."""
    known = draft.state.held.get(node, {}).get(attempt)
    if known is not None:
        return draft.tasks.get(known) or draft.state.tasks[known]
    return next(task for task in draft.tasks.values() if any(a.id == attempt for a in task.attempts))

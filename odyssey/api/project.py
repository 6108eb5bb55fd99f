"""The state, and what machines tell, as views. Pure: what is not in either is None.

That a task runs is told by its machine; the log only knows which machine has it.

Promises: total over every state that can exist; the numbers of one view are of one moment.
Never: guesses what a machine that is not heard does.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from odyssey.api import views as v
from odyssey.api.tally import Tally
from odyssey.ids import AttemptId, JobId, NodeNumber, TaskId, index_of, job_of, task_id
from odyssey.messages import Here
from odyssey.model import Attempt, Ending, Job, JobState, Node, Outcome, Task, TaskState, Try, array_index, job_state
from odyssey.resources import show_cpus
from odyssey.scheduler import say
from odyssey.scheduler.snapshot import Seen
from odyssey.scheduler.state import State
from odyssey.spec import JobSpec

T = TaskState
SIGNALS: Final = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ",
}  # fmt: skip
_LONGEST_COMMAND: Final = 200


class Body(NamedTuple):
    """An attempt as its machine tells of it now: it has begun, and has not ended."""

    task: TaskId
    elapsed_ms: int
    is_frozen: bool


class Records(NamedTuple):
    """Jobs and their tasks, of the state or of history, and what their machines are called."""

    jobs: Mapping[JobId, Job]
    tasks: Mapping[TaskId, Task]
    name: Callable[[NodeNumber], str]


def records_of(state: State) -> Records:
    return Records(state.jobs, state.tasks, names_of(state))


class Observed(NamedTuple):
    """What is known of all attempts that run."""

    bodies: Mapping[AttemptId, Body]
    told_by: frozenset[NodeNumber]  # machines that have told; of others nothing is known
    wall_ms: int


def observed(
    state: State, me: NodeNumber | None, here: Mapping[AttemptId, Here], seen: Mapping[NodeNumber, Seen], wall_ms: int
) -> Observed:
    """This machine's own hands know best; of the others the coordinator has heard."""
    bodies = {
        attempt: Body(one.task, one.elapsed_ms, one.frozen_at_ms is not None)
        for attempt, one in here.items()
        if one.started and not one.ended
    }
    for number, told in seen.items():
        held = state.held.get(number, {}) if number != me else {}
        for attempt, elapsed_ms in told.elapsed_ms.items():
            if attempt in held:
                bodies[attempt] = Body(held[attempt], elapsed_ms, is_frozen=False)
    told_by = frozenset(seen) | ({me} if me is not None else set())
    return Observed(bodies, told_by, wall_ms)


NOTHING_SEEN: Final = Observed({}, frozenset(), 0)


class Going(NamedTuple):
    """Of one job: how many tasks run, and since when the first of them."""

    running: int
    started_ms: int | None


def going(told: Observed) -> dict[JobId, Going]:
    found: dict[JobId, Going] = {}
    for body in told.bodies.values():
        job, began = job_of(body.task), told.wall_ms - body.elapsed_ms
        known = found.get(job)
        if known is None:
            found[job] = Going(1, began)
        else:
            found[job] = Going(known.running + 1, min(began, known.started_ms or began))
    return found


def spread(state: State, job: JobId) -> tuple[tuple[str, int], ...]:
    """With which machines tasks of the job are now."""
    name = names_of(state)
    found = ((number, sum(job_of(task) == job for task in held.values())) for number, held in state.held.items())
    return tuple((name(number), count) for number, count in sorted(found) if count)


def percent_used(free: int | None, total: int) -> float | None:
    if free is None or not total:
        return None
    return round(100 * (1 - min(free, total) / total), 1)


# -- jobs --------------------------------------------------------------------------------------------------------------


def names_of(state: State) -> Callable[[NodeNumber], str]:
    """One that has left the mesh is known by its number."""

    def name(number: NodeNumber) -> str:
        node = state.nodes.get(number)
        return node.name if node is not None else f"machine {number}"

    return name


def counts(job: Job, running: int) -> v.Counts:
    n = job.counts
    with_a_machine = n[T.ASSIGNED] + n[T.CANCELLING]
    running = min(running, with_a_machine)
    return v.Counts(
        sum(n), n[T.WAITING] + with_a_machine - running, running, n[T.DONE], n[T.FAILED], n[T.CANCELLED], n[T.SKIPPED]
    )


def job_view(
    job: Job, tally: Tally, failed: Task | None, name: Callable[[NodeNumber], str], now: Going | None = None
) -> v.JobView:
    """`failed` is the record of the first task that failed, if there is one."""
    state = job_state(job)
    started = [at for at in (tally.started_ms, now.started_ms if now is not None else None) if at]
    end = ending(failed) if failed is not None else None
    return v.JobView(
        job.id,
        job.spec.name,
        job.user,
        v.JOB_STATES[state],
        counts(job, now.running if now is not None else 0),
        name(next(iter(tally.nodes))) if len(tally.nodes) == 1 else None,
        tally.ended_tries + job.attempts,
        0 if state is JobState.DONE else end.exit_code if end is not None else None,
        _why(job, state, end),
        job.submitted_ms,
        min(started) if started else None,
        job.ended_ms or None,
        command(job.spec),
        job.priority,
        job.held,
        job.spec.tags,
        _exit_status(state, end),
    )


def _why(job: Job, state: JobState, end: "End | None") -> str | None:
    match state:
        case JobState.WAITING if job.held:
            return say.HELD
        case JobState.WAITING if job.blockers:
            return say.waits_for(job.blockers)
        case JobState.FAILED:
            return end.reason if end is not None else "failed"
        case JobState.CANCELLED:
            return "cancelled"
        case JobState.SKIPPED:
            return _skipped(job)
    return None


def _skipped(job: Job) -> str:
    return f"job {job.blamed} did not succeed" if job.blamed else "a job it waited for did not succeed"


def _exit_status(state: JobState, end: "End | None") -> int | None:
    match state:
        case JobState.WAITING | JobState.RUNNING:
            return None
        case JobState.DONE:
            return 0
        case JobState.FAILED:
            return end.exit_status if end is not None else 1
        case JobState.CANCELLED:
            return INTERRUPTED
    return OURS


def command(spec: JobSpec) -> str:
    """For one line: what cannot be shown is escaped, what is long is cut."""
    words = b" ".join(spec.argv[:50])[: _LONGEST_COMMAND + 1].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    return shown if len(shown) <= _LONGEST_COMMAND else shown[: _LONGEST_COMMAND - 1] + "…"


def failed_task(records: Records, job: Job, tally: Tally) -> Task | None:
    if tally.first_failed is None:
        return None
    return records.tasks.get(task_id(job.id, tally.first_failed))


def state_in(job: Job, index: int) -> TaskState:
    """Of a task that is only a number in a run."""
    return next((run.state for run in job.runs if run.start <= index < run.stop), T.WAITING)


# -- ends --------------------------------------------------------------------------------------------------------------

TIMED_OUT: Final = 124
OURS: Final = 125
NOT_FOUND: Final = 127
OUT_OF_MEMORY: Final = 128 + 9
INTERRUPTED: Final = 130


class End(NamedTuple):
    """How a task ended, as people and shells take it."""

    exit_status: int
    exit_code: int | None = None
    signal: int | None = None
    outcome: Outcome | None = None
    reason: str | None = None


def ending(task: Task) -> End:
    last = task.tries[-1] if task.tries else None
    match task.state, task.ending:
        case T.CANCELLED, _:
            return End(INTERRUPTED, reason="cancelled")
        case T.SKIPPED, _:
            return End(OURS, reason="a job it waited for did not succeed")
        case _, Ending.NOWHERE:
            return End(NOT_FOUND, outcome=Outcome.NOT_HERE, reason="no machine can run it")
        case _, Ending.POISON:
            return End(OURS, outcome=Outcome.LOST, reason=f"{task.deaths} machines went down under it")
        case _, Ending.ONCE:
            return End(OURS, outcome=Outcome.LOST, reason="its machine was lost, and it must not run twice")
    return told(last) if last is not None else End(1)


def told(last: Try) -> End:
    match last.outcome:
        case Outcome.EXITED:
            return End(last.code, last.code, None, last.outcome, f"exit {last.code}" if last.code else None)
        case Outcome.SIGNALLED:
            text = f"killed by {SIGNALS.get(last.code, f'signal {last.code}')}"
            return End(128 + last.code, None, last.code, last.outcome, text)
        case Outcome.TIMEOUT:
            return End(TIMED_OUT, None, None, last.outcome, "over its time limit")
        case Outcome.OOM:
            return End(OUT_OF_MEMORY, None, None, last.outcome, "out of memory")
        case Outcome.NOT_HERE:
            return End(NOT_FOUND, None, None, last.outcome, "could not be started there")
        case Outcome.CANCELLED:
            return End(INTERRUPTED, None, None, last.outcome, "stopped")
        case Outcome.EVICTED:
            return End(OURS, None, None, last.outcome, "made way for the machine's owner")
        case Outcome.REJECTED:
            return End(OURS, None, None, last.outcome, "taken back before it began")
    return End(OURS, None, None, last.outcome, "its machine was lost")


# -- tasks -------------------------------------------------------------------------------------------------------------


class Context(NamedTuple):
    """What tasks are shown with."""

    name: Callable[[NodeNumber], str]
    told: Observed
    note: Callable[[AttemptId], str | None]  # what the machine said of an attempt's end


def task_view(job: Job, task: Task, context: Context) -> v.TaskView:
    tries = [_past(one, context) for one in task.tries] + [_current(one, task, context) for one in task.attempts]
    is_over = task.state in (T.DONE, T.FAILED)
    end = ending(task) if is_over or task.state in (T.CANCELLED, T.SKIPPED) else None
    running = any(one.id in context.told.bodies for one in task.attempts)
    return v.TaskView(
        index_of(task.id),
        "running" if running and task.state is T.ASSIGNED else task.state.name.lower(),
        end.exit_code if end is not None else None,
        tuple(tries),
        task.tries_total + len(task.attempts),
        array_index(job.spec, index_of(task.id)),
        end.reason if end is not None else None,
    )


def untouched_view(job: Job, index: int, state: TaskState) -> v.TaskView:
    """A task that is only a number in a run."""
    reason = {T.CANCELLED: "cancelled", T.SKIPPED: _skipped(job)}.get(state)
    return v.TaskView(index, state.name.lower(), None, (), 0, array_index(job.spec, index), reason)


def _past(one: Try, context: Context) -> v.TryView:
    end = told(one)
    return v.TryView(
        one.attempt,
        context.name(one.node),
        "ended",
        v.OUTCOMES[one.outcome],
        end.exit_code,
        end.signal,
        context.note(one.attempt) or end.reason,
        one.assigned_ms,
        one.started_ms or None,
        one.ended_ms or None,
        one.cpu_ms if one.started_ms else None,
        one.peak_memory or None,
        one.leaked,
    )


def _current(one: Attempt, task: Task, context: Context) -> v.TryView:
    body = context.told.bodies.get(one.id)
    stopping = one.stopping or task.state is T.CANCELLING
    state = "cancelling" if stopping else "running" if body is not None else "assigned"
    began = context.told.wall_ms - body.elapsed_ms if body is not None else None
    return v.TryView(
        one.id, context.name(one.node), state, None, None, None, None, one.assigned_ms, began, None,
        is_frozen=body is not None and body.is_frozen,
    )  # fmt: skip


def spec_view(job: Job, nodes: Iterable[Node]) -> v.SpecView:
    spec, want = job.spec, job.spec.want
    strict, others = job.parents[: job.strict], job.parents[job.strict :]
    return v.SpecView(
        spec.argv,
        spec.cwd,
        tuple((name, None if name in spec.hidden else value) for name, value in spec.env),
        show_cpus(want.need.cpu_milli),
        want.need.memory,
        spec.memory_is_limit,
        want.need.gpus,
        want.gpu_memory,
        want.need.disk,
        want.needs,
        want.os,
        want.arch,
        want.on,
        want.avoid,
        spec.count,
        spec.start,
        spec.step,
        spec.priority,
        spec.retries,
        spec.retry_on,
        spec.timeout_ms,
        spec.once,
        strict,
        others,
        bool(spec.stdin),
        bool(spec.items),
        next((node.name for node in nodes if node.id == spec.origin), None),
        spec.terminal != (0, 0),
    )

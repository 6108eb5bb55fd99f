"""The state machine: commands a second with a hundred thousand live tasks in the state.

Three kinds carry the traffic of a mesh: a submit, an assignment, a report. Each alone, in turns as they come, in
batches as a busy coordinator sends them; and the time of one call for one entry, as a quiet mesh sees it.

Promises: every entry is made before the clock starts and is really carried out; none is refused.
Never: measures decoding: that is `replay`'s and `wire`'s.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from statistics import quantiles
from typing import Final

import msgspec

from bench.builders import FENCE, WALL_MS, WHY, Mesh, client, entry, report, spec, want
from bench.harness import MS, US, Effort, Figure, Result, Samples, bench, cost, now, paired, rate, timed
from bench.live import BATCH, LIVE, MACHINES, SPEC, Writer, live_mesh
from odyssey.commands import CancelTasks, Command, Entry, LoseAttempts, ReportAttempts
from odyssey.events import AssignmentDropped, CommandFailed, CommandRefused, Event, ReportIgnored
from odyssey.ids import JobId, NodeNumber, TaskId, attempt_id
from odyssey.model import Attempt, Cause, Health, Job, Learned, Outcome, Run, Task, TaskState, Try, Use
from odyssey.scheduler.apply import apply
from odyssey.scheduler.state import Submitted

TARGET: Final = 30_000.0
ONE_TARGET_US: Final = 100.0
RAW_IS: Final = "the same records made and put into dicts"
REFUSALS: Final = (CommandFailed, CommandRefused, AssignmentDropped, ReportIgnored)


def raw_phases(count: int) -> dict[str, Callable[[], float]]:
    """The records that each kind makes, and nothing else. Measured over one table each."""
    jobs: dict[int, Job] = {}
    tasks: dict[int, Task] = {}
    clients: dict[bytes, Submitted] = {}
    uses: dict[int, Use] = {}
    ids = [client(at) for at in range(count)]

    def submit() -> None:
        for at in range(count):
            clients[ids[at]] = Submitted(at, JobId(at), 1)
            jobs[at] = Job(JobId(at), SPEC, ids[at], WALL_MS, (Run(0, 1),), (1, 0, 0, 0, 0, 0, 0))

    def assign() -> None:
        for at in range(count):
            attempt = Attempt(attempt_id(1, at, 0), NodeNumber(7), WALL_MS, True, score=90_000, why=WHY)
            tasks[at] = Task(TaskId(at), TaskState.ASSIGNED, (attempt,))
            uses[at % MACHINES] = Use(1000, 1 << 30, 0, 0, 1)
            jobs[at] = Job(JobId(at), SPEC, ids[at], WALL_MS, (), (0, 1, 0, 0, 0, 0, 0), attempts=1)

    def report_() -> None:
        learned: dict[int, Learned] = {}
        health: dict[int, Health] = {}
        for at in range(count):
            ended = Try(
                attempt_id(1, at, 0), NodeNumber(7), Outcome.EXITED, 0, at, at, at, at, at, at, False, 90_000, WHY
            )
            tasks[at] = Task(TaskId(at), TaskState.DONE, (), (ended,), 1)
            uses[at % MACHINES] = Use()
            learned[at % MACHINES] = Learned(at, at)
            health[at % MACHINES] = Health(1000, at)
            jobs[at] = Job(JobId(at), SPEC, ids[at], WALL_MS, (), (0, 0, 0, 1, 0, 0, 0), ended_index=at)

    return {"submit": partial(timed, submit), "assign": partial(timed, assign), "report": partial(timed, report_)}


def applied(mesh: Mesh, entries: Iterable[Entry]) -> float:
    events: list[Event] = []

    def work() -> None:
        events.extend(apply(mesh.state, entries)[1])

    passed = timed(work)
    assert not any(isinstance(one, REFUSALS) for one in events)
    return passed


# -- each kind alone ---------------------------------------------------------------------------------------------------


@bench("apply.kinds")
def kinds(effort: Effort) -> Iterator[Result]:
    live, count = effort.size(LIVE), effort.size(30_000)
    mesh = live_mesh(live)
    for each, unit in ((1, "cmd/s"), (BATCH, "task/s")):
        samples = {kind: Samples([], []) for kind in ("submit", "assign", "report")}
        raw = raw_phases(count)
        for _ in range(effort.repeats(5)):
            for kind, entries in Writer(mesh).phases(count, each).items():
                samples[kind].raw.append(raw[kind]())
                samples[kind].real.append(applied(mesh, entries))
        for kind, measured in samples.items():
            name = f"apply: {kind} of {each}, {live:,} tasks live"
            yield rate(name, unit, measured, count, RAW_IS, TARGET)


# -- as they come ------------------------------------------------------------------------------------------------------


@bench("apply.mix")
def mix(effort: Effort) -> Iterator[Result]:
    live, count = effort.size(LIVE), effort.size(30_000)
    mesh = live_mesh(live)
    raw = raw_phases(count // 3)
    samples = paired(
        lambda: applied(mesh, Writer(mesh).mix(count)), lambda: sum(one() for one in raw.values()), effort.repeats(5)
    )
    made = len(Writer(mesh).mix(count))
    yield rate(f"apply: mix of single commands, {live:,} tasks live", "cmd/s", samples, made, RAW_IS, TARGET)


@bench("apply.single")
def single(effort: Effort) -> Iterator[Result]:
    """One entry a call, as a quiet mesh applies it: the middle and the slowest of a hundred."""
    live, count = effort.size(LIVE), effort.size(15_000)
    mesh = live_mesh(live)
    raw = raw_phases(count // 3)
    middle, slow = Samples([], []), Samples([], [])
    for _ in range(effort.repeats(5)):
        entries = Writer(mesh).mix(count)
        bare = sum(one() for one in raw.values()) / count
        times = sorted(_one_by_one(mesh, entries))
        cuts = quantiles(times, n=100)
        for samples, cut in ((middle, cuts[49]), (slow, cuts[98])):
            samples.real.append(cut)
            samples.raw.append(bare)
    yield _single(f"apply: one entry a call, median of {count:,}, {live:,} tasks live", middle, ONE_TARGET_US)
    yield _single(f"apply: one entry a call, 99th of 100, {live:,} tasks live", slow, None)


def _one_by_one(mesh: Mesh, entries: list[Entry]) -> Iterator[float]:
    for one in entries:
        begin = now()
        apply(mesh.state, [one])
        yield now() - begin


def _single(name: str, samples: Samples, target: float | None) -> Figure:
    return cost(name, "us", samples, US, RAW_IS, target)


# -- one entry with a long tail ----------------------------------------------------------------------------------------


@bench("apply.large")
def large(effort: Effort) -> Iterator[Result]:
    """Single commands that touch many records: the log stands still meanwhile."""
    count = effort.size(10_000)
    jobs = {at: Job(JobId(at), SPEC, client(at), WALL_MS, (Run(0, 1),), (1, 0, 0, 0, 0, 0, 0)) for at in range(count)}

    def raw() -> float:
        made: dict[int, Job] = {}
        return timed(lambda: made.update((at, msgspec.structs.replace(job, held=True)) for at, job in jobs.items()))

    for name, prepare in (
        (f"end of a job that {count:,} jobs wait for", _awaited),
        (f"cancel of the first of {count:,} jobs in a chain", _chain),
        (f"cancel of an array of {count:,} that once ran", _once_ran),
    ):
        samples = paired(lambda make=prepare: _large(*make(count)), raw, effort.repeats(5))  # type: ignore[misc]
        yield cost(f"apply: {name}", "ms", samples, MS, f"{count:,} records made and put into a dict")


def _large(mesh: Mesh, command: Command) -> float:
    return applied(mesh, [entry(mesh.state.head.index + 1, command)])


def _awaited(count: int) -> tuple[Mesh, Command]:
    mesh = Mesh()
    mesh.machines(1)
    parent = mesh.submit(SPEC)
    for _ in range(count // BATCH):
        mesh.submit(*(spec(0, after=(parent,)) for _ in range(BATCH)))
    mesh.assign(parent, 0, 1, 1)
    ((node, attempt, task),) = mesh.running()
    return mesh, ReportAttempts(node, (report(attempt, task),))


def _chain(count: int) -> tuple[Mesh, Command]:
    mesh = Mesh()
    last = first = mesh.submit(SPEC)
    for _ in range(count // BATCH):
        mesh.submit(spec(0, after=(last,)), *(spec(0, after_here=(at,)) for at in range(BATCH - 1)))
        last = mesh.state.head.last_job
    return mesh, CancelTasks(first)


def _once_ran(count: int) -> tuple[Mesh, Command]:
    """Every task was tried and its machine went down: each has a record of its own."""
    mesh = Mesh()
    mesh.machines(1, cpus=(count,))
    job = mesh.submit(spec(0, want(), count=count))
    for start in range(0, count, BATCH):
        mesh.assign(job, start, start + BATCH, 1)
        held = tuple((attempt, task) for _, attempt, task in mesh.running())
        mesh.do(LoseAttempts(FENCE, Cause.MASS, held))
    return mesh, CancelTasks(job)

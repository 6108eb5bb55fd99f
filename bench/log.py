"""How many bytes of log a finished task leaves: what replicas send each other and keep.

Counted are the encoded entries of its submit, its assignment with the decision record, and its report. The assignments
are those the planner makes: many at once when many machines are free, one by one when each task that ends makes room
for the next.

Promises: real plans, real orders, the entries as they are sent.
Never: counts the frames and hashes that the log's file adds.
"""

from collections.abc import Callable, Iterator
from typing import Final

from bench.builders import Mesh, spec, want
from bench.harness import Effort, Figure, Result, bench, size
from odyssey import wire
from odyssey.commands import AssignTasks, Entry, RecallAttempts, Report, ReportAttempts, SubmitJobs
from odyssey.ids import AttemptId, NodeNumber, TaskId
from odyssey.model import Attempt, Outcome
from odyssey.scheduler.board import Board
from odyssey.scheduler.plan import plan
from odyssey.spec import JobSpec

TARGET: Final = 600.0
RAW_IS: Final = "the same facts without envelope, decision, defaults"
SLOTS: Final = 100


@bench("log.bytes")
def log_bytes(effort: Effort) -> Iterator[Result]:
    count = effort.size(10_000)
    for name, submit, at_once in (
        (f"array of {count:,}, many at once", _array, SLOTS),
        (f"array of {count:,}, one by one", _array, 1),
        ("single jobs, many at once", _singles, SLOTS),
        ("single jobs, one by one", _singles, 1),
    ):
        mesh = _mesh()
        submit(mesh, count)
        _work_off(mesh, at_once)
        yield _figure(name, mesh, count)
    mesh, board = _mesh(), Board()
    for _ in range(count):
        _singles(mesh, 1)
        mesh.carry_out(plan(mesh.snapshot(), board))
        mesh.finish(mesh.running())
    yield _figure("single jobs, each alone on an idle mesh", mesh, count)


def _mesh() -> Mesh:
    mesh = Mesh()
    mesh.machines(SLOTS // 5, cpus=(5,))
    mesh.keep = True
    return mesh


def _figure(name: str, mesh: Mesh, count: int) -> Figure:
    shares = _shares(mesh.log, count)
    raw = sum(map(_bare, mesh.log)) / count
    note = ", ".join(f"{kind} {share:.0f}" for kind, share in shares.items() if share >= 0.5)
    return size(f"log per finished task, {name}", sum(shares.values()), raw, RAW_IS, TARGET, note)


def _array(mesh: Mesh, count: int) -> None:
    mesh.submit(spec(0, want(key="render"), count=count))


def _singles(mesh: Mesh, count: int) -> None:
    """Each by a submit of its own, as a loop in a shell makes them."""
    for number in range(count):
        words = (b"./render", b"--frame", str(number).encode())
        mesh.submit(spec(0, want(key="render"), argv=words, name=f"frame-{number}"))


def _work_off(mesh: Mesh, at_once: int) -> None:
    """All slots are busy; so many tasks end, each told of by its machine; so many begin."""
    board = Board()
    while True:
        mesh.carry_out(plan(mesh.snapshot(), board))
        for node, attempt, task in _held(mesh, lambda one: one.recalled):
            mesh.do(ReportAttempts(node, (Report(attempt, task, Outcome.REJECTED),)))
        held = _held(mesh, lambda one: one.slot)
        if not held:
            return
        mesh.finish(sorted(held, key=lambda one: one[1])[:at_once])


def _held(mesh: Mesh, wanted: Callable[[Attempt], bool]) -> list[tuple[NodeNumber, AttemptId, TaskId]]:
    tasks = mesh.state.tasks
    return [one for one in mesh.running() if any(mine.id == one[1] and wanted(mine) for mine in tasks[one[2]].attempts)]


def _shares(entries: list[Entry], count: int) -> dict[str, float]:
    shares: dict[str, float] = {}
    for one in entries:
        kind = _WORDS[type(one.command)]
        shares[kind] = shares.get(kind, 0.0) + len(wire.encode_log(one)) / count
    return shares


_WORDS: Final[dict[type, str]] = {
    SubmitJobs: "submit",
    AssignTasks: "assign",
    ReportAttempts: "report",
    RecallAttempts: "recall",
}


# -- the least that says the same --------------------------------------------------------------------------------------


def _bare(one: Entry) -> int:
    match one.command:
        case SubmitJobs(client=client, specs=specs):
            return len(wire.encode((client, [_bare_spec(spec) for spec in specs])))
        case AssignTasks(batches=batches):
            return len(wire.encode([(batch.node, batch.job, batch.spans) for batch in batches]))
        case ReportAttempts(reports=reports):
            return len(wire.encode([_bare_report(told) for told in reports]))
        case _:
            return 0


def _bare_spec(spec: JobSpec) -> object:
    return (spec.user, spec.argv, spec.name, spec.cwd, spec.env, spec.want.need, spec.want.key, spec.count)


def _bare_report(told: Report) -> object:
    return (told.attempt, told.task, told.outcome, told.ended_ms, told.run_ms, told.cpu_ms, told.peak_memory)

"""Short words for long records: jobs, machines and whole states as tests need them.

Promises: what is not said has a plain default; every state is made by the real `apply`, so it is one that can exist.
Never: reaches into the state behind `apply`'s back.
"""

from collections.abc import Iterable
from typing import Any

from odyssey.commands import (
    AdmitNode,
    AssignTasks,
    Batch,
    Command,
    Entry,
    Facts,
    Fence,
    Report,
    ReportAttempts,
    SubmitJobs,
)
from odyssey.events import Event
from odyssey.ids import AttemptId, ClientId, JobId, NodeId, NodeNumber, TaskId, UserId, job_of, task_id
from odyssey.model import Job, Node, Outcome, Task
from odyssey.resources import Resources
from odyssey.scheduler.apply import apply
from odyssey.scheduler.plan import Plan, orders
from odyssey.scheduler.snapshot import Seen, Snapshot
from odyssey.scheduler.state import State
from odyssey.spec import JobSpec, Want

GIB = 1 << 30
FENCE = Fence(1, 1)
ANNA, BEN = UserId("anna"), UserId("ben")


def need(cpus: float | str = 1, memory: int = GIB // 2, gpus: int = 0, disk: int = 0) -> Resources:
    return Resources(round(float(cpus) * 1000), memory, gpus, disk)


def a_spec(user: str = "anna", cpus: float = 1, memory: int = GIB // 2, gpus: int = 0, **fields: Any) -> JobSpec:
    want_fields = {name: fields.pop(name) for name in Want.__struct_fields__ if name in fields}
    want = Want(need(cpus, memory, gpus), **want_fields)
    return JobSpec(UserId(user), fields.pop("argv", (b"true",)), want, **fields)


class Mesh:
    """A state with its log: each call appends one entry and applies it."""

    def __init__(self, generation: int = 1, term: int = 1) -> None:
        self.state = State()
        self.generation, self.term = generation, term
        self.entries: list[Entry] = []
        self.events: list[Event] = []
        self._clients = 0

    @property
    def fence(self) -> Fence:
        return Fence(self.generation, self.term)

    def do(self, command: Command) -> list[Event]:
        entry = Entry(self.generation, self.term, self.state.head.index + 1, 1_000_000, command)  # type: ignore[arg-type]
        self.entries.append(entry)
        self.state, events = apply(self.state, [entry])
        self.events += events
        return events

    # -- machines ------------------------------------------------------------------------------------------------------

    def machine(
        self, name: str = "", owner: str = "anna", cpus: float = 4, memory: int = 8 * GIB, gpus: int = 0, **facts: Any
    ) -> NodeNumber:
        number = self.state.head.last_node + 1
        facts.setdefault("total", Resources(round(cpus * 1000), memory, gpus, 100 * GIB))
        self.do(AdmitNode(NodeId(f"node-{number:021d}"), name or f"pc-{number}", UserId(owner), Facts(**facts)))
        return NodeNumber(number)

    def machines(self, count: int, **fields: Any) -> list[NodeNumber]:
        return [self.machine(**fields) for _ in range(count)]

    def node(self, number: int) -> Node:
        return self.state.nodes[NodeNumber(number)]

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def client(self) -> ClientId:
        self._clients += 1
        return ClientId(self._clients.to_bytes(16, "big"))

    def submit(self, *specs: JobSpec, **fields: Any) -> JobId:
        """The number of the first job; without a spec, one made of the fields."""
        before = self.state.head.last_job
        self.do(SubmitJobs(self.client(), self.state.head.index, specs or (a_spec(**fields),)))
        return JobId(before + 1)

    def job(self, job: int) -> Job:
        return self.state.jobs[JobId(job)]

    def task(self, job: int, index: int = 0) -> Task:
        return self.state.tasks[task_id(job, index)]

    # -- work ----------------------------------------------------------------------------------------------------------

    def assign(self, job: int, node: int, *indices: int, slot: bool = True, why: bytes = b"") -> list[Event]:
        spans = tuple((index, index + 1) for index in indices or (0,))
        return self.do(AssignTasks(self.fence, (Batch(NodeNumber(node), JobId(job), spans, slot),), (why,)))

    def attempt(self, job: int, index: int = 0, which: int = 0) -> AttemptId:
        return self.task(job, index).attempts[which].id

    def report(
        self, job: int, index: int = 0, outcome: Outcome = Outcome.EXITED, code: int = 0, **fields: Any
    ) -> list[Event]:
        """The machine that holds the task's first attempt tells how it ended."""
        attempt = self.task(job, index).attempts[0]
        one = Report(attempt.id, task_id(job, index), outcome, code, **fields)
        return self.do(ReportAttempts(attempt.node, (one,)))

    # -- planning ------------------------------------------------------------------------------------------------------

    def snapshot(self, seen: dict[NodeNumber, Seen] | None = None) -> Snapshot:
        """Every machine is up and silent about the rest, unless `seen` says otherwise."""
        return Snapshot(self.state, {**{number: Seen() for number in self.state.nodes}, **(seen or {})})

    def carry_out(self, plan: Plan) -> list[Event]:
        return [event for command in orders(plan, self.fence) for event in self.do(command)]

    def running(self) -> list[tuple[NodeNumber, AttemptId, TaskId]]:
        return [
            (node, attempt, task)
            for node, held in sorted(self.state.held.items())
            for attempt, task in sorted(held.items())
        ]

    def finish_all(self, outcome: Outcome = Outcome.EXITED, code: int = 0, run_ms: int = 1000) -> None:
        for node, attempt, task in self.running():
            if any(one.id == attempt for one in self.state.tasks[task].attempts):
                self.do(ReportAttempts(node, (Report(attempt, task, outcome, code, run_ms=run_ms),)))


def where(state: State, job: int) -> dict[int, NodeNumber]:
    """Index → machine, for every task of the job that is with one."""
    return {
        task.id & ((1 << 20) - 1): task.attempts[0].node
        for task in state.tasks.values()
        if job_of(task.id) == job and task.attempts
    }


def kinds(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]

"""Meshes and jobs to measure with: machines of many kinds, jobs as people write them, all from fixed numbers.

Promises: every state is made by the real `apply`; the same call makes the same state on every machine.
Never: uses a test's builders: those serve clearness, these have to be quick.
"""

from collections.abc import Iterable
from typing import Final

from odyssey.commands import (
    AdmitNode,
    AnyCommand,
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
from odyssey.events import CommandFailed, CommandRefused, Event
from odyssey.ids import AttemptId, ClientId, JobId, NodeId, NodeNumber, TaskId, UserId, task_id
from odyssey.model import Outcome
from odyssey.resources import Resources
from odyssey.scheduler import decision
from odyssey.scheduler.apply import apply
from odyssey.scheduler.decision import Weighed
from odyssey.scheduler.feasible import Code
from odyssey.scheduler.plan import Plan, orders
from odyssey.scheduler.snapshot import OwnerState, Seen, Snapshot
from odyssey.scheduler.state import State
from odyssey.spec import JobSpec, Want

GIB: Final = 1 << 30
MIB: Final = 1 << 20
FENCE: Final = Fence(1, 1)
WALL_MS: Final = 1_750_000_000_000  # a time as it stands in a real log
CPUS: Final = (4, 4, 8, 4, 16, 8, 4, 12)  # of the machines, by turns
SPEEDS: Final = (1000, 850, 1400, 700, 1900, 1200, 600, 1600)
WHY: Final = decision.encode(
    "weighted",
    [
        Weighed(NodeNumber(40 * at), {"room": 17_000 - at, "speed": 60_000 - at, "reliability": 19_000, "owner": 9000})
        for at in range(decision.TOP)
    ],
    {Code.FULL: 312, Code.OWNER_PRESENT: 40},
    5000,
)


def user(number: int) -> UserId:
    return UserId(f"user-{number}")


def entry(index: int, command: Command, fence: Fence = FENCE) -> Entry:
    return Entry(fence.generation, fence.term, index, WALL_MS + index, _known(command))


def _known(command: Command) -> AnyCommand:
    return command  # type: ignore[return-value]


def client(number: int) -> ClientId:
    return ClientId((number * 0x9E3779B97F4A7C15 % (1 << 128)).to_bytes(16, "big"))


def want(cpus: float = 1, memory: int = GIB, key: str = "", **fields: object) -> Want:
    return Want(Resources(round(cpus * 1000), memory), key, **fields)  # type: ignore[arg-type]


def spec(owner: int = 0, asked: Want | None = None, **fields: object) -> JobSpec:
    """As a person submits it: three words, a folder, some variables, a name."""
    told: dict[str, object] = {
        "argv": (b"./render", b"--frame", b"1042"),
        "name": "render-scene-7",
        "cwd": b"/home/anna/projects/film",
        "env": ((b"LANG", b"en_US.UTF-8"), (b"OMP_NUM_THREADS", b"1"), (b"SCENE", b"forest")),
        **fields,
    }
    return JobSpec(user(owner), want=asked or want(key="render"), **told)  # type: ignore[arg-type]


class Mesh:
    """A state and the next place in its log."""

    def __init__(self, keep: bool = False, strict: bool = True) -> None:
        self.state = State()
        self.log: list[Entry] = []
        self.seen: dict[NodeNumber, Seen] = {}
        self.fence = FENCE
        self.keep = keep
        self._strict = strict  # a refusal is a mistake of the measurement

    def do(self, command: Command) -> list[Event]:
        made = entry(self.state.head.index + 1, command, self.fence)
        if self.keep:
            self.log.append(made)
        _, events = apply(self.state, [made])
        refused = [one for one in events if isinstance(one, CommandFailed | CommandRefused)]
        assert not refused or not self._strict, refused
        return events

    def machines(self, count: int, cpus: Iterable[int] = CPUS, speeds: Iterable[int] = SPEEDS) -> None:
        """Of several sizes and speeds, open to everyone, each told of by one beat."""
        sizes, paces = tuple(cpus), tuple(speeds)
        for at in range(count):
            size = sizes[at % len(sizes)]
            facts = Facts(
                Resources(size * 1000, size * 4 * GIB, 0, 200 * GIB), speed=paces[at // 3 % len(paces)], shared=True
            )
            number = self.state.head.last_node + 1
            self.do(AdmitNode(NodeId(f"{number:026d}"), f"pc-{number}", user(at % 8), facts))
        self.beat()

    def beat(self, drift: int = 0) -> None:
        """What all machines tell of themselves, in new records, as the network brings them."""
        for number, node in self.state.nodes.items():
            free = node.total.cpu_milli - (number * 37 + drift) % 300
            memory = node.total.memory - (number * 11 + drift) % 64 * MIB
            owner = OwnerState.IN_USE if number % 10 == 0 else OwnerState.FREE
            self.seen[number] = Seen(cpu_free_milli=free, memory_free=memory, owner=owner, mains=True)

    def submit(self, *specs: JobSpec) -> JobId:
        head = self.state.head
        self.do(SubmitJobs(client(head.index + 1), head.index, specs))
        return JobId(head.last_job + 1)

    def assign(self, job: int, start: int, stop: int, node: int) -> None:
        self.do(AssignTasks(FENCE, (Batch(NodeNumber(node), JobId(job), ((start, stop),)),), (WHY,)))

    def snapshot(self) -> Snapshot:
        return Snapshot(self.state, self.seen)

    def carry_out(self, plan: Plan) -> None:
        for command in orders(plan, FENCE):
            self.do(command)

    def running(self) -> list[tuple[NodeNumber, AttemptId, TaskId]]:
        return [(node, attempt, task) for node, held in self.state.held.items() for attempt, task in held.items()]

    def finish(self, held: Iterable[tuple[NodeNumber, AttemptId, TaskId]], work_ms: int = 5000) -> None:
        """These end well, each told of in a report of its own; the faster the machine, the shorter the run."""
        for node, attempt, task in held:
            run_ms = work_ms * 1000 // self.state.nodes[node].speed
            self.do(ReportAttempts(node, (report(attempt, task, run_ms),)))


def report(attempt: AttemptId, task: TaskId, run_ms: int = 5000) -> Report:
    ended = WALL_MS + attempt % 1_000_000
    return Report(attempt, task, Outcome.EXITED, 0, ended - run_ms, ended, run_ms, run_ms - 3, 300 * MIB)


def tasks_of(job: JobId, indices: Iterable[int]) -> list[TaskId]:
    return [task_id(job, index) for index in indices]


def learned(mesh: Mesh, keys: Iterable[str]) -> None:
    """Run one task of each command on a few machines, so that its run time is known."""
    nodes = list(mesh.state.nodes.values())
    for number, key in enumerate(keys):
        for node in nodes[number % 7 :: max(1, len(nodes) // 4)]:
            mesh.assign(mesh.submit(spec(asked=want(cpus=0.01, memory=MIB, key=key))), 0, 1, node.number)
            mesh.finish(mesh.running(), 4000 + 500 * number)

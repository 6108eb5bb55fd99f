"""Where coordinators are tested: a real replica and a real book, machines that are played by the test.

Promises: time passes only when the test says so; other members of the log answer while they have a voice, and agree.
Never: orders anything by itself.
"""

from typing import Any, TypeVar

from odyssey import wire
from odyssey.book import Book
from odyssey.clock import SeededEntropy
from odyssey.commands import (
    AdmitNode,
    Command,
    Facts,
    Fence,
    SubmitJobs,
)
from odyssey.coordinator import Coordinator
from odyssey.events import Event
from odyssey.ids import AttemptId, ClientId, JobId, NodeId, UserId, task_id
from odyssey.mesh.letters import Accepted, Letter, Logged, Outcome, Scope
from odyssey.mesh.raft.types import AnyMessage, Append, Heartbeat, VoteRequest
from odyssey.mesh.replica import TICK_MS, Replica
from odyssey.messages import AskJobs, Beat, BeatId, BootId, Duty, Elsewhere, Holding, JobsAre
from odyssey.model import TaskState
from odyssey.resources import Resources
from odyssey.spec import JobSpec
from tests.builders import GIB, a_spec
from tests.daemon_fakes import SlowDisk, Time
from tests.mesh.raft import alone
from tests.mesh.raft.alone import beats_back, holds, votes
from tests.mesh.raft.machine import member

C = TypeVar("C", bound=Command)

SCOPE = Scope("mesh", 1, b"first")
ENOUGH_MS = 1_000  # for a round of heartbeats and some writes


class Worker:
    """A machine, as far as its coordinator sees it."""

    def __init__(self, name: str) -> None:
        self.id, self.boot, self.number = NodeId(name), BootId(name.encode()), 0
        self.duties: list[Duty] = []
        self.specs: dict[JobId, JobSpec] = {}
        self.letters = 0  # with specs

    @property
    def holds(self) -> list[AttemptId]:
        return [one.attempt for one in self.duties[-1].holds]

    def beat(self, **fields: object) -> Beat:
        self.number += 1
        newest = self.duties[-1] if self.duties else None
        fields.setdefault("revision", newest.revision if newest else 0)
        fields.setdefault("fence", newest.fence if newest else Fence(0, 0))
        fields.setdefault("since", newest.since if newest else AttemptId(0))
        return Beat(BeatId(self.boot, 1, self.number), **fields)  # type: ignore[arg-type]


class Desk:
    """Machine 1 with its replica, its book and, while it leads, its coordinator."""

    def __init__(self, members: str = "1", recovered: bool = False) -> None:
        self.time, self.book, self.recovered = Time(), Book(), recovered
        self.disk = SlowDisk(self.time)
        self.coordinator: Coordinator | None = None
        self.workers: dict[NodeId, Worker] = {}
        self.voices: set[str] = set(members.split()) - {"1"}
        self.lag_ms = 1
        self.unheard: tuple[type, ...] = ()  # what nobody answers
        self.others = set[str]()  # who may not keep the log
        self.looks = 0
        self.replica = Replica(
            SCOPE,
            alone.core(members=members),
            self.book,
            self.disk,
            self,
            self.time,
            self.time,
            SeededEntropy(1),
            self.look,
        )
        self.book.watch = self._applied
        self.replica.start()
        self._tick()

    def _tick(self) -> None:
        self.time.call_later(TICK_MS / 1000, self._tick)
        if self.coordinator is not None:
            self.coordinator.tick(self.time.monotonic_ms())

    # -- ports

    def look(self) -> None:
        self.looks += 1
        assert self.looks < 100_000, "it goes round and round"
        core = self.replica.core
        if not core.is_leader:
            self.coordinator = None
        elif self.coordinator is None or self.coordinator.term != core.term:
            self.coordinator = Coordinator(
                self.replica, self.book, self, self.time, self.recovered, may_keep=lambda one: one not in self.others
            )
        if self.coordinator is not None:
            self.coordinator.look()

    def _applied(self, events: object) -> None:
        if self.coordinator is not None:
            self.coordinator.applied(events)  # type: ignore[arg-type]

    def tell(self, node: NodeId, message: Duty | JobsAre | Elsewhere) -> None:
        worker = self.workers[node]
        match message:
            case Duty():
                worker.duties.append(message)
            case JobsAre(jobs):
                worker.letters += 1
                worker.specs.update(jobs)

    def send(self, to: NodeId, letter: Letter) -> None:
        """Who has a voice answers at once, and agrees."""
        if to in self.voices and not isinstance(letter.content, self.unheard):
            reply = _reply(to, letter.content)
            if reply is not None:
                self.time.call_later(self.lag_ms / 1000, lambda: self.hears(reply))

    # -- what the test does

    def hears(self, *messages: AnyMessage) -> None:
        for message in messages:
            self.replica.receive(Letter(SCOPE, message, self.replica.me.store))

    def wait(self, ms: int = ENOUGH_MS) -> None:
        self.time.wait(ms)

    def do(self, command: Command) -> list[Event]:
        """Onto the log, as somebody's wish."""
        outcomes: list[Outcome] = []
        self.replica.propose(command, outcomes.append)
        self.wait(10)
        (outcome,) = outcomes
        assert isinstance(outcome, Accepted)
        assert isinstance(outcome.answer, list)
        return outcome.answer

    def admit(self, name: str, cpus: int = 4) -> Worker:
        facts = Facts(Resources(cpus * 1000, 8 * GIB), shared=True)
        self.do(AdmitNode(NodeId(name), f"pc{name}", UserId("anna"), facts))
        worker = self.workers[NodeId(name)] = Worker(name)
        return worker

    def submit(self, **fields: Any) -> JobId:
        before = self.book.state.head.last_job
        client = ClientId((before + 1).to_bytes(16, "big"))
        self.do(SubmitJobs(client, 0, (a_spec(**fields),)))
        return JobId(before + 1)

    def beats(self, worker: Worker, **fields: object) -> None:
        assert self.coordinator is not None
        self.coordinator.receive(worker.id, worker.beat(**fields))

    def ask(self, worker: Worker, *jobs: JobId) -> None:
        assert self.coordinator is not None
        self.coordinator.receive(worker.id, AskJobs(jobs))

    def beating(self, ms: int, *workers: Worker, **fields: object) -> None:
        """Each tells once a second what it holds, and that all goes well."""
        for _ in range(ms // 1_000):
            for worker in workers:
                held = tuple(Holding(one.attempt, one.task, started=True) for one in worker.duties[-1].holds)
                self.beats(worker, holds=held, **fields)
            self.wait(1_000)

    # -- what it asks

    @property
    def fence(self) -> Fence:
        return Fence(1, self.replica.core.term)

    def log(self, kind: type[C]) -> list[C]:
        """The commands of a kind that are on the log, in order."""
        log = self.replica.core.log
        entries = log.since(log.snapshot.index + 1, 1 << 20, 1 << 40)
        commands = [wire.decode_log(one.data, Logged).command for one in entries if one.kind == 0]
        return [command for command in commands if isinstance(command, kind)]

    def attempt(self, job: JobId, index: int = 0) -> AttemptId:
        return self.book.state.tasks[task_id(job, index)].attempts[0].id

    def state_of(self, job: JobId, index: int = 0) -> TaskState:
        return self.book.state.tasks[task_id(job, index)].state


def _reply(name: str, content: object) -> AnyMessage | None:
    match content:
        case VoteRequest():
            return votes(name, content.term, pre=content.pre)
        case Append():
            return holds(name, content.term, content.prev_index + len(content.entries))
        case Heartbeat():
            return beats_back(name, content.term, content.round)
    return None


def leading(members: str = "1", recovered: bool = False) -> Desk:
    """Machine 1 leads, and its first entry is applied."""
    desk = Desk(members, recovered)
    desk.wait(5_000)
    assert desk.replica.core.leads_safely
    return desk


def at_work(members: str = "1", name: str = "1", **fields: Any) -> tuple[Desk, Worker, JobId]:
    """One machine, one task on it, and it knows."""
    desk = leading(members)
    worker = desk.admit(name)
    desk.beats(worker)
    desk.wait()
    job = desk.submit(**fields)
    desk.wait(100)
    assert worker.holds == [desk.attempt(job)]
    return desk, worker, job


def again(desk: Desk) -> None:
    """It stops leading, and is elected again, in another term."""
    term = desk.replica.core.term
    desk.replica.core.step_down()
    while not (desk.replica.core.is_leader and desk.replica.core.term > term):
        desk.wait(TICK_MS)
    desk.wait(20)


def busy(desk: Desk, is_so: bool = True) -> None:
    """The log takes nothing: leadership is being handed to somebody."""
    core = desk.replica.core
    core.transferring = member("9") if is_so else None
    core._transfer_until = 1 << 40

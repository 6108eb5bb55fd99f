"""A daemon from the side of the counter: a real state, changed by the real `apply`, without a log or hands.

Promises: what is proposed is applied at once, or when the test lets it, or never; outputs are what the test wrote.
Never: runs anything.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from odyssey.api import errands, labels
from odyssey.api import views as v
from odyssey.api.desk import Desk
from odyssey.api.door import Door
from odyssey.api.ports import About, Examining, Membership, Networks, Outputs, Standing
from odyssey.api.rights import Asker
from odyssey.commands import Command, EndBackoff, Facts, GiveUpTasks, UpdateNode
from odyssey.daemon.alone import NoNetworks
from odyssey.errors import Unreachable
from odyssey.events import Event
from odyssey.exec.outputs import Extent
from odyssey.ids import AttemptId, JobId, NodeId, NodeNumber, TaskId, UserId, task_id
from odyssey.mesh.letters import Accepted, Outcome
from odyssey.mesh.recover import CannotRecover, Recovery, under_way
from odyssey.messages import Beat, Here
from odyssey.model import Outcome as End
from odyssey.scheduler.snapshot import Seen
from odyssey.scheduler.state import State
from tests.builders import Mesh
from tests.fakes import FakeClock

T = TypeVar("T")


class FakeOutputs(Outputs):
    def __init__(self) -> None:
        self.written: dict[tuple[AttemptId, int], bytearray] = defaultdict(bytearray)
        self.complete: set[AttemptId] = set()
        self.cut: dict[tuple[AttemptId, int], int] = {}
        self.notes: dict[AttemptId, str] = {}
        self.left: dict[AttemptId, int] = {}
        self.watchers: list[Callable[[AttemptId], None]] = []

    def write(self, attempt: AttemptId, data: bytes, stream: int = v.STDOUT) -> None:
        self.written[attempt, stream] += data
        for changed in list(self.watchers):
            changed(attempt)

    def read(self, attempt: AttemptId, stream: int, offset: int, limit: int) -> bytes:
        return bytes(self.written[attempt, stream][offset : offset + limit])

    def extent(self, attempt: AttemptId, stream: int) -> Extent | None:
        if (attempt, stream) not in self.written and attempt not in self.complete:
            return None
        size = len(self.written[attempt, stream])
        return Extent(size, attempt in self.complete, self.cut.get((attempt, stream), 0))

    def note(self, attempt: AttemptId) -> str | None:
        return self.notes.get(attempt)

    def unread(self, attempt: AttemptId) -> int | None:
        return self.left.get(attempt)

    def watch(self, changed: Callable[[AttemptId], None]) -> Callable[[], None]:
        self.watchers.append(changed)
        return lambda: self.watchers.remove(changed)


class FakeFiles:
    def __init__(self) -> None:
        self.folders: dict[AttemptId, str] = {}

    def kept(self, _task: TaskId, attempt: AttemptId) -> str | None:
        return self.folders.get(attempt)


class FakeMembership(Membership):
    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.put: list[tuple[NodeId, UserId]] = []  # out
        self.allowed: list[tuple[NodeId, tuple[str, ...], bool]] = []

    def member(self, node: NodeId) -> tuple[str, UserId] | None:
        return "pi4", UserId("ben")

    def about(self, node: NodeId) -> About:
        return About("10.0.0.4:7660", "1.2.3")

    async def allow(self, node: NodeId, words: Sequence[str], is_given: bool, by: UserId) -> None:
        self.allowed.append((node, tuple(words), is_given))

    def offer(self) -> bytes:
        return bytes(32)

    async def farewell(self, node: NodeId, by: UserId) -> None:
        await self.put_out(node, by)

    async def put_out(self, node: NodeId, by: UserId) -> None:
        self.put.append((node, by))

    async def invite(self, uses: int, for_ms: int, owner: UserId) -> v.InviteView:
        return v.InviteView("ody1_x", "00", self.clock.wall_ms() + for_ms, uses)

    def asking(self) -> v.AskingView:
        return v.AskingView((v.AskerView("pi5", "x", "10.0.0.5", "Debian 12, 4 cores", 1.0),))

    async def approve(self, machine: str, code: str, owner: UserId) -> v.Approval:
        return v.Approval(machine, "123456")

    def deny(self, machine: str) -> v.Approval:
        return v.Approval(machine)


class FakeOthers:
    """Other machines are other desks: what they are asked is answered there, unless they are silent."""

    def __init__(self) -> None:
        self.errands: dict[NodeId, Mapping[str, errands.Handler]] = {}
        self.silent: set[NodeId] = set()
        self.asked: list[tuple[NodeId, errands.Errand[Any]]] = []

    async def ask(self, node: NodeId, errand: errands.Errand[Any]) -> Any:
        self.asked.append((node, errand))
        answer = None
        if node in self.errands and node not in self.silent:
            answer = await self.errands[node][errands.BY_REQUEST[type(errand)].name](errand)
        await asyncio.sleep(0)
        if answer is None or node in self.silent:  # the answer may be lost too
            raise Unreachable("the machine that was asked does not answer", hint="try again")
        return answer

    def who_keeps(self) -> Sequence[NodeId]:
        return sorted(self.errands)


class FakeExamining(Examining):
    """Another machine, nova, with one address."""

    def __init__(self) -> None:
        self.knocked: list[NodeId] = []

    async def knock(self, node: NodeId) -> tuple[v.WayView, ...]:
        self.knocked.append(node)
        return (v.WayView("10.0.0.2", 7661, "control", "open"),)

    async def doctor(self, name: str) -> tuple[v.Check, ...]:
        return (v.Check(name or "nova", True, "fine"),)


class FakeCounter:
    me = NodeId("node-000000000000000000001")
    host = Asker(UserId("anna"), me, is_admin=True)

    def __init__(self, home: Path, mesh: Mesh | None = None) -> None:
        self.mesh = mesh or Mesh()
        if mesh is None:
            self.mesh.machine("titan")
        self.home = home
        self.clock = FakeClock(wall=1_000_500)  # soon after what the log says
        self.outputs = FakeOutputs()
        self.files = FakeFiles()
        self.coordinator: NodeId | None = self.me
        self.heir: NodeId | None = None
        self.recovered: list[bool] = []
        self.recovery: Recovery | CannotRecover = under_way(self.me)
        self.membership = FakeMembership(self.clock)
        self.others = FakeOthers()
        self.examining = FakeExamining()
        self.running: dict[AttemptId, Here] = {}
        self.heard: list[Callable[[Sequence[Event]], None]] = []
        self.outcomes: list[Outcome] = []  # of the next proposals, instead of being applied
        self.proposed: list[Command] = []
        self.desks: list[Desk] = []
        self.door: Door | None = None
        self.downs: list[bool] = []
        self.leaves: list[bool] = []
        self.own_labels: dict[str, str] = {}
        self.programs: frozenset[str] = frozenset()  # that are on this machine
        self.segments: dict[bytes, bytes] = {}
        self.grown: list[tuple[bytes, int, bool]] = []
        self.keys: dict[AttemptId, bytearray] = {}  # of attempts with a terminal: what was typed there
        self.sizes: list[tuple[int, int]] = []
        self.made_ms: dict[int, int] = {}
        self.sights: dict[NodeNumber, Seen] = {}  # of machines that are not just up

    # -- ports ---------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self.mesh.state

    @property
    def log(self) -> FakeCounter:
        return self

    @property
    def helm(self) -> FakeCounter:
        return self

    def hand_over(self) -> bool:
        self.coordinator = self.heir or self.coordinator
        return self.heir is not None

    def recover(self, is_sure: bool, done: Callable[[Recovery | CannotRecover], None]) -> None:
        self.recovered.append(is_sure)
        done(self.recovery)

    @property
    def applied(self) -> int:
        return self.state.head.index

    @property
    def manners(self) -> Any:
        return self

    def share(self, typed: Mapping[str, str]) -> v.ShareView:
        assert not typed
        return v.ShareView(("titan gives all",))

    def label(self, words: Sequence[str]) -> Mapping[str, str]:
        """The log hears of it at once, as of everything."""
        self.own_labels = labels.changed(self.own_labels, words)
        if words:
            self.tell_labels(self.own_labels)
        return self.own_labels

    def tell_labels(self, told: Mapping[str, str]) -> None:
        (node,) = (one for one in self.state.nodes.values() if one.id == self.me)
        self.do(UpdateNode(node.number, Facts(node.total, os=node.os, arch=node.arch, labels=tuple(told.items()))))

    def propose(self, command: Command, done: Callable[[Outcome], None]) -> None:
        self.proposed.append(command)
        if self.outcomes:
            done(self.outcomes.pop(0))
        else:
            events = self.do(command)
            done(Accepted(self.state.head.index, events))

    def read(self, done: Callable[[int | None], None]) -> None:
        done(self.applied)

    def here(self) -> Mapping[AttemptId, Here]:
        return self.running

    def seen(self) -> Mapping[NodeNumber, Seen]:
        return {number: self.sights.get(number, Seen()) for number in self.state.nodes}

    def beats(self) -> Mapping[NodeNumber, tuple[Beat, int]]:
        return {}

    @property
    def networks(self) -> Networks:
        return NoNetworks()

    def standing(self) -> Standing:
        return Standing(
            "anna's mesh", "ab" * 16, "keeper", self.coordinator, 1, 1, 1, 0, (self.me,), 0, 4711, None, str(self.home),
            True, frozenset({self.me}),
        )  # fmt: skip

    def subscribe(self, heard: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        self.heard.append(heard)
        return lambda: self.heard.remove(heard)

    def when_ms(self, index: int) -> int:
        return self.made_ms.get(index, 1_000_000 + index)

    def segment(self, digest: bytes, done: Callable[[bytes | None], None]) -> None:
        done(self.segments.get(digest))

    def stdin_grew(self, name: bytes, size: int, is_complete: bool) -> None:
        self.grown.append((name, size, is_complete))

    def look_for(self, programs: frozenset[str]) -> frozenset[str]:
        """The log hears of it at once."""
        found = programs & self.programs
        if found:
            self.tell_labels({**self.own_labels, **{f"has:{name}": "yes" for name in found}})
        return found

    def type(
        self, attempt: AttemptId, writer: int, offset: int, size: tuple[int, int], data: bytes,
        told: Callable[[int], None],
    ) -> None:  # fmt: skip
        if attempt not in self.keys:
            told(-1)
            return
        if size != (0, 0):
            self.sizes.append(size)
        self.keys[attempt] += data
        told(offset + len(data))

    def doctor(self, done: Callable[[v.DoctorView], None], afresh: bool = False) -> None:
        done(v.DoctorView(()))

    async def leave(self, is_trial: bool) -> v.LeavingView:
        self.leaves.append(is_trial)
        return v.LeavingView("anna's mesh", "titan", 0)

    def down(self, now: bool) -> None:
        self.downs.append(now)

    # -- what happens --------------------------------------------------------------------------------------------------

    def do(self, command: Command) -> list[Event]:
        return self.tell(self.mesh.do(command))

    def tell(self, events: list[Event]) -> list[Event]:
        for heard in list(self.heard):
            heard(events)
        return events

    def assign(self, job: int, *indices: int, node: int = 1) -> list[AttemptId]:
        """A machine has these now, and begins them."""
        self.tell(self.mesh.assign(job, node, *indices))
        attempts = [self.mesh.attempt(job, index) for index in indices or (0,)]
        for attempt, index in zip(attempts, indices or (0,), strict=True):
            self.running[attempt] = Here(task_id(job, index))
        return attempts

    def end(self, job: int, index: int = 0, outcome: End = End.EXITED, code: int = 0, **fields: Any) -> None:
        attempt = self.mesh.attempt(job, index)
        self.running.pop(attempt, None)
        self.outputs.complete.add(attempt)
        self.tell(self.mesh.report(job, index, outcome, code, **fields))

    def end_backoff(self, *tasks: TaskId) -> None:
        self.do(EndBackoff(self.mesh.fence, tasks))

    @property
    def visits(self) -> int:
        """How many connections there have been."""
        assert self.door is not None
        return self.door.visits

    def give_up(self, job: int, index: int = 0) -> None:
        self.do(GiveUpTasks(self.mesh.fence, (task_id(job, index),)))

    def listened(self, job: int) -> bool:
        """Somebody waits for news of this job."""
        return any(JobId(job) in desk.ledger.listened for desk in self.desks)

    def submit(self, **fields: Any) -> JobId:
        before = len(self.mesh.events)
        job = self.mesh.submit(**fields)
        self.tell(self.mesh.events[before:])
        return job


def desk_of(counter: FakeCounter) -> Desk:
    desk = Desk(counter)
    counter.desks.append(desk)
    return desk


@asynccontextmanager
async def opened(counter: FakeCounter, path: Path) -> AsyncIterator[Door]:
    """Bugs of handlers are raised at the end."""
    bugs: list[BaseException] = []
    desk = desk_of(counter)
    door = Door(desk.handlers, bugs.append)
    counter.door = door
    await door.open(path)
    try:
        yield door
    finally:
        await door.close()
        desk.close()
        if bugs:
            raise bugs[0]


async def blocking(call: Callable[[], T]) -> T:
    """What a program does, while the daemon goes on here."""
    return await asyncio.to_thread(call)


async def until(fact: Callable[[], bool]) -> None:
    """Others have their turn until it is so. The test's own deadline ends a wait for nothing."""
    while not fact():  # noqa: ASYNC110 - the fact is of code that tells nobody
        await asyncio.sleep(0)

"""What one task costs on its way through a whole daemon on its real disk, when running it costs nothing.

The hands end everything at once, so this is all that the mesh adds to a task: three entries on the log, each on the
disk before it takes effect, a plan, a Duty and a report. Beside it: three bare writes to such a database, or the bare
entries in large batches.

Promises: the daemon is the real one, with its real store, on a real loop.
Never: counts the start of the daemon.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Final, NoReturn

import msgspec

from bench.builders import spec, want
from bench.harness import MS, Effort, Result, Samples, bench, cost, rate
from odyssey.book import Book
from odyssey.clock import SeededEntropy, SystemClock
from odyssey.commands import AdmitNode, Facts, Report, SubmitJobs
from odyssey.events import Event, JobEnded
from odyssey.ids import AttemptId, ClientId, JobId, NodeId, UserId
from odyssey.mesh.generation import Lineage
from odyssey.mesh.home import SqliteHome
from odyssey.mesh.keeper import Keeper
from odyssey.mesh.lease import Kept, Lease
from odyssey.mesh.letters import Accepted, Letter, Outcome
from odyssey.mesh.opening import Home
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.log import Log
from odyssey.mesh.store import Generation, Store
from odyssey.mesh.succession import Keys, Move
from odyssey.mesh.worker import ThreadWorker
from odyssey.messages import BootId, Here, Keeping, Listed, Telemetry
from odyssey.model import Outcome as How
from odyssey.node import Node, World
from odyssey.resources import Resources
from odyssey.spec import JobSpec

ME: Final = NodeId("a" * 26)
MESH: Final = bytes(16)
GENERATION: Final = Generation(1, bytes(16))
TOTAL: Final = Resources(2000, 8 << 30)
WAIT_S: Final = 60.0
TAUGHT: Final = 200
BATCH: Final = 64
_JOB: Final = spec(0, want(1, 1 << 20, key="true"))
_DATA: Final = bytes(range(250))


class InstantHands:
    """What starts has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self.ended = loop, lambda: None
        self._here: dict[AttemptId, Here] = {}
        self._reports: dict[AttemptId, Report] = {}
        self.started = 0

    def here(self) -> Mapping[AttemptId, Here]:
        return self._here

    def reports(self) -> Mapping[AttemptId, Report]:
        return self._reports

    def lease(self, until_ms: int, told: Callable[[], None] = lambda: None) -> None:
        told()

    def start(self, one: Listed, spec: JobSpec) -> None:
        self.started += 1
        self._here[one.attempt] = Here(one.task, ended=True)
        self._reports[one.attempt] = Report(one.attempt, one.task, How.EXITED)
        self._loop.call_soon(self.ended)

    def follow(self, one: Listed, spec: JobSpec) -> None:
        """What it would follow has ended."""
        self.start(one, spec)

    def forget(self, attempt: AttemptId) -> None:
        self._here.pop(attempt, None)
        self._reports.pop(attempt, None)

    def refuse(self, one: Listed) -> None:
        self._nothing(one.attempt)

    def _nothing(self, attempt: AttemptId) -> None:
        """Nothing runs here that could be stopped."""

    stop = freeze = thaw = kill = _nothing


class NoNotes:
    def save(self, kept: Kept, done: Callable[[], None]) -> None:
        done()


class NoLinks:
    def send(self, to: NodeId, letter: Letter) -> None:
        raise AssertionError("it is alone")


class NoBulk:
    def ask(self, *_: object) -> None:
        raise AssertionError("it is alone")

    slices = pieces = ask


class Alone:
    """One daemon, the only one of its mesh."""

    def __init__(self, worker: ThreadWorker, home: Home, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self.loop, clock = loop, SystemClock()
        self._worker, self._store = worker, store
        loaded = self._store.load()
        keeper = Keeper(self._store, self._worker, NoBulk(), self._fail)  # type: ignore[arg-type]
        self.hands, self.book = InstantHands(loop), Book()
        log = Log(loaded.snapshot, loaded.entries, loaded.hard.commit)
        core = Core(self._store.identity.member, loaded.hard, log, SeededEntropy(2))
        world = World(
            links=NoLinks(),
            disk=keeper,
            shelf=keeper,
            timers=loop,
            clock=clock,
            entropy=SeededEntropy(3),
            hands=self.hands,
            notes=NoNotes(),
            others=lambda: (),
            health=lambda: (Telemetry(), Keeping(store=self._store.identity.store)),
            keys=Keys(_no_key, _no_key),
            home=home,
            reader=worker,
            move=_stay,
        )
        lease = Lease(BootId(b"boot"), clock.boottime_ms())
        self.node = Node(Lineage(MESH, GENERATION), core, self.book, lease, TOTAL, world)
        self.hands.ended = self.node.agent.ended
        self._ended: dict[JobId, asyncio.Future[None]] = {}
        self._watch, self.book.watch = self.book.watch, self._applied
        self.node.start()

    def _fail(self, error: Exception) -> None:
        raise error

    def _applied(self, events: Sequence[Event]) -> None:
        self._watch(events)
        for event in events:
            if isinstance(event, JobEnded) and (waits := self._ended.pop(event.job, None)) is not None:
                waits.set_result(None)

    async def propose(self, command: object) -> Outcome:
        done: asyncio.Future[Outcome] = self.loop.create_future()
        self.node.replica.propose(command, done.set_result)  # type: ignore[arg-type]
        return await asyncio.wait_for(done, WAIT_S)

    async def admit(self) -> None:
        admission = AdmitNode(ME, "pc", UserId("user-0"), Facts(TOTAL))
        for _ in range(1_000):
            if isinstance(await self.propose(admission), Accepted):
                return
            await asyncio.sleep(0.01)  # until it is elected
        raise AssertionError("it does not lead")

    async def run(self, number: int, spec: JobSpec) -> None:
        """Until all of its tasks have ended."""
        client = ClientId(number.to_bytes(16, "big"))
        job = JobId(self.book.state.head.last_job + 1)
        ended = self._ended[job] = self.loop.create_future()
        await self.propose(SubmitJobs(client, self.book.state.head.index, (spec,)))
        await asyncio.wait_for(ended, WAIT_S)

    def close(self) -> None:
        self.node.stop()
        self._worker.run(self._store.close, lambda _: None)
        self._worker.close()


def _no_key(*_: object) -> NoReturn:
    raise AssertionError("there is nothing to sign")


def _stay(move: Move, lineage: Lineage) -> None:
    raise AssertionError("it stays in its generation")


def _with(work: Callable[[Alone], Awaitable[list[float]]]) -> list[float]:
    async def all_of_it(folder: str) -> list[float]:
        loop = asyncio.get_running_loop()
        worker, opened = ThreadWorker(loop), loop.create_future()
        home = SqliteHome(Path(folder), SeededEntropy(1), MESH, ME, GENERATION)
        worker.run(lambda: home.create(founds=True), opened.set_result)
        daemon = Alone(worker, home, await opened, loop)
        try:
            await daemon.admit()
            return await work(daemon)
        finally:
            daemon.close()

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(all_of_it(folder))


async def _one_by_one(times: int, daemon: Alone) -> list[float]:
    seconds = []
    for number in range(1, times + 1):
        begin = perf_counter()
        await daemon.run(number, _JOB)
        seconds.append(perf_counter() - begin)
    return seconds


async def _array(count: int, daemon: Alone) -> list[float]:
    await daemon.run(1, msgspec.structs.replace(_JOB, count=TAUGHT))  # so that it is known how long they take
    begin = perf_counter()
    await daemon.run(2, msgspec.structs.replace(_JOB, count=count))
    return [perf_counter() - begin]


def _bare(writes: int, batch: int) -> list[float]:
    """How long each write of so many entries takes, in a database such as the store's."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder, "raw.db"), isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE entry (data BLOB)"):
            connection.execute(statement)
        seconds = []
        for _ in range(writes):
            begin = perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO entry VALUES (?)", [(_DATA,)] * batch)
            connection.execute("COMMIT")
            seconds.append(perf_counter() - begin)
        connection.close()
        return seconds


@bench("spine.one")
def one(effort: Effort) -> Iterator[Result]:
    raw, real = [median(_bare(300, 1)) * 3], _with(partial(_one_by_one, effort.size(1_000)))
    raw.append(median(_bare(300, 1)) * 3)
    name = "spine: one task from submit to end, nothing to run, one after another"
    yield cost(name, "ms", Samples(real, raw), MS, "three bare SQLite commits")
    slowest = quantiles(real, n=100)[98]
    yield cost(
        "spine: the same, the slowest in a hundred", "ms", Samples([slowest], raw), MS, "three bare SQLite commits"
    )


@bench("spine.array")
def array(effort: Effort) -> Iterator[Result]:
    count, samples = effort.size(10_000), Samples([], [])
    for _ in range(effort.repeats(5)):
        samples.real.extend(_with(partial(_array, count)))
        samples.raw.append(sum(_bare(count * 2 // BATCH, BATCH)))
    name = f"spine: tasks of an array of {count:,}, nothing to run"
    yield rate(name, "1/s", samples, count, f"two entries a task into bare SQLite, {BATCH} a commit")

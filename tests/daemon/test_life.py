"""One life after the other: on real stores, with hands that do what the test says."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from odyssey.clock import SystemClock, SystemEntropy
from odyssey.commands import Facts, SubmitJobs
from odyssey.daemon import founding
from odyssey.daemon.founding import Opened, Storehouse
from odyssey.daemon.life import Body, Life
from odyssey.errors import OdysseyError
from odyssey.events import Event
from odyssey.ids import ClientId, JobId, UserId
from odyssey.manners import Allowed
from odyssey.mesh import identity
from odyssey.mesh.generation import signed
from odyssey.mesh.letters import Accepted, Outcome
from odyssey.mesh.recover import child
from odyssey.mesh.store import Broken, DiskFull, Settings, StoreError
from odyssey.mesh.succession import Move
from odyssey.messages import BootId, Telemetry
from odyssey.node import Node
from odyssey.paths import Home
from odyssey.resources import G, Resources
from tests.builders import a_spec
from tests.daemon_fakes import Hands, Time

TOTAL = Resources(2000, 4 * G)
PATIENCE_S = 20.0


class Desk:
    """A home, its storehouse, and whatever life is on it."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.home.logs.mkdir(exist_ok=True)
        entropy = SystemEntropy()
        self.key = identity.load_or_make(self.home.key, entropy)
        belonging = founding.load(self.home) or founding.begin(UserId("anna"), "Anna's-PC.local", "", entropy)
        founding.save(self.home, belonging)
        self.store = Storehouse(self.home, self.key, belonging, entropy, Settings(guard=0, ballast=0))
        self.total = TOTAL
        self.pause = ""
        self.told: list[Sequence[Event] | None] = []
        self.hands = Hands(Time())
        self.body = Body(
            clock=SystemClock(),
            entropy=entropy,
            hands=self.hands,
            boot=BootId(b"boot"),
            until_ms=lambda: 0,
            health=Telemetry,
            facts=lambda: Facts(self.total),
            allowed=lambda: Allowed(self.total, self.pause),
        )
        self.life = Life(self.store, self.body, self.told.append)

    @property
    def node(self) -> Node | None:
        return self.life.node

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not what():  # noqa: ASYNC110 - nobody tells of all these facts
                await asyncio.sleep(0.005)

    async def begin(self) -> None:
        await self.life.begin()
        await self.until(lambda: self.life.is_member)

    async def submit(self) -> Outcome:
        over: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        await self.until(lambda: self.node is not None and self.node.replica.core.leads_safely)
        assert self.life.node is not None
        jobs = self.life.book.state.head.last_job
        client = ClientId((jobs + 1).to_bytes(16, "big"))
        self.life.node.replica.propose(SubmitJobs(client, 0, (a_spec(cpus=1),)), over.set_result)
        return await over


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Desk], Awaitable[None]]], None]:
    """A test on a loop of its own, with an end in order."""
    monkeypatch.setattr("odyssey.daemon.life.wait_ms", lambda _: 5)

    async def around(test: Callable[[Desk], Awaitable[None]]) -> None:
        desk = Desk(tmp_path)
        try:
            await test(desk)
        finally:
            await desk.life.end()

    return lambda test: asyncio.run(around(test))


Run = Callable[[Callable[[Desk], Awaitable[None]]], None]


def test_it_founds_its_mesh_leads_it_and_is_its_member(run: Run) -> None:
    async def test(desk: Desk) -> None:
        await desk.begin()
        life = desk.life
        assert (life.belonging.name, life.belonging.has_store) == ("anna's mesh", True)
        assert life.me is not None
        assert (life.me.name, life.me.owner, life.me.total) == ("anna-s-pc", "anna", TOTAL)
        assert life.node is not None
        assert life.node.replica.core.leads_safely

    run(test)


def test_what_was_acknowledged_is_there_in_the_next_process(run: Run, tmp_path: Path) -> None:
    async def first(desk: Desk) -> None:
        await desk.begin()
        assert isinstance(await desk.submit(), Accepted)

    async def second(desk: Desk) -> None:
        await desk.begin()
        assert JobId(1) in desk.life.book.state.jobs
        assert len(desk.life.book.state.nodes) == 1

    run(first)
    run(second)


def test_it_says_that_it_knows_all_only_when_it_does(run: Run, tmp_path: Path) -> None:
    """The newest entry is on the disk, and nothing there says yet that it is committed."""
    killed = tmp_path.with_name("killed")

    async def first(desk: Desk) -> None:
        await desk.begin()
        for _ in range(5):
            assert isinstance(await desk.submit(), Accepted)
        shutil.copytree(tmp_path, killed)

    async def second(desk: Desk) -> None:
        known: list[int] = []

        def changed(_: Sequence[Event] | None) -> None:
            if desk.life.is_current:
                known.append(len(desk.life.book.state.jobs))

        desk.life = Life(desk.store, desk.body, changed)
        await desk.begin()
        await desk.until(lambda: desk.life.is_current)
        await desk.until(lambda: known)
        assert set(known) == {5}

    run(first)
    shutil.rmtree(tmp_path)
    killed.rename(tmp_path)
    run(second)


def test_when_what_the_owner_gives_changes_the_log_is_told(run: Run) -> None:
    async def test(desk: Desk) -> None:
        await desk.begin()
        desk.total = Resources(1000, G)
        desk.life.follow_owner()
        await desk.until(lambda: desk.life.me is not None and desk.life.me.total == desk.total)

    run(test)


def test_a_store_that_fails_ends_one_life_and_the_next_begins_with_all_that_was_known(run: Run) -> None:
    async def test(desk: Desk) -> None:
        await desk.begin()
        await desk.submit()
        first, life = desk.life.node, desk.life
        life._fail(DiskFull("the disk is full", hint="", path=Path("/x")))
        assert (desk.node, type(life.trouble)) == (None, DiskFull)
        assert JobId(1) in life.book.state.jobs, "what was known is still shown"
        answers: list[Any] = []
        life.ask(lambda store: store.room(), answers.append)
        assert answers == [None]
        await desk.until(lambda: life.node is not None and life.is_member)
        assert life.node is not first
        assert life.trouble is None
        assert JobId(1) in life.book.state.jobs
        assert isinstance(await desk.submit(), Accepted)
        assert None in desk.told

    run(test)


def test_a_store_that_cannot_be_opened_is_tried_again_and_it_is_said_why(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(desk: Desk) -> None:
        await desk.begin()
        tries = 0
        really = desk.store.open

        def opening() -> Opened:
            nonlocal tries
            tries += 1
            if tries < 4:
                raise Broken("the disk has failed", hint="", path=Path("/x"))
            return really()

        monkeypatch.setattr(desk.store, "open", opening)
        desk.life._fail(DiskFull("the disk is full", hint="", path=Path("/x")))
        await desk.until(lambda: isinstance(desk.life.trouble, Broken))
        await desk.until(lambda: desk.life.node is not None)
        assert tries == 4

    run(test)


def test_who_cannot_begin_says_why_and_holds_nothing(run: Run, tmp_path: Path) -> None:
    async def first(desk: Desk) -> None:
        await desk.begin()

    async def second(desk: Desk) -> None:
        with pytest.raises(StoreError):
            await desk.life.begin()

    async def third(desk: Desk) -> None:
        await desk.begin()

    run(first)
    store = tmp_path / "mesh.db"
    kept = store.read_bytes()
    store.write_bytes(bytes(4096) + kept[4096:])
    run(second)
    store.write_bytes(kept)
    run(third)


def test_to_another_generation_the_store_goes_over_with_all_it_holds(run: Run) -> None:
    async def test(desk: Desk) -> None:
        await desk.begin()
        await desk.submit()
        life, node = desk.life, desk.life.node
        assert node is not None
        await desk.until(lambda: node.replica.core.log.stable == node.replica.core.log.last)
        charter = signed(child(node.succession._standing(), SystemEntropy()), desk.key.sign)
        life._move(Move.FOUND, node.lineage.with_child(charter))
        await desk.until(lambda: life.node not in (None, node) and life.is_member)
        assert life.node is not None
        assert life.node.lineage.tip.number == 2
        assert JobId(1) in life.book.state.jobs
        assert isinstance(await desk.submit(), Accepted)
        assert life.book.state.head.last_job >= 10_000, "numbers go on at the next ten thousand"

    run(test)


def test_an_end_in_the_middle_of_trouble_is_an_end(run: Run) -> None:
    async def test(desk: Desk) -> None:
        await desk.begin()
        desk.life._fail(OdysseyError("anything"))
        await desk.life.end()
        assert desk.life.node is None

    run(test)

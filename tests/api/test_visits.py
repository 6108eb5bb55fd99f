"""Who asked through another machine, and when they have gone: what they held is free, what they wrote is all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from odyssey.api import door, rights, spool
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.relay.typists import Typists
from odyssey.api.relay.writers import Writers
from odyssey.api.rights import Asker
from odyssey.api.visits import AWAY_MS, Visits
from odyssey.ids import NodeId, NodeNumber, UserId
from odyssey.messages import NodeState
from odyssey.scheduler.snapshot import Seen
from tests.api.counter import FakeCounter, desk_of, until

NOVA = NodeId("node-000000000000000000002")
NAME = bytes(16)


def played(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(play(), 20))


def a_counter(home: Path) -> FakeCounter:
    counter = FakeCounter(home)
    counter.mesh.machine("nova")
    return counter


async def as_nova(call: Coroutine[Any, Any, Any]) -> Any:
    """As a question of that machine."""
    rights.welcome(Asker(UserId("anna"), NOVA))
    return await call


def test_the_visit_of_a_machine_ends_when_it_was_away_for_long(tmp_path: Path) -> None:
    async def play() -> None:
        counter = a_counter(tmp_path)
        visits = Visits(counter)
        assert visits.now() is None
        rights.welcome(Asker(UserId("anna"), NOVA))
        visiting = visits.now()
        assert visiting is not None
        assert visits.now() is visiting
        silent = {NodeNumber(2): Seen(NodeState.SILENT)}
        for sights, ms in ((silent, AWAY_MS - 1), ({}, AWAY_MS), (silent, AWAY_MS - 1)):
            counter.sights = sights
            visits.look()
            counter.clock.advance(ms)
        assert not visiting.done()
        counter.clock.advance(1)
        visits.look()
        assert visiting.done()
        assert visits.now() is not visiting
        visits.close()

    played(play)


def test_what_a_machine_that_has_died_was_writing_is_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ABANDONED_SECONDS", 0.01)

    async def play() -> None:
        counter = a_counter(tmp_path)
        desk = desk_of(counter)
        put: Any = desk.handlers["stdin_put"]
        await asyncio.create_task(as_nova(put(r.PutStdin(NAME, 0, b"half"))))
        await asyncio.sleep(0.05)  # a daemon that has just begun takes it for nobody's
        assert counter.grown == [(NAME, 4, False)]
        counter.sights = {NodeNumber(2): Seen(NodeState.GONE)}
        desk._visits.look()
        counter.clock.advance(AWAY_MS)
        desk._visits.look()
        await until(lambda: counter.grown[-1] == (NAME, 4, True))
        desk.close()

    played(play)


def test_a_place_at_a_terminal_is_free_when_the_machine_is_gone_from_where_it_was_held(tmp_path: Path) -> None:
    async def play() -> None:
        counter = a_counter(tmp_path)
        desk = desk_of(counter)
        counter.submit(terminal=(24, 80))
        (attempt,) = counter.assign(1)
        counter.keys[attempt] = bytearray()
        typing: Any = desk.handlers["type"]
        assert (await asyncio.create_task(as_nova(typing(r.Type("1", attempt, 5, 0, b"a"))))).is_mine
        assert not (await typing(r.Type("1", attempt, 6, 0, b"b"))).is_mine
        counter.sights = {NodeNumber(2): Seen(NodeState.GONE)}
        desk._visits.look()
        counter.clock.advance(AWAY_MS)
        desk._visits.look()
        assert (await typing(r.Type("1", attempt, 6, 0, b"b"))).is_mine
        desk.close()

    played(play)


# ---- on the machine where they sit -----------------------------------------------------------------------------------


class Visitor:
    """A program with a connection."""

    def __init__(self) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def asks(self, call: Coroutine[Any, Any, Any]) -> Any:
        async def asked() -> Any:
            door._ASKING.set(self.gone)
            return await call

        return await asyncio.create_task(asked())


def test_who_typed_and_has_gone_is_told_once() -> None:
    async def play() -> None:
        told: list[r.Type] = []

        async def passed(request: r.Type) -> v.Typed:
            told.append(request)
            return v.Typed(len(request.data))

        typists, first, second = Typists(passed), Visitor(), Visitor()
        await first.asks(typists.type(r.Type("1", 9, 5, 0, b"a", 24, 80)))
        await second.asks(typists.type(r.Type("1", 9, 5, 1, b"b")))
        first.gone.set_result(None)
        await asyncio.sleep(0.01)
        assert len(told) == 2
        second.gone.set_result(None)
        await until(lambda: len(told) == 3)
        assert told[-1] == r.Type("1", 9, 5, 1, b"", is_over=True)

    played(play)


def test_who_wrote_and_does_not_come_back_has_written_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey.api.relay.writers.ABANDONED_SECONDS", 0.01)

    async def play() -> None:
        told: list[r.PutStdin] = []

        keepers = [NOVA]

        async def passed(keeper: NodeId, request: r.PutStdin) -> v.HowFar:
            assert keeper == NOVA  # who has the beginning gets the rest
            told.append(request)
            return v.HowFar(request.offset + len(request.data), request.is_end)

        writers, first, second = Writers(passed, lambda: keepers), Visitor(), Visitor()
        await first.asks(writers.put(r.PutStdin(NAME, 0, b"one")))
        first.gone.set_result(None)
        keepers[:] = [NodeId("another")]
        await second.asks(writers.put(r.PutStdin(NAME, 3, b"two")))  # it is back
        await asyncio.sleep(0.05)
        assert len(told) == 2
        second.gone.set_result(None)
        await until(lambda: len(told) == 3)
        assert told[-1] == r.PutStdin(NAME, 6, b"", is_end=True)
        keepers[:] = [NOVA]
        third = Visitor()
        await third.asks(writers.put(r.PutStdin(bytes(15) + b"x", 0, b"whole", is_end=True)))
        third.gone.set_result(None)
        await asyncio.sleep(0.05)
        assert len(told) == 4

    played(play)

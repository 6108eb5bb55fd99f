"""A mesh that was there and is out of reach for a while: whoever follows a job goes on where it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.aclient import AsyncClient
from odyssey.api.client import Client
from odyssey.api.cuts import CUT_SECONDS, Cut
from odyssey.api.door import Door
from odyssey.api.refusals import Broken
from odyssey.cli.away import Away
from odyssey.errors import NotPermitted, OdysseyError, Unreachable
from tests.api.counter import blocking

GONE = Unreachable("the machine that was asked does not answer", hint="see odyssey nodes")


class Mesh:
    """Its coordinator is out of reach after the first words, and for the next question too."""

    def __init__(self) -> None:
        self.asked: list[r.Follow] = []

    async def follow(self, request: r.Follow) -> AsyncGenerator[v.Told, None]:
        self.asked.append(request)
        began = v.Began(0, 9, 1, "nova")
        if len(self.asked) == 1:
            yield v.Told((began, v.Output(0, 9, v.STDOUT, 0, b"one ")))
        if len(self.asked) <= 2:
            raise GONE
        yield v.Told((began, v.Output(0, 9, v.STDOUT, 4, b"two")))


def test_a_follow_goes_on_where_it_was(tmp_path: Path) -> None:
    async def play() -> None:
        mesh, heard = Mesh(), list[OdysseyError | None]()
        door = Door({"follow": mesh.follow}, lambda _: None)
        await door.open(tmp_path / "s")
        with Client(str(tmp_path / "s")) as client:
            items = await blocking(lambda: list(client.follow(r.Follow("1"), heard.append)))
        assert [item.data for item in items if isinstance(item, v.Output)] == [b"one ", b"two"]
        assert sum(isinstance(item, v.Began) for item in items) == 1
        assert [request.marks for request in mesh.asked] == [(), (r.Mark(9, 4),), (r.Mark(9, 4),)]
        assert [error and error.message for error in heard] == [GONE.message, GONE.message, None]
        await door.close()

    asyncio.run(asyncio.wait_for(play(), 20))


def test_so_does_one_on_a_loop(tmp_path: Path) -> None:
    async def play() -> None:
        door = Door({"follow": Mesh().follow}, lambda _: None)
        await door.open(tmp_path / "s")
        client = AsyncClient(str(tmp_path / "s"))
        items = [item async for item in client.follow(r.Follow("1"))]
        assert [item.data for item in items if isinstance(item, v.Output)] == [b"one ", b"two"]
        client.close()
        await door.close()

    asyncio.run(asyncio.wait_for(play(), 20))


def test_it_is_waited_for_so_long_and_only_if_it_was_there() -> None:
    cut = Cut()
    assert cut.pause(GONE, 0.0) is None
    assert not cut.answered()
    assert cut.pause(GONE, 10.0) is not None
    assert cut.pause(GONE, 9.0 + CUT_SECONDS) is not None
    assert cut.pause(GONE, 10.0 + CUT_SECONDS) is None
    assert cut.answered()
    assert cut.pause(GONE, 1_000.0) is not None


@pytest.mark.parametrize("error", [Broken("the daemon has gone", hint="-"), NotPermitted("no", hint="-")])
def test_what_waiting_does_not_help_is_told_at_once(error: OdysseyError) -> None:
    cut = Cut()
    cut.answered()
    assert cut.pause(error, 0.0) is None


def test_each_silence_is_told_once() -> None:
    away = Away()
    counts = v.Counts(1, 0, 1, 0, 0, 0, 0)
    told = [list(away.hear(v.Progress(counts, silent=names))) for names in ((), ("nova",), ("nova",), (), ("pi",))]
    assert [len(sentences) for sentences in told] == [0, 1, 0, 1, 1]
    assert told[3] == ["nova answers again"]
    assert [len(list(away.reach(error))) for error in (None, GONE, GONE, None, None)] == [0, 1, 0, 1, 0]
    assert away.error("7") is None

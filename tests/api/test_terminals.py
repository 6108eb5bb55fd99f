"""Who may type into the terminal of a job, over a real door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.client import Client
from odyssey.api.following import Marks
from odyssey.api.rights import Asker
from odyssey.api.terminals import MOST
from odyssey.errors import NotPermitted, UsageError
from odyssey.ids import UserId
from tests.api.counter import FakeCounter, blocking, opened

Walk = Callable[[FakeCounter, int, Callable[[], Client]], Awaitable[None]]


def walked(tmp_path: Path, walk: Walk) -> None:
    """One job with a terminal, and any number of clients."""

    async def all_of_it() -> None:
        counter, path, clients = FakeCounter(tmp_path), tmp_path / "s", list[Client]()

        def client() -> Client:
            clients.append(Client(path))
            return clients[-1]

        async with asyncio.timeout(20), opened(counter, path):
            counter.submit()
            (attempt,) = counter.assign(1)
            counter.keys[attempt] = bytearray()
            await walk(counter, attempt, client)
            for one in clients:
                one.close()

    asyncio.run(all_of_it())


async def typed(client: Client, *fields: int | bytes) -> v.Typed:
    return await blocking(lambda: client.call(r.Type("1", *fields)))  # type: ignore[arg-type]


def typed_in(counter: FakeCounter) -> bytes:
    return b"".join(counter.keys.values())


def test_what_is_typed_goes_to_the_hands_and_it_is_said_how_much_they_took(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, attempt: int, client: Callable[[], Client]) -> None:
        anna = client()
        assert await typed(anna, attempt, 5, 0, b"ls\r", 24, 80) == v.Typed(3)
        assert await typed(anna, attempt, 5, 3, b"", 25, 81) == v.Typed(3)
        assert (typed_in(counter), counter.sizes) == (b"ls\r", [(24, 80), (25, 81)])

    walked(tmp_path, walk)


def test_where_no_terminal_is_it_is_not_ready(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, attempt: int, client: Callable[[], Client]) -> None:
        assert await typed(client(), attempt + 1, 5, 0, b"x") == v.Typed(0, is_ready=False)

    walked(tmp_path, walk)


def test_an_attempt_of_another_job_is_not_typed_to(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, attempt: int, client: Callable[[], Client]) -> None:
        counter.submit()
        counter.assign(2)
        other = await blocking(lambda: client().call(r.Type("2", attempt, 5, 0, b"x")))
        assert other == v.Typed(0, is_ready=False)
        assert typed_in(counter) == b""

    walked(tmp_path, walk)


def test_only_whose_job_it_is_types_there(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, attempt: int, client: Callable[[], Client]) -> None:
        counter.host = Asker(UserId("ben"), counter.me)
        with pytest.raises(NotPermitted):
            await typed(client(), attempt, 5, 0, b"x")
        assert typed_in(counter) == b""

    walked(tmp_path, walk)


def test_one_types_and_others_do_not_until_it_has_gone(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, attempt: int, client: Callable[[], Client]) -> None:
        anna, bert = client(), client()
        assert (await typed(anna, attempt, 5, 0, b"a")).is_mine
        assert await typed(bert, attempt, 6, 0, b"b") == v.Typed(0, is_mine=False)
        assert (await typed(anna, attempt, 5, 1, b"c")).is_mine
        anna.close()
        while not (await typed(bert, attempt, 6, 0, b"d")).is_mine:
            pass
        assert typed_in(counter) == b"acd"

    walked(tmp_path, walk)


def test_who_takes_it_has_it_and_may_lose_it_the_same_way(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, attempt: int, client: Callable[[], Client]) -> None:
        anna, bert = client(), client()
        assert (await typed(anna, attempt, 5, 0, b"a")).is_mine
        assert (await typed(bert, attempt, 6, 0, b"b", 0, 0, True)).is_mine
        assert not (await typed(anna, attempt, 5, 1, b"c")).is_mine
        assert (await typed(anna, attempt, 7, 0, b"d", 0, 0, True)).is_mine
        assert typed_in(counter) == b"abd"

    walked(tmp_path, walk)


def test_two_connections_of_one_writer_are_one(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, attempt: int, client: Callable[[], Client]) -> None:
        first, second = client(), client()
        assert (await typed(first, attempt, 5, 0, b"a")).is_mine
        assert (await typed(second, attempt, 5, 1, b"b")).is_mine
        first.close()
        assert not (await typed(client(), attempt, 6, 0, b"x")).is_mine

    walked(tmp_path, walk)


@pytest.mark.parametrize(
    "fields", [(5, 0, bytes(MOST + 1)), (-1,), (5, -1), (5, 0, b"", 1 << 16, 1), (5, 0, b"", 1, -1)]
)
def test_what_no_terminal_could_take_is_refused(tmp_path: Path, fields: tuple[int | bytes, ...]) -> None:
    async def walk(counter: FakeCounter, attempt: int, client: Callable[[], Client]) -> None:
        with pytest.raises(UsageError):
            await typed(client(), attempt, *fields)

    walked(tmp_path, walk)


def test_who_began_in_the_middle_goes_on_there_after_a_break() -> None:
    marks = Marks(r.Follow("42", marks=(r.Mark(7, stdout=1000),)))
    assert marks.request().marks == (r.Mark(7, stdout=1000),)
    assert not marks.note(v.Began(0, 7, 1, "nova"))
    assert marks.note(v.Output(0, 7, v.STDOUT, 1000, b"abc"))
    assert marks.request().marks == (r.Mark(7, stdout=1003),)
    assert marks.note(v.Ended(0, "done", 0, None, "exited", None, "nova", 7, 1, 2))
    assert (marks.request().marks, marks.request().told) == ((), ((0, 1),))

"""The whole way over a real socket: a client asks, the door lets it in, a state answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from odyssey import errors
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.client import Client
from odyssey.model import Outcome
from tests.api.counter import FakeCounter, blocking, opened
from tests.builders import a_spec

Walk = Callable[[FakeCounter, Client], Awaitable[None]]


def walked(tmp_path: Path, walk: Walk, counter: FakeCounter | None = None) -> FakeCounter:
    counter = counter or FakeCounter(tmp_path)

    async def all_of_it() -> None:
        path = tmp_path / "s"
        async with asyncio.timeout(20), opened(counter, path):
            with Client(path) as client:
                await walk(counter, client)

    asyncio.run(all_of_it())
    return counter


def output(items: list[v.AnyItem], stream: int = v.STDOUT) -> bytes:
    return b"".join(item.data for item in items if isinstance(item, v.Output) and item.stream == stream)


def test_a_job_from_submit_to_its_end(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        client_id = os.urandom(16)
        spec = a_spec(user="", argv=(b"echo", b"hi"))
        told = await blocking(lambda: client.call(r.Submit(client_id, (spec,))))
        assert told == v.Submitted(1, 1, 1)
        assert counter.mesh.job(1).spec.user == "anna"
        assert counter.mesh.job(1).spec.origin == counter.me
        following = asyncio.create_task(blocking(lambda: list(client.follow(r.Follow("last")))))
        (attempt,) = counter.assign(1)
        counter.outputs.write(attempt, b"h")
        counter.outputs.write(attempt, b"i\n")
        counter.outputs.write(attempt, b"\0\xff", v.STDERR)
        counter.end(1, code=3, started_ms=1_000_100, ended_ms=1_000_200)
        items = await following
        assert (output(items), output(items, v.STDERR)) == (b"hi\n", b"\0\xff")
        assert [type(item) for item in items if not isinstance(item, v.Output | v.Progress)] == [
            v.Began, v.Ended, v.Over,
        ]  # fmt: skip
        over = items[-1]
        assert isinstance(over, v.Over)
        assert (over.job.state, over.job.exit_code, over.job.exit_status) == ("failed", 3, 3)
        assert (over.job.node, over.job.tries, over.job.started_at) == ("titan", 1, 1_000_100)

    walked(tmp_path, walk)


def test_the_same_submit_twice_is_one_job(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        request = r.Submit(bytes(16), (a_spec(user="", count=3),))
        first = await blocking(lambda: client.call(request))
        assert await blocking(lambda: client.call(request)) == first == v.Submitted(1, 1, 3)
        assert len(counter.state.jobs) == 1

    walked(tmp_path, walk)


def test_a_mistake_in_a_spec_is_told_as_what_it_is(tmp_path: Path) -> None:
    async def walk(_: FakeCounter, client: Client) -> None:
        with pytest.raises(errors.InvalidSpec) as told:
            await blocking(lambda: client.call(r.Submit(bytes(16), (a_spec(argv=()),))))
        assert "no command" in told.value.message
        assert told.value.hint

    walked(tmp_path, walk)


def test_lists_and_details(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        counter.submit(name="one", count=3)
        counter.submit(name="two")
        counter.assign(1, 1)
        page = await blocking(lambda: client.call(r.Jobs()))
        assert [(job.id, job.name, job.state) for job in page.jobs] == [(2, "two", "waiting"), (1, "one", "running")]
        assert page.jobs[1].tasks == v.Counts(3, 2, 1, 0, 0, 0, 0)
        detail = await blocking(lambda: client.call(r.Job("on")))
        assert [task.state for task in detail.task_list] == ["waiting", "running", "waiting"]
        first = await blocking(lambda: client.call(r.Jobs(limit=1)))
        assert [job.id for job in first.jobs] == [2]
        rest = await blocking(lambda: client.call(r.Jobs(limit=1, below=first.below)))
        assert ([job.id for job in rest.jobs], rest.below) == ([1], 0)

    walked(tmp_path, walk)


def test_a_cancel_ends_what_waits_and_says_how_much(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        counter.submit(count=5)
        assert await blocking(lambda: client.call(r.Cancel("1/2"))) == v.Changed(1, 1)
        assert await blocking(lambda: client.call(r.Cancel("1"))) == v.Changed(1, 4)
        assert await blocking(lambda: client.call(r.Cancel("1"))) == v.Changed(1, 0)

    walked(tmp_path, walk)


def test_status_says_who_and_how_many(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        counter.submit()
        status = await blocking(lambda: client.call(r.Status()))
        assert (status.mesh, status.node, status.coordinator, status.pid) == ("anna's mesh", "titan", "titan", 4711)
        assert (status.jobs["waiting"], status.nodes["up"]) == (1, 1)

    walked(tmp_path, walk)


def test_a_job_that_moves_tells_so_and_its_output_comes_try_by_try(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        counter.submit(retries=1)
        following = asyncio.create_task(blocking(lambda: list(client.follow(r.Follow("1")))))
        for word, code in ((b"first", 1), (b"second", 0)):
            (attempt,) = counter.assign(1)
            counter.outputs.write(attempt, word)
            counter.end(1, outcome=Outcome.EXITED, code=code)
            for task in list(counter.state.backoffs):
                counter.end_backoff(task)
        items = await following
        assert output(items) == b"firstsecond"
        assert [type(item).__name__ for item in items if not isinstance(item, v.Progress)] == [
            "Began", "Output", "Moved", "Began", "Output", "Ended", "Over",
        ]  # fmt: skip

    walked(tmp_path, walk)


def test_no_daemon_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(errors.Unreachable):
        Client(tmp_path / "nothing").call(r.Status())


def test_one_connection_is_enough_for_one_question_after_the_other(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        def ask() -> None:
            for _ in range(3):
                job = client.call(r.Submit(os.urandom(16), (a_spec(),))).id
                client.call(r.Cancel(str(job)))
                for item in client.follow(r.Follow(str(job))):
                    if isinstance(item, v.Over):
                        break
                list(client.wait(str(job)))

        await blocking(ask)
        assert counter.visits == 1

    walked(tmp_path, walk)

"""Questions about jobs wait until what is known here is as new as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from odyssey.api import requests as r
from odyssey.api.fresh import ABOUT_JOBS
from odyssey.api.operations import BY_NAME
from odyssey.errors import CutOff, UsageError
from tests.api.counter import FakeCounter, desk_of, until


class Behind(FakeCounter):
    """Asks others first, who answer when the test lets them."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.asked: list[Callable[[int | None], None]] = []

    def read(self, done: Callable[[int | None], None]) -> None:
        self.asked.append(done)


def test_a_look_at_a_job_shows_what_was_agreed_on_before_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        counter = Behind(tmp_path)
        job, desk = counter.submit(), desk_of(counter)
        looking = asyncio.ensure_future(desk.handlers["job"](r.Job(str(job))))  # type: ignore[arg-type]
        await until(lambda: bool(counter.asked))
        assert not looking.done()
        counter.assign(job)  # somebody else was told that it has ended, before this was asked
        counter.end(job)
        counter.asked.pop()(counter.applied)
        assert (await looking).job.state == "done"  # type: ignore[attr-defined]
        desk.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_where_nobody_can_be_asked_what_is_known_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        counter = Behind(tmp_path)
        job, desk = counter.submit(), desk_of(counter)
        looking = asyncio.ensure_future(desk.handlers["job"](r.Job(str(job))))  # type: ignore[arg-type]
        await until(lambda: bool(counter.asked))
        counter.asked.pop()(None)
        assert (await looking).job.id == job  # type: ignore[attr-defined]
        desk.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_what_is_followed_is_caught_up_with_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        counter = Behind(tmp_path)
        job, desk = counter.submit(), desk_of(counter)
        following = desk.handlers["wait"](r.Wait((str(job),)))
        first = asyncio.ensure_future(anext(following))  # type: ignore[arg-type]
        await until(lambda: bool(counter.asked))
        assert not first.done()
        counter.assign(job)
        counter.end(job)
        counter.asked.pop()(counter.applied)
        assert (await first).state == "done"  # type: ignore[attr-defined]
        await following.aclose()  # type: ignore[union-attr]
        desk.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_those_that_wait_are_operations_and_change_nothing() -> None:
    assert not any(BY_NAME[name].changes for name in ABOUT_JOBS)


@pytest.mark.parametrize(("op", "request_"), [("job", r.Job("7")), ("wait", r.Wait(("7",)))])
def test_that_there_is_no_such_job_is_not_said_by_who_cannot_ask(tmp_path: Path, op: str, request_: Any) -> None:
    async def told(index: int | None) -> None:
        counter = Behind(tmp_path)
        desk = desk_of(counter)
        answer: Any = desk.handlers[op](request_)
        asking = asyncio.ensure_future(answer if op == "job" else anext(answer))
        await until(lambda: bool(counter.asked))
        counter.asked.pop()(index)
        try:
            await asking
        finally:
            desk.close()

    with pytest.raises(UsageError, match="no job 7"):
        asyncio.run(asyncio.wait_for(told(0), 10))
    with pytest.raises(CutOff, match="no job 7, as far as this machine knows"):
        asyncio.run(asyncio.wait_for(told(None), 10))

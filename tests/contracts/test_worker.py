"""What every worker promises: the thread of a daemon, and the one of the simulation."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from odyssey.clock import SeededEntropy
from odyssey.errors import OdysseyError
from odyssey.mesh.store import Broken
from odyssey.mesh.worker import ThreadWorker, Worker
from tests.sim.disk import SimDisk, SimWorker
from tests.sim.loop import new_loop

DEADLINE_S = 20


class Case(ABC):
    worker: Worker

    @abstractmethod
    def until(self, happened: Callable[[], object]) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class Real(Case):
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._raised: BaseException | None = None
        self._loop.set_exception_handler(self._note)
        self.worker = self._worker = ThreadWorker(self._loop)

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context["exception"]
        assert isinstance(error, BaseException)
        self._raised = error

    def until(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not happened() and self._raised is None:
            assert time.monotonic() < deadline
            self._turn()
        if self._raised is not None:
            raise self._raised

    def _turn(self) -> None:
        self._loop.call_soon(self._loop.stop)
        self._loop.run_forever()

    def close(self) -> None:
        self._worker.close()
        self._turn()
        self._loop.close()


class Simulated(Case):
    def __init__(self) -> None:
        self._loop = new_loop()
        self.worker = self._worker = SimWorker(self._loop, SimDisk(self._loop, SeededEntropy(1)), lambda: None)

    def until(self, happened: Callable[[], object]) -> None:
        while not happened() and self._loop.time() < DEADLINE_S:
            self._loop.run_until(self._loop.time() + 1)
        assert happened()

    def close(self) -> None:
        self._worker.close()
        with suppress(ZeroDivisionError):  # this loop goes on raising what a test has planted
            self._loop.run_until(self._loop.time() + DEADLINE_S)
        self._loop.close()


@pytest.fixture(params=[Real, Simulated])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    made: Case = request.param()
    try:
        yield made
    finally:
        made.close()


def test_what_a_job_gives_comes_back(case: Case) -> None:
    heard: list[int | OdysseyError] = []
    case.worker.run(lambda: 7, heard.append)
    case.until(lambda: heard)
    assert heard == [7]


def test_jobs_and_answers_keep_their_order_and_never_meet(case: Case) -> None:
    running, done, heard = [0], list[int](), list[int | OdysseyError]()

    def job(number: int) -> int:
        running[0] += 1
        assert running[0] == 1
        done.append(number)
        running[0] -= 1
        return number

    for number in range(50):
        case.worker.run(lambda number=number: job(number), heard.append)  # type: ignore[misc]
    case.until(lambda: len(heard) == 50)
    assert done == heard == list(range(50))


def test_nobody_is_answered_from_within(case: Case) -> None:
    heard: list[int | OdysseyError] = []
    case.worker.run(lambda: 1, heard.append)
    assert heard == []
    case.until(lambda: heard)


def test_whoever_is_answered_may_ask_again(case: Case) -> None:
    heard: list[int | OdysseyError] = []

    def more(found: int | OdysseyError) -> None:
        heard.append(found)
        if len(heard) < 5:
            case.worker.run(lambda: len(heard), more)

    case.worker.run(lambda: 0, more)
    case.until(lambda: len(heard) == 5)
    assert heard == [0, 1, 2, 3, 4]


def test_an_error_on_purpose_is_an_answer(case: Case) -> None:
    error, heard = Broken("it has failed", hint="look at it"), list[object]()

    def fail() -> int:
        raise error

    case.worker.run(fail, heard.append)
    case.worker.run(lambda: 1, heard.append)
    case.until(lambda: len(heard) == 2)
    assert heard == [error, 1]


def test_a_bug_is_raised_on_the_loop(case: Case) -> None:
    heard: list[object] = []
    case.worker.run(lambda: 1 // 0, heard.append)
    with pytest.raises(ZeroDivisionError):
        case.until(lambda: heard)
    assert heard == []


def test_after_closing_nobody_is_answered_but_all_is_done(case: Case) -> None:
    done, heard = list[int](), list[object]()
    for number in range(3):
        case.worker.run(lambda number=number: done.append(number), heard.append)  # type: ignore[misc]
    case.close()
    case.close = lambda: None  # type: ignore[method-assign]
    assert (done, heard) == ([0, 1, 2], [])


def test_the_real_one_is_one_thread_and_not_this_one() -> None:
    case, threads = Real(), list[object]()
    for _ in range(5):
        case.worker.run(threading.get_ident, threads.append)
    case.until(lambda: len(threads) == 5)
    case.close()
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()

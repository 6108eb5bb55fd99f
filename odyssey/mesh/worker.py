"""The one thread that touches a store, as a port: a job goes in, what it gave comes back on the loop.

Promises: jobs run one after the other in the order they came, and are answered in that order, never from within `run`.
An `OdysseyError` is an answer. Anything else that a job raises is a bug and is raised on the loop, where it ends what
runs there.
Never: runs a job twice, or answers after `close`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NoReturn, Protocol, TypeVar

from odyssey.errors import OdysseyError

T = TypeVar("T")


class Worker(Protocol):
    def run(self, job: Callable[[], T], done: Callable[[T | OdysseyError], None]) -> None: ...


def outcome(job: Callable[[], T]) -> T | OdysseyError:
    try:
        return job()
    except OdysseyError as error:
        return error


class ThreadWorker(Worker):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._closed = loop, False
        self._thread = ThreadPoolExecutor(1, "store")

    def run(self, job: Callable[[], T], done: Callable[[T | OdysseyError], None]) -> None:
        self._thread.submit(self._carry_out, job, done)

    def _carry_out(self, job: Callable[[], T], done: Callable[[T | OdysseyError], None]) -> None:
        try:
            found = outcome(job)
        except BaseException as bug:  # noqa: BLE001 - the loop raises it, and the thread lives on for `close`
            self._hand_over(_raise, bug)
        else:
            self._hand_over(done, found)

    def _hand_over(self, call: Callable[[T], object], value: T) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is there to hear it
            self._loop.call_soon_threadsafe(self._answer, call, value)

    def _answer(self, call: Callable[[T], object], value: T) -> None:
        if not self._closed:
            call(value)

    def close(self) -> None:
        """Waits for the jobs that were asked for, and forgets their answers."""
        self._closed = True
        self._thread.shutdown(wait=True)


def _raise(bug: BaseException) -> NoReturn:
    raise bug

"""An asyncio event loop whose time is a number: it jumps to the next timer instead of waiting for it.

It does itself what a simulation does a million times, and no more: callbacks by time. Coroutines, tasks and futures
run on it as on any other loop; sockets, threads and processes it has none.

Promises: callbacks run in the order of their times, equal times in the order they were asked for; what one raises ends
the run, and is raised there.
Never: blocks; with nothing left to do it says so.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Idle(Exception):
    """No timer is left: nothing can ever happen again."""


class Timer:
    """What `call_later` gives: may be cancelled."""

    __slots__ = ("args", "callback")

    def __init__(self, callback: Callable[..., object] | None, args: tuple[Any, ...]) -> None:
        self.callback, self.args = callback, args

    def cancel(self) -> None:
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        return self.callback is None


class VirtualLoop:
    def __init__(self) -> None:
        self._now = 0.0
        self._due: list[tuple[float, int, Timer]] = []
        self._order = count().__next__
        self._failure: BaseException | None = None
        self._stopping = self._running = self._closed = False

    # -- time ----------------------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    @property
    def now_ms(self) -> int:
        return round(self._now * 1000)

    # The context of the caller is not taken along: only tasks bring one, and use it.

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Timer:
        timer = Timer(callback, args) if context is None else Timer(context.run, (callback, *args))
        heappush(self._due, (self._now + delay, self._order(), timer))
        return timer

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Timer:
        timer = Timer(callback, args) if context is None else Timer(context.run, (callback, *args))
        heappush(self._due, (when, self._order(), timer))
        return timer

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Timer:
        return self.call_at(self._now, callback, *args, context=context)

    # -- running -------------------------------------------------------------------------------------------------------

    def run_until(self, seconds: float) -> None:
        """Let virtual time pass; raise what a callback raised."""
        self._run(seconds)
        self._now = max(self._now, seconds)

    def run_forever(self) -> None:
        """Until `stop`."""
        self._run(float("inf"))
        if not self._stopping:
            raise Idle

    def run_until_complete(self, awaited: Coroutine[Any, Any, T] | asyncio.Future[T]) -> T:
        future = asyncio.ensure_future(awaited, loop=self._as_asyncio)
        future.add_done_callback(lambda _: self.stop())
        self.run_forever()
        return future.result()

    def _run(self, seconds: float) -> None:
        """The heart: everything up to this moment, unless somebody stops it."""
        due, self._stopping, self._running = self._due, False, True
        before = events._get_running_loop()
        events._set_running_loop(self._as_asyncio)
        try:
            while due and due[0][0] <= seconds and not self._stopping:
                when, _, timer = heappop(due)
                if when > self._now:
                    self._now = when
                if timer.callback is not None:
                    timer.callback(*timer.args)
        finally:
            events._set_running_loop(before)
            self._running = False
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self._stopping = True

    def is_running(self) -> bool:
        return self._running

    def close(self) -> None:
        self._due.clear()
        self._closed = True

    def is_closed(self) -> bool:
        return self._closed

    # -- for coroutines ------------------------------------------------------------------------------------------------

    @property
    def _as_asyncio(self) -> asyncio.AbstractEventLoop:
        """All of one that a loop without sockets and threads is asked for."""
        return cast(asyncio.AbstractEventLoop, self)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self._as_asyncio)

    def create_task(self, coro: Coroutine[Any, Any, T], **named: Any) -> asyncio.Task[T]:
        return asyncio.Task(coro, loop=self._as_asyncio, **named)

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What a task raised and nobody asked for ends the run; asyncio itself would only write it down."""
        self._failure = self._failure or context.get("exception") or RuntimeError(context["message"])
        self.stop()


def new_loop() -> VirtualLoop:
    return VirtualLoop()

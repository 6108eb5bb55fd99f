"""An asyncio event loop whose time is a number: it jumps to the next timer instead of waiting for it.

Promises: callbacks run in the order of their times, equal times in the order they were asked for.
Never: blocks; with nothing left to do it says so.
"""

import asyncio
from asyncio import base_events
from typing import Any


class Idle(Exception):
    """No timer is left: nothing can ever happen again."""


class _Selector:
    """Stands where the loop would wait for sockets: moves the time on by what it was asked to wait."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise Idle
        self.now += timeout
        return []


class VirtualLoop(base_events.BaseEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._selector = _Selector()
        self._clock_resolution = 1e-9
        self._failure: BaseException | None = None
        self.set_exception_handler(self._fail)

    def _fail(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a callback raises ends the run; asyncio itself would only write it down."""
        self._failure = self._failure or context.get("exception") or RuntimeError(context["message"])
        self.stop()

    def time(self) -> float:
        return self._selector.now

    def _process_events(self, event_list: list[object]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    @property
    def now_ms(self) -> int:
        return round(self._selector.now * 1000)

    def run_until(self, seconds: float) -> None:
        """Let virtual time pass; raise what a callback raised."""
        self.call_at(seconds, self.stop)
        self.run_forever()
        if self._failure is not None:
            raise self._failure


def new_loop() -> VirtualLoop:
    loop = VirtualLoop()
    asyncio.set_event_loop(None)
    return loop

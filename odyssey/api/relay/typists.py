"""Who types at this machine into terminals that another machine gives out: when they go, that one is told.

Promises: told once, when the last connection is gone over which somebody has typed; a place that is not given free so
can be taken.
Never: keeps what was typed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from msgspec.structs import replace

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.door import visit
from odyssey.errors import OdysseyError

Passed = Callable[[r.Type], Awaitable[v.Typed]]


class Typists:
    def __init__(self, passed: Passed) -> None:
        self._passed = passed
        self._visits: dict[int, asyncio.Future[None]] = {}  # by writer: the last one
        self._going: set[asyncio.Task[None]] = set()

    async def type(self, request: r.Type) -> v.Typed:
        visiting = visit()
        if visiting is not None and self._visits.get(request.writer) is not visiting:
            self._visits[request.writer] = visiting
            visiting.add_done_callback(lambda gone: self._gone(request, gone))
        return await self._passed(request)

    def _gone(self, request: r.Type, visiting: asyncio.Future[None]) -> None:
        if self._visits.get(request.writer) is not visiting:
            return  # it came back over another one
        del self._visits[request.writer]
        loop = asyncio.get_event_loop()
        if not loop.is_closed():
            task = loop.create_task(self._tell(replace(request, data=b"", rows=0, columns=0, is_over=True)))
            self._going.add(task)
            task.add_done_callback(self._going.discard)

    async def _tell(self, request: r.Type) -> None:
        with suppress(OdysseyError):
            await self._passed(request)

"""Who writes at this machine to a standard input that another one keeps: when they have gone and do not come back, what
was written is all.

Promises: said once, `ABANDONED_SECONDS` after the last connection is gone over which somebody wrote.
Never: keeps what was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.door import visit
from odyssey.api.spool import ABANDONED_SECONDS
from odyssey.errors import OdysseyError

Passed = Callable[[r.PutStdin], Awaitable[v.HowFar]]


class Writers:
    def __init__(self, passed: Passed) -> None:
        self._passed = passed
        self._visits: dict[bytes, asyncio.Future[None]] = {}  # of standard inputs that have no end yet: the last one
        self._sizes: dict[bytes, int] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def put(self, request: r.PutStdin) -> v.HowFar:
        self._note(request.name)
        here = await self._passed(request)
        self._sizes[request.name] = here.size
        if here.is_complete:
            self._forget(request.name)
        return here

    def _note(self, name: bytes) -> None:
        visiting = visit()
        if visiting is not None and self._visits.get(name) is not visiting:
            self._visits[name] = visiting
            visiting.add_done_callback(lambda gone: self._gone(name, gone))

    def _gone(self, name: bytes, visiting: asyncio.Future[None]) -> None:
        loop = visiting.get_loop()
        if self._visits.get(name) is visiting and not loop.is_closed():
            loop.call_later(ABANDONED_SECONDS, self._end, name, visiting)

    def _end(self, name: bytes, visiting: asyncio.Future[None]) -> None:
        if self._visits.get(name) is visiting:
            end = r.PutStdin(name, self._sizes.get(name, 0), b"", is_end=True)
            self._forget(name)
            task = asyncio.get_running_loop().create_task(self._tell(end))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _forget(self, name: bytes) -> None:
        self._visits.pop(name, None)
        self._sizes.pop(name, None)

    async def _tell(self, end: r.PutStdin) -> None:
        with suppress(OdysseyError):  # whoever keeps it hears that this machine is not there
            await self._passed(end)

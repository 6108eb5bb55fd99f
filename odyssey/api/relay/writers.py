"""Who writes at this machine to a standard input that another one keeps: all of it goes to the one that has its
beginning, whoever coordinates meanwhile; when they have gone and do not come back, what was written is all.

Promises: the end is said once, `ABANDONED_SECONDS` after the last connection is gone over which somebody wrote.
Never: keeps what was written.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.door import visit
from odyssey.api.spool import ABANDONED_SECONDS
from odyssey.errors import OdysseyError, Unreachable
from odyssey.ids import NodeId

MOST: Final = 4_096  # that have no end yet

Passed = Callable[[NodeId, r.PutStdin], Awaitable[v.HowFar]]


class Writers:
    """`keepers` are machines that may keep it, the best one first."""

    def __init__(self, passed: Passed, keepers: Callable[[], Sequence[NodeId]]) -> None:
        self._passed, self._keepers = passed, keepers
        self._kept: OrderedDict[bytes, NodeId] = OrderedDict()  # where the beginning is
        self._visits: dict[bytes, asyncio.Future[None]] = {}  # of standard inputs that have no end yet: the last one
        self._sizes: dict[bytes, int] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def put(self, request: r.PutStdin) -> v.HowFar:
        self._note(request.name)
        keeper = self._keeper(request.name)
        here = await self._passed(keeper, request)
        self._kept[request.name] = keeper
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
        self._sizes[request.name] = here.size
        if here.is_complete:
            self._forget(request.name)
        return here

    def _keeper(self, name: bytes) -> NodeId:
        if (keeper := self._kept.get(name)) is not None:
            return keeper
        if not (keepers := self._keepers()):
            hint = "see who is missing: odyssey nodes"
            raise Unreachable("no machine that keeps this mesh's jobs can be reached", hint=hint)
        return keepers[0]

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
            keeper = self._kept.get(name)
            self._forget(name)
            if keeper is None:
                return
            task = asyncio.get_running_loop().create_task(self._tell(keeper, end))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _forget(self, name: bytes) -> None:
        self._kept.pop(name, None)
        self._visits.pop(name, None)
        self._sizes.pop(name, None)

    async def _tell(self, keeper: NodeId, end: r.PutStdin) -> None:
        with suppress(OdysseyError):  # whoever keeps it hears that this machine is not there
            await self._passed(keeper, end)


class Homes:
    """Which standard inputs have their beginning on this machine, and which on another one."""

    def __init__(self) -> None:
        self._is_own: OrderedDict[bytes, bool] = OrderedDict()

    def is_own(self, name: bytes, coordinates: bool) -> bool:
        return self._is_own.get(name, coordinates)

    def note(self, name: bytes, is_own: bool, is_complete: bool) -> None:
        if is_complete:
            self._is_own.pop(name, None)
            return
        self._is_own[name] = is_own
        if len(self._is_own) > MOST:
            self._is_own.popitem(last=False)

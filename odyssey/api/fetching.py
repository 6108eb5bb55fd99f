"""Fetches output from the machines where attempts run: one question at a time for each machine, which it answers when
there is something new.

Promises: asks again as long as somebody wants it, also after a machine did not answer; a new wish interrupts a question
that only waits.
Never: asks for more than somebody may take.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from odyssey.api import errands as q
from odyssey.api.distant import Distant
from odyssey.api.ports import Counter
from odyssey.errors import OdysseyError
from odyssey.ids import NodeId

WAIT_MS: Final = 10_000  # on the other side, for something new
AGAIN_S: Final = 0.5  # after no answer
SOON_S: Final = 0.005  # a question is not interrupted that may be answered so soon
GATHER_S: Final = 0.001  # wishes that come together are asked together


class Fetching:
    """`news` is called when more can be read, or when a machine fell silent, or answers again."""

    def __init__(self, counter: Counter, news: Callable[[], None]) -> None:
        self._counter, self._news = counter, news
        self.outputs = Distant(self._wanted)
        self._wishes: dict[NodeId, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._asking: set[NodeId] = set()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _wanted(self, node: NodeId, is_new: bool) -> None:
        wish = self._wishes.get(node)
        if wish is None:
            wish = self._wishes[node] = asyncio.Event()
            self._tasks.append(asyncio.get_running_loop().create_task(self._fetch(node, wish)))
        if is_new or node not in self._asking:
            wish.set()

    @property
    def _now(self) -> int:
        return self._counter.clock.monotonic_ms()

    async def _fetch(self, node: NodeId, wish: asyncio.Event) -> None:
        while True:
            wish.clear()
            wants = self.outputs.wants(node, self._now)
            if not wants:
                await self._rest(node, wish)
                continue
            try:
                pieces = await self._ask(node, wants, wish)
            except OdysseyError as error:
                if self.outputs.failed(node, error.message, self._now):
                    self._news()
                await asyncio.sleep(AGAIN_S)
                continue
            if pieces is not None:
                was_silent = self.outputs.answered(node)
                self.outputs.take(wants, pieces.pieces, self._now)
                if pieces.pieces or was_silent:
                    self._news()

    async def _rest(self, node: NodeId, wish: asyncio.Event) -> None:
        due_ms = self.outputs.due_ms(node, self._now) if self.outputs.has_room(node) else None
        with suppress(TimeoutError):
            async with asyncio.timeout(None if due_ms is None else due_ms / 1000):
                await wish.wait()
        await asyncio.sleep(GATHER_S)

    async def _ask(self, node: NodeId, wants: tuple[q.Want, ...], wish: asyncio.Event) -> q.Pieces | None:
        """None: there is more to ask for."""
        due_ms = self.outputs.due_ms(node, self._now)
        wait_ms = WAIT_MS if due_ms is None else min(due_ms, WAIT_MS)
        self._asking.add(node)
        asking = asyncio.ensure_future(self._counter.others.ask(node, q.AskOutput(wants, wait_ms)))
        wishing = asyncio.ensure_future(wish.wait())
        try:
            await asyncio.wait((asking, wishing), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():  # an answer may just be on its way
                await asyncio.wait((asking,), timeout=SOON_S)
            return asking.result() if asking.done() else None
        finally:
            self._asking.discard(node)
            for one in (asking, wishing):
                one.cancel()

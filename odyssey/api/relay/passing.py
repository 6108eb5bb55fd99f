"""The handlers of a machine that keeps no log: what is asked at its door is passed on to one that does.

Promises: an answer that has begun comes from one machine; what was refused there is refused here in the same words; a
question that is harmless twice is asked elsewhere when nobody answers.
Never: keeps an answer, or more of it than a window.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol

from odyssey import wire
from odyssey.api import frames
from odyssey.api.door import Handler
from odyssey.api.errands import BY_REQUEST, A, Errand
from odyssey.api.operations import BY_NAME, ISSUED, TABLE, Operation
from odyssey.api.relay.questions import Questions
from odyssey.api.relay.typists import Typists
from odyssey.api.relay.writers import Writers
from odyssey.api.requests import PutStdin, Type
from odyssey.api.rights import Right
from odyssey.api.views import HowFar, Typed, View
from odyssey.errors import OdysseyError, Unreachable
from odyssey.ids import NodeId
from odyssey.messages import Asked, Parts

TICK_S: Final = 0.25
MOST_TRIES: Final = 3  # machines that are asked, one after the other
MOST_KEEPERS: Final = 16  # one of them may have what a job needs
ONCE: Final = frozenset({"retry", "approve", "stepdown", "invite"})  # asked twice, it might happen twice

Post = Callable[[NodeId, Asked], None]


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


class Passing:
    """`keepers` are machines that keep the log, `issuers` those that let machines in; the best one to ask first."""

    def __init__(
        self,
        run: int,
        post: Post,
        keepers: Callable[[], Sequence[NodeId]],
        now: Callable[[], int],
        timers: Timers,
        issuers: Callable[[], Sequence[NodeId]] = tuple,
        leads: Callable[[], NodeId | None] = lambda: None,
        keeps: Callable[[], bool] = lambda: False,
    ) -> None:
        """`leads` is who coordinates, as far as is known just now; `keeps`: the log is here too."""
        self._questions, self._post, self._keepers, self._now = Questions(run), post, keepers, now
        self._issuers, self._leads, self._keeps = issuers, leads, keeps
        self._timers, self._is_ticking = timers, False
        self.handlers: dict[str, Handler] = {
            row.name: self._handler(row) for row in TABLE if row.right is not Right.HERE
        }
        self.handlers["type"] = Typists(self._type).type
        self.handlers["stdin_put"] = Writers(self._put, keepers).put

    def _handler(self, row: Operation) -> Handler:
        if row.streams:
            return lambda request: self._stream(row, request)
        return lambda request: self._call(row, request)

    # -- letters -------------------------------------------------------------------------------------------------------

    def hear(self, sender: NodeId, letter: Parts) -> None:
        self._say(self._questions.hear(sender, letter, self._now()))

    def lost(self, keeper: NodeId) -> None:
        """The link to it was down."""
        self._say(self._questions.lost(keeper, self._now()))

    def _say(self, letters: Iterable[tuple[NodeId, Asked]]) -> None:
        for keeper, letter in letters:
            self._post(keeper, letter)

    def _tick(self) -> None:
        self._say(self._questions.led_by(self._leads(), self._now()))
        self._say(self._questions.tick(self._now()))
        self._is_ticking = bool(self._questions)
        if self._is_ticking:
            self._timers.call_later(TICK_S, self._tick)

    # -- questions -----------------------------------------------------------------------------------------------------

    async def _call(self, row: Operation, request: Any) -> View:
        async with aclosing(self._asked(row, request)) as parts:
            async for part in parts:
                return wire.decode(part, row.answer, frames.BODY)
        raise OdysseyError("the machine that was asked gave no answer", hint="see its log")

    async def _type(self, request: Type) -> Typed:
        typed = await self._call(BY_NAME["type"], request)
        assert isinstance(typed, Typed)
        return typed

    async def _put(self, keeper: NodeId, request: PutStdin) -> HowFar:
        async with aclosing(self._answer(keeper, "stdin_put", wire.encode(request))) as parts:
            async for part in parts:
                return wire.decode(part, HowFar, frames.BODY)
        raise Unreachable("the machine that was asked gave no answer", hint="see its log")

    async def _stream(self, row: Operation, request: Any) -> AsyncGenerator[View, None]:
        async with aclosing(self._asked(row, request)) as parts:
            async for part in parts:
                yield wire.decode(part, row.answer, frames.BODY)

    async def _asked(self, row: Operation, request: Any) -> AsyncGenerator[bytes, None]:
        body = wire.encode(request)
        keepers = (self._issuers() if row.name in ISSUED else self._keepers())[: 1 if row.name in ONCE else MOST_TRIES]
        if not keepers:
            hint = "see who is missing: odyssey nodes; what runs goes on"
            raise Unreachable("no machine that keeps this mesh's jobs can be reached", hint=hint)
        for tries_left, keeper in zip(reversed(range(len(keepers))), keepers, strict=True):
            has_begun = False
            try:
                async with aclosing(self._answer(keeper, row.name, body, keeper == self._leads())) as parts:
                    async for part in parts:
                        has_begun = True
                        yield part
                return
            except Unreachable:
                if has_begun or not tries_left or self._keeps():  # then this machine knows as much as another one
                    raise

    async def at(self, node: NodeId, row: Operation, request: Any) -> View:
        """Of that machine, whether it keeps the log or not."""
        async with aclosing(self._answer(node, row.name, wire.encode(request))) as parts:
            async for part in parts:
                return wire.decode(part, row.answer, frames.BODY)
        raise Unreachable("the machine that was asked gave no answer", hint="see its log")

    async def ask(self, node: NodeId, errand: Errand[A]) -> A:
        """Of that machine, on behalf of a job."""
        row = BY_REQUEST[type(errand)]
        async with aclosing(self._answer(node, row.name, wire.encode(errand))) as parts:
            async for part in parts:
                answer: A = wire.decode(part, row.answer, frames.BODY)
                return answer
        raise Unreachable("the machine that was asked gave no answer", hint="see its log")

    def who_keeps(self) -> Sequence[NodeId]:
        return self._keepers()[:MOST_KEEPERS]

    async def _answer(
        self, keeper: NodeId, op: str, body: bytes, is_for_leader: bool = False
    ) -> AsyncGenerator[bytes, None]:
        answer = _Answer()
        number, ask = self._questions.ask(keeper, op, body, answer.hear, self._now(), is_for_leader)
        try:
            self._post(keeper, ask)
            if not self._is_ticking:
                self._is_ticking = True
                self._timers.call_later(TICK_S, self._tick)
            while (part := await answer.take()) is not None:
                self._say(self._questions.used(number, len(part), self._now()))
                yield part
        finally:
            self._say(self._questions.stop(number))


class _Answer:
    """As it comes, for whoever takes it."""

    def __init__(self) -> None:
        self._parts: deque[bytes] = deque()
        self._is_over = False
        self._error: OdysseyError | None = None
        self._news = asyncio.Event()

    def hear(self, parts: Sequence[bytes], is_over: bool, error: OdysseyError | None) -> None:
        self._parts.extend(parts)
        self._is_over, self._error = is_over, error
        self._news.set()

    async def take(self) -> bytes | None:
        """None: that was all."""
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._is_over:
                return None
            self._news.clear()
            await self._news.wait()
        return self._parts.popleft()

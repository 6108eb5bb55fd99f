"""The asyncio client of the local door, for faces that do many things at once.

Like the blocking one: a connection for each question under way, patience with a daemon that restarts, and a follow that
goes on where it was. A part is read when somebody wants it, so a face that is slow slows down only that stream.

Promises: an answer, or an error of `odyssey.errors`; leaving a stream ends the question.
Never: blocks the loop, or starts a daemon.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

from odyssey import errors, wire
from odyssey.api import frames
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.client import PATIENCE_SECONDS
from odyssey.api.cuts import Cut
from odyssey.api.following import Marks
from odyssey.api.operations import BY_REQUEST, Operation
from odyssey.api.refusals import GONE, Broken, Patience, refused


class _Line:
    """One greeted connection, one question at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._number = reader, writer, 0

    @classmethod
    async def opened(cls, path: str) -> _Line:
        line = cls(*await asyncio.open_unix_connection(path))
        try:
            line._say(frames.Hello(frames.VERSION))
            hello = await line._next()
            if isinstance(hello, frames.Refused):
                raise refused(hello)
        except BaseException:
            line.close()
            raise
        return line

    def close(self) -> None:
        self._writer.close()

    async def ask(self, row: Operation, request: r.Request[Any]) -> int:
        self._number += 1
        self._say(frames.Ask(self._number, row.name, wire.encode(request)))
        return self._number

    async def answer(self, number: int, row: Operation) -> Any:
        while True:
            frame = await self._next()
            match frame:
                case frames.Reply() | frames.Part() if frame.number == number:
                    return wire.decode(frame.body, row.answer, frames.BODY)
                case frames.Done() if frame.number == number:
                    return None
                case frames.Refused() if frame.number in (0, number):
                    raise refused(frame)
                case _:
                    pass

    def _say(self, frame: frames.Frame) -> None:
        self._writer.write(frames.packed(frame))

    async def _next(self) -> frames.ToClient:
        try:
            size = frames.length(await self._reader.readexactly(frames.LENGTH))
            return wire.decode_message(await self._reader.readexactly(size), frames.ToClient, frames.FRAME)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Broken("the daemon has gone", hint=GONE) from error


class AsyncClient:
    """`path` and `patience` are as those of `client.Client`. Used from one loop."""

    def __init__(self, path: Callable[[], str] | str | os.PathLike[str], patience: float = PATIENCE_SECONDS) -> None:
        self._path = path if callable(path) else lambda: os.fspath(path)
        self._patience = patience
        self._idle: deque[_Line] = deque()
        self._has_met = self._closed = False

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    # -- asking --------------------------------------------------------------------------------------------------------

    async def call(self, request: r.Request[r.A]) -> r.A:
        row = BY_REQUEST[type(request)]
        answer: r.A = await self._patiently(lambda: self._once(row, request))
        return answer

    async def stream(self, request: r.Request[r.A]) -> AsyncGenerator[r.A, None]:
        async with aclosing(self._parts(*await self._asked(request))) as parts:
            async for part in parts:
                yield part

    async def follow(self, request: r.Follow) -> AsyncGenerator[v.AnyItem, None]:
        """To the job's end, over restarts of the daemon and cuts of the network."""
        marks, cut = Marks(request), Cut()
        while True:
            asked = await self._asked(marks.request())  # here patience has an end
            over: v.Over | None = None
            try:
                async with aclosing(self._parts(*asked)) as parts:
                    async for told in parts:
                        cut.answered()
                        for item in told.items:
                            if isinstance(item, v.Over):
                                over = item  # told when the line is free again: nobody asks for more
                            elif marks.note(item):
                                yield item
            except Broken:
                if over is None:
                    continue
            except errors.Unreachable as error:
                if (pause := cut.pause(error, asyncio.get_running_loop().time())) is None:
                    raise
                await asyncio.sleep(pause)
                continue
            if over is not None:
                yield over
            return

    async def _asked(self, request: r.Request[Any]) -> tuple[_Line, int, Operation]:
        row = BY_REQUEST[type(request)]
        line, number = await self._patiently(lambda: self._begin(row, request))
        return line, number, row

    async def _parts(self, line: _Line, number: int, row: Operation) -> AsyncGenerator[Any, None]:
        is_whole = False
        try:
            while (part := await line.answer(number, row)) is not None:
                yield part
            is_whole = True
        finally:
            self._put_back(line, is_whole)

    # -- connections ---------------------------------------------------------------------------------------------------

    async def _once(self, row: Operation, request: r.Request[Any]) -> Any:
        line, number = await self._begin(row, request)
        is_whole = False
        try:
            answer = await line.answer(number, row)
            is_whole = True
        except errors.OdysseyError as error:
            is_whole = not isinstance(error, Broken | errors.WireError)
            raise
        finally:
            self._put_back(line, is_whole)
        if answer is None:
            raise Broken("the daemon stops", hint="try again")
        return answer

    async def _begin(self, row: Operation, request: r.Request[Any]) -> tuple[_Line, int]:
        line = self._idle.pop() if self._idle else await self._connect()
        try:
            return line, await line.ask(row, request)
        except BaseException:
            line.close()
            raise

    async def _connect(self) -> _Line:
        if self._closed:
            raise errors.Unreachable("this client is closed", hint="make another one")
        try:
            async with asyncio.timeout(self._patience or None):
                line = await _Line.opened(self._path())
        except TimeoutError as error:
            raise errors.Unreachable("the daemon does not answer", hint=GONE) from error
        except OSError as error:
            raise Broken("no daemon runs here", hint="start one: odyssey up") from error
        self._has_met = True
        return line

    def _put_back(self, line: _Line, is_whole: bool) -> None:
        if is_whole and not self._closed:
            self._idle.append(line)
        else:
            with suppress(RuntimeError):  # the loop is closed
                line.close()

    async def _patiently(self, what: Callable[[], Awaitable[Any]]) -> Any:
        now = asyncio.get_running_loop().time
        patience = Patience(now(), self._patience)
        while True:
            try:
                return await what()
            except Broken:
                while self._idle:  # of the daemon that has gone
                    self._idle.pop().close()
                pause = patience.pause(now())
                if not self._has_met or pause is None:
                    raise
            await asyncio.sleep(pause)

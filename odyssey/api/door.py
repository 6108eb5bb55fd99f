"""The local door: a unix socket, frames, and who may come in.

Each connection is a `_Visitor`. What it asks is served by tasks of its own, many at once up to a limit; beyond it
nothing more is read, and while the visitor does not take what it is sent, nothing more is made for it.

Promises: only the owner of the home (and root) is let in; what a visitor sends is bounded before it is read; a slow,
dead or mad visitor costs a bounded amount of memory and nobody else's time; when it goes, what it asked for ends, but
not what is on its way onto the log.
Never: knows what an operation means.
"""

import asyncio
import os
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from odyssey import __version__, wire
from odyssey.api import frames
from odyssey.api import requests as r
from odyssey.api.frames import Ask, Done, Frame, Hello, Part, Refused, Reply, Stop
from odyssey.api.operations import BY_NAME, Operation
from odyssey.api.views import View
from odyssey.errors import (
    Malformed,
    NotPermitted,
    NotUnderstood,
    OdysseyError,
    TooLarge,
    UsageError,
    WireError,
    echo,
    one_line,
)

MOST_VISITORS: Final = 512
MOST_ASKED: Final = 64  # at once, by one visitor
BACKLOG: Final = 128
HELLO_SECONDS: Final = 10.0
A_TURN: Final = 128 << 10  # bytes made for one visitor while others wait
BUFFERED: Final = 256 << 10  # bytes that wait for a visitor before nothing more is made for it

Handler = Callable[[Any], Awaitable[View] | AsyncGenerator[View, None]]


_ASKING: Final[ContextVar[asyncio.Future[None] | None]] = ContextVar("asking", default=None)


def visit() -> asyncio.Future[None] | None:
    """For a handler: done when whoever asks has gone. Another connection of the same program is another visit."""
    return _ASKING.get()


class Door:
    """`report` is told of bugs: whatever a handler raises that is no `OdysseyError`."""

    def __init__(self, handlers: Mapping[str, Handler], report: Callable[[BaseException], None]) -> None:
        self._handlers, self._report = handlers, report
        self._visitors: set[_Visitor] = set()
        self.visits = 0  # since it was made
        self._server: asyncio.Server | None = None

    async def open(self, path: Path) -> None:
        """The caller holds the lock of the home, so a socket that is there is left over."""
        await self.listen(bound(path))

    async def listen(self, listener: socket.socket) -> None:
        """Also in the place of one that was there before: who came through that one stays."""
        before = self._server
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(self._visitor, sock=listener, backlog=BACKLOG)
        except BaseException:
            listener.close()
            raise
        if before is not None:
            before.close()

    def _visitor(self) -> "_Visitor":
        self.visits += 1
        return _Visitor(self._visitors, self._handlers, self._report)

    async def close(self) -> None:
        """Whoever is served is cut off."""
        if self._server is not None:
            self._server.close()
        for visitor in list(self._visitors):
            visitor.end()
        await asyncio.gather(*(visitor.gone for visitor in list(self._visitors)), return_exceptions=True)


class _Visitor(asyncio.Protocol):
    def __init__(
        self, all_of_them: "set[_Visitor]", handlers: Mapping[str, Handler], report: Callable[[BaseException], None]
    ) -> None:
        self._all, self._handlers, self._report = all_of_them, handlers, report
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._came = bytearray()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._greeted = self._closed = False
        self._room = asyncio.Event()
        self._room.set()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._impatience: asyncio.TimerHandle | None = None

    # -- coming and going ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=BUFFERED)
        self._all.add(self)
        if len(self._all) > MOST_VISITORS:
            self._refuse_all(OdysseyError("too many programs talk to this daemon", hint="end some of them"))
        elif not may_enter(transport.get_extra_info("socket")):
            hint = "log in as the owner of this machine's mesh, or start your own: odyssey up"
            self._refuse_all(NotPermitted("this daemon belongs to somebody else", hint=hint))
        else:
            self._impatience = self._loop.call_later(HELLO_SECONDS, self.end)

    def connection_lost(self, _: Exception | None) -> None:
        self._closed = True
        self._all.discard(self)
        self._room.set()
        if self._impatience is not None:
            self._impatience.cancel()
        for task in self._tasks.values():
            task.cancel()
        if not self._tasks:
            self._leave()

    def _leave(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    def end(self) -> None:
        self._transport.abort()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # -- what it says --------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._came += data
        try:
            while not self._closed and (frame := self._next()) is not None:
                self._hear(frame)
        except WireError as error:
            self._refuse_all(error)

    def _next(self) -> frames.ToDaemon | None:
        if len(self._came) < frames.LENGTH:
            return None
        end = frames.LENGTH + frames.length(bytes(self._came[: frames.LENGTH]))
        if len(self._came) < end:
            return None
        data = bytes(memoryview(self._came)[frames.LENGTH : end])
        del self._came[:end]
        return wire.decode_message(data, frames.ToDaemon, frames.FRAME)

    def _hear(self, frame: frames.ToDaemon) -> None:
        match frame:
            case Hello():
                self._greet()
            case _ if not self._greeted:
                raise Malformed("the first word is no hello")
            case Ask(number=number) if number in self._tasks:
                raise Malformed(f"the number {number} is in use")
            case Ask():
                self._serve(frame)
            case Stop(number=number):
                self._stop(number)

    def _greet(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
        self._greeted = True
        self._send(Hello(frames.VERSION, __version__))

    def _serve(self, ask: Ask) -> None:
        task = self._loop.create_task(self._answer(ask))
        self._tasks[ask.number] = task
        task.add_done_callback(lambda _: self._served(ask.number))
        if len(self._tasks) >= MOST_ASKED:
            self._transport.pause_reading()

    def _served(self, number: int) -> None:
        self._tasks.pop(number, None)
        if not self._closed:
            self._transport.resume_reading()
        elif not self._tasks:
            self._leave()

    def _stop(self, number: int) -> None:
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()

    # -- what it is told -----------------------------------------------------------------------------------------------

    async def _answer(self, ask: Ask) -> None:
        _ASKING.set(self.gone)
        try:
            await self._room.wait()  # nothing is made for who does not take what there is
            row = BY_NAME.get(ask.op)
            handler = self._handlers.get(ask.op)
            if row is None or handler is None:
                raise UsageError(
                    f"this daemon does not know the request {echo(ask.op)!r}",
                    hint="it is of another version than this program: odyssey down, then try again",
                )
            request = _read(row, ask.body)
            if row.streams:
                await self._stream(ask.number, handler(request))
            else:
                view = await handler(request)  # type: ignore[misc]
                self._send(Reply(ask.number, wire.encode(view)))
                self._flush()  # somebody waits for just this
        except asyncio.CancelledError:
            self._send(Done(ask.number))
            raise
        except OdysseyError as error:
            self._send(refusal(ask.number, error))
        except Exception as bug:  # noqa: BLE001 - one handler's bug is not the end of the daemon
            self._report(bug)
            text = f"a bug in Odyssey: {type(bug).__name__}"
            self._send(refusal(ask.number, OdysseyError(text, hint="see the daemon's log, and report it")))

    async def _stream(self, number: int, parts: Any) -> None:
        async with aclosing(parts):
            async for part in parts:
                self._send(Part(number, wire.encode(part)))
                if self._unsent_bytes >= A_TURN:
                    await asyncio.sleep(0)  # others have their turn, however much there is
                await self._room.wait()
        self._send(Done(number))
        self._flush()

    def _send(self, frame: Frame) -> None:
        if self._closed:
            return
        try:
            data = frames.packed(frame)
        except TooLarge as error:  # an answer that nobody bounded: a bug, told as what it is
            self._report(error)
            number = frame.number if isinstance(frame, Reply | Part) else 0
            data = frames.packed(refusal(number, OdysseyError("the answer is too large", hint="ask for fewer at once")))
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(data)
        self._unsent_bytes += len(data)

    def _flush(self) -> None:
        """What is said in one turn of the loop goes out as one: each piece by itself would wake the visitor."""
        if not self._unsent:
            return
        data = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
        self._unsent.clear()
        self._unsent_bytes = 0
        if not self._transport.is_closing():
            self._transport.write(data)

    def _refuse_all(self, error: OdysseyError) -> None:
        self._send(refusal(0, error))
        self._flush()
        self._closed = True
        self._transport.close()


def refusal(number: int, error: OdysseyError) -> Refused:
    hint = one_line(error.hint) if error.hint is not None else None
    kind = type(error)
    return Refused(number, one_line(error.message), hint, int(kind.exit_status), kind.fault.value, kind.__name__)


def bound(path: Path) -> socket.socket:
    with suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(os.fspath(path))
        path.chmod(0o600)  # before anybody can connect: nobody listens yet
    except BaseException:
        listening.close()
        raise
    return listening


# -- who may come in ---------------------------------------------------------------------------------------------------


def may_enter(visitor: socket.socket) -> bool:
    return peer_uid(visitor) in (os.getuid(), 0)


def peer_uid(visitor: socket.socket) -> int:
    """Who is at the other end, by the kernel's word."""
    if sys.platform == "linux":
        credentials = visitor.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[1])
    else:
        # struct xucred: its version, then the effective uid. SOL_LOCAL is 0, LOCAL_PEERCRED is 1. Not tested by us.
        return int(struct.unpack_from("2I", visitor.getsockopt(0, 1, 76))[1])


def _read(row: Operation, body: bytes) -> r.Request[Any]:
    try:
        request: r.Request[Any] = wire.decode(body, row.request, frames.BODY)
    except (Malformed, NotUnderstood) as error:
        hint = "after an upgrade: odyssey down, then odyssey up; what runs goes on"
        raise NotUnderstood(
            f"the daemon that runs here is of another version than what asks it ({row.name})", hint=hint
        ) from error
    return request

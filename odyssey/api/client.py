"""The blocking client of the local door: for one-shot commands and for programs. Plain sockets, quick to import.

Each question that is under way has a connection to itself, taken from those that are idle; so several threads may ask
at once. A daemon that restarts in between is waited for, and what was asked is asked again: every request says the same
when it is said twice.

Promises: an answer, or an error of `odyssey.errors`; a follow goes on where it was when the daemon is back.
Never: starts a daemon (`ensure` does, if it is given), or reads more into memory than one part at a time.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple, Self

from odyssey import errors, wire
from odyssey.api import frames
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.cuts import Cut
from odyssey.api.following import Marks
from odyssey.api.operations import BY_REQUEST, Operation
from odyssey.api.refusals import GONE, Broken, Patience, refused
from odyssey.api.retelling import Retelling
from odyssey.spec import Blob

PATIENCE_SECONDS: Final = 20.0  # for a daemon that is restarted
AGAIN_SECONDS: Final = 0.2  # before somebody who stopped telling is asked again
_READ: Final = 256 << 10


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Connection:
    """One socket, greeted. One question at a time."""

    def __init__(self, path: str, timeout: float | None = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._came = bytearray()
        self._number = 0
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
            with suppress(Broken):  # refused before a word: why is there to be read
                self._say(frames.Hello(frames.VERSION))
            self._greeted()
            self._socket.settimeout(None)
        except BaseException:
            self._socket.close()
            raise

    def _greeted(self) -> None:
        hello = self._next()
        if isinstance(hello, frames.Refused):
            raise refused(hello)
        if not isinstance(hello, frames.Hello):
            raise errors.Malformed("whoever listens there is no daemon of Odyssey")

    def close(self) -> None:
        self._socket.close()

    def interrupt(self) -> None:
        """From another thread: whoever reads here is told that it broke."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def ask(self, row: Operation, request: r.Request[Any]) -> int:
        self._number += 1
        self._say(frames.Ask(self._number, row.name, wire.encode(request)))
        return self._number

    def stop(self, number: int) -> None:
        self._say(frames.Stop(number))

    def answer(self, number: int, row: Operation, until: float | None = None) -> Any:
        """The one answer, or the next part; None when there is no more."""
        while True:
            if until is not None:
                self._socket.settimeout(max(0.001, until - time.monotonic()))
            frame = self._next()
            match frame:
                case frames.Reply() | frames.Part() if frame.number == number:
                    return wire.decode(frame.body, row.answer, frames.BODY)
                case frames.Done() if frame.number == number:
                    return None
                case frames.Refused() if frame.number in (0, number):
                    raise refused(frame)
                case _:
                    pass  # of a question that nobody wants answered any more

    def _say(self, frame: frames.Frame) -> None:
        try:
            self._socket.sendall(frames.packed(frame))
        except OSError as error:
            raise Broken("the daemon has gone", hint=GONE) from error

    def _next(self) -> frames.ToClient:
        size = frames.length(self._take(frames.LENGTH))
        return wire.decode_message(self._take(size), frames.ToClient, frames.FRAME)

    def _take(self, size: int) -> bytes:
        while len(self._came) < size:
            try:
                data = self._socket.recv(_READ)
            except TimeoutError:
                raise
            except OSError as error:
                raise Broken("the daemon has gone", hint=GONE) from error
            if not data:
                raise Broken("the daemon has gone", hint=GONE)
            self._came += data
        taken = bytes(memoryview(self._came)[:size])
        del self._came[:size]
        return taken


class _Asked(NamedTuple):
    """A question whose parts are to come."""

    connection: Connection
    number: int
    row: Operation


class Client:
    """`path` tells where the daemon's socket is each time it is asked: a daemon that starts may choose another.
    `patience` is for how many seconds one that was there and has gone is waited for."""

    def __init__(self, path: Callable[[], str] | str | os.PathLike[str], patience: float = PATIENCE_SECONDS) -> None:
        self._path = path if callable(path) else lambda: os.fspath(path)
        self._patience = patience
        self._idle: deque[Connection] = deque()
        self._lock = threading.Lock()
        self._closed = self._has_met = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        self._drop_idle()

    # -- asking --------------------------------------------------------------------------------------------------------

    def call(self, request: r.Request[r.A]) -> r.A:
        row = BY_REQUEST[type(request)]
        answer: r.A = self._patiently(lambda: self._once(row, request))
        return answer

    def stream(self, request: r.Request[r.A], until: float | None = None) -> Iterator[r.A]:
        """The parts as they come. It ends with `Broken` when the daemon goes; `follow` and `wait` come back. `until` is
        when it is too late for the next part, on the clock `time.monotonic`: a TimeoutError."""
        yield from self._parts(self._asked(request), until)

    def _asked(self, request: r.Request[r.A]) -> _Asked:
        row = BY_REQUEST[type(request)]
        connection, number = self._patiently(lambda: self._begin(row, request))
        return _Asked(connection, number, row)

    def _parts(self, asked: _Asked, until: float | None = None) -> Iterator[Any]:
        is_whole = False
        try:
            while (part := asked.connection.answer(asked.number, asked.row, until)) is not None:
                yield part
            is_whole = True
        finally:
            if is_whole and until is None:  # else it has a deadline of its own now
                self._put_back(asked.connection)
            else:
                asked.connection.close()

    def follow(
        self, request: r.Follow, reach: Callable[[errors.OdysseyError | None], None] = lambda _: None
    ) -> Iterator[v.AnyItem]:
        """Everything that is told of a job, to its end, over restarts of the daemon and cuts of the network. `reach` is
        told when the mesh is out of reach, and why, and with None when it is there again."""
        marks, cut = Marks(request), Cut()
        while True:
            asked = self._asked(marks.request())  # here patience has an end
            over: v.Over | None = None
            try:
                for told in self._parts(asked):
                    if cut.answered():
                        reach(None)
                    for item in told.items:
                        if isinstance(item, v.Over):
                            over = item  # told when the connection is free again: nobody asks for more
                        elif marks.note(item):
                            yield item
            except Broken:
                if over is None:
                    continue
            except errors.Unreachable as error:
                if (pause := cut.pause(error, time.monotonic())) is None:
                    raise
                reach(error)
                time.sleep(pause)
                continue
            if over is not None:
                yield over
            return

    def events(self, request: r.Events) -> Iterator[v.EventPage]:
        """What happened; who follows goes on over restarts of the daemon, without a gap and without doubles."""
        if not request.is_following:
            yield from self.stream(request)
            return
        told = Retelling(request)
        while True:
            asked = self._asked(told.request(_now_ms()))  # here patience has an end
            with suppress(Broken):
                for page in self._parts(asked):
                    if (news := told.news(page, _now_ms())).events:
                        yield news
            time.sleep(AGAIN_SECONDS)

    def put_blob(self, data: bytes) -> Blob:
        """The name under which a spec may speak of these bytes."""
        from hashlib import sha256  # costs every command 3 ms, and few put anything

        digest, size, at = sha256(data).digest(), len(data), 0
        while True:
            here = self.call(r.PutBlob(digest, size, at, data[at : at + frames.CHUNK]))
            if here.is_complete:
                return Blob(digest, size)
            at = here.size

    def wait(self, *refs: str, timeout: float | None = None) -> Iterator[v.JobView]:
        """Each of them as it ends, over restarts of the daemon. A TimeoutError when that takes longer than so many
        seconds."""
        until = time.monotonic() + timeout if timeout is not None else None
        told: set[int] = set()
        while True:
            asked = self._asked(r.Wait(refs))
            try:
                for job in self._parts(asked, until):
                    if job.id not in told:
                        told.add(job.id)
                        yield job
            except Broken:
                continue
            return

    # -- connections ---------------------------------------------------------------------------------------------------

    def _once(self, row: Operation, request: r.Request[r.A]) -> r.A:
        connection, number = self._begin(row, request)
        try:
            answer: r.A | None = connection.answer(number, row)
        except errors.OdysseyError as error:
            if isinstance(error, Broken | errors.WireError):
                connection.close()
            else:
                self._put_back(connection)
            raise
        except BaseException:  # interrupted: the answer would be taken for the next one's
            connection.close()
            raise
        self._put_back(connection)
        if answer is None:
            raise Broken("the daemon stops", hint="try again")
        return answer

    def _begin(self, row: Operation, request: r.Request[Any]) -> tuple[Connection, int]:
        while True:
            connection, is_new = self._take()
            try:
                return connection, connection.ask(row, request)
            except BaseException as error:
                connection.close()
                if is_new or not isinstance(error, Broken):
                    raise  # an idle one may be of a daemon that is gone

    def _take(self) -> tuple[Connection, bool]:
        with self._lock:
            if self._closed:
                raise errors.Unreachable("this client is closed", hint="make another one")
            if self._idle:
                return self._idle.pop(), False
        return self._connect(), True

    def _connect(self) -> Connection:
        path = self._path()
        try:
            connection = Connection(path, self._patience or None)
        except TimeoutError as error:
            raise errors.Unreachable("the daemon does not answer", hint=GONE) from error
        except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError) as error:
            raise Broken("no daemon runs here", hint="start one: odyssey up") from error
        except OSError as error:
            raise errors.Unreachable(
                f"{path} cannot be reached: {error.strerror}", hint="see: odyssey doctor"
            ) from error
        self._has_met = True
        return connection

    def _put_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _patiently(self, what: Callable[[], Any]) -> Any:
        patience = Patience(time.monotonic(), self._patience)
        while True:
            try:
                return what()
            except Broken:
                self._drop_idle()
                pause = patience.pause(time.monotonic())
                if not self._has_met or pause is None:
                    raise
            time.sleep(pause)

    def _drop_idle(self) -> None:
        """They are of the daemon that has gone."""
        with self._lock:
            idle, self._idle = self._idle, deque()
        for connection in idle:
            connection.close()

"""The wires: lines on ZeroMQ sockets.

Two sockets listen, one for each lane; each line that this machine dials is a socket of its own, made for one connection
and closed with it. Which key a line belongs to says CURVE: where this side listens it is the name that ZAP gave the
connection, where it dials it is the key whoever answers must have proved.

Promises: what has no such name is not handed on; a connection that ended is told of after all that came on it.
Never: uses a routing id for anything but the way back, or knows who is a member.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

import zmq
from zmq.utils.monitor import parse_monitor_message

from odyssey.clock import Clock
from odyssey.mesh.links.channel import PUT_OUT
from odyssey.mesh.links.doorman import EVENTS, Doorman, is_overfull
from odyssey.mesh.links.ports import KEY_BYTES, Lane, Refusal, Switch, Wires
from odyssey.mesh.links.sockets import (
    TURN,
    Ear,
    Keys,
    bound,
    check_fit,
    context,
    dialling,
    endpoint,
    listening,
    monitor,
    sealed_size,
    send_now,
)
from odyssey.mesh.links.zap import Zap
from odyssey.mesh.places import CannotListen

TICK_S: Final = 0.5
LAST_WORD_MS: Final = 100
_ENDS: Final = (
    zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)  # fmt: skip
_MONITOR_TURN: Final = 1_024
_NO_MESSAGE: Final = b"", b""  # there is nothing to read in it, and who hears that knows what to do


class Ports(NamedTuple):
    control: int
    bulk: int


class ZmqWires(Wires):
    """On this loop, until `close`. Raises Unfit where that would not be safe. `last_word_ms` is how long a line that
    ends still sends what was said on it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        keys: Keys,
        clock: Clock,
        switch: Switch,
        last_word_ms: int = LAST_WORD_MS,
    ) -> None:
        check_fit()
        self._loop, self._keys, self._clock, self._switch = loop, keys, clock, switch
        self._last_word_ms = last_word_ms
        self._ctx = context()
        self._zap = Zap(loop, self._ctx, switch.admit)
        self._halls: list[Hall] = []
        self._dialled: set[_Dialled] = set()
        self._timer = loop.call_later(TICK_S, self._tick)

    def listen(self, host: str, control: int = 0, bulk: int = 0) -> Ports:
        """At this address too. Raises CannotListen, and then listens there on neither port."""
        first = self._open(Lane.CONTROL, host, control)
        try:
            return Ports(first, self._open(Lane.BULK, host, bulk))
        except CannotListen:
            self._halls.pop().close()
            raise

    def leave(self, host: str) -> None:
        """No more at this address; who came by it is cut off."""
        for hall in [hall for hall in self._halls if hall.host == host]:
            self._halls.remove(hall)
            hall.leave()

    def _open(self, lane: Lane, host: str, port: int) -> int:
        socket = listening(self._ctx, lane, self._keys)
        watch = monitor(self._ctx, socket, EVENTS)
        try:
            taken = bound(socket, host, port)
        except BaseException:
            watch.close()
            socket.close()
            raise
        self._halls.append(Hall(self._loop, socket, watch, lane, self._clock, self._switch, host))
        return taken

    def dial(self, key: bytes, host: str, port: int, lane: Lane) -> _Dialled:
        socket = dialling(self._ctx, lane, self._keys, key)
        address = endpoint(host, port)
        watch = monitor(self._ctx, socket, _ENDS | zmq.EVENT_CONNECTED)
        name = _Name(key, lane, address)
        line = _Dialled(self._loop, socket, watch, name, self._switch, self._dialled.discard, self._last_word_ms)
        self._dialled.add(line)
        line.connect(address)
        return line

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)
        for hall in self._halls:
            hall.doorman.tick()
        for line in list(self._dialled):
            line.tick()

    def close(self) -> None:
        self._timer.cancel()
        for line in list(self._dialled):
            line.end()
        for hall in self._halls:
            hall.close()
        self._zap.close()
        self._ctx.destroy(linger=self._last_word_ms)


class _Name(NamedTuple):
    key: bytes
    lane: Lane
    address: str


class _Dialled:
    """One connection that this machine has begun."""

    dialled = True

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        socket: zmq.Socket[bytes],
        monitor: zmq.Socket[bytes],
        name: _Name,
        switch: Switch,
        ended: Callable[[_Dialled], None],
        last_word_ms: int,
    ) -> None:
        self._last_word_ms = last_word_ms
        self.key, self.lane, self.address = name
        self._loop, self._socket, self._monitor, self._switch, self._ended = loop, socket, monitor, switch, ended
        self._over = False
        self._file: int | None = None  # none: not connected yet
        self._told = 0
        self._ear = Ear(loop, socket, self._take, TURN[self.lane])
        self._watch = Ear(loop, monitor, self._look, _MONITOR_TURN)

    def connect(self, address: str) -> None:
        if ":" in self.address.removeprefix("tcp://").rpartition(":")[0]:
            self._socket.setsockopt(zmq.IPV6, 1)
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self._loop.call_soon(self._broke, f"{address} is no address: {error.strerror}")

    def send(self, head: bytes, load: bytes | memoryview = b"") -> bool:
        if self._over or not send_now(self._socket, [head, load] if load else [head]):
            return False
        self._ear.look()
        return True

    def _take(self) -> None:
        parts = self._socket.recv_multipart(zmq.NOBLOCK)
        self._told += sum(sealed_size(len(part)) for part in parts)
        self._switch.heard(self, *_message(parts))

    def tick(self) -> None:
        if self._file is not None and is_overfull(self._file, self._told):
            self._switch.heard(self, *_NO_MESSAGE)

    def _look(self) -> None:
        told = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
        event, value = int(told["event"]), int(told["value"])
        if event == zmq.EVENT_CONNECTED:
            self._file = value
            return
        why = self._reason(event, value)
        with suppress(zmq.Again):  # first all that came on it
            while not self._over:
                self._take()
        self._broke(why)

    def _reason(self, event: int, value: int) -> str:
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and value == Refusal.REVOKED:
            return PUT_OUT
        if event == zmq.EVENT_CLOSED:
            return f"nobody answers at {self.address}"
        if event == zmq.EVENT_DISCONNECTED:
            return "the connection ended"
        return f"who answers at {self.address} is somebody else, or does not know this machine"

    def _broke(self, why: str) -> None:
        if not self._over:
            self.end()
            self._switch.gone(self, why)

    def end(self) -> None:
        if self._over:
            return
        self._over = True
        self._ended(self)
        self._ear.close()
        self._watch.close()
        self._socket.monitor(None, 0)
        self._monitor.close()
        self._socket.close(linger=self._last_word_ms)


class _Came:
    """One connection at a listening socket."""

    dialled = False

    def __init__(self, hall: Hall, route: bytes, name: _Name, file: int) -> None:
        self.key, self.lane, self.address = name
        self._hall, self.route, self.file = hall, route, file
        self.over = False
        self.told = 0  # bytes, as they came

    def send(self, head: bytes, load: bytes | memoryview = b"") -> bool:
        return not self.over and self._hall.send(self.route, head, load)

    def end(self) -> None:
        if not self.over:
            self.over = True
            self._hall.end(self)


class Hall:
    """One listening socket and the lines that came in there."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        socket: zmq.Socket[bytes],
        monitor: zmq.Socket[bytes],
        lane: Lane,
        clock: Clock,
        switch: Switch,
        host: str,
    ) -> None:
        self.host = host
        self._loop, self._socket, self._monitor, self._lane, self._switch = loop, socket, monitor, lane, switch
        self._lines: dict[bytes, _Came] = {}
        self._by_file: dict[int, _Came] = {}
        self.doorman = Doorman(clock.monotonic_ms, self._gone, switch.turned_away, self._told, self._overfull)
        self._ear = Ear(loop, socket, self._take, TURN[lane])
        self._watch = Ear(loop, monitor, self._look, _MONITOR_TURN)

    # -- hearing -------------------------------------------------------------------------------------------------------

    def _take(self) -> None:
        route = self._socket.recv(zmq.NOBLOCK)
        parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
        line = self._line(route, parts[-1])
        if line is not None:
            line.told += sum(sealed_size(len(part)) for part in parts)
        if line is None:
            self._switch.turned_away("no name")
        elif line.over:
            pass  # it was ended from this side: what was under way is not heard
        else:
            self._switch.heard(line, *_message([part.bytes for part in parts[:3]]))

    def _line(self, route: bytes, frame: zmq.Frame) -> _Came | None:
        """None: it has no name that ZAP gave, or another one than its route had before."""
        key = _key_of(frame)
        if key is None:
            return None
        line = self._lines.get(route)
        if line is None:
            self._catch_up()
            file = int(frame.get(zmq.SRCFD))
            line = _Came(self, route, _Name(key, self._lane, str(frame.get("Peer-Address"))), file)
            if self.doorman.greeted(file):
                self._lines[route] = self._by_file[file] = line
            else:
                line.over = True  # nobody would ever hear that it has gone
        return line if line.key == key else None

    def _told(self, file: int) -> int:
        line = self._by_file.get(file)
        return line.told if line is not None else 0

    def _overfull(self, file: int) -> None:
        line = self._by_file.get(file)
        if line is not None and not line.over:
            self._switch.heard(line, *_NO_MESSAGE)

    # -- coming and going ----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        told = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
        self.doorman.event(int(told["event"]), int(told["value"]))

    def _catch_up(self) -> None:
        """Before a new line: its descriptor may have been that of one that ended."""
        with suppress(zmq.Again):
            while True:
                self._look()

    def _gone(self, file: int) -> None:
        line = self._by_file.pop(file, None)
        if line is not None:
            self._lines.pop(line.route, None)
            if not line.over:
                line.over = True
                self._switch.gone(line, "the connection ended")

    # -- saying and ending ---------------------------------------------------------------------------------------------

    def send(self, route: bytes, head: bytes, load: bytes | memoryview) -> bool:
        sent = send_now(self._socket, [route, head, load] if load else [route, head])
        self._ear.look()
        return sent

    def end(self, line: _Came) -> None:
        """Its route stays known until it is gone, so that nothing on it begins a new line."""
        self._loop.call_later(LAST_WORD_MS / 1000, self.doorman.ender(line.file))

    def leave(self) -> None:
        """As `close`, and whoever was on a line of it is gone."""
        lines = [line for line in self._lines.values() if not line.over]
        self.close()
        for line in lines:
            line.over = True
            self._switch.gone(line, "this machine listens there no more")

    def close(self) -> None:
        self._ear.close()
        self._watch.close()
        self._socket.monitor(None, 0)
        self._monitor.close()
        self._socket.close(linger=LAST_WORD_MS)


def _message(parts: list[bytes]) -> tuple[bytes, bytes]:
    """A head, and perhaps a load. Nothing of ours has more parts."""
    match parts:
        case [head]:
            return head, b""
        case [head, load]:
            return head, load
        case _:
            return _NO_MESSAGE


def _key_of(frame: zmq.Frame) -> bytes | None:
    try:
        name = frame.get("User-Id")
        key = bytes.fromhex(name) if isinstance(name, str) else b""
    except (zmq.ZMQError, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None

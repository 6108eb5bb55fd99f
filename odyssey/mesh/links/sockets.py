"""ZeroMQ sockets as this project uses them: always encrypted, bounded, never waiting, read from an asyncio loop.

A socket tells of itself through a file descriptor that is ready once for many events, so it is read until nothing is
left, and looked at again after every send.

Promises: no socket listens without ZAP and CURVE; on a libzmq that cannot do that nothing is opened.
Never: blocks, or mends a connection: what broke is told.
"""

from __future__ import annotations

import asyncio
import itertools
import resource
from collections.abc import Callable
from typing import Final, NamedTuple

import zmq

from odyssey.errors import Fault, OdysseyError, Remedy
from odyssey.mesh.links.frames import HEAD_BYTES, LETTER_BYTES, PIECE_BYTES
from odyssey.mesh.links.ports import Lane
from odyssey.mesh.places import refused

DOMAIN: Final = b"odyssey"
OLDEST: Final = (4, 3, 5)
FILES: Final = 8_192
SOCKETS: Final = 8_000
HANDSHAKE_MS: Final = 3_000
CONNECT_MS: Final = 3_000
BACKLOG: Final = 1_024
TURN: Final = {Lane.CONTROL: 256, Lane.BULK: 8}  # messages, before others have their turn
WAITING: Final = {Lane.CONTROL: 256, Lane.BULK: 32}  # messages of one peer that nobody has read
SEALED: Final = 64  # what encryption may add; libzmq counts it
MOST_BYTES: Final = {Lane.CONTROL: LETTER_BYTES + SEALED, Lane.BULK: max(PIECE_BYTES, HEAD_BYTES) + SEALED}


class Unfit(OdysseyError):
    """This machine cannot keep its links safe."""

    fault = Fault.MACHINE
    remedy = Remedy.FIX


class Keys(NamedTuple):
    """The CURVE keys of this machine, 32 bytes each."""

    public: bytes
    secret: bytes


def check_fit(version: tuple[int, ...] | None = None, curve: bool | None = None, files: int | None = None) -> None:
    """Raises Unfit. What is not named is looked at."""
    version = version if version is not None else zmq.zmq_version_info()
    if version < OLDEST or not (zmq.has("curve") if curve is None else curve):
        found = ".".join(map(str, version))
        text = f"the ZeroMQ library here ({found}) cannot keep links safe: 4.3.5 with CURVE is needed"
        raise Unfit(text, hint="install pyzmq from its wheel: pip install --force-reinstall --only-binary :all: pyzmq")
    files = files if files is not None else _files()
    if files < FILES:
        text = f"this process may open {files} files, links need {FILES}"
        raise Unfit(text, hint=f"ulimit -n {FILES}, or LimitNOFILE={FILES} where the service is defined")


def _files() -> int:
    """As many as may be, after as many as needed were asked for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < FILES and (hard == unlimited or hard >= FILES):
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
        soft = FILES
    return FILES if soft == unlimited else soft


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """Two threads, one for each lane: a beat is not encrypted behind a file."""
    made = zmq.Context(io_threads=2)
    made.set(zmq.MAX_SOCKETS, SOCKETS)
    return made


def listening(ctx: zmq.Context[zmq.Socket[bytes]], lane: Lane, keys: Keys, most_bytes: int = 0) -> zmq.Socket[bytes]:
    """`most_bytes` of one message, where that is less than on this lane."""
    made = _prepared(ctx.socket(zmq.ROUTER), lane)
    if most_bytes:
        made.setsockopt(zmq.MAXMSGSIZE, most_bytes + SEALED)
    made.setsockopt(zmq.CURVE_SERVER, 1)
    made.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    made.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
    made.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    made.setsockopt(zmq.ROUTER_MANDATORY, 1)
    made.setsockopt(zmq.ROUTER_HANDOVER, 0)  # a claimed routing id takes nobody's place
    made.setsockopt(zmq.BACKLOG, BACKLOG)
    return made


def dialling(ctx: zmq.Context[zmq.Socket[bytes]], lane: Lane, keys: Keys, theirs: bytes) -> zmq.Socket[bytes]:
    made = _prepared(ctx.socket(zmq.DEALER), lane)
    made.setsockopt(zmq.CURVE_SERVERKEY, theirs)
    made.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    made.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    made.setsockopt(zmq.RECONNECT_IVL, -1)
    made.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
    return made


def _prepared(made: zmq.Socket[bytes], lane: Lane) -> zmq.Socket[bytes]:
    made.setsockopt(zmq.LINGER, 0)
    made.setsockopt(zmq.MAXMSGSIZE, MOST_BYTES[lane])
    made.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    made.setsockopt(zmq.SNDHWM, WAITING[lane])
    made.setsockopt(zmq.RCVHWM, WAITING[lane])
    made.setsockopt(zmq.AFFINITY, 1 << lane)
    return made


_monitors: Final = itertools.count(1)


def monitor(ctx: zmq.Context[zmq.Socket[bytes]], watched: zmq.Socket[bytes], events: int) -> zmq.Socket[bytes]:
    """Tells what comes of connections. Its name is never used again: libzmq frees one late."""
    address = f"inproc://monitor-{next(_monitors)}"
    watched.monitor(address, events)
    made = ctx.socket(zmq.PAIR)
    made.setsockopt(zmq.LINGER, 0)
    made.setsockopt(zmq.RCVHWM, 0)  # what it tells is small, and none of it may be missed
    made.connect(address)
    return made


def endpoint(host: str, port: int | str) -> str:
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def bound(made: zmq.Socket[bytes], host: str, port: int) -> int:
    """The port it listens on; 0 takes one that is free. Raises CannotListen."""
    if ":" in host:
        made.setsockopt(zmq.IPV6, 1)
    try:
        made.bind(endpoint(host, port or "*"))
    except zmq.ZMQError as error:
        raise refused(host, port, error.errno) from error
    name = made.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(name, bytes)
    return int(name.rstrip(b"\0").rpartition(b":")[2])


def sealed_size(part: int) -> int:
    """Bytes of one part of a message on its way: CURVE's MESSAGE command in a ZMTP frame."""
    body = part + 33
    return body + (2 if body <= 255 else 9)


class Ear:
    """Calls `take` while there is something; it reads one message without waiting, and raises `zmq.Again` when there is
    none."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, socket: zmq.Socket[bytes], take: Callable[[], None], turn: int
    ) -> None:
        self._loop, self._socket, self._take, self._turn = loop, socket, take, turn
        self._file = int(socket.getsockopt(zmq.FD))
        self._looks = self._closed = False
        loop.add_reader(self._file, self.drain)
        self.look()

    def look(self) -> None:
        """The descriptor may have been ready for what a send has seen."""
        if not self._looks and not self._closed:
            self._looks = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._looks = False
        self.drain()

    def drain(self) -> None:
        """A turn of it; the rest soon. Also when what is told raises: that is a bug, and no reason to be deaf."""
        over = False
        try:
            for _ in range(self._turn):
                if self._closed:
                    return
                self._take()
        except zmq.Again:
            over = True
        finally:
            if not over:
                self.look()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._file)


def send_now(socket: zmq.Socket[bytes], parts: list[bytes | memoryview]) -> bool:
    """False: it is full, or whom it was for has gone."""
    try:
        socket.send_multipart(parts, zmq.NOBLOCK)
    except zmq.ZMQError as error:
        if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH, zmq.ENOTSOCK, zmq.ETERM):
            return False
        raise
    return True

"""Who may enter: the ZAP handler of this process (RFC 27), which libzmq asks at each handshake.

It is bound before any socket listens. The name it gives a connection is its key; what that is worth is asked again with
every message.

Promises: without an answer from here nobody gets in; an exception refuses one handshake and ends nothing.
Never: answers for another mechanism than CURVE, or for another domain than the mesh's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import zmq

from odyssey.ids import NodeId
from odyssey.mesh.links.ports import KEY_BYTES, Refusal
from odyssey.mesh.links.sockets import DOMAIN, Ear, send_now

ADDRESS: Final = "inproc://zeromq.zap.01"
_VERSION: Final = b"1.0"
_TEXT: Final = {200: b"OK", 300: b"not known yet", 400: b"not a member", 500: b"failed"}
_log = logging.getLogger(__name__)


class Zap:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ctx: zmq.Context[zmq.Socket[bytes]],
        admit: Callable[[bytes], NodeId | Refusal],
    ) -> None:
        self._admit = admit
        self._socket = ctx.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(ADDRESS)
        self._ear = Ear(loop, self._socket, self._take, 64)

    def close(self) -> None:
        self._ear.close()
        self._socket.close()

    def _take(self) -> None:
        request = self._socket.recv_multipart(zmq.NOBLOCK)
        split = request.index(b"") if b"" in request else len(request)
        envelope, asked = request[: split + 1], request[split + 1 :]
        if len(asked) < 6 or asked[0] != _VERSION:
            return  # not libzmq: nobody else can reach this address
        status, name = self._judge(asked[2], asked[5], asked[6:])
        answer = [_VERSION, asked[1], str(status).encode(), _TEXT[status], name, b""]
        send_now(self._socket, [*envelope, *answer])
        self._ear.look()

    def _judge(self, domain: bytes, mechanism: bytes, credentials: list[bytes]) -> tuple[int, bytes]:
        if domain != DOMAIN or mechanism != b"CURVE" or len(credentials) != 1 or len(credentials[0]) != KEY_BYTES:
            return 400, b""
        try:
            found = self._admit(credentials[0])
        except Exception:  # noqa: BLE001 - one handshake's trouble must not refuse all later ones
            _log.exception("who may enter could not be told")
            return 500, b""
        if isinstance(found, Refusal):
            return int(found), b""
        return 200, credentials[0].hex().encode()

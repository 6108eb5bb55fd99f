"""The connections at one listening socket, as the kernel knows them.

libzmq closes none on request. So the doorman hears of each that comes (its socket's monitor), and ends one by shutting
its file descriptor down, which libzmq takes for the other side's hanging up. What says no hello in time is ended too,
and of many that say nothing the oldest go at once: they could take all descriptors. Who comes too often from one
address is ended before its handshake: each costs some tenths of a millisecond, and strangers need no key for it.

A message of many parts is collected by libzmq until its last part has come, whatever that takes. So the kernel is asked
how much came on a connection; where far more came than was handed on, somebody fills the memory.

A descriptor may have been closed and used again before this hears of it. So its two addresses are compared first, on a
duplicate that cannot change; at worst another connection of this socket is ended, and comes again.

Promises: a connection that was ended delivers nothing more; no more than MOST wait at the door.
Never: closes a descriptor that belongs to libzmq.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, TypeVar

import zmq

from odyssey.mesh.links.limits import Meter

HELLO_MS: Final = 5_000
MOST: Final = 2_048  # at the door
A_SECOND: Final = 50  # from one address, and so many at once; a whole lab that comes back is less
BURST: Final = 300
ADDRESSES: Final = 1_024  # that are remembered
UNREAD: Final = 32 << 20  # bytes that came and were not handed on: what may be under way on a line is a tenth of it
UNGREETED: Final = 8 << 20  # the same of whoever has said no hello yet, which is short
_RECEIVED: Final = struct.Struct("@128xQ")  # tcpi_bytes_received of Linux' struct tcp_info
T = TypeVar("T")

_FAILED: Final[dict[int, str]] = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "no handshake",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "not our protocol",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "not let in",
}
EVENTS: Final = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_ACCEPT_FAILED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class _Place(NamedTuple):
    ours: object
    theirs: object

    @property
    def address(self) -> object:
        """Without the port."""
        return self.theirs[0] if isinstance(self.theirs, tuple) else self.theirs


class Comers:
    """How often each address comes."""

    def __init__(self) -> None:
        self._meters: OrderedDict[object, Meter] = OrderedDict()

    def may_come(self, address: object, now_ms: int) -> bool:
        meter = self._meters.setdefault(address, Meter(A_SECOND, BURST, now_ms))
        self._meters.move_to_end(address)
        if len(self._meters) > ADDRESSES:
            self._meters.popitem(last=False)
        return meter.take(1, now_ms)


class Doorman:
    """`gone` is told of a connection that had said hello, `overfull` of one on which far more came than it has told,
    `turned_away` of what came of others."""

    def __init__(
        self,
        clock_ms: Callable[[], int],
        gone: Callable[[int], None],
        turned_away: Callable[[str], None],
        told: Callable[[int], int],
        overfull: Callable[[int], None],
    ) -> None:
        self._clock_ms, self._gone, self._turned_away = clock_ms, gone, turned_away
        self._told, self._overfull = told, overfull
        self._comers = Comers()
        self._waiting: dict[int, tuple[int, _Place]] = {}  # oldest first
        self._inside: dict[int, _Place] = {}

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def event(self, event: int, value: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self._forget(value)
            self._came(value)
        elif event == zmq.EVENT_DISCONNECTED:
            self._forget(value)
        elif event == zmq.EVENT_ACCEPT_FAILED:
            self._turned_away("no descriptor left")
        elif event in _FAILED:
            self._turned_away(_FAILED[event])

    def _came(self, file: int) -> None:
        place = _on_duplicate(file, _place)
        if place is None:
            return
        now = self._clock_ms()
        self._waiting[file] = now, place
        if not self._comers.may_come(place.address, now):
            self._send_off(file, "too often")
        elif len(self._waiting) > MOST:
            self._send_off(next(iter(self._waiting)), "too many at the door")

    def _forget(self, file: int) -> None:
        self._waiting.pop(file, None)
        if self._inside.pop(file, None) is not None:
            self._gone(file)

    def greeted(self, file: int) -> bool:
        """It has said hello, so it is known what came in there. False: it had ended before anybody listened."""
        found = self._waiting.pop(file, None)
        if found is None:
            return False
        self._inside[file] = found[1]
        return True

    def ender(self, file: int) -> Callable[[], None]:
        """Ends what is there now, whenever it is called."""
        place = self._inside.get(file)
        return partial(_shut, file, place)

    def tick(self) -> None:
        now = self._clock_ms()
        for file, (since, _) in list(self._waiting.items()):
            if now - since >= HELLO_MS:
                self._send_off(file, "said nothing")
        for file in [file for file in self._waiting if is_overfull(file, 0, UNGREETED)]:
            self._send_off(file, "too much at the door")
        for file in list(self._inside):
            if is_overfull(file, self._told(file)):
                self._overfull(file)

    def _send_off(self, file: int, why: str) -> None:
        _, place = self._waiting.pop(file)
        self._turned_away(why)
        _shut(file, place)


def is_overfull(file: int, told: int, most: int | None = None) -> bool:
    """Not known: no. macOS does not tell."""
    received = _on_duplicate(file, _received)
    return received is not None and received - told > (UNREAD if most is None else most)


def _received(found: socket.socket) -> int:
    """Bytes, as they were encrypted."""
    if sys.platform != "linux":
        return 0
    told: int = _RECEIVED.unpack(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED.size))[0]
    return told


def _place(found: socket.socket) -> _Place:
    return _Place(found.getsockname(), found.getpeername())


def _shut(file: int, place: _Place | None) -> None:
    def shut(found: socket.socket) -> None:
        if _place(found) == place:
            found.shutdown(socket.SHUT_RDWR)

    _on_duplicate(file, shut)


def _on_duplicate(file: int, work: Callable[[socket.socket], T]) -> T | None:
    """None: it is no connection any more."""
    with suppress(OSError), socket.socket(fileno=os.dup(file)) as found:
        return work(found)
    return None

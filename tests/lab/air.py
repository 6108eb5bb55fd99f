"""Keeps frames for a while between a host's cable and the switch: `python air.py CABLE PORT DELAY_MS JITTER_MS`.

The kernel here has no netem. This process reads the cable as a packet socket, and is the port of the switch as a tap;
each frame travels with its offload header, so that whoever receives it can still finish its checksum or cut it up.

Promises: frames of one direction keep their order; ends when its input does.
Never: needs more than Python's library.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time
from typing import Final

_TUNSETIFF: Final = 0x400454CA
_TAP_WITH_HEADER: Final = 0x0002 | 0x1000 | 0x4000  # IFF_TAP, IFF_NO_PI, IFF_VNET_HDR
_SOL_PACKET: Final = 263
_PACKET_ADD_MEMBERSHIP: Final = 1
_PACKET_VNET_HDR: Final = 15
_PROMISCUOUS: Final = 1
_EVERYTHING: Final = 3  # ETH_P_ALL
_OUTGOING: Final = 4
_LONGEST: Final = 70_000
_MOST_KEPT: Final = 20_000  # a queue that is longer loses frames, as real ones do


def cable(name: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING))
    sock.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    sock.bind((name, _EVERYTHING))
    member = struct.pack("iHH8s", socket.if_nametoindex(name), _PROMISCUOUS, 0, bytes(8))
    sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, member)
    sock.setblocking(False)
    return sock


def port(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_WITH_HEADER))
    return tap


class Air:
    def __init__(self, sock: socket.socket, tap: int, delay_s: float, jitter_s: float) -> None:
        self._sock, self._tap, self._delay, self._jitter = sock, tap, delay_s, jitter_s
        self._due: list[tuple[float, int, bool, bytes]] = []
        self._last = [0.0, 0.0]
        self._count = 0

    def run(self) -> None:
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            ready, _, _ = select.select([self._sock.fileno(), self._tap, 0], [], [], wait)
            if 0 in ready and not os.read(0, 1):
                return
            if self._sock.fileno() in ready:
                self._hear()
            if self._tap in ready:
                self._keep(os.read(self._tap, _LONGEST), False)
            self._pass_on()

    def _hear(self) -> None:
        data, where = self._sock.recvfrom(_LONGEST)
        if where[2] != _OUTGOING:
            self._keep(data, True)

    def _keep(self, frame: bytes, is_sent: bool) -> None:
        due = time.monotonic() + self._delay + random.uniform(0, self._jitter)
        self._last[is_sent] = due = max(due, self._last[is_sent])
        self._count += 1
        if len(self._due) < _MOST_KEPT:
            heapq.heappush(self._due, (due, self._count, is_sent, frame))

    def _pass_on(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, _, is_sent, frame = heapq.heappop(self._due)
            try:
                if is_sent:
                    os.write(self._tap, frame)
                else:
                    self._sock.send(frame)
            except OSError:  # a port that is down, a queue that is full: the frame is lost, as it would be
                continue


def main(cable_name: str, port_name: str, delay_ms: str, jitter_ms: str) -> None:
    sock, tap = cable(cable_name), port(port_name)
    print("ready", flush=True)
    Air(sock, tap, int(delay_ms) / 1000, int(jitter_ms) / 1000).run()


if __name__ == "__main__":
    main(*sys.argv[1:])

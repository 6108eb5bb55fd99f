"""Whoever can read all that goes through the switch: `python tap.py FILE`, in the network of the switch.

Writes every frame until its input ends. Needs no more than Python's library.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_EVERYTHING: Final = 3  # ETH_P_ALL
_LENGTH: Final = struct.Struct(">I")
_LONGEST: Final = 70_000
_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_TCP: Final = 6
_UDP: Final = 17
Flow = tuple[bytes, bytes, bytes]  # from, to, ports


def record(file: str) -> None:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUFFORCE if hasattr(socket, "SO_RCVBUFFORCE") else 33, 64 << 20)
    with open(file, "wb") as out:
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([sock, sys.stdin], [], [])
            if sock in ready:
                frame = sock.recv(_LONGEST)
                out.write(_LENGTH.pack(len(frame)) + frame)
            elif sys.stdin in ready and not os.read(0, 1):
                return


# -- what is in it -----------------------------------------------------------------------------------------------------


def said(file: Path) -> bytes:
    """All payloads: of TCP as they were put together again, of UDP one after the other."""
    streams: dict[Flow, dict[int, bytes]] = {}
    datagrams: list[bytes] = []
    for frame in _frames(file.read_bytes()):
        _take(frame, streams, datagrams)
    whole = (b"".join(parts[at] for at in sorted(parts)) for parts in streams.values())
    return b"\n".join((*whole, *datagrams))


def _frames(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + _LENGTH.size <= len(data):
        (size,) = _LENGTH.unpack_from(data, at)
        yield data[at + _LENGTH.size : at + _LENGTH.size + size]
        at += _LENGTH.size + size


def _take(frame: bytes, streams: dict[Flow, dict[int, bytes]], datagrams: list[bytes]) -> None:
    (kind,) = struct.unpack_from(">H", frame, 12)
    packet = frame[14:]
    if kind == _IPV4:
        begin, protocol, hosts = (packet[0] & 15) * 4, packet[9], (packet[12:16], packet[16:20])
        packet = packet[: struct.unpack_from(">H", packet, 2)[0] or len(packet)]
    elif kind == _IPV6:
        begin, protocol, hosts = 40, packet[6], (packet[8:24], packet[24:40])
    else:
        return
    body = packet[begin:]
    if protocol == _TCP:
        (number,) = struct.unpack_from(">I", body, 4)
        data = body[(body[12] >> 4) * 4 :]
        if data:
            streams.setdefault((*hosts, body[:4]), {})[number] = data
    elif protocol == _UDP:
        datagrams.append(body[8:])


if __name__ == "__main__":
    record(sys.argv[1])

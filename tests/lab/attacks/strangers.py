"""Somebody on the LAN who has no key of the mesh: `python -m tests.lab.attacks.strangers HOW HOST …`

    knock HOST KEY      at each port in each wrong way: what came of it
    crowd HOST COUNT    opens so many connections to each port and says nothing on them, until it is ended
    flood HOST KEY SECONDS
                        one handshake after the other with keys that nobody knows, from many sockets at once
    nonsense HOST KEY SEED COUNT
                        bytes that are drawn: raw, behind a greeting, inside of a genuine handshake, and by multicast

Prints JSON; the last line is what came of it.
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any, Final

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from odyssey.mesh.links import frames
from odyssey.mesh.links.frames import Hello, Parcel
from odyssey.mesh.trust import letters

PORTS: Final = {"join": 7660, "control": 7661, "bulk": 7662}
PATIENCE_S: Final = 8.0
A_SECOND: Final = 1_000  # handshakes of a flood
GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
MDNS: Final = ("224.0.0.251", 5353)

_ENDS: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    zmq.EVENT_DISCONNECTED,
)
Prepare = Callable[[zmq.Socket[bytes]], None]


def tell(**more: Any) -> None:
    print(json.dumps(more), flush=True)


def curve(server: bytes) -> Prepare:
    def prepare(made: zmq.Socket[bytes]) -> None:
        public, secret = zmq.curve_keypair()
        made.setsockopt(zmq.CURVE_SERVERKEY, server)
        made.setsockopt(zmq.CURVE_PUBLICKEY, public)
        made.setsockopt(zmq.CURVE_SECRETKEY, secret)

    return prepare


def plain(made: zmq.Socket[bytes]) -> None:
    made.setsockopt(zmq.PLAIN_USERNAME, b"anna")
    made.setsockopt(zmq.PLAIN_PASSWORD, b"anna")


def ways(key: bytes) -> dict[str, Prepare]:
    wrong, _ = zmq.curve_keypair()
    return {"rogue": curve(key), "null": lambda _: None, "plain": plain, "other": curve(z85.decode(wrong))}


# -- knocking ----------------------------------------------------------------------------------------------------------


def knock(host: str, key: bytes) -> None:
    """Says hello and a letter; tells whether a handshake was made, and what was answered."""
    found = {
        f"{name} {how}": _knocked(host, port, prepare)
        for name, port in PORTS.items()
        for how, prepare in ways(key).items()
    }
    tell(**found)


def _knocked(host: str, port: int, prepare: Prepare) -> dict[str, Any]:
    with zmq.Context() as ctx, ctx.socket(zmq.DEALER) as made:
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.RECONNECT_IVL, -1)
        prepare(made)
        watch = made.get_monitor_socket()
        made.connect(f"tcp://{host}:{port}")
        with suppress(zmq.Again):
            made.send(frames.packed(Hello(1, 1, bytes(16))), zmq.NOBLOCK)
            made.send_multipart([frames.packed(Parcel(1, 1)), b"\x92\x01\x90"], zmq.NOBLOCK)
        events, heard = _watched(made, watch)
        made.disable_monitor()
        watch.close()
    return {"in": zmq.EVENT_HANDSHAKE_SUCCEEDED in events, "heard": [one.hex() for one in heard]}


def _watched(made: zmq.Socket[bytes], watch: zmq.Socket[bytes]) -> tuple[list[int], list[bytes]]:
    events: list[int] = []
    heard: list[bytes] = []
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and not any(one in events for one in _ENDS):
        if watch.poll(50):
            events.append(int(recv_monitor_message(watch)["event"]))
        with suppress(zmq.Again):
            heard += made.recv_multipart(zmq.NOBLOCK)
    return events, heard


# -- many of them ------------------------------------------------------------------------------------------------------


def crowd(host: str, count: int) -> None:
    there = []
    for number in range(count):
        made = socket.socket()
        made.settimeout(5)
        with suppress(OSError):
            made.connect((host, list(PORTS.values())[number % len(PORTS)]))
            there.append(made)
    tell(there=len(there))
    signal.sigwait({signal.SIGTERM})


def flood(host: str, key: bytes, seconds: float) -> None:
    """Each socket is one handshake; it goes when a hundred others have come."""
    tell(begun=True)
    ctx, live, count = zmq.Context(), list[zmq.Socket[bytes]](), 0
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        if count >= passed * A_SECOND:
            time.sleep(0.005)
            continue
        made = ctx.socket(zmq.DEALER)
        made.setsockopt(zmq.LINGER, 0)
        curve(key)(made)
        made.connect(f"tcp://{host}:{PORTS[('control', 'join', 'bulk')[count % 3]]}")
        made.send(frames.packed(Hello(1, 1, bytes(16))), zmq.NOBLOCK)
        live.append(made)
        count += 1
        if len(live) > 100:
            live.pop(0).close()
    for made in live:
        made.close()
    ctx.term()
    tell(handshakes=count)


# -- nonsense ----------------------------------------------------------------------------------------------------------


def nonsense(host: str, key: bytes, seed: int, count: int) -> None:
    draw = Random(seed)
    for data in _raw(draw, count):
        for port in PORTS.values():
            _thrown(host, port, data)
    said = _letters(host, key, draw, count)
    _multicast(draw, count)
    tell(raw=count * len(PORTS), letters=said, datagrams=count)


def _raw(draw: Random, count: int) -> Iterator[bytes]:
    for number in range(count):
        data = draw.randbytes(draw.choice((1, 10, 64, 200, 3_000, 100_000)))
        yield (data, GREETING + data, GREETING + b"\x04\xc8\x05HELLO" + data, b"\xff" * len(data))[number % 4]


def _thrown(host: str, port: int, data: bytes) -> None:
    with suppress(OSError), socket.create_connection((host, port), 5) as made:
        made.sendall(data)
        made.shutdown(socket.SHUT_WR)


def _letters(host: str, key: bytes, draw: Random, count: int) -> int:
    """Inside of a handshake that any key may make: whole letters, changed ones, bombs."""
    seeds = [letters.packed(one) for one in (letters.Hello(), letters.Knock(bytes(32)), letters.Renew(b"c", b"s" * 64))]
    seeds += [b"\xdf\xff\xff\xff\xff", b"\x80" * 8_000, b"\x91" * 8_000, b"\xdd\xff\xff\xff\xff" * 1_600, b"x" * 9_000]
    for _ in range(count):
        with zmq.Context() as ctx, ctx.socket(zmq.DEALER) as made:
            made.setsockopt(zmq.LINGER, 200)
            curve(key)(made)
            made.connect(f"tcp://{host}:{PORTS['join']}")
            for _ in range(3):
                made.send_multipart([_changed(draw, draw.choice(seeds)) for _ in range(draw.choice((1, 1, 2, 9)))])
    return count


def _changed(draw: Random, seed: bytes) -> bytes:
    data = bytearray(seed)
    for _ in range(draw.randrange(4)):
        at = draw.randrange(len(data) + 1)
        data[at : at + draw.randrange(3)] = draw.randbytes(draw.randrange(5))
    return bytes(data)


def _multicast(draw: Random, count: int) -> None:
    """To whoever listens for multicast DNS: drawn bytes, and answers whose record of ours is drawn."""
    name = b"\x10" + b"a" * 16 + b"\x08_odyssey\x04_tcp\x05local\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        for number in range(count):
            text = draw.randbytes(draw.randrange(200))
            record = name + struct.pack(">HHIH", 16, 0x8001, 120, len(text)) + text
            head = struct.pack(">HHHHHH", 0, 0x8400, 0, 1, 0, 0)
            data = head + record if number % 2 else draw.randbytes(draw.randrange(1, 1_400))
            made.sendto(data, MDNS)


def main(how: str, host: str, *more: str) -> None:
    match how:
        case "knock":
            knock(host, bytes.fromhex(more[0]))
        case "crowd":
            crowd(host, int(more[0]))
        case "flood":
            flood(host, bytes.fromhex(more[0]), float(more[1]))
        case "nonsense":
            nonsense(host, bytes.fromhex(more[0]), int(more[1]), int(more[2]))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Somebody through whom a joining goes: `python -m tests.lab.attacks.middle HOW …`

    passes HOST FILE [WHICH AT]  hands all bytes on to the join port of HOST, and keeps what the joiner says in FILE;
                                 the byte AT of the `joiner` or the `issuer` arrives with a bit flipped
    pretends HOST KEY            has fetched the genuine certificates of HOST, and shows them under a key of its own
    says HOST FILE               says to the join port of HOST what somebody else has said to it

Listens on the join port of this machine. Prints JSON: first that it is there; `pretends` then each word it hears.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import zmq
from zmq.utils import z85

from odyssey.mesh.trust import letters
from tests.lab.attacks.strangers import curve

PORT: Final = 7660
PATIENCE_S: Final = 5.0
QUIET_MS: Final = 15_000  # then nobody comes any more


def tell(**more: Any) -> None:
    print(json.dumps(more), flush=True)


# -- handing on --------------------------------------------------------------------------------------------------------


class Flip:
    def __init__(self, at: int) -> None:
        self._left = at

    def of(self, data: bytes) -> bytes:
        at, self._left = self._left, self._left - len(data)
        return data if not 0 <= at < len(data) else data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


async def passes(host: str, kept: IO[bytes], which: str, at: int) -> None:
    async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter, flip: Flip, keeps: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                if keeps:
                    kept.write(data)
                to.write(flip.of(data))
                await to.drain()
        to.close()

    async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, PORT)
        await asyncio.gather(
            pump(reader, back, Flip(at if which == "joiner" else -1), True),
            pump(there, writer, Flip(at if which == "issuer" else -1), False),
        )

    server = await asyncio.start_server(came, "0.0.0.0", PORT)
    tell(listens=True)
    await server.serve_forever()


def says(host: str, file: str) -> None:
    heard = b""
    with socket.create_connection((host, PORT), PATIENCE_S) as made:
        made.sendall(Path(file).read_bytes())
        with suppress(OSError):
            while data := made.recv(65_536):
                heard += data
    tell(heard=len(heard))


# -- pretending --------------------------------------------------------------------------------------------------------


def fetched(host: str, key: bytes) -> bytes:
    """What any stranger is told: who lets in."""
    with zmq.Context() as ctx, ctx.socket(zmq.DEALER) as made:
        made.setsockopt(zmq.LINGER, 0)
        curve(key)(made)
        made.connect(f"tcp://{host}:{PORT}")
        made.send(letters.packed(letters.Hello()))
        assert made.poll(int(PATIENCE_S * 1000)), "nobody says who lets in"
        return made.recv()


def pretends(host: str, key: bytes) -> None:
    chain = fetched(host, key)
    public, secret = zmq.curve_keypair()
    with zmq.Context() as ctx, ctx.socket(zmq.ROUTER) as made:
        made.setsockopt(zmq.CURVE_SERVER, 1)
        made.setsockopt(zmq.CURVE_SECRETKEY, secret)
        made.bind(f"tcp://0.0.0.0:{PORT}")
        tell(key=z85.decode(public).hex())
        while made.poll(QUIET_MS):
            route, data = made.recv_multipart()
            tell(heard=type(letters.unpacked(data)).__name__)
            made.send_multipart([route, chain])


def main(how: str, host: str, *more: str) -> None:
    match how:
        case "passes":
            which, at = more[1:] or ("", "-1")
            with Path(more[0]).open("wb", buffering=0) as kept:
                asyncio.run(passes(host, kept, which, int(at)))
        case "pretends":
            pretends(host, bytes.fromhex(more[0]))
        case "says":
            says(host, more[0])


if __name__ == "__main__":
    main(*sys.argv[1:])

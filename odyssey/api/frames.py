"""What travels over the local door: a length, then one record in its envelope.

Both sides first say Hello. Then the client asks, as often and as much at once as it likes, under numbers of its own;
the daemon answers each with one Reply, or with Parts and a Done, or with Refused at any time.

Promises: frozen; fields are added at the end and have a default, so that a client and a daemon of two versions
understand each other; nothing is decoded that is larger than FRAME.
Never: knows what the bodies mean: `operations` says which records they are.
"""

from typing import Final, TypeVar

import msgspec

from odyssey import wire
from odyssey.errors import TooLarge

T = TypeVar("T")

VERSION: Final = 1
LENGTH: Final = 4  # bytes, big-endian
CHUNK: Final = 256 << 10  # of a file or of output, in one record
BODY: Final = wire.Limits(bytes=1 << 20, array=64 << 10, map=8192, str=256 << 10, bin=1 << 20, depth=16)
FRAME: Final = BODY._replace(bytes=BODY.bytes + 1024, bin=BODY.bytes)


class Frame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The base of all of them."""


class Hello(Frame, frozen=True, tag="hello"):
    version: int
    program: str = ""  # of which version, for people


# -- from the client ---------------------------------------------------------------------------------------------------


class Ask(Frame, frozen=True, tag="ask"):
    number: int
    op: str
    body: bytes


class Stop(Frame, frozen=True, tag="stop"):
    """No more parts, please. Answered by Done."""

    number: int


# -- from the daemon ---------------------------------------------------------------------------------------------------


class Reply(Frame, frozen=True, tag="reply"):
    number: int
    body: bytes


class Part(Frame, frozen=True, tag="part"):
    number: int
    body: bytes


class Done(Frame, frozen=True, tag="done"):
    number: int


class Refused(Frame, frozen=True, tag="refused"):
    """The two lines a person reads, and with which status a command ends. Number 0: the connection as a whole."""

    number: int
    error: str
    hint: str | None = None
    exit_status: int = 1
    fault: str = "bug"
    code: str = ""


ToDaemon = Hello | Ask | Stop
ToClient = Hello | Reply | Part | Done | Refused


def packed(frame: Frame) -> bytes:
    data = wire.encode_message(frame, FRAME)
    return len(data).to_bytes(LENGTH, "big") + data


def length(head: bytes) -> int:
    """How many bytes follow; more than anybody may send is refused before they are read."""
    size = int.from_bytes(head, "big")
    if size > FRAME.bytes:
        raise TooLarge(f"a frame of {size} bytes where {FRAME.bytes} are allowed")
    return size

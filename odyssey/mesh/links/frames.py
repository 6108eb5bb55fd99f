"""What travels on a line: a head, and for some a load behind it.

A line begins with a hello from both sides, the dialler's first. It names the oldest and the newest version its sender
speaks; both then speak the newest that they share. A load is never decoded here: a letter is decoded by whoever it is
for, a piece is bytes.

Promises: pure; a head that is not one of these raises a `WireError`.
Never: changes the meaning of a tag or of a field. New fields go to the end and have a default.
"""

from __future__ import annotations

from typing import Final

import msgspec

from odyssey import wire

LOWEST: Final = 1
HIGHEST: Final = 1
RUN_BYTES: Final = 16
LETTER_BYTES: Final = (1 << 20) + (4 << 10)  # a log entry, and the letter around it
PIECE_BYTES: Final = 256 << 10
HEAD_BYTES: Final = wire.ITEM.bytes


class Frame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Fields that are not known are ignored."""


# -- both lanes --------------------------------------------------------------------------------------------------------


class Hello(Frame, frozen=True, tag="hello"):
    lowest: int
    highest: int
    run: bytes  # drawn when the links were made: letters are numbered anew with it
    features: tuple[str, ...] = ()  # what it can do beyond its version
    program: str = ""  # its version, for people


class Bye(Frame, frozen=True, tag="bye"):
    """The last word. What is to be resent is resent on another line."""

    reason: str = ""


class Ping(Frame, frozen=True, tag="ping"):
    number: int


class Pong(Frame, frozen=True, tag="pong"):
    number: int


# -- the control lane --------------------------------------------------------------------------------------------------


class Parcel(Frame, frozen=True, tag="parcel"):
    """A letter is its load. All below `since` have arrived or were given up. Number 0: only worth something now, so it
    is not acknowledged and not sent again."""

    number: int = 0
    since: int = 0


class Ack(Frame, frozen=True, tag="ack"):
    """All up to this one are here."""

    number: int


# -- the bulk lane -----------------------------------------------------------------------------------------------------


class Slices(Frame, frozen=True, tag="slices"):
    digest: bytes
    first: int
    doubted: bool = False


class Segment(Frame, frozen=True, tag="segment"):
    digest: bytes
    start: int


class Ask(Frame, frozen=True, tag="ask"):
    """Answered on the same line by a head under the same number, then by its bytes in pieces."""

    number: int
    question: Slices | Segment


class Head(Frame, frozen=True, tag="head"):
    number: int
    sizes: tuple[int, ...] | None  # of the parts that follow, one behind the other. None: it is not to be had


class Piece(Frame, frozen=True, tag="piece"):
    """The next bytes are its load. Each costs a credit."""

    number: int


class Credit(Frame, frozen=True, tag="credit"):
    pieces: int


Question = Slices | Segment
AnyFrame = Hello | Bye | Ping | Pong | Parcel | Ack | Ask | Head | Piece | Credit


def packed(frame: AnyFrame) -> bytes:
    return wire.encode_message(frame)


def unpacked(head: bytes) -> AnyFrame:
    return wire.decode_message(head, AnyFrame)


def shared_version(mine: tuple[int, int], theirs: tuple[int, int]) -> int | None:
    """The newest that both speak."""
    newest = min(mine[1], theirs[1])
    return newest if newest >= max(mine[0], theirs[0]) else None

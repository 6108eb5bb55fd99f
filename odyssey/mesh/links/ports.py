"""What the links are given from outside, and what their own halves are to each other.

Promises: pure; a key is always the 32 bytes of a CURVE public key, never a name that somebody claims.
Never: says how a table of members is kept, or what carries a line.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from odyssey.ids import NodeId

KEY_BYTES = 32


class Lane(enum.IntEnum):
    """Orders and bytes travel apart, on connections of their own."""

    CONTROL = 0
    BULK = 1


class Refusal(enum.IntEnum):
    """Why a key may not enter; the numbers are ZAP's."""

    UNKNOWN = 300  # perhaps later: whoever dials tries again
    REVOKED = 400  # never again


class Doorkeeper(Protocol):
    def who(self, key: bytes) -> NodeId | Refusal:
        """Whose key is this, now? Asked for every message, so it is a look-up."""


class Path(NamedTuple):
    """One way to a machine; all are tried as equals."""

    host: str  # an address: names are looked up by whoever has one
    control: int
    bulk: int

    def port(self, lane: Lane) -> int:
        return self.control if lane is Lane.CONTROL else self.bulk


class Where(NamedTuple):
    key: bytes  # whoever answers there must have it
    paths: tuple[Path, ...] = ()  # none: it can only be heard, not dialled


class Directory(Protocol):
    def where(self, peer: NodeId) -> Where | None: ...


class Source(Protocol):
    """What this machine gives on the bulk lane. None: it is not here. Answers later, and once."""

    def serve(
        self, digest: bytes, first: int, doubted: bool, done: Callable[[Sequence[bytes] | None], None]
    ) -> None: ...

    def serve_segment(self, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None: ...


# -- between the half that decides and the half that knows sockets -----------------------------------------------------


class Line(Protocol):
    """One connection to whoever has the key. It is never mended: a new one takes its place."""

    @property
    def key(self) -> bytes: ...

    @property
    def lane(self) -> Lane: ...

    @property
    def dialled(self) -> bool:
        """By this machine."""

    @property
    def address(self) -> str: ...

    def send(self, head: bytes, load: bytes | memoryview = b"") -> bool:
        """False: it is full, or no more. True says only that it is on its way."""

    def end(self) -> None:
        """Nothing is heard of it any more. What was sent just before may still arrive."""


class Switch(Protocol):
    """Whom the wires tell. What comes on a line is in order."""

    def admit(self, key: bytes) -> NodeId | Refusal:
        """Before there is a line."""

    def heard(self, line: Line, head: bytes, load: bytes) -> None: ...

    def gone(self, line: Line, why: str) -> None:
        """Not said of lines that were ended from this side."""

    def turned_away(self, why: str) -> None:
        """Somebody who never had a line."""


class Wires(Protocol):
    def dial(self, key: bytes, host: str, port: int, lane: Lane) -> Line: ...


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...

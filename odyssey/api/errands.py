"""What machines ask each other on behalf of a job, so that it does not matter where it runs: bytes that an attempt has
written, keys for its terminal, what it needs before it starts. And how the way to another machine is.

Persons ask the mesh (`operations`); these are asked of one machine by another. A table of its own, because the right
is another one: it belongs to the machine that asks, by its certificate.

Promises: frozen; fields are added at the end and have a default; every question is harmless when it comes twice.
Never: asked at a local door.
"""

import enum
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from odyssey.api import views as v

A = TypeVar("A")

MOST_WANTED: Final = 1_000  # attempts in one question
MOST_PROGRAMS: Final = 64  # that are sought at a time
MOST_BYTES: Final = 256 << 10  # of output, in one answer
LONGEST_MS: Final = 20_000  # that an answer is waited with for news


class Errand(msgspec.Struct, Generic[A], frozen=True, array_like=True, gc=False):
    """The base of all of them; A is what is answered, once."""


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The base of answers and their parts."""


# -- what attempts have written ----------------------------------------------------------------------------------------


class Want(Record, frozen=True):
    """The output of one attempt, from these bytes on."""

    attempt: int
    stdout: int = 0
    stderr: int = 0
    is_over: bool = False  # the log says so: whatever there is, is all that there will be


class Stream(Record, frozen=True):
    at: int = 0
    data: bytes = b""
    size: int = 0  # of all of it, as far as it is written
    cut: int = 0


class Piece(Record, frozen=True):
    """Of one attempt. `is_known`: something of it is on this machine."""

    attempt: int
    is_known: bool = False
    is_complete: bool = False  # no more will be written; there may be more to ask for
    stdout: Stream = Stream()
    stderr: Stream = Stream()
    note: str | None = None
    unread: int | None = None


class Pieces(Record, frozen=True):
    pieces: tuple[Piece, ...] = ()


class AskOutput(Errand[Pieces], frozen=True):
    """Those of whom there is something new, in this order, as much as fits. Nothing new: the answer comes when there
    is, or after `wait_ms`. With `tail`, each stream begins at its last so many lines instead."""

    wants: tuple[Want, ...]
    wait_ms: int = 0
    tail: int = -1


class Size(Record, frozen=True):
    """None: not known."""

    stdout: int | None = None
    stderr: int | None = None
    is_complete: bool = False
    cut: int = 0
    files: str | None = None


class Sizes(Record, frozen=True):
    sizes: tuple[Size, ...] = ()


class AskSizes(Errand[Sizes], frozen=True):
    """How much of it there is: one size for each task and attempt, in this order."""

    attempts: tuple[tuple[int, int], ...]


# -- its terminal ------------------------------------------------------------------------------------------------------


class Keys(Errand[v.Typed], frozen=True):
    """As `requests.Type`, of somebody who may."""

    task: int
    attempt: int
    writer: int
    offset: int = 0
    data: bytes = b""
    rows: int = 0
    columns: int = 0


# -- what it needs -----------------------------------------------------------------------------------------------------


class Chunk(Record, frozen=True):
    """Bytes of a file from where they were asked for. `size` is how much of it is there, `is_complete`: that is all."""

    data: bytes = b""
    size: int = 0
    is_complete: bool = False
    is_known: bool = True


class AskBlob(Errand[Chunk], frozen=True):
    digest: bytes
    offset: int = 0


class AskStdin(Errand[Chunk], frozen=True):
    """Of a standard input in the spool. Nothing new: the answer comes when there is, or after `wait_ms`."""

    name: bytes
    offset: int = 0
    wait_ms: int = 0


# -- programs ----------------------------------------------------------------------------------------------------------


class Found(Record, frozen=True):
    programs: tuple[str, ...] = ()


class SeekPrograms(Errand[Found], frozen=True):
    """Which of them are on your owner's path? From now on your labels say so."""

    programs: tuple[str, ...]


# -- how it is from there ----------------------------------------------------------------------------------------------


class Examined(Record, frozen=True):
    wall_ms: int  # its clock, looked at last
    ways: tuple[v.WayView, ...] = ()  # that it tried
    gives: tuple[str, ...] = ()
    limits: tuple[v.Check, ...] = ()
    own_labels: dict[str, str] = {}
    version: str = ""
    padding: bytes = b""


class Examine(Errand[Examined], frozen=True):
    """How are you, and can you connect to that member? Only addresses that are known of it are tried. `machine` is whom
    it is for: who is asked for another machine asks that one, once."""

    machine: str = ""
    back_to: str = ""
    padding: bytes = b""
    wants: int = 0  # so many bytes of padding in the answer


# -- who lets machines in ----------------------------------------------------------------------------------------------


class Offered(Record, frozen=True):
    """The public half of a key with which it would let machines in."""

    key: bytes


class Offer(Errand[Offered], frozen=True):
    """It makes such a key, if it has none that counts or could."""


# -- the table ---------------------------------------------------------------------------------------------------------


class Who(enum.Enum):
    """The machine that asks, by its certificate."""

    KEEPER = "keeper"  # may keep the log, and so is told of all jobs anyway
    WORKER = "worker"  # may hold tasks: it names what it was told with one


class Row(NamedTuple):
    name: str
    request: type[Errand[Any]]
    answer: type[Any]
    who: Who


TABLE: Final = (
    Row("output-of", AskOutput, Pieces, Who.KEEPER),
    Row("sizes-of", AskSizes, Sizes, Who.KEEPER),
    Row("keys-for", Keys, v.Typed, Who.KEEPER),
    Row("blob-of", AskBlob, Chunk, Who.WORKER),
    Row("stdin-of", AskStdin, Chunk, Who.WORKER),
    Row("examine", Examine, Examined, Who.WORKER),
    Row("programs-on", SeekPrograms, Found, Who.KEEPER),
    Row("offer", Offer, Offered, Who.WORKER),
)

BY_NAME: Final = {row.name: row for row in TABLE}
BY_REQUEST: Final = {row.request: row for row in TABLE}


class Handler(Protocol):
    async def __call__(self, request: Any, /) -> Any: ...

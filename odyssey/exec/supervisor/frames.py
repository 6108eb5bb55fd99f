"""What the daemon and the supervisor say to each other: a length, a kind, fixed numbers, and for some a tail of bytes.

Both sides begin with a Hello. Orders may be said again at any time: each has the same effect the second time, so a
connection that breaks is mended by saying everything again.

Promises: pure; what one side packs the other reads back exactly, however the bytes are cut on their way; bytes that
are no frame raise `Garbled`, before room is made for what they claim. Hello and End mean the same in every version.
Never: reads or writes anything itself.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

VERSION: Final = 2  # 2: an order names its task, and whether it has a terminal
TERMINAL: Final = 0  # the room of an attempt that has a terminal: nobody follows it
GONE: Final = -1  # of keys that nobody took: no terminal is there, or none yet
MOST: Final = 4 << 20  # bytes of one frame: the longest command a kernel takes, and its environment
_HEAD: Final = struct.Struct(">IB")
HEAD_BYTES: Final = _HEAD.size
UNKNOWN_MS: Final = -1

# How an attempt ended, by the numbers of `model.Outcome`.
EXITED, SIGNALLED, TIMEOUT, OOM, CANCELLED, LOST, EVICTED, NOT_HERE, REJECTED = range(9)


class Garbled(Exception):
    """Not what the other side may say."""


# -- from the daemon ---------------------------------------------------------------------------------------------------


class Hello(NamedTuple):
    """Said first by both. The tail of the daemon's is how it is started again when it dies: words, each ended by NUL;
    none if it is not to be."""

    version: int
    pid: int
    until_ms: int = 0  # of the supervisor: the lease it goes by
    tail: bytes = b""


class Start(NamedTuple):
    """Start it once, ever. `room` says what it takes of the machine: what needs the same may follow it."""

    attempt: int
    task: int
    room: int
    timeout_ms: int  # 0: none
    memory: int  # bytes, as a limit; 0: none
    tail: bytes  # an order for a runner


class Follow(NamedTuple):
    """As Start, but only in the place of one with the same `room` that has ended."""

    attempt: int
    task: int
    room: int
    timeout_ms: int
    memory: int
    tail: bytes


class Refuse(NamedTuple):
    """Never start it. If it was not started, it ends as rejected, with the tail as the reason."""

    attempt: int
    task: int
    outcome: int
    tail: bytes = b""


class Stop(NamedTuple):
    """Politely, and by force when that has had no effect for some time."""

    attempt: int


class Kill(NamedTuple):
    attempt: int


class Freeze(NamedTuple):
    attempt: int


class Thaw(NamedTuple):
    attempt: int


class Lease(NamedTuple):
    """Nothing is started and nothing runs from this moment of the boot-time clock on. Answered by Told."""

    until_ms: int
    number: int


class Forget(NamedTuple):
    """The ends of these are known where it matters: eight bytes for each."""

    tail: bytes


class Grew(NamedTuple):
    """There is more of a standard input in the spool, or it is complete; the tail is its name."""

    tail: bytes


class Keys(NamedTuple):
    """What somebody types: bytes at an offset of all that this writer types, so that what is said again is taken once.
    Rows and columns are those of the terminal from now on; 0: as they are. Answered by Typed. Whoever says this is also
    told with Wrote of what the attempt writes. Only to a supervisor that can do `terminals`."""

    attempt: int
    writer: int
    offset: int
    rows: int
    columns: int
    tail: bytes


class Leave(NamedTuple):
    """The daemon goes on purpose: it is not to be started again."""


class End(NamedTuple):
    """Kill all that runs, and end."""


# -- from the supervisor -----------------------------------------------------------------------------------------------


class Held(NamedTuple):
    """One attempt that is here and has not ended; said once for each after a Hello."""

    attempt: int
    task: int
    started: int
    frozen_at_ms: int  # UNKNOWN_MS: it is not frozen
    elapsed_ms: int


class Ready(NamedTuple):
    """All that is here has been told."""


class Ended(NamedTuple):
    """How one attempt ended; told until it is to be forgotten. The tail is a sentence for people."""

    attempt: int
    task: int
    outcome: int
    code: int
    started_ms: int
    ended_ms: int
    run_ms: int
    cpu_ms: int
    peak_memory: int
    leaked: int
    follower: int = 0  # the attempt that has begun in its place
    tail: bytes = b""


class Frozen(NamedTuple):
    attempt: int
    at_ms: int  # UNKNOWN_MS: it runs again


class Told(NamedTuple):
    number: int


class Typed(NamedTuple):
    """So many bytes of this writer are taken, or GONE. What is not taken has found no room: it is to be said again."""

    attempt: int
    writer: int
    taken: int


class Wrote(NamedTuple):
    """There is more of its output to read."""

    attempt: int


# -- in the journal only -----------------------------------------------------------------------------------------------


class Past(NamedTuple):
    """These attempts have ended and are forgotten."""

    start: int
    stop: int


Message = (
    Hello
    | Start
    | Follow
    | Refuse
    | Stop
    | Kill
    | Freeze
    | Thaw
    | Lease
    | Forget
    | Grew
    | Keys
    | Leave
    | End
    | Held
    | Ready
    | Ended
    | Frozen
    | Told
    | Typed
    | Wrote
    | Past
)

_TABLE: Final[tuple[tuple[int, type[Message], str], ...]] = (
    (1, Hello, ">HIq"),
    (2, End, ">"),
    (3, Leave, ">"),
    (10, Start, ">QQQQQ"),
    (11, Follow, ">QQQQQ"),
    (12, Refuse, ">QQB"),
    (13, Stop, ">Q"),
    (14, Kill, ">Q"),
    (15, Freeze, ">Q"),
    (16, Thaw, ">Q"),
    (17, Lease, ">qQ"),
    (18, Forget, ">"),
    (19, Grew, ">"),
    (20, Keys, ">QQQHH"),
    (30, Held, ">QQBqQ"),
    (31, Ready, ">"),
    (33, Ended, ">QQBiQQQQQBQ"),
    (34, Frozen, ">Qq"),
    (35, Told, ">Q"),
    (36, Typed, ">QQq"),
    (37, Wrote, ">Q"),
    (50, Past, ">QQ"),
)
_Form = tuple[int, Callable[[Iterable[Any]], Message], struct.Struct, bool]
_FORMS: Final[dict[type[Message], _Form]] = {
    made: (kind, made._make, struct.Struct(form), "tail" in made._fields) for kind, made, form in _TABLE
}
_KINDS: Final[dict[int, _Form]] = {form[0]: form for form in _FORMS.values()}


def packed(message: Message) -> bytes:
    kind, _, form, has_tail = _FORMS[type(message)]
    fields: tuple[Any, ...] = message
    if not has_tail:
        return _HEAD.pack(form.size, kind) + form.pack(*fields)
    tail: bytes = fields[-1]
    size = form.size + len(tail)
    if size > MOST:
        raise Garbled(f"a frame of {size} bytes where {MOST} are allowed")
    return _HEAD.pack(size, kind) + form.pack(*fields[:-1]) + tail


def read(kind: int, body: bytes) -> Message:
    known = _KINDS.get(kind)
    if known is None:
        raise Garbled(f"frames of kind {kind} are not known")
    _, make, form, has_tail = known
    if len(body) < form.size or (len(body) > form.size and not has_tail):
        raise Garbled(f"a frame of kind {kind} with {len(body)} bytes")
    fields = form.unpack_from(body)
    return make((*fields, body[form.size :]) if has_tail else fields)


def numbers(data: bytes) -> tuple[int, ...]:
    """The tail of a Forget."""
    if len(data) % 8:
        raise Garbled(f"numbers in {len(data)} bytes")
    return struct.unpack(f">{len(data) // 8}Q", data)


def packed_numbers(some: list[int]) -> bytes:
    return struct.pack(f">{len(some)}Q", *some)


class Splitter:
    """Bytes as they come from a stream, to messages."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        data = self._left + data if self._left else data
        at, end = 0, len(data)
        try:
            while end - at >= HEAD_BYTES:
                size, kind = _HEAD.unpack_from(data, at)
                if size > MOST:
                    raise Garbled(f"a frame of {size} bytes where {MOST} are allowed")
                if end - at - HEAD_BYTES < size:
                    return
                body = data[at + HEAD_BYTES : at + HEAD_BYTES + size]
                at += HEAD_BYTES + size
                yield read(kind, body)
        finally:
            self._left = data[at:]

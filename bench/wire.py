"""The decoder: what a message and an entry cost, and how soon a bomb is refused.

Promises: each record is decoded as the product does it, with every limit on.
Never: measures the socket.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from bench.builders import GIB, WHY, client, entry, report, spec, want
from bench.harness import MS, US, Effort, Figure, Result, bench, cost, paired, timed
from odyssey import wire
from odyssey.commands import AssignTasks, Batch, Entry, Fence, ReportAttempts, SubmitJobs
from odyssey.errors import WireError
from odyssey.ids import JobId, NodeNumber, attempt_id, task_id
from odyssey.resources import Resources

TURNS: Final = 2000


class Beat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message of about a hundred bytes, like those that machines send every second."""

    node: NodeNumber
    sequence: int
    boottime_ms: int
    free: Resources
    state: str
    name: str
    running: tuple[int, ...]


BEAT: Final = Beat(
    NodeNumber(712),
    81_233,
    912_338_115,
    Resources(3750, 11 * GIB, 1, 120 * GIB),
    "up",
    "pc-in-the-corner",
    tuple(attempt_id(1, 700_000 + at, at) for at in range(4)),
)
ENTRIES: Final = (
    ("an entry with a submit", entry(7, SubmitJobs(client(7), 3, (spec(0, want(key="render")),)))),
    (
        "an entry with an assignment",
        entry(8, AssignTasks(Fence(1, 1), (Batch(NodeNumber(5), JobId(7), ((0, 1),), score=91_000),), (WHY,))),
    ),
    ("an entry with a report", entry(9, ReportAttempts(NodeNumber(5), (report(attempt_id(1, 8, 0), task_id(7, 0)),)))),
)


@bench("wire.records")
def records(effort: Effort) -> Iterator[Result]:
    message = wire.encode_message(BEAT)
    yield from _both_ways(
        effort,
        f"a message of {len(message)} bytes",
        lambda: wire.encode_message(BEAT),
        lambda: wire.decode_message(message, Beat),
        BEAT,
        Beat,
    )
    for name, one in ENTRIES:
        encoded = wire.encode_log(one)

        def encode(record: Entry = one) -> bytes:
            return wire.encode_log(record)

        def decode(data: bytes = encoded) -> Entry:
            return wire.decode_log(data, Entry)

        yield from _both_ways(effort, f"{name}, {len(encoded)} bytes", encode, decode, one, Entry)


def _both_ways(
    effort: Effort, name: str, encode: Callable[[], object], decode: Callable[[], object], record: object, kind: type
) -> Iterator[Figure]:
    encoder = msgspec.msgpack.Encoder()
    decoder: msgspec.msgpack.Decoder[object] = msgspec.msgpack.Decoder(kind)
    bare = encoder.encode(record)
    for way, real, raw in (
        ("encode", encode, lambda: encoder.encode(record)),
        ("decode", decode, lambda: decoder.decode(bare)),
    ):
        samples = paired(_many(real), _many(raw), effort.repeats(20))
        yield cost(f"wire: {way} {name}", "us", samples, US, "msgspec alone, without limits")


def _many(work: Callable[[], object]) -> Callable[[], float]:
    """The mean of many calls: one alone is shorter than the clock can tell."""

    def turns() -> None:
        for _ in range(TURNS):
            work()

    return lambda: timed(turns) / TURNS


# -- bombs -------------------------------------------------------------------------------------------------------------

MIB: Final = 1 << 20


def _bombs() -> Iterator[tuple[str, bytes]]:
    """As much as an entry may have, and every byte of it one more thing to build."""
    room = MIB - 5
    yield "1 MiB of empty maps, beside each other", b"\xdd" + room.to_bytes(4, "big") + b"\x80" * room
    full = b"\xdc\xff\xff" + b"\x80" * 0xFFFF
    yield "1 MiB of empty maps, 65,535 in each array", b"\x9f" + full * 15 + b"\x90" * (MIB - 1 - 15 * len(full))
    yield "1 MiB of arrays within each other", b"\x91" * MIB
    yield "1 MiB of headers that announce 65,535 each", b"\xdc\xff\xff" * (MIB // 3)


@bench("wire.bombs")
def bombs(effort: Effort) -> Iterator[Result]:
    for name, bomb in _bombs():

        def refuse(data: bytes = bomb) -> None:
            try:
                wire.decode(data, Entry, wire.ENTRY)
            except WireError:
                return
            raise AssertionError("the bomb was not refused")

        def look(data: bytes = bomb) -> None:
            data.count(b"\xc1")

        samples = paired(lambda: timed(refuse), lambda: timed(look), effort.repeats(20))
        yield cost(f"wire: refuse {name}", "ms", samples, MS, "one look at each byte")

"""Why a task went where it went: the record that is kept with the assignment.

One record serves all equal tasks of a plan: the five best machines as they stood before the first of them was placed,
each with the terms of its score, and how many machines were out for which reason.

Promises: at most 512 bytes encoded; the terms sum up to the score, exactly.
Never: a sentence: `explain` makes those.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from odyssey.ids import NodeNumber
from odyssey.scheduler.feasible import Code

MAX_BYTES: Final = 512
TOP: Final = 5
_MOST_MOVED: Final = (1 << 63) - 1


class Candidate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    node: NodeNumber
    score: int
    parts: tuple[int, ...]


class Decision(msgspec.Struct, frozen=True, array_like=True, gc=False):
    policy: str
    terms: tuple[str, ...]
    top: tuple[Candidate, ...]
    excluded: tuple[tuple[int, int], ...]  # (Code, how many)
    expected_ms: int = 0  # on the best machine, 0 when nothing was known
    moved: int = 0  # bytes that had to move there
    term: int = 0  # of the coordinator that decided; 0: not kept
    by: NodeNumber = NodeNumber(0)  # the machine it was


class Weighed(NamedTuple):
    """A machine as it was weighed."""

    node: NodeNumber
    parts: Mapping[str, int]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Decision)


def encode(
    policy: str, weighed: list[Weighed], excluded: Mapping[Code, int], expected_ms: int = 0, moved: int = 0
) -> bytes:
    terms = tuple(sorted({name for one in weighed for name in one.parts}))
    top = tuple(
        Candidate(one.node, sum(one.parts.values()), tuple(one.parts.get(name, 0) for name in terms)) for one in weighed
    )
    counts = tuple(sorted((int(code), count) for code, count in excluded.items()))
    moved = min(moved, _MOST_MOVED)
    return _fitting(Decision(policy, terms, top[:TOP], counts, expected_ms, moved))


def signed(why: bytes, term: int, by: NodeNumber) -> bytes:
    """The same record, with whose it is."""
    decision = decode(why)
    return why if decision is None else _fitting(msgspec.structs.replace(decision, term=term, by=by))


def _fitting(decision: Decision) -> bytes:
    """A foreign policy may have many terms: fewer machines then."""
    for kept in range(len(decision.top), -1, -1):
        encoded = _ENCODER.encode(msgspec.structs.replace(decision, top=decision.top[:kept]))
        if len(encoded) <= MAX_BYTES:
            return encoded
    return _ENCODER.encode(Decision(decision.policy[:64], (), (), (), term=decision.term, by=decision.by))


def decode(why: bytes) -> Decision | None:
    return _DECODER.decode(why) if why else None

"""What machines send each other about the log, what an entry of it holds, and what whoever proposed one is told.

Promises: frozen, and the same on the wire and in memory; an outcome says no more than is known.
Never: decides what follows.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from odyssey import messages, wire
from odyssey.commands import AnyCommand, ChangeMembers, Entry, Fence, StartTerm
from odyssey.mesh import recover
from odyssey.mesh.raft.types import AnyMessage, Config, Kind, LogEntry, Member, StoreId

NO_ROOM: Final = -1  # where an index stands else
NOT_SURE: Final = -2


class Logged(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What an entry of the log holds."""

    wall_ms: int
    command: AnyCommand


def entry_of(one: LogEntry, generation: int) -> Entry:
    """As it is applied. `generation` is the one in which it was written."""
    if one.kind is Kind.START:
        return Entry(generation, one.term, one.index, 0, StartTerm(Fence(generation, one.term)))
    if one.kind is Kind.CONFIG:
        config = wire.decode(one.data, Config)
        names = tuple(member.node for member in config.voters), tuple(member.node for member in config.learners)
        return Entry(generation, one.term, one.index, 0, ChangeMembers(*names))
    logged = wire.decode_log(one.data, Logged)
    return Entry(generation, one.term, one.index, logged.wall_ms, logged.command)


class Scope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which log a message is about. A recovered mesh is another generation; its members do not mix with the old."""

    mesh: str
    generation: int
    generation_id: bytes = b""


class Forward(msgspec.Struct, frozen=True, array_like=True, tag="forward", gc=False):
    sender: Member
    request: int
    data: bytes


class Forwarded(msgspec.Struct, frozen=True, array_like=True, tag="forwarded", gc=False):
    """Index 0: not accepted; ask again after a while. NO_ROOM: nor later, unless somebody makes room. NOT_SURE: it may
    be on the log; who does not lead now may have led when another copy of the question came. Any other: the entry is
    applied there when this is sent."""

    sender: Member
    request: int
    index: int


class AskRead(msgspec.Struct, frozen=True, array_like=True, tag="ask-read", gc=False):
    sender: Member
    request: int


class ReadAt(msgspec.Struct, frozen=True, array_like=True, tag="read-at", gc=False):
    sender: Member
    request: int
    index: int


Content = AnyMessage | Forward | Forwarded | AskRead | ReadAt


class Letter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything machines send each other."""

    scope: Scope
    content: Content | messages.AnyMessage | recover.AnyMessage
    store: StoreId = StoreId(b"")  # whom it is for; one for the machine's old store is not for its new one


# -- outcomes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    index: int
    answer: object  # what applying it said; None when it had been applied here before this was known


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may be on the log or not. Whoever asked sends it again under the same id."""


@dataclass(frozen=True, slots=True)
class Again:
    """It is not on the log; ask again after so many ms."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class NoRoom:
    """It is not on the log: the disk of the machine that leads is nearly full, and no job is taken in."""


Outcome = Accepted | Unknown | Again | NoRoom

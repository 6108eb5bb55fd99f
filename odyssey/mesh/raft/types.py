"""The words of consensus: members, entries, messages, and what the core asks its driver to do.

A member is a machine with a store: (node id, store id). A machine whose store was emptied is another member; a vote or
an acknowledgement of its old self does not count for the new one.

Promises: frozen, exact, and the same on the wire and on disk.
Never: carries what a job is; `data` is bytes here.
"""

import enum
from typing import NewType

import msgspec

from odyssey.ids import NodeId

StoreId = NewType("StoreId", bytes)  # 128 random bits, made with the store


class Member(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, order=True):
    node: NodeId
    store: StoreId


class Config(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    voters: tuple[Member, ...] = ()
    learners: tuple[Member, ...] = ()

    @property
    def members(self) -> tuple[Member, ...]:
        return (*self.voters, *self.learners)


class Kind(enum.IntEnum):
    COMMAND = 0
    CONFIG = 1
    START = 2  # the first entry of a term


class LogEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    index: int
    term: int
    kind: Kind
    data: bytes


class HardState(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What must never go back for a store."""

    term: int = 0
    vote: Member | None = None
    commit: int = 0


class Snapshot(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A state up to an index, known by the hash of its bytes. The bytes travel elsewhere."""

    index: int = 0
    term: int = 0
    config: Config = Config()
    digest: bytes = b""
    size: int = 0


# -- messages ----------------------------------------------------------------------------------------------------------


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Every one, also a reply, carries the sender's term and which member it is."""

    term: int
    sender: Member


class VoteRequest(Message, frozen=True, tag="vote-request"):
    last_index: int
    last_term: int
    pre: bool = False  # asks whether an election would succeed; changes nobody's term
    forced: bool = False  # the leader itself asked for this election


class VoteReply(Message, frozen=True, tag="vote-reply"):
    candidate: Member  # by its store too: a late vote for a machine's old self must not make its new self a leader
    granted: bool
    pre: bool = False


class Append(Message, frozen=True, tag="append"):
    prev_index: int
    prev_term: int
    entries: tuple[LogEntry, ...]
    commit: int


class AppendReply(Message, frozen=True, tag="append-reply"):
    """On success `match` is known to be equal; on refusal `prev_index` was not, and `hint` is worth trying next."""

    ok: bool
    match: int = 0
    prev_index: int = 0
    hint: int = 0
    rewound: bool = False  # the leader asked to cut what is committed: its log has gone back


class Heartbeat(Message, frozen=True, tag="heartbeat"):
    commit: int
    commit_term: int  # who holds this entry, and not another one there, holds all that is committed
    round: int


class HeartbeatReply(Message, frozen=True, tag="heartbeat-reply"):
    round: int


class Install(Message, frozen=True, tag="install"):
    snapshot: Snapshot


class TakeOver(Message, frozen=True, tag="take-over"):
    """Leadership is handed to you: start an election now."""


AnyMessage = VoteRequest | VoteReply | Append | AppendReply | Heartbeat | HeartbeatReply | Install | TakeOver


# -- what the driver is asked to do ------------------------------------------------------------------------------------


class Role(enum.IntEnum):
    FOLLOWER = 0
    PRE_CANDIDATE = 1
    CANDIDATE = 2
    LEADER = 3


class Write(msgspec.Struct, frozen=True, gc=False):
    """Goes to disk in one transaction, before anything that depends on it."""

    number: int
    hard: HardState
    entries: tuple[LogEntry, ...]  # replace everything from the first one's index on
    snapshot: Snapshot | None  # replaces all of the log on disk; `entries` are then all that follows it


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    to: Member
    message: AnyMessage


class Ready(msgspec.Struct, frozen=True, gc=False):
    """Write `write`, tell the core when it is done; send `messages` now; apply `committed` in order.

    `fetch` is repeated until `install` was called, or until it is wanted no more.
    """

    write: Write | None = None
    messages: tuple[Outgoing, ...] = ()
    committed: tuple[LogEntry, ...] = ()
    fetch: Snapshot | None = None  # get these bytes, then call `install`


class Busy(Exception):
    """Too much is outstanding: ask again a little later."""


class NotLeader(Exception):
    """Somebody else leads, or nobody."""

    def __init__(self, leader: Member | None) -> None:
        super().__init__(f"the leader is {leader.node if leader else 'unknown'}")
        self.leader = leader


class ConfigRefused(Exception):
    """A change of members that is not safe now; the text says why."""

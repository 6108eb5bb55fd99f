"""One core by itself, told by hand what the others say: for rules that concern one member only.

`terms` is a log: "1 1 2" are three entries of the terms 1, 1 and 2. It is the machine 1 unless said otherwise.
"""

from collections.abc import Sequence

from odyssey.clock import Entropy
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.log import Log
from odyssey.mesh.raft.types import (
    AnyMessage,
    Append,
    AppendReply,
    HardState,
    Heartbeat,
    HeartbeatReply,
    Kind,
    LogEntry,
    Ready,
    Snapshot,
    VoteReply,
    VoteRequest,
    Write,
)
from tests.mesh.raft.cluster import Longest
from tests.mesh.raft.machine import config, member, name_of

LONG = 30  # ticks after which anybody stands


def entry(index: int, term: int, data: bytes = b"x") -> LogEntry:
    return LogEntry(index, term, Kind.COMMAND, data)


def entries(terms: str, first: int = 1) -> list[LogEntry]:
    return [entry(first + position, int(term)) for position, term in enumerate(terms.split())]


def log(terms: str = "", members: str = "1 2 3", commit: int = 0) -> Log:
    return Log(Snapshot(config=config(members)), entries(terms), commit)


def core(
    terms: str = "",
    members: str = "1 2 3",
    term: int = 0,
    vote: str = "",
    commit: int = 0,
    name: str = "1",
    entropy: Entropy | None = None,
) -> Core:
    term = max([term, *map(int, terms.split())])
    hard = HardState(term, member(vote) if vote else None, commit)
    return Core(member(name), hard, log(terms, members, commit), entropy or Longest())


def said(one: Core) -> list[tuple[str, AnyMessage]]:
    """All it has to say now, with a disk that writes at once."""
    heard: list[tuple[str, AnyMessage]] = []
    while (ready := one.ready()) != Ready(fetch=ready.fetch):
        heard += [(name_of(outgoing.to), outgoing.message) for outgoing in ready.messages]
        if ready.write is not None:
            one.written(ready.write.number)
    return heard


def hears(one: Core, *messages: AnyMessage) -> list[tuple[str, AnyMessage]]:
    for message in messages:
        one.step(message)
    return said(one)


def answer(one: Core, message: AnyMessage) -> AnyMessage:
    """What it says to this, which must be one thing."""
    ((_, reply),) = hears(one, message)
    return reply


def wait(one: Core, ticks: int) -> list[tuple[str, AnyMessage]]:
    heard = []
    for _ in range(ticks):
        one.tick()
        heard += said(one)
    return heard


def leader(terms: str = "", members: str = "1 2 3", term: int = 0) -> Core:
    """1 leads the next term, and has just said its first word."""
    one = core(terms, members, term)
    wait(one, LONG)
    for voter in one.config.voters:
        if voter != one.me:
            hears(one, VoteReply(one.term + 1, voter, one.me, True, pre=True))
    for voter in one.config.voters:
        if voter != one.me:
            hears(one, VoteReply(one.term, voter, one.me, True))
    assert one.is_leader
    return one


# -- what others say ---------------------------------------------------------------------------------------------------


def asks(name: str, term: int, last: tuple[int, int] = (0, 0), pre: bool = False, forced: bool = False) -> VoteRequest:
    """`last` is the term and the index at which its log ends."""
    return VoteRequest(term, member(name), last[1], last[0], pre, forced)


def votes(name: str, term: int, yes: bool = True, pre: bool = False, candidate: str = "1") -> VoteReply:
    return VoteReply(term, member(name), member(candidate), yes, pre)


def append(name: str, term: int, prev: tuple[int, int], some: Sequence[LogEntry] = (), commit: int = 0) -> Append:
    """`prev` is index and term."""
    return Append(term, member(name), prev[0], prev[1], tuple(some), commit)


def holds(name: str, term: int, match: int) -> AppendReply:
    return AppendReply(term, member(name), True, match=match)


def refuses(name: str, term: int, prev: int, hint: int) -> AppendReply:
    return AppendReply(term, member(name), False, prev_index=prev, hint=hint)


def beat(name: str, term: int, commit: tuple[int, int] = (0, 0), number: int = 1) -> Heartbeat:
    return Heartbeat(term, member(name), commit[0], commit[1], number)


def beats_back(name: str, term: int, number: int) -> HeartbeatReply:
    return HeartbeatReply(term, member(name), number)


def write_of(one: Core) -> Write:
    """The write it hands out now, and nothing is told about its end."""
    write = one.ready().write
    assert write is not None
    return write

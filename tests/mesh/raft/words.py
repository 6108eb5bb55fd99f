"""Messages, writes and entries as a person reads them in a transcript.

An entry is `7/2 x`: index, term, what it says. A log that ends there ends `at 7/2`.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from odyssey import wire
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.types import (
    AnyMessage,
    Append,
    AppendReply,
    Config,
    Heartbeat,
    HeartbeatReply,
    Install,
    Kind,
    LogEntry,
    Role,
    TakeOver,
    VoteReply,
    VoteRequest,
    Write,
)
from tests.mesh.raft.machine import command_of, name_of

KINDS: Final = {
    Append: "append",
    AppendReply: "append-reply",
    Heartbeat: "beat",
    HeartbeatReply: "beat-reply",
    Install: "snapshot",
    TakeOver: "take-over",
}


def kind_of(message: AnyMessage) -> str:
    if isinstance(message, VoteRequest | VoteReply):
        return ("pre-vote" if message.pre else "vote") + ("-reply" if isinstance(message, VoteReply) else "")
    return KINDS[type(message)]


def said(message: AnyMessage) -> str:
    return f"{kind_of(message)} term {message.term}{_details(message)}"


def _details(message: AnyMessage) -> str:
    match message:
        case VoteRequest():
            return f", log at {message.last_index}/{message.last_term}{', forced' if message.forced else ''}"
        case VoteReply():
            return ": yes" if message.granted else ": no"
        case Append():
            what = f", {entries(message.entries)}" if message.entries else ""
            return f", after {message.prev_index}/{message.prev_term}{what}, commit {message.commit}"
        case AppendReply(ok=True):
            return f": equal to {message.match}"
        case AppendReply(rewound=True):
            return ": you have lost what is committed"
        case AppendReply():
            return f": not after {message.prev_index}, try {message.hint}" if message.prev_index else ": no"
        case Heartbeat():
            return f", commit {message.commit}/{message.commit_term}, round {message.round}"
        case HeartbeatReply():
            return f", round {message.round}"
        case Install():
            return f", to {message.snapshot.index}/{message.snapshot.term}"
        case _:
            return ""


def entries(some: Iterable[LogEntry]) -> str:
    return " ".join(f"{entry.index}/{entry.term}{_content(entry)}" for entry in some)


def _content(entry: LogEntry) -> str:
    if entry.kind is Kind.COMMAND:
        return f" {command_of(entry.data)}"
    return " START" if entry.kind is Kind.START else f" ({members(wire.decode(entry.data, Config))})"


def members(config: Config) -> str:
    names = " ".join(map(name_of, config.voters))
    return f"{names} | {' '.join(map(name_of, config.learners))}" if config.learners else names


def written(write: Write) -> str:
    hard = write.hard
    return ", ".join(
        [
            f"term {hard.term}",
            *([f"vote {name_of(hard.vote)}"] if hard.vote else []),
            f"commit {hard.commit}",
            *([f"snapshot to {write.snapshot.index}/{write.snapshot.term}"] if write.snapshot else []),
            *([entries(write.entries)] if write.entries else []),
        ]
    )


def shown(name: str, core: Core) -> str:
    return f"{name}: {', '.join(_facts(core))}"


def _facts(core: Core) -> Iterator[str]:
    log = core.log
    yield role(core)
    yield f"term {core.term}"
    if core.vote is not None:
        yield f"vote {name_of(core.vote)}"
    yield f"members {members(core.config) or 'unknown'}"
    if log.snapshot.index:
        yield f"snapshot to {log.snapshot.index}/{log.snapshot.term}"
    yield f"log at {log.last}/{log.last_term}"
    yield f"commit {log.commit}"
    if core.rewound is not None:
        yield f"rewound is {name_of(core.rewound)}"


def role(core: Core) -> str:
    if core.role is not Role.FOLLOWER:
        return core.role.name.lower().replace("_", "-")
    return f"follows {name_of(core.leader)}" if core.leader else "follows nobody"

"""What the links of several machines are given in tests: a table of members, addresses, letters, files to ask for.

Promises: the table can be changed at any moment, as a real one.
Never: waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import count

from odyssey.commands import Fence
from odyssey.ids import AttemptId, NodeId
from odyssey.mesh.letters import Forward, Letter, Scope
from odyssey.mesh.links.ports import Doorkeeper, Path, Refusal, Where
from odyssey.mesh.raft.types import Append, Heartbeat, Kind, LogEntry, Member, StoreId
from odyssey.messages import Beat, BeatId, BootId, Duty

SCOPE = Scope("mesh", 1)


def node(name: str) -> NodeId:
    return NodeId(f"{name:a<26}")


def member(name: NodeId) -> Member:
    return Member(name, StoreId(b"store"))


class Town(Doorkeeper):
    """Who is a member, and where each is found: the table of one machine, or of all."""

    def __init__(self) -> None:
        self.members: dict[bytes, NodeId] = {}
        self.revoked: set[bytes] = set()
        self.places: dict[NodeId, Where] = {}
        self.asked = 0

    def who(self, key: bytes) -> NodeId | Refusal:
        self.asked += 1
        if key in self.revoked:
            return Refusal.REVOKED
        return self.members.get(key, Refusal.UNKNOWN)

    def where(self, peer: NodeId) -> Where | None:
        return self.places.get(peer)

    def admit(self, name: NodeId, key: bytes, *paths: Path) -> None:
        self.members[key] = name
        self.places[name] = Where(key, paths)


class Files:
    """What a machine gives on the bulk lane."""

    def __init__(self) -> None:
        self.slices: dict[bytes, list[bytes]] = {}
        self.segments: dict[bytes, bytes] = {}
        self.at_once = 1 << 20
        self.is_mute = False
        self.asked: list[tuple[bytes, int]] = []

    def put(self, data: bytes) -> bytes:
        digest = sha256(data).digest()
        self.segments[digest] = data
        return digest

    def serve(self, digest: bytes, first: int, doubted: bool, done: Callable[[Sequence[bytes] | None], None]) -> None:
        self.asked.append((digest, first))
        found = self.slices.get(digest)
        if not self.is_mute:
            done(None if found is None else found[first : first + 2])

    def serve_segment(self, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None:
        self.asked.append((digest, start))
        found = self.segments.get(digest)
        if not self.is_mute:
            done(None if found is None else found[start : start + self.at_once])


# -- letters -----------------------------------------------------------------------------------------------------------

_numbers = count(1)


def work(size: int = 10, number: int | None = None) -> Letter:
    """Something that must arrive; each is another one."""
    number = next(_numbers) if number is None else number
    return Letter(SCOPE, Forward(member(node("x")), number, b"w" * size))


def numbers(letters: Sequence[Letter]) -> list[int]:
    return [one.content.request for one in letters if isinstance(one.content, Forward)]


def beat(number: int = 1) -> Letter:
    return Letter(SCOPE, Beat(BeatId(BootId(b"b" * 16), 1, number)))


def duty() -> Letter:
    return Letter(SCOPE, Duty(BeatId(BootId(b"b" * 16), 1, 1), Fence(1, 1), 1, AttemptId(0)))


def heartbeat() -> Letter:
    return Letter(SCOPE, Heartbeat(1, member(node("x")), 0, 0, 1))


def append(size: int) -> Letter:
    entry = LogEntry(1, 1, Kind.COMMAND, b"e" * size)
    return Letter(SCOPE, Append(1, member(node("x")), 0, 0, (entry,), 0), StoreId(b"store"))

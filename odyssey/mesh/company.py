"""The machines that this one knows: who they are, where they are, and the links to them.

Certificates and addresses come from the log where it is kept, from whoever let this machine in, and from those it
talks to. They are kept in a file, so that a machine finds its mesh again by itself.

Promises: nobody is let in, or dialled, who is no member just now; whoever is put out is cut off when that is heard; a
file that is lost or torn costs a question, never more.
Never: decides who becomes a member: that is the issuers' and the log's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import takewhile
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from odyssey import wire
from odyssey.clock import Clock
from odyssey.errors import WireError
from odyssey.ids import NodeId
from odyssey.mesh.links.ports import Path as Way
from odyssey.mesh.links.ports import Refusal, Where
from odyssey.mesh.trust.certificates import Grant
from odyssey.mesh.trust.letters import Peer
from odyssey.mesh.trust.roster import Roster
from odyssey.mesh.trust.standing import Standing
from odyssey.paths import write_whole
from odyssey.wire import Limits

_FILE: Final = Limits(bytes=32 << 20, array=32_768, map=0, str=256, bin=2 << 10, depth=5)
_SUM: Final = 4
MOST_WAYS: Final = 8  # to one machine


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The file."""

    peers: tuple[Peer, ...]


class Company:
    """`changed` is called with those who are members no more, `news` with a machine of which something is new."""

    def __init__(self, me: NodeId, standing: Standing, path: Path, clock: Clock) -> None:
        self.me, self._path, self._clock = me, path, clock
        self.changed: Callable[[frozenset[NodeId]], None] = lambda _: None
        self.news: Callable[[NodeId], None] = lambda _: None
        self.roster = Roster(standing.trust())
        self._ways: dict[NodeId, tuple[str, ...]] = {}
        self._told: dict[NodeId, int] = {}  # the number of the newest change of each, in their order
        self.revision = 0
        self._is_unsaved = False
        self._seen: Mapping[NodeId, tuple[str, ...]] = {}  # on the LAN
        self._learn((standing.known.certificate,))
        self.meet(_read(path))
        self._is_unsaved = False

    # -- who -----------------------------------------------------------------------------------------------------------

    def who(self, key: bytes) -> NodeId | Refusal:
        node = self.roster.who(key, self._clock.wall_ms())
        if node is not None:
            return node
        return Refusal.REVOKED if self.roster.is_out(key) else Refusal.UNKNOWN

    def may(self, node: NodeId, grant: Grant) -> bool:
        return self.roster.may(node, grant, self._clock.wall_ms())

    def others(self) -> Sequence[NodeId]:
        """Those that may know who coordinates."""
        return [node for node in self.roster.nodes if node != self.me]

    def verify(self, node: NodeId, data: bytes, signature: bytes) -> bool:
        """Signed by who may keep the log: only such a machine begins a new generation of it."""
        from odyssey.mesh.trust.primitives import verified

        entry = self.roster.entry(node)
        if entry is None or not entry.certificate.may(Grant.VOTE):
            return False
        return verified(entry.certificate.key, data, signature)

    # -- where ---------------------------------------------------------------------------------------------------------

    def where(self, peer: NodeId) -> Where | None:
        entry = self.roster.entry(peer)
        if entry is None:
            return None
        told = dict.fromkeys((*self._ways.get(peer, ()), *self._seen.get(peer, ())[:MOST_WAYS]))
        return Where(entry.certificate.curve, tuple(way for text in told if (way := read(text))))

    def ways(self, node: NodeId) -> tuple[str, ...]:
        """Also of one whose time is over."""
        return self._ways.get(node, ())

    def peer(self, node: NodeId) -> Peer | None:
        entry = self.roster.entry(node)
        return None if entry is None else Peer(entry.data, self._ways.get(node, ()))

    def since(self, revision: int) -> Iterator[tuple[int, Peer]]:
        """Of whom something is new since then, in that order, each with the number of its newest change."""
        new = takewhile(lambda one: one[1] > revision, reversed(self._told.items()))
        for node, number in reversed(list(new)):
            if (peer := self.peer(node)) is not None:
                yield number, peer

    # -- learning ------------------------------------------------------------------------------------------------------

    def meet(self, peers: Iterable[Peer]) -> None:
        """What somebody says of others. Of a certificate it does not matter who, and a wrong address is only tried.
        Of this machine nobody knows more than itself."""
        for peer in peers:
            self._learn((peer.certificate,))
            certificate = self.roster.holder(peer.certificate)
            if certificate is not None and certificate.node != self.me:
                self.find(certificate.node, peer.addresses)

    def find(self, node: NodeId, addresses: Iterable[str]) -> bool:
        """Where it is now, as far as is known. True if that is new."""
        ways = tuple(text for text in dict.fromkeys(addresses) if read(text) is not None)[:MOST_WAYS]
        if not ways or self._ways.get(node) == ways:
            return False
        self._ways[node] = ways
        self._note(node)
        return True

    def see(self, seen: Mapping[NodeId, tuple[str, ...]]) -> Sequence[NodeId]:
        """Where machines were seen on the LAN just now: ways to try besides. Those of whom that is new."""
        new = [node for node, ways in seen.items() if self._seen.get(node) != ways]
        self._seen = seen
        return new

    def hear(self, certificates: Iterable[bytes], statements: Iterable[bytes]) -> None:
        """What is said, by the log or by anybody: of members, and of issuers and who was put out."""
        gone = self.roster.hear(statements, self._clock.wall_ms())
        self._learn(certificates)
        gone = frozenset(node for node in gone if self.roster.entry(node) is None)  # others are certified anew
        for node in gone:
            self._ways.pop(node, None)
            self._told.pop(node, None)
        self._is_unsaved = self._is_unsaved or bool(gone)
        if gone:
            self.changed(gone)

    def _learn(self, certificates: Iterable[bytes]) -> None:
        now = self._clock.wall_ms()
        for data in certificates:
            if self.roster.learn_all((data,), now) and (certificate := self.roster.holder(data)) is not None:
                self._note(certificate.node)

    def _note(self, node: NodeId) -> None:
        self.revision += 1
        self._told.pop(node, None)
        self._told[node] = self.revision
        self._is_unsaved = True
        self.news(node)

    def save(self) -> None:
        """What is new since the last time: from time to time, since it may take a disk a while."""
        if self._is_unsaved:
            peers = (self.peer(node) for node in self.roster.nodes)
            keep(self._path, tuple(peer for peer in peers if peer is not None))
            self._is_unsaved = False


def keep(path: Path, peers: tuple[Peer, ...]) -> None:
    data = wire.encode_log(Kept(peers), _FILE)
    write_whole(path, crc32(data).to_bytes(_SUM, "big") + data)


def _read(path: Path) -> Sequence[Peer]:
    try:
        text = path.read_bytes()
        if crc32(text[_SUM:]).to_bytes(_SUM, "big") == text[:_SUM]:
            return wire.decode_log(text[_SUM:], Kept, _FILE).peers
    except (OSError, WireError):
        pass
    return ()


# -- addresses ---------------------------------------------------------------------------------------------------------


def has_others(path: Path) -> bool:
    """As far as the file tells: this machine is not alone in its mesh."""
    return len(_read(path)) > 1


def written(host: str, port: int) -> str:
    """Of the join port; the others follow it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def for_others(addresses: Iterable[str]) -> tuple[str, ...]:
    """Those of them that mean something on another machine."""
    return tuple(text for text in addresses if _is_somewhere(text))[:MOST_WAYS]


def _is_somewhere(text: str) -> bool:
    way = read(text)
    if way is None:
        return False
    ip = ip_address(way.host)
    return not (ip.is_loopback or ip.is_unspecified or ip.is_multicast or ip.is_link_local)


def read(text: str) -> Way | None:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_534:
        return None
    try:
        ip_address(host)
    except ValueError:
        return None  # a name would be looked up where nobody may wait for that
    return Way(host, int(port) + 1, int(port) + 2)

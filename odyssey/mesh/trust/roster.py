"""Who is a member just now, by the key it connects with: asked for every message, so it is a look-up.

Certificates come from the log, from whoever let this machine in, from peers: from whom does not matter, since each is
verified. Of one machine the newest counts. When the trust set has grown, all are verified again.

Promises: a key stands for one machine; who was put out, or whose time is over, is no member from that moment on.
Never: looks at a clock, or believes a certificate because of who has sent it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from odyssey.ids import NodeId
from odyssey.mesh.trust.certificates import SKEW_MS, Certificate, Grant
from odyssey.mesh.trust.signed import Untrusted, Why
from odyssey.mesh.trust.trustset import TrustSet

MOST_MEMBERS: Final = 10_000


class Entry(NamedTuple):
    certificate: Certificate
    data: bytes  # signed


class Roster:
    def __init__(self, trust: TrustSet) -> None:
        self.trust = trust
        self._entries: dict[NodeId, Entry] = {}
        self._by_key: dict[bytes, NodeId] = {}
        self._by_data: dict[bytes, NodeId] = {}
        self._out: set[bytes] = set()  # keys of machines that were put out

    # -- asked ---------------------------------------------------------------------------------------------------------

    def who(self, curve: bytes, now: int) -> NodeId | None:
        node = self._by_key.get(curve)
        return node if node is not None and self._holds(self._entries[node].certificate, now) else None

    def is_out(self, curve: bytes) -> bool:
        """It was a member's, and that one was put out for good."""
        return curve in self._out

    def may(self, node: NodeId, grant: Grant, now: int) -> bool:
        entry = self._entries.get(node)
        return entry is not None and self._holds(entry.certificate, now) and entry.certificate.may(grant)

    def entry(self, node: NodeId) -> Entry | None:
        """Also of one whose time is over."""
        return self._entries.get(node)

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        return tuple(self._entries)

    def holder(self, data: bytes) -> Certificate | None:
        """Whose newest certificate this is."""
        node = self._by_data.get(data)
        return self._entries[node].certificate if node is not None else None

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """All of them, to be kept."""
        return tuple(entry.data for entry in self._entries.values())

    @staticmethod
    def _holds(certificate: Certificate, now: int) -> bool:
        return certificate.not_before - SKEW_MS <= now < certificate.expiry

    # -- learnt --------------------------------------------------------------------------------------------------------

    def learn(self, data: bytes, now: int) -> Certificate | None:
        """None: an older one than is known. Raises `Untrusted`."""
        if data in self._by_data:
            return None
        certificate = self.trust.whose(data, now)
        node, known = certificate.node, self._entries.get(certificate.node)
        if known is not None and _age(certificate, now) <= _age(known.certificate, now):
            return None
        if self._by_key.get(certificate.curve, node) != node:
            raise Untrusted(Why.OTHER_KEY, Certificate.WHAT)
        if known is None and len(self._entries) >= MOST_MEMBERS:
            raise Untrusted(Why.TOO_MANY, Certificate.WHAT)
        self._drop(node)
        self._entries[node] = Entry(certificate, data)
        self._by_key[certificate.curve] = self._by_data[data] = node
        return certificate

    def learn_all(self, items: Iterable[bytes], now: int) -> bool:
        """What cannot be believed is left out. True if anything is new."""
        is_new = False
        for data in items:
            try:
                is_new = self.learn(data, now) is not None or is_new
            except Untrusted:
                continue
        return is_new

    def hear(self, statements: Iterable[bytes], now: int) -> frozenset[NodeId]:
        """Of the trust set: issuers and revocations. Gives those who are members no more."""
        if not self.trust.take_all(statements):
            return frozenset()
        gone = set()
        for node, entry in list(self._entries.items()):
            try:
                self.trust.whose(entry.data, now)
            except Untrusted as error:
                if error.why is Why.EXPIRED:
                    continue
                gone.add(node)
                self._drop(node)
                if error.why is Why.REVOKED:
                    self._out.add(entry.certificate.curve)
        return frozenset(gone)

    def _drop(self, node: NodeId) -> None:
        entry = self._entries.pop(node, None)
        if entry is not None:
            del self._by_key[entry.certificate.curve]
            del self._by_data[entry.data]


def _age(certificate: Certificate, now: int) -> tuple[bool, int]:
    """The greater, the newer. What a clock far ahead has made, here or there, is not newer than what is made now."""
    return certificate.not_before <= now + SKEW_MS, certificate.not_before

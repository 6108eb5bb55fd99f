"""Whom this machine believes: the root, the issuers that follow from it, and who was put out.

An issuer counts if the root has signed it, or an issuer that counts, that was one at that time, that may let others
issue, and that gives no more than it has itself. A signature made while somebody was an issuer stays good when his time
is over; with a revocation, of his key or his machine, it falls whenever it was made, and so does all that hangs on it.

The set only grows. A revocation counts if its signer ever was an issuer, whatever became of it since: so what a set
holds does not depend on the order in which things were heard, and two sets that have heard the same agree. Two issuers
can put each other out; then the root has to name a new one.

Promises: `check` gives the certificate, or one `Untrusted` with the first thing that is wrong; what is taken was
verified, and is handed on in an order in which it can be taken elsewhere.
Never: looks at a clock, or forgets a revocation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import islice
from typing import Final

from odyssey.ids import NodeId
from odyssey.mesh.trust.certificates import (
    BY_INVITE,
    INVITE_MS,
    ISSUER_MS,
    LATE_MS,
    MEMBER_MS,
    SKEW_MS,
    Body,
    Certificate,
    Grant,
    Issuer,
    Revocation,
    Terms,
    node_id,
)
from odyssey.mesh.trust.signed import Purpose, Untrusted, Why, opened, purpose_of

LONGEST_CHAIN: Final = 16
MOST_ISSUERS: Final = 1_000
MOST_REVOKED: Final = 10_000  # by issuers; the root may always


class TrustSet:
    def __init__(self, mesh: bytes, root: bytes) -> None:
        self.mesh, self.root = mesh, root
        self._items: dict[bytes, bytes] = {}  # by digest, in the order in which each could be taken
        self._issuers: dict[bytes, list[Issuer]] = {}  # by key
        self._sources: dict[Issuer, bytes] = {}
        self._revoked: dict[NodeId, Revocation] = {}
        self._statements: dict[NodeId, bytes] = {}  # by which they were
        self._ever: dict[Issuer, int] = {}  # issuers that follow from the root, with the length of their chain
        self._now: dict[Issuer, int] = {}  # those of them that no revocation touches

    # -- what is known -------------------------------------------------------------------------------------------------

    @property
    def items(self) -> tuple[bytes, ...]:
        return tuple(self._items.values())

    @property
    def size(self) -> int:
        return len(self._items)

    def since(self, taken: int) -> Iterator[bytes]:
        """What came after so many items, in the order in which it can be taken."""
        return islice(self._items.values(), taken, None)

    def is_revoked(self, node: NodeId) -> bool:
        return node in self._revoked

    def revocation(self, node: NodeId) -> tuple[Revocation, bytes] | None:
        """By which this machine or this key was put out; and as it was signed."""
        record = self._revoked.get(node)
        return None if record is None else (record, self._statements[node])

    def signer(self, record: Body) -> NodeId | None:
        """The machine whose key has signed it; None: the root's, or nobody's that is known."""
        return next((one.node for one in self._issuers.get(record.signer, ())), None)

    def issuers(self, now: int) -> tuple[Issuer, ...]:
        """Who can let machines in."""
        return tuple(one for one in self._now if one.covers(now))

    def known_issuers(self) -> tuple[Issuer, ...]:
        """The newest certificate of each that was not put out, also where its time is over."""
        newest: dict[bytes, Issuer] = {}
        for one in self._now:
            if one.key not in newest or newest[one.key].expiry < one.expiry:
                newest[one.key] = one
        return tuple(newest.values())

    def length(self, issuer: Issuer) -> int:
        """Of its chain from the root."""
        return self._now.get(issuer, LONGEST_CHAIN)

    def chain(self, key: bytes, now: int) -> tuple[bytes, ...]:
        """What somebody who knows only the root needs to believe this issuer now; the root's part first."""
        found = [one for one in self._now if one.key == key and one.covers(now)]
        if not found:
            raise Untrusted(self._why_not(key, self._now), Issuer.WHAT)
        one, line = min(found, key=lambda issuer: self._now[issuer]), []
        while True:
            line.append(self._sources[one])
            if one.signer == self.root:
                return tuple(reversed(line))
            one = min((above for above in self._now if _follows(one, above)), key=lambda issuer: self._now[issuer])

    # -- taking in -----------------------------------------------------------------------------------------------------

    def take(self, data: bytes) -> bool:
        """An issuer's certificate or a revocation; True if it is new."""
        digest = sha256(data).digest()
        if digest in self._items:
            return False
        record = self.believed(data)
        if isinstance(record, Revocation):
            if record.subject in self._revoked:
                return False  # once is for good
            if len(self._revoked) >= MOST_REVOKED and record.signer != self.root:
                raise Untrusted(Why.TOO_MANY, record.WHAT)
            self._revoked[record.subject] = record
            self._statements[record.subject] = data
        else:
            if len(self._sources) >= MOST_ISSUERS:
                raise Untrusted(Why.TOO_MANY, record.WHAT)
            self._issuers.setdefault(record.key, []).append(record)
            self._sources[record] = data
        self._items[digest] = data
        self._ever = self._standing(frozenset())
        self._now = self._standing(self._revoked.keys())
        return True

    def take_all(self, items: Iterable[bytes]) -> bool:
        """In whatever order they come; what cannot be believed is left out. True if anything is new."""
        left, is_new = list(items), False
        while left:
            rest = []
            for data in left:
                try:
                    is_new = self.take(data) or is_new
                except Untrusted as error:
                    if error.why is Why.UNKNOWN_ISSUER:
                        rest.append(data)  # it may follow from another one
            if len(rest) == len(left):
                break
            left = rest
        return is_new

    def believed(self, data: bytes) -> Issuer | Revocation:
        """One that may be taken. Raises `Untrusted`."""
        if purpose_of(data) == Purpose.REVOKE:
            revocation = opened(data, Revocation)
            self._check_mesh(revocation)
            if revocation.signer != self.root:
                self._signer(revocation, revocation.at, self._ever)
            return revocation
        issuer = opened(data, Issuer)
        self._check_mesh(issuer)
        if issuer.expiry - issuer.not_before > ISSUER_MS:
            raise Untrusted(Why.TOO_LONG, Issuer.WHAT)
        if issuer.signer != self.root:
            above = self._signer(issuer, issuer.not_before, self._ever)
            if not any(_follows(issuer, one) and self._ever[one] < LONGEST_CHAIN for one in above):
                raise Untrusted(Why.NOT_ALLOWED, Issuer.WHAT)
        return issuer

    # -- checking ------------------------------------------------------------------------------------------------------

    def check(self, data: bytes, now: int, late_ms: int = 0) -> Certificate:
        """Is this a member's certificate now? `late_ms` after its end it may still be shown, to renew it."""
        certificate = opened(data, Certificate)
        self._check_mesh(certificate)
        if certificate.expiry - certificate.not_before > MEMBER_MS:
            raise Untrusted(Why.TOO_LONG, Certificate.WHAT)
        if certificate.node in self._revoked:
            raise Untrusted(Why.REVOKED, Certificate.WHAT)
        issuers = self._signer(certificate, certificate.not_before, self._now)
        if not any(certificate.grants & ~one.may_give == 0 for one in issuers):
            raise Untrusted(Why.NOT_ALLOWED, Certificate.WHAT)
        _check_time(certificate, now, late_ms)
        return certificate

    def renewable(self, data: bytes, now: int) -> Certificate:
        return self.check(data, now, LATE_MS)

    def whose(self, data: bytes, now: int) -> Certificate:
        """Also of one that is over, or that is not yet good by this machine's clock, which may be wrong: it says still
        whose its key is."""
        return self.check(data, max(now, opened(data, Certificate).not_before), LATE_MS)

    def terms(self, data: bytes, now: int) -> Terms:
        """Is this what an issuer has allowed, and is it still to be had?"""
        terms = opened(data, Terms)
        self._check_mesh(terms)
        if terms.expiry - terms.not_before > INVITE_MS:
            raise Untrusted(Why.TOO_LONG, Terms.WHAT)
        issuers = self._signer(terms, terms.not_before, self._now)
        if terms.grants & ~BY_INVITE or not any(terms.grants & ~one.may_give == 0 for one in issuers):
            raise Untrusted(Why.NOT_ALLOWED, Terms.WHAT)
        _check_time(terms, now, 0)
        return terms

    def _check_mesh(self, record: Body) -> None:
        if record.mesh != self.mesh:
            raise Untrusted(Why.OTHER_MESH, record.WHAT)

    def _signer(self, record: Body, when: int, among: dict[Issuer, int]) -> list[Issuer]:
        """The certificates by which the signer was an issuer at that time."""
        found = [one for one in self._issuers.get(record.signer, ()) if one in among and one.covers(when)]
        if not found:
            raise Untrusted(self._why_not(record.signer, among), record.WHAT)
        return found

    def _why_not(self, key: bytes, among: dict[Issuer, int]) -> Why:
        known = self._issuers.get(key, [])
        if not known:
            return Why.UNKNOWN_ISSUER
        if any(one in among for one in known):
            return Why.NOT_ISSUER_THEN
        return Why.ISSUER_REVOKED

    def _standing(self, revoked: Iterable[NodeId]) -> dict[Issuer, int]:
        """Layer by layer from the root: issuers that do not hang on one that was put out."""
        out = frozenset(revoked)
        left = [
            one
            for some in self._issuers.values()
            for one in some
            if one.node not in out and node_id(one.key) not in out
        ]
        found = {one: 1 for one in left if one.signer == self.root}
        for length in range(2, LONGEST_CHAIN + 1):
            left = [one for one in left if one not in found]
            new = [one for one in left if any(_follows(one, above) for above in found)]
            if not new:
                break
            found.update(dict.fromkeys(new, length))
        return found


def _follows(one: Issuer, above: Issuer) -> bool:
    """May the one above have made this one?"""
    return (
        one.signer == above.key
        and above.covers(one.not_before)
        and above.may_give & Grant.ISSUE != 0
        and one.may_give & ~above.may_give == 0
    )


def _check_time(record: Certificate | Terms, now: int, late_ms: int) -> None:
    if now < record.not_before - SKEW_MS:
        raise Untrusted(Why.NOT_YET, record.WHAT)
    if now >= record.expiry + late_ms:
        raise Untrusted(Why.EXPIRED, record.WHAT)

"""What is signed in a mesh: who may let machines in, who is a member, what an invite allows, who was put out.

The root key signs issuers; issuers sign members, invites, revocations, and each other. A certificate names the key that
signed it, and says from when until when it holds, in milliseconds since 1970 UTC.

Promises: every record that exists has fields of the right size and a sensible time; a node id follows from a key, so
none is written beside one.
Never: says whether a record is to be believed.
"""

from __future__ import annotations

import enum
import re
from base64 import b32encode
from hashlib import sha256
from typing import ClassVar, Final

import msgspec

from odyssey.errors import Malformed
from odyssey.ids import NodeId, UserId
from odyssey.mesh.trust.primitives import KEY_BYTES
from odyssey.mesh.trust.signed import Purpose

DAY_MS: Final = 86_400_000
MEMBER_MS: Final = 14 * DAY_MS
ISSUER_MS: Final = 30 * DAY_MS
LATE_MS: Final = 90 * DAY_MS  # after its end a certificate can still be renewed
SKEW_MS: Final = 3_600_000  # so far may clocks differ
INVITE_MS: Final = 30 * DAY_MS
MESH_BYTES: Final = 16
SERIAL_BYTES: Final = 8
INVITE_ID_BYTES: Final = 6
FINGERPRINT_BYTES: Final = 16
MOST_USES: Final = 1000
_NODE: Final = b"odyssey-node-v1\0"
_ROOT: Final = b"odyssey-root-v1\0"
_INVITE_KEY: Final = b"odyssey-invite-key-v1\0"
_NAME: Final = re.compile(r"[a-z0-9-]{1,32}")
_NODE_ID: Final = re.compile(r"[a-z2-7]{26}")
_LONGEST_OWNER: Final = 64


class Grant(enum.IntFlag):
    """What a member may do."""

    WORKER = 1  # hold other machines' tasks
    SUBMIT = 2
    VOTE = 4  # keep the log
    ISSUE = 8  # let machines in
    ADMIN = 16  # what other people's jobs and machines are concerned


ALL: Final = Grant.WORKER | Grant.SUBMIT | Grant.VOTE | Grant.ISSUE | Grant.ADMIN
BY_INVITE: Final = Grant.WORKER | Grant.SUBMIT | Grant.VOTE  # the most that an invite gives
MINE: Final = BY_INVITE  # by default, where the machine will be its inviter's own
OF_OTHERS: Final = Grant.WORKER | Grant.SUBMIT


def node_id(public: bytes) -> NodeId:
    return NodeId(b32encode(sha256(_NODE + public).digest()).decode("ascii")[:26].lower())


def is_due(begin: int, end: int, now: int) -> bool:
    return now >= begin + (end - begin) // 2 or now < begin - SKEW_MS


def owner_name(text: str) -> UserId:
    """A name as certificates may carry it."""
    return UserId("".join(filter(str.isprintable, text))[:_LONGEST_OWNER] or "somebody")


def fingerprint(root: bytes) -> bytes:
    """Of a root key, as invites carry it."""
    return sha256(_ROOT + root).digest()[:FINGERPRINT_BYTES]


def invite_key_hash(public: bytes) -> bytes:
    """All that the log knows of an invite's secret."""
    return sha256(_INVITE_KEY + public).digest()


class Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The base of what is signed."""

    PURPOSE: ClassVar[Purpose]
    WHAT: ClassVar[str]  # as people are told of it

    mesh: bytes
    signer: bytes  # the public key

    def __post_init__(self) -> None:
        _sized(self.mesh, MESH_BYTES)
        _sized(self.signer, KEY_BYTES)


class Issuer(Body, frozen=True):
    """This key may let machines in, and give them so much."""

    PURPOSE = Purpose.ISSUER
    WHAT = "the certificate of the machine that lets others in"

    serial: bytes
    node: NodeId  # the member that holds the key
    key: bytes
    curve: bytes  # of the socket at which it lets in
    may_give: int
    not_before: int
    expiry: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _sized(self.serial, SERIAL_BYTES)
        _node(self.node)
        _sized(self.key, KEY_BYTES)
        _sized(self.curve, KEY_BYTES)
        _grants(self.may_give)
        _times(self.not_before, self.expiry)

    def covers(self, when: int) -> bool:
        """Was it an issuer then? The clock of whoever says when may have been wrong by a little."""
        return self.not_before - SKEW_MS <= when < self.expiry


class Certificate(Body, frozen=True):
    """This machine is a member."""

    PURPOSE = Purpose.MEMBER
    WHAT = "this machine's certificate"

    serial: bytes
    key: bytes
    curve: bytes
    name: str  # that it asked for; the log gives the one it has
    grants: int
    owner: UserId
    not_before: int
    expiry: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _sized(self.serial, SERIAL_BYTES)
        _sized(self.key, KEY_BYTES)
        _sized(self.curve, KEY_BYTES)
        _named(self.name)
        _owner(self.owner)
        _grants(self.grants)
        _times(self.not_before, self.expiry)

    @property
    def node(self) -> NodeId:
        return node_id(self.key)

    def may(self, grant: Grant) -> bool:
        return self.grants & grant == grant

    def is_due(self, now: int) -> bool:
        """To be renewed: half of its time is over, or it was made by a clock that was far ahead."""
        return is_due(self.not_before, self.expiry, now)


class Terms(Body, frozen=True):
    """What an invite allows. Its secret is in no record."""

    PURPOSE = Purpose.INVITE
    WHAT = "this invite"

    id: bytes
    key_hash: bytes
    uses: int
    owner: UserId
    grants: int
    not_before: int
    expiry: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _sized(self.id, INVITE_ID_BYTES)
        _sized(self.key_hash, KEY_BYTES)
        _owner(self.owner)
        _grants(self.grants)
        _times(self.not_before, self.expiry)
        if not 1 <= self.uses <= MOST_USES:
            raise Malformed("a number of uses out of range")


class Revocation(Body, frozen=True):
    """This machine, or this issuer's key, is out for good."""

    PURPOSE = Purpose.REVOKE
    WHAT = "this revocation"

    subject: NodeId  # of the machine's key or the issuer's
    at: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _node(self.subject)
        _times(0, self.at)


# -- what a field may hold ---------------------------------------------------------------------------------------------


def _sized(data: bytes, size: int) -> None:
    if len(data) != size:
        raise Malformed(f"{len(data)} bytes where {size} are wanted")


def _node(text: str) -> None:
    if not _NODE_ID.fullmatch(text):
        raise Malformed("what is no node id")


def _named(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise Malformed("what is no machine name")


def _owner(text: str) -> None:
    if not 0 < len(text) <= _LONGEST_OWNER or not text.isprintable():
        raise Malformed("what is no user name")


def _grants(number: int) -> None:
    if not 0 <= number <= ALL:
        raise Malformed("grants that are not known")


def _times(begin: int, end: int) -> None:
    if not 0 <= begin < end < 1 << 53:
        raise Malformed("a time that cannot be")

"""Signed objects: `[purpose, body, signature]`, and why one is not believed.

What is signed is the purpose, a zero byte and the body as it travels. So a signature for one purpose is none for any
other, and nothing is encoded again before it is verified.

Promises: what comes back from `opened` was signed with the key that it names; everything else is an `Untrusted` that
says why, with what would help.
Never: says that the key may sign such a thing. That is the trust set's.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from odyssey import wire
from odyssey.errors import Fault, NotUnderstood, OdysseyError, Remedy, WireError
from odyssey.mesh.trust import primitives
from odyssey.mesh.trust.primitives import Pair
from odyssey.wire import Limits

if TYPE_CHECKING:
    from odyssey.mesh.trust.certificates import Body

B = TypeVar("B", bound="Body")

LONGEST: Final = 1024  # bytes of one signed object
SIGNED: Final = Limits(bytes=LONGEST, array=32, map=0, str=256, bin=LONGEST, depth=3)
_PREFIX: Final = b"odyssey "


class Purpose(enum.StrEnum):
    """What a signature is for. A changed meaning is another purpose."""

    ISSUER = "issuer"
    MEMBER = "member"
    INVITE = "invite"
    REVOKE = "revoke"
    JOIN_BY_INVITE = "join invite"
    JOIN_AS_NODE = "join node"
    RENEW = "renew"
    KNOCK = "knock"


class Why(enum.Enum):
    """Why something is not believed: what is said, and what helps."""

    UNREADABLE = "it cannot be read", ""
    NEWER = "a newer Odyssey has written it", "upgrade Odyssey on this machine"
    FORGED = "its signature is wrong", ""
    OTHER_MESH = "it is of another mesh", "a machine belongs to one mesh: odyssey leave, then join this one"
    UNKNOWN_ISSUER = "nobody who may let machines into this mesh has signed it", "join again with a new invite"
    ISSUER_REVOKED = "the machine that signed it was put out of the mesh", "join again with a new invite"
    NOT_ISSUER_THEN = "who signed it could not let anyone in at that time", "join again with a new invite"
    NOT_ALLOWED = "it allows more than its signer may give", "join again with a new invite"
    TOO_LONG = "it is valid for longer than is allowed", "join again with a new invite"
    REVOKED = (
        "this machine was put out of the mesh",
        "on that machine: odyssey leave --clean, then join with a new invite",
    )
    EXPIRED = "its time is over", "join again with a new invite"
    NOT_YET = "it is not valid yet", "set the clocks of both machines (timedatectl set-ntp true)"
    TOO_MANY = "there are too many already", "begin a new mesh"
    OTHER_KEY = "it belongs to another key", ""


class Untrusted(OdysseyError):
    """Something that a peer has shown is not believed."""

    fault = Fault.PEER
    remedy = Remedy.FIX

    def __init__(self, why: Why, what: str = "this certificate") -> None:
        super().__init__(f"{what} is refused: {why.value[0]}", hint=why.value[1] or None)
        self.why = why


class Signed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    purpose: str
    body: bytes
    signature: bytes


def signable(purpose: Purpose, body: bytes) -> bytes:
    return _PREFIX + purpose.encode("ascii") + b"\0" + body


def proof(purpose: Purpose, body: bytes, key: Pair) -> bytes:
    """A signature over what both sides know."""
    return primitives.sign(key, signable(purpose, body))


def proves(purpose: Purpose, body: bytes, public: bytes, signature: bytes) -> bool:
    return primitives.verified(public, signable(purpose, body), signature)


def sealed(record: Body, key: Pair) -> bytes:
    """The record, signed with a key that must be the one it names."""
    if record.signer != key.public:
        raise OdysseyError("a record is to be signed with another key than the one it names")
    body = wire.encode_log(record, SIGNED)
    return wire.encode(Signed(record.PURPOSE, body, proof(record.PURPOSE, body, key)))


def opened(data: bytes, kind: type[B]) -> B:
    """The record in it, if it was signed with the key that it names."""
    what = kind.WHAT
    try:
        outer = wire.decode(data, Signed, SIGNED)
        if outer.purpose != kind.PURPOSE:
            raise Untrusted(Why.UNREADABLE, what)
        record = wire.decode_log(outer.body, kind, SIGNED)
    except NotUnderstood as error:
        raise Untrusted(Why.NEWER, what) from error
    except WireError as error:
        raise Untrusted(Why.UNREADABLE, what) from error
    if not proves(kind.PURPOSE, outer.body, record.signer, outer.signature):
        raise Untrusted(Why.FORGED, what)
    return record


def purpose_of(data: bytes) -> str:
    """What it claims to be; "" for what cannot be read."""
    try:
        return wire.decode(data, Signed, SIGNED).purpose
    except WireError:
        return ""

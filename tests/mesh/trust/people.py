"""Meshes of keys for tests: a root, who lets in, who is let in, and attackers made of the same pieces.

Promises: the same names give the same keys; everything is signed by the real code.
Never: takes a short cut that a real machine does not have.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import msgspec

from odyssey.ids import NodeId, UserId
from odyssey.mesh.trust import primitives
from odyssey.mesh.trust.certificates import (
    ALL,
    BY_INVITE,
    DAY_MS,
    ISSUER_MS,
    MEMBER_MS,
    Body,
    Certificate,
    Issuer,
    Revocation,
    Terms,
    invite_key_hash,
    node_id,
)
from odyssey.mesh.trust.primitives import Pair
from odyssey.mesh.trust.signed import sealed
from odyssey.mesh.trust.trustset import TrustSet

NOW: Final = 1_800_000_000_000
MESH: Final = b"m" * 16


def key(name: str) -> Pair:
    return primitives.signing_pair(sha256(name.encode()).digest())


def curve(name: str) -> Pair:
    return primitives.curve_pair(sha256(b"curve " + name.encode()).digest())


def node(name: str) -> NodeId:
    return node_id(key(name).public)


def serial(name: str) -> bytes:
    return sha256(name.encode()).digest()[:8]


class Realm:
    """One mesh: its root, and what the root's holder and its issuers sign. A name stands for a machine with its keys;
    `NAME/issuer` is the key with which it lets in."""

    def __init__(self, name: str = "anna", mesh: bytes = MESH) -> None:
        self.mesh, self.root = mesh, key(f"{name} root")

    def signed(self, record: Body, by: Pair) -> bytes:
        """By whoever it is, also by a key that may not."""
        return sealed(msgspec.structs.replace(record, signer=by.public), by)

    def issuer(self, name: str, /, by: str = "", at: int = NOW, **fields: Any) -> bytes:
        signer = key(f"{by}/issuer") if by else self.root
        held: dict[str, Any] = {
            "serial": serial(f"{name}{by}{at}"),
            "node": node(name),
            "key": key(f"{name}/issuer").public,
            "curve": curve(name).public,
            "may_give": int(ALL),
            "not_before": at,
            "expiry": at + ISSUER_MS,
        }
        return sealed(Issuer(self.mesh, signer.public, **(held | fields)), signer)

    def member(self, name: str, /, by: str = "gamebox", at: int = NOW, **fields: Any) -> bytes:
        signer = key(f"{by}/issuer")
        held: dict[str, Any] = {
            "serial": serial(f"{name}{by}{at}"),
            "key": key(name).public,
            "curve": curve(name).public,
            "name": "pi4",
            "grants": int(BY_INVITE),
            "owner": UserId("anna"),
            "not_before": at,
            "expiry": at + MEMBER_MS,
        }
        return sealed(Certificate(self.mesh, signer.public, **(held | fields)), signer)

    def terms(self, name: str = "invite", by: str = "gamebox", at: int = NOW, **fields: Any) -> bytes:
        signer = key(f"{by}/issuer")
        held: dict[str, Any] = {
            "id": sha256(name.encode()).digest()[:6],
            "key_hash": invite_key_hash(key(name).public),
            "uses": 1,
            "owner": UserId("anna"),
            "grants": int(BY_INVITE),
            "not_before": at,
            "expiry": at + DAY_MS // 24,
        }
        return sealed(Terms(self.mesh, signer.public, **(held | fields)), signer)

    def revocation(self, subject: NodeId, by: str = "", at: int = NOW) -> bytes:
        signer = key(f"{by}/issuer") if by else self.root
        return sealed(Revocation(self.mesh, signer.public, subject, at), signer)

    def trust(self, *items: bytes) -> TrustSet:
        """With one issuer, unless others are named."""
        trust = TrustSet(self.mesh, self.root.public)
        trust.take_all(items or (self.issuer("gamebox"),))
        return trust

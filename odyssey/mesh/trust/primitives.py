"""Signatures, key pairs, and keys made from secrets. Nothing else in the project knows cryptography.

Promises: a pair follows from its seed alone; a signature that is not one is false, never an error. The library is
loaded by whoever signs or verifies, so that a command that does neither does not wait for it.
Never: draws chance by itself, or shows the secret half of a pair.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class Pair:
    """A key with its secret half."""

    __slots__ = ("public", "secret")

    def __init__(self, secret: bytes, public: bytes) -> None:
        self.secret, self.public = secret, public

    def __repr__(self) -> str:
        return f"<the key {self.public.hex()[:8]}>"


def signing_pair(seed: bytes) -> Pair:
    """Ed25519."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Pair(seed, Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def curve_pair(seed: bytes) -> Pair:
    """Curve25519, as CURVE wants it."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return Pair(seed, X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def sign(key: Pair, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(key.secret).sign(data)


def verified(public: bytes, data: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def derived(secret: bytes, purpose: bytes, size: int = KEY_BYTES) -> bytes:
    """HKDF with SHA-256 (RFC 5869), without salt; up to 32 bytes."""
    assert size <= sha256().digest_size
    extracted = hmac.digest(bytes(sha256().digest_size), secret, "sha256")
    return hmac.digest(extracted, purpose + b"\x01", "sha256")[:size]


def same(one: bytes, other: bytes) -> bool:
    """In a time that does not tell where they differ."""
    return hmac.compare_digest(one, other)

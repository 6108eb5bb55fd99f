"""Who this machine is: a signing key made once, and the node id that follows from it.

Promises: the same key gives the same id on every machine; only who signs or verifies loads the library for it.
Never: shows the private key, or uses one that others can read.
"""

from __future__ import annotations

from pathlib import Path

from odyssey.clock import Entropy
from odyssey.ids import NodeId
from odyssey.mesh.trust import keyfile, primitives
from odyssey.mesh.trust.certificates import node_id
from odyssey.mesh.trust.keyfile import Use
from odyssey.mesh.trust.primitives import KEY_BYTES, Pair


class Identity:
    def __init__(self, key: Pair) -> None:
        self.key, self.public = key, key.public
        self.id = node_id(key.public)

    def sign(self, data: bytes) -> bytes:
        return primitives.sign(self.key, data)

    def verify(self, node: NodeId, data: bytes, signature: bytes) -> bool:
        """Is it the signature of that machine? This one knows no key but its own."""
        return node == self.id and primitives.verified(self.public, data, signature)


def load_or_make(path: Path, entropy: Entropy) -> Identity:
    try:
        return load(path)
    except FileNotFoundError:
        return make(path, entropy)


def make(path: Path, entropy: Entropy) -> Identity:
    pair = primitives.signing_pair(entropy.token(KEY_BYTES))
    keyfile.save(path, Use.NODE, pair)
    return Identity(pair)


def load(path: Path) -> Identity:
    """Raises FileNotFoundError where there is none."""
    return Identity(keyfile.load(path, Use.NODE))

"""Who this machine is: a signing key made once, and the node id that follows from it.

The file holds the private key and the public one, with a checksum, so that a start need not compute anything. Only who
signs or verifies loads the library for it.

Promises: the key file is there whole or not at all, and readable by its user alone; the same key gives the same id on
every machine.
Never: shows the private key, or uses one that others can read.
"""

from __future__ import annotations

import os
import stat
from base64 import b32encode
from hashlib import sha256
from pathlib import Path
from typing import Final
from zlib import crc32

from odyssey.errors import CallersError
from odyssey.ids import NodeId
from odyssey.mesh.sidefiles import refused
from odyssey.paths import write_whole

_MAGIC: Final = b"odykey1\n"
_SIZE: Final = len(_MAGIC) + 32 + 32 + 4
_PURPOSE: Final = b"odyssey-node-v1\0"
_HINT: Final = "put its copy back; a machine without its key is another machine"


class BadKey(CallersError):
    """A key file that cannot be used."""


def node_id(public: bytes) -> NodeId:
    return NodeId(b32encode(sha256(_PURPOSE + public).digest()).decode("ascii")[:26].lower())


class Identity:
    def __init__(self, private: bytes, public: bytes) -> None:
        self._private, self.public = private, public
        self.id = node_id(public)

    def sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._private).sign(data)

    def verify(self, node: NodeId, data: bytes, signature: bytes) -> bool:
        """Is it the signature of that machine? This one knows no key but its own."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if node != self.id:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, data)
        except InvalidSignature:
            return False
        return True


def load_or_make(path: Path) -> Identity:
    try:
        return load(path)
    except FileNotFoundError:
        return make(path)


def make(path: Path) -> Identity:
    """Only one process at a time makes one: who holds the lock of the home."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    text = _MAGIC + private + public
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_whole(path, text + crc32(text).to_bytes(4, "big"))
    except OSError as error:
        raise refused(path, error) from error
    return Identity(private, public)


def load(path: Path) -> Identity:
    """Raises FileNotFoundError where there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadKey(f"the key {path} cannot be read: {error.strerror}", hint=_HINT) from error
    try:
        _check_closed(path, os.fstat(file))
        text = os.read(file, _SIZE + 1)
    finally:
        os.close(file)
    if len(text) != _SIZE or not text.startswith(_MAGIC) or crc32(text[:-4]).to_bytes(4, "big") != text[-4:]:
        raise BadKey(f"the key {path} is damaged", hint=_HINT)
    return Identity(text[len(_MAGIC) :][:32], text[len(_MAGIC) + 32 :][:32])


def _check_closed(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise BadKey(f"the key {path} is not a file of this user", hint=_HINT)
    if found.st_mode & 0o077:
        text = f"the key {path} can be read by others (mode {stat.S_IMODE(found.st_mode):o})"
        raise BadKey(text, hint=f"if nobody has read it: chmod 600 {path}")

"""Keys on the disk: a file holds both halves of one pair, with a checksum, so that a start need not compute anything.

Promises: a file is there whole or not at all, and readable by its user alone; what it is a key for is written in it.
Never: uses a key that others can read, or follows a link to one.
"""

from __future__ import annotations

import enum
import os
import stat
from pathlib import Path
from typing import Final
from zlib import crc32

from odyssey.errors import CallersError
from odyssey.mesh.sidefiles import refused
from odyssey.mesh.trust.primitives import KEY_BYTES, Pair
from odyssey.paths import write_whole

_MAGIC: Final = 8
_SUM: Final = 4
_SIZE: Final = _MAGIC + 2 * KEY_BYTES + _SUM


class Use(enum.Enum):
    """What a key is for: its first bytes, what people call it, and what helps when it is lost."""

    NODE = b"odykey1\n", "put its copy back; a machine without its key is another machine"
    CURVE = b"odycur1\n", "put its copy back, or move it away and join again"
    ISSUER = b"odyiss1\n", "put its copy back; without it this machine cannot let others in"
    ROOT = b"odyroo1\n", "put its copy back; without it no machine can be allowed anew to let others in"


class BadKey(CallersError):
    """A key file that cannot be used."""


def save(path: Path, use: Use, pair: Pair) -> None:
    """Only one process at a time does this: who holds the lock of the home."""
    text = use.value[0] + pair.secret + pair.public
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_whole(path, text + crc32(text).to_bytes(_SUM, "big"))
    except OSError as error:
        raise refused(path, error) from error


def load(path: Path, use: Use) -> Pair:
    """Raises FileNotFoundError where there is none."""
    magic, hint = use.value
    text = read_private(path, _SIZE, hint)
    if len(text) != _SIZE or not text.startswith(magic) or crc32(text[:-_SUM]).to_bytes(_SUM, "big") != text[-_SUM:]:
        raise BadKey(f"the key {path} is damaged", hint=hint)
    return Pair(text[_MAGIC : _MAGIC + KEY_BYTES], text[_MAGIC + KEY_BYTES : -_SUM])


def read_private(path: Path, size: int, hint: str) -> bytes:
    """Up to one byte more than `size` of a file that is this user's alone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadKey(f"the key {path} cannot be read: {error.strerror}", hint=hint) from error
    try:
        found = os.fstat(file)
        _check_closed(path, found, hint)
        return os.read(file, min(size, found.st_size) + 1)
    finally:
        os.close(file)


def _check_closed(path: Path, found: os.stat_result, hint: str) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise BadKey(f"the key {path} is not a file of this user", hint=hint)
    if found.st_mode & 0o077:
        text = f"the key {path} can be read by others (mode {stat.S_IMODE(found.st_mode):o})"
        raise BadKey(text, hint=f"if nobody has read it: chmod 600 {path}")

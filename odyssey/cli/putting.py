"""The words of each task of a `map`, on their way to where tasks are started: files known by their content.

Promises: pieces of ITEMS_IN_BLOB tasks, in order; a piece that is there already is not sent again.
Never: holds more than one piece in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import islice
from typing import Final

import msgspec

from odyssey.api.operations import Asker
from odyssey.api.requests import PutBlob
from odyssey.spec import ITEMS_IN_BLOB, Blob

PIECE: Final = 256 << 10  # of a file, in one request


def put_items(daemon: Asker, tasks: Iterable[tuple[str, ...]]) -> tuple[Blob, ...]:
    return tuple(_put(daemon, data) for data in encoded(tasks))


def encoded(tasks: Iterable[tuple[str, ...]]) -> Iterator[bytes]:
    rest = iter(tasks)
    while some := [[os.fsencode(word) for word in words] for words in islice(rest, ITEMS_IN_BLOB)]:
        yield msgspec.msgpack.encode(some)


def _put(daemon: Asker, data: bytes) -> Blob:
    blob = Blob(sha256(data).digest(), len(data))
    offset = 0
    while True:
        how_far = daemon.call(PutBlob(blob.digest, blob.size, offset, data[offset : offset + PIECE]))
        if how_far.is_complete:
            return blob
        offset = how_far.size

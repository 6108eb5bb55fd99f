"""The words and the item of each task of a `map`, on their way to where tasks start: files known by their content.

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
from odyssey.spec import ITEMS_IN_BLOB, Blob, Own

PIECE: Final = 256 << 10  # of a file, in one request
LONGEST_ITEM: Final = 64 << 10  # as a variable: a system that takes the words must not refuse them for that

Part = tuple[tuple[str, ...], str]  # the words of one task, and its item


def put_items(daemon: Asker, tasks: Iterable[Part]) -> tuple[Blob, ...]:
    return tuple(_put(daemon, data) for data in encoded(tasks))


def encoded(tasks: Iterable[Part]) -> Iterator[bytes]:
    rest = iter(tasks)
    while some := [_own(words, item) for words, item in islice(rest, ITEMS_IN_BLOB)]:
        yield msgspec.msgpack.encode(some)


def _own(words: tuple[str, ...], item: str) -> Own:
    said = os.fsencode(item)
    return Own(tuple(os.fsencode(word) for word in words), said if len(said) <= LONGEST_ITEM else b"")


def _put(daemon: Asker, data: bytes) -> Blob:
    blob = Blob(sha256(data).digest(), len(data))
    offset = 0
    while True:
        how_far = daemon.call(PutBlob(blob.digest, blob.size, offset, data[offset : offset + PIECE]))
        if how_far.is_complete:
            return blob
        offset = how_far.size

"""Files by their content: what has its name is whole, whatever came in between."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from odyssey.errors import OdysseyError
from odyssey.mesh.blobs import Blobs, DamagedBlob, Words
from odyssey.mesh.store import DiskFull
from odyssey.spec import ITEMS_IN_BLOB, Blob, Own
from tests.builders import a_spec

DATA = b"0123456789" * 10
DIGEST = sha256(DATA).digest()


def put_all(blobs: Blobs, data: bytes = DATA, step: int = 30) -> int:
    at = 0
    for _ in range(len(data)):
        at = blobs.put(sha256(data).digest(), len(data), at, data[at : at + step])
        if at == len(data):
            break
    return at


def test_what_a_disk_has_half_forgotten_comes_anew_after_the_next_start(tmp_path: Path) -> None:
    Blobs(tmp_path).put(DIGEST, 100, 0, DATA[:30])
    part = next(path for path in tmp_path.glob("*/*") if path.is_file())
    part.write_bytes(bytes(30))  # its length was kept, its bytes were not
    blobs = Blobs(tmp_path)
    blobs.begin()
    assert blobs.put(DIGEST, 100, 30, DATA[30:60]) == 0
    assert put_all(blobs) == 100
    assert blobs.read(DIGEST) == DATA
    blobs.begin()
    assert blobs.has(DIGEST)


def test_what_came_in_pieces_is_there_under_its_name(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    assert blobs.put(DIGEST, 100, 0, DATA[:30]) == 30
    assert not blobs.has(DIGEST)
    assert blobs.read(DIGEST) is None
    assert put_all(blobs) == 100
    assert blobs.read(DIGEST) == DATA
    assert (tmp_path / DIGEST.hex()[:2] / DIGEST.hex()).stat().st_mode & 0o777 == 0o600


def test_a_piece_that_comes_twice_or_too_early_is_left_out(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    assert blobs.put(DIGEST, 100, 0, DATA[:30]) == 30
    assert blobs.put(DIGEST, 100, 0, DATA[:30]) == 30
    assert blobs.put(DIGEST, 100, 60, DATA[60:]) == 30
    assert put_all(Blobs(tmp_path)) == 100  # another daemon goes on
    assert blobs.put(DIGEST, 100, 0, DATA[:30]) == 100
    assert blobs.read(DIGEST) == DATA


def test_other_bytes_never_get_the_name(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    with pytest.raises(DamagedBlob):
        blobs.put(DIGEST, 100, 0, bytes(100))
    assert put_all(blobs) == 100


def test_a_file_that_is_damaged_later_is_not_given(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    put_all(blobs)
    (tmp_path / DIGEST.hex()[:2] / DIGEST.hex()).write_bytes(bytes(100))
    with pytest.raises(DamagedBlob):
        blobs.read(DIGEST)
    assert put_all(blobs) == 100


def test_a_full_disk_keeps_its_last_bytes(tmp_path: Path) -> None:
    with pytest.raises(DiskFull):
        Blobs(tmp_path, keep_free=1 << 60).put(DIGEST, 100, 0, DATA)


@pytest.mark.parametrize(("digest", "size"), [(b"short", 1), (DIGEST, -1), (DIGEST, 1 << 40)])
def test_nonsense_is_refused(tmp_path: Path, digest: bytes, size: int) -> None:
    with pytest.raises(OdysseyError):
        Blobs(tmp_path).put(digest, size, 0, b"x")


def test_a_sweep_takes_only_what_nobody_names_and_is_old(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    others = [os.urandom(10) for _ in range(2)]
    for data in (DATA, *others):
        put_all(blobs, data)
    assert blobs.sweep({DIGEST}, older_than=0) == 0
    assert blobs.sweep({DIGEST}, older_than=1 << 40) == 2
    assert [blobs.has(sha256(data).digest()) for data in (DATA, *others)] == [True, False, False]


# -- words -------------------------------------------------------------------------------------------------------------


def test_each_task_gets_its_own_words(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    words = [Own((b"echo", b"%d" % index, b"\xff"), b"%d" % index) for index in range(ITEMS_IN_BLOB + 2)]
    items = []
    for piece in (words[:ITEMS_IN_BLOB], words[ITEMS_IN_BLOB:]):
        data = msgspec.msgpack.encode(piece)
        put_all(blobs, data, 1 << 20)
        items.append(Blob(sha256(data).digest(), len(data)))
    found, spec = Words(blobs), a_spec(items=tuple(items), count=len(words))
    assert all(found(spec, index) == words[index] for index in (0, 1, ITEMS_IN_BLOB - 1, ITEMS_IN_BLOB + 1))
    assert found(spec, ITEMS_IN_BLOB + 2) is None
    assert found(spec, 3 * ITEMS_IN_BLOB) is None


def test_words_that_are_not_here_or_make_no_sense_are_none(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    put_all(blobs)
    found = Words(blobs)
    assert found(a_spec(items=(Blob(bytes(32), 5),)), 0) is None
    assert found(a_spec(items=(Blob(DIGEST, 100),)), 0) is None
    torn = msgspec.msgpack.encode([Own((b"echo",), b"a\0LD_PRELOAD=x")])
    put_all(blobs, torn)
    assert found(a_spec(items=(Blob(sha256(torn).digest(), len(torn)),)), 0) is None

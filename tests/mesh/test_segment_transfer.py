"""A segment on its way from one keeper's disk to another's, and what is served of it."""

from __future__ import annotations

from hashlib import sha256

import pytest

from odyssey.mesh import keeper as module
from odyssey.mesh.store import DamagedSegment
from tests.contracts.store_rigs import OTHER
from tests.mesh.test_keeper import Desk

DATA = bytes(range(200))
DIGEST = sha256(DATA).digest()


class Fetched:
    """What a fetch tells of itself."""

    def __init__(self, desk: Desk, size: int = len(DATA)) -> None:
        self.pieces, self.ends = 0, list[bool]()
        desk.keeper.fetch_segment(OTHER, DIGEST, size, self._came, self.ends.append)

    def _came(self) -> None:
        self.pieces += 1


def arrives(desk: Desk, data: bytes | None) -> int:
    """From where on it was asked for."""
    asked = desk.lane.segments[-1]
    assert (asked.source, asked.digest) == (OTHER, DIGEST)
    asked.done(data)
    desk.worker.all()
    return asked.start


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_it_comes_piece_by_piece_and_is_there_when_it_is_whole(desk: Desk) -> None:
    fetched = Fetched(desk)
    assert [arrives(desk, DATA[:90]), arrives(desk, DATA[90:110])] == [0, 90]
    assert not desk.store.segments()
    assert (fetched.pieces, fetched.ends) == (2, [])
    assert arrives(desk, DATA[110:]) == 110
    assert fetched.ends == [True]
    assert desk.store.segment(DIGEST) == DATA


@pytest.mark.parametrize(
    "pieces",
    [(None,), (DATA[:90], None), (b"",), (DATA[:90], b"x" * 110), (DATA[:90], DATA[90:] + b"x")],
    ids=["not there", "broken off", "nothing more", "others", "more"],
)
def test_what_is_not_its_bytes_is_not_put(desk: Desk, pieces: tuple[bytes | None, ...]) -> None:
    fetched = Fetched(desk)
    for piece in pieces:
        arrives(desk, piece)
    assert fetched.ends == [False]
    assert not desk.store.segments()
    assert desk.failures == []
    assert len(desk.lane.segments) == len(pieces), "nobody asks on"


def test_a_newer_fetch_takes_its_place(desk: Desk) -> None:
    first = Fetched(desk)
    late = desk.lane.segments[-1]
    second = Fetched(desk)
    late.done(DATA[:90])
    late.done(DATA[90:])
    desk.worker.all()
    assert not desk.store.segments()
    assert len(desk.lane.segments) == 2, "nobody asks on"
    assert (first.ends, second.ends) == ([], [])
    arrives(desk, DATA)
    assert (first.ends, second.ends) == ([], [True])


def test_who_has_failed_hears_of_no_segment(desk: Desk) -> None:
    fetched = Fetched(desk)
    desk.keeper.close(lambda: None)
    arrives(desk, DATA)
    assert fetched.ends == []


def served(desk: Desk, start: int) -> bytes | None:
    heard: list[bytes | None] = []
    desk.keeper.serve_segment(DIGEST, start, heard.append)
    desk.worker.all()
    (one,) = heard
    return one


def test_a_segment_is_served_in_pieces(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 150)
    assert served(desk, 0) is None
    desk.keeper.put_segment(DIGEST, DATA, lambda: desk.heard.append("put"))
    assert served(desk, 0) == DATA[:150]
    assert desk.heard == ["put"]
    assert served(desk, 150) == DATA[150:]
    assert served(desk, 200) == b""


def test_a_damaged_one_is_not_served_and_goes(desk: Desk) -> None:
    desk.keeper.put_segment(DIGEST, DATA, lambda: None)
    desk.worker.all()
    desk.rig.disk.put({("segment", DIGEST): b"rot"})
    with pytest.raises(DamagedSegment):
        desk.store.segment(DIGEST)
    assert served(desk, 0) is None
    assert not desk.store.segments()
    assert desk.failures == []


def test_what_is_there_is_told_and_what_goes_is_gone(desk: Desk) -> None:
    heard: list[frozenset[bytes]] = []
    desk.keeper.put_segment(DIGEST, DATA, lambda: None)
    desk.keeper.segments(heard.append)
    desk.keeper.drop_segments({DIGEST})
    desk.keeper.segments(heard.append)
    desk.worker.all()
    assert heard == [frozenset({DIGEST}), frozenset()]

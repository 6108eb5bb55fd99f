"""The slices of snapshots in a database: those that wait on the shelf under a name, and those in use.

Each set has an area of places; what belongs together is a range of numbers.

Promises: slices are numbered without a gap; a set that is not in use any more leaves nothing behind.
Never: begins a transaction; the store does, so that slices and log change together. If one fails the store is broken,
so nothing here is taken back.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from odyssey.mesh.sound import Digest
from odyssey.mesh.sqlite import Database
from odyssey.mesh.store import ImpossibleWrite, Staged

TABLES: Final = (
    "CREATE TABLE stage (area INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE)",
    "CREATE TABLE slice (place INTEGER PRIMARY KEY, data BLOB NOT NULL)",
)
_BITS: Final = 24  # for the number of a slice in its area


class Shelf:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._areas: dict[bytes, int] = dict(database.rows("SELECT name, area FROM stage"))
        self._digests: dict[bytes, Digest] = {}

    def __contains__(self, name: bytes) -> bool:
        return name in self._areas

    @property
    def names(self) -> frozenset[bytes]:
        return frozenset(self._areas)

    def slices(self, name: bytes) -> Iterator[bytes]:
        return slices(self._database, self._areas[name]) if name in self else iter(())

    def staged(self, name: bytes) -> Staged:
        return self._digest(name).now

    def _digest(self, name: bytes) -> Digest:
        """After a restart read once from what is there."""
        if name not in self._areas:
            return Digest()
        if name not in self._digests:
            digest = self._digests[name] = Digest()
            for piece in slices(self._database, self._areas[name]):
                digest.add(piece)
        return self._digests[name]

    def missing(self, name: bytes, first: int, pieces: Sequence[bytes]) -> Sequence[bytes]:
        """Those of them that are not there yet."""
        there = self._digest(name).slices
        if first > there:
            raise ImpossibleWrite(f"slices from {first} on, but {there} are staged")
        return pieces[there - first :]

    def put(self, name: bytes, pieces: Sequence[bytes], used: int) -> None:
        """`used` is the area that is in use."""
        digest = self._digest(name)
        area = self._areas.get(name) or max((used, *self._areas.values())) + 1
        if name not in self._areas:
            self._database.run("INSERT INTO stage VALUES (?, ?)", area, name)
        self._database.many("INSERT INTO slice VALUES (?, ?)", enumerate(pieces, (area << _BITS) + digest.slices))
        self._areas[name], self._digests[name] = area, digest
        for piece in pieces:
            digest.add(piece)

    def take(self, name: bytes) -> int:
        """It leaves the shelf; its area stays."""
        self._digests.pop(name, None)
        area = self._areas.pop(name)
        self._database.run("DELETE FROM stage WHERE area = ?", area)
        return area

    def drop(self, area: int) -> None:
        self._database.run("DELETE FROM slice WHERE place BETWEEN ? AND ?", *_places(area))


def slices(database: Database, area: int, first: int = 0) -> Iterator[bytes]:
    """One by one: together they may be large."""
    for number in count(first):
        piece = one_slice(database, area, number)
        if piece is None:
            return
        yield piece


def one_slice(database: Database, area: int, number: int) -> bytes | None:
    found = database.row("SELECT data FROM slice WHERE place = ?", (area << _BITS) + number)
    return found[0] if found is not None and type(found[0]) is bytes else None


def _places(area: int) -> tuple[int, int]:
    return area << _BITS, (area + 1 << _BITS) - 1

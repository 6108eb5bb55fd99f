"""Segments of history in a file of their own: what has left the state, in pieces that never change.

Apart from the log, so that a damaged history costs no membership, and a long one no time at the start: a segment is
verified when it is put and when it is read, not before. One that is damaged can be dropped and fetched from another
replica. Room that is freed goes back to the disk.

Promises: what was put is there after a crash, whole; put twice is put once.
Never: gives bytes that are not those of the digest.
"""

from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from odyssey.lasting import sync_names
from odyssey.mesh.sidefiles import beside
from odyssey.mesh.sqlite import Database
from odyssey.mesh.store import Damaged, DamagedHistory, DamagedSegment, Foreign, ImpossibleWrite, StoreError

FORMAT: Final = 1
_MESH: Final = 1
_HINT: Final = "set it aside: the segments are fetched from other replicas that hold them"
_TABLE: Final = "CREATE TABLE segment (digest BLOB PRIMARY KEY, data BLOB NOT NULL)"


class History:
    """The caller holds the lock of the store beside it."""

    def __init__(self, path: Path, mesh: bytes) -> None:
        if not path.exists():
            _make(path, mesh)
        self._database = _opened(path)
        try:
            self._database.check_layout(FORMAT)
            if self._database.record(_MESH) != mesh:
                raise Foreign(f"{path} is the history of another mesh", hint="set the file aside", path=path)
            self._digests = {row[0] for row in self._database.rows("SELECT digest FROM segment")}
        except BaseException as error:
            with suppress(StoreError):  # one that is damaged may not even close
                self._database.close()
            if isinstance(error, Damaged):
                raise DamagedHistory(error.message, hint=_HINT, path=path) from error
            raise

    @property
    def digests(self) -> frozenset[bytes]:
        return frozenset(self._digests)

    def has(self, digest: bytes) -> bool:
        return digest in self._digests

    def put(self, digest: bytes, data: bytes) -> None:
        if sha256(data).digest() != digest:
            raise ImpossibleWrite(f"these are not the bytes of segment {digest.hex()[:12]}")
        if digest in self._digests:
            return
        with self._database.transaction(len(data)):
            self._database.run("INSERT INTO segment VALUES (?, ?)", digest, data)
        self._digests.add(digest)

    def get(self, digest: bytes) -> bytes | None:
        if digest not in self._digests:
            return None
        found = self._database.row("SELECT data FROM segment WHERE digest = ?", digest)
        if found is None or type(found[0]) is not bytes or sha256(found[0]).digest() != digest:
            text = f"segment {digest.hex()[:12]} in {self._database.path} is not what was written"
            raise DamagedSegment(text, hint="drop it and fetch it from another replica", path=self._database.path)
        return found[0]

    def drop(self, digest: bytes) -> None:
        with self._database.transaction():
            self._database.run("DELETE FROM segment WHERE digest = ?", digest)
        self._digests.discard(digest)

    def close(self) -> None:
        self._database.close()


def _opened(path: Path) -> Database:
    try:
        return Database(path, "rw")
    except Damaged as error:
        raise DamagedHistory(error.message, hint=_HINT, path=path) from error


def _make(path: Path, mesh: bytes) -> None:
    new = beside(path, ".new")
    new.unlink(missing_ok=True)
    database = Database(new, "rwc", "PRAGMA auto_vacuum=FULL")
    try:
        with database.transaction():
            database.lay_out(FORMAT, _TABLE)
            database.put_record(_MESH, mesh)
        database.settle()
    finally:
        database.close()
    new.replace(path)
    sync_names(path.parent)

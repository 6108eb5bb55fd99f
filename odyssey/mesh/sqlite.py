"""One SQLite file, and the only place that knows SQLite.

Write-ahead log, every transaction waited for until it is on the disk (on macOS past the drive's own cache as well,
where the library does that), one connection in one thread: before 3.51.3 SQLite has a bug that spoils a database when
two connections write. The statements are few and always the same texts, so `sqlite3` keeps them prepared.

Promises: whatever SQLite says becomes one `StoreError`. After a change that failed, all further ones raise `Broken`:
what is really on the disk shows only after opening again, where the whole log is copied and waited for anew.
Never: decides what is in the file; changes a file it was asked only to look at.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from zlib import crc32

from odyssey.mesh.sound import damaged, newer
from odyssey.mesh.store import Broken, DiskFull, Foreign, InUse, ReadOnly, StoreError

APPLICATION: Final = 0x4F445953  # ODYS
_RECORDS: Final = "CREATE TABLE record (id INTEGER PRIMARY KEY, data BLOB NOT NULL, crc INTEGER NOT NULL)"
_SETTINGS: Final = (
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=ON",
    "PRAGMA checkpoint_fullfsync=ON",
    "PRAGMA wal_autocheckpoint=0",  # done here instead, because SQLite would not tell when it fails
    "PRAGMA secure_delete=OFF",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-8000",
    "PRAGMA journal_size_limit=8388608",
)
_WAL_BYTES: Final = 4 << 20
_PAGES: Final = 12 << 10  # a transaction writes three pages or so beside its own bytes
_REFUSED: Final = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)
_SPOILT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA)
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

Row = tuple[Any, ...]


class Database:
    def __init__(self, path: Path, how: str, *settings: str) -> None:
        """`how` is `ro` to look, `rw` to use, `rwc` to make."""
        self.path = path
        self.broken: StoreError | None = None
        self._untold: StoreError | None = None
        self._in_wal = 0
        with self._told():
            self._connection = sqlite3.connect(
                f"file:{quote(os.fsencode(path))}?mode={how}", uri=True, isolation_level=None, timeout=0
            )
            self._connection.text_factory = bytes  # what rot has made of a blob must not fail to be text
            try:
                for setting in (*settings, *_SETTINGS) if how != "ro" else ():
                    self._connection.execute(setting).fetchall()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """SQLite then copies its log into the file: what was committed, so nothing of a change that failed."""
        with self._told():
            self._connection.close()

    # -- reading -------------------------------------------------------------------------------------------------------

    def rows(self, statement: str, *values: object) -> list[Row]:
        """All at once: a cursor that is not read to its end would keep the file open."""
        with self._told():
            return self._connection.execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> Row | None:
        with self._told():
            found: Row | None = self._connection.execute(statement, values).fetchone()
            return found

    def number(self, statement: str, *values: object) -> int:
        found = self.row(statement, *values)
        if found is None or type(found[0]) is not int:
            raise damaged(self.path, "a number is missing")
        return found[0]

    def record(self, number: int) -> bytes | None:
        found = self.row("SELECT data, crc FROM record WHERE id = ?", number)
        if found is None:
            return None
        data, checksum = found
        if type(data) is not bytes or checksum != _checksum(number, data):
            raise damaged(self.path, f"record {number} is not what was written")
        return data

    # -- writing -------------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, size: int = 0) -> Iterator[None]:
        """All of it, on the disk when this ends, or nothing. `size`: about how many bytes it writes."""
        self.check()
        with self._told():
            execute = self._connection.execute
            execute("BEGIN IMMEDIATE")
            try:
                yield
                execute("COMMIT")
            except BaseException as error:
                self.broken = Broken(f"a change ended in {error!r}", hint="start the daemon again", path=self.path)
                with suppress(sqlite3.Error):
                    execute("ROLLBACK")
                raise
        self._in_wal += size + _PAGES
        if self._in_wal > _WAL_BYTES:
            self._in_wal = 0
            try:
                self.settle("PASSIVE")
            except StoreError as error:
                self._untold = error  # this transaction is on the disk; the next one is told

    def check(self) -> None:
        if self._untold is not None:
            untold, self._untold = self._untold, None
            raise untold
        if self.broken is not None:
            hint = "look at the disk, then start the daemon again"
            text = f"{self.path} is not written any more, because of an earlier error: {self.broken.message}"
            raise Broken(text, hint=hint, path=self.path) from self.broken

    def run(self, statement: str, *values: object) -> None:
        self._connection.execute(statement, values)

    def many(self, statement: str, rows: Iterable[Row]) -> None:
        self._connection.executemany(statement, rows)

    def put_record(self, number: int, data: bytes) -> None:
        self.run("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", number, data, _checksum(number, data))

    def settle(self, how: str = "TRUNCATE") -> None:
        """Copy the write-ahead log into the file and wait for it.

        After a sync that failed, the system may go on showing what the disk never got; the copy is written anew.
        """
        with self._told():
            self._connection.execute(f"PRAGMA wal_checkpoint({how})").fetchall()

    # -- whose file it is ----------------------------------------------------------------------------------------------

    def lay_out(self, format: int, *tables: str) -> None:  # noqa: A002 - what it is
        """Within the transaction that makes the file."""
        for statement in (f"PRAGMA application_id={APPLICATION}", f"PRAGMA user_version={format}", _RECORDS, *tables):
            self.run(statement)

    def check_layout(self, known: int) -> None:
        if self.number("PRAGMA application_id") != APPLICATION:
            hint = "give the daemon a home of its own, or set the file aside"
            raise Foreign(f"{self.path} is not a store of Odyssey", hint=hint, path=self.path)
        found = self.number("PRAGMA user_version")
        if found > known:
            raise newer(self.path, f"format {found}, this one knows {known}")
        if found < known:
            raise damaged(self.path, f"it has format {found}")

    def check_pages(self) -> None:
        told = [row[0] for row in self.rows("PRAGMA quick_check(1)")]
        if told != [b"ok"]:
            raise damaged(self.path, b" ".join(told).decode("utf-8", "replace"))

    # -- what can go wrong ---------------------------------------------------------------------------------------------

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:  # SQLite quotes what it has read, and that is rotten
            self.broken = damaged(self.path, "what it says of itself cannot be read")
            raise self.broken from error
        except sqlite3.Error as error:
            told = _translated(error, self.path)
            if told is None:
                raise  # used wrongly: a bug
            self.broken = told
            raise told from error


def _checksum(number: int, data: bytes) -> int:
    return crc32(data, number)


def _translated(error: sqlite3.Error, path: Path) -> StoreError | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    no_room = code == sqlite3.SQLITE_IOERR_SHMSIZE
    code &= 0xFF
    if code == sqlite3.SQLITE_FULL or no_room:
        return DiskFull(f"the disk of {path} is full", hint="free some space there", path=path)
    if code in _REFUSED:
        hint = f"make {path} and its directory writable for this user"
        return ReadOnly(f"{path} cannot be written: {error}", hint=hint, path=path)
    if code in _SPOILT:
        return damaged(path, str(error))
    if code in _BUSY:
        return InUse(f"{path} is used by another program", hint="stop that one first", path=path)
    hint = "look at the disk: it, or the way to it, is failing"
    return Broken(f"the disk of {path} has failed: {error}", hint=hint, path=path)

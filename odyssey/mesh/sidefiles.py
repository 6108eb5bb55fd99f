"""The small files beside a store: a lock against a second daemon, a mark against old copies, a note of who else votes
(`others.py` says why), a ballast for full disks.

The mark says how many changes the store has made. It is written after each change is durable, so it is never ahead of
a sound store; a crash between the two leaves it behind, which is harmless. It is not waited for, except at the start
and at a snapshot: after a power cut it may be some seconds old.
What it detects: an older copy of the database put back without the mark, a lost or cut WAL file (also one that rot has
made unreadable in the middle, where SQLite silently goes on without the rest), another store's file in the same place.
What it cannot detect: the mark put back together with the database, as when a whole disk or virtual machine goes back;
an older copy after a power cut that lost the newest marks.

Promises: a lock ends with its process, however that ends. Of two slots of the mark a torn write spoils one at most.
Never: deletes what is not its own; a store set aside keeps every byte.
"""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Final
from zlib import crc32

from odyssey.lasting import sync_names
from odyssey.mesh.others import Note, sealed, unsealed
from odyssey.mesh.raft.types import StoreId
from odyssey.mesh.sound import rolled_back
from odyssey.mesh.store import Broken, DiskFull, InUse, ReadOnly, Settings, StoreError

_MARK: Final = Struct(">8s16sQ")
_SLOT: Final = Struct(">8s16sQI")
_MAGIC: Final = b"odymark1"
_APART: Final = 4096  # so that no sector holds two slots
_CHUNK: Final = 1 << 20
_LOCK: Final = ".lock"
_BALLAST: Final = ".ballast"
_NOTE: Final = ".others"
_TAIL: Final = ".tail"
_ACCOUNT: Final = ".handed-in"
# In the order in which they are set aside. The word that a tail is to be handed in goes first: it may be there without
# its store, never the other way.
COMPANIONS: Final = (_TAIL, "-wal", "-shm", "", ".mark", _NOTE)


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def refused(path: Path, error: OSError) -> StoreError:
    """What the system says of a side file, in the words of the store."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"the disk of {path} is full", hint="free some space there", path=path)
    if error.errno == errno.EIO:
        return Broken(f"the disk of {path} has failed: {error.strerror}", hint="look at the disk", path=path)
    hint = f"make {path.parent} a directory that this user can write to"
    return ReadOnly(f"{path} cannot be written: {error.strerror}", hint=hint, path=path)


class Lock:
    """One daemon at a time. Held by an open file: no child process gets it, and the end of this one frees it."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(beside(path, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise refused(path, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            hint = "stop that one first, or give this one a home of its own"
            raise InUse(f"{path} is used by another daemon (process {owner})", hint=hint, path=path) from error
        os.pwrite(self._file, b"%-19d\n" % os.getpid(), 0)

    def release(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)  # a child between fork and exec still has the file open
        os.close(self._file)


class Mark:
    def __init__(self, path: Path, store: StoreId, changes: int) -> None:
        """Begin a new one, whole or not at all."""
        self._store = store
        new = beside(path, ".mark.new")
        new.write_bytes(self._slot(changes).ljust(_APART, b"\0") + self._slot(changes))
        self._file = os.open(new, os.O_RDWR)
        self.sync()
        new.replace(beside(path, ".mark"))
        sync_names(path.parent)

    def _slot(self, changes: int) -> bytes:
        text = _MARK.pack(_MAGIC, self._store, changes)
        return text + crc32(text).to_bytes(4, "big")

    def note(self, changes: int) -> None:
        """The store's change of this number is durable. A mark that cannot be written stays behind."""
        with suppress(OSError):
            os.pwrite(self._file, self._slot(changes), changes % 2 * _APART)

    def sync(self) -> None:
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


def check_there(path: Path) -> None:
    """Where a mark is, there was a store."""
    if not path.exists() and beside(path, ".mark").exists():
        raise rolled_back(path, "the file is gone, its mark is there")


def check_mark(path: Path, store: StoreId, changes: int) -> None:
    """A store that was never changed may have none: its making was interrupted before anyone relied on it."""
    try:
        text = beside(path, ".mark").read_bytes()
    except FileNotFoundError:
        if changes > 1:
            raise rolled_back(path, "the mark beside it is gone") from None
        return
    slots = [slot for slot in (_read_slot(text, 0), _read_slot(text, _APART)) if slot is not None]
    if not slots:
        raise rolled_back(path, "the mark beside it cannot be read")
    if any(marked != store for marked, _ in slots):
        raise rolled_back(path, "the mark beside it is another store's")
    newest = max(count for _, count in slots)
    if newest > changes:
        raise rolled_back(path, f"it holds {changes} of {newest} changes")


def _read_slot(text: bytes, start: int) -> tuple[bytes, int] | None:
    piece = text[start : start + _SLOT.size]
    if len(piece) < _SLOT.size:
        return None
    magic, store, changes, checksum = _SLOT.unpack(piece)
    sound = magic == _MAGIC and crc32(piece[: _MARK.size]) == checksum
    return (store, changes) if sound else None


class NoteFile:
    """On the disk when this returns, or, for a new one, not there at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shown = read_note(path)

    def withdraw(self) -> None:
        """Before what makes it untrue."""
        if self._shown is None and not beside(self._path, _NOTE).exists():
            return
        try:
            beside(self._path, _NOTE).unlink(missing_ok=True)
            sync_names(self._path.parent)
        except OSError as error:
            raise refused(self._path, error) from error
        self._shown = None

    def show(self, note: Note) -> None:
        """After what makes it true. One that cannot be written is missing, which is only inconvenient."""
        if note == self._shown:
            return
        with suppress(OSError):
            _write_whole(beside(self._path, _NOTE), sealed(note))
            self._shown = note


def read_note(path: Path) -> Note | None:
    try:
        return unsealed(beside(path, _NOTE).read_bytes())
    except OSError:
        return None


class Ballast:
    """Room that nobody else can take, to be given back when it is needed.

    It must be larger than what a write-ahead log may hold (4 MiB and the transaction that filled it), or the copy of
    that into the database eats it up.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path, self._wanted, self.guard = beside(path, _BALLAST), settings.ballast, settings.guard

    @property
    def held(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def free(self) -> int:
        """Bytes on the disk."""
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize

    def make_room(self) -> None:
        """Where there is next to none."""
        if self.free < min(self.guard, self._wanted):
            self.release()

    def reserve(self) -> None:
        """As long as nobody misses it."""
        if self.held != self._wanted and self.free - self._wanted >= self.guard:
            self._fill()

    def _fill(self) -> None:
        """A file with a hole would reserve nothing, so every byte is asked for."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, self._wanted)
            else:
                for start in range(0, self._wanted, _CHUNK):
                    os.pwrite(descriptor, os.urandom(min(_CHUNK, self._wanted - start)), start)
        except OSError:
            self.release()  # others were quicker
        finally:
            os.close(descriptor)

    def release(self) -> None:
        self._path.unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Move a store away under a new name, where it can still be opened; nothing is deleted."""
    lock = Lock(path)
    try:
        return move_aside(path)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        lock.release()


def note_tail(path: Path) -> None:
    """The store that is there now is to be set aside, and what its log has behind a fork to be handed in."""
    try:
        _write_whole(beside(path, _TAIL), b"")
    except OSError as error:
        raise refused(path, error) from error


def tails(path: Path) -> list[Path]:
    """Stores set aside whose tails are not handed in, oldest first."""
    found = [one.with_name(one.name.removesuffix(_TAIL)) for one in path.parent.glob(f"{path.name}.aside-*{_TAIL}")]
    return sorted(found, key=lambda one: int(one.name.rpartition("-")[2]))


def end_tail(aside: Path, account: bytes) -> None:
    """The account is there before the word goes: what is interrupted is done again."""
    try:
        _write_whole(beside(aside, _ACCOUNT), account)
        beside(aside, _TAIL).unlink(missing_ok=True)
        sync_names(aside.parent)
    except OSError as error:
        raise refused(aside, error) from error


def _write_whole(path: Path, data: bytes) -> None:
    new = beside(path, ".new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_names(path.parent)


def move_aside(path: Path) -> Path:
    """The WAL goes first: without it the rest is noticed as old, but a new database beside an old WAL is spoiled."""
    number = 1
    while any(beside(path, f".aside-{number}{suffix}").exists() for suffix in COMPANIONS):
        number += 1
    aside = beside(path, f".aside-{number}")
    for suffix in COMPANIONS:
        if beside(path, suffix).exists():
            beside(path, suffix).rename(beside(aside, suffix))
    sync_names(path.parent)
    return aside

"""A disk under the real SQLite that loses what was not synced, fails, fills up, and counts.

It is a VFS of SQLite (its own layer between database and system), put in front of the usual one. Every write, cut and
sync of a database file passes here and is remembered, so that the files can be left as a power cut would leave them:
all that was synced, and of the rest any sectors or none. The real disk is never waited for: what is synced is known.

Promises: nothing passes by: `installed` fails rather than let a test run without it.
Never: sleeps. A slow disk is one whose syncs are counted.
"""

from __future__ import annotations

import atexit
import ctypes
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from odyssey.clock import Entropy

SECTOR: Final = 512
_OK, _FULL = 0, sqlite3.SQLITE_FULL
_WRITE_FAILED, _SYNC_FAILED = 778, 1034  # SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC
_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_METHODS: Final = (
    "close read write truncate sync size lock unlock reserved control sector_size traits"
    " shm_map shm_lock shm_barrier shm_unmap fetch unfetch"
)
_CALLS: Final = (
    "open delete access full_path dl_open dl_error dl_sym dl_close randomness sleep time last_error"
    " time64 set_call get_call next_call"
)


class _Methods(ctypes.Structure):
    _fields_ = (("version", _I), *((name, _P) for name in _METHODS.split()))


class _Vfs(ctypes.Structure):
    _fields_ = (
        *(("version", _I), ("file_size", _I), ("path_length", _I)),
        *(("next", _P), ("name", ctypes.c_char_p), ("data", _P)),
        *((name, _P) for name in _CALLS.split()),
    )


_OPEN = ctypes.CFUNCTYPE(_I, _P, _P, _P, _I, _P)
_DELETE = ctypes.CFUNCTYPE(_I, _P, _P, _I)
_WRITE = ctypes.CFUNCTYPE(_I, _P, _P, _I, _L)
_TRUNCATE = ctypes.CFUNCTYPE(_I, _P, _L)
_SYNC = ctypes.CFUNCTYPE(_I, _P, _I)
_CLOSE = ctypes.CFUNCTYPE(_I, _P)


class _Op(NamedTuple):
    """Bytes written at a place, or a file cut there."""

    start: int
    data: bytes | None


class _File:
    def __init__(self, content: bytes) -> None:
        self.synced = bytearray(content)
        self.pending: list[_Op] = []
        self.forgot = False

    def sync(self) -> None:
        for op in self.pending:
            _do(self.synced, op)
        self.pending.clear()

    def forget(self) -> None:
        """After a failed sync the system keeps in its cache what the disk will never see, and calls it clean."""
        self.pending.clear()
        self.forgot = True

    def after_a_cut(self, entropy: Entropy) -> bytes:
        """Each sector that was not synced is there or not; in a third of the cuts none, in a third all of them."""
        image, mood = bytearray(self.synced), entropy.below(3)
        for op in self.pending:
            for piece in _sectors(op):
                if mood == 1 or (mood == 2 and entropy.chance(500)):
                    _do(image, piece)
        return bytes(image)


def _do(image: bytearray, op: _Op) -> None:
    if op.data is None:
        del image[op.start :]
        return
    image.extend(bytes(max(0, op.start - len(image))))
    image[op.start : op.start + len(op.data)] = op.data


def _sectors(op: _Op) -> Iterator[_Op]:
    if op.data is None:
        yield op
        return
    start, end = op.start, op.start + len(op.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        yield _Op(start, op.data[start - op.start : stop - op.start])
        start = stop


class ShakyDisk:
    def __init__(self) -> None:
        self.steps = self.syncs = self.wrote = 0
        self.cut_after: int | None = None  # steps
        self.dead = False
        self.fails = False  # every sync from now on
        self.fails_in_database = False  # every sync of a file that is not a write-ahead log
        self.room: int | None = None  # bytes that may still be written
        self.read_only = False
        self.files: dict[str, _File] = {}

    def _step(self) -> bool:
        if self.cut_after is not None and self.steps >= self.cut_after:
            self.dead = True
        self.steps += 1
        return self.dead

    def opened(self, path: str) -> None:
        if path not in self.files:
            self.files[path] = _File(Path(path).read_bytes() if Path(path).exists() else b"")

    def closed(self, path: str) -> None:
        file = self.files[path]
        if not self.dead and not file.pending and not file.forgot:
            self.files.pop(path)

    def write(self, path: str, data: bytes, start: int) -> int:
        if self._step():
            return _WRITE_FAILED
        if self.read_only:
            return sqlite3.SQLITE_READONLY
        if self.room is not None and len(data) > self.room:
            return _FULL
        if self.room is not None:
            self.room -= len(data)
        self.wrote += len(data)
        self.files[path].pending.append(_Op(start, data))
        return _OK

    def truncate(self, path: str, size: int) -> int:
        if self._step():
            return _WRITE_FAILED
        self.files[path].pending.append(_Op(size, None))
        return _OK

    def sync(self, path: str) -> int:
        if self._step():
            return _SYNC_FAILED
        if self.fails or (self.fails_in_database and not path.endswith("-wal")):
            self.files[path].forget()
            return _SYNC_FAILED
        self.syncs += 1
        self.files[path].sync()
        return _OK

    def delete(self, path: str) -> int:
        if self._step():
            return _WRITE_FAILED
        self.files.pop(path, None)
        return _OK

    def power_cycle(self, entropy: Entropy) -> None:
        """After the stores are closed: leave the files as they are found when the power is back."""
        for path, file in self.files.items():
            if file.synced or file.pending:
                Path(path).write_bytes(file.after_a_cut(entropy))
        self.files.clear()
        self.dead, self.cut_after = False, None


class _Shim:
    """The VFS: it hands everything to the usual one, and tells the disk, which may refuse."""

    def __init__(self, library: ctypes.CDLL, disk: ShakyDisk) -> None:
        self._disk, self._paths = disk, dict[int, str]()
        self._usual, self._methods = dict[int, _Methods](), dict[int, _Methods]()
        self._base = _Vfs.from_address(library.sqlite3_vfs_find(None))
        self.vfs = _Vfs()
        ctypes.pointer(self.vfs)[0] = self._base
        self.vfs.name = b"shaky"
        self._kept: list[Any] = [_OPEN(self._open), _DELETE(self._delete)]  # alive as long as SQLite may call them
        self.vfs.open, self.vfs.delete = (ctypes.cast(call, _P).value for call in self._kept)
        self._calls = {
            "write": _WRITE(self._write),
            "truncate": _TRUNCATE(self._truncate),
            "sync": _SYNC(self._sync),
            "close": _CLOSE(self._close),
        }

    def _open(self, vfs: int, name: int | None, file: int, flags: int, told: int | None) -> int:
        result: int = _OPEN(self._base.open)(vfs, name, file, flags, told)
        if result == _OK and name is not None:
            path = ctypes.string_at(name).decode()
            self._disk.opened(path)
            self._paths[file] = path
            methods = ctypes.cast(file, ctypes.POINTER(_P))
            self._usual[file] = _Methods.from_address(methods[0])
            methods[0] = ctypes.addressof(self._methods_like(methods[0]))
        return result

    def _methods_like(self, usual: int) -> _Methods:
        if usual not in self._methods:
            made = self._methods[usual] = _Methods()
            ctypes.pointer(made)[0] = _Methods.from_address(usual)
            for name, call in self._calls.items():
                setattr(made, name, ctypes.cast(call, _P).value)
        return self._methods[usual]

    def _write(self, file: int, data: int, size: int, start: int) -> int:
        refused = self._disk.write(self._paths[file], ctypes.string_at(data, size), start)
        return refused or _WRITE(self._usual[file].write)(file, data, size, start)

    def _truncate(self, file: int, size: int) -> int:
        return self._disk.truncate(self._paths[file], size) or _TRUNCATE(self._usual[file].truncate)(file, size)

    def _sync(self, file: int, flags: int) -> int:
        return self._disk.sync(self._paths[file])

    def _close(self, file: int) -> int:
        self._disk.closed(self._paths.pop(file))
        return int(_CLOSE(self._usual.pop(file).close)(file))

    def _delete(self, vfs: int, name: int, sync: int) -> int:
        return self._disk.delete(ctypes.string_at(name).decode()) or _DELETE(self._base.delete)(vfs, name, sync)

    def let_go(self) -> None:
        """What is still open goes back to the usual disk; this VFS is one by then, and is never freed."""
        self.vfs.open, self.vfs.delete = self._base.open, self._base.delete
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.vfs))
        for file, usual in self._usual.items():
            ctypes.cast(file, ctypes.POINTER(_P))[0] = ctypes.addressof(usual)
        self._usual.clear()


_SHIMS: list[_Shim] = []


@atexit.register
def _let_go() -> None:
    """SQLite must not call what the end of Python has freed: a database that nobody closed is closed after that."""
    for shim in _SHIMS:
        shim.let_go()


@cache
def _library() -> ctypes.CDLL:
    """The very library that the module `sqlite3` uses, if it is not built into it."""
    name = find_library("sqlite3")
    if name is None:
        pytest.skip("there is no shared library of SQLite, so no faults can be put under it")
    library = ctypes.CDLL(name)
    library.sqlite3_vfs_find.restype = _P
    library.sqlite3_vfs_find.argtypes = (ctypes.c_char_p,)
    library.sqlite3_vfs_register.argtypes = (_P, _I)
    library.sqlite3_vfs_unregister.argtypes = (_P,)
    return library


@contextmanager
def installed() -> Iterator[ShakyDisk]:
    """Every database this process opens meanwhile is on the shaky disk."""
    library, disk = _library(), ShakyDisk()
    shim = _Shim(library, disk)
    _SHIMS.append(shim)  # a database that is closed late still calls it
    library.sqlite3_vfs_register(ctypes.byref(shim.vfs), 1)
    try:
        yield disk
    finally:
        library.sqlite3_vfs_unregister(ctypes.byref(shim.vfs))


def probe(directory: Path) -> None:
    """Skips, with the reason, where the module `sqlite3` has a SQLite of its own."""
    with installed() as disk:
        connection = sqlite3.connect(directory / "probe.db")
        connection.execute("CREATE TABLE t (x)")
        connection.close()
    if not disk.syncs:
        pytest.skip("the module sqlite3 has a SQLite of its own built in: no faults can be put under it")

"""Files known by what is in them: `HOME/blobs/aa/…`, named by their sha-256.

A file arrives in pieces, in order, under a temporary name; when the last piece is there and the bytes are those of the
name, it is synced and renamed. What broke off in the middle goes on where it was, as long as the daemon lives.

Promises: what has its name is whole and was synced before it got it; what was answered as complete has its name also
after a power cut; put twice is put once; a full disk keeps its last `keep_free` bytes.
Never: gives bytes that are not those of the digest, or deletes what is named in `keep`.
"""

import os
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from odyssey import wire
from odyssey.errors import Fault, InvalidSpec, OdysseyError, Remedy
from odyssey.lasting import Folders, sync_names
from odyssey.mesh.sidefiles import refused
from odyssey.mesh.store import DiskFull
from odyssey.spec import ITEMS_IN_BLOB, JobSpec, Own

DIGEST_BYTES: Final = 32
MOST_BYTES: Final = 256 << 20
KEEP_FREE: Final = 256 << 20
_PART: Final = ".part"
_PIECES: Final = 4
PIECE: Final = wire.Limits(bytes=MOST_BYTES, array=64 << 10, map=0, str=0, bin=1 << 20, depth=4)


class DamagedBlob(OdysseyError):
    fault = Fault.MACHINE
    remedy = Remedy.RETRY


class Blobs:
    def __init__(self, folder: Path, keep_free: int = KEEP_FREE) -> None:
        self._folder, self._keep_free = folder, keep_free
        self._folders = Folders(folder.parent)

    def has(self, digest: bytes) -> bool:
        return self.path(digest).exists()

    def read(self, digest: bytes) -> bytes | None:
        """None: it is not here. One that is damaged is removed, so that it can be put again."""
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(path, error) from error
        if sha256(data).digest() != digest:
            path.unlink(missing_ok=True)
            raise DamagedBlob(f"the file {digest.hex()[:12]} was damaged on this disk", hint="send it again")
        return data

    # -- putting -------------------------------------------------------------------------------------------------------

    def put(self, digest: bytes, size: int, offset: int, data: bytes) -> int:
        """How many bytes of it are here now. A piece that does not begin there is left out: it came before, or one
        before it is missing."""
        if len(digest) != DIGEST_BYTES or not 0 <= size <= MOST_BYTES:
            raise InvalidSpec(f"a file of {size} bytes cannot be kept", hint=f"at most {MOST_BYTES >> 20}M in one file")
        path = self.path(digest)
        part = path.with_name(path.name + _PART)
        try:
            self._folders.make(path.parent)
            return size if self.has(digest) else self._added(path, part, size, offset, data)
        except OSError as error:
            self._folders.doubt()
            raise refused(path, error) from error

    def _added(self, path: Path, part: Path, size: int, offset: int, data: bytes) -> int:
        with appending(part) as file:
            here = file.tell()
            if offset == here and data:
                self._check_room(path, len(data))
                here += file.write(data[: max(0, size - here)])
            if here < size:
                return here
            file.flush()
            os.fsync(file.fileno())
        self._finish(path, part)
        return size

    def _finish(self, path: Path, part: Path) -> None:
        with part.open("rb") as file:
            found = _digest(file)
        if found.hex() != path.name:
            part.unlink()
            raise DamagedBlob(f"what came is not the file {path.name[:12]}", hint="send it again")
        part.rename(path)
        sync_names(path.parent)

    def _check_room(self, path: Path, size: int) -> None:
        room = os.statvfs(path.parent)
        if room.f_bavail * room.f_frsize - size < self._keep_free:
            raise DiskFull(f"the disk of {self._folder} is nearly full", hint="free some space there", path=path)

    def begin(self) -> None:
        """At the start of a daemon: nobody knows what the disk has kept of what broke off before, so it comes anew."""
        for path in self._all():
            if path.name.endswith(_PART):
                path.unlink(missing_ok=True)

    # -- cleaning up ---------------------------------------------------------------------------------------------------

    def sweep(self, keep: Collection[bytes], older_than: float) -> int:
        """Delete what nobody names and was last written before that wall time: how many."""
        named = {digest.hex() for digest in keep}
        gone = 0
        for path in self._all():
            with suppress(FileNotFoundError):
                if path.name not in named and path.stat().st_mtime < older_than:
                    path.unlink()
                    gone += 1
        return gone

    def _all(self) -> Iterator[Path]:
        if self._folder.is_dir():
            for folder in sorted(self._folder.iterdir()):
                yield from sorted(folder.iterdir())

    def path(self, digest: bytes) -> Path:
        """Where it is, if it is here."""
        name = digest.hex()
        return self._folder / name[:2] / name


class Words:
    """The own words of each task of a job whose spec names `items`: as it is asked for, task after task, each piece is
    read once."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._pieces: OrderedDict[bytes, tuple[Own, ...]] = OrderedDict()

    def __call__(self, spec: JobSpec, index: int) -> Own | None:
        """None: they are not here, or not as they should be."""
        number, place = divmod(index, ITEMS_IN_BLOB)
        if number >= len(spec.items):
            return None
        piece = self._piece(spec.items[number].digest)
        return piece[place] if piece is not None and place < len(piece) else None

    def _piece(self, digest: bytes) -> tuple[Own, ...] | None:
        known = self._pieces.get(digest)
        if known is None:
            try:
                data = self._blobs.read(digest)
                known = wire.decode(data, tuple[Own, ...], PIECE) if data is not None else None
            except OdysseyError:
                return None
            if known is None or any(b"\0" in word for own in known for word in (*own.words, own.item)):
                return None
            self._pieces[digest] = known
            if len(self._pieces) > _PIECES:
                self._pieces.popitem(last=False)
        return known


def _digest(file: BinaryIO) -> bytes:
    found = sha256()
    while data := file.read(1 << 20):
        found.update(data)
    return found.digest()


def appending(path: Path) -> BinaryIO:
    """Nobody else may read it."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")

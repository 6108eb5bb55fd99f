"""How a machine comes to a mesh of its own, and how its store is opened again.

Founding is: a key, the root of trust, a note that says which mesh it will be, an empty store, the note again that says
that it is there. Each step is whole or not at all, so whoever is interrupted goes on where it was.

Promises: once the note says that there is a store, no other one is ever made in its place; what is asked of a store is
asked in the thread that will use it.
Never: begins a second mesh in one home.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from odyssey import wire
from odyssey.book import Book
from odyssey.clock import Clock, Entropy
from odyssey.errors import CallersError, WireError
from odyssey.ids import UserId
from odyssey.lasting import sync_names
from odyssey.mesh.generation import ID_BYTES, Generation, Lineage
from odyssey.mesh.home import SqliteHome
from odyssey.mesh.identity import Identity
from odyssey.mesh.opening import Aside, open_or_begin_anew
from odyssey.mesh.opening import Home as StoreHome
from odyssey.mesh.recover import found
from odyssey.mesh.sidefiles import refused
from odyssey.mesh.store import Damaged, Loaded, NoStore, Settings, Store
from odyssey.mesh.succession import Move, at_rest
from odyssey.mesh.trust import standing
from odyssey.mesh.trust.certificates import fingerprint, owner_name
from odyssey.paths import Home, write_whole
from odyssey.scheduler.transitions.machines import clean_name

NOTE: Final = "mesh"
_BYTES: Final = 4
_OF_A_MESH: Final = ("mesh.db*", "history.db*", "events.jsonl*", "lease", "outputs", "spool", "blobs", "files")
_HOST: Final = b"odyssey-host-v1\0"


class Belonging(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Which mesh this machine is in."""

    mesh: bytes
    root: Generation
    name: str  # of the mesh
    owner: UserId  # of this machine
    machine: str  # the name it asks for
    has_store: bool = False
    anchor: bytes = b""  # the fingerprint of the root key it believes; none: founded by a version that had no root
    host: bytes = b""  # the machine this home was made on
    joined: bool = False  # others began this mesh
    left: str = ""  # the mesh it was in before
    listen: str = ""  # where it listens, once that was found
    asked: str = ""  # where its owner wants it to listen


class Lost(CallersError):
    """What a mesh knew is not there any more."""


class Opened(NamedTuple):
    """A store, and all that a daemon needs of it."""

    store: Store
    loaded: Loaded
    book: Book
    asides: tuple[Aside, ...] = ()


# -- which mesh --------------------------------------------------------------------------------------------------------


def begin(owner: UserId, machine: str, mesh_name: str, entropy: Entropy) -> Belonging:
    name = mesh_name or f"{owner}'s mesh"
    return Belonging(entropy.token(16), Generation(1, entropy.token(ID_BYTES)), name, owner, machine)


def found_trust(home: Home, belonging: Belonging, identity: Identity, clock: Clock, entropy: Entropy) -> Belonging:
    """A root, an issuer and this machine's certificate, for a mesh that has none yet: nobody else is in it. To be saved
    afterwards; until then all of it is made again."""
    made = standing.found(
        *(home, belonging.mesh, identity.key, clean_name(belonging.machine), owner_name(belonging.owner)),
        *(clock.wall_ms(), entropy),
    )
    return msgspec.structs.replace(belonging, anchor=fingerprint(made.known.root))


def host(machine: str) -> bytes:
    """Of the system's machine id, which is nobody else's business."""
    return sha256(_HOST + machine.encode()).digest()[:16]


def is_unused_copy(belonging: Belonging, here: bytes) -> bool:
    """A home that was made on another machine, on a disk that was cloned, and never used: it gets a key of its own. One
    that was used is noticed when both are there, by their boots (`mesh.membership`)."""
    return bool(belonging.host) and belonging.host != here and not belonging.has_store


def forget(home: Home) -> None:
    """All that says who it is; nothing has relied on it. The key goes last: with it gone, the rest is made anew."""
    for path in (home.mesh, home.trust, home.root, home.issuer, home.curve, home.key):
        path.unlink(missing_ok=True)


def set_old_mesh_aside(home: Home, name: str) -> None:
    """What this machine had in a mesh that it has left, as it was; nothing of it is deleted. As often as it is
    interrupted."""
    aside = home.old / name
    try:
        aside.mkdir(mode=0o700, parents=True, exist_ok=True)
        for pattern in _OF_A_MESH:
            for path in home.path.glob(pattern):
                _put_aside(path, aside / path.name)
        sync_names(home.path)
    except OSError as error:
        raise refused(aside, error) from error


def _put_aside(path: Path, there: Path) -> None:
    """What lies there already came first and stays as it is: whoever was interrupted may have begun with empty folders,
    or an empty store, of the new mesh."""
    if not there.exists():
        path.rename(there)
    elif path.is_dir() and there.is_dir():
        for child in list(path.iterdir()):
            _put_aside(child, there / child.name)
        path.rmdir()
    else:
        number = 2
        while (free := there.with_name(f"{there.name}.{number}")).exists():
            number += 1
        path.rename(free)


def save(home: Home, belonging: Belonging) -> None:
    _write(home.mesh, belonging)


def note(folder: Path, belonging: Belonging) -> None:
    """Which mesh it was whose things were set aside here."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise refused(folder, error) from error
    _write(folder / NOTE, belonging)


def noted(folder: Path) -> Belonging | None:
    return _read(folder / NOTE)


def _write(path: Path, belonging: Belonging) -> None:
    data = wire.encode_log(belonging)
    try:
        write_whole(path, crc32(data).to_bytes(_BYTES, "big") + data)
    except OSError as error:
        raise refused(path, error) from error


def load(home: Home) -> Belonging | None:
    """None: this machine is in no mesh yet."""
    return _read(home.mesh)


def _read(path: Path) -> Belonging | None:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(path, error) from error
    try:
        if crc32(text[_BYTES:]).to_bytes(_BYTES, "big") != text[:_BYTES]:
            raise WireError("its checksum is another one")
        return wire.decode_log(text[_BYTES:], Belonging)
    except WireError as error:
        hint = "put its copy back; without it nobody knows which mesh this machine is in"
        raise Lost(f"{path} cannot be read: {error.message}", hint=hint) from error


# -- its store: in the thread that uses it -----------------------------------------------------------------------------


class Storehouse:
    """Opens the store of one home, again and again."""

    def __init__(self, home: Home, identity: Identity, belonging: Belonging, entropy: Entropy, settings: Settings):
        self.home, self.identity, self.belonging = home, identity, belonging
        self._sqlite = SqliteHome(home.path, entropy, belonging.mesh, identity.id, belonging.root, settings)

    @property
    def stores(self) -> StoreHome:
        """Where those lie that were set aside."""
        return self._sqlite

    def open(self) -> Opened:
        if not self.belonging.has_store:
            self._begin()
        try:
            anew = self.belonging.joined or bool(
                self._sqlite.tails()
            )  # if it was stopped between setting the old one aside and this one
            store, asides = open_or_begin_anew(self._sqlite, joined=anew)
        except NoStore as error:
            hint = f"put its newest copy back; or move {self.home.path} away to begin a new mesh without its jobs"
            raise Lost(f"the log of this machine's mesh is gone: there is no {self._sqlite.path}", hint=hint) from error
        try:
            found(store)  # if that was interrupted
            loaded, book = store.load(), Book()
            if loaded.snapshot.index:
                book.load(store.snapshot_slices(loaded.snapshot.digest))
        except BaseException:
            store.close()
            raise
        return Opened(store, loaded, book, asides)

    def _begin(self) -> None:
        """Nobody has relied yet on what is there."""
        try:
            self._sqlite.open().close()
        except NoStore:
            self._sqlite.create(founds=not self.belonging.joined).close()
        except Damaged as error:
            self._sqlite.set_aside(error)
            self._sqlite.create(founds=not self.belonging.joined).close()
        self.belonging = msgspec.structs.replace(self.belonging, has_store=True)
        save(self.home, self.belonging)

    def remember(self, listen: str, asked: str) -> None:
        """Where it listens now, for the next time."""
        belonging = msgspec.structs.replace(self.belonging, listen=listen, asked=asked)
        if belonging != self.belonging:
            save(self.home, belonging)
            self.belonging = belonging

    def move(self, move: Move, lineage: Lineage) -> None:
        """The store goes over to another generation; nobody uses it just now."""
        store = self._sqlite.open()
        try:
            settled = at_rest(move, lineage, store)
            if settled is Move.BEGIN_ANEW:
                store.close()
                self._sqlite.begin_anew()
                store = self._sqlite.open()
            if settled is not None:
                store.adopt(lineage)
            if settled is Move.FOUND:
                found(store)
        finally:
            store.close()

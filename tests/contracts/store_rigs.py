"""Both stores on disks that can be made to misbehave, behind one handle: what a contract test turns and pulls.

Promises: a rig closes what it opened. A power cut leaves of each disk what a real one could have left.
Never: reaches into a store; only into what lies under it.
"""

from __future__ import annotations

import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from odyssey.clock import Entropy
from odyssey.ids import NodeId
from odyssey.mesh.generation import Charter, Fork, Lineage, draft
from odyssey.mesh.home import SqliteHome
from odyssey.mesh.opening import Home, Opened, open_or_begin_anew
from odyssey.mesh.raft.types import Config, HardState, Kind, LogEntry, Member, Snapshot, StoreId, Write
from odyssey.mesh.sidefiles import beside, set_aside
from odyssey.mesh.sound import digest_of
from odyssey.mesh.sqlite_store import create_store, open_store
from odyssey.mesh.store import Generation, Settings, Store, StoreError
from tests.contracts.shaky_disk import ShakyDisk
from tests.fakes import Disk, create_memory_store, open_memory_store
from tests.memory_store import MemoryHome, make_newer

MESH: Final = bytes(range(16))
NODE: Final = NodeId("a" * 26)
GENERATION: Final = Generation(1, b"g" * 16)
BARE: Final = Settings(guard=0, ballast=0)
PAGE: Final = 4096


class Rig(ABC):
    @abstractmethod
    def create(self, settings: Settings = BARE, founds: bool = False) -> Store: ...

    @abstractmethod
    def open(self, mesh: bytes = MESH, node: NodeId = NODE, settings: Settings = BARE) -> Store: ...

    @property
    @abstractmethod
    def steps(self) -> int: ...

    @property
    @abstractmethod
    def syncs(self) -> int: ...

    @property
    @abstractmethod
    def dead(self) -> bool: ...

    @abstractmethod
    def cut_after(self, steps: int) -> None:
        """Power goes so many steps from now."""

    @abstractmethod
    def power_cycle(self, entropy: Entropy) -> None: ...

    @abstractmethod
    def kill(self) -> None:
        """The process ends, the machine goes on."""

    @abstractmethod
    def fail(self, fails: bool) -> None: ...

    @abstractmethod
    def fill(self, full: bool) -> None: ...

    @abstractmethod
    def protect(self, read_only: bool) -> None: ...

    # -- the way a daemon opens it

    @abstractmethod
    def home(self, mesh: bytes = MESH, node: NodeId = NODE) -> Home: ...

    def begin(self, mesh: bytes = MESH, node: NodeId = NODE, joined: bool = True) -> Opened:
        opened = open_or_begin_anew(self.home(mesh, node), joined)
        self.keep(opened.store)
        return opened

    @abstractmethod
    def keep(self, store: Store) -> None:
        """To be closed at the end."""

    @abstractmethod
    def content(self) -> object:
        """All that is there, to the byte."""

    @abstractmethod
    def lose_note(self, rotten: bool) -> None: ...

    @abstractmethod
    def lose_store(self) -> None:
        """The file is gone."""

    # -- with the store closed

    @abstractmethod
    def rot(self, needle: bytes) -> None:
        """A bit flips somewhere in these bytes, wherever they are stored."""

    @abstractmethod
    def rot_history(self, needle: bytes) -> None: ...

    @abstractmethod
    def tear(self, needle: bytes) -> None:
        """Half of what was written together with these bytes is not there."""

    @abstractmethod
    def copy(self) -> object: ...

    @abstractmethod
    def put_back(self, copy: object, with_mark: bool = False) -> None: ...

    @abstractmethod
    def make_newer(self) -> None: ...

    @abstractmethod
    def set_aside(self) -> None: ...


class MemoryRig(Rig):
    def __init__(self, entropy: Entropy) -> None:
        self.disk, self._entropy = Disk(), entropy

    def create(self, settings: Settings = BARE, founds: bool = False) -> Store:
        return create_memory_store(self.disk, self._entropy, MESH, NODE, GENERATION, settings, founds)

    def open(self, mesh: bytes = MESH, node: NodeId = NODE, settings: Settings = BARE) -> Store:
        return open_memory_store(self.disk, mesh, node, settings)

    @property
    def steps(self) -> int:
        return self.disk.steps

    @property
    def syncs(self) -> int:
        return self.disk.syncs

    @property
    def dead(self) -> bool:
        return self.disk.dead

    def cut_after(self, steps: int) -> None:
        self.disk.cut_after = self.disk.steps + steps

    def power_cycle(self, entropy: Entropy) -> None:
        self.disk.crash(entropy)

    def kill(self) -> None:
        self.disk.kill()

    def fail(self, fails: bool) -> None:
        self.disk.fails = fails

    def fill(self, full: bool) -> None:
        self.disk.room = self.disk.used if full else None

    def protect(self, read_only: bool) -> None:
        self.disk.read_only = read_only

    def home(self, mesh: bytes = MESH, node: NodeId = NODE) -> Home:
        return MemoryHome(self.disk, self._entropy, mesh, node, GENERATION)

    def keep(self, store: Store) -> None:
        pass

    def content(self) -> object:
        return dict(self.disk.cells), self.disk.mark, self.disk.note

    def lose_note(self, rotten: bool) -> None:
        self.disk.note = self.disk.note[:-1] + b"?" if rotten and self.disk.note else None

    def lose_store(self) -> None:
        self.disk.put(dict.fromkeys(self.disk.cells))

    def rot(self, needle: bytes) -> None:
        self.disk.rot(self._entropy, needle)

    def rot_history(self, needle: bytes) -> None:
        self.rot(needle)

    def tear(self, needle: bytes) -> None:
        self.disk.tear()

    def copy(self) -> object:
        return self.disk.copy()

    def put_back(self, copy: object, with_mark: bool = False) -> None:
        self.disk.put_back(copy, with_mark)  # type: ignore[arg-type]

    def make_newer(self) -> None:
        make_newer(self.disk)

    def set_aside(self) -> None:
        self.disk.set_aside()


class SqliteRig(Rig):
    def __init__(self, directory: Path, disk: ShakyDisk, entropy: Entropy) -> None:
        directory.mkdir(exist_ok=True)
        self.path, self.disk, self._entropy = directory / "mesh.db", disk, entropy
        self._stores: list[Store] = []

    def create(self, settings: Settings = BARE, founds: bool = False) -> Store:
        return self._opened(create_store(self.path, self._entropy, MESH, NODE, GENERATION, settings, founds))

    def open(self, mesh: bytes = MESH, node: NodeId = NODE, settings: Settings = BARE) -> Store:
        return self._opened(open_store(self.path, mesh, node, settings))

    def _opened(self, store: Store) -> Store:
        self._stores.append(store)
        return store

    def close(self) -> None:
        while self._stores:
            with suppress(StoreError):
                self._stores.pop().close()

    @property
    def steps(self) -> int:
        return self.disk.steps

    @property
    def syncs(self) -> int:
        return self.disk.syncs

    @property
    def dead(self) -> bool:
        return self.disk.dead

    def cut_after(self, steps: int) -> None:
        self.disk.cut_after = self.disk.steps + steps

    def power_cycle(self, entropy: Entropy) -> None:
        self.disk.dead = True
        self.close()
        self.disk.power_cycle(entropy)

    def kill(self) -> None:
        self.disk.dead = True
        self.close()
        self.disk.dead = False

    def fail(self, fails: bool) -> None:
        self.disk.fails = fails

    def fill(self, full: bool) -> None:
        self.disk.room = 0 if full else None

    def protect(self, read_only: bool) -> None:
        self.disk.read_only = read_only

    def home(self, mesh: bytes = MESH, node: NodeId = NODE) -> Home:
        return SqliteHome(self.path.parent, self._entropy, mesh, node, GENERATION, BARE)

    def keep(self, store: Store) -> None:
        self._opened(store)

    def content(self) -> object:
        return {file.name: file.read_bytes() for file in self.path.parent.iterdir() if file.suffix != ".lock"}

    def lose_note(self, rotten: bool) -> None:
        note = beside(self.path, ".others")
        content = note.read_bytes()
        note.unlink()
        if rotten:
            note.write_bytes(content[:-1] + b"?")

    def lose_store(self) -> None:
        self.path.unlink()

    def rot(self, needle: bytes) -> None:
        for start in places(self.path, needle):
            overwrite(self.path, start + len(needle) // 2, b"\xff")

    def rot_history(self, needle: bytes) -> None:
        history = self.path.with_name("history.db")
        for start in places(history, needle):
            overwrite(history, start, b"\xff")

    def tear(self, needle: bytes) -> None:
        for start in places(self.path, needle):
            overwrite(self.path, start // PAGE * PAGE + PAGE // 2, bytes(PAGE // 2))

    def copy(self) -> object:
        return {suffix: self._content(suffix) for suffix in ("", "-wal", ".mark")}

    def _content(self, suffix: str) -> bytes | None:
        file = beside(self.path, suffix)
        return file.read_bytes() if file.exists() else None

    def put_back(self, copy: object, with_mark: bool = False) -> None:
        assert isinstance(copy, dict)
        for suffix, content in copy.items():
            if suffix == ".mark" and not with_mark:
                continue
            beside(self.path, suffix).unlink(missing_ok=True)
            if content is not None:
                beside(self.path, suffix).write_bytes(content)

    def make_newer(self) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute("PRAGMA user_version=99")
        connection.close()

    def set_aside(self) -> None:
        set_aside(self.path)

    def again(self) -> SqliteRig:
        """A fresh one in the same directory."""
        self.close()
        shutil.rmtree(self.path.parent)
        self.disk.files.clear()
        return SqliteRig(self.path.parent, self.disk, self._entropy)


def places(path: Path, needle: bytes) -> list[int]:
    content, found = path.read_bytes(), [-1]
    while (start := content.find(needle, found[-1] + 1)) >= 0:
        found.append(start)
    assert len(found) > 1
    return found[1:]


def overwrite(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


# -- what is written ---------------------------------------------------------------------------------------------------

ME: Final = Member(NODE, StoreId(b"s" * 16))
OTHER: Final = Member(NodeId("b" * 26), StoreId(b"t" * 16))
CONFIG: Final = Config((ME, OTHER))


def entry(index: int, term: int = 1, data: bytes | None = None, kind: Kind = Kind.COMMAND) -> LogEntry:
    return LogEntry(index, term, kind, b"entry %d of term %d" % (index, term) if data is None else data)


def entries(first: int, last: int, term: int = 1) -> tuple[LogEntry, ...]:
    return tuple(entry(index, term) for index in range(first, last + 1))


def a_write(
    *told: LogEntry, term: int = 1, commit: int = 0, vote: Member | None = None, snapshot: Snapshot | None = None
) -> Write:
    return Write(1, HardState(term, vote, commit), told, snapshot)


def slices(text: str, count: int = 5, size: int = 3000) -> list[bytes]:
    return [f"{text}, slice {number}: ".encode().ljust(size, b".") for number in range(count)]


def a_snapshot(index: int, term: int, pieces: Iterable[bytes]) -> Snapshot:
    staged = digest_of(pieces)
    return Snapshot(index, term, CONFIG, staged.digest, staged.size)


def a_charter(parent: Lineage, name: bytes) -> Charter:
    """Of a child of this generation; who signed it is nothing to a store."""
    term = parent.first_term + 2
    made = draft(MESH, parent.tip, name.ljust(16, b"."), Fork(1, 9), term, ME, NODE)
    return msgspec.structs.replace(made, signature=b"s" * 64)


# -- what is seen ----------------------------------------------------------------------------------------------------

View = tuple[HardState, Snapshot, list[LogEntry]]


def view(store: Store) -> View:
    loaded = store.load()
    return loaded.hard, loaded.snapshot, loaded.entries


def reopened(rig: Rig, store: Store) -> Store:
    store.close()
    return rig.open()


def both(rig: Rig, store: Store) -> Iterator[Store]:
    """Now, and after a restart."""
    yield store
    yield reopened(rig, store)

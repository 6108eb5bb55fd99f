"""Where a simulated machine keeps its store: opened as a daemon opens it, and everything that becomes durable is seen.

Promises: what `Home` promises; a store that begins anew has a name of its own.
Never: checks anything; it tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from odyssey.clock import SeededEntropy
from odyssey.ids import NodeId
from odyssey.mesh.opening import Home
from odyssey.mesh.others import unsealed
from odyssey.mesh.raft.types import Member, Snapshot, StoreId, Write
from odyssey.mesh.store import Damaged, Generation, Old, Settings
from tests.memory_disk import PATH, Disk
from tests.memory_store import MemoryStore, check_there, create_memory_store, look_back

MESH: Final = b"mesh".ljust(16)
GENERATION: Final = Generation(1, b"first")
SETTINGS: Final = Settings(guard=48 << 10, ballast=16 << 10)  # as small as its disks

Seen = Callable[[Write | Snapshot], None]


class SeenStore(MemoryStore):
    def __init__(self, disk: Disk, node: NodeId, seen: Seen) -> None:
        super().__init__(disk, MESH, node, SETTINGS)
        self._seen_by = seen
        self.under_way: list[Write | Snapshot] = []

    def write(self, write: Write) -> None:
        super().write(write)
        self.under_way.append(write)

    def save_snapshot(self, snapshot: Snapshot, keep_from: int, slices: Iterable[bytes] = ()) -> None:
        super().save_snapshot(snapshot, keep_from, slices)
        self.under_way.append(snapshot)

    def sync(self) -> None:
        super().sync()
        if self.under_way:
            for change in self.under_way:
                self._seen_by(change)
            self.under_way.clear()


class SimHome(Home):
    def __init__(self, disk: Disk, node: NodeId, began: Callable[[Snapshot], None], seen: Seen) -> None:
        """`began` is told when a store has begun, and with which snapshot."""
        self._disk, self._node, self._began, self._seen = disk, node, began, seen
        self.stores = 0
        self.member = self._named()

    def _named(self) -> Member:
        return Member(self._node, StoreId(f"{self._node}#{self.stores}".encode().ljust(16)[:16]))

    def open(self) -> SeenStore:
        check_there(self._disk)
        return SeenStore(self._disk, self._node, self._seen)

    def create(self) -> SeenStore:
        return self.found(Snapshot())

    def found(self, began: Snapshot) -> SeenStore:
        self._began(began)  # first: making it may fail halfway
        name = self.member.store
        create_memory_store(
            self._disk, SeededEntropy(0), MESH, self._node, GENERATION, SETTINGS, began=began, store=name
        ).close()
        return self.open()

    def set_aside(self, error: Damaged | None = None) -> Path:
        self._disk.set_aside()
        self._rename()
        return PATH

    def _rename(self) -> None:
        self.stores += 1
        self.member = self._named()

    def begin_anew(self) -> None:
        """An old anchor's store is kept beside the new one, until its tail is handed in and after."""
        self._disk.begin_anew()
        self._rename()
        self.create().close()

    def tails(self) -> list[str]:
        return list(self._disk.tails)

    def old(self, name: str) -> Old:
        return look_back(self._disk.olds[name], MESH, self._node)

    def handed_in(self, name: str, account: bytes) -> None:
        self._disk.handed_in(name, account)

    def others(self) -> tuple[NodeId, ...] | None:
        note = unsealed(self._disk.note or b"")
        return None if note is None else note.others

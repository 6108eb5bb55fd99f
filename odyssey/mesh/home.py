"""The home of a store on SQLite: where a daemon finds it, makes it, and sets it aside.

Promises: what `Home` promises.
Never: decides.
"""

from pathlib import Path
from typing import Final

from odyssey.clock import Entropy
from odyssey.ids import NodeId
from odyssey.mesh.opening import Home
from odyssey.mesh.sidefiles import check_mark, end_tail, note_tail, read_note, set_aside, tails
from odyssey.mesh.sound import check_identity
from odyssey.mesh.sqlite_files import look_back
from odyssey.mesh.sqlite_store import SqliteStore, create_store, open_store
from odyssey.mesh.store import Damaged, Generation, Old, Settings

NAME: Final = "mesh.db"


class SqliteHome(Home):
    """`generation`: the newest life of the mesh that this machine knows of, for a store that begins anew."""

    def __init__(
        self,
        directory: Path,
        entropy: Entropy,
        mesh: bytes,
        node: NodeId,
        generation: Generation,
        settings: Settings = Settings(),  # noqa: B008 - frozen
    ) -> None:
        self.path, self._entropy = directory / NAME, entropy
        self._mesh, self._node, self._generation, self._settings = mesh, node, generation, settings

    def open(self) -> SqliteStore:
        return open_store(self.path, self._mesh, self._node, self._settings)

    def create(self, founds: bool = False) -> SqliteStore:
        return create_store(self.path, self._entropy, self._mesh, self._node, self._generation, self._settings, founds)

    def set_aside(self, error: Damaged) -> Path:
        return set_aside(error.path or self.path)

    def begin_anew(self) -> None:
        note_tail(self.path)
        set_aside(self.path)
        self.create().close()

    def tails(self) -> list[str]:
        return [one.name for one in tails(self.path)]

    def old(self, name: str) -> Old:
        path = self.path.with_name(name)
        found, slices = look_back(path)
        check_identity(path, found.identity, self._mesh, self._node)
        check_mark(path, found.identity.store, found.changes)
        return Old(found.identity, found.base.snapshot, slices, found.entries)

    def handed_in(self, name: str, account: bytes) -> None:
        end_tail(self.path.with_name(name), account)

    def others(self) -> tuple[NodeId, ...] | None:
        note = read_note(self.path)
        return None if note is None else note.others

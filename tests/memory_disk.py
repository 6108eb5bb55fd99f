"""A disk that does what disks do, without a disk.

It holds cells: a key and some bytes. A change of several cells is one step to the disk and another one until it is
synced; power may be cut at either. What else disks do is told to it: be full, be slow, fail, tear the newest change,
rot, turn back to an older copy.

Promises: what happens follows from what it was told, and from the entropy it is given, alone.
Never: waits, reads a clock, or touches a real file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from odyssey.clock import Entropy
from odyssey.mesh.raft.types import StoreId
from odyssey.mesh.store import Broken, DiskFull, InUse, ReadOnly

Key = tuple[str | int | bytes, ...]
Cells = dict[Key, bytes]
Changes = dict[Key, bytes | None]

PATH: Final = Path("memory/mesh.db")


class Mark(NamedTuple):
    store: StoreId
    changes: int


class _Pending(NamedTuple):
    """A change that is written but not synced, and what was there before."""

    before: Changes
    mark: Mark


class Disk:
    def __init__(self, room: int | None = None) -> None:
        self.cells: Cells = {}
        self.mark: Mark | None = None
        self.note: bytes | None = None  # of who else votes
        self.aside: list[Cells] = []
        self.olds: dict[str, Disk] = {}  # stores set aside for their tails
        self.tails: list[str] = []  # those of them that are to be handed in
        self.accounts: dict[str, bytes] = {}  # of those that were
        self.ballast = 0
        self.owner: object | None = None
        # what it is told
        self.room = room  # bytes it can hold
        self.read_only = False
        self.fails = False  # at the next sync, and from then on
        self.delay_ms = 0  # that a sync takes
        self.lazy = False  # a change is synced when somebody calls `sync`: for drivers that take time to write
        self.cut_after: int | None = None  # steps
        # what it tells
        self.steps = self.syncs = self.took_ms = 0
        self.dead = False
        self._pending: list[_Pending] = []
        self._newest: Changes = {}
        self._weight = 0  # of all cells

    @property
    def unsynced(self) -> int:
        return len(self._pending)

    @property
    def used(self) -> int:
        return self._weight + self.ballast

    # -- what a store does ---------------------------------------------------------------------------------------------

    def commit(self, changes: Changes, mark: Mark) -> None:
        self._step()
        if self.read_only:
            raise ReadOnly(f"{PATH} cannot be written", hint="make it writable", path=PATH)
        self._check_room(changes)
        self._newest = self.put(changes)
        self._pending.append(_Pending(self._newest, mark))
        self.took_ms = self.delay_ms
        if not self.lazy:
            self.sync()

    def put_note(self, note: bytes | None) -> None:
        """A file of its own, and waited for."""
        if note != self.note:
            self._step()
            self.note = note

    def put(self, changes: Changes) -> Changes:
        """Past everything that a store goes through. Gives what was there before."""
        cells, before = self.cells, Changes()
        for key, data in changes.items():
            old = before[key] = cells.get(key)
            if data is not None:
                cells[key] = data
                self._weight += len(data)
            elif old is not None:
                del cells[key]
            if old is not None:
                self._weight -= len(old)
        return before

    def _check_room(self, changes: Changes) -> None:
        if self.room is None:
            return
        growth = sum(len(data or b"") - len(self.cells.get(key, b"")) for key, data in changes.items())
        if growth > 0 and self.used + growth > self.room:
            self.ballast = 0
            raise DiskFull(f"the disk of {PATH} is full", hint="free some space there", path=PATH)

    def sync(self) -> None:
        """Everything written so far is there for good."""
        self._step()
        if self.fails:
            raise Broken(f"the disk of {PATH} has failed", hint="look at the disk", path=PATH)
        self.syncs += 1
        if self._pending:
            self.mark = self._pending[-1].mark
            self._pending.clear()

    def _step(self) -> None:
        if self.cut_after is not None and self.steps >= self.cut_after:
            self.dead = True
        if self.dead:
            raise Broken("the power is cut", hint="switch it on", path=PATH)
        self.steps += 1

    # -- what befalls it -----------------------------------------------------------------------------------------------

    def crash(self, entropy: Entropy) -> None:
        """Power is cut and comes back: of what was not synced an end is lost, maybe all, maybe nothing."""
        keep = entropy.below(len(self._pending) + 1)
        while len(self._pending) > keep:
            self.put(self._pending.pop().before)
        self._pending.clear()
        self.dead, self.cut_after, self.owner = False, None, None

    def kill(self) -> None:
        """The process ends, the machine goes on: what is not synced may still be lost later."""
        self.owner = None

    def tear(self) -> None:
        """Of the newest change one half is there, and of one cell one half."""
        if not self._newest:
            return  # all that is there lies there for long
        keys = list(self._newest)
        middle = keys[len(keys) // 2]
        torn = self.cells.get(middle, b"")
        self.put({key: self._newest[key] for key in keys[len(keys) // 2 + 1 :]})
        self.put({middle: torn[: len(torn) // 2]})

    def rot(self, entropy: Entropy, needle: bytes = b"") -> Key:
        """A bit flips, in a cell that holds the needle."""
        key = entropy.choose([key for key, data in self.cells.items() if needle in data])
        data = bytearray(self.cells[key])
        data[entropy.below(len(data))] ^= 1 << entropy.below(8)
        self.cells[key] = bytes(data)
        return key

    def copy(self) -> tuple[Cells, Mark | None]:
        return dict(self.cells), self.mark

    def put_back(self, copy: tuple[Cells, Mark | None], with_mark: bool = False) -> None:
        """Somebody restores a copy; of the whole disk, if the mark comes back too."""
        self._replace(dict(copy[0]))
        if with_mark:
            self.mark = copy[1]

    def begin_anew(self) -> None:
        """The store is set aside, and its tail is to be handed in."""
        old = Disk()
        old.put(dict(self.cells))
        old.mark = self.mark
        self.set_aside()
        name = f"aside-{len(self.aside)}"
        self.olds[name] = old
        self.tails.append(name)

    def handed_in(self, name: str, account: bytes) -> None:
        self._step()
        self.accounts[name] = account
        self.tails.remove(name)

    def set_aside(self) -> None:
        if self.owner is not None:
            raise InUse(f"{PATH} is used by another daemon", hint="stop that one first", path=PATH)
        kept = {key: data for key, data in self.cells.items() if key[0] == "segment"}
        self.aside.append(self.cells)
        self._replace(kept)
        self.mark = self.note = None

    def _replace(self, cells: Cells) -> None:
        self.cells, self._weight, self._newest = cells, sum(map(len, cells.values())), {}
        self._pending.clear()

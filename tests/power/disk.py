"""A disk as careful programs must think of it: what of its files is there after the power went.

Certain is what was synced: the bytes of a file that were written before its last fsync began, the names in a folder
that were there when its last fsync began. Of everything else any part may be there: names of files without their
bytes, bytes in a file whose name is gone, the new name of a renamed file beside the old one or neither, each sector of
a write or not, the length of a file without what was in it.

Promises: pure. `crash` changes nothing, so that a record is gone through once for all moments.
Never: gives less than is certain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Final, NamedTuple

from tests.power.calls import Call, Step

SECTOR: Final = 512
Image = dict[str, bytes | None]  # by path; None: a folder
SOCKET: Final = b"\0a socket"  # what stands for one in an image


class Loss(Enum):
    """How much of what is not certain is there."""

    ALL_LOST = "all lost"
    NONE_LOST = "none lost"  # as if every process had been killed
    NAMES_FIRST = "names first"  # every name, no byte: what a journal of names alone leaves
    BYTES_FIRST = "bytes first"
    EARLIER = "earlier"  # all up to a moment before
    ANY = "any"  # each change of a name and each sector, or not


@dataclass(slots=True, eq=False)
class File:
    now: bytearray = field(default_factory=bytearray)
    sure: bytearray = field(default_factory=bytearray)
    unsure: list[_Change] = field(default_factory=list)
    is_socket: bool = False


@dataclass(slots=True, eq=False)
class Folder:
    now: dict[str, File | Folder] = field(default_factory=dict)
    sure: dict[str, File | Folder] = field(default_factory=dict)
    unsure: list[_Named] = field(default_factory=list)


Thing = File | Folder


class _Change(NamedTuple):
    """Of a file. Without data: it is so long now, or at least so long."""

    at: int  # which change of the whole disk it was
    start: int
    data: bytes | None
    may_grow_only: bool = False


class _Named(NamedTuple):
    at: int
    names: tuple[tuple[str, Thing | None], ...]  # all of them at once; None: it is gone


class _Begun(NamedTuple):
    """What a sync makes certain: what was there when it began."""

    thing: Thing | None
    at: int


class Disk:
    def __init__(self, root: str) -> None:
        """The root itself is there, and empty."""
        self._root, self._top = root, Folder()
        self._changes = 0
        self._begun: dict[int, _Begun] = {}
        self._places: dict[tuple[int, int], int] = {}  # where the next write goes, by file and descriptor

    def put(self, image: Image) -> None:
        """What was there from the beginning."""
        for path, data in sorted(image.items()):
            folder, name = self._parent(f"{self._root}/{path}")
            thing: Thing = Folder() if data is None else File(bytearray(data), bytearray(data))
            folder.now[name] = folder.sure[name] = thing

    # -- what happens --------------------------------------------------------------------------------------------------

    def take(self, step: Step) -> None:
        call = step.call
        if step.result is None:
            self._begun[step.thread] = _Begun(self._find(call.path), self._changes)
            return
        begun = self._begun.pop(step.thread)
        match call.name:
            case "openat":
                self._open(call)
            case "write" | "pwrite64" | "lseek" | "ftruncate" | "fallocate":
                self._change(call, begun.thing, step.result)
            case "fsync" | "fdatasync":
                if begun.thing is not None:
                    _sync(begun.thing, begun.at)
            case _:
                self._name(call)

    def _open(self, call: Call) -> None:
        thing = self._find(call.path)
        if thing is None and "O_CREAT" in call.flags:
            thing = File()
            self._link(call.path, thing)
        if isinstance(thing, File):
            if "O_TRUNC" in call.flags and thing.now:
                self._add(thing, 0, None)
            self._places[id(thing), call.file] = -1 if "O_APPEND" in call.flags else 0

    def _change(self, call: Call, thing: Thing | None, result: int) -> None:
        if not isinstance(thing, File):
            return
        key = id(thing), call.file
        match call.name:
            case "write":
                place = self._places.get(key, 0)
                self._add(thing, len(thing.now) if place < 0 else place, call.data[:result])
                self._places[key] = place if place < 0 else place + result
            case "pwrite64":
                self._add(thing, call.numbers[1], call.data[:result])
            case "lseek" if self._places.get(key, 0) >= 0:
                self._places[key] = result
            case "ftruncate":
                self._add(thing, call.numbers[0], None)
            case "fallocate":
                self._add(thing, call.numbers[1] + call.numbers[2], None, may_grow_only=True)

    def _add(self, file: File, start: int, data: bytes | None, may_grow_only: bool = False) -> None:
        self._changes += 1
        change = _Change(self._changes, start, data, may_grow_only)
        file.unsure.append(change)
        _apply(file.now, change)

    def _name(self, call: Call) -> None:
        match call.name:
            case "mkdir":
                self._link(call.path, Folder())
            case "bind":
                self._link(call.path, File(is_socket=True))
            case "unlink" | "unlinkat" | "rmdir":
                folder, name = self._parent(call.path)
                self._rename(folder, ((name, None),))
            case "rename":
                self._move(call)

    def _link(self, path: str, thing: Thing) -> None:
        folder, name = self._parent(path)
        self._rename(folder, ((name, thing),))

    def _move(self, call: Call) -> None:
        """Within one folder it is one change; between two it is one in each."""
        (source, old), (target, new) = self._parent(call.path), self._parent(call.to)
        thing = source.now[old]
        if source is target:
            self._rename(source, ((old, None), (new, thing)))
        else:
            self._rename(target, ((new, thing),))
            self._rename(source, ((old, None),))

    def _rename(self, folder: Folder, names: tuple[tuple[str, Thing | None], ...]) -> None:
        self._changes += 1
        change = _Named(self._changes, names)
        folder.unsure.append(change)
        _apply_names(folder.now, change)

    # -- finding -------------------------------------------------------------------------------------------------------

    def _parts(self, path: str) -> list[str]:
        return [part for part in path[len(self._root) :].split("/") if part]

    def _find(self, path: str) -> Thing | None:
        thing: Thing | None = self._top
        for part in self._parts(path):
            thing = thing.now.get(part) if isinstance(thing, Folder) else None
        return thing

    def _parent(self, path: str) -> tuple[Folder, str]:
        *above, name = self._parts(path)
        folder = self._find("/".join((self._root, *above)))
        assert isinstance(folder, Folder), path
        return folder, name

    # -- what is left --------------------------------------------------------------------------------------------------

    @property
    def now(self) -> Image:
        """As programs see it."""
        return dict(_image(self._top, "", _Draw(Loss.NONE_LOST, Random(0), self._changes)))

    def crash(self, loss: Loss, chance: Random) -> Image:
        earlier = self._changes - chance.randrange(40) if loss is Loss.EARLIER else self._changes
        return dict(_image(self._top, "", _Draw(loss, chance, earlier)))


class _Draw(NamedTuple):
    loss: Loss
    chance: Random
    until: int

    def names(self, unsure: list[_Named]) -> list[_Named]:
        match self.loss:
            case Loss.ALL_LOST | Loss.BYTES_FIRST:
                return []
            case Loss.ANY:
                return [one for one in unsure if self.chance.random() < 0.5]
        return [one for one in unsure if one.at <= self.until]

    def changes(self, unsure: list[_Change]) -> Iterator[_Change]:
        match self.loss:
            case Loss.ALL_LOST | Loss.NAMES_FIRST:
                return
            case Loss.ANY:
                share = self.chance.choice((0.0, 0.5, 0.9, 1.0))
                for one in unsure:
                    yield from (piece for piece in _pieces(one) if self.chance.random() < share)
            case _:
                yield from (one for one in unsure if one.at <= self.until)


def _image(folder: Folder, path: str, draw: _Draw) -> Iterator[tuple[str, bytes | None]]:
    names = dict(folder.sure)
    for named in draw.names(folder.unsure):
        _apply_names(names, named)
    for name, thing in names.items():
        below = f"{path}{name}"
        if isinstance(thing, Folder):
            yield below, None
            yield from _image(thing, f"{below}/", draw)
        elif thing.is_socket:
            yield below, SOCKET
        else:
            data = bytearray(thing.sure)
            for change in draw.changes(thing.unsure):
                _apply(data, change)
            yield below, bytes(data)


def _pieces(change: _Change) -> Iterator[_Change]:
    """A write reaches the disk sector by sector."""
    if change.data is None:
        yield change
        return
    start, stop = change.start, change.start + len(change.data)
    while start < stop:
        end = min(stop, (start // SECTOR + 1) * SECTOR)
        yield _Change(change.at, start, change.data[start - change.start : end - change.start])
        start = end


def _apply(data: bytearray, change: _Change) -> None:
    if change.data is None:
        if len(data) > change.start and not change.may_grow_only:
            del data[change.start :]
        data.extend(bytes(max(0, change.start - len(data))))
        return
    data.extend(bytes(max(0, change.start - len(data))))
    data[change.start : change.start + len(change.data)] = change.data


def _apply_names(names: dict[str, Thing], change: _Named) -> None:
    for name, thing in change.names:
        if thing is None:
            names.pop(name, None)
        else:
            names[name] = thing


def _sync(thing: Thing, until: int) -> None:
    if isinstance(thing, Folder):
        for named in thing.unsure:
            if named.at <= until:
                _apply_names(thing.sure, named)
        thing.unsure = [one for one in thing.unsure if one.at > until]
    else:
        for change in thing.unsure:
            if change.at <= until:
                _apply(thing.sure, change)
        thing.unsure = [one for one in thing.unsure if one.at > until]

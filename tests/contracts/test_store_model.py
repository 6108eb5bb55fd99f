"""Any sequence of writes, snapshots, restarts and power cuts, on both stores, beside a model that is nothing but lists.

The model knows what was acknowledged. After a power cut in the middle of a deed the store may show the world before it
or after it, nothing between; the model then goes on with what it shows.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import copy
from pathlib import Path
from tempfile import mkdtemp
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.clock import SeededEntropy
from odyssey.mesh.raft.types import HardState, LogEntry, Member, Snapshot, Write
from odyssey.mesh.store import Broken, Store
from tests.contracts.shaky_disk import installed, probe
from tests.contracts.store_rigs import ME, OTHER, MemoryRig, Rig, SqliteRig, a_snapshot, entry, slices

FAILS = -1
Number = st.integers(0, 6)
Step = tuple[str, int, int, int | None]  # what, two numbers for it, and after how many steps power is cut
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "overwrite", "vote", "retell", "install", "compact", "reopen"]),
        Number,
        Number,
        st.one_of(st.none(), st.integers(0, 25), st.just(FAILS)),
    ),
    max_size=25,
)


class Model:
    """What the store should show, and the next deed in words of the store."""

    def __init__(self) -> None:
        self.hard, self.snapshot = HardState(), Snapshot()
        self.log: list[LogEntry] = []  # from `kept_from` on
        self.kept_from = 1

    @property
    def last(self) -> int:
        return self.kept_from + len(self.log) - 1

    @property
    def shown(self) -> tuple[HardState, Snapshot, list[LogEntry]]:
        return self.hard, self.snapshot, [one for one in self.log if one.index > self.snapshot.index]

    def clone(self) -> Model:
        made = copy(self)
        made.log = list(self.log)
        return made

    def term_at(self, index: int) -> int:
        if index < self.kept_from:
            return self.snapshot.term
        return self.log[index - self.kept_from].term

    # -- deeds: each changes the model and gives what does the same to a store

    def append(self, count: int, committed: int) -> Callable[[Store], object]:
        term = max(self.hard.term, 1)
        new = [_entry(index, term) for index in range(self.last + 1, self.last + 1 + count)]
        return self._write(new, term, self.hard.vote if term == self.hard.term else None, committed)

    def overwrite(self, back: int, count: int) -> Callable[[Store], object]:
        """A new leader has other entries where nothing is committed."""
        start = max(self.hard.commit + 1, self.last + 1 - back)
        term = self.hard.term + 1
        return self._write([_entry(index, term) for index in range(start, start + count)], term, None, 0)

    def vote(self, terms: int, whom: int) -> Callable[[Store], object]:
        same = terms == 0 and self.hard.vote is not None
        return self._write([], self.hard.term + terms, self.hard.vote if same else (ME, OTHER)[whom % 2], 0)

    def retell(self, back: int, count: int) -> Callable[[Store], object]:
        """What is held is told once more, to its end, with some new ones."""
        start = max(self.snapshot.index + 1, self.kept_from, self.last + 1 - back)
        told = [one for one in self.log if one.index >= start]
        told += [_entry(index, self.hard.term) for index in range(self.last + 1, self.last + 1 + count)]
        return self._write(told, self.hard.term, self.hard.vote, 0)

    def _write(self, told: list[LogEntry], term: int, vote: Member | None, committed: int) -> Callable[[Store], object]:
        if told:
            self.log = [one for one in self.log if one.index < told[0].index] + told
        commit = min(self.hard.commit + committed, self.last)
        write = Write(1, HardState(term, vote, max(0, commit - committed % 2)), tuple(told), None)
        self.hard = HardState(term, vote, max(self.hard.commit, write.hard.commit))
        return lambda store: store.write(write)

    def install(self, ahead: int, count: int) -> Callable[[Store], object]:
        index, term = self.hard.commit + 1 + ahead, self.hard.term + 1
        pieces = slices(f"leader's {index}", 1 + count, 700)
        snapshot = a_snapshot(index, term, pieces)
        new = tuple(_entry(at, term) for at in range(index + 1, index + 1 + count))
        self.hard, self.snapshot = HardState(term, None, index), snapshot
        self.log, self.kept_from = list(new), index + 1
        write = Write(1, self.hard, new, snapshot)

        def deed(store: Store) -> None:
            store.stage(snapshot.digest, 0, pieces)
            store.write(write)

        return deed

    def compact(self, back: int, keep: int) -> Callable[[Store], object]:
        index = self.hard.commit - back
        if index <= self.snapshot.index or index < self.kept_from:
            return lambda store: None
        pieces = slices(f"own {index}", 1 + keep, 700)
        self.snapshot = a_snapshot(index, self.term_at(index), pieces)
        snapshot, keep_from = self.snapshot, index + 1 - keep + back
        self.log = [one for one in self.log if one.index >= min(keep_from, index + 1)]
        self.kept_from = max(self.kept_from, min(keep_from, index + 1))
        return lambda store: store.save_snapshot(snapshot, keep_from, pieces)


def _entry(index: int, term: int) -> LogEntry:
    return entry(index, term, (b"%d of %d " % (index, term)) * (1 + index % 7))


def check(store: Store, *allowed: Model) -> Model:
    """The one of the models that the store shows."""
    loaded = store.load()
    shown = [model for model in allowed if model.shown == (loaded.hard, loaded.snapshot, loaded.entries)]
    assert shown, f"{loaded} is none of {[model.shown for model in allowed]}"
    model = shown[-1]
    assert loaded.kept_from == model.kept_from
    assert store.entries(0, 1 << 40) == model.log
    if model.snapshot.index:
        assert sum(map(len, store.snapshot_slices(model.snapshot.digest))) == model.snapshot.size
    room = store.room()
    assert room.tail == sum(len(one.data) for one in model.log if one.index > model.snapshot.index)
    assert room.tail + room.kept == sum(len(one.data) for one in model.log)
    return model


def run(rig: Rig, steps: list[Step]) -> None:
    model, store = Model(), rig.create()
    for number, (name, one, two, cut) in enumerate(steps):
        if name == "reopen":
            rig.cut_after(1 << 40)
            store.close()
            store = rig.open()
            check(store, model)
            continue
        before = model.clone()
        deed = getattr(model, name)(one, two)
        rig.cut_after(1 << 40 if cut in (None, FAILS) else cut)
        rig.fail(cut == FAILS)
        allowed = [model]
        try:
            deed(store)
        except Broken:
            allowed = [before, model]
        rig.fail(False)
        if cut == FAILS:  # the process goes down over it, and later the power
            rig.kill()
            store = rig.open()
            allowed = [check(store, *allowed)]
        if cut == FAILS or rig.dead:
            rig.power_cycle(SeededEntropy(number))
            store = rig.open()
        model = check(store, *allowed)
    rig.power_cycle(SeededEntropy(len(steps)))
    check(rig.open(), model)


@given(STEPS)
def test_in_memory_it_shows_what_the_model_shows(steps: list[Step]) -> None:
    run(MemoryRig(SeededEntropy(1)), steps)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("stores")
    probe(directory)
    return directory


@given(steps=STEPS)
def test_on_sqlite_it_shows_what_the_model_shows(directory: Path, steps: list[Step]) -> None:
    home = Path(mkdtemp(dir=directory))
    with installed() as disk, patch("os.fsync"), patch("odyssey.mesh.sqlite._WAL_BYTES", 30_000):
        rig = SqliteRig(home, disk, SeededEntropy(1))
        try:
            run(rig, steps)
        finally:
            rig.close()
            shutil.rmtree(home)

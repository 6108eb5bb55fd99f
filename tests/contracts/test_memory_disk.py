"""What only the disk in memory does: a simulation tells it when a write is over, and can ask how long it took."""

from __future__ import annotations

import pytest

from odyssey.clock import SeededEntropy
from odyssey.mesh.store import Damaged, ReadOnly, RolledBack
from tests.contracts.store_rigs import ME, MemoryRig, a_write, entries, entry


@pytest.fixture
def rig() -> MemoryRig:
    return MemoryRig(SeededEntropy(1))


def test_a_lazy_disk_loses_what_nobody_has_synced_yet(rig: MemoryRig) -> None:
    """From the end on: a later write never survives an earlier one."""
    outcomes = set()
    for seed in range(30):
        rig = MemoryRig(SeededEntropy(seed))
        store = rig.create()
        rig.disk.lazy = True
        store.write(a_write(entry(1)))
        rig.disk.sync()
        for index in (2, 3, 4):
            store.write(a_write(entry(index)))
        assert len(store.load().entries) == 4
        rig.disk.crash(SeededEntropy(seed))
        kept = rig.open().load().entries
        assert kept == [*entries(1, len(kept))]
        outcomes.add(len(kept))
    assert outcomes == {1, 2, 3, 4}


def test_what_is_not_synced_is_not_in_the_mark() -> None:
    """Or its loss would be taken for an older copy."""
    votes = set()
    for seed in range(10):
        rig = MemoryRig(SeededEntropy(seed))
        store = rig.create()
        rig.disk.lazy = True
        store.write(a_write(vote=ME))
        rig.disk.crash(SeededEntropy(seed))
        votes.add(rig.open().load().hard.vote)
    assert votes == {None, ME}


def test_a_slow_disk_says_how_long_a_write_takes(rig: MemoryRig) -> None:
    store = rig.create()
    store.write(a_write(entry(1)))
    assert rig.disk.took_ms == 0
    rig.disk.delay_ms = 20
    store.write(a_write(entry(2)))
    assert rig.disk.took_ms == 20


def test_a_read_only_disk_is_refused(rig: MemoryRig) -> None:
    store = rig.create()
    rig.disk.read_only = True
    with pytest.raises(ReadOnly):
        store.write(a_write(entry(1)))
    store.close()
    with pytest.raises(ReadOnly):
        rig.open()


def test_rot_anywhere_in_what_a_start_needs_is_found(rig: MemoryRig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=9))
    store.close()
    whole = rig.copy()
    for seed in range(40):
        rig.put_back(whole)
        rig.disk.rot(SeededEntropy(seed))
        with pytest.raises(Damaged):
            rig.open()


def test_another_disks_mark_is_noticed(rig: MemoryRig) -> None:
    rig.create().close()
    other = MemoryRig(SeededEntropy(2))
    other.create().close()
    rig.disk.mark = other.disk.mark
    with pytest.raises(RolledBack):
        rig.open()


def test_the_same_seed_tells_the_same_story() -> None:
    stories = []
    for _ in range(2):
        rig = MemoryRig(SeededEntropy(5))
        store = rig.create()
        rig.disk.lazy = True
        for index in range(1, 9):
            store.write(a_write(entry(index)))
        rig.disk.crash(SeededEntropy(3))
        rig.disk.rot(SeededEntropy(4))
        stories.append((store.identity, rig.copy()))
    assert stories[0] == stories[1]

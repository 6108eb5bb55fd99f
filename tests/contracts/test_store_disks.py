"""What every store does when its disk does not: power cuts, failed syncs, full disks, torn pages, rot, old copies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256

import pytest

from odyssey.clock import SeededEntropy
from odyssey.mesh.raft.types import HardState, Snapshot
from odyssey.mesh.store import (
    Broken,
    Damaged,
    DamagedSegment,
    DiskFull,
    Foreign,
    NoStore,
    RolledBack,
    Settings,
    Store,
)
from tests.contracts.store_rigs import (
    ME,
    MESH,
    OTHER,
    MemoryRig,
    Rig,
    SqliteRig,
    View,
    a_charter,
    a_snapshot,
    a_write,
    entries,
    entry,
    reopened,
    slices,
    view,
)

# -- power -------------------------------------------------------------------------------------------------------------


def deeds() -> list[Callable[[Store], object]]:
    """One of each kind, with a leader's snapshot and one's own."""
    own, led = a_snapshot(6, 1, slices("six")), a_snapshot(20, 2, slices("twenty"))
    return [
        lambda s: s.write(a_write(*entries(1, 4), vote=ME)),
        lambda s: s.write(a_write(*entries(5, 9), vote=ME, commit=4)),
        lambda s: s.write(a_write(*entries(7, 8, term=2), term=2, commit=4)),
        lambda s: s.write(a_write(term=2, vote=OTHER, commit=7)),
        lambda s: s.save_snapshot(own, 3, slices("six")),
        lambda s: s.write(a_write(entry(9, 2, b"z" * 20_000), term=2, vote=OTHER, commit=8)),
        lambda s: s.stage(led.digest, 0, slices("twenty")),
        lambda s: s.write(a_write(*entries(21, 23, term=2), term=2, vote=OTHER, commit=20, snapshot=led)),
        lambda s: s.write(a_write(*entries(22, 22, term=3), term=3, commit=20)),
        lambda s: s.adopt(s.identity.lineage.with_child(a_charter(s.identity.lineage, b"n"))),
    ]


def states(rig: Rig) -> tuple[list[View], int]:
    """What there is to see before the first deed and after each, and how many steps of the disk they take."""
    store = rig.create()
    begin, seen = rig.steps, [view(store)]
    for deed in deeds():
        deed(store)
        seen.append(view(store))
    return seen, rig.steps - begin


def carried_out(store: Store) -> int:
    """How many deeds were done before the power went."""
    for done, deed in enumerate(deeds()):
        try:
            deed(store)
        except Broken:
            return done
    raise AssertionError("the power did not go")


def fresh(rig: Rig) -> Rig:
    return rig.again() if isinstance(rig, SqliteRig) else MemoryRig(SeededEntropy(1))


@pytest.mark.usefixtures("small_log")
def test_a_power_cut_at_any_step_loses_nothing_acknowledged_and_mixes_nothing(rig: Rig) -> None:
    expected, steps = states(rig)
    assert steps > 15
    for cut in range(steps):
        rig = fresh(rig)
        store = rig.create()
        rig.cut_after(cut)
        done = carried_out(store)
        rig.power_cycle(SeededEntropy(cut))
        found = view(rig.open())
        assert found in (expected[done], expected[done + 1]), f"cut at step {cut}, in deed {done}"


def test_a_power_cut_while_it_is_made_leaves_none_or_an_empty_one(rig: Rig) -> None:
    begin = rig.steps
    rig.create()
    outcomes = set()
    for cut in range(rig.steps - begin):
        rig = fresh(rig)
        rig.cut_after(cut)
        with suppress(Broken):  # SQLite does not mind when it cannot delete its empty log
            rig.create()
        rig.power_cycle(SeededEntropy(cut))
        try:
            store = rig.open()
        except NoStore:
            store = rig.create()
            outcomes.add("none")
        else:
            outcomes.add("empty")
        assert view(store) == (HardState(), Snapshot(), [])
    assert outcomes == {"none", "empty"}


def test_after_a_failed_sync_nothing_is_written_or_tried_again(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 3), commit=2))
    rig.fail(True)
    with pytest.raises(Broken):
        store.write(a_write(entry(4)))
    steps = rig.steps
    rig.fail(False)
    for _ in range(2):
        with pytest.raises(Broken, match="earlier"):
            store.write(a_write(entry(4)))
    with pytest.raises(Broken):
        store.save_snapshot(a_snapshot(2, 1, slices("two")), 3, slices("two"))
    assert rig.steps == steps
    assert store.load().entries[:3] == [*entries(1, 3)]
    store = reopened(rig, store)
    assert store.load().entries in ([*entries(1, 3)], [*entries(1, 4)])
    store.write(a_write(*entries(4, 5)))


def test_after_a_failed_sync_and_a_power_cut_what_was_acknowledged_is_there(rig: Rig) -> None:
    for seed in range(6):
        rig = fresh(rig)
        store = rig.create()
        store.write(a_write(*entries(1, 3), commit=2))
        rig.fail(True)
        with pytest.raises(Broken):
            store.write(a_write(entry(4)))
        rig.fail(False)
        rig.power_cycle(SeededEntropy(seed))
        assert rig.open().load().entries in ([*entries(1, 3)], [*entries(1, 4)])


def test_what_a_start_shows_stays_even_if_it_was_never_synced(rig: Rig) -> None:
    """After a failed sync the system's cache holds what the disk does not, and a new process reads the cache."""
    for seed in range(6):
        rig = fresh(rig)
        store = rig.create()
        store.write(a_write(*entries(1, 3), commit=2))
        rig.fail(True)
        with pytest.raises(Broken):
            store.write(a_write(entry(4)))
        rig.kill()
        rig.fail(False)
        shown = rig.open().load().entries
        rig.power_cycle(SeededEntropy(seed))
        assert rig.open().load().entries == shown


def test_a_full_disk_gives_back_its_ballast_and_nothing_is_lost(rig: Rig) -> None:
    settings = Settings(guard=0, ballast=8192)
    store = rig.create(settings)
    store.write(a_write(*entries(1, 3), commit=2))
    rig.fill(True)
    with pytest.raises(DiskFull) as caught:
        store.write(a_write(entry(4, data=b"x" * 50_000)))
    assert "free" in (caught.value.hint or "")
    assert store.room().ballast == 0
    rig.fill(False)
    with pytest.raises(Broken):
        store.write(a_write(entry(4)))
    store.close()
    store = rig.open(settings=settings)
    assert store.room().ballast == 8192
    assert store.load().entries == [*entries(1, 3)]
    store.save_snapshot(a_snapshot(2, 1, slices("two")), 3, slices("two"))
    store.write(a_write(entry(4)))


def test_a_slow_disk_is_waited_for_once_a_write(rig: Rig) -> None:
    """With 20 ms a sync, the size of a batch alone decides: 64 entries a write are 3,200 a second."""
    store = rig.create()
    store.write(a_write(entry(1)))
    before, index = rig.syncs, 1
    for _ in range(20):
        store.write(a_write(*entries(index + 1, index + 64), commit=index))
        index += 64
    assert (rig.syncs - before) * 20 == 20 * 20


@pytest.mark.parametrize("needle", [b"entry 7 of term 1", b"six, slice 3: ", MESH])
def test_rot_is_found_before_anything_is_used(rig: Rig, needle: bytes) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=9))
    store.save_snapshot(a_snapshot(6, 1, slices("six")), 7, slices("six"))
    store.close()
    rig.rot(needle)
    for _ in range(2):
        with pytest.raises((Damaged, Foreign)):
            rig.open()


def test_a_torn_page_is_found_before_anything_is_used(rig: Rig) -> None:
    store = rig.create()
    for index in range(1, 40):
        store.write(a_write(*(entry(index * 8 + at, data=b"x" * 100) for at in range(-7, 1))))
    store.write(a_write(entry(313, data=b"torn " * 30)))
    store.close()
    rig.tear(b"torn " * 30)
    with pytest.raises(Damaged):
        rig.open()


def test_rot_in_a_segment_costs_that_segment_only(rig: Rig) -> None:
    store = rig.create()
    one, two = b"first segment", b"second segment"
    for data in (one, two):
        store.put_segment(sha256(data).digest(), data)
    store.close()
    rig.rot_history(one)
    store = rig.open()
    with pytest.raises(DamagedSegment):
        store.segment(sha256(one).digest())
    assert store.segment(sha256(two).digest()) == two
    store.drop_segment(sha256(one).digest())
    store.put_segment(sha256(one).digest(), one)
    assert reopened(rig, store).segment(sha256(one).digest()) == one


def test_an_older_copy_put_back_is_found(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 3), vote=ME))
    store.close()
    copy = rig.copy()
    store = rig.open()
    store.write(a_write(term=2, vote=OTHER))
    store.close()
    rig.put_back(copy)
    for _ in range(2):
        with pytest.raises(RolledBack):
            rig.open()


def test_a_copy_put_back_with_its_mark_is_not_found(rig: Rig) -> None:
    """The honest limit: as when a virtual machine goes back to an older image."""
    store = rig.create()
    store.write(a_write(*entries(1, 3), vote=ME))
    store.close()
    copy = rig.copy()
    store = rig.open()
    store.write(a_write(term=2, vote=OTHER))
    store.close()
    rig.put_back(copy, with_mark=True)
    assert rig.open().load().hard == HardState(1, ME, 0)


def test_a_crash_between_a_change_and_its_mark_is_harmless(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 3)))
    store.close()
    old = rig.copy()
    store = rig.open()
    store.write(a_write(entry(4)))
    store.close()
    rig.put_back(old, with_mark=True)
    new = rig.open()
    new.write(a_write(entry(4)))
    assert new.load().entries == [*entries(1, 4)]


def test_what_is_set_aside_makes_room_for_a_new_one(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=9))
    segment = sha256(b"history").digest()
    store.put_segment(segment, b"history")
    store.close()
    rig.rot(b"entry 7 of term 1")
    with pytest.raises(Damaged):
        rig.open()
    rig.set_aside()
    with pytest.raises(NoStore):
        rig.open()
    store = rig.create()
    assert view(store) == (HardState(), Snapshot(), [])
    assert store.segments() == {segment}

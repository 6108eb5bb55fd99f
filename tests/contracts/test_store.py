"""What every store promises, kept by the one on SQLite and by the one in memory."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from odyssey.errors import lines
from odyssey.ids import NodeId
from odyssey.mesh.raft.types import Config, HardState, Kind, LogEntry, Snapshot
from odyssey.mesh.store import (
    OWN,
    Foreign,
    ImpossibleWrite,
    InUse,
    NewerFormat,
    NoStore,
    Settings,
    SnapshotGone,
    Store,
    StoreExists,
)
from tests.contracts.store_rigs import (
    GENERATION,
    ME,
    MESH,
    NODE,
    OTHER,
    Rig,
    a_charter,
    a_snapshot,
    a_write,
    both,
    entries,
    entry,
    reopened,
    slices,
    view,
)

# -- a new one ---------------------------------------------------------------------------------------------------------


def test_a_new_store_is_empty(rig: Rig) -> None:
    store = rig.create()
    assert view(store) == (HardState(), Snapshot(), [])
    assert store.load().kept_from == 1


def test_a_store_knows_whose_it_is(rig: Rig) -> None:
    store = rig.create()
    first = store.identity
    assert (first.mesh, first.node, first.generation) == (MESH, NODE, GENERATION)
    assert len(first.store) == 16
    assert reopened(rig, store).identity == first


def test_who_founds_a_mesh_is_its_first_voter(rig: Rig) -> None:
    store = rig.create(founds=True)
    founder = Snapshot(config=Config((store.identity.member,)))
    for opened in both(rig, store):
        assert view(opened) == (HardState(), founder, [])


def test_an_emptied_store_is_another_member(rig: Rig) -> None:
    store = rig.create()
    first = store.identity.member
    store.close()
    rig.set_aside()
    assert rig.create().identity.member != first


def test_where_nothing_is_there_is_no_store(rig: Rig) -> None:
    with pytest.raises(NoStore):
        rig.open()


def test_a_store_is_never_made_over_another(rig: Rig) -> None:
    rig.create().close()
    with pytest.raises(StoreExists):
        rig.create()


def test_a_store_goes_down_one_line_of_generations(rig: Rig) -> None:
    store = rig.create()
    root = store.identity.lineage
    child, sibling = root.with_child(a_charter(root, b"h")), root.with_child(a_charter(root, b"i"))
    grandchild = child.with_child(a_charter(child, b"j"))
    store.adopt(child)
    for other in (child, root, sibling, sibling.with_child(a_charter(sibling, b"k"))):
        with pytest.raises(ImpossibleWrite):
            store.adopt(other)
    store = reopened(rig, store)
    assert store.identity.generation == child.tip
    assert store.identity.lineage == child
    store.adopt(grandchild)
    assert reopened(rig, store).identity.lineage == grandchild


def test_a_new_store_may_come_late_to_a_long_line(rig: Rig) -> None:
    store = rig.create()
    line = store.identity.lineage
    for number in range(1_000):
        line = line.with_child(a_charter(line, number.to_bytes(2, "big")))
    store.adopt(line)
    assert reopened(rig, store).identity.lineage == line


# -- the log -----------------------------------------------------------------------------------------------------------


def test_what_was_written_is_there_after_a_restart(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(entry(1, 1, b"", Kind.START), entry(2, 1, b"\0\xff"), vote=ME))
    store.write(a_write(entry(3, 2, b"x" * 100_000, Kind.CONFIG), term=2, commit=2, vote=OTHER))
    expected = [entry(1, 1, b"", Kind.START), entry(2, 1, b"\0\xff"), entry(3, 2, b"x" * 100_000, Kind.CONFIG)]
    assert view(store) == view(reopened(rig, store)) == (HardState(2, OTHER, 2), Snapshot(), expected)


def test_kinds_come_back_as_kinds(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*(entry(index, kind=kind) for index, kind in enumerate(Kind, 1))))
    loaded = reopened(rig, store).load().entries
    assert [type(one.kind) for one in loaded] == [Kind] * len(Kind)


def test_entries_replace_all_from_the_first_one_on(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=4))
    store.write(a_write(*entries(6, 7, term=2), term=2, commit=4))
    expected = [*entries(1, 5), *entries(6, 7, term=2)]
    assert store.load().entries == reopened(rig, store).load().entries == expected


def test_how_far_is_committed_may_be_told_late(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=7))
    store.write(a_write(commit=3, term=2))
    assert store.load().hard == HardState(2, None, 7)


def test_committed_entries_may_be_told_again(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=4))
    store.write(a_write(*entries(3, 5), *entries(6, 6, term=2), term=2, commit=5))
    assert store.load().entries == [*entries(1, 5), *entries(6, 6, term=2)]
    store.write(a_write(*entries(3, 5), term=2, commit=5))
    assert reopened(rig, store).load().entries == [*entries(1, 5)]


def written(store: Store, *told: LogEntry) -> None:
    store.write(a_write(*told, vote=ME))


def put_in(store: Store, snapshot: Snapshot, *told: LogEntry, commit: int = 0) -> None:
    store.write(a_write(*told, vote=ME, snapshot=snapshot, commit=commit))


def staged_then(store: Store, snapshot: Snapshot, *told: LogEntry) -> None:
    store.stage(snapshot.digest, 0, slices("x"))
    put_in(store, snapshot, *told)


def own(store: Store, snapshot: Snapshot) -> None:
    store.save_snapshot(snapshot, 1, slices("x"))


IMPOSSIBLE: dict[str, tuple[str, Callable[[Store], object]]] = {
    "another committed entry": ("entry 4", lambda s: s.write(a_write(*entries(4, 9, term=2), term=2))),
    "the same term, other bytes": ("entry 4", lambda s: written(s, entry(4, 1, b"other"), *entries(5, 9))),
    "cuts what is committed": ("do not follow|commit", lambda s: written(s, *entries(4, 4))),
    "a gap": ("do not follow", lambda s: written(s, *entries(11, 12))),
    "a gap within": ("consecutive", lambda s: written(s, entry(10), entry(12))),
    "covered by the snapshot": ("do not follow", lambda s: written(s, *entries(2, 9))),
    "terms go back": ("go back", lambda s: s.write(a_write(entry(10, 2), entry(11, 1), term=2))),
    "older than the one before": ("go back", lambda s: written(s, entry(10, 0))),
    "ahead of the hard state": ("ahead", lambda s: written(s, entry(10, 2))),
    "term goes back": ("term 0", lambda s: s.write(a_write(term=0))),
    "a second vote": ("vote", lambda s: s.write(a_write(vote=OTHER))),
    "the vote forgotten": ("vote", lambda s: s.write(a_write())),
    "commit beyond the log": ("commit 10", lambda s: s.write(a_write(vote=ME, commit=10))),
    "a snapshot not staged": ("staged", lambda s: put_in(s, a_snapshot(20, 1, slices("x")), commit=20)),
    "an older snapshot": ("over one up to 3", lambda s: staged_then(s, a_snapshot(2, 1, slices("x")), *entries(3, 9))),
    "a snapshot of another entry": ("another entry 4", lambda s: staged_then(s, a_snapshot(4, 0, slices("x")))),
    "a snapshot of an older entry": (
        "another entry 4",
        lambda s: staged_then(s, a_snapshot(4, 0, slices("x")), *entries(5, 9)),
    ),
    "a snapshot that loses entries": ("commit 5", lambda s: staged_then(s, a_snapshot(4, 1, slices("x")))),
    "own snapshot beyond the log": ("not hold", lambda s: own(s, a_snapshot(10, 1, slices("x")))),
    "own snapshot of another term": ("not hold", lambda s: own(s, a_snapshot(5, 2, slices("x")))),
    "own snapshot over a newer": ("not hold", lambda s: own(s, a_snapshot(3, 1, slices("x")))),
    "own snapshot, other bytes": ("staged", lambda s: s.save_snapshot(a_snapshot(5, 1, slices("x")), 1, slices("y"))),
    "own snapshot of nothing": ("staged", lambda s: s.save_snapshot(a_snapshot(5, 1, []), 1)),
    "slices with a gap": ("staged", lambda s: s.stage(b"d", 1, slices("x"))),
    "a segment, other bytes": ("segment", lambda s: s.put_segment(sha256(b"one").digest(), b"other")),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_would_break_a_promise_is_refused_and_changes_nothing(rig: Rig, case: str) -> None:
    """For the reason that is meant: a write that is wrong in two ways would prove only one."""
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=5, vote=ME))
    store.save_snapshot(a_snapshot(3, 1, slices("first")), 1, slices("first"))
    before = view(store)
    reason, act = IMPOSSIBLE[case]
    with pytest.raises(ImpossibleWrite, match=reason):
        act(store)
    assert view(store) == before
    assert store.staged(OWN).slices == 0
    store.write(a_write(entry(10), vote=ME))
    assert view(reopened(rig, store)) == (before[0], before[1], [*before[2], entry(10)])


# -- snapshots ---------------------------------------------------------------------------------------------------------


def test_a_snapshot_of_ones_own_takes_the_place_of_entries(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=6))
    snapshot = a_snapshot(6, 1, slices("six"))
    store.save_snapshot(snapshot, 7, iter(slices("six")))
    for opened in both(rig, store):
        assert view(opened) == (HardState(1, None, 6), snapshot, [*entries(7, 9)])
        assert list(opened.snapshot_slices(snapshot.digest)) == slices("six")
        assert list(opened.snapshot_slices(snapshot.digest, 3)) == slices("six")[3:]
        assert opened.entries(1, 99) == [*entries(7, 9)]


def test_a_snapshot_proves_that_its_entries_were_committed(rig: Rig) -> None:
    """How far is committed is written lazily; the snapshot is made of what was applied."""
    store = rig.create()
    store.write(a_write(*entries(1, 9)))
    store.save_snapshot(a_snapshot(6, 1, slices("six")), 7, slices("six"))
    store.write(a_write(commit=4))
    assert reopened(rig, store).load().hard.commit == 6


def test_older_entries_stay_for_those_who_lag(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=9))
    store.save_snapshot(a_snapshot(6, 1, slices("six")), 4, slices("six"))
    for opened in both(rig, store):
        assert opened.load().kept_from == 4
        assert opened.load().entries == [*entries(7, 9)]
        assert opened.entries(0, 8) == [*entries(4, 8)]
        assert opened.entries(5, 5) == [*entries(5, 5)]
        assert opened.entries(3, 2) == []
        store = opened
    store.save_snapshot(a_snapshot(9, 1, slices("nine")), 99, slices("nine"))
    assert store.load().kept_from == 10
    assert store.entries(1, 99) == []


def test_what_follows_a_snapshot_stays_however_little_is_asked_for(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=9))
    store.save_snapshot(a_snapshot(6, 1, slices("six")), 99, slices("six"))
    store.write(a_write(entry(10), commit=9))
    for opened in both(rig, store):
        assert opened.load().kept_from == 7
        assert opened.load().entries == [*entries(7, 10)]


def test_a_dump_can_be_laid_by_in_steps_between_writes(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 3), commit=3))
    pieces = slices("three")
    for number, piece in enumerate(pieces[:-1]):
        staged = store.stage(OWN, number, [piece])
        assert (staged.slices, staged.size) == (number + 1, 3000 * (number + 1))
        store.write(a_write(entry(4 + number), commit=3))
    store.save_snapshot(a_snapshot(3, 1, pieces), 4, pieces[-1:])
    assert list(store.snapshot_slices(a_snapshot(3, 1, pieces).digest)) == pieces
    assert store.staged(OWN).slices == 0


def test_half_a_dump_of_ones_own_does_not_outlive_a_restart(rig: Rig) -> None:
    store = rig.create()
    store.stage(OWN, 0, slices("half"))
    assert reopened(rig, store).staged(OWN).slices == 0


def test_a_leaders_snapshot_replaces_the_whole_log(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=3))
    pieces, snapshot = slices("twenty"), a_snapshot(20, 2, slices("twenty"))
    assert store.stage(snapshot.digest, 0, pieces).digest == snapshot.digest
    store.write(a_write(*entries(21, 22, term=3), term=3, commit=20, snapshot=snapshot))
    for opened in both(rig, store):
        assert view(opened) == (HardState(3, None, 20), snapshot, [*entries(21, 22, term=3)])
        assert list(opened.snapshot_slices(snapshot.digest)) == pieces
        assert opened.load().kept_from == 21
        assert opened.staged(snapshot.digest).slices == 0


def test_a_leaders_snapshot_within_the_log_leaves_only_what_is_told_with_it(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=3))
    snapshot = a_snapshot(5, 1, slices("five"))
    store.stage(snapshot.digest, 0, slices("five"))
    store.write(a_write(*entries(6, 7), commit=5, snapshot=snapshot))
    assert view(reopened(rig, store)) == (HardState(1, None, 5), snapshot, [*entries(6, 7)])


def test_a_transfer_goes_on_after_a_restart(rig: Rig) -> None:
    store = rig.create()
    pieces, snapshot = slices("big"), a_snapshot(7, 1, slices("big"))
    store.stage(snapshot.digest, 0, pieces[:2])
    store = reopened(rig, store)
    assert store.staged(snapshot.digest).slices == 2
    store.stage(snapshot.digest, 1, pieces[1:4])  # a chunk that came twice
    assert store.stage(snapshot.digest, 0, pieces) == store.staged(snapshot.digest)
    store.write(a_write(commit=7, snapshot=snapshot))
    assert list(store.snapshot_slices(snapshot.digest)) == pieces


def test_wrong_bytes_can_be_dropped_and_sent_again(rig: Rig) -> None:
    store = rig.create()
    snapshot = a_snapshot(7, 1, slices("right"))
    assert store.stage(snapshot.digest, 0, slices("wrong")).digest != snapshot.digest
    with pytest.raises(ImpossibleWrite):
        store.write(a_write(commit=7, snapshot=snapshot))
    store.unstage(snapshot.digest)
    store.stage(snapshot.digest, 0, slices("right"))
    store.write(a_write(commit=7, snapshot=snapshot))
    assert store.load().snapshot == snapshot


def test_several_transfers_do_not_mix(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 3), commit=3))
    one, two = a_snapshot(7, 1, slices("one")), a_snapshot(8, 1, slices("two"))
    for number in range(5):
        store.stage(one.digest, number, slices("one")[number : number + 1])
        store.stage(two.digest, number, slices("two")[number : number + 1])
        store.stage(OWN, number, slices("own")[number : number + 1])
    store.save_snapshot(a_snapshot(3, 1, slices("own")), 4)
    store.unstage(one.digest)
    store.write(a_write(commit=8, snapshot=two))
    assert list(store.snapshot_slices(two.digest)) == slices("two")


def test_a_reader_of_a_snapshot_is_told_when_a_newer_one_took_its_place(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 9), commit=9))
    old = a_snapshot(5, 1, slices("five"))
    with pytest.raises(SnapshotGone):
        store.snapshot_slices(old.digest)
    store.save_snapshot(old, 1, slices("five"))
    reader, late = store.snapshot_slices(old.digest), store.snapshot_slices(old.digest)
    next(reader)
    store.write(a_write(entry(10), commit=9))
    next(reader)
    store.save_snapshot(a_snapshot(9, 1, slices("nine")), 1, slices("nine"))
    for gone in (reader, late):
        with pytest.raises(SnapshotGone):
            list(gone)


def test_a_configuration_comes_back_with_its_snapshot(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(*entries(1, 3), commit=3))
    config = Config((ME,), (OTHER,))
    snapshot = a_snapshot(3, 1, slices("three"))
    snapshot = Snapshot(3, 1, config, snapshot.digest, snapshot.size)
    store.save_snapshot(snapshot, 4, slices("three"))
    assert reopened(rig, store).load().snapshot.config == config


# -- segments ----------------------------------------------------------------------------------------------------------


def test_segments_come_and_go(rig: Rig) -> None:
    store = rig.create()
    one, two = sha256(b"one").digest(), sha256(b"").digest()
    store.put_segment(one, b"one")
    store.put_segment(two, b"")
    store.put_segment(one, b"one")
    for opened in both(rig, store):
        assert opened.segments() == {one, two}
        assert (opened.segment(one), opened.segment(two), opened.segment(b"?")) == (b"one", b"", None)
        assert opened.has_segment(one)
        store = opened
    store.drop_segment(one)
    assert not store.has_segment(one)
    assert reopened(rig, store).segments() == {two}


# -- room --------------------------------------------------------------------------------------------------------------


def test_it_says_what_its_log_weighs(rig: Rig) -> None:
    store = rig.create(Settings(guard=7, ballast=4096))
    store.write(a_write(*(entry(index, data=b"x" * 10) for index in range(1, 10)), commit=6))
    assert store.room()[1:] == (7, 4096, 90, 0, 0)
    store.write(a_write(*(entry(index, 2, b"y" * 10) for index in range(8, 9)), term=2))
    assert store.room().tail == 80
    snapshot = a_snapshot(6, 1, slices("six"))
    store.save_snapshot(snapshot, 4, slices("six"))
    for opened in both(rig, store):
        assert opened.room()[3:] == (20, 30, snapshot.size)
        assert not opened.room().low


def test_the_guard_is_a_number_of_bytes(rig: Rig) -> None:
    assert rig.create(Settings(guard=1 << 60, ballast=0)).room().low


# -- whose file it is --------------------------------------------------------------------------------------------------


def test_another_meshs_or_machines_store_is_refused(rig: Rig) -> None:
    rig.create().close()
    with pytest.raises(Foreign, match="mesh"):
        rig.open(mesh=b"x" * 16)
    with pytest.raises(Foreign, match="machine"):
        rig.open(node=NodeId("z" * 26))
    rig.open()


def test_a_newer_format_is_refused(rig: Rig) -> None:
    rig.create().close()
    rig.make_newer()
    with pytest.raises(NewerFormat) as caught:
        rig.open()
    assert "upgrade" in (lines(caught.value)[1] or "")


def test_two_daemons_do_not_share_a_store(rig: Rig) -> None:
    store = rig.create()
    with pytest.raises(InUse):
        rig.open()
    with pytest.raises(InUse):
        rig.set_aside()
    store.write(a_write(entry(1)))
    assert reopened(rig, store).load().entries == [entry(1)]

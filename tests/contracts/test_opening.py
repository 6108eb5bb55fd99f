"""Every bad thing a daemon may find where its store should be, on both stores: one error and what would help, or a new
beginning that loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from odyssey import wire
from odyssey.clock import SeededEntropy
from odyssey.errors import lines
from odyssey.ids import NodeId
from odyssey.mesh.opening import OnlyCopy, wait_ms
from odyssey.mesh.raft.types import Config, Kind, LogEntry, Member
from odyssey.mesh.store import (
    Broken,
    Damaged,
    DiskFull,
    Foreign,
    InUse,
    NewerFormat,
    NoStore,
    ReadOnly,
    RolledBack,
    Store,
    StoreError,
)
from tests.contracts.store_rigs import NODE, OTHER, Rig, a_snapshot, a_write, entries, entry, slices, view
from tests.contracts.test_store_disks import fresh


def config_entry(index: int, config: Config) -> LogEntry:
    return entry(index, data=wire.encode(config), kind=Kind.CONFIG)


def alone(store: Store) -> Config:
    return Config((store.identity.member,))


def two(store: Store) -> Config:
    return Config((store.identity.member, OTHER))


def used(rig: Rig, voters: Callable[[Store], Config] = two) -> Member:
    """A store with nine entries, the first of which says who votes."""
    store = rig.create(founds=True)
    store.write(a_write(config_entry(1, voters(store)), *entries(2, 9), commit=9))
    store.write(a_write(commit=9))
    store.close()
    return store.identity.member


# -- damage ------------------------------------------------------------------------------------------------------------


def rotten(rig: Rig) -> None:
    rig.rot(b"entry 7 of term 1")


def back(rig: Rig) -> None:
    copy = rig.copy()
    store = rig.open()
    store.write(a_write(term=2, vote=OTHER))
    store.close()
    rig.put_back(copy)


def gone(rig: Rig) -> None:
    rig.lose_store()


BAD = pytest.mark.parametrize(
    ("spoil", "kind", "text"),
    [(rotten, Damaged, "is damaged"), (back, RolledBack, "has gone back"), (gone, RolledBack, "has gone back")],
)


@BAD
def test_where_others_vote_it_begins_anew_and_keeps_what_it_found(
    rig: Rig, spoil: Callable[[Rig], None], kind: type[Damaged], text: str
) -> None:
    before = used(rig)
    spoil(rig)
    opened = rig.begin()
    assert view(opened.store)[2] == []
    assert opened.store.identity.member.node == before.node
    assert opened.store.identity.store != before.store
    (aside,) = opened.aside
    assert type(aside.error) is kind
    assert text in aside.error.message
    assert ".aside-1" in aside.path.name
    opened.store.close()
    assert rig.begin().aside == ()


@BAD
@pytest.mark.parametrize("whose", ["alone", "note is gone", "note is rotten"])
def test_who_voted_alone_or_may_have_does_not_start_and_touches_nothing(
    rig: Rig, spoil: Callable[[Rig], None], kind: type[Damaged], text: str, whose: str
) -> None:
    used(rig, alone if whose == "alone" else two)
    spoil(rig)
    if whose != "alone":
        rig.lose_note(rotten=whose == "note is rotten")
    before = rig.content()
    for _ in range(2):
        with pytest.raises(OnlyCopy, match=text) as caught:
            rig.begin()
        error, hint = lines(caught.value)
        assert "not known that another machine" in error
        assert "odyssey mesh recover" in (hint or "")
    assert rig.content() == before


def test_what_was_never_told_of_voters_begins_anew(rig: Rig) -> None:
    store = rig.create()
    store.write(a_write(vote=OTHER))
    store.close()
    back(rig)
    assert rig.begin().aside


# -- everything else comes out as it is --------------------------------------------------------------------------------


def in_use(rig: Rig) -> None:
    rig.keep(rig.open())


def cut_off(rig: Rig) -> None:
    rig.fail(True)


@pytest.mark.parametrize(
    ("spoil", "kind", "help_"),
    [
        (lambda rig: rig.make_newer(), NewerFormat, "upgrade"),
        (lambda rig: rig.protect(True), ReadOnly, "writable"),
        (in_use, InUse, "stop that one"),
        (cut_off, Broken, "look at the disk"),
    ],
)
@pytest.mark.parametrize("voters", [alone, two])
def test_nothing_is_set_aside_for_what_is_no_damage(
    rig: Rig,
    spoil: Callable[[Rig], None],
    kind: type[StoreError],
    help_: str,
    voters: Callable[[Store], Config],
) -> None:
    used(rig, voters)
    spoil(rig)
    for _ in range(2):
        with pytest.raises(kind) as caught:
            rig.begin()
        error, hint = lines(caught.value)
        assert error.startswith("error: ")
        assert help_ in (hint or "")
    rig.protect(False)
    rig.fail(False)
    if kind not in (NewerFormat, InUse):
        opened = rig.begin()
        assert opened.aside == ()
        assert [one.index for one in view(opened.store)[2]] == [*range(1, 10)]


def test_a_full_disk_is_full_and_not_damaged(rig: Rig) -> None:
    used(rig)
    rig.fill(True)
    with suppress(DiskFull):  # the fake needs no room to begin
        rig.begin().store.close()
    rig.fill(False)
    opened = rig.begin()
    assert opened.aside == ()
    assert len(view(opened.store)[2]) == 9


@pytest.mark.parametrize(("mesh", "node", "whose"), [(b"x" * 16, NODE, "mesh"), (None, NodeId("z" * 26), "machine")])
def test_another_meshs_or_machines_store_is_left_alone(rig: Rig, mesh: bytes | None, node: NodeId, whose: str) -> None:
    used(rig)
    before = rig.content()
    with pytest.raises(Foreign, match=f"belongs to {whose}") as caught:
        rig.begin(mesh or bytes(range(16)), node)
    assert "a home of its own" in (caught.value.hint or "")
    assert rig.content() == before


def test_where_nothing_is_a_machine_has_to_join_first(rig: Rig) -> None:
    with pytest.raises(NoStore) as caught:
        rig.begin(joined=False)
    assert "join" in (caught.value.hint or "")


def test_a_beginning_that_was_interrupted_goes_on(rig: Rig) -> None:
    before = used(rig)
    rig.set_aside()
    opened = rig.begin()
    assert opened.aside == ()
    assert opened.store.identity.store != before.store


# -- what the note says, and when --------------------------------------------------------------------------------------


def noted(rig: Rig) -> tuple[NodeId, ...] | None:
    return rig.home().others()


def test_the_note_comes_after_the_change_is_committed_and_goes_before_it_is_written(rig: Rig) -> None:
    store = rig.create(founds=True)
    assert noted(rig) is None
    store.write(a_write(config_entry(1, two(store))))
    assert noted(rig) is None
    store.write(a_write(entry(2), commit=1))
    assert noted(rig) == (OTHER.node,)
    store.write(a_write(config_entry(3, alone(store)), commit=2))
    assert noted(rig) is None
    store.write(a_write(config_entry(3, two(store)), term=2, commit=2))
    assert noted(rig) == (OTHER.node,)


def test_a_change_that_may_be_there_takes_the_note_along(rig: Rig) -> None:
    used(rig)
    store = rig.open()
    rig.fail(True)
    with pytest.raises(Broken):
        store.write(a_write(config_entry(10, alone(store)), commit=9))
    assert noted(rig) is None


def test_the_note_follows_snapshots_too(rig: Rig) -> None:
    store = rig.create(founds=True)
    store.write(a_write(config_entry(1, two(store)), entry(2)))
    own = a_snapshot(2, 1, slices("own"))
    store.save_snapshot(own, 3, slices("own"))
    assert noted(rig) == (OTHER.node,)
    theirs = a_snapshot(9, 2, slices("theirs"))
    theirs = type(theirs)(9, 2, alone(store), theirs.digest, theirs.size)
    store.stage(theirs.digest, 0, slices("theirs"))
    store.write(a_write(term=2, commit=9, snapshot=theirs))
    assert noted(rig) is None


def test_a_note_survives_a_restart_and_a_config_that_cannot_be_read_is_none(rig: Rig) -> None:
    used(rig)
    store = rig.open()
    assert noted(rig) == (OTHER.node,)
    store.write(a_write(entry(10, data=b"\xff", kind=Kind.CONFIG), commit=9))
    assert noted(rig) is None


def test_no_power_cut_leaves_a_note_beside_who_votes_alone(rig: Rig) -> None:
    def changes(store: Store, deeds: int = 4) -> None:
        store.write(a_write(config_entry(1, two(store))))
        store.write(a_write(entry(2), commit=1))
        if deeds == 4:
            store.write(a_write(config_entry(3, alone(store)), commit=2))
            store.write(a_write(entry(4), commit=4))

    store = rig.create(founds=True)
    begin = rig.steps
    changes(store)
    seen = set()
    for cut in range(-1, rig.steps - begin + 1):
        rig = fresh(rig)
        store = rig.create(founds=True)
        rig.cut_after(cut if cut >= 0 else 1 << 40)
        with suppress(Broken):
            changes(store, 4 if cut >= 0 else 2)
        rig.power_cycle(SeededEntropy(cut))
        left, store = noted(rig), rig.open()
        last = store.load().entries[-1:]
        lone = not last or last[0].index > 2 or store.load().hard.commit == 0
        assert left is None or not lone
        seen.add((left is None, lone))
    assert seen >= {(True, True), (False, False)}


def test_the_wait_before_another_try_grows_to_a_minute() -> None:
    assert [wait_ms(failures) for failures in (0, 1, 2, 3, 7, 100)] == [1000, 1000, 2000, 4000, 60_000, 60_000]

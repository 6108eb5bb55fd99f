"""A store that is set aside for its tail: kept and read until that is handed in, once, on both stores."""

from __future__ import annotations

import pytest

from odyssey.clock import SeededEntropy
from odyssey.mesh.sound import digest_of
from odyssey.mesh.store import Broken, Damaged
from tests.contracts.store_rigs import MESH, Rig, a_snapshot, a_write, entries, slices, view


def left(rig: Rig, last: int = 9) -> None:
    """A store of so many entries was set aside for its tail, and another one begun."""
    store = rig.home().create()
    store.write(a_write(*entries(1, last), commit=last))
    store.close()
    rig.home().begin_anew()


def test_it_is_read_as_it_was_and_stays_so_while_a_new_one_is_used(rig: Rig) -> None:
    left(rig)
    new = rig.begin().store
    new.write(a_write(*entries(1, 2, term=5), term=5, commit=2))
    home = rig.home()
    (name,) = home.tails()
    for _ in range(2):
        old = home.old(name)
        assert old.entries == list(entries(1, 9))
        assert old.identity.mesh == MESH
        assert old.identity.store != new.identity.store
    assert len(view(new)[2]) == 2


def test_its_snapshot_is_read_too(rig: Rig) -> None:
    store = rig.home().create()
    store.write(a_write(*entries(1, 9), commit=9))
    snapshot = a_snapshot(7, 1, slices("state"))
    store.save_snapshot(snapshot, 8, slices("state"))
    store.close()
    rig.home().begin_anew()
    old = rig.home().old(rig.home().tails()[0])
    assert (old.snapshot, old.entries) == (snapshot, list(entries(8, 9)))
    assert digest_of(old.slices).digest == snapshot.digest


def test_what_is_handed_in_is_handed_in_once_and_the_oldest_is_first(rig: Rig) -> None:
    left(rig, 3)
    store = rig.begin().store
    store.write(a_write(*entries(1, 5), commit=5))
    store.close()
    rig.home().begin_anew()
    first, second = rig.home().tails()
    assert [len(rig.home().old(one).entries) for one in (first, second)] == [3, 5]
    rig.home().handed_in(first, b"what came of it")
    assert list(rig.home().tails()) == [second]
    rig.home().handed_in(second, b"nothing")
    assert list(rig.home().tails()) == []
    assert len(rig.home().old(first).entries) == 3, "nothing is deleted"


def test_a_store_that_was_only_damaged_has_no_tail(rig: Rig) -> None:
    left(rig)
    rig.set_aside()
    assert len(rig.home().tails()) == 1


def test_a_damaged_one_says_so_and_is_kept(rig: Rig) -> None:
    store = rig.home().create()
    store.write(a_write(*entries(1, 9), commit=9))
    store.close()
    rig.rot(b"entry 7 of term 1")
    rig.home().begin_anew()
    (name,) = rig.home().tails()
    for _ in range(2):
        with pytest.raises(Damaged):
            rig.home().old(name)
    assert list(rig.home().tails()) == [name]


def test_no_power_cut_loses_the_word_that_a_tail_is_there(rig: Rig) -> None:
    """Wherever it goes out: the log is still the store's, or it is set aside and to be handed in."""
    store = rig.home().create()
    store.write(a_write(*entries(1, 9), commit=9))
    store.close()
    for steps in range(40):
        rig.cut_after(steps)
        try:
            rig.home().begin_anew()
        except (Broken, OSError):
            rig.power_cycle(SeededEntropy(steps))
        else:
            break
        home = rig.home()
        held = [len(home.old(name).entries) for name in home.tails() if _is_there(rig, name)]
        now = rig.begin().store
        count = len(view(now)[2])
        now.close()
        assert 9 in (*held, count)
        if count != 9:
            break
    rig.power_cycle(SeededEntropy(99))


def _is_there(rig: Rig, name: str) -> bool:
    try:
        rig.home().old(name)
    except Exception:  # noqa: BLE001 - the word was there before its store
        return False
    return True


def test_no_power_cut_takes_the_word_away_before_the_account_is_there(rig: Rig) -> None:
    left(rig)
    (name,) = rig.home().tails()
    for steps in range(40):
        rig.cut_after(steps)
        try:
            rig.home().handed_in(name, b"account")
        except (Broken, OSError):
            rig.power_cycle(SeededEntropy(steps))
            if list(rig.home().tails()) == [name]:
                continue
        break
    rig.power_cycle(SeededEntropy(99))
    assert list(rig.home().tails()) == []

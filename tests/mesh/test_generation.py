"""Charters and lineages, and what a machine does that is shown another one."""

from __future__ import annotations

import msgspec
import pytest

from odyssey import wire
from odyssey.errors import lines
from odyssey.ids import NodeId, attempt_id
from odyssey.mesh.generation import (
    NEWEST,
    NOT_AGREED,
    Charter,
    Fork,
    Generation,
    Lineage,
    Stand,
    TooManyGenerations,
    Verdict,
    draft,
    is_signed,
    judge,
    may_move,
    parted,
    shared,
    signed,
)
from tests.mesh.generation_model import sign_as, verify
from tests.mesh.raft.machine import member

MESH = b"m" * 16
ANNA = NodeId("anna")
FOUNDER = member("1")
ROOT = Lineage(MESH, Generation(1, b"r" * 16))


def charter(parent: Lineage, name: str = "c", fork: tuple[int, int] = (2, 10), term: int = 9) -> Charter:
    """`fork` is term and index."""
    made = draft(parent.mesh, parent.tip, name.encode().ljust(16, b"."), Fork(*fork), term, FOUNDER, ANNA)
    return signed(made, sign_as(ANNA))


def child(parent: Lineage = ROOT, name: str = "c", fork: tuple[int, int] = (2, 10), term: int = 0) -> Lineage:
    return parent.with_child(charter(parent, name, fork, term or parent.first_term + 9))


def test_the_first_terms_of_a_line_grow() -> None:
    assert child(child(term=9), term=10).is_sound()
    assert not child(child(term=9), term=9).is_sound()


def verdict(mine: Lineage, offered: Lineage, end: tuple[int, int] = (0, 0)) -> Verdict:
    return judge(Stand(mine, Fork(*end)), offered, verify)


# -- charters ----------------------------------------------------------------------------------------------------------


def test_a_child_has_the_next_number() -> None:
    assert charter(ROOT).generation.number == 2
    assert charter(child()).generation.number == 3


def test_a_signature_is_for_all_of_the_charter_and_for_nothing_else() -> None:
    whole = charter(ROOT)
    assert is_signed(whole, verify)
    others = {
        "mesh": b"n" * 16,
        "generation": Generation(2, b"z" * 16),
        "parent": Generation(1, b"z" * 16),
        "fork": Fork(2, 11),
        "term": 10,
        "founder": member("2"),
        "signer": NodeId("ben"),
        "signature": bytes(32),
    }
    assert others.keys() == set(Charter.__struct_fields__)
    for name, value in others.items():
        assert not is_signed(msgspec.structs.replace(whole, **{name: value}), verify), name
    assert not verify(ANNA, wire.encode(msgspec.structs.replace(whole, signature=b"")), whole.signature)


def test_the_last_generation_that_attempts_can_name_has_no_child() -> None:
    parent = Generation(NEWEST, b"p" * 16)
    attempt_id(NEWEST, 1, 0)
    with pytest.raises(ValueError, match="out of range"):
        attempt_id(NEWEST + 1, 1, 0)
    with pytest.raises(TooManyGenerations) as refusal:
        draft(MESH, parent, b"c" * 16, Fork(), 1, FOUNDER, ANNA)
    assert lines(refusal.value) == (
        "error: this mesh has been recovered 2047 times",
        "hint: make a new mesh, and let all machines join it",
    )


# -- lineages ----------------------------------------------------------------------------------------------------------


def test_an_entry_belongs_to_the_generation_it_was_written_in() -> None:
    line = child(child(fork=(2, 10)), fork=(9, 25), term=12)
    assert [line.number_at(index) for index in (1, 10, 11, 25, 26, 1_000)] == [1, 1, 2, 2, 3, 3]
    assert ROOT.number_at(5) == 1


def test_of_two_forks_the_later_generation_counts_where_it_began_on_a_shorter_log() -> None:
    line = child(child(fork=(2, 10)), fork=(2, 4), term=12)
    assert [line.number_at(index) for index in (4, 5, 10, 11)] == [1, 3, 3, 3]


def test_who_votes_is_known_from_the_first_term_on() -> None:
    assert ROOT.first_term == 0
    assert child(child(term=9), term=12).first_term == 12


@pytest.mark.parametrize(
    "line",
    [
        Lineage(b"n" * 16, ROOT.root, (charter(ROOT),)),
        Lineage(MESH, ROOT.root, (charter(child()),)),
        Lineage(MESH, ROOT.root, (charter(ROOT), charter(ROOT))),
        child(fork=(9, 10), term=9),
        ROOT.with_child(msgspec.structs.replace(charter(ROOT), generation=Generation(3, b"c" * 16))),
        ROOT.with_child(msgspec.structs.replace(charter(ROOT), generation=Generation(2, b""))),
    ],
    ids=["other mesh", "gap", "twice the same", "no new term", "number skipped", "no id"],
)
def test_a_line_that_does_not_hang_together_is_nobodys(line: Lineage) -> None:
    assert not line.is_sound()
    assert verdict(ROOT, line) is Verdict.FOREIGN
    assert not may_move(ROOT, line)


# -- what a machine does -----------------------------------------------------------------------------------------------


def test_ones_own_generation_is_nothing_new() -> None:
    assert verdict(ROOT, ROOT) is Verdict.SAME
    assert verdict(child(), child()) is Verdict.SAME


def test_an_older_one_is_left_behind_whatever_its_line() -> None:
    assert verdict(child(), ROOT) is Verdict.OLDER
    assert verdict(child(child(name="a"), "x"), child(name="b")) is Verdict.OLDER


@pytest.mark.parametrize(
    ("end", "follows"),
    [
        ((0, 0), True),
        ((2, 10), True),
        ((2, 9), True),
        ((1, 500), True),  # of an older term: never committed, or the leader of term 2 would have had it
        ((2, 11), False),
        ((3, 4), False),  # shorter, but of a newer term: it may have been committed without the founder
    ],
)
def test_a_child_is_followed_with_the_same_store_if_its_log_holds_all_that_counts_here(
    end: tuple[int, int], follows: bool
) -> None:
    assert verdict(ROOT, child(fork=(2, 10)), end) is (Verdict.FOLLOW if follows else Verdict.OLD_ANCHOR)


def test_after_two_recoveries_both_forks_are_looked_at() -> None:
    line = child(child(fork=(2, 10)), fork=(2, 4), term=12)
    assert verdict(ROOT, line, (2, 4)) is Verdict.FOLLOW
    assert verdict(ROOT, line, (2, 7)) is Verdict.OLD_ANCHOR
    line = child(child(fork=(2, 10)), fork=(9, 25), term=12)
    assert verdict(ROOT, line, (2, 10)) is Verdict.FOLLOW
    assert verdict(ROOT, line, (5, 7)) is Verdict.OLD_ANCHOR


def test_of_two_children_the_higher_id_wins_and_nobody_moves() -> None:
    low, high = child(name="a"), child(name="b")
    assert verdict(low, high) is Verdict.LOST
    assert verdict(high, low) is Verdict.WON
    assert not Verdict.LOST.moves
    assert not Verdict.WON.moves


def test_everybody_moves_to_the_winners_child() -> None:
    low, high = child(name="a"), child(name="b")
    last = child(high, fork=(9, 30), term=15)
    assert verdict(high, last, (9, 30)) is Verdict.FOLLOW
    assert verdict(low, last, (2, 3)) is Verdict.OTHER_BRANCH


def test_cousins_of_one_number_go_by_their_id_too() -> None:
    left, right = child(child(name="b"), "x"), child(child(name="a"), "y")
    assert verdict(left, right) is Verdict.LOST
    assert verdict(right, left) is Verdict.WON


def test_only_a_mesh_recovered_twice_is_an_alarm() -> None:
    assert {one for one in Verdict if one.is_alarm} == {Verdict.WON, Verdict.LOST, Verdict.OTHER_BRANCH}
    assert {one for one in Verdict if one.moves} == {Verdict.FOLLOW, Verdict.OLD_ANCHOR, Verdict.OTHER_BRANCH}


# -- not believed ------------------------------------------------------------------------------------------------------


def unsigned(line: Lineage, position: int = -1) -> Lineage:
    charters = list(line.charters)
    charters[position] = msgspec.structs.replace(charters[position], signature=b"")
    return msgspec.structs.replace(line, charters=tuple(charters))


def test_what_nobody_signed_is_foreign() -> None:
    assert verdict(ROOT, unsigned(child())) is Verdict.FOREIGN
    assert verdict(ROOT, unsigned(child(child(), "d"), 0)) is Verdict.FOREIGN
    assert verdict(child(name="a"), unsigned(child(name="b"))) is Verdict.FOREIGN
    assert verdict(child(name="b"), unsigned(child(name="a"))) is Verdict.FOREIGN


def test_a_key_that_has_gone_since_does_not_make_old_generations_foreign() -> None:
    line = child(child(), "d")
    assert verdict(child(), unsigned(line, 0)) is Verdict.FOREIGN  # of the same number: it must be shown again
    assert verdict(line, unsigned(child(line, "e"), 0)) is Verdict.FOLLOW


@pytest.mark.parametrize(
    "other",
    [
        Lineage(b"n" * 16, ROOT.root),
        Lineage(MESH, Generation(1, b"s" * 16)),
        child(Lineage(MESH, Generation(1, b"s" * 16))),
    ],
    ids=["mesh", "root", "child of another root"],
)
def test_another_mesh_is_foreign(other: Lineage) -> None:
    assert verdict(ROOT, other) is Verdict.FOREIGN
    assert verdict(child(), other) is Verdict.FOREIGN


# -- where a store may go ----------------------------------------------------------------------------------------------


def test_a_store_goes_only_down_its_own_line() -> None:
    low, high = child(name="a"), child(name="b")
    assert may_move(ROOT, low)
    assert may_move(ROOT, child(low, "c"))
    assert may_move(low, child(low, "c"))
    for to in (ROOT, low, high, child(high, "c")):
        assert not may_move(low, to)


def test_a_line_travels_and_stays_the_same() -> None:
    line = child(child(), "d")
    assert wire.decode(wire.encode(line), Lineage) == line


# -- where two lines have parted ---------------------------------------------------------------------------------------


def log(*terms: int, first: int = 1) -> list[Fork]:
    """Entries of these terms, before them the snapshot."""
    return [Fork(terms[0] if first > 1 else 0, first - 1), *(Fork(term, first + at) for at, term in enumerate(terms))]


def test_a_line_parts_from_its_descendants_where_each_of_them_forked() -> None:
    there = child(child(), name="d", fork=(9, 12))
    assert parted(there, there) == ()
    assert parted(ROOT, there) == (Fork(2, 10), Fork(9, 12))
    other = child(child(), name="e", fork=(9, 11))
    assert parted(other, there) == (Fork(9, 11), Fork(9, 12))


def test_what_is_before_all_forks_is_shared() -> None:
    assert shared((), log(1, 1, 2)) == 3
    assert shared((Fork(1, 2), Fork(5, 9)), log(1, 1, 1)) == 2
    assert shared((Fork(5, 9), Fork(1, 1)), log(1, 1, 1)) == 1, "a later generation may begin on a shorter log"


def test_an_entry_of_a_later_term_is_behind_the_fork_wherever_it_stands() -> None:
    """The founder held more entries, of an older term, that were never agreed on."""
    assert shared((Fork(1, 9),), log(1, 1, 2, 2)) == 2


def test_behind_a_snapshot_only_the_indexes_tell() -> None:
    far = NOT_AGREED + 100
    assert shared((Fork(1, far),), log(1, 1, first=far + 7)) == 100, "the founder's last entries may be others"
    assert shared((Fork(1, 3),), log(1, 1, first=7)) == 0
    assert shared((Fork(1, 9),), log(2, 2, first=7)) == 0

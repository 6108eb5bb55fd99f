"""When a snapshot is due and what stays beside it: the edges of both rules."""

from __future__ import annotations

from itertools import repeat

import pytest

from odyssey.mesh.compaction import KEPT, TAIL, UNASKED, is_due, keep_from
from odyssey.mesh.store import MIB, Room

ROOMY = Room(free=1 << 40, guard=256 * MIB, ballast=32 * MIB, tail=0, kept=0, snapshot=0)


@pytest.mark.parametrize(
    ("tail", "snapshot", "due"),
    [
        (TAIL, 0, False),
        (TAIL + 1, 0, True),
        (40 * MIB, 40 * MIB, False),
        (40 * MIB + 1, 40 * MIB, True),
        (0, 0, False),
    ],
)
def test_it_is_due_when_the_log_outweighs_the_last_one(tail: int, snapshot: int, due: bool) -> None:
    assert is_due(ROOMY._replace(tail=tail, snapshot=snapshot)) is due


@pytest.mark.parametrize(
    ("free", "ballast", "tail", "kept", "due"),
    [(0, 0, 1, 0, True), (0, 0, 0, 1, True), (0, 0, 0, 0, False), (0, MIB, 1, 0, False), (1 << 40, 0, 1, 0, False)],
)
def test_without_ballast_any_log_is_too_long(free: int, ballast: int, tail: int, kept: int, due: bool) -> None:
    assert is_due(ROOMY._replace(free=free, ballast=ballast, tail=tail, kept=kept)) is due


def test_what_the_slowest_lacks_is_kept() -> None:
    assert keep_from(100, repeat(10, 100), [100, 90, 97]) == 91
    assert keep_from(100, repeat(10, 100), [100, 105]) == 101
    assert keep_from(100, repeat(10, 100), []) == 101


def test_who_lacks_too_much_takes_the_snapshot_and_costs_the_others_nothing() -> None:
    size = KEPT // 10
    assert keep_from(100, repeat(size, 100), [89, 95]) == 96
    assert keep_from(100, repeat(size, 100), [90, 95]) == 91
    assert keep_from(100, repeat(size, 100), [2]) == 101


def test_nothing_is_kept_that_is_not_held() -> None:
    assert keep_from(100, repeat(1, 5), [90]) == 101
    assert keep_from(100, repeat(1, 5), [95]) == 96


def test_who_does_not_lead_keeps_a_little() -> None:
    assert keep_from(100, repeat(UNASKED // 4, 100), None) == 97
    assert keep_from(100, repeat(1, 30), None) == 71
    assert keep_from(100, (), None) == 101

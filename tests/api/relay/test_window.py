"""An answer on its way between machines, where letters are lost, doubled and late."""

from __future__ import annotations

import random

import pytest

from odyssey.api.relay.window import LETTER_BYTES, WINDOW_BYTES, WINDOW_PARTS, Inbox, Outbox


@pytest.mark.parametrize("seed", range(30))
def test_every_part_is_taken_once_and_in_order(seed: int) -> None:
    chance = random.Random(seed)
    parts = [bytes([number % 256]) * chance.randrange(1, 40_000) for number in range(200)]
    outbox, inbox = Outbox(), Inbox()
    left = list(parts)
    got: list[bytes] = []
    under_way: list[tuple[int, tuple[bytes, ...]]] = []
    while len(got) < len(parts):
        while left and outbox.has_room:
            outbox.add(left.pop(0))
        if chance.random() < 0.1:
            outbox.again()
        while (letter := outbox.fresh()) is not None:
            under_way += [letter] * chance.choice((0, 1, 1, 2))
        chance.shuffle(under_way)
        if under_way:
            got += inbox.accept(*under_way.pop())
        if chance.random() < 0.5:
            outbox.acknowledge(inbox.taken)
    assert got == parts


def test_what_waits_is_bounded_by_bytes_and_by_number() -> None:
    large, small = Outbox(), Outbox()
    while large.has_room:
        large.add(bytes(100_000))
    assert large.end == WINDOW_BYTES // 100_000 + 1
    while small.has_room:
        small.add(b"")
    assert small.end == WINDOW_PARTS


def test_a_letter_is_no_larger_than_it_may_be_unless_one_part_is() -> None:
    outbox = Outbox()
    for size in (LETTER_BYTES - 1, 1, 1, LETTER_BYTES * 2, 5):
        outbox.add(bytes(size))
    sent = []
    while (letter := outbox.fresh()) is not None:
        sent.append((letter[0], [len(part) for part in letter[1]]))
    assert sent == [(0, [LETTER_BYTES - 1, 1]), (2, [1]), (3, [LETTER_BYTES * 2]), (4, [5])]


def test_a_false_word_that_more_was_taken_loses_nothing() -> None:
    outbox = Outbox()
    outbox.add(b"a")
    outbox.acknowledge(7)
    assert outbox.fresh() == (0, (b"a",))


def test_behind_a_gap_nothing_is_taken() -> None:
    inbox = Inbox()
    assert inbox.accept(1, (b"b",)) == ()
    assert not inbox.has_all(1, (b"b",))
    assert inbox.accept(0, (b"a", b"b")) == (b"a", b"b")
    assert inbox.accept(1, (b"b", b"c")) == (b"c",)
    assert inbox.has_all(3, ())

"""Letters on their way to one peer: order, budget, window, what goes again, what is given up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.errors import Malformed
from odyssey.mesh.links.outbox import FRESH, FRESH_MS, MOST, WORK_MS, Inbox, Next, Outbox


def sent(outbox: Outbox) -> list[Next]:
    """All that may go now."""
    out = []
    while (one := outbox.next()) is not None:
        out.append(one)
        outbox.went()
    return out


def test_what_is_only_worth_something_now_goes_first_and_without_a_number() -> None:
    outbox = Outbox()
    outbox.put(b"work", False, 0)
    outbox.put(b"beat", True, 0)
    assert sent(outbox) == [Next(0, 0, b"beat"), Next(1, 1, b"work")]


def test_no_more_is_under_way_than_the_window_but_one_always_fits() -> None:
    outbox = Outbox(window=10)
    for letter in (b"x" * 20, b"y" * 6, b"z" * 6):
        outbox.put(letter, False, 0)
    assert [one.letter for one in sent(outbox)] == [b"x" * 20]
    outbox.put(b"beat", True, 0)
    assert [one.letter for one in sent(outbox)] == [b"beat"]  # it never waits for that
    outbox.acknowledged(1)
    assert [one.letter for one in sent(outbox)] == [b"y" * 6]
    outbox.acknowledged(2)
    assert sent(outbox) == [Next(3, 3, b"z" * 6)]


def test_on_another_line_all_that_is_not_acknowledged_goes_again_in_order() -> None:
    outbox = Outbox()
    for letter in (b"1", b"2", b"3"):
        outbox.put(letter, False, 0)
    outbox.put(b"beat", True, 0)
    sent(outbox)
    outbox.acknowledged(1)
    outbox.put(b"4", False, 0)
    outbox.rewind()
    assert sent(outbox) == [Next(2, 2, b"2"), Next(3, 2, b"3"), Next(4, 2, b"4")]


def test_an_acknowledgement_of_what_was_never_sent_is_refused() -> None:
    outbox = Outbox()
    outbox.put(b"1", False, 0)
    with pytest.raises(Malformed):
        outbox.acknowledged(1)
    sent(outbox)
    outbox.acknowledged(1)
    outbox.acknowledged(0)  # late
    assert len(outbox) == 0
    assert outbox.bytes == 0


def test_a_full_outbox_takes_no_more_work_and_says_so() -> None:
    outbox = Outbox(budget=10)
    assert outbox.put(b"x" * 8, False, 0) == 0
    assert outbox.put(b"x" * 3, False, 0) == 1
    assert outbox.put(b"x" * 2, False, 0) == 0
    assert [len(one.letter) for one in sent(outbox)] == [8, 2]


def test_so_many_letters_and_no_more() -> None:
    outbox = Outbox()
    assert sum(outbox.put(b"", False, 0) for _ in range(MOST + 5)) == 5


def test_of_many_beats_the_newest_stay() -> None:
    outbox = Outbox()
    given_up = sum(outbox.put(str(number).encode(), True, 0) for number in range(FRESH + 3))
    assert given_up == 3
    assert [one.letter for one in sent(outbox)] == [str(number).encode() for number in range(3, FRESH + 3)]


def test_beats_cannot_take_all_memory() -> None:
    outbox = Outbox(budget=100)
    given_up = sum(outbox.put(b"x" * 90, True, 0) for _ in range(5))
    assert (given_up, outbox.bytes) == (3, 180)


def test_what_nobody_waits_for_any_more_is_given_up_and_counted() -> None:
    outbox = Outbox(window=1)
    outbox.put(b"1", False, 0)
    sent(outbox)
    outbox.put(b"2", False, 5)
    outbox.put(b"beat", True, 5)
    assert outbox.expire(FRESH_MS) == 0
    assert outbox.expire(5 + FRESH_MS) == 1
    assert outbox.expire(WORK_MS) == 1
    assert sent(outbox) == [Next(2, 2, b"2")]  # whoever has not got 1 need not wait for it
    assert outbox.expire(5 + WORK_MS) == 1
    assert (len(outbox), outbox.bytes) == (0, 0)


def test_the_same_letter_is_taken_once() -> None:
    inbox = Inbox()
    assert [inbox.takes(number, 1) for number in (1, 2, 1, 2, 3)] == [True, True, False, False, True]


def test_what_was_given_up_is_not_waited_for() -> None:
    inbox = Inbox()
    assert inbox.takes(7, 7)
    assert inbox.takes(8, 3)


@pytest.mark.parametrize(("number", "since"), [(3, 1), (1, 2), (1, 0), (-1, -1)])
def test_a_number_that_cannot_be_is_refused(number: int, since: int) -> None:
    with pytest.raises(Malformed):
        Inbox().takes(number, since)


@given(st.lists(st.sampled_from(["put", "beat", "go", "break", "lose", "ack", "time"]), max_size=60))
def test_whatever_happens_work_arrives_once_and_in_order(story: list[str]) -> None:
    """A line is in order, and may break at any moment with a part of what is on it; acknowledgements may get lost."""
    outbox, inbox, now = Outbox(budget=40, window=4), Inbox(), 0
    put, given_up, arrived = 0, 0, []
    line: list[Next] = []
    for step in story:
        match step:
            case "put":
                put += 1
                given_up += outbox.put(put.to_bytes(2, "big"), False, now)
            case "beat":
                outbox.put(b"beat", True, now)
            case "go":
                line += [one for one in sent(outbox) if one.number]
            case "break":
                arrived += [one.letter for one in line[: len(line) // 2] if inbox.takes(one.number, one.since)]
                line.clear()
                outbox.rewind()
            case "lose" | "ack":
                arrived += [one.letter for one in line if inbox.takes(one.number, one.since)]
                line.clear()
                if step == "ack":
                    outbox.acknowledged(inbox.last)
            case "time":
                now += WORK_MS // 3
                given_up += outbox.expire(now)
        assert arrived == sorted(set(arrived))
        assert 0 <= outbox.bytes <= 80
    if not given_up:
        outbox.rewind()
        while pending := [one for one in sent(outbox) if one.number]:
            arrived += [one.letter for one in pending if inbox.takes(one.number, one.since)]
            outbox.acknowledged(inbox.last)
        assert arrived == [number.to_bytes(2, "big") for number in range(1, put + 1)]

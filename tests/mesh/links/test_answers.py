"""The bulk lane, on virtual time: credit, turns, what breaks off, and what somebody with bad intentions may try."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from odyssey.mesh.links import answers, frames
from odyssey.mesh.links.answers import AT_ONCE, CREDIT, PARTS, PATIENCE_MS
from odyssey.mesh.links.frames import PIECE_BYTES, Ask, Credit, Head, Piece, Segment
from odyssey.mesh.links.ports import Lane, Path
from tests.mesh.links.street import HOST, LATENCY_S, Machine, MemoryLine, Quarter, Rogue
from tests.mesh.links.town import member

MIB = 1 << 20


@pytest.fixture
def quarter() -> Quarter:
    return Quarter()


class Asker:
    """What a machine was answered."""

    def __init__(self, a: Machine, b: Machine) -> None:
        self._a, self._b = a, b
        self.found: list[bytes | None] = []

    def ask(self, digest: bytes, start: int = 0) -> None:
        self._a.board.ask_segment(member(self._b.name), digest, start, self.found.append)


@pytest.fixture
def two(quarter: Quarter) -> tuple[Machine, Machine]:
    return quarter.machine(0), quarter.machine(1)


def pieces(quarter: Quarter) -> list[tuple[int, int]]:
    """Number and size of each that was sent."""
    said = [(frames.unpacked(head), size) for lane, head, size in quarter.street.said if lane is Lane.BULK]
    return [(frame.number, size) for frame, size in said if isinstance(frame, Piece)]


# -- what is asked comes -----------------------------------------------------------------------------------------------


def test_bytes_come_on_a_line_of_their_own(quarter: Quarter, two: tuple[Machine, Machine]) -> None:
    a, b = two
    asker = Asker(a, b)
    asker.ask(b.files.put(b"x" * 1000))
    quarter.run(0.1)
    assert asker.found == [b"x" * 1000]
    assert quarter.street.dials == [(HOST, b.port + 1)]


def test_who_may_not_have_them_gets_none(quarter: Quarter, two: tuple[Machine, Machine]) -> None:
    a, b = two
    asker, digest = Asker(a, b), b.files.put(b"x" * 1000)
    b.kept_from.add(a.name)
    asker.ask(digest)
    quarter.run(0.1)
    b.kept_from.clear()
    asker.ask(digest)
    quarter.run(0.1)
    assert asker.found == [None, b"x" * 1000]
    assert len(b.files.asked) == 1


def test_no_more_is_under_way_than_there_is_credit_for(quarter: Quarter, two: tuple[Machine, Machine]) -> None:
    a, b = two
    asker, b.files.at_once = Asker(a, b), 20 * MIB
    asker.ask(b.files.put(bytes(20 * MIB)))
    quarter.street.cut.add((a.key, b.key))
    quarter.run(0.1)
    quarter.street.heal()
    while not pieces(quarter):
        quarter.run(LATENCY_S)
    quarter.street.cut.add((a.key, b.key))  # no credit comes any more
    quarter.run(1)
    assert len(pieces(quarter)) == CREDIT
    assert {size for _, size in pieces(quarter)} == {PIECE_BYTES}
    quarter.street.heal()
    quarter.run(1)
    assert asker.found == [bytes(20 * MIB)]


def test_a_small_answer_does_not_wait_for_a_large_one(quarter: Quarter, two: tuple[Machine, Machine]) -> None:
    a, b = two
    asker, b.files.at_once = Asker(a, b), 20 * MIB
    asker.ask(b.files.put(bytes(20 * MIB)))
    asker.ask(b.files.put(b"small"))
    quarter.run(1)
    assert asker.found == [b"small", bytes(20 * MIB)]


def test_all_questions_are_answered_however_many(quarter: Quarter, two: tuple[Machine, Machine]) -> None:
    a, b = two
    asker = Asker(a, b)
    digests = [b.files.put(bytes([number]) * 1000) for number in range(5 * AT_ONCE)]
    for digest in digests:
        asker.ask(digest)
    quarter.run(1)
    assert sorted(one or b"" for one in asker.found) == [bytes([number]) * 1000 for number in range(5 * AT_ONCE)]
    assert None not in asker.found


def test_many_small_parts_come_in_one_answer(quarter: Quarter, two: tuple[Machine, Machine]) -> None:
    a, b = two
    found: list[Sequence[bytes] | None] = []
    b.files.serve = lambda digest, first, doubted, done: done([b"%d" % number for number in range(5_000)])  # type: ignore[method-assign]
    a.board.ask(member(b.name), b"d", 0, False, found.append)
    quarter.run(1)
    assert found == [[b"%d" % number for number in range(PARTS)]]
    assert len(pieces(quarter)) == 1


def test_an_answer_that_is_too_large_is_none(
    quarter: Quarter, two: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "ANSWER_BYTES", 1000)
    a, b = two
    asker = Asker(a, b)
    asker.ask(b.files.put(bytes(1001)))
    quarter.run(1)
    assert asker.found == [None]


# -- what breaks off ---------------------------------------------------------------------------------------------------


def broken(quarter: Quarter, a: Machine, b: Machine) -> None:
    """In the middle of an answer."""
    before = len(pieces(quarter))
    while len(pieces(quarter)) == before:
        quarter.run(LATENCY_S)
    line = next(line for line in b.wires.lines if line.lane is Lane.BULK and not line.over)
    line.end()
    b.board.gone(line, "cut")


def test_what_breaks_off_is_asked_once_more(quarter: Quarter, two: tuple[Machine, Machine]) -> None:
    a, b = two
    asker, b.files.at_once = Asker(a, b), 20 * MIB
    digest = b.files.put(bytes(range(256)) * 4096 * 10)
    asker.ask(digest)
    broken(quarter, a, b)
    quarter.run(2)
    assert asker.found == [b.files.segments[digest]]
    assert len(b.files.asked) == 2


def test_what_breaks_off_twice_is_not_to_be_had(quarter: Quarter, two: tuple[Machine, Machine]) -> None:
    a, b = two
    asker, b.files.at_once = Asker(a, b), 20 * MIB
    asker.ask(b.files.put(bytes(10 * MIB)))
    broken(quarter, a, b)
    broken(quarter, a, b)
    quarter.run(2)
    assert asker.found == [None]


def test_an_answer_that_stops_is_given_up(quarter: Quarter, two: tuple[Machine, Machine]) -> None:
    a, b = two
    asker, b.files.is_mute = Asker(a, b), True
    asker.ask(b.files.put(b"x"))
    quarter.run(PATIENCE_MS / 1000 - 0.5)
    assert asker.found == []
    quarter.run(1)
    assert asker.found == [None]


def test_an_answer_that_goes_on_is_waited_for(quarter: Quarter, two: tuple[Machine, Machine]) -> None:
    a, b = two
    asker, b.files.at_once = Asker(a, b), 20 * MIB
    asker.ask(b.files.put(bytes(10 * MIB)))
    quarter.run(0.008)
    for _ in range(4):  # some of it each few seconds
        quarter.street.cut.add((a.key, b.key))
        quarter.run(PATIENCE_MS / 3000)
        quarter.street.heal()
        quarter.run(0.0015)
    quarter.run(1)
    assert asker.found == [bytes(10 * MIB)]


def test_what_nobody_waits_for_any_more_comes_to_nothing(
    quarter: Quarter, two: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two
    asker, b.files.is_mute = Asker(a, b), True
    late: list[object] = []
    monkeypatch.setattr(b.files, "serve_segment", lambda digest, start, done: late.append(done))
    asker.ask(b.files.put(b"x"))
    quarter.run(PATIENCE_MS / 1000 + 1)
    for done in late:
        done(b"late")  # type: ignore[operator]
    quarter.run(1)
    assert asker.found == [None]
    assert b.board.peers()[a.name].refused == {}


# -- bad intentions ----------------------------------------------------------------------------------------------------


def bulk_line(quarter: Quarter, rogue: Rogue, to: Machine) -> MemoryLine:
    line = rogue.dial(to, Lane.BULK)
    quarter.run(0.1)
    return line


def test_who_asks_too_much_at_once_is_told_no(quarter: Quarter) -> None:
    b, rogue = quarter.machine(1), quarter.rogue()
    digest, b.files.is_mute = b.files.put(b"x"), True
    line = bulk_line(quarter, rogue, b)
    for number in range(AT_ONCE + 3):
        line.send(frames.packed(Ask(number, Segment(digest, 0))))
    quarter.run(0.1)
    assert len(b.files.asked) == AT_ONCE
    refused = [one for one in rogue.frames() if isinstance(one, Head)]
    assert refused == [Head(number, None) for number in range(AT_ONCE, AT_ONCE + 3)]


def test_who_takes_nothing_holds_only_so_much(quarter: Quarter) -> None:
    b, rogue = quarter.machine(1), quarter.rogue()
    b.files.at_once = 20 * MIB
    digest = b.files.put(bytes(20 * MIB))
    line = bulk_line(quarter, rogue, b)
    for number in range(3):
        line.send(frames.packed(Ask(number, Segment(digest, 0))))
    quarter.run(1)
    sizes = [one.sizes for one in rogue.frames() if isinstance(one, Head)]
    assert sizes == [(20 * MIB,), None, None]
    for number in range(3 * PATIENCE_MS // 3000):
        quarter.run(3)
        line.send(frames.packed(frames.Ping(number)))  # it is alive
    line.send(frames.packed(Ask(9, Segment(digest, 0))))
    quarter.run(0.1)
    assert [one for one in rogue.frames() if isinstance(one, Head)][-1] == Head(
        9, (20 * MIB,)
    )  # the first was given up


UNEARNED = {
    "a credit for nothing": [Credit(1)],
    "a credit of less than nothing": [Ask(1, Segment(b"d", 0)), Credit(-1)],
    "a credit for what was not sent": [Ask(1, Segment(b"d", 0)), Credit(1)],
    "a letter": [frames.Parcel()],
}


@pytest.mark.parametrize("said", UNEARNED.values(), ids=UNEARNED)
def test_who_asks_what_may_not_be_asked_is_sent_away(quarter: Quarter, said: list[frames.AnyFrame]) -> None:
    b, rogue = quarter.machine(1), quarter.rogue()
    line = bulk_line(quarter, rogue, b)
    for one in said:
        line.send(frames.packed(one))
    quarter.run(0.2)
    assert line.over
    assert b.board.peers()[rogue.name].refused == {"malformed": 1}


def test_a_number_may_not_be_used_twice_at_once(quarter: Quarter) -> None:
    b, rogue = quarter.machine(1), quarter.rogue()
    b.files.is_mute = True
    line = bulk_line(quarter, rogue, b)
    for _ in range(2):
        line.send(frames.packed(Ask(1, Segment(b"d", 0))))
    quarter.run(0.2)
    assert line.over


WRONG: dict[str, list[tuple[frames.AnyFrame, bytes]]] = {
    "a piece before its head": [(Piece(1), b"x")],
    "more than was said": [(Head(1, (3,)), b""), (Piece(1), b"four")],
    "two heads": [(Head(1, (3,)), b""), (Head(1, (3,)), b"")],
    "sizes that nobody sends": [(Head(1, (1 << 40,)), b"")],
    "a negative size": [(Head(1, (5, -2)), b"")],
    "too many parts": [(Head(1, (0,) * (PARTS + 1)), b"")],
    "an empty piece": [(Head(1, (3,)), b""), (Piece(1), b"")],
    "too large a piece": [(Head(1, (MIB,)), b""), (Piece(1), bytes(PIECE_BYTES + 1))],
}


@pytest.mark.parametrize("said", WRONG.values(), ids=WRONG)
def test_who_answers_wrongly_is_sent_away(quarter: Quarter, said: list[tuple[frames.AnyFrame, bytes]]) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    rogue.wires.listen(HOST, 901)
    quarter.town.admit(rogue.name, rogue.wires.key, Path(HOST, 900, 901))
    rogue.admits = a.name
    found: list[bytes | None] = []
    a.board.ask_segment(member(rogue.name), b"d", 0, found.append)
    quarter.run(0.1)
    line = rogue.wires.lines[0]
    line.send(frames.packed(frames.Hello(1, 1, b"r" * 16)))
    quarter.run(0.1)
    for frame, load in said:
        line.send(frames.packed(frame), load)
    quarter.run(0.1)
    assert line.over
    assert found == []  # it is asked once more
    assert a.board.peers()[rogue.name].refused == {"malformed": 1}


def test_an_answer_to_what_nobody_asked_is_nothing(quarter: Quarter) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    line = bulk_line(quarter, rogue, a)
    line.send(frames.packed(Head(7, (3,))))
    line.send(frames.packed(Piece(7)), b"abc")
    quarter.run(0.1)
    assert not line.over

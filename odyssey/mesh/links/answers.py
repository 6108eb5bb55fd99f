"""The bulk lane to one peer: what this machine asks of it, and what it asks of this one.

An answer travels on the line it was asked on: a head with the sizes of its parts, then their bytes in pieces. Whoever
asked gives a credit for each piece it has taken, and no more pieces are under way than there is credit for. So several
answers share a line by turns, and neither side's memory grows with what the other does.

Promises: each question is answered once, with all its parts or with None; what came of an answer that breaks off is
dropped, and the question asked once more on the next line.
Never: holds more questions of one peer than it may ask, or more bytes of an answer than its head said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

from odyssey.clock import Clock
from odyssey.errors import Malformed
from odyssey.mesh.links.channel import Channel
from odyssey.mesh.links.frames import PIECE_BYTES, AnyFrame, Ask, Credit, Head, Piece, Question, Segment, Slices
from odyssey.mesh.links.ports import Line, Source

CREDIT: Final = 8  # pieces under way on one line
AT_ONCE: Final = 8  # questions of one peer
PARTS: Final = 1_000
ANSWER_BYTES: Final = 34 << 20  # the largest slice of a snapshot, and what may be with it
PATIENCE_MS: Final = 10_000  # without a byte
TRIES: Final = 2

Parts: TypeAlias = Sequence[bytes] | None


@dataclass(slots=True)
class _Asked:
    """A question of this machine."""

    question: Question
    done: Callable[[Parts], None]
    moved_ms: int
    line: Line | None = None
    tries: int = 0
    sizes: tuple[int, ...] | None = None
    pieces: list[bytes] = field(default_factory=list)
    missing: int = 0


@dataclass(slots=True)
class _Served:
    """The bytes of an answer on their way out."""

    number: int
    data: memoryview
    at: int = 0


@dataclass(slots=True)
class _Debt:
    """What this machine owes on one line."""

    moved_ms: int
    credit: int = CREDIT
    open: set[int] = field(default_factory=set)  # questions that are not answered in full
    turns: deque[_Served] = field(default_factory=deque)

    @property
    def held(self) -> int:
        return sum(len(one.data) for one in self.turns)

    def give_up(self) -> None:
        self.turns.clear()
        self.open.clear()


class Guarded(Source):
    """A source for one peer: asked each time whether it may have what is there."""

    def __init__(self, source: Source, may: Callable[[], bool]) -> None:
        self._source, self._may = source, may

    def serve(self, digest: bytes, first: int, doubted: bool, done: Callable[[Parts], None]) -> None:
        if self._may():
            self._source.serve(digest, first, doubted, done)
        else:
            done(None)

    def serve_segment(self, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None:
        if self._may():
            self._source.serve_segment(digest, start, done)
        else:
            done(None)


class Answers:
    def __init__(self, channel: Channel, clock: Clock, source: Source) -> None:
        self._channel, self._clock, self._source = channel, clock, source
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._debts: dict[Line, _Debt] = {}
        self._taken: dict[Line, int] = {}  # pieces for which no credit was given yet

    @property
    def wants(self) -> bool:
        return any(one.line is None for one in self._asked.values())

    @property
    def waiting(self) -> int:
        return len(self._asked)

    # -- asking --------------------------------------------------------------------------------------------------------

    def ask(self, question: Question, done: Callable[[Parts], None]) -> None:
        self._number += 1
        self._asked[self._number] = _Asked(question, done, self._clock.monotonic_ms())
        self._say()
        self._channel.need()

    def _say(self) -> None:
        line = self._channel.line
        if line is None:
            return
        under_way = sum(one.line is line for one in self._asked.values())
        for number, one in list(self._asked.items()):
            if one.line is None and under_way < AT_ONCE and self._channel.send(Ask(number, one.question), line=line):
                one.line, one.moved_ms, one.tries = line, self._clock.monotonic_ms(), one.tries + 1
                under_way += 1

    def up(self, _: bool) -> None:
        self._say()

    def down(self, line: Line) -> None:
        """A new number: what is still under way under the old one belongs to nothing."""
        self._debts.pop(line, None)
        self._taken.pop(line, None)
        broken = [(number, one) for number, one in self._asked.items() if one.line is line]
        for number, _ in broken:
            del self._asked[number]
        for _, one in broken:
            if one.tries >= TRIES:
                one.done(None)
            else:
                self._number += 1
                again = _Asked(one.question, one.done, self._clock.monotonic_ms(), tries=one.tries)
                self._asked[self._number] = again

    def unreached(self) -> None:
        """Others may have it."""
        self._give_up([number for number, one in self._asked.items() if one.line is None])

    def _give_up(self, numbers: Sequence[int]) -> None:
        for one in [self._asked.pop(number) for number in numbers]:
            one.done(None)

    def tick(self, now_ms: int) -> None:
        self._give_up([number for number, one in self._asked.items() if now_ms - one.moved_ms >= PATIENCE_MS])
        self._say()
        for line, debt in list(self._debts.items()):
            if now_ms - debt.moved_ms >= 2 * PATIENCE_MS:
                debt.give_up()  # so has whoever asked
            self._pay(line)

    # -- hearing -------------------------------------------------------------------------------------------------------

    def hear(self, line: Line, frame: AnyFrame, load: bytes) -> None:
        match frame:
            case Ask(number=number, question=question):
                self._serve(line, number, question)
            case Credit(pieces=pieces):
                self._earn(line, pieces)
            case Head(number=number, sizes=sizes):
                self._begin(line, number, sizes)
            case Piece(number=number):
                self._take(line, number, load)
            case _:
                raise Malformed(f"{type(frame).__name__} does not belong on the bulk lane")

    def _begin(self, line: Line, number: int, sizes: tuple[int, ...] | None) -> None:
        one = self._asked.get(number)
        if one is None:
            return  # nobody waits for it any more
        if one.line is not line or one.sizes is not None:
            raise Malformed(f"an answer to question {number} that is none")
        if sizes is None:
            self._end(number, None)
            return
        if len(sizes) > PARTS or min(sizes, default=0) < 0 or sum(sizes) > ANSWER_BYTES:
            raise Malformed(f"an answer of {len(sizes)} parts and {sum(sizes)} bytes")
        one.sizes, one.missing, one.moved_ms = sizes, sum(sizes), self._clock.monotonic_ms()
        if not one.missing:
            self._end(number, [b""] * len(sizes))

    def _take(self, line: Line, number: int, load: bytes) -> None:
        if not 0 < len(load) <= PIECE_BYTES:
            raise Malformed(f"a piece of {len(load)} bytes")
        self._give_credit(line)
        one = self._asked.get(number)
        if one is None:
            return
        if one.line is not line or one.sizes is None or len(load) > one.missing:
            raise Malformed(f"a piece of an answer to question {number} that is none")
        one.pieces.append(load)
        one.missing -= len(load)
        one.moved_ms = self._clock.monotonic_ms()
        if not one.missing:
            self._end(number, _parted(one.pieces, one.sizes))

    def _give_credit(self, line: Line) -> None:
        taken = self._taken.get(line, 0) + 1
        if taken >= CREDIT // 4 and self._channel.send(Credit(taken), line=line):
            taken = 0
        self._taken[line] = taken

    def _end(self, number: int, parts: Parts) -> None:
        self._asked.pop(number).done(parts)
        self._say()

    # -- answering -----------------------------------------------------------------------------------------------------

    def _serve(self, line: Line, number: int, question: Question) -> None:
        now = self._clock.monotonic_ms()
        debt = self._debts.setdefault(line, _Debt(now))
        if number in debt.open:
            raise Malformed(f"question {number} twice")
        if len(debt.open) >= AT_ONCE:
            self._channel.send(Head(number, None), line=line)
            return
        debt.open.add(number)
        debt.moved_ms = now
        match question:
            case Slices(digest=digest, first=first, doubted=doubted):
                self._source.serve(digest, first, doubted, lambda parts: self._found(line, number, parts))
            case Segment(digest=digest, start=start):
                self._source.serve_segment(
                    digest, start, lambda data: self._found(line, number, None if data is None else [data])
                )

    def _found(self, line: Line, number: int, parts: Parts) -> None:
        debt = self._debts.get(line)
        if debt is None or number not in debt.open:
            return  # whoever asked has gone
        some = parts[:PARTS] if parts is not None else None
        if some is not None and sum(map(len, some)) + debt.held > ANSWER_BYTES:
            some = None
        data = b"".join(some or ())
        head = Head(number, None if some is None else tuple(map(len, some)))
        if self._channel.send(head, line=line) and data:
            debt.turns.append(_Served(number, memoryview(data)))
            self._pay(line)
        else:
            debt.open.discard(number)

    def _earn(self, line: Line, pieces: int) -> None:
        debt = self._debts.get(line)
        if debt is None or not 0 < pieces <= CREDIT - debt.credit:
            raise Malformed(f"a credit of {pieces} that was not taken")
        debt.credit += pieces
        debt.moved_ms = self._clock.monotonic_ms()
        self._pay(line)

    def _pay(self, line: Line) -> None:
        """By turns, so that a small answer does not wait for the end of a large one."""
        debt = self._debts[line]
        while debt.turns and debt.credit:
            one = debt.turns[0]
            if not self._channel.send(Piece(one.number), one.data[one.at : one.at + PIECE_BYTES], line=line):
                return
            debt.credit -= 1
            one.at += PIECE_BYTES
            debt.turns.rotate(-1)
            if one.at >= len(one.data):
                debt.turns.pop()
                debt.open.discard(one.number)


def _parted(pieces: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if len(sizes) == 1:
        return [data]
    return [data[begin:end] for begin, end in pairwise([0, *accumulate(sizes)])]

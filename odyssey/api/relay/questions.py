"""What this machine asks of machines that keep the log: each question until its answer is whole, or nobody answers.

Promises: a question goes out again until somebody answers it; an answer is handed on once and in order; who does not
answer is asked no more, and the question fails with what a person can do.
Never: sends, waits or looks at a clock: letters are given back, times are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from odyssey.api.refusals import refused
from odyssey.api.relay.window import WINDOW_BYTES, Inbox
from odyssey.errors import OdysseyError, Unreachable
from odyssey.ids import NodeId
from odyssey.messages import Asked, AskKeeper, Parts, StopAsking, Taken

AGAIN_MS: Final = 500  # without an answer, the question goes out again
STILL_MS: Final = 1_000  # so often somebody who answers slowly is told that we still wait
SILENT_MS: Final = 6_000  # who says nothing for so long is not there
DOUBTED_MS: Final = 1_500  # nor is who says nothing for so long, when another one coordinates now

Letters = Iterator[tuple[NodeId, Asked]]
Heard = Callable[[Sequence[bytes], bool, OdysseyError | None], None]


class _Question:
    def __init__(self, ask: AskKeeper, keeper: NodeId, heard: Heard, now: int, is_for_leader: bool) -> None:
        self.ask, self.keeper, self.heard, self.is_for_leader = ask, keeper, heard, is_for_leader
        self.inbox = Inbox()
        self.waiting = 0  # bytes that have arrived and nobody has used yet
        self.is_known = False  # there
        self.answered_ms = self.said_ms = now

    @property
    def has_room(self) -> bool:
        return self.waiting < WINDOW_BYTES

    def taken(self, now: int) -> Taken:
        self.said_ms = now
        return Taken(self.ask.run, self.ask.number, self.inbox.taken, self.has_room)


class Questions:
    def __init__(self, run: int) -> None:
        self._run, self._number = run, 0
        self._open: dict[int, _Question] = {}

    def __len__(self) -> int:
        return len(self._open)

    def ask(
        self, keeper: NodeId, op: str, body: bytes, heard: Heard, now: int, is_for_leader: bool = False
    ) -> tuple[int, AskKeeper]:
        """`heard` is told what has come, whether that was all, and what is wrong. With `is_for_leader` it was asked
        because it coordinates."""
        self._number += 1
        ask = AskKeeper(self._run, self._number, op, body)
        self._open[self._number] = _Question(ask, keeper, heard, now, is_for_leader)
        return self._number, ask

    def stop(self, number: int) -> Letters:
        """Whoever asked has gone."""
        question = self._open.pop(number, None)
        if question is not None:
            yield question.keeper, StopAsking(self._run, number)

    def hear(self, sender: NodeId, letter: Parts, now: int) -> Letters:
        question = self._open.get(letter.number) if letter.run == self._run else None
        if question is None:
            if not letter.is_last or letter.refusal is None:  # nobody waits for it: it need not be kept
                yield sender, StopAsking(letter.run, letter.number)
            return
        if sender != question.keeper:
            return
        question.is_known, question.answered_ms = True, now
        new = question.inbox.accept(letter.first, letter.parts)
        is_over = letter.is_last and question.inbox.has_all(letter.first, letter.parts)
        if is_over:
            del self._open[letter.number]
            yield sender, StopAsking(self._run, letter.number)
        question.waiting += sum(map(len, new))
        if letter.parts and not is_over:
            yield sender, question.taken(now)
        if new or is_over:
            refusal = letter.refusal if is_over else None
            question.heard(new, is_over, None if refusal is None else refused(refusal))

    def used(self, number: int, size: int, now: int) -> Letters:
        """So many bytes of what came are not kept here any more."""
        question = self._open.get(number)
        if question is not None:
            was_full, question.waiting = not question.has_room, question.waiting - size
            if was_full and question.has_room:
                yield question.keeper, question.taken(now)

    def tick(self, now: int) -> Letters:
        for number, question in list(self._open.items()):
            if now - question.answered_ms >= SILENT_MS:
                yield self._given_up(number)
            elif now - question.said_ms >= (STILL_MS if question.is_known else AGAIN_MS):
                told = question.taken(now)
                yield question.keeper, told if question.is_known else question.ask

    def led_by(self, leader: NodeId | None, now: int) -> Letters:
        """Who was asked as the coordinator, says nothing, and coordinates no more, is not waited for."""
        for number, question in list(self._open.items()):
            is_deposed = question.is_for_leader and question.keeper != leader
            if is_deposed and now - question.answered_ms >= DOUBTED_MS:
                yield self._given_up(number)

    def _given_up(self, number: int) -> tuple[NodeId, Asked]:
        question = self._open.pop(number)
        hint = "it may have gone just now: try again; see odyssey nodes"
        question.heard((), True, Unreachable("the machine that was asked does not answer", hint=hint))
        return question.keeper, StopAsking(self._run, number)

    def lost(self, keeper: NodeId, now: int) -> Letters:
        """What was on its way to or from it may be lost: it is asked again at once."""
        for question in self._open.values():
            if question.keeper == keeper:
                question.said_ms = now - STILL_MS
        yield from self.tick(now)

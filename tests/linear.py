"""Is a history linearizable? Could each call have taken effect at one moment between its asking and its answer?

The search is that of Wing and Gong with Lowe's memory: take a call that may come next, see whether its answer fits, go
on; where nothing fits go back, and never try again what was tried: the same calls done with the same state before them.
A call nobody had an answer to may have taken effect at any time after it was asked, or never. A history of independent
things is linearizable when that of each thing is, so it is cut into those first (`by_thing`), and stays cheap.

Promises: exact, in both directions; a refusal names the calls that fit nowhere.
Never: takes two calls that only touch for one after the other: with equal moments they overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

Ask = TypeVar("Ask", bound=Hashable)
Answer = TypeVar("Answer")
State = TypeVar("State", bound=Hashable)
Ask_contra = TypeVar("Ask_contra", contravariant=True)
Answer_contra = TypeVar("Answer_contra", contravariant=True)


class Unknown:
    """The answer that never came."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Call(Generic[Ask, Answer]):
    ask: Ask
    answer: Answer | Unknown
    begin: int
    end: int = 0  # of no meaning when the answer is unknown

    @property
    def is_known(self) -> bool:
        return not isinstance(self.answer, Unknown)


class Model(Protocol[State, Ask_contra, Answer_contra]):
    """One thing, when only one call happens at a time."""

    @property
    def first(self) -> State: ...

    def step(self, state: State, ask: Ask_contra, answer: Answer_contra | Unknown) -> State | None:
        """The state after it, or None: this answer cannot be. To an unknown answer there is always a state."""
        ...


class Refusal(NamedTuple):
    """As far as any order came, and what fitted next in none that came so far."""

    done: tuple[object, ...]
    stuck: object


def by_thing(calls: Iterable[Call[Ask, Answer]], thing: Callable[[Ask], Hashable]) -> list[list[Call[Ask, Answer]]]:
    parts: dict[Hashable, list[Call[Ask, Answer]]] = {}
    for call in calls:
        parts.setdefault(thing(call.ask), []).append(call)
    return list(parts.values())


def refusal(model: Model[State, Ask, Answer], calls: Sequence[Call[Ask, Answer]]) -> Refusal | None:
    """None: it is linearizable."""
    return _Search(model, calls).run()


class _Event:
    """A call's asking or its answer, in a list by time that calls are taken out of and put back into."""

    __slots__ = ("call", "is_end", "next", "number", "partner", "prev")

    def __init__(self, number: int, call: Call[Any, Any], is_end: bool) -> None:
        self.number, self.call, self.is_end = number, call, is_end
        self.prev: _Event | None = None
        self.next: _Event | None = None
        self.partner: _Event | None = None

    def take_out(self) -> None:
        assert self.prev is not None
        self.prev.next = self.next
        if self.next is not None:
            self.next.prev = self.prev

    def put_back(self) -> None:
        assert self.prev is not None
        self.prev.next = self
        if self.next is not None:
            self.next.prev = self


class _Search(Generic[State, Ask, Answer]):
    def __init__(self, model: Model[State, Ask, Answer], calls: Sequence[Call[Ask, Answer]]) -> None:
        self._model = model
        self._calls = calls
        self._open = sum(call.is_known for call in calls)  # answers still to be explained
        self._before = _twins(calls)
        self._head = _linked(calls)
        self._state: State = model.first
        self._taken = 0  # one bit for each call
        self._order: list[tuple[_Event, State]] = []
        self._tried: set[tuple[int, State]] = set()
        self._best: Refusal = Refusal((), None)

    def run(self) -> Refusal | None:
        at = self._head.next
        while self._open:
            assert at is not None  # an open call has its answer further on
            if at.is_end:
                self._note(at)
                if not self._order:
                    return self._best
                at = self._go_back()
            else:
                at = self._head.next if self._take(at) else at.next
        return None

    def _take(self, event: _Event) -> bool:
        bit, twin = 1 << event.number, self._before[event.number]
        if twin and not self._taken & twin:
            return False
        call: Call[Ask, Answer] = event.call
        after = self._model.step(self._state, call.ask, call.answer)
        if after is None or (not call.is_known and after == self._state):
            return False
        if (self._taken | bit, after) in self._tried:
            return False
        self._tried.add((self._taken | bit, after))
        self._order.append((event, self._state))
        self._state, self._taken = after, self._taken | bit
        self._open -= call.is_known
        event.take_out()
        if event.partner is not None:
            event.partner.take_out()
        return True

    def _go_back(self) -> _Event | None:
        event, self._state = self._order.pop()
        if event.partner is not None:
            event.partner.put_back()
        event.put_back()
        self._taken &= ~(1 << event.number)
        self._open += event.call.is_known
        return event.next

    def _note(self, end: _Event) -> None:
        if self._best.stuck is None or len(self._order) > len(self._best.done):
            self._best = Refusal(tuple(event.call for event, _ in self._order), end.call)


def _linked(calls: Sequence[Call[Ask, Answer]]) -> _Event:
    """In the order of time; of what happens at one moment, askings first."""
    events: list[tuple[int, bool, int, _Event]] = []
    for number, call in enumerate(calls):
        begin = _Event(number, call, False)
        events.append((call.begin, False, number, begin))
        if call.is_known:
            begin.partner = _Event(number, call, True)
            events.append((call.end, True, number, begin.partner))
    head = last = _Event(-1, Call(None, UNKNOWN, 0), False)
    for *_, event in sorted(events, key=lambda one: one[:3]):
        last.next, event.prev = event, last
        last = event
    return head


def _twins(calls: Sequence[Call[Ask, Answer]]) -> list[int]:
    """Unknown calls that ask the same are as good as each other: the earlier one goes first. Its bit, by call."""
    before = [0] * len(calls)
    newest: dict[Ask, int] = {}
    for number in sorted(range(len(calls)), key=lambda one: calls[one].begin):
        if not calls[number].is_known:
            before[number] = newest.get(calls[number].ask, 0)
            newest[calls[number].ask] = 1 << number
    return before

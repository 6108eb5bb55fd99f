"""The checker of histories: those that are linearizable, those that are not, and a slow checker that must agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, combinations, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.linear import UNKNOWN, Call, Model, refusal
from tests.linear_jobs import (
    ABSENT,
    ACCEPTED,
    CLOSED,
    DONE,
    ENDED,
    JOBS,
    LIVE,
    TOO_LATE,
    Ask,
    Told,
    What,
    complaints,
)

JobCall = Call[Ask, Told]


def submit(begin: int, end: int, job: int, client: int = 1) -> JobCall:
    return Call(Ask(What.SUBMIT, client), Told(job, DONE), begin, end)


def cancel(begin: int, end: int, word: str = ACCEPTED, client: int = 1) -> JobCall:
    return Call(Ask(What.CANCEL, client), Told(0, word), begin, end)


def get(begin: int, end: int, word: str, job: int = 0, client: int = 1) -> JobCall:
    return Call(Ask(What.GET, client), Told(job, word), begin, end)


def nobody_knows(what: What, begin: int, client: int = 1) -> JobCall:
    return Call(Ask(what, client), UNKNOWN, begin)


SOUND = {
    "nothing": [],
    "one after the other": [
        submit(1, 2, 7),
        get(3, 4, LIVE, 7),
        cancel(5, 6),
        get(7, 8, CLOSED, 7),
        get(9, 10, ENDED, 7),
    ],
    "the same submit again": [submit(1, 4, 7), submit(2, 3, 7), submit(5, 6, 7)],
    "a look while the cancel is under way": [submit(1, 2, 7), cancel(3, 8), get(4, 5, LIVE, 7), get(6, 7, CLOSED, 7)],
    "it ends by itself": [submit(1, 2, 7), get(3, 4, ENDED, 7), cancel(5, 6, TOO_LATE)],
    "ended before the cancel came": [submit(1, 2, 7), cancel(3, 6, TOO_LATE), get(4, 5, LIVE, 7)],
    "an unknown submit that took effect late": [nobody_knows(What.SUBMIT, 1), get(2, 3, ABSENT), get(4, 5, LIVE, 7)],
    "an unknown submit that never did": [nobody_knows(What.SUBMIT, 1), get(2, 3, ABSENT), get(4, 5, ABSENT)],
    "an unknown cancel that took effect late": [
        submit(1, 2, 7),
        nobody_knows(What.CANCEL, 3),
        get(4, 5, LIVE, 7),
        get(6, 7, CLOSED, 7),
    ],
    "an unknown cancel that never did": [submit(1, 2, 7), nobody_knows(What.CANCEL, 3), get(4, 5, LIVE, 7)],
    "on the log, and no more was said": [submit(1, 2, 0), get(3, 4, LIVE, 7), cancel(5, 6, DONE), get(7, 8, CLOSED, 7)],
    "two people at once": [submit(1, 4, 8, 1), submit(2, 3, 7, 2)],
    "numbers in between that nobody was told": [submit(1, 2, 7, 1), submit(3, 4, 12, 2)],
}

BROKEN = {
    "a stale look after an acknowledged cancel": [submit(1, 2, 7), cancel(3, 4), get(5, 6, LIVE, 7)],
    "two numbers for one submit": [submit(1, 2, 7), submit(3, 4, 8)],
    "another number when looked at": [submit(1, 2, 7), get(3, 4, LIVE, 8)],
    "a look that goes back": [submit(1, 2, 7), get(3, 4, ENDED, 7), get(5, 6, LIVE, 7)],
    "a look that goes back from closed": [
        submit(1, 2, 7),
        nobody_knows(What.CANCEL, 3),
        get(4, 5, CLOSED, 7),
        get(6, 7, LIVE, 7),
    ],
    "an acknowledged submit that is lost": [submit(1, 2, 7), get(3, 4, ABSENT)],
    "an acknowledged submit the cancel does not find": [submit(1, 2, 7), cancel(3, 4, ABSENT)],
    "closed, and nobody cancelled": [submit(1, 2, 7), get(3, 4, CLOSED, 7)],
    "closed before anybody cancelled": [submit(1, 2, 7), get(3, 4, CLOSED, 7), nobody_knows(What.CANCEL, 5)],
    "there before it was sent": [get(1, 2, LIVE, 7), submit(3, 4, 7)],
    "accepted after the end": [submit(1, 2, 7), get(3, 4, ENDED, 7), cancel(5, 6)],
    "one number for two": [submit(1, 2, 7, 1), submit(3, 4, 7, 2)],
    "a later one with the smaller number": [submit(1, 2, 8, 1), submit(3, 4, 7, 2)],
    "what was not accepted and shows": [submit(1, 2, 7), get(3, 4, LIVE, 7), cancel(5, 6, "odd")],
}


@pytest.mark.parametrize("history", SOUND.values(), ids=SOUND)
def test_what_can_have_been(history: list[JobCall]) -> None:
    assert list(complaints(history)) == []


@pytest.mark.parametrize("history", BROKEN.values(), ids=BROKEN)
def test_what_cannot_have_been(history: list[JobCall]) -> None:
    assert list(complaints(history))


def test_a_complaint_says_where_it_stuck() -> None:
    told = next(iter(complaints(BROKEN["an acknowledged submit that is lost"])))
    assert told == "client 1: after submit [1-2] 7 done: no place for get [3-4] absent"


def test_thousands_of_calls_come_to_an_end() -> None:
    """Many at once, many that nobody knows the end of, and one answer that is wrong: all orders would be tried."""
    history = list(chain.from_iterable(_busy(client, 40 * client) for client in range(300)))
    assert len(history) > 3000
    assert list(complaints(history)) == []
    history[-1] = get(40 * 300, 40 * 300 + 1, ABSENT, 0, 299)
    assert len(list(complaints(history))) == 1


def _busy(client: int, at: int) -> Iterator[JobCall]:
    yield submit(at, at + 5, client + 1, client)
    yield from (nobody_knows(What.CANCEL, at + 6, client) for _ in range(4))
    yield from (get(at + 7, at + 30 - late, LIVE, client + 1, client) for late in range(4))
    yield from (get(at + 31, at + 35, CLOSED, client + 1, client) for _ in range(4))


# -- against a checker that tries everything ---------------------------------------------------------------------------


def by_force(model: Model[Any, Any, Any], calls: Sequence[Call[Any, Any]]) -> bool:
    known = [call for call in calls if call.is_known]
    unknown = [call for call in calls if not call.is_known]
    chosen = chain.from_iterable(combinations(unknown, size) for size in range(len(unknown) + 1))
    return any(fits(model, order) for some in chosen for order in permutations([*known, *some]))


def fits(model: Model[Any, Any, Any], order: Sequence[Call[Any, Any]]) -> bool:
    for place, call in enumerate(order):
        if any(later.is_known and later.end < call.begin for later in order[place:]):
            return False
    state = model.first
    for call in order:
        state = model.step(state, call.ask, call.answer) if state is not None else None
    return state is not None


class Register:
    """Holds what was written last; to write nothing (0) asks what it is."""

    first = 0

    def step(self, state: int, ask: int, answer: object) -> int | None:
        if ask:
            return ask
        return state if answer is UNKNOWN or answer == state else None


@st.composite
def of_a_register(draw: st.DrawFn) -> list[Call[int, int]]:
    calls = []
    for _ in range(draw(st.integers(1, 6))):
        ask, begin = draw(st.integers(0, 3)), draw(st.integers(0, 8))
        answer = UNKNOWN if draw(st.integers(0, 4)) == 0 else draw(st.integers(0, 3))
        calls.append(Call(ask, answer, begin, begin + draw(st.integers(1, 8))))
    return calls


@settings(max_examples=400)
@given(of_a_register())
def test_it_agrees_with_who_tries_everything_about_a_register(calls: list[Call[int, int]]) -> None:
    assert (refusal(Register(), calls) is None) == by_force(Register(), calls)


ASKS = st.sampled_from([Ask(what, 1) for what in What])
WORDS = {
    What.SUBMIT: (Told(7, DONE), Told(0, DONE), Told(8, DONE)),
    What.CANCEL: tuple(Told(0, word) for word in (ACCEPTED, TOO_LATE, ABSENT, DONE)),
    What.GET: (Told(0, ABSENT), *(Told(job, word) for word in (LIVE, CLOSED, ENDED) for job in (7, 8))),
}


@st.composite
def any_history(draw: st.DrawFn, most: int = 5) -> list[JobCall]:
    return [draw(any_call()) for _ in range(draw(st.integers(1, most)))]


@st.composite
def any_call(draw: st.DrawFn) -> JobCall:
    ask = draw(ASKS)
    begin = draw(st.integers(0, 12))
    told = UNKNOWN if draw(st.integers(0, 3)) == 0 else draw(st.sampled_from(WORDS[ask.what]))
    return Call(ask, told, begin, begin + draw(st.integers(1, 8)))


@given(any_history())
def test_it_agrees_with_who_tries_everything(history: list[JobCall]) -> None:
    assert (refusal(JOBS, history) is None) == by_force(JOBS, history)


@st.composite
def sequential(draw: st.DrawFn, most: int) -> list[JobCall]:
    """Calls that took effect one after the other, each somewhere between its asking and its answer."""
    state, history = JOBS.first, []
    for moment in range(10, 10 * draw(st.integers(2, most)), 10):
        ask = draw(ASKS)
        possible = [told for told in WORDS[ask.what] if JOBS.step(state, ask, told) is not None]
        told = draw(st.sampled_from(possible))
        after = JOBS.step(state, ask, told)
        assert after is not None
        state = after
        begin, end = moment - draw(st.integers(0, 30)), moment + draw(st.integers(0, 30))
        history.append(Call(ask, UNKNOWN if draw(st.integers(0, 5)) == 0 else told, begin, end))
    return history


@given(sequential(40))
def test_what_happened_in_some_order_is_accepted(history: list[JobCall]) -> None:
    assert refusal(JOBS, history) is None


@given(sequential(6), st.data())
def test_a_changed_answer_is_refused_if_it_fits_nowhere(history: list[JobCall], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(history) - 1))
    call = history[place]
    other = data.draw(st.sampled_from(WORDS[call.ask.what]))
    history[place] = Call(call.ask, other, call.begin, call.end)
    assert (refusal(JOBS, history) is None) == by_force(JOBS, history)

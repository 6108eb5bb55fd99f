"""What daemon and supervisor say to each other, however it is cut on its way."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.exec.supervisor import frames
from odyssey.exec.supervisor.frames import Garbled, Splitter, packed
from odyssey.exec.supervisor.orders import Reader, attempt_in, packed_env
from odyssey.exec.supervisor.orders import packed as packed_order
from odyssey.exec.supervisor.spans import Spans
from odyssey.model import Outcome

U64 = st.integers(0, (1 << 64) - 1)
S64 = st.integers(-(1 << 63), (1 << 63) - 1)
TAIL = st.binary(max_size=300)
MESSAGES = st.one_of(
    st.builds(frames.Hello, st.integers(0, 65535), st.integers(0, 1 << 31), S64, TAIL),
    st.builds(frames.Start, U64, U64, U64, U64, U64, TAIL),
    st.builds(frames.Follow, U64, U64, U64, U64, U64, TAIL),
    st.builds(frames.Refuse, U64, U64, st.integers(0, 255), TAIL),
    st.builds(frames.Lease, S64, U64),
    st.builds(frames.Kill, U64),
    st.builds(frames.Keys, U64, U64, U64, st.integers(0, 65535), st.integers(0, 65535), TAIL),
    st.builds(frames.Typed, U64, U64, S64),
    st.builds(frames.Wrote, U64),
    st.builds(frames.End),
    st.builds(frames.Held, U64, U64, st.integers(0, 1), S64, U64),
    st.builds(
        frames.Ended, U64, U64, st.integers(0, 8), st.integers(0, 255), U64, U64, U64, U64, U64, st.just(0), U64, TAIL
    ),
)


@given(st.lists(MESSAGES), st.data())
def test_they_come_as_they_went_however_they_are_cut(sent: list[frames.Message], data: st.DataObject) -> None:
    stream = b"".join(map(packed, sent))
    splitter, got = Splitter(), list[frames.Message]()
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        got += splitter.feed(stream[:cut])
        stream = stream[cut:]
    assert got == sent


@given(st.binary())
def test_other_bytes_are_refused_or_waited_for(noise: bytes) -> None:
    splitter = Splitter()
    with suppress(Garbled):
        list(splitter.feed(noise))


def test_what_claims_too_much_is_refused_before_it_comes() -> None:
    with pytest.raises(Garbled):
        list(Splitter().feed((frames.MOST + 1).to_bytes(4, "big") + b"\x0a"))
    with pytest.raises(Garbled):
        packed(frames.Start(1, 1, 1, 0, 0, bytes(frames.MOST)))


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_a_frame_that_is_too_short_for_its_kind_is_refused(cut: int) -> None:
    data = packed(frames.Start(1, 1, 1, 0, 0, b""))
    body = data[frames.HEAD_BYTES : -cut]
    with pytest.raises(Garbled):
        frames.read(data[4], body)


def test_the_numbers_of_ends_are_those_of_the_model() -> None:
    assert {name: getattr(frames, name) for name in Outcome.__members__} == {one.name: one.value for one in Outcome}


WORDS = st.binary(max_size=20).map(lambda word: word.replace(b"\0", b"x"))
SIZES = st.tuples(st.integers(0, 65535), st.integers(0, 65535))
NAMES = st.binary(min_size=1, max_size=9).map(lambda word: word.replace(b"\0", b"x").replace(b"=", b"y"))


@given(
    U64, st.lists(WORDS, min_size=1), st.dictionaries(NAMES, WORDS), st.dictionaries(NAMES, WORDS), WORDS, TAIL, SIZES
)
def test_orders_come_as_they_went(
    attempt: int,
    argv: list[bytes],
    common: dict[bytes, bytes],
    own: dict[bytes, bytes],
    cwd: bytes,
    stdin: bytes,
    size: tuple[int, int],
) -> None:
    data = packed_order(attempt, 1 << 20, tuple(argv), packed_env(common), own, cwd, stdin, size)
    reader = Reader()
    for _ in range(2):
        order = reader.read(data)
        assert tuple(order) == (1 << 20, tuple(argv), common | own, cwd, stdin, size)
    assert attempt_in(data) == attempt


def test_an_order_that_is_cut_is_refused() -> None:
    data = packed_order(1, 1 << 20, (b"true",), b"", {}, b"/", b"")
    for end in range(len(data)):
        with pytest.raises(ValueError, match="cut"):
            Reader().read(data[:end])


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 20))))
def test_spans_are_a_set(added: list[tuple[int, int]]) -> None:
    spans, plain = Spans(), set[int]()
    for start, length in added:
        spans.add(start, start + length)
        plain.update(range(start, start + length))
    assert {number for number in range(250) if number in spans} == plain
    told = spans.spans()
    assert all(before[1] < after[0] for before, after in pairwise(told))


def test_too_many_spans_are_given_up_from_below_and_said_to_be_there() -> None:
    spans = Spans(most=10)
    for number in range(0, 400, 2):
        spans.add(number)
        assert len(spans.spans()) <= 10
    assert all(number in spans for number in range(0, 400, 2))
    assert 399 not in spans

"""The decoder: what is sent is read back; what is not right is refused, by name, and in bounded memory."""

from __future__ import annotations

import enum
import math
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any, TypeAlias

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey import wire
from odyssey.errors import Malformed, NotUnderstood, TooLarge, WireError
from odyssey.resources import Resources
from odyssey.wire import ENTRY, ITEM, Limits


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Base(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    pass


class Note(Base, frozen=True, tag=1):
    job: int
    text: str = ""
    key: bytes = b""
    load: float = 0.0
    labels: dict[str, int] = {}


class Move(Base, frozen=True, tag=2):
    needs: Resources
    notes: tuple[Note, ...] = ()
    colour: Colour = Colour.RED


class Beat(msgspec.Struct, frozen=True, array_like=True, tag="beat"):
    """A message: further fields are for newer versions."""

    number: int


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: int


Order: TypeAlias = Note | Move

ints = st.integers(min_value=-(1 << 63), max_value=(1 << 64) - 1)
texts = st.text(max_size=20)
amounts = st.integers(min_value=0, max_value=1 << 53)
notes = st.builds(
    Note,
    ints,
    texts,
    st.binary(max_size=40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.dictionaries(texts, ints, max_size=3),
)
moves = st.builds(
    Move,
    st.builds(Resources, amounts, amounts),
    st.lists(notes, max_size=3).map(tuple),
    st.sampled_from(Colour),
)
orders = st.one_of(notes, moves)

# What MessagePack can say, as it is read: arrays are tuples.
leaves = st.one_of(st.none(), st.booleans(), ints, texts, st.binary(max_size=20), st.floats(allow_nan=False))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, min_size=16, max_size=20).map(tuple),
        st.dictionaries(st.one_of(texts, ints), inner, max_size=4),
    ),
    max_leaves=40,
)


raw = msgspec.msgpack.encode  # what somebody else may send: our own encoder sorts, so it takes text keys only


def read(data: bytes, kind: Any = Any, limits: Limits = ITEM) -> Any:
    return wire.decode(data, kind, limits)


def refused(data: bytes, kind: Any = Any, limits: Limits = ITEM) -> str:
    with pytest.raises(WireError) as caught:
        wire.decode(data, kind, limits)
    return type(caught.value).__name__


def read_or_refused(data: bytes, kind: Any = Any, limits: Limits = ITEM) -> bool:
    """Any other error than a WireError goes through and fails the test."""
    try:
        wire.decode(data, kind, limits)
    except WireError:
        return False
    return True


# ---- what is sent is read back -----------------------------------------------------------------------------------


@given(orders)
def test_a_record_comes_back_equal_through_every_door(order: Order) -> None:
    assert wire.decode(wire.encode(order), Order) == order
    assert wire.decode_log(wire.encode_log(order), Order) == order
    assert wire.decode_message(wire.encode_message(order), Order) == order


@given(trees.filter(lambda tree: not holds_infinity(tree)))
def test_plain_values_come_back_equal(tree: object) -> None:
    assert read(raw(tree)) == tree


@given(st.dictionaries(texts, ints, min_size=2))
def test_equal_records_are_equal_bytes(labels: dict[str, int]) -> None:
    turned = dict(reversed(labels.items()))
    assert wire.encode(Note(1, labels=labels)) == wire.encode(Note(1, labels=turned))


# ---- what is not right is refused --------------------------------------------------------------------------------


@given(orders)
def test_every_truncation_and_every_addition_is_refused(order: Order) -> None:
    data = wire.encode(order)
    for end in range(len(data)):
        assert refused(data[:end], Order) == "Malformed"
    assert refused(data + b"\xc0", Order) == "Malformed"
    assert refused(data + data, Order) == "Malformed"


KINDS: list[Any] = [Any, Order, Note, Move, Resources, Colour, bytes, str, float, list[int], dict[str, Any]]


@given(st.binary(max_size=300), st.sampled_from(KINDS))
def test_any_bytes_are_read_or_refused(data: bytes, kind: Any) -> None:
    read_or_refused(data, kind)


@given(orders, st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255), st.sampled_from("=+-"))), st.data())
def test_damaged_records_are_read_or_refused(
    order: Order, damage: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    damaged = bytearray(wire.encode(order))
    for place, byte, how in damage:
        at = place % (len(damaged) + 1)
        damaged[at : at + (how != "+")] = b"" if how == "-" else bytes([byte])
    read_or_refused(bytes(damaged), data.draw(st.sampled_from(KINDS)))


@given(trees, st.sampled_from(KINDS))
def test_wrongly_typed_values_are_read_or_refused(tree: object, kind: Any) -> None:
    read_or_refused(raw(tree), kind)


@pytest.mark.parametrize(
    ("value", "kind", "where"),
    [
        ([1, "nine"], Order, "$[1]"),
        ([2, [0, 0, "many"]], Order, "$[1][2]"),
        ([2, [0, 0], [[1, 5], [1, None]]], Order, "$[2][1][1]"),
        ([1, 5, "", "text for bytes"], Order, "$[3]"),
        ([1, 5, b"bytes for text"], Order, "$[2]"),
        ([1, True], Order, "$[1]"),
        ([1, 5.0], Order, "$[1]"),
        (["one", 5], Order, "$[0]"),
        ([1], Order, "at least length 2"),
        ({"job": 5}, Order, "array"),
        ([2, [-1]], Order, "$[1][0]"),
        ({}, Named, "number"),
    ],
)
def test_a_mismatch_says_where_it_is(value: object, kind: Any, where: str) -> None:
    with pytest.raises(Malformed) as caught:
        read(raw(value), kind)
    assert where in caught.value.message


@pytest.mark.parametrize("value", [{"x" * 60_000: 1}, {"number": 1, "y" * 60_000: 1}])
def test_a_refusal_does_not_repeat_what_it_refuses(value: object) -> None:
    with pytest.raises(WireError) as caught:
        read(raw(value), Named)
    assert len(caught.value.message) <= 200


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("around", [lambda x: x, lambda x: [1, [x]], lambda x: {"a": [0, {"b": x}]}])
@pytest.mark.parametrize("form", [">Bf", ">Bd"])
def test_numbers_that_are_not_finite_are_refused(number: float, around: Callable[[object], object], form: str) -> None:
    packed = struct.pack(form, 0xCA if form == ">Bf" else 0xCB, number)
    data = wire.encode(around(b"@")).replace(wire.encode(b"@"), packed)
    assert refused(data) == "Malformed"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",  # never used by MessagePack
        b"\xa2\xff\xfe",  # not UTF-8
        b"\xa3\xed\xa0\x80",  # half of a surrogate pair
        b"\x82\x01\xc0\x01\xc0",  # the key 1 twice
        b"\x82\xa1a\xc0\xa1a\xc0",
        b"\x81\x90\xc0",  # keys: array, bytes, bool, nil, float
        b"\x81\xc4\x01a\xc0",
        b"\x81\xc3\xc0",
        b"\x81\xc0\xc0",
        b"\x81\xca\x00\x00\x00\x00\xc0",
    ],
)
@pytest.mark.parametrize("kind", [Any, dict[Any, Any], Order])
def test_bytes_that_are_no_value_are_refused(data: bytes, kind: Any) -> None:
    assert refused(data, kind) == "Malformed"
    assert refused(b"\x92\x01" + data, kind) == "Malformed"


@pytest.mark.parametrize("code", [-128, -2, -1, 0, 1, 127])
@pytest.mark.parametrize("length", [0, 1, 4, 8, 12, 16, 100])
def test_extension_types_are_refused(code: int, length: int) -> None:
    ext = msgpack.packb(msgpack.ExtType(code, bytes(length))) if code >= 0 else raw_ext(code, length)
    assert not read_or_refused(ext)
    assert not read_or_refused(b"\x92\x01" + ext)


def raw_ext(code: int, length: int) -> bytes:
    return struct.pack(">BBb", 0xC7, length, code) + bytes(length)


# ---- limits ------------------------------------------------------------------------------------------------------


def test_too_many_bytes_are_refused_unseen() -> None:
    """Even where the first byte is already wrong."""
    small = Limits(bytes=10, array=9, map=9, str=9, bin=9, depth=9)
    assert refused(b"\xc1" * 11, limits=small) == "TooLarge"
    assert refused(b"\xc1" * 10, limits=small) == "Malformed"


ROOMY = Limits(bytes=1 << 20, array=1 << 20, map=1 << 20, str=1 << 20, bin=1 << 20, depth=1 << 20)


@pytest.mark.parametrize(
    ("field", "of_size"),
    [
        ("array", lambda n: [0] * n),
        ("array", lambda n: [[1, [0] * n], 1]),
        ("str", lambda n: "x" * n),
        ("str", lambda n: {"x" * n: 1}),
        ("bin", lambda n: b"x" * n),
        ("map", lambda n: dict.fromkeys(range(n - 1))),  # a map counts as one, each entry as one more
        ("map", lambda n: [{}] * n),
        ("map", lambda n: [{}] * (n - 3) + [{"a": {}}]),
    ],
)
@pytest.mark.parametrize("most", [3, 15, 16, 40, 300, 70_000])
def test_each_limit_is_exact(field: str, of_size: Callable[[int], object], most: int) -> None:
    limits = ROOMY._replace(**{field: most})
    assert read_or_refused(raw(of_size(most)), limits=limits)
    assert refused(raw(of_size(most + 1)), limits=limits) == "TooLarge"


def nesting(tree: object) -> int:
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, tuple) else None
    return 0 if children is None else 1 + max((nesting(child) for child in children), default=0)


def holds_infinity(tree: object) -> bool:
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, tuple) else ()
    return (isinstance(tree, float) and math.isinf(tree)) or any(holds_infinity(child) for child in children)


@given(trees, st.integers(min_value=0, max_value=6))
def test_nesting_and_infinity_are_seen_wherever_they_are(tree: object, depth: int) -> None:
    allowed = nesting(tree) <= depth and not holds_infinity(tree)
    assert read_or_refused(raw(tree), limits=ITEM._replace(depth=depth)) == allowed


@pytest.mark.parametrize("open_one", [b"\x91", b"\x81\x01", b"\xdc\x00\x01", b"\xdf\x00\x00\x00\x01\xa1a"])
@pytest.mark.parametrize("limits", [ITEM, ENTRY])
def test_nesting_is_refused_at_any_depth_beyond_the_limit(open_one: bytes, limits: Limits) -> None:
    assert read_or_refused(open_one * limits.depth + b"\x01", limits=limits)
    for depth in (limits.depth + 1, 500, 1023, 1024, 1025, 5000):
        assert refused(open_one * depth + b"\x01", limits=limits) == "TooLarge"


@pytest.mark.parametrize("kind", [Any, Order, list[Any], dict[Any, Any]])
@pytest.mark.parametrize("open_one", [b"\x91", b"\x92", b"\x81\x01", b"\xdc\x00\x01"])
def test_a_hundred_thousand_levels_are_refused(open_one: bytes, kind: Any) -> None:
    assert refused(open_one * 100_000 + b"\x01", kind, ENTRY) == "TooLarge"


# ---- memory ------------------------------------------------------------------------------------------------------

# The worst found: arrays around arrays take 48 bytes for each byte, and maps of one 83, as long as maps are allowed.
MOST_PER_BYTE = 96
ALLOWANCE = 64 << 10


def memory_taken(data: bytes, kind: Any, limits: Limits) -> int:
    tracemalloc.start()
    try:
        read_or_refused(data, kind, limits)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def array_of(element: bytes, size: int) -> bytes:
    """About so many bytes of one element, in arrays that are not too long to be read."""
    count = min(size // len(element), ENTRY.array)
    inner = b"\xdd" + struct.pack(">I", count) + element * count
    outer = max(1, size // (len(inner) + 1))
    return b"\xdc" + struct.pack(">H", outer) + inner * outer


MIB = (1 << 20) - 64
BOMBS = {
    "empty maps": array_of(b"\x80", MIB),
    "empty arrays": array_of(b"\x90", MIB),
    "arrays of one": array_of(b"\x91\x01", MIB),
    "deep arrays": array_of(b"\x91" * 13 + b"\x01", MIB),
    "maps of one": array_of(b"\x81\x01\x01", MIB),
    "wide maps": array_of(b"\x8f" + bytes(range(15)) * 2, MIB),
    "short texts": array_of(b"\xa2\xd0\xb0", MIB),
    "short bytes": array_of(b"\xc4\x02ab", MIB),
    "numbers": array_of(b"\xce\xff\xff\xff\xff", MIB),
    "floats": array_of(b"\xca\x00\x00\x00\x01", MIB),
    "one huge claim": b"\xdd\xff\xff\xff\xff",
    "one huge map": b"\xdf\xff\xff\xff\xff",
    "one huge text": b"\xdb\xff\xff\xff\xff",
    "all the empty maps allowed": array_of(b"\x80", ENTRY.map - 100),
    "all the maps of one allowed": array_of(b"\x81\x01\x01", 3 * (ENTRY.map - 100) // 2),
    "hollow arrays": b"\xdc\x10\x00" * 1000,
    "hollow maps": b"\xde\x04\x00" * 1000,
    "hollow wide arrays": b"\xdd\x00\x01\x00\x00" * 1000,
    "hollow and long": b"\xdc\x10\x00" * 1000 + b"\x01" * 5000,
    "hollow behind a roof": b"\x9f" + (b"\x01" * 14) + b"\xdd\x00\x01\x00\x00" * 500,
    "claims of bytes": b"\x9f" + b"\xc6\x00\x0f\xff\xff" * 15,
    "8 MiB of empty maps": b"\xdd\x00\x80\x00\x00" + b"\x80" * (8 << 20),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("kind", [Any, list[list[Note]]], ids=str)
def test_a_bomb_takes_memory_only_in_proportion_to_its_size(name: str, kind: Any) -> None:
    data = BOMBS[name]
    assert memory_taken(data, kind, ENTRY) <= MOST_PER_BYTE * min(len(data), ENTRY.bytes) + ALLOWANCE


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_no_log_entry(name: str) -> None:
    for data in (BOMBS[name], b"\x92\x01" + BOMBS[name]):
        with pytest.raises(WireError):
            wire.decode_log(data, Order)


headers = st.one_of(
    st.builds(lambda n: b"\xdc" + struct.pack(">H", n), st.integers(0, 5000)),
    st.builds(lambda n: b"\xdd" + struct.pack(">I", n), st.integers(0, 100_000)),
    st.builds(lambda n: b"\xde" + struct.pack(">H", n), st.integers(0, 5000)),
    st.builds(lambda n: b"\xc6" + struct.pack(">I", n), st.integers(0, 1 << 20)),
    st.builds(lambda n: bytes([n]), st.integers(0x80, 0xA8)),
    st.builds(lambda n: b"\x01" * n, st.integers(0, 300)),
)


@given(st.lists(st.builds(lambda part, n: part * n, headers, st.integers(1, 200)), max_size=12))
@settings(max_examples=200)
def test_no_arrangement_of_headers_takes_more(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    assert memory_taken(data, Any, ENTRY) <= MOST_PER_BYTE * min(len(data), ENTRY.bytes) + ALLOWANCE


# ---- versions ----------------------------------------------------------------------------------------------------

NEWER: list[tuple[object, Any]] = [
    ([9, 5], Order),  # a kind of order
    ([1, 5, "", b"", 0.0, {}, "more"], Order),  # a field at the end
    ([2, [0, 0, 0, 0, 7]], Order),  # ... of a record within
    ([2, [0], [[1, 5], [1, 5, "", b"", 0.0, {}, 1]]], Order),
    ([2, [0], [], 3], Order),  # a colour
    ({"number": 1, "more": 2}, Named),
]


@pytest.mark.parametrize(("record", "kind"), NEWER)
def test_what_a_newer_version_may_write_is_not_called_damage(record: object, kind: Any) -> None:
    with pytest.raises(NotUnderstood):
        wire.decode_log(wire.encode_log(record), kind)
    with pytest.raises(NotUnderstood):
        wire.decode_message(wire.encode_message(record), kind)
    with pytest.raises(NotUnderstood):
        read(wire.encode(record), kind)


def test_a_message_may_bring_more_than_is_known_here() -> None:
    assert wire.decode_message(wire.encode_message(["beat", 4, "more"]), Beat) == Beat(4)
    assert wire.decode_message(wire.encode([wire.MESSAGE_VERSION, ["beat", 4], "more"]), Beat) == Beat(4)


def test_a_log_entry_may_not() -> None:
    with pytest.raises(NotUnderstood):
        wire.decode_log(wire.encode([wire.LOG_VERSION, [1, 4], "more"]), Order)


Door: TypeAlias = Callable[[bytes, Any], Any]
DOORS: list[tuple[Door, int]] = [
    (wire.decode_log, wire.LOG_VERSION),
    (wire.decode_message, wire.MESSAGE_VERSION),
]


@pytest.mark.parametrize(("door", "version"), DOORS)
def test_a_newer_envelope_is_not_opened(door: Door, version: int) -> None:
    for record in ([1, 4], "unheard of", None):
        with pytest.raises(NotUnderstood):
            door(wire.encode([version + 1, record]), Order)
        with pytest.raises(NotUnderstood):
            door(wire.encode([version + 1, record, "more"]), Order)


@pytest.mark.parametrize(
    "value", [None, 1, "ab", [], [1], [0, [1, 4]], [-1, [1, 4]], [True, [1, 4]], ["1", [1, 4]], {1: 2}]
)
@pytest.mark.parametrize(("door", "version"), DOORS)
def test_what_is_no_envelope_is_malformed(door: Door, version: int, value: object) -> None:
    with pytest.raises(Malformed):
        door(raw(value), Order)


@given(st.binary(max_size=200), st.sampled_from(DOORS))
def test_any_bytes_at_a_door_are_read_or_refused(data: bytes, door: tuple[Door, int]) -> None:
    for wrapped in (data, wire.encode([door[1], None])[:-1] + data):
        try:
            door[0](wrapped, Order)
        except WireError:
            continue


def test_what_nobody_could_read_back_is_not_written() -> None:
    with pytest.raises(TooLarge):
        wire.encode_message(Note(1, key=bytes(ITEM.bytes)))
    with pytest.raises(TooLarge):
        wire.encode_log(Note(1, key=bytes(ENTRY.bytes)))


class Picky(msgspec.Struct, frozen=True, array_like=True):
    number: int

    def __post_init__(self) -> None:
        if self.number == 1:
            raise ValueError("not one")
        if self.number == 2:
            Resources(memory=-self.number)


@pytest.mark.parametrize("number", [1, 2])
def test_a_records_own_check_is_the_senders_fault_when_it_comes_from_bytes(number: int) -> None:
    assert refused(wire.encode([number]), Picky) == "Malformed"
    assert read(wire.encode([3]), Picky) == Picky(3)

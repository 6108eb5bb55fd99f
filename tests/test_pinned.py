"""What was published once is read for ever as it was meant: letters, frames, dialogues, questions, answers, the log."""

from __future__ import annotations

import json

import msgspec
import pytest

from odyssey.errors import WireError
from tests.pinned import FILE, Kind, Pin, kinds, missing, pinned, said, shape, still_says
from tests.pinned.examples import example

KINDS = {one.name: one for one in kinds()}
PINS = pinned()


def newest() -> list[Pin]:
    return list({one.kind: one for one in PINS}.values())


@pytest.mark.parametrize("one", PINS, ids=lambda one: one.kind)
def test_it_is_read_as_it_was_meant(one: Pin) -> None:
    assert one.kind in KINDS, f"there is no {one.kind} any more, but there are machines and logs that say it"
    found = said(KINDS[one.kind].unpack(one.data))
    assert still_says(one.says, found), f"{one.kind} said {one.says}, and is read as {found}"


@pytest.mark.parametrize("one", newest(), ids=lambda one: one.kind)
def test_it_is_written_as_it_was(one: Pin) -> None:
    kind = KINDS[one.kind]
    record = kind.unpack(one.data)
    if shape(said(record)) == shape(one.says):  # else it has a field more, which is to be pinned
        assert kind.pack(record) == one.data


def test_everything_that_travels_is_pinned() -> None:
    names = sorted(one.kind for one in missing())
    assert not names, (
        f"new, or with a new field: {', '.join(names)}. Pin it: python -m tests.pinned, and commit {FILE.name}"
    )


def test_an_example_has_another_value_in_each_field() -> None:
    """Else a field that has changed its place would not be noticed."""
    says = said(example(KINDS["answer nodes"].type))["nodes"][0]
    values = [one for one in says.values() if isinstance(one, int | float | str) and not isinstance(one, bool)]
    assert len(values) == len(set(values)) > 10


# -- the pins themselves -----------------------------------------------------------------------------------------------


class Old(msgspec.Struct, array_like=True, tag="one"):
    first: int
    second: int


class Moved(msgspec.Struct, array_like=True, tag="one"):
    second: int
    first: int


class Longer(msgspec.Struct, array_like=True, tag="one"):
    first: int
    second: int
    third: int = 0


class Harsh(msgspec.Struct, array_like=True, tag="one"):
    first: int
    second: int
    third: int


def kind_of(record: type) -> Kind:
    return Kind("one", record, msgspec.msgpack.encode, lambda data: msgspec.msgpack.decode(data, type=record))


def test_a_field_that_moved_is_noticed_and_one_that_came_is_fine() -> None:
    old = kind_of(Old).pack(example(Old))
    says = said(kind_of(Old).unpack(old))
    assert still_says(says, said(kind_of(Longer).unpack(old)))
    assert not still_says(says, said(kind_of(Moved).unpack(old)))
    with pytest.raises((WireError, msgspec.ValidationError)):
        kind_of(Harsh).unpack(old)


def test_a_line_is_all_that_is_known_of_a_pin() -> None:
    for one, line in zip(PINS, FILE.read_text().splitlines(), strict=True):
        assert json.loads(one.line()) == json.loads(line)

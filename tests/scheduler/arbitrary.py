"""Any command that can be read from a log at all, sensible or not: what `apply` must survive.

Built from the types of the records, so a new field or command is covered the day it is written.
"""

import typing
from typing import Any

from hypothesis import strategies as st

from odyssey.commands import Command, Entry
from odyssey.ids import AttemptId, TaskId, attempt_id, task_id
from odyssey.model import Cause, Outcome
from odyssey.resources import Resources

LEAST, MOST = -(1 << 63), (1 << 63) - 1

ints = st.one_of(st.integers(0, 6), st.integers(-2, 1 << 21), st.integers(LEAST, MOST))
names = st.one_of(st.sampled_from(["", "anna", "ben", "pc", "exited"]), st.text(max_size=8))
data = st.one_of(st.binary(max_size=4), st.integers(0, 3).map(lambda number: number.to_bytes(16, "big")))
amounts = st.one_of(st.sampled_from([0, 1000]), st.integers(0, 1 << 53))
resources = st.builds(Resources, amounts, amounts, amounts, amounts)

LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    int: ints,
    str: names,
    bytes: data,
    bool: st.booleans(),
    Cause: st.sampled_from(Cause),
    Outcome: st.sampled_from(Outcome),
    Resources: resources,
    TaskId: st.one_of(st.builds(task_id, st.integers(1, 6), st.integers(0, 6)), ints),
    AttemptId: st.one_of(st.builds(attempt_id, st.just(1), st.integers(3, 20), st.integers(0, 6)), ints),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Anything a field of this type may hold."""
    if hint in LEAVES:
        return LEAVES[hint]
    if hasattr(hint, "__supertype__"):
        return values(hint.__supertype__)
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if inner[-1] is ...:
            return st.lists(values(inner[0]), max_size=2).map(tuple)
        return st.tuples(*(values(part) for part in inner))
    return records(hint)


def records(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any record of this kind; fields that have a default often keep it."""
    hints = typing.get_type_hints(kind)
    given, names_ = {}, kind.__struct_fields__
    required = len(names_) - len(kind.__struct_defaults__)
    for position, name in enumerate(names_):
        anything = values(hints[name])
        default = kind.__struct_defaults__[position - required] if position >= required else None
        given[name] = anything if position < required else st.one_of(st.just(default), anything)
    return st.builds(kind, **given)


def entries(kind: type[Command]) -> st.SearchStrategy[Entry]:
    return st.builds(Entry, ints, ints, ints, ints, records(kind))

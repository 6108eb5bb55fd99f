"""Records that are well-formed and mean nothing, drawn from their types: what a member with a grudge may send.

Promises: the same seed gives the same records; new fields and new records come in by themselves.
Never: makes what the types do not allow: that is refused before anything hears it.
"""

from __future__ import annotations

import enum
from random import Random
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from odyssey.errors import OdysseyError

NUMBERS: Final = (0, 1, 2, 3, 7, 256, -1, 1 << 31, (1 << 53) + 1, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1)
TEXTS: Final = ("", "a", "node", "\0", "é" * 30, "x" * 3_000, "../../etc", "\x1b[2J")
BYTES: Final = (b"", b"\0", bytes(16), b"\xff" * 32, b"x" * 2_000, b"\x92\x01\x90")


def weird(kind: Any, draw: Random, known: dict[str, list[Any]] | None = None) -> Any:
    """One of this type. `known` are values that fields of this name have in the mesh that is attacked."""
    info = types.type_info(kind)
    while True:
        try:
            return _made(info, draw, known or {}, 0)
        except OdysseyError:  # a record's own check: as whoever reads it would say
            continue


def _made(info: types.Type, draw: Random, known: dict[str, list[Any]], depth: int) -> Any:
    match info:
        case types.UnionType(types=some):
            return _made(draw.choice(some), draw, known, depth)
        case types.StructType(cls=cls, fields=fields):
            return cls(*(_field(one, draw, known, depth + 1) for one in fields))
        case types.VarTupleType(item_type=item):
            return tuple(_made(item, draw, known, depth + 1) for _ in range(draw.choice((0, 1, 1, 2, 5))))
        case types.TupleType(item_types=items):
            return tuple(_made(one, draw, known, depth + 1) for one in items)
        case types.EnumType(cls=cls):
            return draw.choice(list[enum.Enum](cls))
        case types.IntType():
            return draw.choice(NUMBERS)
        case types.StrType():
            return draw.choice(TEXTS)
        case types.BytesType():
            return draw.choice(BYTES)
        case types.BoolType():
            return draw.random() < 0.5
        case types.NoneType():
            return None
        case _:
            return _rare(info, draw, known, depth)


def _rare(info: types.Type, draw: Random, known: dict[str, list[Any]], depth: int) -> Any:
    match info:
        case types.DictType(key_type=key, value_type=value):
            return {_made(key, draw, known, depth + 1): _made(value, draw, known, depth + 1) for _ in range(2)}
        case types.ListType(item_type=item):
            return [_made(item, draw, known, depth + 1) for _ in range(2)]
        case types.FloatType():
            return 0.5
        case types.LiteralType(values=values):
            return draw.choice(values)
        case types.FrozenSetType(item_type=item):
            return frozenset({_made(item, draw, known, depth + 1)})
        case _:
            return msgspec.UNSET


def _field(field: types.Field, draw: Random, known: dict[str, list[Any]], depth: int) -> Any:
    if field.name in known and draw.random() < 0.7:
        return draw.choice(known[field.name])
    if not field.required and draw.random() < 0.3:
        return field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return _made(field.type, draw, known, depth)

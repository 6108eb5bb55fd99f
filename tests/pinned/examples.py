"""A record of any type, made from the type alone: each number and each text in it is another one.

Promises: the same type gives the same record; a field that has moved has another value.
Never: leaves out what may be left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect

from odyssey.ids import UserId
from odyssey.mesh.trust.certificates import (
    INVITE_ID_BYTES,
    MINE,
    Certificate,
    Issuer,
    Revocation,
    Terms,
    node_id,
)
from odyssey.mesh.trust.primitives import KEY_BYTES
from odyssey.resources import Resources
from odyssey.spec import JobSpec
from tests.builders import a_spec

DEPTH: Final = 12
_MESH: Final = b"sixteen bytes id"


def _key(number: int) -> bytes:
    return bytes([number]) * KEY_BYTES


# What its own checks allow is not seen in its type.
KNOWN: Final[dict[type, Callable[[], Any]]] = {
    JobSpec: a_spec,
    Resources: lambda: Resources(1000, 2 << 30, 1, 3 << 30),
    Issuer: lambda: Issuer(_MESH, _key(1), b"8 bytes!", node_id(_key(2)), _key(2), _key(3), int(MINE), 1, 2),
    Certificate: lambda: Certificate(
        *(_MESH, _key(1), b"8 bytes!", _key(2), _key(3), "name", int(MINE), UserId("owner"), 1, 2)
    ),
    Terms: lambda: Terms(_MESH, _key(1), bytes(range(INVITE_ID_BYTES)), _key(2), 7, UserId("owner"), int(MINE), 1, 2),
    Revocation: lambda: Revocation(_MESH, _key(1), node_id(_key(2)), 3),
}


def example(kind: Any) -> Any:
    """As it comes out of a decoder."""
    return _made(inspect.type_info(kind), itertools.count(1), 0)


def _made(info: Any, number: Iterator[int], depth: int) -> Any:
    assert depth < DEPTH, f"{info} has no end"
    match info:
        case inspect.StructType(cls=cls):
            if cls in KNOWN:
                return KNOWN[cls]()
            return cls(**{one.name: _made(one.type, number, depth + 1) for one in info.fields})
        case inspect.NamedTupleType(cls=cls):
            return cls(**{one.name: _made(one.type, number, depth + 1) for one in info.fields})
        case inspect.UnionType(types=types):
            return _made(_richest(types), number, depth)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return (_made(item, number, depth + 1),)
        case inspect.TupleType(item_types=items):
            return tuple(_made(one, number, depth + 1) for one in items)
        case inspect.FrozenSetType(item_type=item) | inspect.SetType(item_type=item):
            return frozenset({_made(item, number, depth + 1)})
        case inspect.DictType():
            return {_made(info.key_type, number, depth + 1): _made(info.value_type, number, depth + 1)}
        case inspect.CustomType(cls=cls) if hasattr(cls, "__supertype__"):
            return _made(inspect.type_info(cls.__supertype__), number, depth)
    return _plain(info, number)


def _richest(types: Any) -> Any:
    """Anything but nothing."""
    return next(one for one in types if not isinstance(one, inspect.NoneType))


def _plain(info: Any, number: Iterator[int]) -> Any:
    place = next(number)
    match info:
        case inspect.BoolType():
            return True
        case inspect.IntType(ge=least):
            return place if least is None else max(place, least)
        case inspect.FloatType():
            return place + 0.5
        case inspect.StrType():
            return f"text {place}"
        case inspect.BytesType():
            return f"bytes {place}".encode()
        case inspect.EnumType(cls=cls):
            return list(cls)[place % len(cls)]
        case inspect.LiteralType(values=values):
            return values[place % len(values)]
        case inspect.NoneType():
            return None
        case inspect.AnyType() | inspect.RawType():
            return msgspec.Raw(b"\x01") if isinstance(info, inspect.RawType) else place
    raise AssertionError(f"no example of {info}")

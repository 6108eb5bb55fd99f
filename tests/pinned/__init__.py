"""Every kind of record that other machines, files or the log may hold, as the bytes it was once published in.

`pins.jsonl` has a line for each form that a kind ever had: its bytes, and what they say, field by field. A version that
reads them otherwise would misunderstand a machine that was not upgraded, or its own log. Lines are added and never
changed: `python -m tests.pinned` adds what is new (a kind, or a field at its end).

Promises: the same record gives the same line, whoever writes it.
Never: takes a value from anything but the type: a pin says what may travel, not what makes sense.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import msgspec

from odyssey import wire
from odyssey.api import errands, operations
from odyssey.api import frames as door
from odyssey.commands import AnyCommand
from odyssey.daemon.founding import Belonging
from odyssey.mesh.company import Kept
from odyssey.mesh.letters import Letter, Logged, Scope
from odyssey.mesh.links import frames as link
from odyssey.mesh.links.letters import LIMITS
from odyssey.mesh.trust import letters as trust
from odyssey.mesh.trust.certificates import Certificate, Issuer, Revocation, Terms
from odyssey.mesh.trust.standing import Known
from tests.pinned.examples import example

FILE: Final = Path(__file__).with_name("pins.jsonl")


class Kind(NamedTuple):
    """A type, and how it travels."""

    name: str
    type: Any
    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes], Any]


class Pin(NamedTuple):
    kind: str
    data: bytes
    says: Any

    def line(self) -> str:
        return json.dumps({"kind": self.kind, "hex": self.data.hex(), "says": self.says})


# -- what there is -----------------------------------------------------------------------------------------------------


def kinds() -> Iterator[Kind]:
    for one in _members(_field(Letter, "content")):
        yield Kind(f"letter {one.__name__}", one, _pack_letter, _unpack_letter)
    for one in _members(link.AnyFrame):
        yield Kind(f"link {one.__name__}", one, wire.encode_message, _message(link.AnyFrame))
    for one in _members(trust.AnyLetter):
        yield Kind(f"join {one.__name__}", one, trust.packed, trust.unpacked)
    for way, frames in (("to daemon", door.ToDaemon), ("to client", door.ToClient)):
        for one in _members(frames):
            yield Kind(f"{way} {one.__name__}", one, wire.encode_message, _message(frames))
    for one in _members(AnyCommand):
        yield Kind(f"log {one.__name__}", one, lambda it: wire.encode_log(Logged(5, it)), _logged)
    for row in (*operations.TABLE, *errands.TABLE):
        for way, one in (("request", row.request), ("answer", row.answer)):
            yield Kind(f"{way} {row.name}", one, wire.encode, _plain(one))
    for signed in (Issuer, Certificate, Terms, Revocation):
        yield Kind(f"signed {signed.__name__}", signed, wire.encode_log, _lasting(signed))
    for file in (Belonging, Known, Kept):
        yield Kind(f"file {file.__name__}", file, wire.encode_log, _lasting(file))


def _members(union: Any) -> list[Any]:
    return list(get_args(union)) or [union]


def _field(record: Any, name: str) -> Any:
    from typing import get_type_hints

    return get_type_hints(record)[name]


def _pack_letter(content: Any) -> bytes:
    return wire.encode_message(Letter(Scope("mesh", 3, b"id"), content), LIMITS)


def _unpack_letter(data: bytes) -> Any:
    return wire.decode_message(data, Letter, LIMITS).content


def _message(kind: Any) -> Callable[[bytes], Any]:
    return lambda data: wire.decode_message(data, kind)


def _logged(data: bytes) -> Any:
    return wire.decode_log(data, Logged).command


def _lasting(kind: Any) -> Callable[[bytes], Any]:
    return lambda data: wire.decode_log(data, kind)


def _plain(kind: Any) -> Callable[[bytes], Any]:
    return lambda data: wire.decode(data, kind, door.BODY)


# -- pins --------------------------------------------------------------------------------------------------------------


def pinned() -> list[Pin]:
    lines = FILE.read_text().splitlines() if FILE.exists() else []
    return [Pin(one["kind"], bytes.fromhex(one["hex"]), one["says"]) for one in map(json.loads, lines)]


def pin(kind: Kind) -> Pin:
    data = kind.pack(example(kind.type))
    return Pin(kind.name, data, said(kind.unpack(data)))


def missing() -> list[Pin]:
    """Of kinds, and of forms of them, that nobody has pinned."""
    known = {(one.kind, json.dumps(shape(one.says))) for one in pinned()}
    return [one for one in map(pin, kinds()) if (one.kind, json.dumps(shape(one.says))) not in known]


def said(value: Any) -> Any:
    """With the names of fields, as JSON has it."""
    match value:
        case msgspec.Struct():
            return {name: said(getattr(value, name)) for name in value.__struct_fields__}
        case enum.Enum():
            return value.name
        case bytes():
            return f"0x{value.hex()}"
        case dict():
            return {str(key): said(one) for key, one in value.items()}
        case tuple() if hasattr(value, "_fields"):
            return {name: said(one) for name, one in zip(value._fields, value, strict=True)}
        case list() | tuple():
            return [said(one) for one in value]
        case frozenset() | set():
            return sorted(map(said, value))
    return value


def shape(says: Any) -> Any:
    """The names of the fields alone."""
    if isinstance(says, dict):
        return {name: shape(one) for name, one in says.items()}
    return [shape(one) for one in says[:1]] if isinstance(says, list) else None


def still_says(old: Any, new: Any) -> bool:
    """All that was said then is said now; there may be more fields."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(name in new and still_says(one, new[name]) for name, one in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(still_says, old, new))
    return bool(old == new)

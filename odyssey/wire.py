"""Bytes <-> typed records: the only decoder in the project.

Whatever comes from a socket or a disk passes here: MessagePack under hard limits first, so that a few bytes
cannot become a lot of memory, then a strict conversion into frozen records. Records that outlive a version
travel in an envelope `[version, record]`. A message may bring fields this version does not know, if its
record allows that. A log entry may not: whoever skips a part of an entry no longer has the state the others
have.

Promises: bytes that are not what was expected raise a `WireError`, never anything else: `TooLarge`,
`Malformed`, or `NotUnderstood` for what a newer version would write. The same record always becomes the
same bytes. Decoding takes memory and work in proportion to the bytes received, not to what they claim.
Never: runs anything it reads, or looks at a MessagePack extension type.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeVar

import msgpack
import msgspec

from odyssey.errors import Malformed, NotUnderstood, OdysseyError, TooLarge, WireError, echo

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")

LOG_VERSION: Final = 1
MESSAGE_VERSION: Final = 1


class Limits(NamedTuple):
    """The most that is accepted in one piece of bytes."""

    bytes: int
    array: int  # elements of one array
    map: int  # maps and their entries, all of them together
    str: int  # bytes of one text
    bin: int
    depth: int  # arrays and maps within each other


ITEM: Final = Limits(bytes=64 << 10, array=4096, map=1024, str=64 << 10, bin=64 << 10, depth=16)
ENTRY: Final = Limits(bytes=1 << 20, array=64 << 10, map=8192, str=64 << 10, bin=1 << 20, depth=16)

# The first bytes of arrays, maps and floats. They also occur inside numbers and texts: finding none proves
# that there is nothing to check, finding one proves nothing.
_NARROW: Final = frozenset(range(0x80, 0xA0))
_WIDE: Final = frozenset((0xDC, 0xDD, 0xDE, 0xDF))
_FLOAT: Final = frozenset((0xCA, 0xCB))
_ALL_OTHERS: Final = bytes(byte for byte in range(256) if byte not in _NARROW | _WIDE | _FLOAT)

_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_LONGEST_COMPLAINT: Final = 200

# How msgspec begins to say: a tag or enum value, a field, or a last element that is not known here.
_OF_A_NEWER_VERSION: Final = (
    "Invalid value ",
    "Invalid enum value ",
    "Object contains unknown field ",
    "Expected `array` of at most length ",
)


def encode(record: object) -> bytes:
    """Sorted, so maps have text keys only."""
    return _ENCODER.encode(record)


def decode(data: bytes, kind: TypeForm[T], limits: Limits = ITEM) -> T:
    return _typed(_unpacked(data, limits), kind)


def encode_log(record: object, limits: Limits = ENTRY) -> bytes:
    """Refuses what nobody could read back: an entry too large would stop every replica that meets it."""
    data = _ENCODER.encode((LOG_VERSION, record))
    _check_size(data, limits)
    return data


def decode_log(data: bytes, kind: TypeForm[T], limits: Limits = ENTRY) -> T:
    envelope = _envelope(_unpacked(data, limits), LOG_VERSION)
    if len(envelope) > 2:
        raise NotUnderstood(f"the entry has {len(envelope)} parts, this version knows 2")
    return _typed(envelope[1], kind)


def encode_message(record: object, limits: Limits = ITEM) -> bytes:
    data = _ENCODER.encode((MESSAGE_VERSION, record))
    _check_size(data, limits)
    return data


def decode_message(data: bytes, kind: TypeForm[T], limits: Limits = ITEM) -> T:
    """Further parts of the envelope are left alone: a newer version may add some."""
    return _typed(_envelope(_unpacked(data, limits), MESSAGE_VERSION)[1], kind)


# ---- bytes -> plain values --------------------------------------------------------------------------


def _unpacked(data: bytes, limits: Limits) -> Any:
    _check_size(data, limits)
    headers = data.translate(None, _ALL_OTHERS)
    try:
        if not _WIDE.isdisjoint(headers):
            _check_complete(data)
        value = msgpack.unpackb(
            data,
            use_list=False,
            strict_map_key=False,  # the hook below is stricter
            object_pairs_hook=_map_builder(limits.map),
            ext_hook=_refuse_extension,
            max_array_len=limits.array,
            max_map_len=limits.map,
            max_str_len=limits.str,
            max_bin_len=limits.bin,
            max_ext_len=0,
        )
    except (msgpack.UnpackException, ValueError) as error:
        raise _refusal(error) from error
    if len(headers) > limits.depth or not _FLOAT.isdisjoint(headers):
        _check_values(value, limits.depth)
    return value


def _check_size(data: bytes, limits: Limits) -> None:
    if len(data) > limits.bytes:
        raise TooLarge(f"{len(data)} bytes where {limits.bytes} are allowed")


def _check_complete(data: bytes) -> None:
    """msgpack makes room for all elements a header announces: 3 KiB of nothing but headers would take 32 MiB.

    Walking over the bytes first builds nothing, and notices that the elements are missing. Only the wide
    headers can announce more than 15.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(data))
    unpacker.feed(data)
    unpacker.skip()


def _map_builder(room: int) -> Callable[[list[tuple[Any, Any]]], dict[Any, Any]]:
    """An empty map is one byte and 64 in memory, so maps are counted over the whole piece."""
    left = room

    def build(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        nonlocal left
        left -= 1 + len(pairs)
        if left < 0:
            raise TooLarge(f"more than {room} maps and entries of maps")
        if not all(type(key) is str or type(key) is int for key, _ in pairs):
            raise Malformed("the key of a map is neither text nor a whole number")
        made = dict(pairs)
        if len(made) < len(pairs):
            raise Malformed("a map has the same key twice")
        return made

    return build


def _refuse_extension(code: int, _: bytes) -> NoReturn:
    raise Malformed(f"extension type {code}")


def _refusal(error: Exception) -> WireError:
    text = str(error)
    if isinstance(error, msgpack.StackError):
        return TooLarge("nested too deeply")
    return TooLarge(text) if " exceeds max_" in text else Malformed(text or "not MessagePack")


def _check_values(value: Any, depth: int) -> None:
    """Layer by layer, without recursion: how deep it goes is the sender's choice."""
    layer: list[Any] = [value]
    for _ in range(depth + 1):
        kinds = set(map(type, layer))
        if float in kinds and not all(isfinite(item) for item in layer if type(item) is float):
            raise Malformed("a number that is not finite")
        if kinds.isdisjoint((tuple, dict)):
            return
        layer = _children(layer)
    raise TooLarge(f"nested more than {depth} deep")


def _children(layer: list[Any]) -> list[Any]:
    return [
        child
        for item in layer
        if type(item) is tuple or type(item) is dict
        for child in (item.values() if type(item) is dict else item)
    ]


# ---- plain values -> records ------------------------------------------------------------------------


def _envelope(value: Any, version: int) -> tuple[Any, ...]:
    if type(value) is not tuple or len(value) < 2 or type(value[0]) is not int or value[0] < 1:
        raise Malformed("not an envelope of version and record")
    if value[0] > version:
        raise NotUnderstood(f"written in version {value[0]}, this machine knows {version}")
    return value


def _typed(value: Any, kind: TypeForm[T]) -> T:
    try:
        # Named here, bytes are only ever bytes; else msgspec would also read them from text, as base64.
        record: T = msgspec.convert(value, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        text = str(error)
        refusal = NotUnderstood if text.startswith(_OF_A_NEWER_VERSION) else Malformed
        raise refusal(echo(text, _LONGEST_COMPLAINT)) from error
    except OdysseyError as error:  # a record's own check
        raise Malformed(echo(error.message, _LONGEST_COMPLAINT)) from error
    return record

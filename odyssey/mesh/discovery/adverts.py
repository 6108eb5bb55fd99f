"""What a machine says of itself on the LAN: four things in a TXT record, and nothing about its owner or its name.

Everything here may come from anybody. It is a hint where to knock; whether it is a member shows at the door.
Promises: `read` takes exactly what `written` makes, or says no; it costs no more than the bytes are long.
Never: trusts.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final, NamedTuple

from odyssey.errors import Malformed

SERVICE: Final = "_odyssey._tcp.local."
VERSION: Final = 1
LONGEST: Final = 128  # bytes of a TXT record
KEY_BYTES: Final = 32
TAG_BYTES: Final = 8
TOKEN_BYTES: Final = 8
_TAG: Final = b"odyssey-tag-v1\0"
_INSTANCE: Final = re.compile(r"[0-9a-f]{16}\._odyssey\._tcp\.local\.")
_FIELDS: Final = ("v", "m", "k", "p")
_FORMS: Final = {
    "v": re.compile(r"[1-9][0-9]{0,3}"),
    "m": re.compile(r"[0-9a-f]{16}"),
    "k": re.compile(r"[A-Za-z0-9_-]{43}"),
    "p": re.compile(r"[1-9][0-9]{0,4}"),
}


class BadAdvert(Malformed):
    """Not what one of us says."""


class Advert(NamedTuple):
    version: int
    tag: str  # of the mesh
    key: bytes  # CURVE public key of the socket at which one joins
    port: int  # of that socket, TCP


def tag_of(mesh: bytes) -> str:
    """Tells meshes apart on a LAN, and no more: who does not know the mesh learns nothing of it."""
    return hashlib.sha256(_TAG + mesh).hexdigest()[: 2 * TAG_BYTES]


def instance(token: bytes) -> str:
    """The name of a service: random, since a name would tell whose machine this is."""
    return f"{token.hex()}.{SERVICE}"


def is_instance(name: str) -> bool:
    return _INSTANCE.fullmatch(name) is not None


def written(advert: Advert) -> bytes:
    key = base64.urlsafe_b64encode(advert.key).decode().rstrip("=")
    values = (str(advert.version), advert.tag, key, str(advert.port))
    items = (f"{name}={value}".encode() for name, value in zip(_FIELDS, values, strict=True))
    return b"".join(bytes((len(item),)) + item for item in items)


def read(text: bytes) -> Advert:
    """A machine of a later version says more, in ways that this one does not know: it is left alone."""
    fields = _fields(text)
    if (version := fields.get("v", "")) != str(VERSION):
        raise BadAdvert(
            "an advert of another version" if _FORMS["v"].fullmatch(version) else "an advert without version"
        )
    if tuple(sorted(fields)) != tuple(sorted(_FIELDS)):
        raise BadAdvert("an advert with other fields")
    for name, form in _FORMS.items():
        if form.fullmatch(fields[name]) is None:
            raise BadAdvert(f"an advert whose {name} is none")
    key = base64.urlsafe_b64decode(fields["k"] + "=")
    port = int(fields["p"])
    advert = Advert(VERSION, fields["m"], key, port)
    if len(key) != KEY_BYTES or port > 65535 or written(advert) != _in_order(fields):
        raise BadAdvert("an advert that is written in another way")
    return advert


def _fields(text: bytes) -> dict[str, str]:
    if not 0 < len(text) <= LONGEST:
        raise BadAdvert("an advert of no or too many bytes")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        end = at + 1 + text[at]
        if end > len(text):
            raise BadAdvert("an advert that is cut off")
        name, equals, value = text[at + 1 : end].partition(b"=")
        if not equals or not text[at + 1 : end].isascii() or (key := name.decode()) in found:
            raise BadAdvert("an advert with a field that is none, or twice")
        found[key] = value.decode()
        at = end
    return found


def _in_order(fields: dict[str, str]) -> bytes:
    items = (f"{name}={fields[name]}".encode() for name in _FIELDS)
    return b"".join(bytes((len(item),)) + item for item in items)

"""An invite: a text to paste, read out, or put on a card, with which a machine gets into a mesh.

`ody1_` and base32 of: version, flags, fingerprint of the root key (16 bytes), curve key of the issuer (32), id (6),
secret (16), number of addresses, the addresses (4 or 6, the IP address, the port), CRC-32. The secret never travels: a
signing key is made of it, and its public half is shown.

Promises: what was pasted with blanks, line ends or quotes is read; what was mistyped is refused with what is wrong and
where.
Never: shows the secret, or a part of it, in a repr, a log or an error.
"""

from __future__ import annotations

import re
from base64 import b32decode, b32encode
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple
from zlib import crc32

from odyssey.clock import Entropy
from odyssey.errors import UsageError, echo
from odyssey.mesh.trust.certificates import FINGERPRINT_BYTES, INVITE_ID_BYTES, fingerprint
from odyssey.mesh.trust.primitives import KEY_BYTES, Pair, derived, signing_pair

PREFIX: Final = "ody1_"
SECRET_BYTES: Final = 16
MOST_ADDRESSES: Final = 4
LONGEST: Final = 4096  # of what is pasted
_VERSION: Final = 1
_SUM: Final = 4
_HEAD: Final = 2 + FINGERPRINT_BYTES + KEY_BYTES + INVITE_ID_BYTES + SECRET_BYTES  # as far as the number of addresses
_MOST_LETTERS: Final = -(-8 * (_HEAD + 1 + MOST_ADDRESSES * 19 + _SUM) // 5)
_PURPOSE: Final = b"odyssey-invite-v1\0"
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_DROPPED: Final = re.compile(r"[\s\u00ad\u200b-\u200d\u2060\ufeff'\"`<>\u2018\u2019\u201c\u201d\u00ab\u00bb]+")
_HINT: Final = "paste it again, whole: it begins with ody1_ (another one: odyssey invite, on a machine of the mesh)"


class BadInvite(UsageError):
    """A text that is no invite."""


class Address(NamedTuple):
    host: str  # an IP address
    port: int


class Invite:
    """What is in the text."""

    __slots__ = ("addresses", "curve", "id", "root", "secret")

    def __init__(self, root: bytes, curve: bytes, id_: bytes, secret: bytes, addresses: Sequence[Address]) -> None:
        self.root, self.curve, self.id, self.secret = root, curve, id_, secret
        self.addresses = tuple(addresses)

    def __repr__(self) -> str:
        return f"<the invite {self.id.hex()}>"

    def key(self) -> Pair:
        """With which the machine that joins shows that it has the invite."""
        return signing_pair(derived(self.secret, _PURPOSE + self.id))


def made(root: bytes, curve: bytes, addresses: Sequence[Address], entropy: Entropy) -> Invite:
    """`root` is the public root key, `curve` that of the socket at which this machine lets in."""
    return Invite(
        *(fingerprint(root), curve, entropy.token(INVITE_ID_BYTES), entropy.token(SECRET_BYTES)),
        addresses[:MOST_ADDRESSES],
    )


# -- written -----------------------------------------------------------------------------------------------------------


def written(invite: Invite) -> str:
    addresses = b"".join(map(_packed, invite.addresses))
    head = bytes((_VERSION, 0)) + invite.root + invite.curve + invite.id + invite.secret
    data = head + bytes((len(invite.addresses),)) + addresses
    text = b32encode(data + crc32(data).to_bytes(_SUM, "big")).decode("ascii")
    return PREFIX + text.rstrip("=").lower()


def _packed(address: Address) -> bytes:
    host = ip_address(address.host)
    return bytes((host.version,)) + host.packed + address.port.to_bytes(2, "big")


# -- read --------------------------------------------------------------------------------------------------------------


def read(text: str) -> Invite:
    letters = _letters(text)
    data = _data(letters)
    if data is None or not _is_whole(data):
        raise BadInvite(_what_is_wrong(letters), hint=_HINT)
    if (data[0], data[1]) != (_VERSION, 0):
        raise BadInvite("this invite was made by a newer Odyssey", hint="upgrade Odyssey on this machine")
    root, curve, id_, secret = _parts(data[2:_HEAD])
    addresses = _addresses(data[_HEAD], data[_HEAD + 1 : -_SUM])
    if addresses is None:
        raise BadInvite("this invite holds addresses that are none", hint=_HINT)
    return Invite(root, curve, id_, secret, addresses)


def _parts(data: bytes) -> Iterator[bytes]:
    for size in (FINGERPRINT_BYTES, KEY_BYTES, INVITE_ID_BYTES, SECRET_BYTES):
        yield data[:size]
        data = data[size:]


def _letters(text: str) -> str:
    """What stands behind the prefix."""
    if len(text) > LONGEST:
        raise BadInvite(f"this is too long for an invite ({len(text)} characters)", hint=_HINT)
    tidy = _DROPPED.sub("", text).strip(".,;:").lower().removeprefix("$").removeprefix("odysseyjoin")
    if not tidy:
        raise BadInvite("no invite was given", hint=_HINT)
    if tidy.count(PREFIX) > 1:
        raise BadInvite("these are several invites", hint="paste one of them")
    if not tidy.startswith(PREFIX):
        if re.match(r"ody[0-9]+_", tidy):
            raise BadInvite("this invite was made by a newer Odyssey", hint="upgrade Odyssey on this machine")
        raise BadInvite(f"an invite begins with {PREFIX}, this with {echo(tidy[: len(PREFIX)])}", hint=_HINT)
    letters = tidy.removeprefix(PREFIX)
    for place, letter in enumerate(letters, len(PREFIX) + 1):
        if letter not in _ALPHABET:
            raise BadInvite(
                f"character {place} of this invite is {echo(letter)!r}, and there are only a to z and 2 to 7 in one",
                hint=_HINT,
            )
    return letters


def _data(letters: str) -> bytes | None:
    """None: no bytes are written like that."""
    try:
        data = b32decode(letters.upper() + "=" * (-len(letters) % 8))
    except ValueError:
        return None
    return data if b32encode(data).decode("ascii").rstrip("=").lower() == letters else None


def _is_whole(data: bytes) -> bool:
    return len(data) > _HEAD + _SUM and crc32(data[:-_SUM]).to_bytes(_SUM, "big") == data[-_SUM:]


def _addresses(count: int, data: bytes) -> list[Address] | None:
    found: list[Address] = []
    while data:
        size = {4: 4, 6: 16}.get(data[0])
        if size is None or len(data) < size + 3:
            return None
        port = int.from_bytes(data[size + 1 : size + 3], "big")
        found.append(Address(str(ip_address(data[1 : size + 1])), port))
        data = data[size + 3 :]
        if not port:
            return None
    return found if len(found) == count <= MOST_ADDRESSES else None


# -- what is wrong -----------------------------------------------------------------------------------------------------


def _what_is_wrong(letters: str) -> str:
    places = _mistyped(letters)
    shown = [place + 1 + len(PREFIX) for place in places]
    if len(shown) == 1:
        return f"character {shown[0]} of this invite is mistyped"
    if shown:
        return f"characters {shown[0]} and {shown[1]} of this invite have changed places"
    here, whole = len(PREFIX) + len(letters), _length(letters)
    if whole is not None and here < whole:
        return f"this invite ends too early: {here} of {whole} characters"
    if whole is not None and here > whole:
        return f"this invite is too long: {here} characters instead of {whole}"
    return "this invite is mistyped"


def _mistyped(letters: str) -> tuple[int, ...]:
    """Where one change makes it whole."""
    if len(letters) > _MOST_LETTERS:
        return ()
    for place, other in _changed(letters):
        data = _data(other)
        if data is not None and _is_whole(data):
            return place
    return ()


def _changed(letters: str) -> Iterator[tuple[tuple[int, ...], str]]:
    for place in range(len(letters)):
        before, after = letters[:place], letters[place + 1 :]
        for letter in _ALPHABET:
            yield (place,), before + letter + after
        if after:
            yield (place, place + 1), before + after[0] + letters[place] + after[1:]


def _length(letters: str) -> int | None:
    """Of the whole text, as its beginning says."""
    usable = letters[: len(letters) // 8 * 8]
    data = _data(usable)
    if data is None or len(data) <= _HEAD or data[_HEAD] > MOST_ADDRESSES:
        return None
    place = _HEAD + 1
    for _ in range(data[_HEAD]):
        if place >= len(data):
            return None
        place += 19 if data[place] == 6 else 7
    bits = 8 * (place + _SUM)
    return len(PREFIX) + -(-bits // 5)

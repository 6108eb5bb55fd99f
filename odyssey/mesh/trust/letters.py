"""What a machine that wants in and the one that lets in say to each other.

It is said over CURVE, at a socket of its own, where any key may come. `hello`, `chain`, then `prove` or `renew`, then
`admitted` with its pages, or `refused`. Without an invite: `knock`, `chain`, `open`, and when people have typed the
codes `admitted`.

Promises: nothing is read that is longer than a letter may be, and what is read has fields of a sensible size.
Never: carries a secret; the two proofs are signatures over what both sides know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from odyssey import wire
from odyssey.errors import OdysseyError
from odyssey.wire import Limits

LONGEST: Final = 8 << 10
LETTER: Final = Limits(bytes=LONGEST, array=512, map=0, str=1024, bin=LONGEST, depth=6)
PAGE: Final = 6 << 10
MOST_PAGES: Final = 2048
MOST_ADDRESSES: Final = 8  # of one peer
NONCE_BYTES: Final = 32
VERSION: Final = 1


class Said(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The base of letters. More fields may come at the end."""


class Hello(Said, frozen=True, tag="hello"):
    version: int = VERSION


class Chain(Said, frozen=True, tag="chain"):
    """Who lets in, and why that may be believed by whoever knows the root."""

    nonce: bytes
    now_ms: int
    mesh: bytes
    root: bytes
    issuer: bytes
    chain: tuple[bytes, ...]
    name: str  # of the mesh


class Prove(Said, frozen=True, tag="prove"):
    """I have the invite, and this is my key."""

    invite: bytes
    token: bytes  # the public half of the invite's key
    by_token: bytes
    node: bytes
    by_node: bytes
    name: str  # that the machine asks for


class Renew(Said, frozen=True, tag="renew"):
    """I was a member, and still have its key."""

    certificate: bytes
    by_node: bytes


class Knock(Said, frozen=True, tag="knock"):
    """Somebody without an invite, who has chosen a number and shows it later."""

    commitment: bytes


class Open(Said, frozen=True, tag="open"):
    """The number, and who it is."""

    number: bytes
    node: bytes
    by_node: bytes
    name: str
    about: str = ""  # what it is, for the person who lets it in: its system and its cores


class Admitted(Said, frozen=True, tag="admitted"):
    certificate: bytes
    pages: int  # that follow
    generation: tuple[int, bytes] = (1, b"")  # the first of the mesh: with it begins every store of its log


class Peer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    certificate: bytes
    addresses: tuple[str, ...] = ()


class Page(Said, frozen=True, tag="page"):
    trust: tuple[bytes, ...] = ()
    peers: tuple[Peer, ...] = ()


class Refused(Said, frozen=True, tag="refused"):
    code: str
    text: str
    hint: str = ""
    statement: bytes = b""  # by which whoever asks was put out


AnyLetter = Hello | Chain | Prove | Renew | Knock | Open | Admitted | Page | Refused


def packed(letter: AnyLetter) -> bytes:
    return wire.encode_message(letter, LETTER)


def unpacked(data: bytes) -> AnyLetter:
    """Raises WireError."""
    return wire.decode_message(data, AnyLetter, LETTER)


def refused(code: str, error: OdysseyError) -> Refused:
    return Refused(code, error.message[:300], (error.hint or "")[:300])


def bound(mesh: bytes, nonce: bytes, server: bytes, client: bytes, *more: bytes) -> bytes:
    """What proofs are signatures over. `server` and `client` are the curve keys of the connection, as each side knows
    them by itself; so a proof is worth nothing on any other connection."""
    return wire.encode((mesh, nonce, server, client, *more))


def pages(trust: Iterable[bytes], peers: Iterable[Peer]) -> Iterator[Page]:
    """As many as it takes."""
    held: list[bytes] = []
    for item in trust:
        if sum(map(len, held)) + len(item) > PAGE:
            yield Page(tuple(held))
            held = []
        held.append(item)
    known: list[Peer] = []
    for peer in (msgspec.structs.replace(one, addresses=one.addresses[:MOST_ADDRESSES]) for one in peers):
        if sum(map(_size, known)) + _size(peer) > PAGE // 2:
            yield Page((), tuple(known))
            known = []
        known.append(peer)
    if sum(map(len, held)) > PAGE // 2:
        yield Page(tuple(held))
        held = []
    if held or known:
        yield Page(tuple(held), tuple(known))


def _size(peer: Peer) -> int:
    return len(peer.certificate) + sum(len(address.encode()) + 3 for address in peer.addresses) + 8

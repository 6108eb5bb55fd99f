"""Joining without an invite: two people, or one who walks, type what the other machine shows.

The machine that wants in commits itself to a number, hears the other's, and shows its own: so nobody, also nobody in
the middle, can choose numbers that lead to certain codes. Both make two codes of six digits from all that they know of
the connection, its two keys and the root among them. Whoever lets in shows one and is told the other, and so does who
wants in. With somebody in the middle the codes differ, but for one chance in a million.

Promises: neither side goes on before a person has typed the other side's code; three tries, five minutes, then all of
it begins anew.
Never: takes a click for a code.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from odyssey.commands import AdmitMember
from odyssey.errors import UsageError, echo
from odyssey.ids import NodeId, UserId
from odyssey.mesh.trust.certificates import BY_INVITE, MEMBER_MS, SERIAL_BYTES, Certificate, Grant, node_id
from odyssey.mesh.trust.join_client import Caller, Heard, NotJoined, stranger
from odyssey.mesh.trust.join_server import Answer, NotLetIn, Porter, Visit
from odyssey.mesh.trust.letters import AnyLetter, Chain, Knock, Open, packed, refused
from odyssey.mesh.trust.primitives import KEY_BYTES, Pair, derived, same
from odyssey.mesh.trust.signed import Purpose, proof, proves
from odyssey.mesh.trust.trustset import TrustSet

TRIES: Final = 3
PATIENCE_MS: Final = 300_000
DIGITS: Final = 6
NUMBER_BYTES: Final = 32
MOST_ABOUT: Final = 80  # characters
_COMMITMENT: Final = b"odyssey-knock-v1\0"
_CODES: Final = b"odyssey-codes-v1\0"
_AGAIN: Final = "begin again on the machine that wants in: odyssey join"


class WrongCode(UsageError):
    """It may be typed again."""

    def __init__(self, tries: int) -> None:
        left = f"{tries} tr{'ies' if tries > 1 else 'y'} left"
        super().__init__(f"that is not the code ({left})", hint="type the six digits that the other machine shows")
        self.tries = tries


class Codes(NamedTuple):
    """Each machine shows its own and wants to be told the other's."""

    of_joiner: str
    of_issuer: str


class Asking(NamedTuple):
    """Who asks to be let in, as it says."""

    node: NodeId
    name: str
    code: str  # to be typed at its side
    about: str = ""  # printable, and short


def commitment(number: bytes, node: bytes, name: str) -> bytes:
    return sha256(_COMMITMENT + number + node + name.encode()).digest()


def codes(number: bytes, known: bytes) -> Codes:
    """`known` is all that both sides know of this connection."""
    seed = derived(number, _CODES + known)
    one, other = (int.from_bytes(seed[at : at + 8], "big") % 10**DIGITS for at in (0, 8))
    return Codes(f"{one:0{DIGITS}}", f"{other:0{DIGITS}}")


class _Typing:
    """The other side's code, as a person types it."""

    def __init__(self) -> None:
        self.left = TRIES

    def is_right(self, text: str, code: str, since_ms: int) -> bool:
        """False: no more tries, or no more time. Raises `WrongCode` where there is another try."""
        if self.left <= 0 or since_ms > PATIENCE_MS:
            self.left = 0
            return False
        digits = "".join(text.split()).replace("-", "")
        if digits == code:
            return True
        self.left -= 1
        if not self.left:
            return False
        raise WrongCode(self.left)


# -- who lets in -------------------------------------------------------------------------------------------------------


class PairServer(Visit):
    FIRST = Knock

    def __init__(self, porter: Porter, visitor: bytes) -> None:
        super().__init__(porter, visitor)
        self._typing, self._commitment = _Typing(), b""
        self._open: Open | None = None
        self._codes = Codes("", "")

    @property
    def asks(self) -> Asking | None:
        """To be told to whoever may let in: `odyssey approve`."""
        if self._open is None:
            return None
        letter = self._open
        return Asking(node_id(letter.node), letter.name, self._codes.of_issuer, echo(letter.about, MOST_ABOUT))

    def _on(self, letter: AnyLetter, now: int) -> Answer:
        if isinstance(letter, Knock):
            self._commitment = letter.commitment
            return self._introduce(now, Open)
        assert isinstance(letter, Open)
        return self._opened(letter)

    def _opened(self, letter: Open) -> Answer:
        if not same(commitment(letter.number, letter.node, letter.name), self._commitment):
            raise NotLetIn("proof", "the number is not the one that was promised", hint=_AGAIN)
        said = (letter.number, letter.node, letter.name.encode(), letter.about.encode())
        known = self._bound(self._porter.trust.root, *said)
        if not proves(Purpose.KNOCK, known, letter.node, letter.by_node):
            raise NotLetIn("proof", "the proof of having the machine's key is wrong", hint=_AGAIN)
        self._open, self._codes = letter, codes(letter.number, known)
        return Answer()

    def typed(self, text: str, owner: UserId, grants: Grant, now: int, since_ms: int) -> Answer:
        """What a person has typed here, and what the machine shall be allowed; `since_ms` ago it knocked."""
        letter = self._open
        if letter is None or not self._typing.is_right(text, self._codes.of_joiner, since_ms):
            self._open = None
            return self.sent_off("codes", "the codes were not typed in time, or wrong three times")
        self._open = None
        certificate = Certificate(
            *(self._porter.trust.mesh, self._porter.key.public, b"\0" * SERIAL_BYTES, letter.node, self._visitor),
            *(letter.name, int(grants & BY_INVITE), owner, now, now + MEMBER_MS),
        )
        self._seal(certificate, now)
        return Answer(propose=AdmitMember(certificate.node, self._certificate, certificate.expiry, b"", owner))

    def sent_off(self, code: str, why: str) -> Answer:
        """Somebody said no, or nobody anything. No code is worth anything any more."""
        self._open = None
        error = NotLetIn(code, why, hint=_AGAIN)
        return Answer((packed(refused(error.code, error)),), ends=True)


# -- who wants in ------------------------------------------------------------------------------------------------------


class PairClient(Caller):
    def __init__(self, number: bytes, name: str, node: Pair, curve: bytes, server: bytes, about: str = "") -> None:
        """`number` is 32 random bytes; `about` says to people what this machine is."""
        super().__init__(node, curve, server)
        self._number, self._wanted, self._about = number, name, about
        self._typing, self._codes = _Typing(), Codes("", "")
        self._is_typed = self._is_admitted = False

    @property
    def code(self) -> str:
        """To be typed at the machine that lets in; "" while there is none."""
        return self._codes.of_joiner

    @property
    def mesh_name(self) -> str:
        """As whoever answers says; true only when the codes were typed."""
        return self._name

    @property
    def is_admitted(self) -> bool:
        """All that is given is here; only the code is not typed."""
        return self._is_admitted

    def begin(self) -> bytes:
        return packed(Knock(commitment(self._number, self._node.public, self._wanted)))

    def _expected(self, letter: Chain) -> TrustSet:
        """Any mesh: people will see whether it is the one that was meant."""
        if len(letter.root) != KEY_BYTES:
            raise stranger("it shows no root")
        return TrustSet(letter.mesh, letter.root)

    def _proof(self, letter: Chain) -> AnyLetter:
        said = (self._number, self._node.public, self._wanted.encode(), self._about.encode())
        known = self._bound(letter, letter.root, *said)
        self._codes = codes(self._number, known)
        by_node = proof(Purpose.KNOCK, known, self._node)
        return Open(self._number, self._node.public, by_node, self._wanted, self._about)

    def typed(self, text: str, now: int, since_ms: int) -> Heard:
        """What a person has typed here."""
        if not self._codes.of_issuer or not self._typing.is_right(text, self._codes.of_issuer, since_ms):
            self._codes = Codes("", "")
            raise NotJoined("the codes were not typed in time, or wrong three times", hint=_AGAIN)
        self._is_typed = True
        return super()._perhaps(now) if self._is_admitted else Heard()

    def _perhaps(self, now: int) -> Heard:
        """What is given waits for the person here."""
        self._is_admitted = not self._pages
        return super()._perhaps(now) if self._is_typed else Heard()

"""Getting in: the machine's side at a join socket, from its hello to its certificate.

Promises: nothing but `hello` is said to somebody who is not an issuer of the mesh that was meant, at the very key that
this connection was made with; what comes back is believed only where it follows from the root, and is for this
machine's own keys.
Never: says the secret of an invite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, NoReturn

from odyssey.errors import NotPermitted, WireError, echo
from odyssey.mesh.trust.certificates import SKEW_MS, Certificate, Issuer, fingerprint, node_id
from odyssey.mesh.trust.invite import Invite
from odyssey.mesh.trust.letters import (
    MOST_PAGES,
    Admitted,
    AnyLetter,
    Chain,
    Hello,
    Page,
    Peer,
    Prove,
    Refused,
    Renew,
    bound,
    packed,
    unpacked,
)
from odyssey.mesh.trust.primitives import KEY_BYTES, Pair
from odyssey.mesh.trust.signed import Purpose, Untrusted, Why, proof
from odyssey.mesh.trust.trustset import TrustSet

_HOUR_MS: Final = 3_600_000
_STRANGER: Final = "somebody on this network pretends to be your mesh: use a cable, or another network"


class NotJoined(NotPermitted):
    """Why this machine did not get in."""


class WrongClock(NotJoined):
    """It may be right in a while: machines without a battery learn the time from the network."""


class PutOut(NotJoined):
    """This machine was put out of the mesh, and this is the statement."""

    def __init__(self, message: str, *, hint: str, statement: bytes) -> None:
        super().__init__(message, hint=hint)
        self.statement = statement


class Joined(NamedTuple):
    certificate: bytes
    mine: Certificate
    trust: TrustSet
    peers: tuple[Peer, ...]  # as far as their certificates are believed
    mesh_name: str
    generation: tuple[int, bytes] = (1, b"")


class Heard(NamedTuple):
    say: bytes = b""  # nothing, where there is nothing to be said
    joined: Joined | None = None


class Caller:
    """What joining and renewing have in common."""

    def __init__(self, node: Pair, curve: bytes, server: bytes) -> None:
        """`curve` and `server` are the keys of the connection: this machine's, and the one it was made to."""
        self._node, self._curve, self._server = node, curve, server
        self._hears: Callable[[AnyLetter, int], Heard] = self._on_chain
        self._trust = TrustSet(b"", b"")
        self._name = ""
        self._certificate, self._generation = b"", (1, b"")
        self._pages = 0
        self._peers: list[Peer] = []

    def begin(self) -> bytes:
        return packed(Hello())

    def step(self, data: bytes, now: int) -> Heard:
        """What the other side has said. Raises `NotJoined`; then the connection is to be closed."""
        try:
            letter = unpacked(data)
        except WireError as error:
            raise stranger(f"what it says cannot be read: {error.message}") from error
        if isinstance(letter, Refused):
            self._refused(letter)
        return self._hears(letter, now)

    def _refused(self, letter: Refused) -> NoReturn:
        text, hint = f"not let in: {echo(letter.text, 200)}", echo(letter.hint, 200) or "try again"
        if letter.statement:
            self._trust.take_all((letter.statement,))
            if self._trust.is_revoked(node_id(self._node.public)):
                raise PutOut(text, hint=hint, statement=letter.statement)
        raise NotJoined(text, hint=hint)

    # -- who is it -----------------------------------------------------------------------------------------------------

    def _on_chain(self, letter: AnyLetter, now: int) -> Heard:
        if not isinstance(letter, Chain):
            raise stranger("it does not say who it is")
        self._trust = self._expected(letter)
        _check_clock(letter.now_ms, now)
        if not letter.chain:
            text = "the machine that answered can let nobody in at this time"
            raise NotJoined(
                text, hint="set the clocks of both machines (timedatectl set-ntp true); there: odyssey doctor"
            )
        self._trust.take_all(letter.chain)
        issuer = self._issuer(letter.issuer, now)
        if issuer.curve != self._server:
            raise stranger("it shows another machine's certificates")
        self._name = letter.name
        self._hears = self._on_admitted
        return Heard(packed(self._proof(letter)))

    def _issuer(self, key: bytes, now: int) -> Issuer:
        found = [one for one in self._trust.issuers(now) if one.key == key]
        if not found:
            raise stranger("it may not let machines into this mesh")
        return found[-1]

    def _expected(self, letter: Chain) -> TrustSet:
        raise NotImplementedError

    def _proof(self, letter: Chain) -> AnyLetter:
        raise NotImplementedError

    def _bound(self, letter: Chain, *more: bytes) -> bytes:
        return bound(letter.mesh, letter.nonce, self._server, self._curve, *more)

    # -- what it gives -------------------------------------------------------------------------------------------------

    def _on_admitted(self, letter: AnyLetter, now: int) -> Heard:
        if not isinstance(letter, Admitted) or not 0 <= letter.pages <= MOST_PAGES:
            raise stranger("it gives no certificate")
        self._certificate, self._pages, self._generation = letter.certificate, letter.pages, letter.generation
        self._mine(now)
        self._hears = self._on_page
        return self._perhaps(now)

    def _on_page(self, letter: AnyLetter, now: int) -> Heard:
        if not isinstance(letter, Page) or not self._pages:
            raise stranger("it says what was not asked")
        self._pages -= 1
        self._trust.take_all(letter.trust)
        self._peers += letter.peers
        return self._perhaps(now)

    def _perhaps(self, now: int) -> Heard:
        if self._pages:
            return Heard()
        mine = self._mine(now)  # once more: all revocations are known now
        peers = tuple(peer for peer in self._peers if self._is_believed(peer, now))
        return Heard(joined=Joined(self._certificate, mine, self._trust, peers, self._name, self._generation))

    def _mine(self, now: int) -> Certificate:
        try:
            mine = self._trust.check(self._certificate, now)
            if (mine.key, mine.curve) != (self._node.public, self._curve):
                raise Untrusted(Why.OTHER_KEY, Certificate.WHAT)
        except Untrusted as error:
            raise NotJoined(f"not let in: {error.message}", hint=error.hint or _STRANGER) from error
        return mine

    def _is_believed(self, peer: Peer, now: int) -> bool:
        try:
            self._trust.check(peer.certificate, now)
        except Untrusted:
            return False
        return True


class JoinClient(Caller):
    """By an invite."""

    def __init__(self, invite: Invite, name: str, node: Pair, curve: bytes, server: bytes) -> None:
        super().__init__(node, curve, server)
        self._invite, self._wanted = invite, name

    def _expected(self, letter: Chain) -> TrustSet:
        if len(letter.root) != KEY_BYTES or fingerprint(letter.root) != self._invite.root:
            raise stranger("it is of another mesh than the invite")
        return TrustSet(letter.mesh, letter.root)

    def _proof(self, letter: Chain) -> AnyLetter:
        token, node, invite = self._invite.key(), self._node, self._invite.id
        what = self._bound(letter, invite, token.public, node.public, self._wanted.encode())
        by_token, by_node = proof(Purpose.JOIN_BY_INVITE, what, token), proof(Purpose.JOIN_AS_NODE, what, node)
        return Prove(invite, token.public, by_token, node.public, by_node, self._wanted)


class RenewClient(Caller):
    """With the certificate it has."""

    def __init__(self, trust: TrustSet, certificate: bytes, node: Pair, curve: bytes, server: bytes) -> None:
        super().__init__(node, curve, server)
        self._known, self._shown = trust, certificate

    def _expected(self, letter: Chain) -> TrustSet:
        if (letter.mesh, letter.root) != (self._known.mesh, self._known.root):
            raise stranger("it is of another mesh")
        return self._known

    def _proof(self, letter: Chain) -> AnyLetter:
        what = self._bound(letter, self._shown)
        return Renew(self._shown, proof(Purpose.RENEW, what, self._node))


def stranger(what: str) -> NotJoined:
    return NotJoined(f"the machine that answered is not trusted: {what}", hint=_STRANGER)


def _check_clock(theirs: int, mine: int) -> None:
    if abs(theirs - mine) <= SKEW_MS:
        return
    hours = abs(theirs - mine) // _HOUR_MS
    much = f"{hours // 24} days and {hours % 24} hours" if hours >= 48 else f"{hours} hours"
    side = "behind" if mine < theirs else "ahead of"
    text = f"this machine's clock is {much} {side} the clock of the machine that lets in"
    raise WrongClock(text, hint="set the clock that is wrong (timedatectl set-ntp true), then join again")

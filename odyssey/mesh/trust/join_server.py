"""Letting a machine in: one visitor at the join socket, from its hello to its certificate.

The visitor's curve key is the one its connection was made with, as the socket knows it, never one that it says. A use
of the invite is counted on the log before the certificate leaves: `Answer.propose` is to be put onto the log, and
`decided` says what came of it.

Promises: a certificate is given only to who proved in this connection, over this nonce, that it has the invite's key
and its own; it gives what the invite's signed terms say, or what the log's newest certificate said, and no more. After
a refusal, or an answer, nothing more is heard.
Never: believes the log about what an invite allows, or tells a stranger more than the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

from msgspec.structs import replace

from odyssey.clock import Entropy
from odyssey.commands import AdmitMember, RenewMember
from odyssey.errors import CallersError, Malformed, NotUnderstood, OdysseyError, WireError
from odyssey.ids import NodeId
from odyssey.mesh.trust.certificates import MEMBER_MS, SERIAL_BYTES, Certificate, Issuer, invite_key_hash, node_id
from odyssey.mesh.trust.letters import (
    NONCE_BYTES,
    Admitted,
    AnyLetter,
    Chain,
    Hello,
    Peer,
    Prove,
    Renew,
    bound,
    packed,
    pages,
    refused,
    unpacked,
)
from odyssey.mesh.trust.primitives import Pair, same
from odyssey.mesh.trust.signed import Purpose, Untrusted, Why, opened, proves, sealed
from odyssey.mesh.trust.trustset import TrustSet
from odyssey.model import Invite, Member

_ANOTHER: Final = "ask for another one: odyssey invite, on a machine of the mesh"


class Porter(NamedTuple):
    """The issuer of this machine, and what it knows of the log."""

    trust: TrustSet
    issuer: Issuer
    key: Pair
    mesh_name: str
    invite: Callable[[bytes], Invite | None]
    member: Callable[[NodeId], Member | None]
    peers: Callable[[], tuple[Peer, ...]]
    entropy: Entropy
    generation: tuple[int, bytes] = (1, b"")  # the first of the mesh


class Answer(NamedTuple):
    say: tuple[bytes, ...] = ()
    propose: AdmitMember | RenewMember | None = None
    ends: bool = False


class NotLetIn(CallersError):
    """Why a visitor stays outside."""

    def __init__(self, code: str, message: str, *, hint: str = _ANOTHER) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class Visit:
    """What all visits have in common."""

    FIRST: ClassVar[type[AnyLetter]]

    def __init__(self, porter: Porter, visitor: bytes) -> None:
        """`visitor` is the curve key of the connection."""
        self._porter, self._visitor = porter, visitor
        self._nonce = porter.entropy.token(NONCE_BYTES)
        self._awaits: tuple[type[AnyLetter], ...] = (self.FIRST,)
        self._certificate = b""  # not handed out before the log has it
        self._statement = b""  # by which the visitor was put out

    def _on(self, letter: AnyLetter, now: int) -> Answer:
        raise NotImplementedError

    def step(self, data: bytes, now: int) -> Answer:
        """What the visitor has said."""
        awaited, self._awaits = self._awaits, ()
        try:
            letter = unpacked(data)
            if isinstance(letter, awaited):
                return self._on(letter, now)
            raise NotLetIn("out-of-turn", "that was not expected now", hint="try again")
        except NotLetIn as error:
            return Answer((packed(refused(error.code, error)),), ends=True)
        except NotUnderstood as error:
            return Answer((packed(refused("newer", error)),), ends=True)
        except WireError:
            return Answer((packed(refused("unreadable", Malformed("that cannot be read"))),), ends=True)
        except Untrusted as error:
            told = refused(error.why.name.lower().replace("_", "-"), error)
            return Answer((packed(replace(told, statement=self._statement)),), ends=True)

    def decided(self, refusal: OdysseyError | None) -> Answer:
        """Whether the log has taken what was proposed."""
        if refusal is not None or not self._certificate:
            error = refusal or OdysseyError("nothing was asked")
            return Answer((packed(refused("not-taken", error)),), ends=True)
        chapters = [packed(page) for page in pages(self._porter.trust.items, self._porter.peers())]
        return Answer(
            (packed(Admitted(self._certificate, len(chapters), self._porter.generation)), *chapters), ends=True
        )

    def _introduce(self, now: int, *then: type[AnyLetter]) -> Answer:
        """Who lets in."""
        porter = self._porter
        chain = self._chain(now)
        self._awaits = then
        letter = Chain(
            *(self._nonce, now, porter.trust.mesh, porter.trust.root, porter.issuer.key, chain, porter.mesh_name)
        )
        return Answer((packed(letter),))

    def _chain(self, now: int) -> tuple[bytes, ...]:
        """None at a time at which it may let nobody in: the visitor compares the clocks, and knows why."""
        try:
            return self._porter.trust.chain(self._porter.issuer.key, now)
        except Untrusted as error:
            if error.why is not Why.NOT_ISSUER_THEN:
                raise
            return ()

    def _bound(self, *more: bytes) -> bytes:
        porter = self._porter
        return bound(porter.trust.mesh, self._nonce, porter.issuer.curve, self._visitor, *more)

    def _seal(self, certificate: Certificate, now: int) -> None:
        """Signed, and checked as everybody else will check it."""
        serial = self._porter.entropy.token(SERIAL_BYTES)
        data = sealed(replace(certificate, serial=serial), self._porter.key)
        self._porter.trust.check(data, now)
        self._certificate = data


class JoinServer(Visit):
    """With an invite, or with a certificate that is to be renewed."""

    FIRST = Hello

    def _on(self, letter: AnyLetter, now: int) -> Answer:
        match letter:
            case Prove():
                return self._admit(letter, now)
            case Renew():
                return self._renew(letter, now)
            case _:
                return self._introduce(now, Prove, Renew)

    # -- by an invite --------------------------------------------------------------------------------------------------

    def _admit(self, letter: Prove, now: int) -> Answer:
        trust, record = self._porter.trust, self._porter.invite(letter.invite)
        if record is None:
            raise NotLetIn("invite-unknown", "this invite is not known here: it was taken back, or is over")
        terms = trust.terms(record.terms, now)
        if terms.id != letter.invite or not same(invite_key_hash(letter.token), terms.key_hash):
            raise NotLetIn("proof", "the secret of this invite is another one")
        what = self._bound(letter.invite, letter.token, letter.node, letter.name.encode())
        if not proves(Purpose.JOIN_BY_INVITE, what, letter.token, letter.by_token):
            raise NotLetIn("proof", "the proof of having the invite is wrong")
        if not proves(Purpose.JOIN_AS_NODE, what, letter.node, letter.by_node):
            raise NotLetIn("proof", "the proof of having the machine's key is wrong")
        node = node_id(letter.node)
        if node not in record.used and len(record.used) >= terms.uses:
            raise NotLetIn("invite-spent", f"this invite has let in all it may ({terms.uses})")
        certificate = Certificate(
            *(trust.mesh, self._porter.key.public, b"\0" * SERIAL_BYTES, letter.node, self._visitor),
            *(letter.name, terms.grants, terms.owner, now, now + MEMBER_MS),
        )
        self._seal(certificate, now)
        return Answer(propose=AdmitMember(node, self._certificate, certificate.expiry, letter.invite))

    # -- again ---------------------------------------------------------------------------------------------------------

    def _renew(self, letter: Renew, now: int) -> Answer:
        out = self._porter.trust.revocation(opened(letter.certificate, Certificate).node)
        self._statement = out[1] if out is not None else b""
        shown = self._held(letter.certificate, now)
        if not proves(Purpose.RENEW, self._bound(letter.certificate), shown.key, letter.by_node):
            raise NotLetIn("proof", "the proof of having the machine's key is wrong")
        newest = self._newest(shown, now)
        certificate = replace(
            newest,
            signer=self._porter.key.public,
            curve=self._visitor,
            not_before=now,
            expiry=now + MEMBER_MS,
        )
        self._seal(certificate, now)
        return Answer(propose=RenewMember(certificate.node, self._certificate, certificate.expiry))

    def _held(self, data: bytes, now: int) -> Certificate:
        """Or the one that the log has for the same key: it may have been made anew while that machine was away, because
        whoever had signed the old one lets nobody in any more."""
        try:
            return self._shown(data, now)
        except Untrusted as error:
            member = self._porter.member(opened(data, Certificate).node)
            if error.why is not Why.ISSUER_REVOKED or member is None:
                raise
            return self._shown(member.certificate, now)

    def _shown(self, data: bytes, now: int) -> Certificate:
        """One that a clock far ahead has made was good when it was made, and is to be renewed before all others."""
        ahead = opened(data, Certificate).not_before
        return self._porter.trust.renewable(data, max(now, ahead))

    def _newest(self, shown: Certificate, now: int) -> Certificate:
        """Of what was shown and what the log has: an old one may give what was taken away since."""
        member = self._porter.member(shown.node)
        if member is None:
            return shown
        known = self._shown(member.certificate, now)
        return known if known.node == shown.node and known.not_before >= shown.not_before else shown

"""What a machine may do, given and taken back: by new certificates, which only a machine signs that lets others in.

Who is to let others in makes a key for that and tells its public half; the certificate for it goes onto the log. Taken
back, the key is put out for good, and with it falls all that it has signed: so whoever came in by it is certified anew
by this machine, first.

Promises: what was answered is on the log; nobody is given what this machine may not give.
Never: sees a key of another machine, or changes what this machine may do itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from odyssey.api.errands import Offer, Offered
from odyssey.clock import Clock, Entropy
from odyssey.commands import AllowIssuer, Command, RenewMember, Revoke
from odyssey.errors import CutOff, NotPermitted, OdysseyError, Unreachable, UsageError
from odyssey.events import CommandRefused
from odyssey.ids import NodeId, UserId
from odyssey.mesh.company import Company
from odyssey.mesh.letters import Accepted, Outcome
from odyssey.mesh.trust.certificates import (
    ISSUER_MS,
    MEMBER_MS,
    SERIAL_BYTES,
    Certificate,
    Grant,
    Issuer,
    Revocation,
    node_id,
)
from odyssey.mesh.trust.primitives import Pair
from odyssey.mesh.trust.signed import sealed
from odyssey.mesh.trust.standing import Standing

INVITE: Final = "invite"
GRANTS: Final = {"submit": Grant.SUBMIT, "work": Grant.WORKER, "keep": Grant.VOTE, "admin": Grant.ADMIN}


class World(NamedTuple):
    company: Company
    standing: Callable[[], Standing]
    ask: Callable[[NodeId, Offer], Awaitable[Offered]]
    propose: Callable[[Command, Callable[[Outcome], None]], None]
    clock: Clock
    entropy: Entropy


class Allowing:
    def __init__(self, world: World) -> None:
        self._world = world

    async def allow(self, node: NodeId, words: Sequence[str], is_given: bool, by: UserId) -> None:
        signer, now = self._signer(node), self._world.clock.wall_ms()
        entry = self._world.company.roster.entry(node)
        if entry is None:
            raise UsageError("this machine's certificate is not known here", hint="try again when it is up")
        changed = Grant(sum(GRANTS[word] for word in words if word != INVITE))
        grants = entry.certificate.grants | changed if is_given else entry.certificate.grants & ~changed
        if grants & changed & ~signer.issuer.may_give:
            raise NotPermitted("this machine may not give that", hint="type it on the machine that began the mesh")
        if grants != entry.certificate.grants:
            await self._carry_out(signer.member(replace(entry.certificate, grants=grants), now, self._world.entropy))
        if INVITE in words:
            await (self._let(node, signer, entry.certificate, by) if is_given else self._stop(node, signer, by))

    async def _let(self, node: NodeId, signer: Signer, certificate: Certificate, by: UserId) -> None:
        if self._keys(node):
            return
        try:
            offered = await self._world.ask(node, Offer())
        except Unreachable as error:
            raise Unreachable(f"{certificate.name} has to be up for that", hint="try again when it is") from error
        now = self._world.clock.wall_ms()
        await self._carry_out(signer.letting(node, offered.key, certificate.curve, now, self._world.entropy, by))

    async def _stop(self, node: NodeId, signer: Signer, by: UserId) -> None:
        now = self._world.clock.wall_ms()
        check_own_right(self._world.company, self._world.standing(), node, now)
        for key in self._keys(node):
            for command in self._anew(key, signer, now):
                await self._carry_out(command)
            subject = node_id(key)
            statement = sealed(Revocation(signer.issuer.mesh, signer.key.public, subject, now), signer.key)
            await self._carry_out(Revoke(subject, statement, by))

    def _keys(self, node: NodeId) -> list[bytes]:
        """With which it lets in."""
        return [one.key for one in self._world.company.roster.trust.known_issuers() if one.node == node]

    def _anew(self, key: bytes, signer: Signer, now: int) -> Iterator[Command]:
        """What this key has signed, by another one: machines, and others that let in."""
        roster, entropy = self._world.company.roster, self._world.entropy
        for node in roster.nodes:
            entry = roster.entry(node)
            if entry is not None and entry.certificate.signer == key:
                yield signer.member(entry.certificate, now, entropy)
        for one in roster.trust.known_issuers():
            if one.signer == key and one.key != signer.key.public:
                yield signer.letting(one.node, one.key, one.curve, now, entropy, UserId(""))

    def _signer(self, node: NodeId) -> Signer:
        standing = self._world.standing()
        issuer = standing.issuing(self._world.clock.wall_ms())
        if issuer is None or standing.issuer is None or not issuer.may_give & Grant.ISSUE:
            text = "this machine may not say what others may do"
            raise NotPermitted(text, hint="ask on a machine that lets others in, as the one that began the mesh")
        if node == self._world.company.me:
            raise UsageError("a machine does not change what it may do itself", hint="type it on another one")
        return Signer(issuer, standing.issuer)

    async def _carry_out(self, command: Command) -> None:
        decided: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._world.propose(command, lambda outcome: None if decided.done() else decided.set_result(outcome))
        outcome = await decided
        if not isinstance(outcome, Accepted):
            raise CutOff("too few keepers of this mesh can be reached", hint="try again in a while")
        for event in outcome.answer if isinstance(outcome.answer, Sequence) else ():
            if isinstance(event, CommandRefused):
                raise OdysseyError(event.text, hint=event.hint or None)
        self._hear(command)

    def _hear(self, command: Command) -> None:
        """At once here, however late the log is applied."""
        match command:
            case RenewMember(certificate=certificate):
                self._world.company.hear((certificate,), ())
            case AllowIssuer(certificate=certificate):
                self._world.company.hear((), (certificate,))


def check_own_right(company: Company, standing: Standing, node: NodeId, now: int) -> None:
    """With a right to let in falls all that hangs on it; so nobody takes away the one by which he has his own."""
    issuing = standing.issuing(now)
    keys = {one.key for one in company.roster.trust.known_issuers() if one.node == node}
    if issuing is not None and issuing.signer in keys:
        text = "this machine lets others in by that one's word, and nobody could any more"
        raise UsageError(text, hint="type it on the machine that began the mesh, or on that machine: odyssey leave")


class Signer(NamedTuple):
    """This machine's right to let in."""

    issuer: Issuer
    key: Pair

    def member(self, certificate: Certificate, now: int, entropy: Entropy) -> RenewMember:
        begin = max(now, certificate.not_before + 1)  # of two the newer one counts
        made = replace(
            certificate,
            signer=self.key.public,
            serial=entropy.token(SERIAL_BYTES),
            not_before=begin,
            expiry=begin + MEMBER_MS,
        )
        return RenewMember(made.node, sealed(made, self.key), made.expiry)

    def letting(self, node: NodeId, key: bytes, curve: bytes, now: int, entropy: Entropy, by: UserId) -> AllowIssuer:
        record = Issuer(
            *(self.issuer.mesh, self.key.public, entropy.token(SERIAL_BYTES), node, key, curve),
            *(self.issuer.may_give, now, now + ISSUER_MS),
        )
        return AllowIssuer(node, sealed(record, self.key), record.expiry, by)

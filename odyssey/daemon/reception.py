"""Where machines are let into the mesh: what the join socket answers them, and the invites they come with.

Promises: who is let in, and each use of an invite, is on the log before the newcomer hears of it.
Never: lets anybody in on a machine that may not; keeps the text of an invite.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

from odyssey import __version__
from odyssey.api.errands import Offer, Offered
from odyssey.api.ports import About, Membership
from odyssey.api.views import Approval, AskingView, InviteView
from odyssey.clock import Clock, Entropy
from odyssey.commands import LEVELS, AdmitMember, Command, MakeInvite, RenewMember
from odyssey.daemon.allowing import Allowing, World, check_own_right
from odyssey.daemon.approving import Approving
from odyssey.daemon.founding import Belonging
from odyssey.daemon.life import Life
from odyssey.daemon.putting_out import PuttingOut
from odyssey.errors import CutOff, NotPermitted, OdysseyError, UsageError
from odyssey.events import CommandRefused
from odyssey.ids import NodeId, UserId
from odyssey.mesh.company import Company
from odyssey.mesh.letters import Accepted, Again, Outcome
from odyssey.mesh.links.askers import Askers
from odyssey.mesh.links.switchboard import PeerState
from odyssey.mesh.trust import invite as invites
from odyssey.mesh.trust.certificates import INVITE_MS, MINE, OF_OTHERS, Grant, Terms, invite_key_hash
from odyssey.mesh.trust.invite import Address
from odyssey.mesh.trust.join_server import Porter
from odyssey.mesh.trust.letters import Peer
from odyssey.mesh.trust.signed import sealed
from odyssey.mesh.trust.standing import Standing
from odyssey.mesh.trust.visitors import Visitor

SWITCHED_ON_S: Final = 5.0
_STEP_S: Final = 0.02
Decided = Callable[[OdysseyError | None], None]


class House(NamedTuple):
    """What a reception is in."""

    belonging: Belonging
    company: Company
    standing: Callable[[], Standing]
    links: Callable[[], Mapping[NodeId, PeerState]]  # to the other machines
    addresses: Callable[[], Sequence[str]]  # of this machine's join socket
    clock: Clock
    entropy: Entropy
    ask: Callable[[NodeId, Offer], Awaitable[Offered]]
    offer: Callable[[], bytes]


class Reception(Membership):
    def __init__(self, house: House, life: Life) -> None:
        self._house, self._life = house, life
        self.askers = Askers()
        self._approving = Approving(self.askers, house.clock, lambda: house.belonging.owner)

    def member(self, node: NodeId) -> tuple[str, UserId] | None:
        company = self._house.company
        entry = company.roster.entry(node)
        if entry is None or not company.may(node, Grant.WORKER):
            return None
        return entry.certificate.name, entry.certificate.owner

    def about(self, node: NodeId) -> About:
        me, links = node == self._house.company.me, self._house.links()
        known = self._house.company.peer(node)
        address = known.addresses[0] if known is not None and known.addresses else None
        program = __version__ if me else links[node].program if node in links else ""
        return About(address, program or None)

    async def allow(self, node: NodeId, words: Sequence[str], is_given: bool, by: UserId) -> None:
        house = self._house
        world = World(house.company, house.standing, house.ask, self._propose, house.clock, house.entropy)
        await Allowing(world).allow(node, words, is_given, by)

    def _propose(self, command: Command, done: Callable[[Outcome], None]) -> None:
        node = self._life.node
        if node is None:
            done(Again(0))
        else:
            node.replica.propose(command, done)

    def offer(self) -> bytes:
        return self._house.offer()

    async def farewell(self, node: NodeId, by: UserId) -> None:
        if not any(one.node == node for one in self._house.company.roster.trust.known_issuers()):
            await self.put_out(node, by)

    async def put_out(self, node: NodeId, by: UserId) -> None:
        check_own_right(self._house.company, self._house.standing(), node, self._house.clock.wall_ms())
        await PuttingOut(self._life, self._house.standing, self._house.clock).put_out(node, by)

    # -- visitors ------------------------------------------------------------------------------------------------------

    def visit(self, visitor: bytes) -> Visitor:
        return Visitor(self._porter(), visitor)

    def _porter(self) -> Porter:
        house, state, standing = self._house, self._life.book.state, self._house.standing()
        issuers = house.company.roster.trust.issuers(house.clock.wall_ms())  # known: nothing is verified for a stranger
        mine = [one for one in issuers if standing.issuer is not None and one.key == standing.issuer.public]
        issuer = max(mine, key=lambda one: one.expiry, default=None) or standing.newest()
        assert issuer is not None
        assert standing.issuer is not None
        return Porter(
            house.company.roster.trust,
            issuer,
            standing.issuer,
            house.belonging.name,
            state.invites.get,
            state.members.get,
            self._peers,
            house.entropy,
            (house.belonging.root.number, house.belonging.root.id),
        )

    def _peers(self) -> tuple[Peer, ...]:
        company = self._house.company
        nodes = [company.me, *(node for node, link in self._house.links().items() if link.up)]
        return tuple(peer for node in nodes if (peer := company.peer(node)) is not None)

    def take(self, command: AdmitMember | RenewMember | MakeInvite, done: Decided) -> None:
        node = self._life.node
        if node is None:
            done(CutOff("the log cannot be used just now", hint="try again in a while"))
        else:
            node.replica.propose(command, lambda outcome: self._taken_in(command, _refusal(outcome), done))

    def _taken_in(
        self, command: AdmitMember | RenewMember | MakeInvite, refusal: OdysseyError | None, done: Decided
    ) -> None:
        """Whoever was let in is known here at once, however late the log is applied."""
        if refusal is None and not isinstance(command, MakeInvite):
            self._house.company.hear((command.certificate,), ())
        done(refusal)

    # -- without an invite ---------------------------------------------------------------------------------------------

    def asking(self) -> AskingView:
        return self._approving.asking()

    async def approve(self, machine: str, code: str, owner: UserId) -> Approval:
        return await self._approving.approve(machine, code, owner)

    def deny(self, machine: str) -> Approval:
        return self._approving.deny(machine)

    def notes(self) -> tuple[str, ...]:
        """For `status`."""
        return self._approving.notes()

    # -- invites -------------------------------------------------------------------------------------------------------

    async def invite(self, uses: int, for_ms: int, owner: UserId) -> InviteView:
        house, standing = self._house, self._house.standing()
        now = house.clock.wall_ms()
        if standing.issuing(now) is None or standing.issuer is None:
            raise NotPermitted("this machine lets nobody in", hint="ask on the machine that began the mesh")
        made = invites.made(standing.known.root, standing.curve.public, self._reachable(), house.entropy)
        until = now + min(for_ms, INVITE_MS)
        grants = MINE if owner == house.belonging.owner else OF_OTHERS
        record = Terms(
            *(standing.known.mesh, standing.issuer.public, made.id, invite_key_hash(made.key().public), uses, owner),
            *(int(grants), now, until),
        )
        await self._is_on()
        await self._taken(MakeInvite(made.id, sealed(record, standing.issuer), uses, until, owner))
        return InviteView(invites.written(made), made.id.hex(), until, uses)

    async def _is_on(self) -> None:
        """In a mesh that has only just begun this is switched on a moment later."""
        for _ in range(round(SWITCHED_ON_S / _STEP_S)):
            if self._life.book.state.head.level >= LEVELS[MakeInvite]:
                return
            await asyncio.sleep(_STEP_S)

    async def _taken(self, command: MakeInvite) -> None:
        decided: asyncio.Future[OdysseyError | None] = asyncio.get_running_loop().create_future()
        self.take(command, lambda refusal: None if decided.done() else decided.set_result(refusal))
        refusal = await decided
        if refusal is not None:
            raise refusal

    def _reachable(self) -> list[Address]:
        found = []
        for text in self._house.addresses():
            host, _, port = text.rpartition(":")
            found.append(Address(host.strip("[]"), int(port)))
        return found


def _refusal(outcome: Outcome) -> OdysseyError | None:
    if not isinstance(outcome, Accepted):
        return CutOff("too few keepers of this mesh can be reached", hint="try again in a while")
    events = outcome.answer if isinstance(outcome.answer, Sequence) else ()
    for event in events:
        if isinstance(event, CommandRefused):
            return UsageError(event.text, hint=event.hint or "ask for another invite")
    return None

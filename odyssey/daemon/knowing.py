"""Who belongs, kept up to date while a daemon runs: heard of from the log and from others, told on, renewed, kept.

Promises: what was heard of who is put out is on this disk before it is told on, where the disk takes it; who is out
itself says so, ends what it holds and closes its doors.
Never: decides who belongs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from odyssey.clock import Clock, Entropy
from odyssey.commands import LEVELS, AllowIssuer
from odyssey.daemon import outcast
from odyssey.daemon.copies import Copies
from odyssey.daemon.papers import Papers
from odyssey.daemon.renewing import Renewing
from odyssey.daemon.renewing import World as Renewal
from odyssey.errors import OdysseyError
from odyssey.events import Event, IssuerAllowed, MemberAdmitted, MemberRenewed, Revoked
from odyssey.ids import NodeId
from odyssey.mesh.acquainting import Acquainting
from odyssey.mesh.acquainting import World as Meeting
from odyssey.mesh.company import Company
from odyssey.mesh.letters import Outcome
from odyssey.mesh.links.channel import IS_COPY, PUT_OUT
from odyssey.mesh.links.knock import knock
from odyssey.mesh.links.sockets import Keys
from odyssey.mesh.links.switchboard import Switchboard
from odyssey.mesh.trust.certificates import Issuer
from odyssey.mesh.trust.invite import Address
from odyssey.mesh.trust.join_client import Caller, Joined
from odyssey.mesh.trust.standing import Standing
from odyssey.messages import Acquainted, Going
from odyssey.node import Node
from odyssey.scheduler.state import State

TELL_LOG_MS: Final = 10_000
ALONE_MS: Final = 15_000
_OF_WHO_BELONGS: Final = (MemberAdmitted, MemberRenewed, Revoked, IssuerAllowed)
_log: Final = logging.getLogger(__name__)


class Place(NamedTuple):
    """This machine's in its mesh, just now."""

    coordinator: Callable[[], NodeId | None]  # as far as it knows; itself, too
    node: Callable[[], Node | None]
    state: Callable[[], State]
    addresses: Callable[[], Sequence[str]]
    post: Callable[[NodeId, Acquainted], None]
    shut: Callable[[], None]


class Knowing:
    def __init__(
        self,
        company: Company,
        papers: Papers,
        board: Switchboard,
        place: Place,
        mesh_name: str,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._company, self._papers, self._board, self._place = company, papers, board, place
        self._mesh_name, self._loop, self._clock, self._entropy = mesh_name, loop, clock, entropy
        self.acquainting = Acquainting(company, clock.boottime_ms(), self._meeting())
        self._renewing = Renewing(Renewal(company, papers, self._knock, clock, entropy))
        self._renewal: asyncio.Task[None] | None = None
        self._proposals, self._propose_ms = 0, 0
        self._alone_ms = clock.monotonic_ms()  # since then nobody was there
        self.copies = Copies(clock)
        self.is_out = False

    def _meeting(self) -> Meeting:
        return Meeting(
            post=self._place.post,
            coordinator=self._place.coordinator,
            up=self.up,
            addresses=self._place.addresses,
            look_again=self._board.look_again,
            learnt=self._keep_trust,
            cut=self._board.recheck,
            timers=self._loop,
            clock=self._clock,
            entropy=self._entropy,
        )

    def up(self) -> Sequence[NodeId]:
        return [node for node, peer in self._board.peers().items() if peer.up]

    def notes(self) -> tuple[str, ...]:
        """For `status`."""
        return tuple(filter(None, (self._renewing.note(), self.copies.note())))

    # -- from time to time ---------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Every second."""
        self.acquainting.tick()
        self._keep_trust()
        self.keep_peers()
        if any(link.why == IS_COPY for link in self._board.peers().values()):
            self.copies.refused()
        if not self.is_out:
            if self._place.coordinator() == self._company.me:
                self._tell_log()
            self._keep_certificate()

    def standing(self) -> Standing:
        """Of this machine, as good as it can make it by itself: others are let in by it."""
        if self._papers.mine.is_due(self._clock.wall_ms()):
            try:
                self._renewing.refresh()
            except OdysseyError as error:
                _log.warning("the certificate was not renewed: %s", error)
        return self._papers.standing

    def _keep_certificate(self) -> None:
        """From half of its time on. Whoever is told to be no member asks why; and whoever can talk to nobody asks too:
        all that it knows of others may be over."""
        links, now = self._board.peers().values(), self._clock.monotonic_ms()
        if any(link.up for link in links) or self._place.coordinator() == self._company.me:
            self._alone_ms = now
        asks = any(link.why == PUT_OUT for link in links) or now - self._alone_ms >= ALONE_MS
        if self._renewal is None and (self._renewing.is_due or (asks and self._renewing.may_ask)):
            self._renewal = self._loop.create_task(self._renew(asks))

    async def _renew(self, asked: bool) -> None:
        try:
            await self._renewing.renew(asked)
            self.notice_out()
        except OdysseyError as error:
            _log.warning("the certificate was not renewed: %s", error)  # the disk is full
        finally:
            self._renewal = None

    async def _knock(self, issuer: Issuer, addresses: Sequence[Address], dialogue: Callable[[], Caller]) -> Joined:
        curve = self._papers.standing.curve
        return await knock(issuer.curve, addresses, Keys(curve.public, curve.secret), dialogue, self._clock)

    def keep_peers(self) -> None:
        try:
            self._company.save()
        except OSError as error:
            _log.warning("what is known of other machines cannot be written: %s", error)

    def _keep_trust(self) -> None:
        try:
            self._papers.keep_trust()
            self._papers.keep_own()
        except OdysseyError as error:
            _log.warning("who was put out cannot be written down yet: %s", error)  # the disk is full: tried again
        self.notice_out()

    # -- the log -------------------------------------------------------------------------------------------------------

    def changed(self, events: Sequence[Event]) -> None:
        if any(isinstance(event, _OF_WHO_BELONGS) for event in events):
            self.hear_log()

    def hear_log(self) -> None:
        state, trust = self._place.state(), self._company.roster.trust
        members, before = [one.certificate for one in state.members.values()], trust.size
        self._company.hear(members, (*state.issuers.values(), *state.revoked.values()))
        if trust.size > before:
            self.acquainting.hand_on(tuple(trust.since(before)))

    def _tell_log(self) -> None:
        """What it lacks of certificates, and what it has too much of invites."""
        node, state, now = self._place.node(), self._place.state(), self._clock.monotonic_ms()
        if node is None or self._proposals or now < self._propose_ms or state.head.level < LEVELS[AllowIssuer]:
            return
        self._propose_ms = now + TELL_LOG_MS
        for command in self._renewing.commands(state):
            self._proposals += 1
            node.replica.propose(command, self._proposed)

    def _proposed(self, _: Outcome) -> None:
        """What was not taken is found missing the next time."""
        self._proposals -= 1

    # -- out of the mesh -----------------------------------------------------------------------------------------------

    @property
    def out(self) -> str:
        """That this machine was put out of its mesh, as a sentence; empty while it was not."""
        return outcast.sentence(self._company.roster, self._company.me, self._mesh_name)

    def notice_out(self) -> None:
        """What runs here was given to others, or will be."""
        if self.out and not self.is_out:
            self.is_out = True
            _log.error("%s", self.out)
            self._loop.call_soon(self._place.shut)
            node = self._place.node()
            if node is not None:
                node.agent.go(Going.LEAVE)

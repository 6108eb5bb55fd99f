"""Certificates that renew themselves, from half of their time on.

A machine that has the root key, or lets others in, renews what it can by itself. Every other one shows its certificate
at the join socket of a machine that lets in, with a proof that it has the key: also when its time is over, as a laptop
does that comes back from a holiday. What is new of issuers and invites goes onto the log from the machine that
coordinates.

Promises: is tried until it is done; a machine that learns on the way that it was put out, takes that as said; trouble
is told in words.
Never: asks more often than every half minute, or a machine that is not known to let others in.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from odyssey.clock import Clock, Entropy
from odyssey.commands import Command
from odyssey.daemon.papers import Papers
from odyssey.errors import OdysseyError
from odyssey.ids import NodeId
from odyssey.mesh.company import Company
from odyssey.mesh.trust.certificates import DAY_MS, Issuer
from odyssey.mesh.trust.invite import Address
from odyssey.mesh.trust.inviting import over, to_renew, to_tell
from odyssey.mesh.trust.join_client import Caller, Joined, PutOut, RenewClient
from odyssey.mesh.trust.standing import refreshed
from odyssey.mesh.trust.trustset import TrustSet
from odyssey.scheduler.state import State

AGAIN_MS: Final = 30_000
PATIENCE_S: Final = 10.0
WARN_MS: Final = 3 * DAY_MS
_log: Final = logging.getLogger(__name__)


class World(NamedTuple):
    company: Company
    papers: Papers
    knock: Callable[[Issuer, Sequence[Address], Callable[[], Caller]], Awaitable[Joined]]
    clock: Clock
    entropy: Entropy


class Renewing:
    def __init__(self, world: World) -> None:
        self._world = world
        self._again_ms = 0
        self._trouble = ""

    @property
    def may_ask(self) -> bool:
        return self._world.clock.monotonic_ms() >= self._again_ms

    @property
    def is_due(self) -> bool:
        """Cheap: asked every second."""
        return self._world.papers.mine.is_due(self._world.clock.wall_ms()) and self.may_ask

    def note(self) -> str:
        """For `status`: empty while all is well."""
        now, mine = self._world.clock.wall_ms(), self._world.papers.mine
        if not self._trouble or now < mine.expiry - WARN_MS:
            return ""
        if now < mine.expiry:
            days = max(1, (mine.expiry - now) // DAY_MS)
            return f"This machine's membership ends in {days} {'day' if days == 1 else 'days'}: {self._trouble}."
        return f"This machine's membership is over, and could not be renewed: {self._trouble}."

    async def renew(self, asked: bool = False) -> None:
        """By itself, or by an issuer. `asked`: also if it is not due, since somebody says that it is no member."""
        world = self._world
        self._again_ms = world.clock.monotonic_ms() + AGAIN_MS
        self.refresh()
        is_due = world.papers.mine.is_due(world.clock.wall_ms())
        if not asked and not is_due:
            return
        for issuer, addresses in self._issuers():
            try:
                joined = await world.knock(issuer, addresses, partial(self._caller, issuer))
            except PutOut as error:
                world.company.hear((), (error.statement,))
                world.papers.keep_trust()
                return
            except OdysseyError as error:
                if is_due:
                    self._trouble = error.message
                    _log.warning("the certificate was not renewed: %s", error.message)
                continue
            self._take(joined)
            return
        if is_due and not self._trouble:
            self._trouble = "no machine that lets others in is known"

    def refresh(self) -> None:
        """By itself, where it has the keys for that."""
        world, before = self._world, self._world.papers.standing
        standing = refreshed(world.papers.home, before, world.clock.wall_ms(), world.entropy)
        if standing is not before:
            _log.info("this machine's certificate was renewed by itself")
            self._trouble = ""
            world.papers.adopt(standing)

    def _take(self, joined: Joined) -> None:
        _log.info("this machine's certificate was renewed")
        self._trouble = ""
        self._world.company.hear((), joined.trust.items)
        self._world.papers.take(joined.certificate)
        self._world.company.meet(joined.peers)

    # -- whom to ask ---------------------------------------------------------------------------------------------------

    def _issuers(self) -> list[tuple[Issuer, list[Address]]]:
        """Other machines that let in, also if their time is over as far as is known here: they renew that, too."""
        company, found = self._world.company, list[tuple[Issuer, list[Address]]]()
        left = [one for one in company.roster.trust.known_issuers() if one.node != company.me]
        while left:
            issuer = left.pop(self._world.entropy.below(len(left)))
            known = company.ways(issuer.node)
            if known:
                found.append((issuer, [_address(text) for text in known]))
        return found

    def _caller(self, issuer: Issuer) -> Caller:
        standing = self._world.papers.standing
        trust = TrustSet(standing.known.mesh, standing.known.root)
        trust.take_all(self._world.company.roster.trust.items)  # of its own: what a stranger says is not heard here
        return RenewClient(trust, standing.known.certificate, standing.node, standing.curve.public, issuer.curve)

    # -- the log -------------------------------------------------------------------------------------------------------

    def commands(self, state: State) -> list[Command]:
        """What the log lacks, of the machine that coordinates: its own certificates, those of other issuers that it
        renews, and the end of invites that are over."""
        world, now = self._world, self._world.clock.wall_ms()
        company, standing = world.company, world.papers.standing
        told = to_tell(standing, state.issuers, state.members)
        told += [] if told else to_renew(standing, company.roster.trust, self._here(now), now, world.entropy)
        ended = over(state.invites, now)
        return [*told, *([ended] if ended is not None else [])]

    def _here(self, now: int) -> frozenset[NodeId]:
        roster = self._world.company.roster
        return frozenset(
            node for node in roster.nodes if (one := roster.entry(node)) is not None and now < one.certificate.expiry
        )


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))

"""This machine leaves its mesh, as far as others are concerned: what runs here ends, and they are told.

What it leaves on its own disk is `parting`'s business, once this daemon has ended.

Promises: who is told that it goes, hears it when nothing runs here any more; a goodbye that nobody hears is no
reason to stay.
Never: takes from the others what nobody else has: who alone keeps the log, or alone lets machines in, stays.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from odyssey.api import views as v
from odyssey.daemon import parting
from odyssey.daemon.life import CLEAR_STEP_S, Life
from odyssey.daemon.work import Work
from odyssey.errors import CutOff, OdysseyError, UsageError
from odyssey.ids import NodeId
from odyssey.messages import Going
from odyssey.paths import Home

if TYPE_CHECKING:
    from odyssey.daemon.lan import Lan

CLEAR_S: Final = 15.0
HAND_OVER_S: Final = 20.0
GOODBYE_S: Final = 10.0
ENOUGH: Final = 2  # issuers without a root key renew each other: one alone would end within a month


class Company(NamedTuple):
    """The others, as far as leaving them is concerned."""

    machines: int
    is_only_keeper: bool = False
    is_only_issuer: bool = False


class Leaving:
    def __init__(self, home: Home, life: Life, work: Work, lan: Lan | None) -> None:
        self._home, self._life, self._work, self._lan = home, life, work, lan

    async def leave(self, is_trial: bool) -> v.LeavingView:
        company = self._company()
        check(self._name, self._life.belonging.name, company)
        told = self._seen(company)
        if is_trial or self._lan is None or not company.machines:
            if not is_trial:
                parting.begin(self._home)
            return told
        return replace(told, is_told=await self._go(self._lan))

    async def _go(self, lan: Lan) -> bool:
        """True: the others know."""
        try:
            await self._life.clear_out(CLEAR_S, Going.LEAVE)
            if not lan.out:
                await self._hand_over(lan)
        except BaseException:  # also when whoever asked has gone
            self._life.stay()
            raise
        parting.begin(self._home)
        if lan.out:
            return True
        try:
            await asyncio.wait_for(lan.say_goodbye(), GOODBYE_S)
        except (OdysseyError, TimeoutError):
            return False
        return True

    async def _hand_over(self, lan: Lan) -> None:
        """Who keeps the log goes when the mesh can do without, and who coordinates when another machine does."""
        loop = asyncio.get_running_loop()
        end = loop.time() + HAND_OVER_S
        while (lan.coordinates or self._votes) and not self._life.is_cut_off:
            if loop.time() >= end:
                text = "no other machine of this mesh has taken over what this one keeps"
                raise CutOff(text, hint="see who keeps the jobs: odyssey nodes; then try again")
            await asyncio.sleep(CLEAR_STEP_S)

    # -- what is so just now -------------------------------------------------------------------------------------------

    @property
    def _votes(self) -> bool:
        node = self._life.node
        return node is not None and any(one.node == self._life.id for one in node.replica.core.config.voters)

    @property
    def _name(self) -> str:
        me = self._life.me
        return me.name if me is not None else self._life.belonging.machine

    def _company(self) -> Company:
        life, me = self._life, self._life.id
        if self._lan is None:
            return Company(0)
        known = {one.id for one in life.book.state.nodes.values() if not one.removed}
        others = (known if self._lan.keeps else {*self._lan.company.others()}) - {me}
        if self._lan.out:
            return Company(len(others))
        issuers = self._lan.issuers()
        least = ENOUGH if self._home.root.exists() else 1
        is_needed = me in issuers and len(issuers - {me}) < least
        return Company(len(others), self._votes and self._voters() == {me}, is_needed)

    def _voters(self) -> set[NodeId]:
        node = self._life.node
        return {one.node for one in node.replica.core.config.voters} if node is not None else set()

    def _seen(self, company: Company) -> v.LeavingView:
        state, is_alone = self._life.book.state, not company.machines
        running = sum(one.started and not one.ended for one in self._work.here().values())
        return v.LeavingView(
            *(self._life.belonging.name, self._name, company.machines, running),
            unfinished=len(state.jobs) - len(state.ended) if is_alone else 0,
            finished=len(state.ended) if is_alone else 0,
        )


def check(machine: str, mesh: str, company: Company) -> None:
    """May it go?"""
    if not company.machines:
        return
    need = "another machine needs" if company.machines == 1 else f"{company.machines} other machines need"
    if company.is_only_keeper:
        text = f"{machine} is the only machine that remembers the jobs of {mesh}, and {need} them"
        raise UsageError(text, hint="the others leave first (odyssey leave there), or until then: odyssey pause")
    if company.is_only_issuer:
        text = (
            f"too few other machines let others into {mesh}: without {machine} nobody could stay in it, and {need} that"
        )
        raise UsageError(text, hint="first let two others do it: odyssey node allow NAME invite")

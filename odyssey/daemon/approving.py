"""Machines that ask to be let in without an invite, and the person who lets them in.

Promises: who is let in has shown the code that was typed, and is on the log before anybody is told.
Never: lets in a machine that only asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from odyssey.api.views import Approval, AskerView, AskingView
from odyssey.clock import Clock
from odyssey.errors import NotPermitted, OdysseyError, echo
from odyssey.ids import UserId
from odyssey.mesh.links.askers import Asker, Askers
from odyssey.mesh.trust.certificates import MINE, OF_OTHERS
from odyssey.mesh.trust.pairing import WrongCode

BEGIN_AGAIN = "begin again on that machine: odyssey join"


class Approving(NamedTuple):
    askers: Askers
    clock: Clock
    me: Callable[[], UserId]  # the owner of this machine

    def asking(self) -> AskingView:
        now = self.clock.monotonic_ms()
        return AskingView(tuple(_view(one, now) for one in self.askers))

    def notes(self) -> tuple[str, ...]:
        """Sentences, for `status`."""
        return tuple(f"{shown(one)} asks to join: odyssey approve {one.name}" for one in self.asking().asking)

    async def approve(self, machine: str, code: str, owner: UserId) -> Approval:
        asker = self.askers.named(machine)
        grants = MINE if owner == self.me() else OF_OTHERS
        since = self.clock.monotonic_ms() - asker.since_ms
        try:
            answer = asker.pair.typed(code, owner, grants, self.clock.wall_ms(), since)
        except WrongCode as error:
            return Approval(echo(asker.asking.name), tries=error.tries)
        if answer.propose is None:
            asker.say(answer)
            raise NotPermitted(f"{echo(asker.asking.name)} is not let in: wrong codes, or too late", hint=BEGIN_AGAIN)
        decided: asyncio.Future[OdysseyError | None] = asyncio.get_running_loop().create_future()
        asker.say(answer, lambda refusal: None if decided.done() else decided.set_result(refusal))
        refusal = await decided
        if refusal is not None:
            raise refusal
        return Approval(echo(asker.asking.name), asker.asking.code)

    def deny(self, machine: str) -> Approval:
        asker = self.askers.named(machine)
        asker.say(asker.pair.sent_off("denied", "somebody there said no"))
        return Approval(echo(asker.asking.name))


def shown(one: AskerView) -> str:
    return f"{one.name} ({', '.join(part for part in (one.about, one.address) if part)})"


def _view(one: Asker, now: int) -> AskerView:
    asking = one.asking
    return AskerView(echo(asking.name), asking.node, one.address, asking.about, (now - one.since_ms) / 1000)

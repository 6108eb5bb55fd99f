"""Who belongs to the mesh, as people change it: machines that leave or are put out, and invites.

Promises: what is answered is on the log; who leaves is who asks, as the door or the link knows it, never by its word.
Never: puts out the machine that answers: that would be the end of its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from odyssey.api import requests as r
from odyssey.api import rights
from odyssey.api import views as v
from odyssey.api.committing import Committing
from odyssey.api.errands import Offer, Offered
from odyssey.api.ports import Counter
from odyssey.api.showing import Showing
from odyssey.commands import EndInvites, RemoveNode
from odyssey.errors import OdysseyError, UsageError, echo
from odyssey.ids import NodeId, UserId
from odyssey.model import Invite

MAY: Final = ("invite", "submit", "work", "keep", "admin")
HEARD_S: Final = 2.0  # who says goodbye hears the answer before its link is cut


class Belonging:
    def __init__(self, counter: Counter, committing: Committing, showing: Showing) -> None:
        self._counter, self._committing, self._showing = counter, committing, showing
        self._going_on = set[asyncio.Future[None]]()

    # -- machines ------------------------------------------------------------------------------------------------------

    async def remove(self, request: r.Remove) -> v.Removed:
        node = self._showing.meant(request.name)
        self._showing.check(node)
        if node.id == self._counter.me:
            hint = "on it: odyssey leave; or let another machine put it out: odyssey node allow NAME invite"
            raise UsageError(f"{node.name} would put out itself", hint=hint)
        tasks = len(self._counter.state.held.get(node.number, ()))
        await self._counter.membership.put_out(node.id, rights.asker(self._counter).user)
        return v.Removed(node.name, is_shut_out=True, tasks=tasks)

    async def allow(self, request: r.Allow) -> v.Known:
        rights.check_admin(self._counter, "what a machine may do")
        node = self._showing.meant(request.name)
        for word in request.words:
            if word not in MAY:
                raise UsageError(f"there is no {echo(word)!r} for a machine to do", hint=f"use {', '.join(MAY)}")
        asker = rights.asker(self._counter)
        await self._counter.membership.allow(node.id, request.words, request.is_given, asker.user)
        return v.Known(node.name)

    async def offer(self, _: Offer) -> Offered:
        return Offered(self._counter.membership.offer())

    async def goodbye(self, _: r.Goodbye) -> v.Known:
        asker = rights.asker(self._counter)
        members = self._counter.state.nodes.values()
        node = next((one for one in members if one.id == asker.node and not one.removed), None)
        if asker.node == self._counter.me:
            raise UsageError("a machine says goodbye to another one", hint="odyssey leave")
        if node is not None:  # else it was said before, or to whoever keeps the log
            await self._committing.carry_out(RemoveNode(node.number))
        self._soon(self._shut_out(asker.node, asker.user))
        return v.Known(node.name if node is not None else "")

    async def _shut_out(self, node: NodeId, by: UserId) -> None:
        """Its keys are gone by its own word; that they are worth nothing any more is known to all from here on. A
        machine that may not say so leaves it to the end of the certificate."""
        await asyncio.sleep(HEARD_S)
        with suppress(OdysseyError):
            await self._counter.membership.farewell(node, by)

    def _soon(self, going_on: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(going_on)
        self._going_on.add(task)
        task.add_done_callback(self._going_on.discard)

    async def leave(self, request: r.Leave) -> v.LeavingView:
        return await self._counter.leave(request.is_trial)

    # -- invites -------------------------------------------------------------------------------------------------------

    async def invites(self, _: r.Invites) -> v.InviteList:
        rights.check_admin(self._counter, "who may come in")
        now = self._counter.clock.wall_ms()
        known = (one for one in self._counter.state.invites.values() if one.until_ms > now)
        return v.InviteList(tuple(_row(one) for one in sorted(known, key=lambda one: (one.until_ms, one.id))))

    async def end_invites(self, request: r.EndInvites) -> v.InviteList:
        rights.check_admin(self._counter, "who may come in")
        ended = [self._invite(text) for text in request.ids]
        await self._committing.carry_out(EndInvites(tuple(one.id for one in ended), rights.asker(self._counter).user))
        return v.InviteList(tuple(_row(one) for one in ended))

    def _invite(self, text: str) -> Invite:
        fitting = [one for one in self._counter.state.invites.values() if one.id.hex().startswith(text.lower())]
        if text and len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UsageError(
                f"{echo(text)!r} may mean several invites", hint="write more of it; see: odyssey invite ls"
            )
        raise UsageError(f"there is no invite {echo(text)!r}", hint="see: odyssey invite ls")


def _row(one: Invite) -> v.InviteRow:
    return v.InviteRow(one.id.hex(), one.by, one.uses, len(one.used), one.until_ms)

"""Putting a machine out of the mesh for good.

Promises: what is signed names this machine's right to let others in; a machine that votes leaves the voters first, so
that the others can still agree without it; what was put out has no place in the list of machines.
Never: cuts anybody off by itself: each machine does that when it hears the statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from odyssey.clock import Clock
from odyssey.commands import Command, RemoveNode, Revoke
from odyssey.daemon.life import Life
from odyssey.errors import CutOff, NotPermitted, OdysseyError, UsageError
from odyssey.events import CommandRefused
from odyssey.ids import NodeId, NodeNumber, UserId
from odyssey.mesh.letters import Accepted, Outcome
from odyssey.mesh.trust.certificates import Revocation
from odyssey.mesh.trust.signed import sealed
from odyssey.mesh.trust.standing import Standing

PATIENCE_MS: Final = 15_000
LEAVE_MS: Final = 10_000  # for the voters to agree that it is none of them any more
AGAIN_S: Final = 0.1


class PuttingOut:
    def __init__(self, life: Life, standing: Callable[[], Standing], clock: Clock) -> None:
        self._life, self._standing, self._clock = life, standing, clock

    async def put_out(self, node: NodeId, by: UserId) -> None:
        """Returns once it is on the log; raises why it is not. What is done already is not done again."""
        statement = self._statement(node)
        if self._votes(node):
            await self._remove(node)
            await self._leaves_the_voters(node)
        await self._carry_out(Revoke(node, statement, by))
        await self._remove(node)  # after: it cannot come back

    def _statement(self, node: NodeId) -> bytes:
        standing, now = self._standing(), self._clock.wall_ms()
        if standing.issuer is None or standing.issuing(now) is None:
            text = "this machine may not put others out of the mesh"
            raise NotPermitted(text, hint="ask on a machine that lets others in, as the one that began the mesh")
        if node == self._life.id:
            raise UsageError("a machine does not put itself out", hint="on it: odyssey leave")
        return sealed(Revocation(standing.known.mesh, standing.issuer.public, node, now), standing.issuer)

    # -- the voters ----------------------------------------------------------------------------------------------------

    def _votes(self, node: NodeId) -> bool:
        life = self._life.node
        return life is not None and any(one.node == node for one in life.replica.core.config.voters)

    async def _leaves_the_voters(self, node: NodeId) -> None:
        end = self._clock.monotonic_ms() + LEAVE_MS
        while self._votes(node):
            if self._clock.monotonic_ms() >= end:
                text = "that machine keeps the mesh's jobs, and the others that do cannot agree to go on without it now"
                raise CutOff(text, hint="see who is missing: odyssey status; then try again")
            await asyncio.sleep(AGAIN_S)

    # -- the log -------------------------------------------------------------------------------------------------------

    async def _remove(self, node: NodeId) -> None:
        number = self._number(node)
        if number is not None:
            await self._carry_out(RemoveNode(number))

    def _number(self, node: NodeId) -> NodeNumber | None:
        machines = self._life.book.state.nodes.values()
        return next((one.number for one in machines if one.id == node and not one.removed), None)

    async def _carry_out(self, command: Command) -> None:
        end = self._clock.monotonic_ms() + PATIENCE_MS
        while not isinstance(outcome := await self._proposed(command), Accepted):
            if self._clock.monotonic_ms() >= end:
                text = "too few keepers of this mesh can be reached: nothing can change now"
                raise CutOff(text, hint="see who is missing: odyssey status")
            await asyncio.sleep(AGAIN_S)
        _check(outcome)

    async def _proposed(self, command: Command) -> Outcome | None:
        node = self._life.node
        if node is None:
            return None
        decided: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        node.replica.propose(command, lambda outcome: None if decided.done() else decided.set_result(outcome))
        return await decided


def _check(outcome: Accepted) -> None:
    for event in outcome.answer if isinstance(outcome.answer, Sequence) else ():
        if isinstance(event, CommandRefused) and event.code != "no-such-machine":  # somebody else was faster
            raise OdysseyError(event.text, hint=event.hint or None)

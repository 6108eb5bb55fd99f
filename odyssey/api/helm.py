"""Who coordinates: handing that over, and beginning again where too many keepers are lost.

Promises: a recovery that was only looked at has changed nothing; one that was begun is on the disk of its founder.
Never: recovers while a machine within reach hears a coordinator, however sure a person is.
"""

from __future__ import annotations

import asyncio
from typing import Final

from odyssey.api import requests as r
from odyssey.api import rights
from odyssey.api import views as v
from odyssey.api.ports import Counter
from odyssey.errors import UsageError
from odyssey.ids import NodeId
from odyssey.mesh.recover import CannotRecover, Recovery

PATIENCE_S: Final = 5.0
_STEP_S: Final = 0.01


class Steering:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    async def step_down(self, _: r.StepDown) -> v.SteppedDown:
        rights.check_rules(self._counter)
        me, loop = self._counter.me, asyncio.get_running_loop()
        if not self._counter.helm.hand_over():
            text, hint = "no other keeper can coordinate just now", "see who keeps the log: odyssey status"
            raise UsageError(text, hint=hint)
        deadline = loop.time() + PATIENCE_S
        while (now := self._counter.standing().coordinator) in (None, me):
            if loop.time() >= deadline:
                text = f"{self._name(me)} still coordinates: the other one did not take over"
                raise UsageError(text, hint="try again")
            await asyncio.sleep(_STEP_S)
        return v.SteppedDown(self._name(now or me))

    async def recover(self, request: r.Recover) -> v.Recovered:
        """For whoever sits here: others follow it only if this machine may keep the log."""
        decided: asyncio.Future[Recovery | CannotRecover] = asyncio.get_running_loop().create_future()

        def done(found: Recovery | CannotRecover) -> None:
            if not decided.done():  # whoever asked may have gone
                decided.set_result(found)

        self._counter.helm.recover(request.is_sure, done)
        found = await decided
        if isinstance(found, CannotRecover):
            raise CannotRecover(found.refusal, found.by, self._named(found.message), hint=self._named(found.hint or ""))
        missing = tuple(v.Lacking(self._name(one.member.node), one.why.value) for one in found.missing)
        return v.Recovered(self._name(found.founder.node), found.charter.generation.number, missing, request.is_sure)

    def _named(self, text: str) -> str:
        """With the names that people know, where ids stand."""
        for one in self._counter.state.nodes.values():
            text = text.replace(one.id, one.name)
        return text

    def _name(self, node: NodeId) -> str:
        known = (one.name for one in self._counter.state.nodes.values() if one.id == node)
        return next(known, node[:8])

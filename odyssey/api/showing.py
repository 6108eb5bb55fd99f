"""One machine: what it has and gives, what it can enforce, what it weighs; and what people change of it.

Promises: a name may be its beginning, where only one machine has it; a change is on the log when it is answered.
Never: tells of another machine what only that one knows.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Counts
from typing import Final

from odyssey.api import labels, rights
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.committing import Committing
from odyssey.api.machines import Machines
from odyssey.api.ports import Counter
from odyssey.commands import DrainNode, RenameNode
from odyssey.errors import UsageError, echo
from odyssey.ids import job_of
from odyssey.model import Node
from odyssey.scheduler import say
from odyssey.scheduler.snapshot import Snapshot
from odyssey.scheduler.weigh import weigh

MOST_JOBS: Final = 100  # that are told of one machine


class Showing:
    def __init__(self, counter: Counter, committing: Committing, machines: Machines) -> None:
        self._counter, self._committing, self._machines = counter, committing, machines

    async def node(self, request: r.Node) -> v.NodeDetail:
        return await self._detail(self.meant(request.name))

    async def label(self, request: r.Label) -> v.NodeDetail:
        node = self.meant(request.name)
        if node.id != self._counter.me:
            hint = f"type the same on {node.name}"
            raise UsageError(f"labels are set on the machine itself, and {node.name} is another one", hint=hint)
        made = self._counter.manners.label(request.words)
        gone = [word[:-1] for word in request.words if "=" not in word]
        await labels.until(self._counter, lambda: _says(labels.own(self._counter), made, gone))
        return await self._detail(self.meant(request.name))

    async def rename(self, request: r.Rename) -> v.NodeDetail:
        node = self.meant(request.name)
        self.check(node)
        await self._committing.carry_out(RenameNode(node.number, request.to))
        return await self._detail(self._counter.state.nodes[node.number])

    async def drain(self, request: r.Drain) -> v.NodeDetail:
        node = self.meant(request.name)
        self.check(node)
        await self._committing.carry_out(DrainNode(node.number, request.is_draining))
        return await self._detail(self._counter.state.nodes[node.number])

    def check(self, node: Node) -> None:
        if not rights.asker(self._counter).owns(node.owner):
            rights.check_rules(self._counter)

    def meant(self, name: str) -> Node:
        members = [node for node in self._counter.state.nodes.values() if not node.removed]
        if not name:
            fitting = [node for node in members if node.id == self._counter.me]
        else:
            exact = [node for node in members if node.name == name]
            fitting = exact or [node for node in members if node.name.startswith(name)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            names = ", ".join(sorted(node.name for node in fitting))
            raise UsageError(f"{echo(name)} may mean several machines: {names}", hint="write more of the name")
        raise UsageError(f"there is no machine {echo(name)}", hint="see: odyssey nodes")

    async def _detail(self, node: Node) -> v.NodeDetail:
        counter, is_here = self._counter, node.id == self._counter.me
        checks = await self._checks() if is_here else None
        return v.NodeDetail(
            self._machines.view(node.number),
            node.total.disk,
            node.gpu_memory,
            node.speed / 1000,
            self._weight(node),
            counter.manners.share({}).lines if is_here else None,
            tuple(check for check in checks if check.is_limit) if checks is not None else None,
            dict(counter.manners.label(())) if is_here else None,
            self._runs(node),
        )

    def _runs(self, node: Node) -> tuple[v.HeldView, ...]:
        """The newest of the jobs that it has tasks of."""
        state = self._counter.state
        counts = Counts(job_of(task) for task in state.held.get(node.number, {}).values())
        newest = sorted(counts, reverse=True)[:MOST_JOBS]
        return tuple(v.HeldView(one, state.jobs[one].spec.name, state.jobs[one].user, counts[one]) for one in newest)

    def _weight(self, node: Node) -> v.WeightView:
        weight = weigh(
            Snapshot(self._counter.state, self._counter.seen()), node.number, rights.asker(self._counter).user
        )
        assert weight is not None
        terms = {name: part / 1000 for name, part in weight.parts.items()}
        reason = say.reason(weight.reason) if weight.reason is not None else None
        return v.WeightView(weight.policy, sum(weight.parts.values()) / 1000, terms, reason)

    async def _checks(self) -> tuple[v.Check, ...]:
        answered: asyncio.Future[v.DoctorView] = asyncio.get_running_loop().create_future()
        self._counter.doctor(lambda view: None if answered.done() else answered.set_result(view))
        return (await answered).checks


def _says(told: dict[str, str], made: object, gone: list[str]) -> bool:
    assert isinstance(made, dict)
    return made.items() <= told.items() and not any(name in told for name in gone if name not in made)

"""The mesh and its machines, as they are shown.

Promises: what a machine has not told is None.
Never: asks another machine.
"""

import asyncio
from typing import Final

import msgspec

from odyssey import __version__
from odyssey.api import diagnosis, project, rights
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.committing import Committing
from odyssey.api.errands import MOST_PROGRAMS, Examine, Examined, Found, SeekPrograms
from odyssey.api.ledger import Ledger
from odyssey.api.ports import About, Counter, Standing
from odyssey.commands import AdmitNode, Facts, SetPolicy, UpdateNode
from odyssey.errors import NotPermitted, OdysseyError, UsageError, echo
from odyssey.ids import NodeId, NodeNumber, UserId, job_of
from odyssey.mesh.membership import GONE_MS
from odyssey.messages import Beat, NodeState
from odyssey.model import Node
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.snapshot import Seen

MOST_PADDING: Final = 32 << 10  # an answer has to fit into a letter


class Machines:
    def __init__(self, counter: Counter, committing: Committing, ledger: Ledger) -> None:
        self._counter, self._committing, self._ledger = counter, committing, ledger

    async def status(self, _: r.Status) -> v.StatusView:
        counter, standing = self._counter, self._counter.standing()
        state = counter.state
        by_id = {node.id: node.name for node in state.nodes.values()}

        def name(node: NodeId) -> str:
            return by_id.get(node, node[:8])

        views, asking = self._views(standing), rights.asker(counter).node
        up = [view for view in views if view.state == "up"]
        return v.StatusView(
            standing.mesh,
            standing.mesh_id,
            name(counter.me),
            counter.me,
            standing.role,
            name(standing.coordinator) if standing.coordinator is not None else None,
            standing.term,
            v.Quorum(standing.have, standing.need, standing.voters),
            standing.can_lose,
            tuple(map(name, standing.must_stay)),
            {word: sum(view.state == word for view in views) for word in v.NODE_STATES},
            self._ledger.numbers(),
            standing.age_ms / 1000,
            standing.pid,
            standing.supervisor_pid,
            __version__,
            standing.home,
            standing.is_embedded,
            sum(view.cpus for view in up),
            sum(view.gpus for view in up),
            standing.notes,
            rights.asker(counter).user,
            {view.name: view.state for view in views},
            tuple(map(name, standing.missing)),
            standing.is_laptop,
            sum(view.tasks for view in views if view.id == asking),
            listen=standing.listen,
            address=standing.address,
            keepers=tuple(sorted(map(name, standing.keepers))),
        )

    async def facts(self, request: r.TellFacts) -> v.Known:
        counter, node = self._counter, rights.asker(self._counter).node
        member = counter.membership.member(node)
        if member is None:
            raise NotPermitted("this machine is no member of the mesh", hint="join it: odyssey join")
        if (known := self._machine(node)) is None:
            await self._committing.carry_out(AdmitNode(node, *member, request.facts))
        elif not says(known, request.facts):
            await self._committing.carry_out(UpdateNode(known.number, request.facts))
        known = self._machine(node)
        return v.Known(known.name if known is not None else member[0], counter.standing().coordinator or "")

    async def invite(self, request: r.Invite) -> v.InviteView:
        rights.check_admin(self._counter, "letting machines in")
        owner = UserId(request.owner) if request.owner else rights.asker(self._counter).user
        return await self._counter.membership.invite(request.uses, request.for_ms, owner)

    async def asking(self, _: r.Asking) -> v.AskingView:
        rights.check_rules(self._counter)
        return self._counter.membership.asking()

    async def approve(self, request: r.Approve) -> v.Approval:
        rights.check_rules(self._counter)
        membership = self._counter.membership
        if request.is_denied:
            return membership.deny(request.machine)
        owner = UserId(request.owner) if request.owner else rights.asker(self._counter).user
        return await membership.approve(request.machine, request.code, owner)

    def _machine(self, node: NodeId) -> Node | None:
        machines = self._counter.state.nodes.values()
        return next((one for one in machines if one.id == node and not one.removed), None)

    async def nodes(self, _: r.Nodes) -> v.NodeList:
        standing = self._counter.standing()
        return v.NodeList(tuple(self._views(standing)), standing.age_ms)

    # -- what its owner says -------------------------------------------------------------------------------------------

    async def share(self, request: r.Share) -> v.ShareView:
        typed = {name: text for name in request.__struct_fields__ if (text := getattr(request, name)) is not None}
        return self._counter.manners.share(typed)

    async def pause(self, request: r.Pause) -> v.ShareView:
        return self._counter.manners.pause(request.for_ms)

    async def resume(self, _: r.Resume) -> v.ShareView:
        return self._counter.manners.resume()

    async def doctor(self, request: r.Doctor) -> v.DoctorView:
        examining, me = self._counter.examining, self._machine(self._counter.me)
        if request.name and (me is None or me.name != request.name):
            found = await examining.doctor(request.name)
            if found:
                return v.DoctorView(found)
        here = (*await self._checks(afresh=True), *diagnosis.multicast(await self._networks()))
        return v.DoctorView(here if request.name else (*here, *await examining.doctor("")))

    async def _networks(self) -> v.NetworkList | None:
        try:
            return await self._counter.networks.show()
        except OdysseyError:
            return None

    async def _checks(self, afresh: bool = False) -> tuple[v.Check, ...]:
        answered: asyncio.Future[v.DoctorView] = asyncio.get_running_loop().create_future()
        self._counter.doctor(lambda view: None if answered.done() else answered.set_result(view), afresh=afresh)
        return (await answered).checks

    async def examine(self, request: Examine) -> Examined:
        counter = self._counter
        if request.machine not in ("", counter.me):
            return await counter.others.ask(NodeId(request.machine), msgspec.structs.replace(request, machine=""))
        ways = await counter.examining.knock(NodeId(request.back_to)) if request.back_to else ()
        return Examined(
            counter.clock.wall_ms(),
            ways,
            counter.manners.share({}).lines,
            tuple(check for check in await self._checks() if check.is_limit),
            dict(counter.manners.label(())),
            __version__,
            bytes(min(max(0, request.wants), MOST_PADDING)),
        )

    async def seek(self, request: SeekPrograms) -> Found:
        return Found(tuple(sorted(self._counter.look_for(frozenset(request.programs[:MOST_PROGRAMS])))))

    async def policy(self, request: r.Policy) -> v.PolicyView:
        state = self._counter.state
        if request.name or request.weights:
            rights.check_rules(self._counter)
            name = request.name or state.head.policy
            if name not in BUILT_IN:
                raise UsageError(f"there is no policy {echo(name)}", hint=f"use: {', '.join(sorted(BUILT_IN))}")
            known = BUILT_IN[name].weights
            for term, _ in request.weights:
                if term not in known:
                    raise UsageError(f"{name} has no term {echo(term)}", hint=f"use: {', '.join(sorted(known))}")
            await self._committing.carry_out(SetPolicy(name, request.weights, rights.asker(self._counter).user))
        head = self._counter.state.head
        used = BUILT_IN.get(head.policy) or BUILT_IN["weighted"]
        return v.PolicyView(head.policy, {**used.weights, **dict(head.weights)}, tuple(sorted(BUILT_IN)))

    async def down(self, request: r.Down) -> v.Stopping:
        running = [one.task for one in self._counter.here().values() if one.started and not one.ended]
        self._counter.down(request.now)
        return v.Stopping(tuple(sorted({job_of(task) for task in running})), len(running))

    def view(self, number: NodeNumber) -> v.NodeView:
        counter = self._counter
        return node_view(
            counter.state.nodes[number],
            counter.me,
            counter.standing(),
            counter.seen().get(number),
            counter.beats().get(number),
            self._held(number),
            counter.membership.about(counter.state.nodes[number].id),
        )

    def _views(self, standing: Standing) -> list[v.NodeView]:
        counter = self._counter
        seen, beats = counter.seen(), counter.beats()
        return [
            node_view(
                *(node, counter.me, standing, seen.get(number), beats.get(number), self._held(number)),
                counter.membership.about(node.id),
            )
            for number, node in sorted(counter.state.nodes.items())
            if not node.removed
        ]

    def _held(self, number: NodeNumber) -> int:
        return len(self._counter.state.held.get(number, ()))


def node_view(
    node: Node,
    me: NodeId,
    standing: Standing,
    seen: Seen | None,
    last: tuple[Beat, int] | None,
    tasks: int,
    about: About,
) -> v.NodeView:
    beat, age_ms = last if last is not None else (None, None)
    told = beat.telemetry if beat is not None else None
    unheard = NodeState.SILENT if standing.age_ms < GONE_MS else NodeState.GONE
    state = seen.state if seen is not None else NodeState.UP if node.id == me else unheard
    free = told.memory_free if told is not None else None
    idle = told.cpu_free_milli if told is not None else None
    return v.NodeView(
        node.name,
        node.id,
        "finishing" if node.draining and state is NodeState.UP else v.NODE_STATES[state],
        ("keeper" if node.id in standing.keepers else "worker") if standing.keepers else None,
        node.id == standing.coordinator,
        about.address,
        node.owner,
        node.os,
        node.arch,
        node.total.cpu_milli / 1000,
        node.total.memory,
        node.total.gpus,
        project.percent_used(idle, node.total.cpu_milli),
        project.percent_used(free, node.total.memory),
        told.load_milli / 1000 if told is not None and told.load_milli is not None else None,
        None,
        told.owner.name.lower() if told is not None and told.owner is not None else None,
        dict(node.labels),
        __version__ if node.id == me else about.version,
        age_ms / 1000 if age_ms is not None else None,
        node.draining,
        tasks,
    )


def says(machine: Node, facts: Facts) -> bool:
    """Is that what the log knows already?"""
    known = (
        *(machine.total, machine.gpu_memory, machine.os, machine.arch),
        *(machine.labels, machine.speed, machine.level, machine.shared),
    )
    labels = tuple(sorted(dict(facts.labels).items()))
    return known == (
        *(facts.total, facts.gpu_memory, facts.os, facts.arch),
        *(labels, facts.speed, facts.level, facts.shared),
    )

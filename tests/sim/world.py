"""One seed: machines, people who submit and ask, faults, then calm, and the final account.

Promises: everything that was acknowledged is there at the end, on every machine, once.
Never: draws a fault: they stand in its schedule.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from odyssey.clock import SeededEntropy
from odyssey.commands import AdmitNode, CancelTasks, Command, Facts, SubmitJobs
from odyssey.events import CommandFailed, CommandRefused, JobSubmitted, SubmitRepeated
from odyssey.ids import ClientId, JobId, NodeId, UserId
from odyssey.mesh.raft.types import Config
from odyssey.mesh.replica import Accepted, Again, Outcome, Unknown
from odyssey.resources import Resources
from odyssey.scheduler.dump import state_hash
from odyssey.scheduler.invariants import violations
from odyssey.spec import JobSpec, Want
from tests.sim.checks import Checks, Violation
from tests.sim.faults import KINDS, Fault
from tests.sim.hands import Witness
from tests.sim.loop import VirtualLoop, new_loop
from tests.sim.net import Net, Weather
from tests.sim.node import SimNode
from tests.sim.results import Results
from tests.sim.schedule import CALM_MS, Schedule, drawn

ANNA: Final = UserId("anna")
PATIENT_SECONDS: Final = 10  # the door may have gone down with the question
LONGEST_CALM_SECONDS: Final = 300


@dataclass
class Account:
    """What people were told."""

    acknowledged: dict[ClientId, JobId] = field(default_factory=dict)
    submitted: int = 0
    cancelled: set[JobId] = field(default_factory=set)


class World:
    """Of a seed, or of a schedule: one that was drawn, or one that was written down."""

    def __init__(self, what: int | Schedule) -> None:
        self.schedule = what if isinstance(what, Schedule) else drawn(what)
        self.loop: VirtualLoop = new_loop()
        self.entropy = SeededEntropy(self.schedule.seed)
        self.checks = Checks()
        self.net = Net(self.loop, self.entropy.fork("net"), self.schedule.weather)
        self.nodes: dict[NodeId, SimNode] = {}
        self.witness = Witness()
        self.results = Results()
        self.account = Account()
        self._people = self.entropy.fork("people")
        self._acts = 0
        self._machines: list[SimNode] = []
        self.calm = False
        self._found(self.schedule.machines)

    def _found(self, machines: int) -> None:
        for number in range(machines):
            node_id = NodeId(f"n{number}")
            self.nodes[node_id] = SimNode(
                node_id,
                self.loop,
                self.net,
                self.checks,
                self.entropy.fork(node_id),
                self.nodes,
                self.witness,
                self.results,
            )
        self._machines = list(self.nodes.values())
        members = tuple(node.member for node in self.nodes.values())
        voters, keepers = self.schedule.voters, self.schedule.voters + self.schedule.learners
        config = Config(members[:voters], members[voters:keepers])
        for node in self.nodes.values():
            if node.member in config.members:
                node.found(config)
            node.boot()
        for node in self.nodes.values():
            facts = Facts(node.total, shared=True)
            admit = AdmitNode(node.id, node.id, ANNA, facts)
            self._send(admit, lambda _: True, self._people.fork(node.id), 1_000_000)

    # -- the run -------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            self._live()
        finally:
            self.loop.close()

    def _live(self) -> None:
        plan = self.schedule
        self.loop.call_later(self._people.below(2000) / 1000, self._somebody_acts)
        for fault in plan.faults:
            self.loop.call_at(fault.at_ms / 1000, self._break, fault)
        self._every(5.0, self._look_at_states)
        self.loop.run_until(plan.faulty_ms / 1000)
        self._heal()
        self.loop.run_until((plan.faulty_ms + plan.calm_ms) / 1000)
        if plan.calm_ms < CALM_MS:
            return  # after less nobody promised that all is well
        while self._unended() and self.loop.time() < plan.faulty_ms / 1000 + LONGEST_CALM_SECONDS:
            self.loop.run_until(self.loop.time() + 5)
        self._final_account()

    def _unended(self) -> list[JobId]:
        """What was acknowledged and has not ended, where most is known."""
        state = max((node.book.state for node in self.nodes.values() if node.book), key=lambda one: one.head.index)
        return [job for job in self.account.acknowledged.values() if job not in state.ended]

    @property
    def events(self) -> int:
        return self.net.delivered + sum(node.disk.completed for node in self._machines)

    def _every(self, seconds: float, call: Callable[[], None]) -> None:
        def again() -> None:
            call()
            self.loop.call_later(seconds, again)

        self.loop.call_later(seconds, again)

    # -- people --------------------------------------------------------------------------------------------------------

    def _somebody_acts(self) -> None:
        """Who acts when is drawn from the seed alone, what comes of it from a source of its own: a fault less does not
        change who acts later."""
        if self.calm:
            return
        self.loop.call_later((1 + self._people.below(self.schedule.people_ms)) / 1000, self._somebody_acts)
        self._acts += 1
        chance = self._people.fork(f"act {self._acts}")
        if self.account.acknowledged and chance.chance(100):
            job = chance.choose(sorted(self.account.acknowledged.values()))
            self._send(CancelTasks(job), lambda _: True, chance, 20)
            return
        self.account.submitted += 1
        client = ClientId(self.account.submitted.to_bytes(16, "big"))
        self._send(
            SubmitJobs(client, 0, (_a_spec(chance),)), lambda answer: self._acknowledge(client, answer), chance, 200
        )

    def _send(self, command: Command, done: Callable[[Accepted], bool], chance: SeededEntropy, tries: int) -> None:
        """Any machine is a door; whoever does not know the outcome asks again, somewhere else, under the same id. So
        does who is told no more than that it is on the log: `done` says whether the answer was enough."""
        doors = [node for node in self._machines if node.replica is not None]
        waiting = [True]

        def again(after_ms: int) -> None:
            if tries > 0:
                self.loop.call_later(after_ms / 1000, self._send, command, done, chance, tries - 1)

        def answered(outcome: Outcome) -> None:
            if not waiting:
                return
            waiting.clear()
            if not (isinstance(outcome, Accepted) and done(outcome)):
                again(outcome.after_ms if isinstance(outcome, Again) else 1 + chance.below(1000))

        if not doors:
            again(500)
            return
        door = chance.choose(doors)
        replica = door.replica
        assert replica is not None
        door.run(door.boots, lambda: replica.propose(command, answered))
        self.loop.call_later(PATIENT_SECONDS, answered, Unknown())

    def _acknowledge(self, client: ClientId, outcome: Accepted) -> bool:
        for event in outcome.answer if isinstance(outcome.answer, list) else ():
            if isinstance(event, CommandRefused | CommandFailed):
                raise Violation(f"9: a sound submit was refused: {event}")
            if isinstance(event, JobSubmitted):
                self._told(client, event.job)
            elif isinstance(event, SubmitRepeated):
                self._told(client, event.first)
        return client in self.account.acknowledged

    def _told(self, client: ClientId, job: JobId) -> None:
        known = self.account.acknowledged.setdefault(client, job)
        if known != job:
            raise Violation(f"9: one submit was told two numbers, {known} and {job}")

    # -- faults --------------------------------------------------------------------------------------------------------

    def _break(self, fault: Fault) -> None:
        if fault.machine < len(self._machines):
            KINDS[fault.kind].do(self, self._machines[fault.machine], fault)

    def restart(self, node: SimNode) -> None:
        if not node.up:
            node.boot()

    def _heal(self) -> None:
        self.calm = True
        self.net.heal()
        self.net.weather = Weather()
        for node in self._machines:
            node.mend_disk()
            self.restart(node)
            node.disk.delay_ms, node.disk.stall_per_mille = 3, 0

    # -- the account ---------------------------------------------------------------------------------------------------

    def _look_at_states(self) -> None:
        for node in self.nodes.values():
            if node.book is not None and (found := violations(node.book.state)):
                raise Violation(f"9, 13: {node.id}: {found[0]}")

    def _final_account(self) -> None:
        self._look_at_states()
        leaders = [
            node.id for node in self.nodes.values() if node.replica is not None and node.replica.core.leads_safely
        ]
        if len(leaders) != 1:
            raise Violation(f"calm: after {self.schedule.calm_ms} ms of it the leaders are {leaders}")
        leader = self.nodes[leaders[0]].replica
        assert leader is not None
        keepers = [self.nodes[member.node] for member in leader.core.config.members]
        hashes = {state_hash(node.book.state) for node in keepers if node.book is not None}
        if len(hashes) != 1:
            applied = {node.id: node.replica.applied for node in keepers if node.replica is not None}
            raise Violation(f"12: states differ after calm: {applied}")
        for node in keepers:
            assert node.book is not None
            for client, job in self.account.acknowledged.items():
                known = node.book.state.clients.get(client)
                if known is None or known.first != job or job not in node.book.state.jobs:
                    raise Violation(f"9: job {job} was acknowledged and {node.id} does not have it")
        if unended := self._unended():
            raise Violation(f"calm: after {self.loop.time():.0f} s jobs {unended[:5]} of {len(unended)} have not ended")


def _a_spec(chance: SeededEntropy) -> JobSpec:
    need = Resources(chance.choose((250, 500, 1000, 1000, 2000)), 1 << 28)
    spec = JobSpec(
        ANNA,
        (b"true",),
        Want(need, key=f"true{chance.below(3)}"),
        count=chance.choose((1, 1, 1, 2, 5)),
    )
    match chance.below(6):
        case 0:
            return msgspec.structs.replace(spec, retries=2)
        case 1:
            return msgspec.structs.replace(spec, once=True)
        case 2:
            return msgspec.structs.replace(spec, overlap=True)
    return spec

"""One seed: machines, people who submit and ask, faults, then calm, and the final account.

Promises: everything that was acknowledged is there at the end, on every machine, once.
Never: knows the future: faults are drawn as time goes on, from the seed alone.
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
from tests.sim.hands import Witness
from tests.sim.loop import VirtualLoop, new_loop
from tests.sim.net import Net, Weather
from tests.sim.node import SimNode
from tests.sim.results import Results

FAULTY_SECONDS: Final = 60
CALM_SECONDS: Final = 40  # at least
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
    def __init__(self, seed: int, machines: int = 5) -> None:
        self.seed = seed
        self.loop: VirtualLoop = new_loop()
        self.entropy = SeededEntropy(seed)
        self.checks = Checks()
        self.net = Net(self.loop, self.entropy.fork("net"), Weather.drawn(self.entropy.fork("weather")))
        self.nodes: dict[NodeId, SimNode] = {}
        self.witness = Witness()
        self.results = Results()
        self.account = Account()
        self._faults = self.entropy.fork("faults")
        self._people = self.entropy.fork("people")
        self.fault_rate_ms = 500 + self._faults.below(self._faults.choose((1000, 4000, 15000)))
        self.pause_ms = self._people.choose((120, 400, 1000))
        self.calm = False
        self._found(machines)

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
        members = tuple(node.member for node in self.nodes.values())
        voters = self._people.choose((1, 3, 3, 5, 5))
        config = Config(members[:voters], members[voters : voters + self._people.below(3)])
        for node in self.nodes.values():
            if node.member in config.members:
                node.found(config)
            node.boot()
        for node in self.nodes.values():
            facts = Facts(node.total, shared=True)
            self._send(AdmitNode(node.id, node.id, ANNA, facts), lambda _: None, 1_000_000)

    # -- the run -------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            self._live()
        finally:
            self.loop.close()

    def _live(self) -> None:
        self.loop.call_later(self._people.below(2000) / 1000, self._somebody_acts)
        self.loop.call_later(self.fault_rate_ms / 1000, self._something_breaks)
        self._every(5.0, self._look_at_states)
        self.loop.run_until(FAULTY_SECONDS)
        self._heal()
        self.loop.run_until(FAULTY_SECONDS + CALM_SECONDS)
        while self._unended() and self.loop.time() < FAULTY_SECONDS + LONGEST_CALM_SECONDS:
            self.loop.run_until(self.loop.time() + 5)
        self._final_account()

    def _unended(self) -> list[JobId]:
        """What was acknowledged and has not ended, where most is known."""
        state = max((node.book.state for node in self.nodes.values() if node.book), key=lambda one: one.head.index)
        return [job for job in self.account.acknowledged.values() if job not in state.ended]

    @property
    def events(self) -> int:
        return self.net.delivered + sum(node.disk.completed for node in self.nodes.values())

    def _every(self, seconds: float, call: Callable[[], None]) -> None:
        def again() -> None:
            call()
            self.loop.call_later(seconds, again)

        self.loop.call_later(seconds, again)

    # -- people --------------------------------------------------------------------------------------------------------

    def _somebody_acts(self) -> None:
        if self.calm:
            return
        self.loop.call_later((1 + self._people.below(self.pause_ms)) / 1000, self._somebody_acts)
        if self.account.acknowledged and self._people.chance(100):
            job = self._people.choose(sorted(self.account.acknowledged.values()))
            self._send(CancelTasks(job), lambda _: None, 20)
            return
        self.account.submitted += 1
        client = ClientId(self.account.submitted.to_bytes(16, "big"))
        self._send(SubmitJobs(client, 0, (self._a_spec(),)), lambda answer: self._acknowledge(client, answer), 200)

    def _a_spec(self) -> JobSpec:
        people = self._people
        need = Resources(people.choose((250, 500, 1000, 1000, 2000)), 1 << 28)
        spec = JobSpec(
            ANNA,
            (b"true",),
            Want(need, key=f"true{people.below(3)}"),
            count=people.choose((1, 1, 1, 2, 5)),
        )
        match people.below(6):
            case 0:
                return msgspec.structs.replace(spec, retries=2)
            case 1:
                return msgspec.structs.replace(spec, once=True)
            case 2:
                return msgspec.structs.replace(spec, overlap=True)
        return spec

    def _send(self, command: Command, done: Callable[[Accepted], None], tries: int) -> None:
        """Any machine is a door; whoever does not know the outcome asks again, somewhere else, under the same id."""
        doors = [node for node in self.nodes.values() if node.replica is not None]

        waiting = [True]

        def again(after_ms: int) -> None:
            if tries > 0:
                self.loop.call_later(after_ms / 1000, self._send, command, done, tries - 1)

        def answered(outcome: Outcome) -> None:
            if not waiting:
                return
            waiting.clear()
            if isinstance(outcome, Accepted):
                done(outcome)
            else:
                again(outcome.after_ms if isinstance(outcome, Again) else 1 + self._people.below(1000))

        if not doors:
            again(500)
            return
        door = self._people.choose(doors)
        replica = door.replica
        assert replica is not None
        door.run(door.boots, lambda: replica.propose(command, answered))
        self.loop.call_later(PATIENT_SECONDS, answered, Unknown())

    def _acknowledge(self, client: ClientId, outcome: Accepted) -> None:
        for event in outcome.answer if isinstance(outcome.answer, list) else ():
            if isinstance(event, CommandRefused | CommandFailed):
                raise Violation(f"a sound submit was refused: {event}")
            if isinstance(event, JobSubmitted):
                self._told(client, event.job)
            elif isinstance(event, SubmitRepeated):
                self._told(client, event.first)

    def _told(self, client: ClientId, job: JobId) -> None:
        known = self.account.acknowledged.setdefault(client, job)
        if known != job:
            raise Violation(f"9: one submit was told two numbers, {known} and {job}")

    # -- faults --------------------------------------------------------------------------------------------------------

    def _something_breaks(self) -> None:
        if self.calm:
            return
        self.loop.call_later(self._faults.spread(self.fault_rate_ms, 60) / 1000, self._something_breaks)
        fault = self._faults.choose(
            (
                self._crash,
                self._crash,
                self._kill_daemon,
                self._cut,
                self._one_way,
                self._mend,
                self._stall,
                self._sleep,
                self._compact,
                self._compact,
                self._slow_disk,
            )
        )
        fault(self._faults.choose(list(self.nodes.values())))

    def _crash(self, node: SimNode) -> None:
        if not node.up:
            return
        node.crash()
        self.loop.call_later((10 + self._faults.below(8000)) / 1000, self._restart, node)

    def _kill_daemon(self, node: SimNode) -> None:
        if not node.up:
            return
        node.kill_daemon()
        self.loop.call_later((10 + self._faults.below(8000)) / 1000, self._restart, node)

    def _restart(self, node: SimNode) -> None:
        if not node.up:
            node.boot()

    def _cut(self, _: SimNode) -> None:
        side = {node_id for node_id in self.nodes if self._faults.chance(400)}
        self.net.cut |= {(a, b) for a in self.nodes for b in self.nodes if (a in side) != (b in side)}

    def _one_way(self, node: SimNode) -> None:
        self.net.cut |= {(node.id, other) for other in self.nodes if self._faults.chance(500)}

    def _mend(self, _: SimNode) -> None:
        self.net.heal()

    def _stall(self, node: SimNode) -> None:
        node.stall(self._faults.below(4000) / 1000)

    def _sleep(self, node: SimNode) -> None:
        node.sleep(self._faults.below(20_000) / 1000)

    def _compact(self, node: SimNode) -> None:
        if node.up and node.stalled_until <= self.loop.time():
            node.compact()

    def _slow_disk(self, node: SimNode) -> None:
        node.disk.delay_ms = 1 + self._faults.below(self._faults.choose((10, 100, 600)))

    def _heal(self) -> None:
        self.calm = True
        self.net.heal()
        self.net.weather = Weather()
        for node in self.nodes.values():
            self._restart(node)
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
            raise Violation(f"after {CALM_SECONDS} s of calm the leaders are {leaders}")
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
            raise Violation(f"after {self.loop.time():.0f} s jobs {unended[:5]} of {len(unended)} have not ended")

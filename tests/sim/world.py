"""One seed: machines, people who submit and ask, faults, then calm, and the final account.

Promises: everything that was acknowledged is there at the end, on every machine, once.
Never: draws a fault: they stand in its schedule.
"""

from collections import defaultdict
from typing import Final

from odyssey.clock import SeededEntropy
from odyssey.ids import JobId, NodeId
from odyssey.mesh.generation import Generation
from odyssey.mesh.raft.types import Config
from odyssey.mesh.replica import Replica
from odyssey.scheduler.dump import state_hash
from odyssey.scheduler.state import State
from tests.linear_jobs import complaints
from tests.sim.branches import Branches
from tests.sim.checks import Violation
from tests.sim.faults import KINDS, Fault
from tests.sim.hands import Witness
from tests.sim.history import Departed, account, lacks
from tests.sim.loop import VirtualLoop, new_loop
from tests.sim.net import Net, Weather
from tests.sim.node import SimNode
from tests.sim.people import People
from tests.sim.schedule import CALM_MS, Schedule, drawn
from tests.sim.tails import held, listed, waiting
from tests.sim.walks import Walks

SETTLED_SECONDS: Final = 10.0  # after that no recovery is under way any more
LONGEST_CALM_SECONDS: Final = 300


class World:
    """Of a seed, or of a schedule: one that was drawn, or one that was written down."""

    def __init__(self, what: int | Schedule) -> None:
        self.schedule = what if isinstance(what, Schedule) else drawn(what)
        self.loop: VirtualLoop = new_loop()
        self.entropy = SeededEntropy(self.schedule.seed)
        self.branches = Branches()
        self.net = Net(self.loop, self.entropy.fork("net"), self.schedule.weather)
        self.nodes: dict[NodeId, SimNode] = {}
        self.witness = Witness()
        self.walks: defaultdict[Generation, Walks] = defaultdict(Walks)
        self._machines: list[SimNode] = []
        self._replaced = False
        self._found(self.schedule.machines)

    def _found(self, machines: int) -> None:
        self._machines = [self._new(f"n{number}") for number in range(machines)]
        members = tuple(node.member for node in self.nodes.values())
        voters, keepers = self.schedule.voters, self.schedule.voters + self.schedule.learners
        config = Config(members[:voters], members[voters:keepers])
        for node in self.nodes.values():
            if node.member in config.members:
                node.found(config)
            node.boot()
        people = self.entropy.fork("people")
        self.people = People(self.loop, self._machines, people, self.schedule.people_ms, self.branches)

    def _new(self, name: str) -> SimNode:
        id_, own = NodeId(name), self.entropy.fork(name)
        node = SimNode(id_, self.loop, self.net, self.branches, own, self.nodes, self.witness, self.walks)
        self.nodes[id_] = node
        return node

    # -- the run -------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            self._live()
        finally:
            self.loop.close()

    def _live(self) -> None:
        plan = self.schedule
        self.people.start()
        for fault in plan.faults:
            self.loop.call_at(fault.at_ms / 1000, self._break, fault)
        self.loop.run_until(plan.faulty_ms / 1000)
        self._heal()
        self.loop.run_until((plan.faulty_ms + plan.calm_ms) / 1000)
        if not self.branches.forks:
            self._look_at_history()  # a recovery may take back what people were told
        if plan.calm_ms < CALM_MS:
            return  # after less nobody promised that all is well
        while (self._unended() or self._behind()) and self.loop.time() < plan.faulty_ms / 1000 + LONGEST_CALM_SECONDS:
            self.loop.run_until(self.loop.time() + 5)
        self._final_account()

    def _unended(self) -> list[JobId]:
        """What was acknowledged and has not ended, where most is known."""
        state = max((node.book.state for node in self.nodes.values() if node.book), key=lambda one: one.head.index)
        known = (state.clients[client].first for client in self.people.acknowledged if client in state.clients)
        return [job for job in known if job in state.jobs and job not in state.ended]

    def _behind(self) -> bool:
        """A keeper that was only just chosen lacks something, also of history, or a machine has not heard of the newest
        generation."""
        leader = next((one for one in self._replicas() if one.core.leads_safely), None)
        if leader is None or len({node.lineage.tip for node in self.nodes.values()}) > 1:
            return True
        if waiting(self.nodes.values()):
            return True
        keepers = {member.node for member in leader.core.config.members}
        late = any(one.me.node in keepers and one.applied < leader.applied for one in self._replicas())
        return late or any(lacks(node) for node in self.nodes.values() if node.id in keepers)

    def _replicas(self) -> list[Replica]:
        return [node.replica for node in self.nodes.values() if node.replica is not None]

    @property
    def events(self) -> int:
        return self.net.delivered + sum(node.disk.completed for node in self._machines)

    # -- faults --------------------------------------------------------------------------------------------------------

    def _break(self, fault: Fault) -> None:
        if fault.machine < len(self._machines):
            KINDS[fault.kind].do(self, self._machines[fault.machine], fault)

    def restart(self, node: SimNode) -> None:
        if not node.up and node.id in self.nodes:
            node.boot()

    @property
    def stores_lost(self) -> bool:
        """With all that only they held."""
        return self._replaced or any(len(node.disk.cells.aside) > len(node.disk.cells.olds) for node in self._machines)

    def replace(self, node: SimNode) -> None:
        self._replaced = True
        node.crash()
        del self.nodes[node.id]
        new = self._new(f"{node.id}'")
        self._machines[self._machines.index(node)] = new
        new.boot()
        self.people.admit(new)
        self.people.remove(node.id)

    def recover(self, node: SimNode) -> None:
        """A person believes that the coordinator is off, and begins again with what is left."""
        if node.daemon is not None:
            node.daemon.succession.recover(lambda _: None)

    def _heal(self) -> None:
        self.people.rest()
        self.net.heal()
        self.net.weather = Weather()
        for node in self._machines:
            node.mend_disk()
            self.restart(node)
            node.disk.delay_ms, node.disk.stall_per_mille = 3, 0
        self.loop.call_later(SETTLED_SECONDS, self._admit_again)

    def _admit_again(self) -> None:
        """Whoever recovered a mesh sees which machines it has forgotten: their admission came after the fork. And looks
        again: that may have been told to one of two rivals, and the other one has won."""
        if self.branches.forks:
            self.loop.call_later(SETTLED_SECONDS, self._admit_again)
            known = {one for node in self._machines for one in _known_to_leader(node)}
            for node in self._machines:
                if node.id not in known:
                    self.people.admit(node)

    # -- the account ---------------------------------------------------------------------------------------------------

    def _look_at_states(self) -> None:
        for node in self.nodes.values():
            if node.book is not None:
                self.walks[node.lineage.tip].leads(node.id, node.book.state)

    def _look_at_history(self) -> None:
        for complaint in complaints(self.people.history):
            raise Violation(f"linear: {complaint}")

    def _final_account(self) -> None:
        self._look_at_states()
        generations = {node.lineage.tip.number for node in self.nodes.values()}
        if len(generations) != 1:
            raise Violation(f"calm: the machines are in generations {sorted(generations)}")
        leaders = [
            node.id for node in self.nodes.values() if node.replica is not None and node.replica.core.leads_safely
        ]
        if len(leaders) != 1:
            raise Violation(f"calm: after {self.schedule.calm_ms} ms of it the leaders are {leaders}")
        leader = self.nodes[leaders[0]].replica
        assert leader is not None
        members = {member.node for member in leader.core.config.members}
        keepers = [node for node in self.nodes.values() if node.id in members]  # one may be gone for good
        hashes = {state_hash(node.book.state) for node in keepers if node.book is not None}
        if len(hashes) != 1:
            applied = {node.id: node.replica.applied for node in keepers if node.replica is not None}
            raise Violation(f"12: states differ after calm: {applied}")
        self._account_for_jobs([node for node in keepers if node.book is not None])
        if unended := self._unended():
            raise Violation(f"calm: after {self.loop.time():.0f} s jobs {unended[:5]} of {len(unended)} have not ended")

    def _account_for_jobs(self, keepers: list[SimNode]) -> None:
        """Each is in the state, in history, or was let go of; what one keeper has, all have: their states are equal."""
        branch, books = self.branches.of(keepers[0].lineage), [node.book for node in keepers if node.book is not None]
        state = books[0].state
        history = account(state, keepers, branch.results)
        let_go = branch.departed.let_go()
        for client, job in self.people.relied_on().items():
            known = state.clients.get(client)
            is_there = job in state.jobs or job in history or job in let_go
            if known is None or known.first != job or not is_there:
                raise Violation(f"9: job {job} was acknowledged and {keepers[0].id} does not have it")
        self._account_for_tails(state, branch.departed)

    def _account_for_tails(self, state: State, departed: Departed) -> None:
        """What was acknowledged behind a fork is submitted again, or history, or listed. Only with its store it may be
        gone."""
        machines = self.nodes.values()
        if left := waiting(machines):
            raise Violation(f"tail: {left} are not handed in")
        there = state.clients.keys() | departed.adopted.keys() | listed(machines)
        held_once = held(machines)
        for client in self.people.acknowledged.keys() - there:
            if client in held_once:
                raise Violation(f"tail: submit {int.from_bytes(client, 'big')} is in an old store and nowhere else")
            if not self.stores_lost:
                raise Violation(f"tail: submit {int.from_bytes(client, 'big')} was acknowledged and is nowhere")


def _known_to_leader(node: SimNode) -> list[NodeId]:
    if node.book is None or node.replica is None or not node.replica.core.leads_safely:
        return []
    return [one.id for one in node.book.state.nodes.values()]

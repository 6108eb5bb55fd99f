"""A few machines and a network between them, in memory and by hand: nothing happens unless a test says so.

A machine is driven as the real driver does it: what a Ready asks for is sent, written and applied at once, unless the
machine's disk is slow; then its write stays under way until the test says that it is done, or crashes the machine.
Messages lie on the wire until they are delivered, dropped, doubled or held back. They are addressed to machines, so a
machine that has lost its store gets what was meant for its old self: the core must see to that by itself.

Promises: after every step all that `watch` knows is checked.
Never: draws chance, or lets time pass by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from odyssey.clock import Entropy
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.types import AnyMessage, Config, Outgoing, Ready, Role, VoteReply, VoteRequest
from tests.mesh.raft.machine import Machine, config, data_of, loaded, name_of
from tests.mesh.raft.watch import Watch
from tests.mesh.raft.words import role

MUCH = 10_000  # steps after which nothing will become quiet any more


class Longest(Entropy):
    """Always the largest number: everybody waits as long as possible, so that a test decides who is first."""

    def bits(self, n: int) -> int:
        return (1 << n) - 1


@dataclass(eq=False)
class Parcel:
    sender: str
    to: str  # a machine, whatever its store
    message: AnyMessage
    held: bool = False


def silence(name: str, what: str, about: object) -> None:
    """Nobody listens."""


@dataclass
class Cluster:
    members: str = "1 2 3"
    tell: Callable[[str, str, object], None] = silence
    entropy: Callable[[str], Entropy] = lambda name: Longest()
    machines: dict[str, Machine] = field(default_factory=dict)
    gone: list[Machine] = field(default_factory=list)  # whose store was lost
    wire: list[Parcel] = field(default_factory=list)
    cuts: set[tuple[str, str]] = field(default_factory=set)
    watch: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        known = config(self.members)
        for one in known.members:
            self.add(name_of(one), known)

    def add(self, name: str, known: Config | None = None) -> None:
        machine = Machine(name, known or Config(), self.entropy(name))
        machine.shown = f"{role(machine.core)}, term 0"
        self.machines[machine.me.node] = machine

    def core(self, node: str) -> Core:
        return self.machines[node].core

    def state(self, node: str) -> str:
        return " ".join(self.machines[node].state)

    @property
    def leader(self) -> str:
        """Who leads the newest term."""
        leaders = [machine for machine in self.machines.values() if machine.up and machine.core.is_leader]
        return max(leaders, key=lambda machine: machine.core.term).me.node if leaders else ""

    # -- one machine acts ----------------------------------------------------------------------------------------------

    def run(self, node: str, act: Callable[[Core], object]) -> None:
        """Whatever happens to a core happens here: act, then do what it asks for."""
        machine = self.machines[node]
        if machine.up:
            try:
                act(machine.core)
            finally:
                self.drain(machine)

    def drain(self, machine: Machine) -> None:
        for _ in range(MUCH):
            self._show(machine)
            ready = machine.core.ready()
            self.watch.after(machine, [*self.machines.values(), *self.gone])
            machine.fetch = ready.fetch
            machine.offered = ready.fetch or machine.offered
            if ready == Ready(fetch=ready.fetch):
                self._show(machine)
                return
            self._do(machine, ready)
        raise AssertionError(f"{machine.name} always has something to do")

    def _do(self, machine: Machine, ready: Ready) -> None:
        for outgoing in ready.messages:
            self.watch.sending(machine, outgoing)
            self._post(machine, outgoing)
        if ready.write is not None:
            self.tell(machine.name, "writes", ready.write)
            machine.under_way = ready.write
            if not machine.slow:
                self.finish_write(machine)
        for entry in ready.committed:
            self.watch.applying(machine, entry)
            machine.apply(entry)
        if ready.committed:
            self.tell(machine.name, "applies", ready.committed)

    def _post(self, machine: Machine, outgoing: Outgoing) -> None:
        self.tell(machine.name, "sends", outgoing)
        self.wire.append(Parcel(machine.me.node, outgoing.to.node, outgoing.message))

    def finish_write(self, machine: Machine) -> None:
        write, machine.under_way = machine.under_way, None
        if write is not None:
            machine.disk.take(write)
            self.watch.wrote(machine)
            machine.core.written(write.number)

    def _show(self, machine: Machine) -> None:
        if self.tell is silence:
            return
        shown = f"{role(machine.core)}, term {machine.core.term}"
        if shown != machine.shown:
            machine.shown = shown
            self.tell(machine.name, "is", shown)

    # -- what may happen to a machine ----------------------------------------------------------------------------------

    def tick(self, nodes: str, times: int = 1) -> None:
        for _ in range(times):
            for node in nodes.split():
                self.run(node, Core.tick)

    def timeout(self, node: str) -> None:
        """Its time runs out, and nobody else's."""
        machine, sent = self.machines[node], len(self.wire)
        for _ in range(30):
            if machine.core.role is Role.LEADER or len(self.wire) > sent:
                return
            self.tick(node)

    def elect(self, node: str) -> None:
        """All have lost patience, and this one is the first. Who was behind in terms needs a second attempt."""
        others = " ".join(other for other in self.machines if other != node)
        self._stand(node, others, self.settle)
        assert self.core(node).leads_safely, f"{node} was not elected"

    def elect_by(self, node: str, voters: str) -> None:
        """These elect it, and nobody else hears of it; what it then wants to say lies on the wire."""
        self._stand(node, voters, lambda: self._settle_votes({node, *voters.split()}))
        assert self.core(node).is_leader, f"{node} was not elected"

    def _stand(self, node: str, voters: str, settle: Callable[[], None]) -> None:
        self.tick(voters, 15)
        for _ in range(4):
            if not self.core(node).is_leader:
                self.timeout(node)
                settle()

    def _settle_votes(self, nodes: set[str]) -> None:
        for _ in range(4):  # asked beforehand, answered, asked, answered
            ballots = [parcel for parcel in self.wire if isinstance(parcel.message, VoteRequest | VoteReply)]
            heard = [parcel for parcel in ballots if {parcel.sender, parcel.to} <= nodes]
            self.wire = [parcel for parcel in self.wire if parcel in heard or parcel not in ballots]
            self.deliver(heard)

    def propose(self, node: str, *commands: str) -> None:
        for command in commands:
            self.run(node, partial(Core.propose, data=data_of(command)))

    def reconfigure(self, node: str, members: str) -> None:
        self.run(node, lambda core: core.propose_config(config(members)))

    def written(self, node: str) -> None:
        """The write under way is done, and whatever that causes."""
        self.finish_write(self.machines[node])
        self.drain(self.machines[node])

    def crash(self, node: str, after_write: bool = False) -> None:
        machine = self.machines[node]
        if after_write and machine.under_way is not None:
            machine.disk.take(machine.under_way)
            self.watch.wrote(machine)
        machine.up = False
        self.tell(machine.name, "is", "down")

    def restart(self, node: str) -> None:
        self.machines[node].start()
        self.drain(self.machines[node])

    def replace(self, node: str) -> None:
        """The machine loses its store and begins with an empty one: another member."""
        self.gone.append(self.machines[node])
        self.add(self.machines[node].name + "'")

    def roll_back(self, node: str, index: int) -> None:
        """An older image of its disk is put back: what it acknowledged since is gone."""
        self.machines[node].disk.roll_back(index)
        self.watch.disks_went_back = True
        self.restart(node)

    def compact(self, node: str, keep_from: int | None = None) -> None:
        snapshot = self.machines[node].take_snapshot()
        self.run(node, lambda core: core.compact(snapshot, keep_from))

    def install(self, node: str) -> None:
        """The bytes it was last asked to fetch are here, whether they are still wanted or not."""
        machine, snapshot = self.machines[node], self.machines[node].offered
        assert snapshot is not None, f"{node} was never offered a snapshot"

        def act(core: Core) -> None:
            if core.install(snapshot):
                machine.state = loaded(snapshot)

        self.run(node, act)

    # -- the network ---------------------------------------------------------------------------------------------------

    def cut(self, *groups: str) -> None:
        """Machines of different groups do not hear each other."""
        sides = [group.split() for group in groups]
        self.cuts = {(a, b) for one in sides for other in sides if one is not other for a in one for b in other}

    def heal(self) -> None:
        self.cuts = set()

    def deliver(self, parcels: Iterable[Parcel]) -> None:
        for parcel in parcels:
            self.wire.remove(parcel)
            if (parcel.sender, parcel.to) not in self.cuts and parcel.to in self.machines:
                if self.machines[parcel.to].up:
                    self.tell(self.machines[parcel.to].name, "hears", parcel)
                self.run(parcel.to, partial(Core.step, message=parcel.message))

    def settle(self) -> None:
        """Deliver until nothing is under way that is not held back, and fetch what is asked for."""
        for _ in range(MUCH):
            moving = [parcel for parcel in self.wire if not parcel.held]
            self.deliver(moving)
            fetching = [node for node, machine in self.machines.items() if machine.up and machine.fetch is not None]
            for node in fetching:
                self.install(node)
            if not moving and not fetching:
                return
        raise AssertionError("it never becomes quiet")

"""Random histories: lost, doubled and reordered messages, crashes, slow disks, cuts, changes of members, compaction.

How often each happens is drawn for each seed, so that some seeds are calm where others are wild: mild and even rates
find the least. After every step `watch` checks all it knows; at the end everything is healed, and then a command must
go through and all machines must hold the same.

Promises: one seed is one history, everywhere. A failure names its seed: `history(seed)` tells it again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from odyssey.clock import Entropy, SeededEntropy
from odyssey.mesh.raft import core as core_module
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.types import Busy, Config, ConfigRefused, Member, NotLeader
from tests.mesh.raft.cluster import Cluster, Parcel

SEEDS = 300
CHUNK = 20
STEPS = 500


class History:
    def __init__(self, seed: int) -> None:
        source = SeededEntropy(seed)
        self.chance: Entropy = source.fork("events")
        groups = ("1", "1 | 2", "1 2", "1 2 3", "1 2 3", "1 2 3 | 4", "1 2 3 4", "1 2 3 4 5")
        self.cluster = Cluster(self.chance.choose(groups), entropy=source.fork)
        self.said = 0
        self.kept: list[Parcel] = []
        acts: tuple[tuple[Callable[[str], None], int], ...] = (
            (self.tick, 30),
            (self.hurry, 10),
            (self.deliver, 150),
            (self.settle, 6),
            (self.drop, 15),
            (self.double, 15),
            (self.keep, 15),
            (self.recall, 8),
            (self.propose, 30),
            (self.written, 40),
            (self.slow, 6),
            (self.crash, 4),
            (self.restart, 10),
            (self.cut, 3),
            (self.heal, 6),
            (self.change, 10),
            (self.compact, 8),
            (self.install, 10),
            (self.transfer, 3),
            (self.step_down, 1),
            (self.standby, 3),
            (self.replace, 1),
        )
        wild = [(act, self.chance.below(2 * often + 1)) for act, often in acts]
        if self.chance.chance(800):
            self.cluster.timeout("1")
            self.cluster.settle()
        self.acts = [act for act, often in wild for _ in range(often)] + [self.tick, self.deliver]

    def step(self) -> None:
        act = self.chance.choose(self.acts)
        with suppress(Busy, ConfigRefused, NotLeader):
            act(self.chance.choose(sorted(self.cluster.machines)))

    def tick(self, node: str) -> None:
        self.cluster.tick(" ".join(self.cluster.machines), 1 + self.chance.below(3))

    def hurry(self, node: str) -> None:
        self.cluster.tick(node, 15)

    def deliver(self, node: str) -> None:
        """A few, mostly the older ones first; but any may come late, after newer ones."""
        for _ in range(min(len(self.cluster.wire), self.chance.below(10))):
            near = self.cluster.wire if self.chance.chance(100) else self.cluster.wire[:3]
            self.cluster.deliver([self.chance.choose(near)])

    def settle(self, node: str) -> None:
        self.cluster.settle()

    def drop(self, node: str) -> None:
        if self.cluster.wire:
            self.cluster.wire.remove(self.chance.choose(self.cluster.wire))

    def double(self, node: str) -> None:
        if self.cluster.wire:
            parcel = self.chance.choose(self.cluster.wire)
            self.cluster.wire.append(Parcel(parcel.sender, parcel.to, parcel.message))

    def keep(self, node: str) -> None:
        """A copy that comes very late, if ever."""
        if self.cluster.wire:
            self.kept.append(self.chance.choose(self.cluster.wire))

    def recall(self, node: str) -> None:
        if self.kept:
            late = self.chance.choose(self.kept)
            parcel = Parcel(late.sender, late.to, late.message)
            self.cluster.wire.append(parcel)
            self.cluster.deliver([parcel])

    def propose(self, node: str) -> None:
        self.said += 1
        self.cluster.propose(self.cluster.leader or node, f"c{self.said}")

    def written(self, node: str) -> None:
        if self.cluster.machines[node].up:
            self.cluster.written(node)

    def slow(self, node: str) -> None:
        self.cluster.machines[node].slow = not self.cluster.machines[node].slow

    def crash(self, node: str) -> None:
        if self.cluster.machines[node].up:
            self.cluster.crash(node, after_write=self.chance.chance(500))

    def restart(self, node: str) -> None:
        if not self.cluster.machines[node].up:
            self.cluster.restart(node)

    def cut(self, node: str) -> None:
        others = [other for other in self.cluster.machines if self.chance.chance(500)]
        self.cluster.cut(" ".join(others), " ".join(set(self.cluster.machines) - set(others)))
        if self.chance.chance(300):  # in one direction only
            self.cluster.cuts = {(a, b) for a, b in self.cluster.cuts if a in others}

    def heal(self, node: str) -> None:
        self.cluster.heal()

    def change(self, node: str) -> None:
        leader = self.cluster.leader or node
        self.cluster.run(leader, lambda core: core.propose_config(self.changed(core.config, node)))

    def changed(self, now: Config, node: str) -> Config:
        """Promote, demote, remove or add this machine, whatever it is now."""
        me: Member = self.cluster.machines[node].me
        voters = tuple(one for one in now.voters if one.node != node)
        learners = tuple(one for one in now.learners if one.node != node)
        if me in now.learners and self.chance.chance(700):
            return Config((*voters, me), learners)
        if me in now.members and self.chance.chance(500):
            return Config(voters, learners)
        return Config(voters, (*learners, me))

    def compact(self, node: str) -> None:
        machine = self.cluster.machines[node]
        if machine.up and machine.core.log.handed > machine.core.log.snapshot.index:
            keep = self.chance.below(machine.core.log.handed + 1) if self.chance.chance(500) else None
            self.cluster.compact(node, keep)

    def install(self, node: str) -> None:
        if self.cluster.machines[node].up and self.cluster.machines[node].fetch is not None:
            self.cluster.install(node)

    def transfer(self, node: str) -> None:
        to = self.cluster.machines[node].me
        self.cluster.run(self.cluster.leader or node, lambda core: core.transfer(to))

    def step_down(self, node: str) -> None:
        self.cluster.run(node, Core.step_down)

    def standby(self, node: str) -> None:
        machine = self.cluster.machines[self.cluster.leader or node]
        if machine.up:
            machine.core.in_step = frozenset(machine.core.config.learners if self.chance.chance(500) else ())
            self.cluster.drain(machine)

    def replace(self, node: str) -> None:
        """Never so many that the rest could not elect."""
        machines = self.cluster.machines.values()
        whole = min(sum(machine.me in other.core.config.voters for machine in machines) for other in machines)
        if whole > 2:
            self.cluster.replace(node)

    # -- and then all is well again ------------------------------------------------------------------------------------

    def mend(self) -> None:
        self.cluster.heal()
        for node, machine in self.cluster.machines.items():
            machine.slow = False
            if not machine.up:
                self.cluster.restart(node)
            self.cluster.written(node)
            self.cluster.run(node, release_standbys)
        self.cluster.settle()

    def calm(self) -> None:
        """Time passes and everything arrives, until all is as it should be or has had time enough."""
        for _ in range(300):
            self.cluster.tick(" ".join(self.cluster.machines))
            self.cluster.settle()
            if self.whole():
                return

    def whole(self) -> bool:
        """Somebody leads, and all members know as much as it does."""
        machines = self.cluster.machines
        if not self.cluster.leader or not self.cluster.core(self.cluster.leader).leads_safely:
            return False
        leading = self.cluster.core(self.cluster.leader)
        logs = [machine.core.log for machine in machines.values() if machine.me in leading.config.members]
        return leading.transferring is None and all(log.handed == leading.log.last for log in logs)


def release_standbys(core: Core) -> None:
    core.in_step = frozenset()


def history(seed: int) -> None:
    """Some seeds cut appends short, so that a follower has a part of what it needs more often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core_module, "APPEND_ENTRIES", (1, 2, 1024)[seed % 3])
        tell(seed)


def tell(seed: int) -> None:
    told = History(seed)
    for _ in range(STEPS):
        told.step()
    told.mend()
    told.calm()
    machines = told.cluster.machines
    leader = told.cluster.leader
    newest = max(machines.values(), key=lambda machine: (machine.core.log.last_term, machine.core.log.last))
    alive, voters = {machine.me for machine in machines.values()}, set(newest.core.config.voters)
    if not leader and len(alive & voters) * 2 <= len(voters):
        return  # too many stores are lost: nobody may lead
    assert leader, "nobody leads"
    assert all(machine.core.rewound is None for machine in machines.values())
    told.cluster.propose(leader, "last")
    told.calm()
    assert told.whole(), "somebody lags behind"
    members = [machine for machine in machines.values() if machine.me in machines[leader].core.config.members]
    assert {machine.state for machine in members} == {machines[leader].state}
    assert machines[leader].state[-1] == "last"


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_histories(first: int) -> None:
    for seed in range(first, first + CHUNK):
        try:
            history(seed)
        except AssertionError as error:
            raise AssertionError(f"history({seed}): {error}") from error

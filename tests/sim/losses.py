"""May this machine's store be lost now? A mesh that loses a majority of its copies has lost data by design, and no
simulation can ask for it back.

Every config counts that any disk holds, since any of them may be the one in force: in each a quorum must keep stores
that are sound, and all but one: a leader that lets a member go in the second in which two others lose their stores
would be left without a quorum, and only a recovery helps. What is committed is on a quorum too, so on one of those at
least.

Promises: with faults that ask here first, whatever is acknowledged stays.
Never: changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from odyssey import wire
from odyssey.ids import NodeId
from odyssey.mesh.raft.types import Config, Kind, Member
from odyssey.mesh.roles import quorum
from tests.sim.node import SimNode


def may_lose(node: SimNode, nodes: Iterable[SimNode]) -> bool:
    known = {one.id: one for one in nodes}
    configs = {config for one in known.values() for config in _held(one)}
    configs |= {_promoted(config, node.id) for config in configs}
    return node.home.others() is not None and all(_endures(config, node.id, known) for config in configs)


def _promoted(config: Config, lost: NodeId) -> Config:
    """A learner may be made a voter in this very moment. Where one votes, both are needed then, and a disk that is gone
    never answers: that too is lost by design."""
    learners = tuple(one for one in config.learners if one.node == lost)
    return Config((*config.voters, *learners), tuple(one for one in config.learners if one.node != lost))


def _held(node: SimNode) -> Iterator[Config]:
    yield node.durable.snapshot.config
    for entry in node.durable.entries:
        if entry.kind is Kind.CONFIG:
            yield wire.decode(entry.data, Config)
    if node.replica is not None:
        yield node.replica.core.config


def _endures(config: Config, lost: NodeId, known: dict[NodeId, SimNode]) -> bool:
    def is_sound(voter: Member) -> bool:
        machine = known.get(voter.node)
        return voter.node != lost and machine is not None and machine.member == voter and not machine.spoilt

    if all(voter.node != lost for voter in config.voters):
        return True
    sound = sum(map(is_sound, config.voters))
    return sound >= quorum(len(config.voters)) and sound >= len(config.voters) - 1

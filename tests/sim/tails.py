"""What old coordinators did behind a fork, and what became of it: nothing of it may be gone in the end.

Promises: what a store that was set aside holds is looked for in the mesh, by the client ids of its submits alone.
Never: asks the driver that hands tails in; it looks at what lies on the disks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from odyssey.commands import SubmitJobs
from odyssey.ids import ClientId
from odyssey.mesh.letters import entry_of
from odyssey.scheduler.dump import load

if TYPE_CHECKING:
    from tests.sim.node import SimNode


def waiting(nodes: Iterable[SimNode]) -> list[str]:
    """Tails that are not handed in yet."""
    return [f"{node.id} {name}" for node in nodes for name in node.home.tails()]


def held(nodes: Iterable[SimNode]) -> frozenset[ClientId]:
    """Submits in stores that were set aside, before and behind the fork."""
    return frozenset(client for node in nodes for name in node.disk.cells.olds for client in _clients(node, name))


def _clients(node: SimNode, name: str) -> Iterator[ClientId]:
    old = node.home.old(name)
    if old.snapshot.index:
        yield from load(old.slices).clients
    for entry in old.entries:
        command = entry_of(entry, 0).command
        if isinstance(command, SubmitJobs):
            yield command.client


def listed(nodes: Iterable[SimNode]) -> frozenset[ClientId]:
    """What people were told of instead."""
    accounts = (json.loads(one) for node in nodes for one in node.disk.cells.accounts.values())
    return frozenset(ClientId(bytes.fromhex(one["client"])) for account in accounts for one in account["listed"])

"""The kinds of faults, as a table: a name, how often it is drawn, how strong, whom it also concerns, what it does.

Another kind is another row, and a method of the machine (or of the world) that does it.

Promises: what a fault does follows from the fault alone; it draws nothing while the world runs, so to leave one out
moves nothing elsewhere.
Never: decides when something breaks. That is drawn before the run (schedule.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from odyssey.messages import Going
from tests.sim.losses import may_lose

if TYPE_CHECKING:
    from tests.sim.node import SimNode
    from tests.sim.world import World


LEASES_OVER_SECONDS: Final = 12.0
LONG_MS: Final = 15_000
SAYING_SECONDS: Final = 1.0  # as long as a system waits for who wants to say something before it sleeps


class Fault(NamedTuple):
    at_ms: int
    kind: str
    machine: int
    amount: int = 0  # of what its kind counts in, most often milliseconds
    mask: int = 0  # a set of machines, one bit each


class Kind(NamedTuple):
    weight: int
    amounts: tuple[int, ...]  # one of these is the bound of the amount; none: it has no amount
    masked: bool
    do: Callable[[World, SimNode, Fault], None]


def _crash(world: World, node: SimNode, fault: Fault) -> None:
    if node.up:
        node.crash()
        world.loop.call_later(fault.amount / 1000, world.restart, node)


def _kill_daemon(world: World, node: SimNode, fault: Fault) -> None:
    if node.up:
        node.kill_daemon()
        world.loop.call_later(fault.amount / 1000, world.restart, node)


def _cut(world: World, _: SimNode, fault: Fault) -> None:
    """Those in the mask on one side, the others on the other."""
    names = list(world.nodes)
    side = {name for number, name in enumerate(names) if fault.mask >> number & 1}
    world.net.cut |= {(a, b) for a in names for b in names if (a in side) != (b in side)}


def _one_way(world: World, node: SimNode, fault: Fault) -> None:
    """Those in the mask hear nothing of this machine any more."""
    world.net.cut |= {(node.id, name) for number, name in enumerate(world.nodes) if fault.mask >> number & 1}


def _mend(world: World, _: SimNode, fault: Fault) -> None:
    world.net.heal()


def _stall(_: World, node: SimNode, fault: Fault) -> None:
    node.stall(fault.amount / 1000)


def _sleep(_: World, node: SimNode, fault: Fault) -> None:
    node.sleep(fault.amount / 1000)


def _compact(world: World, node: SimNode, _: Fault) -> None:
    if node.up and node.stalled_until <= world.loop.time():
        node.compact()


def _slow_disk(_: World, node: SimNode, fault: Fault) -> None:
    node.disk.delay_ms = 1 + fault.amount


def _full_disk(world: World, node: SimNode, fault: Fault) -> None:
    node.fill(fault.mask * 2048)  # in half of the cases the guard is reached, and a while later the end
    world.loop.call_later(fault.amount / 1000, node.mend_disk)


def _failing_disk(world: World, node: SimNode, fault: Fault) -> None:
    node.break_disk()
    world.loop.call_later(fault.amount / 1000, node.mend_disk)


def _read_only(world: World, node: SimNode, fault: Fault) -> None:
    node.protect()
    world.loop.call_later(fault.amount / 1000, node.mend_disk)


def _tear(world: World, node: SimNode, fault: Fault) -> None:
    if may_lose(node, world.nodes.values()):
        node.tear()
        world.loop.call_later(fault.amount / 1000, world.restart, node)


def _rot(world: World, node: SimNode, fault: Fault) -> None:
    """Found at once, for the daemon starts anew: what rots unseen where nobody else votes is lost by design."""
    if may_lose(node, world.nodes.values()):
        node.rot(fault.mask << 16 | fault.amount)
        world.loop.call_later(fault.amount / 1000, world.restart, node)


def _copy(_: World, node: SimNode, fault: Fault) -> None:
    node.keep_copy()


def _roll_back(world: World, node: SimNode, fault: Fault) -> None:
    if may_lose(node, world.nodes.values()):
        node.roll_back()
        world.loop.call_later(fault.amount / 1000, world.restart, node)


def _doze(world: World, node: SimNode, fault: Fault) -> None:
    """The lid is closed by somebody who lets the machine say so."""
    if node.daemon is not None:
        node.daemon.agent.go(Going.SLEEP)
        world.loop.call_later(SAYING_SECONDS, node.sleep, fault.amount / 1000)
        world.loop.call_later(SAYING_SECONDS + fault.amount / 1000 + 0.1, _stay, node)


def _reboot(world: World, node: SimNode, fault: Fault) -> None:
    """Shut down in order."""
    if node.daemon is not None:
        node.daemon.agent.go(Going.SHUTDOWN)
        world.loop.call_later(SAYING_SECONDS, _crash, world, node, fault)


def _update(world: World, node: SimNode, fault: Fault) -> None:
    """The daemon says that another one follows."""
    if node.daemon is not None:
        node.daemon.agent.go(Going.RESTART)
        world.loop.call_later(0.1, _kill_daemon, world, node, fault)


def _stay(node: SimNode) -> None:
    if node.daemon is not None:
        node.daemon.agent.go(Going.STAYING)


def _move(world: World, node: SimNode, fault: Fault) -> None:
    """Another address: a moment in which nothing arrives, and what was under way never does."""
    others = [name for name in world.nodes if name != node.id]
    new = {(node.id, name) for name in others} | {(name, node.id) for name in others}
    cut = new - world.net.cut
    world.net.cut |= cut
    world.net.move(node.id)
    world.loop.call_later(fault.amount / 1000, world.net.cut.difference_update, cut)


def _replace(world: World, node: SimNode, fault: Fault) -> None:
    """The machine is made anew from an image: another identity, an empty disk; the old one is removed by hand."""
    if node.id in world.nodes and may_lose(node, world.nodes.values()):
        world.replace(node)


def _recover(world: World, node: SimNode, fault: Fault) -> None:
    """The power of most voters is gone for long, and somebody recovers where it is not, when all leases are over."""
    voters = {voter.node for one in world.nodes.values() if one.replica for voter in one.replica.core.config.voters}
    for name in sorted(voters - {node.id}):
        if name in world.nodes:
            _crash(world, world.nodes[name], fault._replace(amount=LONG_MS + fault.amount))
    world.loop.call_later(LEASES_OVER_SECONDS, world.recover, node)


KINDS: Final[dict[str, Kind]] = {
    "crash": Kind(4, (200, 3000, 8000), False, _crash),
    "kill-daemon": Kind(2, (200, 3000, 8000), False, _kill_daemon),
    "cut": Kind(2, (), True, _cut),
    "one-way": Kind(2, (), True, _one_way),
    "mend": Kind(3, (), False, _mend),
    "stall": Kind(2, (300, 4000), False, _stall),
    "sleep": Kind(2, (3000, 20_000), False, _sleep),
    "doze": Kind(1, (3000, 20_000), False, _doze),
    "reboot": Kind(1, (3000, 8000), False, _reboot),
    "update": Kind(1, (200, 3000), False, _update),
    "move": Kind(1, (300, 5000), False, _move),
    "replace": Kind(1, (), False, _replace),
    "recover": Kind(1, (1000, 20_000), False, _recover),
    "compact": Kind(4, (), False, _compact),
    "slow-disk": Kind(2, (10, 100, 600), False, _slow_disk),
    "full-disk": Kind(1, (1000, 15_000), True, _full_disk),
    "failing-disk": Kind(1, (200, 5000), False, _failing_disk),
    "read-only": Kind(1, (1000, 15_000), False, _read_only),
    "tear": Kind(1, (200, 8000), False, _tear),
    "rot": Kind(1, (200, 8000), True, _rot),
    "copy": Kind(2, (), False, _copy),
    "roll-back": Kind(2, (200, 8000), False, _roll_back),
}

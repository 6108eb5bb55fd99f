"""What happens to machines: admitted, changed, renamed, drained, removed.

Promises: a machine is admitted once per identity, keeps its number for life and has a name of its own.
Never: gives a machine's name to another while it is a member.
"""

import re
from typing import Final

from odyssey.commands import AdmitNode, DrainNode, Entry, Facts, RemoveNode, RenameNode, UpdateNode
from odyssey.events import ChangedNothing, Event, NodeAdmitted, NodeChanged, NodeRemoved
from odyssey.ids import NodeNumber
from odyssey.model import Node
from odyssey.scheduler.draft import Draft, replace
from odyssey.scheduler.transitions.base import Refused
from odyssey.scheduler.transitions.reports import promote

_NAME: Final = re.compile(r"[a-z0-9-]{1,32}")
_MAX_NAME: Final = 32


def admit(draft: Draft, entry: Entry, command: AdmitNode) -> list[Event]:
    check_facts(command.facts)
    for node in draft.state.nodes.values():
        if node.id == command.id and not node.removed:
            return _store(draft, entry, with_facts(node, command.facts))
    number = NodeNumber(draft.head.last_node + 1)
    draft.head = replace(draft.head, last_node=number)
    name = free_name(draft, clean_name(command.name))
    draft.nodes[number] = with_facts(Node(number, command.id, name, command.owner, command.facts.total), command.facts)
    return [NodeAdmitted(entry.index, number, name)]


def update(draft: Draft, entry: Entry, command: UpdateNode) -> list[Event]:
    check_facts(command.facts)
    return _store(draft, entry, with_facts(_member(draft, command.node), command.facts))


def rename(draft: Draft, entry: Entry, command: RenameNode) -> list[Event]:
    node = _member(draft, command.node)
    if not _NAME.fullmatch(command.name):
        raise Refused(
            "bad-name",
            f"{command.name[:40]!r} is not a machine name",
            "use 1 to 32 of a-z, 0-9 and -, for example pc-4",
        )
    if command.name != node.name and command.name in names(draft):
        raise Refused("name-taken", f"another machine is called {command.name}", "choose another name")
    return _store(draft, entry, replace(node, name=command.name))


def drain(draft: Draft, entry: Entry, command: DrainNode) -> list[Event]:
    return _store(draft, entry, replace(_member(draft, command.node), draining=command.draining))


def remove(draft: Draft, entry: Entry, command: RemoveNode) -> list[Event]:
    """The record stays until its last attempt has moved: that needs its lease to be over, as the coordinator tells."""
    node = _member(draft, command.node)
    use = draft.use(node.number)
    if use.slots or use.backlog:
        draft.nodes[node.number] = replace(node, removed=True)
    else:
        draft.dropped_nodes.append(node.number)
    return [NodeRemoved(entry.index, node.number, node.name)]


def _member(draft: Draft, number: NodeNumber) -> Node:
    node = draft.node(number)
    if node is None or node.removed:
        raise Refused("no-such-machine", f"machine {number} is not a member", "see: odyssey nodes")
    return node


def _store(draft: Draft, entry: Entry, node: Node) -> list[Event]:
    if draft.state.nodes.get(node.number) == node:
        return [ChangedNothing(entry.index)]
    draft.nodes[node.number] = node
    return [NodeChanged(entry.index, node.number, node.name, node.draining), *promote(draft, entry, node.number)]


def check_facts(facts: Facts) -> None:
    if facts.total.cpu_milli <= 0 or not 1 <= facts.speed <= 1_000_000 or facts.level < 1:
        raise Refused("bad-facts", "a machine needs at least some cpu, a speed and a level", "upgrade the machine")


def with_facts(node: Node, facts: Facts) -> Node:
    return replace(
        node,
        total=facts.total,
        gpu_memory=facts.gpu_memory,
        os=facts.os,
        arch=facts.arch,
        labels=tuple(sorted(dict(facts.labels).items())),
        speed=facts.speed,
        level=facts.level,
        shared=facts.shared,
    )


def names(draft: Draft) -> set[str]:
    known = {**draft.state.nodes, **draft.nodes}
    return {node.name for node in known.values() if not node.removed}


def clean_name(wanted: str) -> str:
    """A short host name as people know it: anna's-PC.local becomes anna-s-pc."""
    return re.sub(r"[^a-z0-9-]+", "-", wanted.split(".")[0].lower()).strip("-")[:_MAX_NAME] or "machine"


def free_name(draft: Draft, name: str) -> str:
    taken = names(draft)
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        suffix = f"-{number}"
        candidate = name[: _MAX_NAME - len(suffix)] + suffix
    return candidate

"""`odyssey nodes`: the machines of the mesh.

Promises: what a machine has not told is left empty.
Never: sorts or leaves out.
"""

from __future__ import annotations

from typing import Final

from odyssey.api.documents import document
from odyssey.api.requests import Nodes
from odyssey.api.views import NodeView
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.output import Cell, Column
from odyssey.resources import show_size_rounded

COLUMNS: Final = (
    Column("NAME"),
    Column("STATE"),
    Column("ROLE"),
    Column("CPUS"),
    Column("MEMORY"),
    Column("GPUS"),
    Column("CPU %"),
    Column("MEMORY %"),
    Column("TASKS"),
    Column("OS"),
    Column("ARCH"),
    Column("OWNER"),
)


@command("nodes")
def nodes_command(desk: Desk) -> None:
    """Your machines: what they have, and how they are."""
    nodes = desk.ask(Nodes()).nodes
    if desk.output.as_json:
        desk.output.json(document(nodes))
        return
    desk.output.table(COLUMNS, [_row(desk, node) for node in nodes])


def _row(desk: Desk, node: NodeView) -> list[Cell]:
    memory: Cell = show_size_rounded(node.memory_bytes) if desk.output.out.is_terminal else node.memory_bytes
    state = "finishing" if node.is_draining and node.state == "up" else node.state
    return [
        node.name,
        state,
        f"{node.role}*" if node.coordinator and node.role and desk.output.out.is_terminal else node.role,
        f"{node.cpus:g}",
        memory,
        node.gpus,
        _share(node.cpu_percent),
        _share(node.memory_percent),
        node.tasks,
        node.os,
        node.arch,
        node.owner,
    ]


def _share(percent: float | None) -> str | None:
    return None if percent is None else f"{percent:.0f}"

"""`odyssey nodes`: the machines of the mesh.

Promises: what a machine has not told is left empty; on a terminal a column that nobody has anything for is not there.
Never: sorts, or leaves a machine out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from odyssey.api.documents import document
from odyssey.api.requests import Nodes
from odyssey.api.views import NodeView
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.output import Cell, Column
from odyssey.cli.telling import ago
from odyssey.resources import show_duration_rounded, show_size_rounded

Tell = Callable[[NodeView], Cell]


class Told(NamedTuple):
    title: str
    piped: Tell  # as programs read it
    shown: Tell | None = None  # as people do; else the same


def _state(node: NodeView) -> str:
    return "finishing" if node.is_draining and node.state == "up" else node.state


def _role(node: NodeView) -> str | None:
    return "coordinator" if node.coordinator else "keeper" if node.role == "keeper" else None


def _share(percent: float | None) -> str | None:
    return None if percent is None else f"{percent:.0f}"


def _load(node: NodeView) -> str | None:
    return None if node.load1 is None else f"{node.load1:.1f}"


def _owner_state(node: NodeView) -> str | None:
    return node.owner_state.replace("_", " ") if node.owner_state is not None else None


def _seen(node: NodeView) -> str | None:
    return None if node.last_seen_seconds is None else ago(int(1000 * node.last_seen_seconds))


TOLD: Final = (
    Told("NAME", lambda node: node.name),
    Told("STATE", _state),
    Told("ROLE", lambda node: node.role if node.role == "keeper" else None, _role),
    Told("COORDINATOR", lambda node: "yes" if node.coordinator else None, lambda _: None),
    Told("CPUS", lambda node: f"{node.cpus:g}"),
    Told("MEMORY", lambda node: node.memory_bytes, lambda node: show_size_rounded(node.memory_bytes)),
    Told("GPUS", lambda node: node.gpus, lambda node: node.gpus or None),
    Told("CPU %", lambda node: _share(node.cpu_percent)),
    Told("MEM %", lambda node: _share(node.memory_percent)),
    Told("LOAD", _load),
    Told("TASKS", lambda node: node.tasks),
    Told("ADDRESS", lambda node: node.address),
    Told("OWNER", lambda node: node.owner),
    Told("IS", lambda node: node.owner_state, _owner_state),
    Told("BOX", lambda node: node.box),
    Told("OS", lambda node: node.os),
    Told("ARCH", lambda node: node.arch),
    Told("VERSION", lambda node: node.version),
    Told("SEEN", lambda node: node.last_seen_seconds, _seen),
)


@command("nodes")
def nodes_command(desk: Desk) -> None:
    """Your machines: what they have, and how they are."""
    view = desk.ask(Nodes())
    if desk.output.as_json:
        desk.output.json(document(view.nodes))
        return
    if view.age_ms >= 5_000:
        length = show_duration_rounded(view.age_ms)
        desk.output.say(f"cut off for {length}: this is what was known of the others then")
    if not desk.output.out.is_terminal:
        desk.output.table((), [[one.piped(node) for one in TOLD] for node in view.nodes])
        return
    columns = [Column(one.title) for one in TOLD]
    rows = [[(one.shown or one.piped)(node) for one in TOLD] for node in view.nodes]
    used = [place for place in range(len(TOLD)) if any(row[place] is not None for row in rows)]
    desk.output.table([columns[place] for place in used], [[row[place] for place in used] for row in rows])

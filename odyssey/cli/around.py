"""Before a mesh is begun: is there one here already?

Promises: a person is asked, a script goes on and says so; whoever named a mesh, or said --new, or listens at one place
only, is not asked; looking takes about a second, once in the life of a machine.
Never: joins anything by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from odyssey import config
from odyssey.cli.desk import Desk
from odyssey.cli.telling import counted
from odyssey.paths import Home

if TYPE_CHECKING:
    from odyssey.looking import Nearby  # with what it needs it takes as long to import as all else here

EVERYWHERE = ("", "0.0.0.0", "[::]")


def meshes(desk: Desk, home: Home, listen: str) -> tuple[Nearby, ...]:
    """None where this machine has one already, or will be alone whatever is there."""
    place = listen or config.read(home.config, desk.environment).text("net.listen")
    if home.mesh.exists() or place.rpartition(":")[0] not in EVERYWHERE:
        return ()
    from odyssey import looking

    return looking.meshes()


def would_join(desk: Desk, found: Sequence[Nearby]) -> bool:
    """A person's answer; a script begins its own."""
    if not found or desk.output.as_json or not (sys.stdin.isatty() and desk.output.err.is_terminal):
        return False
    desk.output.say(f"There {told(found)}.")
    desk.output.say("join it      odyssey join             begin another one   odyssey up --new")
    return click.confirm("Join it?", default=True, err=True)


def told(found: Sequence[Nearby]) -> str:
    if len(found) > 1:
        return f"are {len(found)} meshes here already"
    on = f", seen on {' and '.join(found[0].on)}" if found[0].on else ""
    return f"is a mesh here already ({counted(found[0].machines, 'machine')}{on})"

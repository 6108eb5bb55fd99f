"""`odyssey status`: how the mesh is, in words.

Promises: says what may be switched off, and what cannot be changed now; nothing that is not known.
Never: starts a daemon.
"""

from __future__ import annotations

from odyssey.api.outlook import sentences
from odyssey.api.requests import Status
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.telling import as_json


@command("status")
def status_command(desk: Desk) -> None:
    """How your mesh is, in words: machines, what may be switched off, jobs."""
    view = desk.ask(Status())
    if as_json(desk, view):
        return
    for line in sentences(view):
        desk.output.text(line)

"""`odyssey node remove`: a machine that is put out.

Promises: what cannot be undone is asked for on a terminal, and by --yes elsewhere.
Never: decides who may.
"""

from __future__ import annotations

import sys

import click

from odyssey.api.requests import Node, Remove
from odyssey.cli.desk import Desk
from odyssey.cli.telling import as_json, counted
from odyssey.errors import UsageError


def remove(desk: Desk, words: tuple[str, ...], yes: bool) -> None:
    if len(words) != 1:
        raise UsageError("which machine?", hint="odyssey node remove NAME; see: odyssey nodes")
    name = desk.ask(Node(words[0])).node.name
    if not yes:
        _ask(desk, name)
    gone = desk.ask(Remove(name))
    if as_json(desk, gone):
        return
    moved = f"; {counted(gone.tasks, 'task')} of it start again elsewhere" if gone.tasks else ""
    desk.output.say(f"{gone.name} is not in this mesh any more{moved}")


def _ask(desk: Desk, name: str) -> None:
    what = f"{name} is put out of the mesh for good: to come back it has to leave and to join anew"
    if not sys.stdin.isatty():
        raise UsageError(what, hint=f"odyssey node remove {name} --yes")
    desk.output.say(f"{what}.")
    typed = str(click.prompt(f"Type {name} to go on", default="", show_default=False, err=True))
    if typed.strip() != name:
        raise UsageError("nothing was changed", hint=f"type the name {name} when you are asked")

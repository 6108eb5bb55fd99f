"""`odyssey mesh recover`: going on when too many of the machines that keep the log are lost.

Promises: says on whose log it would go on and what may be missing, before anything is changed.
Never: goes on without a person's word that the old coordinator is off.
"""

from __future__ import annotations

import sys

import click

from odyssey.api.requests import Recover
from odyssey.api.views import Recovered
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.telling import as_json
from odyssey.errors import UsageError, echo

WORD = "recover"


@command("mesh")
@click.argument("verb", metavar="recover")
@click.option("--yes", is_flag=True, help="the old coordinator is off, and stays off: do not ask")
def mesh_command(desk: Desk, verb: str, yes: bool) -> None:
    """Begin again on the best log within reach, when too many keepers are lost. Only when the old coordinator is
    switched off: what it still runs would be begun again elsewhere."""
    if verb != WORD:
        raise UsageError(f"there is no {echo(verb)!r} for a mesh", hint="odyssey mesh recover")
    if not yes:
        _ask(desk, desk.ask(Recover()))
    view = desk.ask(Recover(is_sure=True))
    if as_json(desk, view):
        return
    desk.output.say(f"{view.founder} goes on with the log that it has; the other machines follow as they hear of it")
    _tell(desk, view)


def _ask(desk: Desk, view: Recovered) -> None:
    desk.output.say(f"it would go on with the log of {view.founder}")
    _tell(desk, view)
    if not sys.stdin.isatty():
        raise UsageError("recovering asks a person", hint="odyssey mesh recover --yes, if the old coordinator is off")
    typed = click.prompt(f"Is the old coordinator switched off, and stays off? Type {WORD}", default="", err=True)
    if typed.strip() != WORD:
        raise UsageError("nothing was changed", hint="switch the old coordinator on, and the mesh goes on by itself")


def _tell(desk: Desk, view: Recovered) -> None:
    for one in view.missing:
        desk.output.say(f"{one.node}: {one.text}")

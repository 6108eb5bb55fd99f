"""`odyssey network`: the networks that this machine knows. On others it is quiet.

Promises: what is forgotten is strange from now on.
Never: looks at a network itself.
"""

from __future__ import annotations

from typing import Final

import click

from odyssey.api.documents import document
from odyssey.api.requests import Networks
from odyssey.api.views import NetworkList
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.output import Column
from odyssey.errors import OdysseyError, UsageError, echo

COLUMNS: Final = (Column("NETWORK"), Column("STATE"), Column("HERE AS"), Column("ROUTER"))


@command("network")
@click.argument("words", nargs=-1, metavar="[ls | trust | forget NETWORK]")
def network_command(desk: Desk, words: tuple[str, ...]) -> None:
    """The networks of this machine. On one that it does not know it says nothing and nobody can come in; it still finds
    its own mesh from there.

    \b
    trust   those that it is on just now are yours
    forget  one of them is not: its subnet, or this machine's interface
    ls      which there are
    """
    shown = desk.ask(_request(words))
    if desk.output.as_json:
        desk.output.json(document(shown.networks))
        return
    rows = [(one.subnet, one.state, one.interface or None, one.router or None) for one in shown.networks]
    desk.output.table(COLUMNS, rows)
    if words and not any(one.state == "known" for one in shown.networks):
        desk.output.say("this machine is on no network that it knows")


def _request(words: tuple[str, ...]) -> Networks:
    match words:
        case () | ("ls",):
            return Networks()
        case ("trust",):
            return Networks(trust=True)
        case ("forget", which):
            return Networks(forget=which)
        case ("forget",):
            raise UsageError("which network?", hint="odyssey network ls, then odyssey network forget 192.168.1.0/24")
    raise UsageError(f"there is no {echo(' '.join(words))!r}", hint="odyssey network trust, forget NETWORK or ls")


def looked(desk: Desk, *, trust: bool) -> NetworkList | None:
    """This machine has looked at its networks. `trust`: its person is here, so they are his. None: it looks at none, or
    cannot just now, which is said."""
    try:
        return desk.ask(Networks(trust=trust))
    except UsageError:
        return None
    except OdysseyError as error:
        desk.output.say(error.message)
        return None

"""`odyssey node remove`, `allow`, `deny`, `odyssey invite ls` and `revoke`: who is put out, and who may still come in.

Promises: what cannot be undone is asked for on a terminal, and by --yes elsewhere.
Never: decides who may.
"""

from __future__ import annotations

import sys
from typing import Final

import click

from odyssey.api.documents import rfc3339
from odyssey.api.requests import Allow, EndInvites, Invites, Node, Remove
from odyssey.api.views import InviteList, InviteRow
from odyssey.cli.desk import Desk
from odyssey.cli.output import Column
from odyssey.cli.telling import as_json, counted, now_ms
from odyssey.errors import UsageError, echo
from odyssey.resources import show_duration_rounded

COLUMNS: Final = (Column("ID"), Column("BY"), Column("USED"), Column("ENDS"))


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


# -- what they may do --------------------------------------------------------------------------------------------------


def allow(desk: Desk, verb: str, words: tuple[str, ...]) -> None:
    if len(words) < 2:
        text = "which machine, and what?" if not words else f"what may {echo(words[0])} do?"
        raise UsageError(text, hint=f"odyssey node {verb} NAME invite; or submit, work, keep, admin")
    known = desk.ask(Allow(words[0], words[1:], is_given=verb == "allow"))
    if as_json(desk, known):
        return
    what = ", ".join(words[1:])
    desk.output.say(f"{known.name} may {what}" if verb == "allow" else f"{known.name} may not {what} any more")


# -- invites -----------------------------------------------------------------------------------------------------------


def invites(desk: Desk, words: tuple[str, ...]) -> None:
    match words:
        case ("ls",):
            _listed(desk, desk.ask(Invites()))
        case ("revoke", *ids) if ids:
            ended = desk.ask(EndInvites(tuple(ids)))
            if not _as_rows(desk, ended):
                for one in ended.invites:
                    desk.output.say(f"invite {one.id} lets nobody in any more{_came(one)}")
        case ("revoke",):
            raise UsageError("which invite?", hint="odyssey invite revoke ID; see: odyssey invite ls")
        case _:
            hint = "use odyssey invite, odyssey invite ls, or odyssey invite revoke ID"
            raise UsageError(f"there is no {echo(words[0])!r} for invites", hint=hint)


def _came(one: InviteRow) -> str:
    return f"; {counted(one.used, 'machine')} came by it and {'stays' if one.used == 1 else 'stay'}" if one.used else ""


def _listed(desk: Desk, view: InviteList) -> None:
    if _as_rows(desk, view):
        return
    rows = [[one.id, one.by, f"{one.used}/{one.uses}", _until(desk, one.expires_at)] for one in view.invites]
    if rows or not desk.output.out.is_terminal:
        desk.output.table(COLUMNS, rows)
    else:
        desk.output.text("No invite can be used just now. Make one: odyssey invite")


def _as_rows(desk: Desk, view: InviteList) -> bool:
    return as_json(desk, view.invites)


def _until(desk: Desk, wall_ms: int) -> str:
    if desk.output.out.is_terminal:
        return show_duration_rounded(max(0, wall_ms - now_ms()))
    return rfc3339(wall_ms)

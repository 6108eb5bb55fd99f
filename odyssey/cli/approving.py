"""`odyssey approve`: let in a machine that asks without an invite, by the codes that both machines show.

Promises: a machine gets in when its code was typed here, never by a yes; what it says of itself cannot steer the
terminal.
Never: shows this machine's code before the other one's was typed.
"""

from __future__ import annotations

import sys

import click

from odyssey.api.documents import document
from odyssey.api.requests import Approve, Asking
from odyssey.api.views import Approval, AskerView
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.telling import as_json
from odyssey.errors import NotPermitted, UsageError

NOBODY = "no machine asks to join (on the machine that wants in: odyssey join)"


@command("approve")
@click.argument("machine", required=False, default="", metavar="[NAME]")
@click.option("--for", "owner", metavar="NAME", default="", help="whose machine it will be (yours)")
@click.option("--code", metavar="DIGITS", default="", help="the code that it shows, instead of being asked for it")
@click.option("--deny", "is_denied", is_flag=True, help="send it off")
def approve_command(desk: Desk, machine: str, owner: str, code: str, is_denied: bool) -> None:
    """Let in a machine that asks to join: you type the code that it shows, then there the code that is shown here.
    Without a name: which machines ask."""
    if not machine:
        _list(desk)
    elif is_denied:
        view = desk.ask(Approve(machine, is_denied=True))
        if not as_json(desk, view):
            desk.output.say(f"{view.name} is sent off")
    else:
        _let_in(desk, machine, owner, code)


def _list(desk: Desk) -> None:
    view = desk.ask(Asking())
    if as_json(desk, view):
        return
    if not view.asking:
        desk.output.say(NOBODY)
    for one in view.asking:
        desk.output.text(f"{described(one)} asks to join: odyssey approve {one.name}")


def described(one: AskerView) -> str:
    return f"{one.name} ({', '.join(part for part in (one.about, one.address) if part)})"


def _let_in(desk: Desk, machine: str, owner: str, code: str) -> None:
    approval = desk.ask(Approve(machine, code, owner)) if code else _asked(desk, machine, owner)
    if not approval.code:
        raise NotPermitted(wrong(approval), hint="type the six digits that the other machine shows")
    if desk.output.as_json:
        desk.output.json(document(approval))
        return
    desk.output.text(f"{approval.name} may join. Type this code there:  {spaced(approval.code)}")


def _asked(desk: Desk, machine: str, owner: str) -> Approval:
    """Until it is right; the third wrong one is an error."""
    if not sys.stdin.isatty():
        raise UsageError("no code was given", hint=f"odyssey approve {machine} --code DIGITS, as that machine shows it")
    for one in desk.ask(Asking()).asking:
        if machine in (one.name, one.address):
            desk.output.say(f"{described(one)} asks to join")
    while True:
        typed = str(click.prompt("Type the code that it shows", default="", show_default=False, err=True)).strip()
        if not typed:
            raise UsageError("no code was typed: it is not let in", hint=f"again: odyssey approve {machine}")
        approval = desk.ask(Approve(machine, typed, owner))
        if approval.code:
            return approval
        desk.output.say(wrong(approval))


def wrong(approval: Approval) -> str:
    return f"that is not the code of {approval.name} ({approval.tries} tr{'ies' if approval.tries != 1 else 'y'} left)"


def spaced(code: str) -> str:
    return f"{code[:3]} {code[3:]}"

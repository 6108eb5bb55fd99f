"""`odyssey up` and `odyssey down`: the daemon of this machine, from now on and no more.

Promises: `up` returns when the daemon answers; `down` when it is gone. Both are content when it is so already.
Never: ends what jobs have running, without `--now`.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import Final

import click

from odyssey import starting
from odyssey.api.outlook import sentences
from odyssey.api.requests import Down, Rename, Status
from odyssey.api.views import StatusView, Stopping
from odyssey.cli.around import meshes, told, would_join
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.network import looked
from odyssey.cli.telling import as_json, counted
from odyssey.errors import OdysseyError, Unreachable, UsageError, echo
from odyssey.paths import find_home, prepare
from odyssey.starting import Wishes, ensure_running, running, wait_until_gone

NAMED: Final = 10  # jobs that are named
_NAME: Final = re.compile(r"[a-z0-9-]{1,32}")


@command("up")
@click.option("--foreground", is_flag=True, help="stay here: for service managers and containers")
@click.option("--name", metavar="NAME", default="", help="what this machine is called (its host name)")
@click.option("--mesh", metavar="NAME", default="", help="what the mesh is called, where it is founded")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="",
    help="where others reach this machine (0.0.0.0:7660)",
)
@click.option("--new", is_flag=True, help="begin a mesh without looking for one that is here")
def up_command(desk: Desk, foreground: bool, name: str, mesh: str, listen: str, new: bool) -> int | None:
    """Start Odyssey on this machine; it goes on in the background until odyssey down."""
    home = find_home(desk.environment)
    wishes = Wishes(machine=checked_name(name), mesh=mesh, listen=listen)
    if running(home, desk.environment) is not None:
        _check_mesh(desk, mesh)
    if foreground:
        prepare(home)
        words = [*starting.command(home, False, wishes), "--foreground"]
        os.execve(words[0], words, starting.handed_on(desk.environment))
    found = () if new or mesh else meshes(desk, home, listen)
    if would_join(desk, found):
        from odyssey.cli.joining import enter

        enter(desk, wishes)
        return None
    started_now = ensure_running(home, is_embedded=False, wishes=wishes, environment=desk.environment)
    for note in started_now.notes:
        desk.output.say(note)
    looked(desk, trust=sys.stdin.isatty())
    view = desk.ask(Status())
    if found and sum(view.nodes.values()) == 1:  # else an invite on a card has brought it in
        desk.output.say(f"this machine has begun a mesh of its own; there {told(found)}: odyssey join")
    _check_listen(view, listen)
    _check_mesh(desk, mesh)
    if name and view.node != name:
        desk.ask(Rename(view.node, name))
        view = desk.ask(Status())
    if as_json(desk, view):
        return None
    desk.output.text(f"{view.node} is up{'' if started_now.is_new else ' already'}, in {view.mesh}.")
    for line in list(sentences(view))[1:]:
        desk.output.text(line)
    desk.output.text("Next:  odyssey run -- echo hello")
    return None


def checked_name(name: str) -> str:
    if name and not _NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:32]
        raise UsageError(
            f"{echo(name)!r} is not a machine name", hint=f"use 1 to 32 of a-z, 0-9 and -, for example {near or 'pc-4'}"
        )
    return name


def _check_mesh(desk: Desk, mesh: str) -> None:
    """A mesh keeps the name that it was founded with."""
    if mesh and (now := desk.ask(Status()).mesh) != mesh:
        hint = "leave out --mesh; for a second mesh on this machine set ODYSSEY_HOME to another folder"
        raise UsageError(f"this machine is in {now} already, and that keeps its name", hint=hint)


def _check_listen(view: StatusView, listen: str) -> None:
    """One that runs stays where it is."""
    if listen and view.listen and listen != view.listen and not listen.endswith(":0"):
        text = f"this machine is up already, and listens at {view.listen}"
        raise UsageError(text, hint=f"odyssey down, then odyssey up --listen {echo(listen)}")


@command("down", json=False)
@click.option("--now", is_flag=True, help="end what runs too; it starts again after the next up")
def down_command(desk: Desk, now: bool) -> int:
    """Stop Odyssey on this machine. What runs goes on, and the next up finds it again."""
    home = find_home(desk.environment)
    if running(home, desk.environment) is None:
        desk.output.say("no daemon runs here")
        return 0
    stopping = Stopping()
    with suppress(Unreachable):  # it was gone before its answer was
        stopping = desk.ask(Down(now))
    if not wait_until_gone(home):
        raise OdysseyError("the daemon has not ended within 30 seconds", hint=f"its log is {home.log}")
    desk.output.say(_stopped(stopping, now))
    return 0


def _stopped(what: Stopping, now: bool) -> str:
    if not what.tasks:
        return "stopped"
    jobs = ", ".join(map(str, what.jobs[:NAMED])) + (", …" if len(what.jobs) > NAMED else "")
    which = f"{counted(what.tasks, 'task')} of job{'s' * (len(what.jobs) != 1)} {jobs}"
    goes = "goes" if what.tasks == 1 else "go"
    return f"stopped; ended {which}, to start again after the next up" if now else f"stopped; {which} {goes} on"

"""`odyssey up` and `odyssey down`: the daemon of this machine, from now on and no more.

Promises: `up` returns when the daemon answers; `down` when it is gone. Both are content when it is so already.
Never: ends what jobs have running, without `--now`.
"""

from __future__ import annotations

import os
from contextlib import suppress

import click

from odyssey import starting
from odyssey.api.requests import Down, Status
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.status import sentences
from odyssey.cli.telling import as_json
from odyssey.errors import OdysseyError, Unreachable
from odyssey.paths import find_home, prepare
from odyssey.starting import Wishes, ensure_running, running, wait_until_gone


@command("up")
@click.option("--foreground", is_flag=True, help="stay here: for service managers and containers")
@click.option("--name", metavar="NAME", default="", help="what this machine is called (its host name)")
@click.option("--mesh", metavar="NAME", default="", help="what the mesh is called, where it is founded")
def up_command(desk: Desk, foreground: bool, name: str, mesh: str) -> int | None:
    """Start Odyssey on this machine; it goes on in the background until odyssey down."""
    home = find_home(desk.environment)
    wishes = Wishes(machine=name, mesh=mesh)
    if foreground:
        prepare(home)
        words = [*starting.command(home, False, wishes), "--foreground"]
        os.execve(words[0], words, starting.handed_on(desk.environment))
    started_now = ensure_running(home, is_embedded=False, wishes=wishes, environment=desk.environment)
    for note in started_now.notes:
        desk.output.say(note)
    view = desk.ask(Status())
    if as_json(desk, view):
        return None
    desk.output.text(f"{view.node} is up{'' if started_now.is_new else ' already'}, in {view.mesh}.")
    for line in list(sentences(view))[1:]:
        desk.output.text(line)
    desk.output.text("Next:  odyssey run -- echo hello")
    return None


@command("down", json=False)
@click.option("--now", is_flag=True, help="end what runs too; it starts again after the next up")
def down_command(desk: Desk, now: bool) -> int:
    """Stop Odyssey on this machine. What runs goes on, and the next up finds it again."""
    home = find_home(desk.environment)
    if running(home, desk.environment) is None:
        desk.output.say("no daemon runs here")
        return 0
    with suppress(Unreachable):  # it was gone before its answer was
        desk.ask(Down(now))
    if not wait_until_gone(home):
        raise OdysseyError("the daemon has not ended within 30 seconds", hint=f"its log is {home.log}")
    desk.output.say("stopped" if now else "stopped; what runs goes on")
    return 0

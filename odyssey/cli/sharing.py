"""`odyssey share`, `pause`, `resume`: what this machine gives.

Promises: without options `share` only tells; what is told is made of the rules in force.
Never: stops what its owner has running here.
"""

from __future__ import annotations

import click

from odyssey.api.requests import Pause, Resume, Share
from odyssey.api.views import ShareView
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.telling import as_json
from odyssey.resources import parse_duration


@command("share")
@click.option("--cpus", metavar="N", help="at most so many: 4, or 50%")
@click.option("--mem", metavar="SIZE", help="at most so much: 8G, or 50%")
@click.option("--hours", metavar="H-H", help="only at these hours: 22-08; off: always")
@click.option("--quiet", "quiet_hours", metavar="H-H", help="half the cores at these hours: 22-08; off")
@click.option("--battery", metavar="on|off", help="also on battery")
@click.option("--lid", metavar="on|off", help="also with the lid closed")
def share_command(
    desk: Desk,
    cpus: str | None,
    mem: str | None,
    hours: str | None,
    quiet_hours: str | None,
    battery: str | None,
    lid: str | None,
) -> None:
    """What this machine gives to the mesh, and when. Without options: tell."""
    _told(desk, desk.ask(Share(cpus, mem, hours, quiet_hours, battery, lid)))


@command("pause")
@click.argument("duration", required=False, metavar="[DUR]")
def pause_command(desk: Desk, duration: str | None) -> None:
    """Give nothing for a while (2h), or until odyssey resume."""
    _told(desk, desk.ask(Pause(parse_duration(duration) if duration else 0)))


@command("resume")
def resume_command(desk: Desk) -> None:
    """Give again."""
    _told(desk, desk.ask(Resume()))


def _told(desk: Desk, view: ShareView) -> None:
    if as_json(desk, view):
        return
    for line in view.lines:
        desk.output.text(line)

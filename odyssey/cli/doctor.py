"""`odyssey doctor`: how this machine is and how it reaches the others, or how it is with one of them, with the fix.

Promises: what cannot be told is said so; the status is 1 when something is broken, not for a warning. Where no daemon
runs, what can be seen without one is told.
Never: changes anything.
"""

from __future__ import annotations

import time

import click

from odyssey.api.requests import Doctor
from odyssey.api.views import Check, DoctorView
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.telling import as_json
from odyssey.errors import Unreachable
from odyssey.paths import find_home


@command("doctor")
@click.argument("name", required=False, default="", metavar="[MACHINE]")
def doctor_command(desk: Desk, name: str) -> int:
    """How this machine is and how it reaches the others; with a name, all about the way to that one.

    Each line is ok, a warning, or broken, and says what would help.
    """
    try:
        view = desk.ask(Doctor(name))
    except Unreachable as error:
        if name:
            raise
        view = _without_daemon(desk, error)
    if not as_json(desk, view):
        for check in view.checks:
            desk.output.text(f"{_mark(check):<8} {check.name:<14} {check.text}")
            if check.hint and not check.is_fine:
                desk.output.text(f"{'':<23} {check.hint}")
    return int(any(check.is_broken for check in view.checks))


def _mark(check: Check) -> str:
    if check.is_fine is None:
        return "?"
    return "ok" if check.is_fine else "broken" if check.is_broken else "warning"


def _without_daemon(desk: Desk, error: Unreachable) -> DoctorView:
    from odyssey.checkup import looked_at

    nobody = Check("daemon", False, error.message, error.hint)
    return DoctorView((nobody, *looked_at(find_home(desk.environment), time.time_ns() // 1_000_000)))

"""`odyssey doctor`: what this machine can do and what it cannot, with what would help.

Promises: what cannot be told is said so; the status is 1 when something is not as it should be.
Never: changes anything.
"""

from __future__ import annotations

from odyssey.api.requests import Doctor
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.telling import as_json

_MARKS = {True: "ok", False: "no", None: "?"}


@command("doctor")
def doctor_command(desk: Desk) -> int:
    """What this machine can do, what it cannot, and what would help."""
    view = desk.ask(Doctor())
    if not as_json(desk, view):
        for check in view.checks:
            desk.output.text(f"{_MARKS[check.is_fine]:<3} {check.name:<14} {check.text}")
            if check.hint and not check.is_fine:
                desk.output.text(f"{'':<18} {check.hint}")
    return int(any(check.is_fine is False for check in view.checks))

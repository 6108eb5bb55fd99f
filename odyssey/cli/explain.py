"""`odyssey explain`: why a job waits, or why it runs where it does.

Promises: what is said is what the scheduler decided by, in its own numbers.
Never: adds a reason of its own.
"""

from __future__ import annotations

from odyssey.api.requests import Explain
from odyssey.cli.command import command, ref_argument
from odyssey.cli.desk import Desk
from odyssey.cli.telling import as_json


@command("explain")
@ref_argument()
def explain_command(desk: Desk, ref: str) -> None:
    """Why does a job wait, or why did it go where it is? With what one change would help."""
    view = desk.ask(Explain(ref))
    if as_json(desk, view):
        return
    for line in view.lines or ([view.reason.text] if view.reason else [f"job {view.id} is {view.state}"]):
        desk.output.text(line)

"""`odyssey queue`: what waits, in the order in which its turn comes.

Promises: each line says why it waits; when it starts is said only where that is known.
Never: guesses.
"""

from __future__ import annotations

from typing import Final

from odyssey.api.documents import document
from odyssey.api.requests import Queue
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.output import Column
from odyssey.cli.telling import length

COLUMNS: Final = (
    Column("PLACE"),
    Column("ID"),
    Column("NAME"),
    Column("USER", is_wide=True),
    Column("TASKS"),
    Column("PRIORITY"),
    Column("AGE", is_wide=True),
    Column("ASKS FOR"),
    Column("STARTS IN"),
    Column("REASON"),
)


@command("queue")
def queue_command(desk: Desk) -> None:
    """What waits, in the order in which its turn comes, and why."""
    view = desk.ask(Queue())
    if desk.output.as_json:
        desk.output.json(document(view.waiting))
        return
    rows = [
        [
            one.place,
            one.id,
            one.name,
            one.user,
            one.tasks,
            one.priority,
            one.age,
            one.asks_for,
            length(one.starts_in_ms),
            one.reason.text,
        ]
        for one in view.waiting
    ]
    if not rows and desk.output.out.is_terminal:
        desk.output.say("nothing waits")
        return
    desk.output.table(COLUMNS, rows)
    if view.more:
        desk.output.say(f"and {view.more} more")

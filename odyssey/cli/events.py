"""`odyssey events`: what became true, in the past tense.

Promises: oldest first; with `-f` each event once, as it happens, one JSON document a line with `--json`.
Never: leaves events out without being told to.
"""

from __future__ import annotations

import click

from odyssey.api.documents import document, rfc3339
from odyssey.api.requests import Events
from odyssey.api.views import EventView
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.telling import clock
from odyssey.resources import parse_count


@command("events")
@click.option("-f", "--follow", is_flag=True, help="go on as things happen")
@click.option("--limit", metavar="N", default="50", help="begin with the last N (50)")
def events_command(desk: Desk, follow: bool, limit: str) -> None:
    """What happened: jobs, tasks, machines; oldest first."""
    asked = Events(parse_count(limit, option="--limit"), follow)
    pages = desk.daemon().events(asked)
    if desk.output.as_json and not follow:
        desk.output.json([document(event) for page in pages for event in page.events])
        return
    for page in pages:
        for event in page.events:
            _told(desk, event)


def sentence(event: EventView) -> str:
    """Beside its subject, which it need not name again; what is not on the log says who has seen it."""
    text = event.text.removeprefix(f"{event.subject} is ").removeprefix(f"{event.subject} ")
    by = event.data.get("seen_by")
    return f"{text} (as {by} sees it)" if by else text


def _told(desk: Desk, event: EventView) -> None:
    if desk.output.as_json:
        desk.output.json(document(event))
    elif desk.output.out.is_terminal:
        desk.output.text(f"{clock(event.at)}  {event.subject:<8}  {sentence(event)}")
    else:
        desk.output.table((), [(rfc3339(event.at), event.kind, event.subject, event.text)])

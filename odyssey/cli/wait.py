"""`odyssey wait`: until jobs have ended.

Promises: the status is 0 when all of them are done, else that of the first, in the order they were named, that is not.
Never: shows their output.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from odyssey.api.requests import Jobs
from odyssey.api.views import JobView
from odyssey.cli.command import command, ref_argument
from odyssey.cli.desk import Desk
from odyssey.cli.ending import exit_status
from odyssey.cli.telling import as_json
from odyssey.errors import UsageError


@command("wait")
@ref_argument(many=True, required=False)
@click.option("--all", "everything", is_flag=True, help="all that wait or run now")
def wait_command(desk: Desk, refs: tuple[str, ...], everything: bool) -> int:
    """Wait until jobs have ended; the status is 0 when all are done, else the first other one's."""
    if everything == bool(refs):
        raise UsageError("wait for which jobs?", hint="odyssey wait ID..., or odyssey wait --all")
    if everything:
        refs = tuple(_unfinished(desk))
    ended: list[JobView] = list(desk.daemon().wait(*refs)) if refs else []
    if not as_json(desk, tuple(ended)):
        for job in ended:
            if job.state != "done":
                desk.output.say(f"job {job.id} {job.state}{f': {job.reason}' if job.reason else ''}")
    return next((status for job in sorted(ended, key=lambda job: job.id) if (status := exit_status(job))), 0)


def _unfinished(desk: Desk) -> Iterator[str]:
    below = None
    while below != 0:
        page = desk.ask(Jobs(("waiting", "running"), below=below or 0))
        yield from (str(job.id) for job in page.jobs)
        below = page.below

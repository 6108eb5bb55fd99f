"""`odyssey ps` and `odyssey history`: jobs as a table.

Promises: pages are fetched until all is there or `--limit` is reached; the columns of the text are fields of the JSON.
Never: shows more than was asked for without saying how to see the rest.
"""

from __future__ import annotations

from typing import Final

import click

from odyssey.api.documents import document
from odyssey.api.requests import History, Jobs, Watch
from odyssey.api.views import JOB_STATES, JobPage, JobView
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.output import Cell, Column
from odyssey.cli.telling import as_json, length, moment, tasks, took_ms
from odyssey.errors import UsageError, echo
from odyssey.resources import parse_count

COLUMNS: Final = (
    Column("ID"),
    Column("NAME"),
    Column("USER", is_wide=True),
    Column("STATE"),
    Column("TASKS"),
    Column("NODE"),
    Column("TRIES", is_wide=True),
    Column("EXIT"),
    Column("SUBMITTED"),
    Column("STARTED", is_wide=True),
    Column("ENDED", is_wide=True),
    Column("TOOK"),
    Column("REASON"),
)
PAGE: Final = 1000
SCREEN: Final = 20  # jobs that are drawn over and over


@command("ps")
@click.option("--state", metavar="STATE", help=f"only {', '.join(JOB_STATES)}; or all")
@click.option("--limit", metavar="N", default="1000", help="at most so many, the newest (1000)")
@click.option("--watch", is_flag=True, help="go on, with what changes (with --json: a document a line)")
@click.argument("refs", nargs=-1, metavar="[ID]...")
def ps_command(desk: Desk, state: str | None, limit: str, watch: bool, refs: tuple[str, ...]) -> None:
    """What waits and runs, and what ended in the last hour; newest first.

    In a pipe: tab-separated, without a head, in the order id, name, user, state, tasks, node, tries, exit, submitted,
    started, ended, took, reason.
    """
    everything, states = state == "all", _states(state)
    most = parse_count(limit, option="--limit", least=1)
    if watch:
        _watched(desk, states, most, refs)
        return
    jobs: list[JobView] = []
    below = 0
    while True:
        asked = Jobs(states, refs, below=below, limit=min(PAGE, most - len(jobs)), everything=everything)
        page = desk.ask(asked)
        jobs += page.jobs
        below = page.below
        if not below or len(jobs) >= most:
            break
    _shown(desk, jobs, page)


@command("history")
@click.option("--state", metavar="STATE", help="only done, failed, cancelled or skipped")
@click.option("--name", metavar="NAME", default="", help="only jobs of this name")
@click.option("--limit", metavar="N", default="20", help="at most so many, the newest (20)")
def history_command(desk: Desk, state: str | None, name: str, limit: str) -> None:
    """Jobs that have ended, newest first, also those of long ago."""
    states = () if state == "all" else _states(state)
    most = parse_count(limit, option="--limit", least=1)
    jobs: list[JobView] = []
    below = 0
    while True:
        page = desk.ask(History(min(PAGE, most - len(jobs)), below, name, states))
        jobs += page.jobs
        below = page.below
        if not below or len(jobs) >= most:
            break
    _shown(desk, jobs, page)


def _watched(desk: Desk, states: tuple[str, ...], most: int, refs: tuple[str, ...]) -> None:
    """All of it again on a terminal or as JSON; elsewhere a line for each job that has changed."""
    if refs:
        raise UsageError("--watch shows all jobs", hint="for one of them: odyssey attach ID, or odyssey logs -f ID")
    known: dict[int, JobView] = {}
    for picture in desk.stream(Watch(states, most)):
        if picture.is_first:
            known.clear()
        known |= {job.id: job for job in picture.jobs}
        for gone in picture.gone:
            known.pop(gone, None)
        jobs = [known[number] for number in sorted(known, reverse=True)]
        if desk.output.as_json:
            desk.output.json(document(tuple(jobs)))
        elif desk.output.out.is_terminal:
            desk.output.screen(COLUMNS, [row(desk, job) for job in jobs[:SCREEN]])
        else:
            desk.output.table(COLUMNS, [row(desk, job) for job in picture.jobs])


def _states(state: str | None) -> tuple[str, ...]:
    if state in (None, "all"):
        return ()
    states = tuple(part for part in str(state).split(",") if part)
    for one in states:
        if one not in JOB_STATES:
            raise UsageError(f"--state {echo(one)} is not known", hint=f"use all, or {', '.join(JOB_STATES)}")
    return states


def _shown(desk: Desk, jobs: list[JobView], page: JobPage) -> None:
    if as_json(desk, tuple(jobs)):
        return
    desk.output.table(COLUMNS, [row(desk, job) for job in jobs])
    if page.below and desk.output.out.is_terminal:
        desk.output.say(f"there are more, older than job {page.below}: --limit N shows more")


def row(desk: Desk, job: JobView) -> list[Cell]:
    state = "held" if job.is_held and job.state == "waiting" else job.state
    return [
        job.id,
        job.name or job.command,
        job.user,
        state,
        tasks(job.tasks),
        job.node,
        job.tries,
        job.exit_code,
        moment(desk, job.submitted_at),
        moment(desk, job.started_at),
        moment(desk, job.ended_at),
        length(took_ms(job)),
        job.reason,
    ]

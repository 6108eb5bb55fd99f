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
from odyssey.cli.narrowing import Narrow, fetched, filter_options, grammar_help, narrowed
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
SCREEN: Final = 20  # jobs that are drawn over and over


@command("ps", more=grammar_help)
@click.option("--state", metavar="STATE", help=f"only {', '.join(JOB_STATES)}; or all")
@filter_options
@click.option("--limit", metavar="N", default="1000", help="at most so many, the newest (1000)")
@click.option("--watch", is_flag=True, help="go on, with what changes (with --json: a document a line)")
@click.argument("refs", nargs=-1, metavar="[ID]...")
def ps_command(
    desk: Desk,
    state: str | None,
    words: str,
    user: str | None,
    node: str | None,
    tag: tuple[str, ...],
    limit: str,
    watch: bool,
    refs: tuple[str, ...],
) -> None:
    """What waits and runs, and what ended in the last hour; newest first.

    --state, and a filter with state:, also look at what ended before.

    In a pipe: tab-separated, without a head, in the order id, name, user, state, tasks, node, tries, exit, submitted,
    started, ended, took, reason.
    """
    states, narrow = _states(state), narrowed(desk, words, user, node, tag)
    everything = state == "all" or "state" in narrow.filter.keys
    most = parse_count(limit, option="--limit", least=1)
    if watch:
        _watched(desk, states, most, refs, narrow)
        return

    def page_of(count: int, below: int) -> JobPage:
        return desk.ask(Jobs(states, refs, below=below, limit=count, everything=everything))

    _shown(desk, *fetched(page_of, most, narrow))


@command("history", more=grammar_help)
@click.option("--state", metavar="STATE", help="only done, failed, cancelled or skipped")
@click.option("--name", metavar="NAME", default="", help="only jobs of this name")
@filter_options
@click.option("--limit", metavar="N", default="20", help="at most so many, the newest (20)")
@click.option("--old", is_flag=True, help="of the meshes that this machine has left")
def history_command(
    desk: Desk,
    state: str | None,
    name: str,
    words: str,
    user: str | None,
    node: str | None,
    tag: tuple[str, ...],
    limit: str,
    old: bool,
) -> None:
    """Jobs that have ended, newest first, also those of long ago."""
    states, most = _states(state), parse_count(limit, option="--limit", least=1)
    narrow = narrowed(desk, words, user, node, tag)
    if old:
        from odyssey.cli.old import show_old

        def fits(job: JobView) -> bool:
            return narrow.fits(job) and name in ("", job.name) and (not states or job.state in states)

        show_old(desk, fits, most, COLUMNS, row)
        return
    _shown(desk, *fetched(lambda count, below: desk.ask(History(count, below, name, states)), most, narrow))


def _watched(desk: Desk, states: tuple[str, ...], most: int, refs: tuple[str, ...], narrow: Narrow) -> None:
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
        jobs = [known[number] for number in sorted(known, reverse=True) if narrow.fits(known[number])]
        if desk.output.as_json:
            desk.output.json(document(tuple(jobs)))
        elif desk.output.out.is_terminal:
            desk.output.screen(COLUMNS, [row(desk, job) for job in jobs[:SCREEN]])
        else:
            desk.output.table(COLUMNS, [row(desk, job) for job in picture.jobs if narrow.fits(job)])


def _states(state: str | None) -> tuple[str, ...]:
    if state in (None, "all"):
        return ()
    states = tuple(part for part in str(state).split(",") if part)
    for one in states:
        if one not in JOB_STATES:
            raise UsageError(f"--state {echo(one)} is not known", hint=f"use all, or {', '.join(JOB_STATES)}")
    return states


def _shown(desk: Desk, jobs: list[JobView], below: int) -> None:
    if as_json(desk, tuple(jobs)):
        return
    desk.output.table(COLUMNS, [row(desk, job) for job in jobs])
    if below and desk.output.out.is_terminal:
        desk.output.say(f"there are more, older than job {below}: --limit N shows more")


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

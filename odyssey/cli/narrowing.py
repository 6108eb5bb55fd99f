"""Which jobs of a list are shown: `--filter` and its short cuts, and the pages that have to be fetched for them.

Promises: short cuts mean what the filter would; pages are fetched until there are enough or no more.
Never: asks the daemon to judge: it goes on undisturbed, whatever is typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import click

from odyssey.api import filter as grammar
from odyssey.api.filter import Asked, Filter
from odyssey.api.requests import Status
from odyssey.api.views import JobPage, JobView
from odyssey.cli.command import Run
from odyssey.cli.desk import Desk
from odyssey.cli.telling import now_ms

PAGE: Final = 1000


class Narrow(NamedTuple):
    filter: Filter
    user: str = ""  # who asks, where the filter needs it

    @property
    def is_wide(self) -> bool:
        return not self.filter.tests

    def fits(self, job: JobView) -> bool:
        return self.filter.fits(job, Asked(self.user, now_ms()))


def filter_options(function: Run) -> Run:
    for option in reversed(
        (
            click.option("--filter", "words", metavar="TEXT", default="", help="only jobs that fit, as below"),
            click.option("--user", metavar="NAME", help="only this person's: --filter user:NAME, or me"),
            click.option("--node", metavar="NAME", help="only on this machine: --filter node=NAME"),
            click.option("--tag", metavar="K[=V]", multiple=True, help="only with this tag: --filter tag:K=V"),
        )
    ):
        function = option(function)
    return function


def narrowed(desk: Desk, words: str, user: str | None, node: str | None, tags: tuple[str, ...]) -> Narrow:
    terms = [("user", user)] if user is not None else []
    terms += [("node", node)] if node is not None else []
    terms += [("tag", tag) for tag in tags]
    short = [grammar.parse(grammar.quoted(key, value), f"--{key}") for key, value in terms]
    every = [grammar.parse(words), *short]
    whole = Filter(tuple(t for one in every for t in one.tests), frozenset(k for one in every for k in one.keys))
    return Narrow(whole, desk.ask(Status()).owner if "user" in whole.keys else "")


def fetched(page_of: Callable[[int, int], JobPage], most: int, narrow: Narrow) -> tuple[list[JobView], int]:
    """`page_of` is asked with how many and below which number; told are the jobs, and where more would begin."""
    jobs: list[JobView] = []
    below = 0
    while True:
        page = page_of(min(PAGE, most - len(jobs)) if narrow.is_wide else PAGE, below)
        for job in page.jobs:
            if len(jobs) == most:
                return jobs, job.id + 1
            if narrow.fits(job):
                jobs.append(job)
        below = page.below
        if not below or len(jobs) >= most:
            return jobs, below


def grammar_help() -> Iterator[str]:
    yield "\b"
    yield "--filter takes terms that all must hold:"
    yield "  fit              a word in name, command, user, machine, reason or tags"
    yield "  state:failed,ca  a key and what it may begin with:"
    yield "                   " + ", ".join(grammar.TEXTS)
    yield "  took>5m tries>1  a number or a time:"
    yield "                   " + ", ".join((*grammar.NUMBERS, *grammar.TIMES))
    yield '  ~^fit-[0-9]      a regular expression; !… not; "…" with blanks in it'

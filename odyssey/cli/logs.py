"""`odyssey logs`: what a job has written, each stream on its own.

Promises: byte for byte, in order of the tasks; `-f` goes on until the job has ended.
Never: ends with the job's own status: that is `wait` and `attach`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from odyssey.api.requests import Follow, Logs
from odyssey.api.views import STDERR, STDOUT, AnyItem, Cut, Ended, Output
from odyssey.cli.away import Away
from odyssey.cli.command import command, ref_argument
from odyssey.cli.desk import Desk
from odyssey.errors import UsageError
from odyssey.resources import parse_count, show_size_rounded


@command("logs", json=False)
@ref_argument()
@click.option("-f", "--follow", is_flag=True, help="go on until the job has ended")
@click.option("--stdout", "only_stdout", is_flag=True, help="only what it wrote to stdout")
@click.option("--stderr", "only_stderr", is_flag=True, help="only what it wrote to stderr")
@click.option("--tail", metavar="N", help="only the last N lines of each stream")
@click.option("--all-tries", is_flag=True, help="of every try, not only the last one of each task")
def logs_command(
    desk: Desk, ref: str, follow: bool, only_stdout: bool, only_stderr: bool, tail: str | None, all_tries: bool
) -> None:
    """The output of a job (42) or of one of its tasks (42/7): its stdout on stdout, its stderr on stderr."""
    if follow and (tail is not None or all_tries):
        raise UsageError("-f shows all of it as it comes", hint="leave out --tail and --all-tries, or -f")
    streams = {STDOUT, STDERR} if only_stdout == only_stderr else {STDOUT if only_stdout else STDERR}
    name = {frozenset({STDOUT}): "stdout", frozenset({STDERR}): "stderr"}.get(frozenset(streams), "")
    lines = -1 if tail is None else parse_count(tail, option="--tail")
    request = Follow(ref) if follow else Logs(ref, name, lines, all_tries=all_tries)
    _written(desk, ref, _items(desk, request), streams)


def _items(desk: Desk, request: Follow | Logs) -> Iterator[AnyItem]:
    if isinstance(request, Follow):
        for item in desk.daemon().follow(request):
            yield item
            if isinstance(item, Ended) and "/" in request.ref:
                return  # the task has ended; the job may go on
        return
    for part in desk.stream(request):
        yield from part.items


def _written(desk: Desk, ref: str, items: Iterable[AnyItem], streams: set[int]) -> None:
    away = Away()
    for item in items:
        for sentence in away.hear(item):
            desk.output.say(sentence)
        if isinstance(item, Output) and item.stream in streams:
            (desk.output.stdout if item.stream == STDOUT else desk.output.stderr)(item.data)
        elif isinstance(item, Cut) and item.stream in streams:
            name = "stdout" if item.stream == STDOUT else "stderr"
            desk.output.say(f"{show_size_rounded(item.missing)} of {name} are not kept: it was too long")
    if (error := away.error(ref)) is not None:
        raise error

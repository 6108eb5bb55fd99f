"""`odyssey submit`: a script that says in `#ODYSSEY` lines what it needs.

Promises: options of the command line go before those of the file; a mistake in the file is told with its line.
Never: waits for the job: its number is all that is printed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from odyssey.api.asking import BY_KEY, build
from odyssey.cli import sheet
from odyssey.cli.command import asked, command, command_words, file_argument, job_options
from odyssey.cli.desk import Desk
from odyssey.cli.main import bytes_of, understood
from odyssey.cli.submitting import dry_run, spec_of, submit, told
from odyssey.errors import OdysseyError, UsageError, echo, one_line


@command("submit", takes_command=True)
@job_options()
@click.option("--dry-run", is_flag=True, help="only say what would happen")
@file_argument("FILE")
@command_words("[ARG]...")
def submit_command(desk: Desk, file: str, words: tuple[str, ...], **options: Any) -> int:
    """Run a script in the background; its #ODYSSEY lines hold options, as those below. Prints the job's number.

    \b
      #!/bin/bash
      #ODYSSEY --cpus 4 --timeout 2h --name fit
      ./fit "$1"

    The script is run by what its first line names (else by sh), in the folder where you are, and read when it starts.
    """
    text = _text(file)
    wanted = _merged([_read_line(desk, file, line) for line in sheet.lines(text)], asked(options))
    wanted["name"] = wanted["name"] or one_line(Path(file).name)[:64]
    argv = [*sheet.interpreter(text.partition("\n")[0]), os.path.abspath(file), *words]
    spec = spec_of(desk, wanted, bytes_of(argv))
    return dry_run(desk, spec) if options["dry_run"] else told(desk, submit(desk, (spec,)))


def _text(file: str) -> str:
    try:
        return os.fsdecode(Path(file).read_bytes())
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise UsageError(
            f"{echo(file)}: {what}", hint="name a script; for a command: odyssey run -- COMMAND"
        ) from error


@click.command("#ODYSSEY", add_help_option=False)
@job_options()
def _line_of_options(**_: Any) -> None:
    """What may stand in one of these lines."""


def _read_line(desk: Desk, file: str, line: sheet.Line) -> dict[str, Any]:
    """Its values are read too, so that what is wrong in one is told with this line."""
    try:
        with _line_of_options.make_context("#ODYSSEY", list(line.words)) as context:
            values = asked(context.params)
        build(values, [b"true"], b"/", {}, desk.environment)
        return values
    except (click.UsageError, OdysseyError) as error:
        known = understood(error, line.words) if isinstance(error, click.UsageError) else error
        raise UsageError(f"{echo(file)}, line {line.number}: {known.message}", hint=known.hint or "") from error


def _merged(lines: list[dict[str, Any]], typed: dict[str, Any]) -> dict[str, Any]:
    """Later ones go before earlier ones; what can be given several times adds up."""
    whole: dict[str, Any] = {key: () if option.is_many else None for key, option in BY_KEY.items()}
    for values in (*lines, typed):
        for key, value in values.items():
            if BY_KEY[key].is_many:
                whole[key] += tuple(value or ())
            elif value not in (None, False):
                whole[key] = value
    return whole

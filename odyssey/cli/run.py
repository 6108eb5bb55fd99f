"""`odyssey run`: a command as if it ran here.

Promises: attached, its bytes and its exit status are this command's own; detached, its number is all that is printed.
Never: sends files: on one machine the job works in the folder where it was typed.
"""

from __future__ import annotations

import re
from typing import Any

import click
import msgspec

from odyssey.cli.attached import Attached
from odyssey.cli.command import asked, command, command_words, job_options
from odyssey.cli.desk import Desk
from odyssey.cli.main import bytes_of
from odyssey.cli.sitting import Sitting
from odyssey.cli.stdin import SPOOL_LIMIT, Stdin
from odyssey.cli.submitting import check_json, dry_run, spec_of, submit, told
from odyssey.cli.terminal import Terminal
from odyssey.errors import UsageError
from odyssey.resources import show_size_rounded


@command("run", takes_command=True)
@job_options()
@click.option("--detach", is_flag=True, help="print its number and leave it (of stdin only a file is read)")
@click.option("--dry-run", is_flag=True, help="only say what would happen")
@click.option("-n", "no_stdin", is_flag=True, help="the job reads nothing: for loops that read a list themselves")
@click.option("-i", "is_typed", is_flag=True, help="the job reads what you type, line by line")
@click.option("-t", "at_terminal", is_flag=True, help="the job gets a terminal, which is yours (-it is the same)")
@command_words("[--] COMMAND...")
def run_command(desk: Desk, words: tuple[str, ...], **options: Any) -> int:
    """Run a command, and pass on its output and its exit status.

    The command works in the folder where you are. Its stdout and stderr are kept apart; a pipe or a file on stdin is
    handed to it (-n: not). Nothing of your environment goes along but language, time zone and what -e names.

    With -it the job has your terminal: for bash, vi, top, python. Ctrl-C is then a key like any other. Leave it with
    Enter ~ . (at the beginning of a line), and it goes on; odyssey attach gives it back. Enter ~ ~ types a ~.

    Ctrl-C cancels in the first 30 seconds and asks later; a terminal that is closed leaves the job running.

    \b
      odyssey run -- make test
      odyssey run --cpus 4 --timeout 2h --detach -- ./simulate
      odyssey run -it -- bash
      odyssey run --array 0-99 -- sh -c 'echo $ODYSSEY_INDEX'

    Status: the job's own; 124 time limit, 125 Odyssey, 126/127 not runnable, 128 + signal.
    """
    if not options["dry_run"]:
        check_json(desk, options["detach"])
    terminal = _terminal(options, words) if options["at_terminal"] else None
    stdin = _stdin(options)
    size = terminal.size if terminal is not None else (0, 0)
    spec = spec_of(desk, asked(options), bytes_of(words), terminal=size)
    if options["dry_run"]:
        return dry_run(desk, spec)
    if stdin is not None:
        spec = msgspec.structs.replace(spec, stdin=stdin.name)
        if stdin.is_pipe:
            stdin.begin(desk.daemon())
        else:
            stdin.send_file(desk.daemon())
    done = submit(desk, (spec,))
    if options["detach"]:
        return told(desk, done)
    if terminal is not None:
        return Sitting(desk, done.id, terminal).stay()
    return Attached(desk, done.id, is_grouped=spec.count > 1, stdin=stdin).stay()


def _terminal(options: dict[str, Any], words: tuple[str, ...]) -> Terminal:
    if words and re.fullmatch(r"[0-9]+([smhd]|[-:0-9]*)", words[0]):
        raise UsageError(
            f"-t gives the job a terminal, and {words[0]} is no command", hint="a time limit is --timeout 90s, 15m, 2h"
        )
    if options["array"]:
        raise UsageError("a terminal is for one task, and --array makes several", hint="leave -t or --array out")
    if options["no_stdin"]:
        raise UsageError("-n and -t contradict each other", hint="leave one of them out")
    found = Terminal(0)
    if not found.is_there and not options["detach"] and not options["dry_run"]:
        raise UsageError(
            "-t needs a terminal, and stdin is none", hint="leave -t out: the job reads a pipe or a file without it"
        )
    return found


def _stdin(options: dict[str, Any]) -> Stdin | None:
    """Tasks of an array read nothing; who detaches can hand over a file, whose end is known."""
    if options["no_stdin"] or options["array"] or options["dry_run"] or options["at_terminal"]:
        return None
    found = Stdin(0, is_typed=options["is_typed"])
    if not found.name or (options["detach"] and not found.is_file):
        return None
    if found.size is not None and found.size > SPOOL_LIMIT:
        size, most = show_size_rounded(found.size), show_size_rounded(SPOOL_LIMIT)
        raise UsageError(
            f"stdin has {size}, and at most {most} are kept for a job",
            hint="let the job open the file itself: odyssey run -- sh -c 'COMMAND < FILE'",
        )
    return found

"""`odyssey run`: a command as if it ran here.

Promises: attached, its bytes and its exit status are this command's own; detached, its number is all that is printed.
Never: sends files: on one machine the job works in the folder where it was typed.
"""

from __future__ import annotations

from typing import Any

import click
import msgspec

from odyssey.cli.attached import Attached
from odyssey.cli.command import asked, command, job_options
from odyssey.cli.desk import Desk
from odyssey.cli.main import bytes_of
from odyssey.cli.stdin import SPOOL_LIMIT, Stdin
from odyssey.cli.submitting import dry_run, spec_of, submit, told
from odyssey.spec import JobSpec


@command("run", takes_command=True)
@job_options()
@click.option("--detach", is_flag=True, help="print the job's number and leave it; odyssey attach comes back")
@click.option("--dry-run", is_flag=True, help="only say what would happen")
@click.option("-n", "no_stdin", is_flag=True, help="the job reads nothing: for loops that read a list themselves")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--] COMMAND...")
def run_command(desk: Desk, words: tuple[str, ...], **options: Any) -> int:
    """Run a command, and pass on its output and its exit status.

    The command works in the folder where you are. Its stdout and stderr are kept apart; a pipe or a file on stdin is
    handed to it (-n: not). Nothing of your environment goes along but language, time zone and what -e names.

    Ctrl-C cancels in the first 30 seconds and asks later; a terminal that is closed leaves the job running.

    \b
      odyssey run -- make test
      odyssey run --cpus 4 --timeout 2h --detach -- ./simulate
      odyssey run --array 0-99 -- sh -c 'echo $ODYSSEY_INDEX'

    Status: the job's own; 124 time limit, 125 Odyssey, 126/127 not runnable, 128 + signal.
    """
    spec = spec_of(desk, asked(options), bytes_of(words))
    if options["dry_run"]:
        return dry_run(desk, spec)
    stdin = _stdin(options, spec)
    if stdin is not None:
        spec = msgspec.structs.replace(spec, stdin=stdin.name)
        if stdin.is_pipe:
            stdin.begin(desk.daemon())
        else:
            if (stdin.size or 0) > SPOOL_LIMIT:
                desk.output.say(
                    "more than 1 GiB of stdin is not kept for a second try: the job runs once, or not again"
                )
                spec = msgspec.structs.replace(spec, once=True)
            stdin.send_file(desk.daemon())
    done = submit(desk, (spec,))
    if options["detach"]:
        return told(desk, done)
    if stdin is not None and not stdin.is_file:
        stdin.send_beside(desk.daemon())
    return Attached(desk, done.id, is_grouped=spec.count > 1, stdin=stdin).stay()


def _stdin(options: dict[str, Any], spec: JobSpec) -> Stdin | None:
    """Tasks of an array read nothing; who detaches can hand over a file, whose end is known."""
    if options["no_stdin"] or spec.count > 1 or spec.stdin:
        return None
    found = Stdin(0)
    if not found.name or (options["detach"] and not found.is_file):
        return None
    return found

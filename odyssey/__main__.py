"""The command `odyssey` (and `ody`, and `python -m odyssey`).

It answers `--version` and `--help`, and says what exists today. There is no daemon yet, so there is no verb
that runs a job; an unknown word is refused, never ignored.

Promises: an error is one `error:` line and one `hint:` line on stderr, and a wrong call exits with 2.
Never: imports more than it needs. Click is imported when the command runs, not when this module is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from odyssey import __version__

if TYPE_CHECKING:
    import click

EXIT_OK = 0
EXIT_USAGE = 2

ABOUT = """\
Odyssey turns the idle machines of a LAN into one supercomputer.

This is an early version. There is no daemon yet: it cannot run a job or join machines.

\b
What works today:
  python -m odyssey.scheduler.lab    the scheduling laboratory: try policies on made-up machines and jobs
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    import click

    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _command().main(words, prog_name="odyssey", standalone_mode=False)
    except click.UsageError as error:
        print(f"error: {_one_line(error.format_message())}", file=sys.stderr)
        print("hint: see `odyssey --help` for what exists today", file=sys.stderr)
        return EXIT_USAGE
    return EXIT_OK


def _command() -> click.Command:
    import click

    @click.command(name="odyssey", help=ABOUT, context_settings={"help_option_names": ["-h", "--help"]})
    @click.version_option(__version__, message="%(prog)s %(version)s")
    @click.argument("words", nargs=-1, metavar="")
    @click.pass_context
    def odyssey(context: click.Context, words: tuple[str, ...]) -> None:
        if words:
            raise click.UsageError(f"there is no command {words[0]!r} yet", context)
        click.echo(context.get_help())

    return odyssey


def _one_line(message: str) -> str:
    """An error is one line, in the small letters of our other messages and without a full stop."""
    joined = " ".join(message.split()).rstrip(".")
    return joined[:1].lower() + joined[1:]


if __name__ == "__main__":
    sys.exit(main())

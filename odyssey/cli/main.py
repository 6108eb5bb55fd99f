"""The group of all commands, and what becomes of errors.

Promises: only the module of the command that was typed is imported, and none for `--help`; a failure is one `error:`
and one `hint:` line and a fixed status, never a traceback unless `--debug` asks for it.
Never: knows what a command does.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from odyssey import __version__
from odyssey.cli.output import Descriptor, Output
from odyssey.errors import Fault, OdysseyError, UsageError, echo

if TYPE_CHECKING:
    from odyssey.cli.desk import Desk

_EXTRA: Final = re.compile(r"Got unexpected extra arguments? \((.*)\)")
BROKEN_PIPE: Final = 128 + signal.SIGPIPE
INTERRUPTED: Final = 128 + signal.SIGINT


SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class Table(NamedTuple):
    """What is there before any command is: help and errors need no more, so that they are quick."""

    output: Output
    desk: Callable[[], Desk]


class Row(NamedTuple):
    group: str
    module: str  # below odyssey.cli; it holds NAME_command
    help: str


COMMANDS: Final = {
    "run": Row("Jobs", "run", "run a command, with its output and exit status"),
    "map": Row("Jobs", "map", "run a command for each item, as GNU parallel does"),
    "submit": Row("Jobs", "submit", "run a script that says in #ODYSSEY lines what it needs"),
    "flow": Row("Jobs", "flowing", "run jobs that wait for each other, from a file"),
    "ps": Row("Jobs", "ps", "jobs that wait and run, and what ended in the last hour"),
    "show": Row("Jobs", "show", "all about one job"),
    "logs": Row("Jobs", "logs", "the output of a job"),
    "attach": Row("Jobs", "attach", "come back to a job: its output from the start, Ctrl-C, exit status"),
    "wait": Row("Jobs", "wait", "until jobs have ended"),
    "cancel": Row("Jobs", "verbs", "end jobs, or tasks of them"),
    "retry": Row("Jobs", "verbs", "start again what has failed"),
    "hold": Row("Jobs", "verbs", "start nothing more of a job"),
    "release": Row("Jobs", "verbs", "the opposite of hold"),
    "prio": Row("Jobs", "verbs", "change a job's priority"),
    "queue": Row("Jobs", "queue", "what waits, in its order, and why"),
    "explain": Row("Jobs", "explain", "why a job waits, or runs where it does (also: why)"),
    "where": Row("Jobs", "where", "where a job's tasks run or ran"),
    "history": Row("Jobs", "ps", "jobs that have ended"),
    "up": Row("Machine", "up", "start Odyssey on this machine"),
    "down": Row("Machine", "up", "stop it; what runs goes on"),
    "join": Row("Machine", "joining", "get this machine into a mesh, with an invite or by codes"),
    "invite": Row("Machine", "joining", "let another machine into this mesh"),
    "leave": Row("Machine", "leaving", "leave the mesh; --clean removes all of Odyssey's things"),
    "approve": Row("Machine", "approving", "let in a machine that asks without an invite"),
    "network": Row("Machine", "network", "the networks that this machine knows"),
    "status": Row("Machine", "status", "how your mesh is"),
    "nodes": Row("Machine", "nodes", "your machines (also: machines)"),
    "node": Row("Machine", "node", "one machine: what it has, gives, enforces and weighs; its labels and name"),
    "mesh": Row("Machine", "mesh", "begin again where too many keepers are lost"),
    "events": Row("Machine", "events", "what happened"),
    "share": Row("Machine", "sharing", "what this machine gives, and when"),
    "pause": Row("Machine", "sharing", "give nothing for a while"),
    "resume": Row("Machine", "sharing", "give again"),
    "policy": Row("Machine", "policy", "how the best machine is found"),
    "doctor": Row("Machine", "doctor", "how this machine is and reaches the others, and what would help"),
    "completion": Row("Machine", "completion", "the script that completes words in your shell"),
}
ALIASES: Final = {"why": "explain", "machines": "nodes"}

ABOUT: Final = "Odyssey turns the idle machines of a LAN into one supercomputer."
TRY: Final = "Try:  odyssey run -- echo hello"


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        name = ALIASES.get(cmd_name, cmd_name)
        row = COMMANDS.get(name)
        if row is None:
            return None
        made: click.Command = getattr(import_module(f"odyssey.cli.{row.module}"), f"{name}_command")
        return made

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for group in dict.fromkeys(row.group for row in COMMANDS.values()):
            with formatter.section(group):
                formatter.write_dl([(name, row.help) for name, row in COMMANDS.items() if row.group == group])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise UsageError(f"there is no command {echo(args[0])!r}", hint=_command_hint(args[0]))
        return super().resolve_command(ctx, args)


def _command_hint(word: str) -> str:
    from difflib import get_close_matches

    from odyssey.cli.neighbours import command_hint

    near = command_hint(word) or next(iter(get_close_matches(word, [*COMMANDS, *ALIASES], 1)), None)
    return f"odyssey {near}" if near in COMMANDS or near in ALIASES else "see what there is: odyssey --help"


@click.group(cls=Commands, help=f"{ABOUT}\n\n{TRY}", context_settings=SETTINGS, invoke_without_command=True)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="show the traceback of an error")
@click.pass_context
def odyssey(context: click.Context, debug: bool) -> None:
    context.meta["odyssey.debug"] = debug
    if context.invoked_subcommand is None:
        context.find_object(Table).output.script(context.get_help() + "\n")  # type: ignore[union-attr]


def main(words: Sequence[str]) -> int:
    """Run what was typed and return the exit status."""
    output = Output(Descriptor(1), Descriptor(2), os.environ)

    def desk() -> Desk:
        from odyssey.cli.desk import Desk
        from odyssey.cli.door import connect

        return Desk(output, os.environ, connect, _folder())

    status = run(words, Table(output, desk))
    if status == BROKEN_PIPE:  # as every program of a pipeline ends
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    return status


def run(words: Sequence[str], table: Table) -> int:
    debug = "--debug" in words[: words.index("--") if "--" in words else None]
    try:
        status = odyssey.main(list(words), prog_name="odyssey", standalone_mode=False, obj=table)
        return int(status or 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        table.output.clear()
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except click.UsageError as error:
        return _failed(table.output, understood(error, words), debug=False)
    except OdysseyError as error:
        return _failed(table.output, error, debug=debug)
    except Exception as bug:  # noqa: BLE001 - a person must never be shown a traceback that was not asked for
        return _failed(table.output, _explained(bug), debug=debug)


def _failed(output: Output, error: OdysseyError, *, debug: bool) -> int:
    if debug:
        import traceback

        output.trace(traceback.format_exc())
    with suppress(OSError):  # nobody is left to be told
        output.error(error)
    return int(error.exit_status)


def _explained(error: Exception) -> OdysseyError:
    """What the system said no to is told in its words; anything else is our mistake."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return _OfTheSystem(f"{where}{error.strerror.lower()}", hint="odyssey --debug shows where this came from")
    return OdysseyError(
        f"this is a mistake in Odyssey: {type(error).__name__}: {error}",
        hint="please report it with what `odyssey --debug …` prints",
    )


class _OfTheSystem(OdysseyError):
    fault = Fault.MACHINE


def understood(error: click.UsageError, words: Sequence[str]) -> OdysseyError:
    """What click complains of, as an error of ours."""
    told = f"no such option {error.option_name}" if isinstance(error, click.NoSuchOption) else error.format_message()
    message = " ".join(told.split()).rstrip(".")
    if extra := _EXTRA.fullmatch(message):
        message = f"there is no place for {extra[1]!r}"
    path = error.ctx.command_path if error.ctx else "odyssey"
    hint = _usage_hint(error, words) or _example(path) or f"see {path} --help"
    return UsageError(message[:1].lower() + message[1:], hint=hint)


def _example(path: str) -> str | None:
    from odyssey.cli.examples import EXAMPLES

    name = path.rpartition(" ")[2]
    lines = EXAMPLES.get(ALIASES.get(name, name), ())
    return f"for example: {lines[0]}; see {path} --help" if lines else None


def _usage_hint(error: click.UsageError, words: Sequence[str]) -> str | None:
    if not isinstance(error, click.NoSuchOption):
        return None
    from odyssey.cli.neighbours import option_hint

    near = next(iter(sorted(error.possibilities or ())), None)
    return option_hint(error.option_name, words) or (f"did you mean {near}?" if near else None)


def _folder() -> bytes:
    try:
        return os.getcwdb()
    except OSError:
        return b""


def bytes_of(words: Sequence[str]) -> list[bytes]:
    """Words as they were typed: what is not text stays what it was."""
    return [os.fsencode(word) for word in words]

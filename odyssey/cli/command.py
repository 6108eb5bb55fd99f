"""How a command is made: a function that takes the desk and what was typed, and returns an exit status or None for 0.

Promises: every command understands `-h`, `-q`, `--debug`, and `--json` where it shows something; an option that it does
not know is an error with a hint, never ignored.
Never: imports a command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import click

from odyssey.api.asking import OPTIONS, Option
from odyssey.cli.examples import EXAMPLES
from odyssey.cli.main import SETTINGS, Table

Run = Callable[..., int | None]

REF: Final = "the job: 42, a task 42/7, a name, a prefix of one, or last"


class Command(click.Command):
    """Hands the desk to the function, after the options that all commands share."""

    def invoke(self, ctx: click.Context) -> Any:
        table = ctx.find_object(Table)
        assert table is not None
        table.output.is_quiet |= bool(ctx.params.pop("quiet", False))
        table.output.as_json |= bool(ctx.params.pop("json", False))
        if ctx.params.pop("debug", False):
            ctx.find_root().meta["odyssey.debug"] = True
        assert self.callback is not None
        return ctx.invoke(self.callback, table.desk(), **ctx.params)


def command(
    name: str, *, json: bool = True, takes_command: bool = False, more: Callable[[], Iterable[str]] | None = None
) -> Callable[[Run], Command]:
    """`takes_command`: what follows the first word that is no option belongs to the job. `more`: below the options."""

    def made(function: Run) -> Command:
        params = list(reversed(getattr(function, "__click_params__", [])))
        params += [click.Option(["--json"], is_flag=True, help="one JSON document instead of text")] if json else []
        params.append(click.Option(["-q", "quiet"], is_flag=True, help="say nothing on stderr but errors"))
        params.append(click.Option(["--debug"], is_flag=True, hidden=True))
        settings = {**SETTINGS, "allow_interspersed_args": not takes_command}
        help_text = (function.__doc__ or "").strip()
        below = [*(more() if more is not None else ()), *_examples(name)]
        epilog = "\n".join(below) or None
        return Command(name, epilog=epilog, callback=function, params=params, help=help_text, context_settings=settings)

    return made


def _examples(name: str) -> list[str]:
    lines = EXAMPLES.get(name, ())
    return ["", "\b", "Examples:", *(f"  {line}" for line in lines)] if lines else []


def ref_argument(*, many: bool = False, required: bool = True) -> Callable[[Run], Run]:
    """The job or jobs that a command is about, completed from the jobs there are."""
    return click.argument(
        "refs" if many else "ref",
        nargs=-1 if many else 1,
        required=required,
        metavar="ID..." if many else "ID",
        shell_complete=_jobs,
    )


def job_options(*, without: tuple[str, ...] = ()) -> Callable[[Run], Run]:
    def decorated(function: Run) -> Run:
        for option in reversed([one for one in OPTIONS if one.key not in without]):
            function = _click_option(option)(function)
        return function

    return decorated


def _click_option(option: Option) -> Callable[[Run], Run]:
    names = [option.name, *([option.short] if option.short else []), option.key.replace("-", "_")]
    if not option.metavar:
        return click.option(*names, is_flag=True, help=option.help)
    return click.option(*names, metavar=option.metavar, multiple=option.is_many, help=option.help)


def asked(values: dict[str, Any]) -> dict[str, Any]:
    """What click has collected, under the keys of the table."""
    return {option.key: values.get(option.key.replace("-", "_")) for option in OPTIONS}


def command_words(metavar: str) -> Callable[[Run], Run]:
    """The words of a command for a job, as they were typed; completed as files are."""
    return click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar=metavar, shell_complete=_files)


def file_argument(metavar: str) -> Callable[[Run], Run]:
    return click.argument("file", metavar=metavar, shell_complete=_files)


def _files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def _jobs(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    from odyssey.cli.completing import jobs

    return jobs(incomplete)

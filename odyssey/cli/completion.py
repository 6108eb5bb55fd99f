"""`odyssey completion`: the script that makes a shell complete our words.

Promises: it is printed, not installed; the shell's own start file says when it is read.
Never: asks the daemon; that is done when words are completed.
"""

from __future__ import annotations

from typing import Final

import click

from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.errors import UsageError, echo

SHELLS: Final = ("bash", "zsh", "fish")


@command("completion", json=False)
@click.argument("shell", metavar="bash|zsh|fish")
def completion_command(desk: Desk, shell: str) -> None:
    """Print the script that completes commands, options and jobs.

    \b
      bash   eval "$(odyssey completion bash)"     in ~/.bashrc
      zsh    eval "$(odyssey completion zsh)"      in ~/.zshrc
      fish   odyssey completion fish | source      in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    from odyssey.cli.main import odyssey

    made = get_completion_class(shell) if shell in SHELLS else None
    if made is None:
        raise UsageError(f"{echo(shell)} is not a shell that can be helped", hint=f"use {', '.join(SHELLS)}")
    desk.output.script(made(odyssey, {}, "odyssey", "_ODYSSEY_COMPLETE").source() + "\n")

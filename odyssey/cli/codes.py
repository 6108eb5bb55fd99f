"""The codes of a machine that joins without an invite, at its terminal.

Promises: what the mesh says meanwhile (a no, an end) is heard at once, also while somebody types.
Never: shows a word of a stranger that could steer the terminal.
"""

from __future__ import annotations

import os
import sys
from select import select
from typing import Final

from odyssey.cli.approving import spaced
from odyssey.cli.output import Output
from odyssey.entry import TYPED, Shown
from odyssey.errors import UsageError

_PROMPT: Final = "Then type here the code that is shown there: "


class Codes:
    def __init__(self, output: Output) -> None:
        self._output, self._has_shown = output, False

    def __call__(self, shown: Shown, pipe: int) -> str | None:
        if shown.wrong:
            self._output.say(shown.wrong)
        if not self._has_shown:
            self._show(shown)
        sys.stderr.write(_PROMPT)
        sys.stderr.flush()
        return _line(pipe)

    def _show(self, shown: Shown) -> None:
        self._has_shown, self._output.is_quiet = True, False  # without the code nobody gets any further
        say = self._output.say
        say(f"asking {shown.mesh} ({shown.at}) to let this machine in, as {shown.name}")
        say(f"on a machine of that mesh:  odyssey approve {shown.name}")
        say(f"and there type this code:   {spaced(shown.code)}")


def _line(pipe: int) -> str | None:
    """What was typed, as far as a person types; None: the pipe came first."""
    ready, _, _ = select([sys.stdin.fileno(), pipe], [], [])
    if pipe in ready:
        sys.stderr.write("\n")
        return None
    typed = os.read(sys.stdin.fileno(), TYPED)
    if not typed:
        raise UsageError("no code was typed", hint="begin again: odyssey join")
    return typed.decode("utf-8", "replace").strip()

"""A script that says what it needs: the options in its `#ODYSSEY` lines, before the first command.

    #!/bin/bash
    #ODYSSEY --cpus 4 --timeout 2h
    ./simulate "$1"

Promises: every such line is read or refused, none is overlooked.
Never: reads a file, or knows which options there are.
"""

from __future__ import annotations

import shlex
from typing import Final, NamedTuple

from odyssey.errors import UsageError

MARK: Final = "#ODYSSEY"


class Line(NamedTuple):
    number: int
    words: tuple[str, ...]


def lines(text: str) -> tuple[Line, ...]:
    found: list[Line] = []
    is_head = True
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("#"):
            is_head = is_head and not line.strip()
        elif line == MARK or line.startswith((f"{MARK} ", f"{MARK}\t")):
            if not is_head:
                raise UsageError(
                    f"line {number}: {MARK} stands after the first command", hint="move these lines to the head"
                )
            found.append(Line(number, _words(number, line.removeprefix(MARK))))
    return tuple(found)


def _words(number: int, text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text, comments=True))
    except ValueError as error:
        raise UsageError(f"line {number}: {str(error).lower()}", hint="close the quotes") from error


def interpreter(head: str) -> tuple[str, ...]:
    """The words before the script's own name, from its first line; sh without one."""
    if not head.startswith("#!"):
        return ("sh",)
    words = head[2:].strip().split(None, 1)
    return tuple(words) or ("sh",)

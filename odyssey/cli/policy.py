"""`odyssey policy`: by what the scheduler finds the best machine, and how much each term counts.

Promises: without words it only tells; what it sets holds for the whole mesh from now on.
Never: knows which policies or terms there are: the daemon says.
"""

from __future__ import annotations

import re

import click

from odyssey.api.requests import Policy
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.telling import as_json
from odyssey.errors import UsageError, echo

_HINT = "odyssey policy, odyssey policy use NAME, or odyssey policy set TERM=WEIGHT"


@command("policy")
@click.argument("words", nargs=-1, metavar="[use NAME | set TERM=WEIGHT...]")
def policy_command(desk: Desk, words: tuple[str, ...]) -> None:
    """By what the best machine for a task is found: the policy, and what each of its terms counts."""
    view = desk.ask(_asked(words))
    if as_json(desk, view):
        return
    desk.output.text(f"{view.name}   (there are {', '.join(view.names)})")
    for term, weight in view.weights.items():
        desk.output.text(f"  {term:<12} {weight}")


def _asked(words: tuple[str, ...]) -> Policy:
    match words:
        case ():
            return Policy()
        case ("use", name):
            return Policy(name)
        case ("set", _, *_):
            return Policy(weights=tuple(map(_weight, words[1:])))
    raise UsageError(f"policy {echo(' '.join(words))} is not understood", hint=_HINT)


def _weight(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"([a-z_]+)=([0-9]{1,6})", text)
    if not found:
        raise UsageError(f"{echo(text)} is no term and weight", hint=_HINT)
    return found[1], int(found[2])

"""What every command says of itself, and that its examples are taken."""

from __future__ import annotations

import shlex
from importlib import import_module

import click
import pytest

from odyssey.cli.examples import EXAMPLES
from odyssey.cli.main import ALIASES, COMMANDS, odyssey

OWN = ("run", "map", "node", "completion")  # they have theirs in their own text


def command_of(name: str) -> click.Command:
    made: click.Command = getattr(import_module(f"odyssey.cli.{COMMANDS[name].module}"), f"{name}_command")
    return made


def help_of(name: str) -> list[str]:
    made = command_of(name)
    return made.get_help(click.Context(made, info_name=f"odyssey {name}", max_content_width=110)).splitlines()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_shows_examples(name: str) -> None:
    lines = help_of(name)
    assert lines[2].strip(), "what it does comes first"
    assert name in EXAMPLES or name in OWN
    shown = [line for line in lines if line.strip().startswith(("odyssey ", "ls ", "bash ", "eval "))]
    assert shown, lines
    for option in command_of(name).params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, option


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in EXAMPLES.items() for line in lines])
def test_every_example_is_taken_as_it_stands(name: str, line: str) -> None:
    words = shlex.split(line)
    assert words[0] == "odyssey"
    assert ALIASES.get(words[1], words[1]) == name
    context = odyssey.make_context("odyssey", words[1:])
    command_of(name).make_context(name, words[2:], parent=context)


def test_no_help_is_wider_than_a_screen() -> None:
    for name in COMMANDS:
        assert max(map(len, help_of(name))) <= 110, name

"""The README is true: its commands are typed at a terminal, one after the other, and show what it says they show.

Times, sizes and what a machine scores differ from run to run, and are compared as such; the machine is called nova and
its owner anna.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.system.people import typed
from tests.system.place import ROOT, Place

_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


class Step(NamedTuple):
    command: str
    shows: list[str]


def steps(text: str) -> Iterator[Step]:
    for block in _BLOCK.findall(text):
        step: Step | None = None
        for line in block.splitlines():
            if line.startswith("$ "):
                if step is not None:
                    yield step
                step = Step(line[2:], [])
            else:
                assert step is not None, f"output without a command: {line}"
                step.shows.append(line)
        if step is not None:
            yield step


def alike(lines: list[str]) -> list[str]:
    """What must be the same: words, states, counts; not times, nor how wide a column is."""
    return [_loose(line) for line in lines]


def _loose(line: str) -> str:
    line = re.sub(r"\b(\d+(\.\d+)?(ms|s|m)( ago)?|now)(?=\s|$)", "TIME", line)
    line = re.sub(r"\b\d+ cores", "N cores", line)
    line = re.sub(r"too small by \d+ cpus|--cpus \d+ \(", "N cpus", line)
    return re.sub(r"\s+", " ", line).strip()


def as_anna(shown: str, machine: str) -> list[str]:
    """The lines that are left on the screen, on the machine and with the owner of the README."""
    lines = [line.rpartition("\r")[2].replace("\x1b[K", "") for line in shown.replace("\r\n", "\n").split("\n")]
    text = "\n".join(line for line in lines if line)
    text = re.sub(rf"(?<![\w.]){re.escape(machine)}(?![\w.])", "nova", text)
    return re.sub(rf"\b{re.escape(getpass.getuser())}'s mesh", "anna's mesh", text).splitlines()


def test_what_the_readme_shows_is_what_is_shown(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    every = list(steps((ROOT / "README.md").read_text()))
    assert len(every) >= 15
    machine = ""
    for step in every:
        if step.command.startswith("cat "):  # a file that is shown is there
            (folder / step.command.removeprefix("cat ")).write_text("\n".join(step.shows) + "\n")
        shown = typed(place, step.command, folder)
        machine = machine or typed(place, "odyssey nodes | cut -f1", folder).strip()
        assert alike(last_drawing(as_anna(shown, machine))) == alike(step.shows), f"$ {step.command}\n{shown}"


def last_drawing(lines: list[str]) -> list[str]:
    """Of what is drawn over, the last one: a drawing begins by going up."""
    starts = [number for number, line in enumerate(lines) if re.match(r"\x1b\[\d+F", line)]
    return [re.sub(r"\x1b\[\d+F", "", line) for line in lines[starts[-1] if starts else 0 :]]

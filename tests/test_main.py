"""The command, run as a person runs it: in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

import odyssey


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "odyssey", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_version_is_the_one_of_the_package() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"odyssey {odyssey.__version__}\n", "")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_says_what_exists_today(words: list[str]) -> None:
    result = run(*words)
    assert (result.returncode, result.stderr) == (0, "")
    assert "no daemon yet" in result.stdout
    assert "python -m odyssey.scheduler.lab" in result.stdout


@pytest.mark.parametrize(
    ("word", "complaint"),
    [("--no-such-option", "no such option"), ("up", "there is no command 'up' yet")],
)
def test_a_wrong_call_is_an_error_a_hint_and_exit_2(word: str, complaint: str) -> None:
    result = run(word)
    assert (result.returncode, result.stdout) == (2, "")
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert complaint in error
    assert hint.startswith("hint: ")


def test_importing_the_command_does_not_import_click() -> None:
    program = "import sys, odyssey.__main__; sys.exit('click' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0

"""The command, run as a person runs it: in a process of its own, where no daemon is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import odyssey


def run(*words: str, home: Path = Path("/nonexistent")) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "odyssey", *words]
    environment = {**os.environ, "ODYSSEY_HOME": str(home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_version_is_the_one_of_the_package() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"odyssey {odyssey.__version__}\n", "")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_names_the_commands(words: list[str]) -> None:
    result = run(*words)
    assert (result.returncode, result.stderr) == (0, "")
    for command in ("run", "map", "ps", "cancel", "status", "completion"):
        assert f"\n  {command} " in result.stdout


@pytest.mark.parametrize(
    ("word", "complaint"),
    [("--no-such-option", "no such option"), ("fly", "there is no command 'fly'")],
)
def test_a_wrong_call_is_an_error_a_hint_and_exit_2(word: str, complaint: str) -> None:
    result = run(word)
    assert (result.returncode, result.stdout) == (2, "")
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert complaint in error
    assert hint.startswith("hint: ")


def test_without_a_daemon_looking_is_an_error_with_the_status_for_that(tmp_path: Path) -> None:
    result = run("ps", home=tmp_path / "home")
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.splitlines()[0] == "error: no daemon runs here"
    assert not (tmp_path / "home").exists()


def imported(*words: str) -> set[str]:
    """The modules that are there after the command has run."""
    program = (
        "import sys\nfrom odyssey.__main__ import main\n"
        f"try:\n    main({list(words)!r})\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    environment = {**os.environ, "ODYSSEY_HOME": "/nonexistent"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return set(ended.stderr.splitlines()[-1].split())


def test_only_the_command_that_was_typed_is_imported() -> None:
    commands = {f"odyssey.cli.{name}" for name in ("run", "map", "ps", "status", "show", "attached")}
    assert imported("--help") & (commands | {"msgspec", "msgpack", "odyssey.api.client"}) == set()
    assert imported("status") & commands == {"odyssey.cli.status"}


def test_nothing_heavy_is_imported_by_a_command() -> None:
    heavy = {"asyncio", "psutil", "sqlite3", "textual", "docker", "prometheus_client", "cryptography", "zmq", "ssl"}
    for words in (["--help"], ["status"], ["ps"], ["run", "-n", "--bad"], ["join", "no-invite"]):
        assert imported(*words) & heavy == set()


def test_importing_the_command_does_not_import_click() -> None:
    program = "import sys, odyssey.__main__; sys.exit('click' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


def test_a_daemon_does_not_import_what_it_need_not_to_start() -> None:
    program = "import sys, odyssey.daemon.process, odyssey.daemon.lan; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    slow = {"importlib.metadata", "zeroconf", "cryptography", "click", "textual"}
    assert set(done.stdout.split()) & slow == set()

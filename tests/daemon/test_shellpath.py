"""The path of the owner's login shell."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from odyssey.daemon.shellpath import login_path
from tests.system.place import wait_for


def shell(folder: Path, script: str) -> str:
    """A shell that begins with this, and then does what it is told as sh would."""
    file = folder / "shell"
    file.write_text(f'#!/bin/sh\n{script}\ntest "$1" = -lic && eval "$2"\n')
    file.chmod(0o755)
    return str(file)


def test_the_shell_tells_whatever_its_start_files_say(tmp_path: Path) -> None:
    says = "echo Welcome; echo odyssey-path:; echo /fake; PATH=/opt/bin:$PATH; echo oops >&2"
    path = login_path(shell(tmp_path, says), str(tmp_path), "anna")
    assert path is not None
    assert path.startswith(b"/opt/bin:/usr/local/bin")


@pytest.mark.parametrize("script", ["exit 1", "exec 1>&-", "printenv() { echo nothing; }", "echo; kill -9 $$"])
def test_a_shell_that_does_not_tell_is_none(tmp_path: Path, script: str) -> None:
    assert login_path(shell(tmp_path, script), str(tmp_path), "anna") is None


def test_a_shell_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert login_path(str(tmp_path / "nope"), str(tmp_path), "anna") is None
    assert login_path("", str(tmp_path), "anna") is None


def test_a_shell_that_waits_is_ended_with_all_it_started(tmp_path: Path) -> None:
    says = "sleep 600 & echo $! > child; sleep 600"
    assert login_path(shell(tmp_path, f"cd {tmp_path}; {says}"), str(tmp_path), "anna", limit_s=1.5) is None
    stat = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    wait_for(lambda: not stat.exists() or ") Z" in stat.read_text())


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_real_shells_tell(tmp_path: Path, name: str) -> None:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed here: its start files were not tried")
    for file in (".bash_profile", ".zprofile"):
        (tmp_path / file).write_text("export PATH=/opt/own:$PATH\n")
    (tmp_path / ".config/fish").mkdir(parents=True)
    (tmp_path / ".config/fish/config.fish").write_text("set -gx PATH /opt/own $PATH\n")
    path = login_path(found, str(tmp_path), "anna", limit_s=20)
    assert path is not None
    assert b"/opt/own" in path.split(os.pathsep.encode())

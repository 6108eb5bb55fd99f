"""The wheel of another commit, as those have it who have not upgraded yet: built without a network, and unpacked.

It is a wheel and not the source tree, because what people install is what was packed. It runs with the libraries of
this environment: two versions side by side differ in Odyssey alone.

Promises: a commit that is not there is an error that says how to get it, never another commit.
Never: changes the checkout.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from tests.lab.host import ROOT

PREVIOUS: Final = "HEAD~1"


def commit(revision: str) -> str:
    """Its full name."""
    words = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise AssertionError("git is not installed (apt-get install git)") from None
    if done.returncode != 0:
        raise AssertionError(
            f"there is no commit {revision} in {ROOT}, so no version to work with "
            f"(a shallow clone lacks it: git fetch --unshallow){done.stderr and f': {done.stderr.strip()}'}"
        )
    return done.stdout.strip()


def unpacked(revision: str, folder: Path) -> Path:
    """Where the package of that commit is, importable."""
    source, installed = folder / "source", folder / "installed"
    source.mkdir(parents=True)
    tree = subprocess.run(
        ["git", "-C", str(ROOT), "archive", "--format=tar", commit(revision)], capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(source)], input=tree.stdout, check=True)
    _run([sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], source)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(installed)
    _run([sys.executable, "-P", "-m", "compileall", "-q", str(installed)], folder)
    return installed


def _run(words: list[str], where: Path) -> None:
    done = subprocess.run(words, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")

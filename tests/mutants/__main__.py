"""Puts the mutants back one by one and says by which test each died.

    python -m tests.mutants                        all of them
    python -m tests.mutants vote                   those with this word in their name
    python -m tests.mutants --sample 25            25 of them, drawn from a seed that is printed
    python -m tests.mutants --sample 25 --seed 7   the same 25 again

Promises: nothing outside a temporary folder is changed; the untouched copy passes all named tests first; the end is 1
if any mutant lives.
Never: takes a text that is not found, or found twice, for a mutant.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random, SystemRandom
from tempfile import TemporaryDirectory
from typing import Final

from tests.mutants.all import MUTANTS
from tests.mutants.table import Mutant

ROOT: Final = Path(__file__).resolve().parents[2]
LIMIT_SECONDS: Final = 120  # for the tests of one mutant, which take some seconds
ALL_SECONDS: Final = 900  # for those of all of them together


# -- which -------------------------------------------------------------------------------------------------------------


def chosen(words: Sequence[str], sample: int | None, seed: int) -> list[Mutant]:
    """Those that were asked for, in the order of the tables."""
    fitting = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    if sample is None or sample >= len(fitting):
        return fitting
    drawn = set(Random(seed).sample(range(len(fitting)), sample))
    return [mutant for number, mutant in enumerate(fitting) if number in drawn]


# -- running them ------------------------------------------------------------------------------------------------------


def copied(folder: Path) -> None:
    for name in ("odyssey", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)


def mutated(source: str, mutant: Mutant) -> str:
    if (found := source.count(mutant.old)) != 1:
        raise SystemExit(f"error: {mutant.name}: found {found} times in {mutant.file}:\n{mutant.old}")
    return source.replace(mutant.old, mutant.new)


def first_failure(folder: Path, tests: Iterable[str], limit_seconds: int) -> str:
    """The test that fails, or nothing. A run that does not end has noticed it too."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "--tb=no", *(f"tests/{test}" for test in tests)]
    environment = {**os.environ, "PYTHONPATH": str(folder), "CI": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, timeout=limit_seconds, check=False, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        return "never ends"
    if done.returncode == 0:
        return ""
    # A test that failed may take its process along (a store that two opened). A file that cannot be read names no test.
    found = re.search(r"^(?:FAILED|ERROR) tests/(.+?::.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if found is None:
        raise SystemExit(f"error: the tests did not run ({done.returncode}):\n{done.stdout}{done.stderr}")
    return found[1]


def killer(mutant: Mutant) -> str:
    with TemporaryDirectory() as name:
        folder = Path(name)
        copied(folder)
        file = folder / "odyssey" / mutant.file
        file.write_text(mutated(file.read_text(), mutant))
        return first_failure(folder, mutant.tests, LIMIT_SECONDS)


def untouched(mutants: Iterable[Mutant]) -> str:
    with TemporaryDirectory() as name:
        copied(Path(name))
        return first_failure(Path(name), sorted({test for mutant in mutants for test in mutant.tests}), ALL_SECONDS)


def tell(mutants: Sequence[Mutant]) -> list[str]:
    """One line each, as soon as it is known; back come the names of those that live."""
    alive = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, end in zip(mutants, pool.map(killer, mutants), strict=True):
            print(f"{mutant.name:60} {end or 'LIVES'}", flush=True)
            alive += [] if end else [mutant.name]
    return alive


# -- the door ----------------------------------------------------------------------------------------------------------


def asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("words", nargs="*", help="only mutants with one of these in their name")
    parser.add_argument("--sample", type=int, help="only so many, drawn by chance")
    parser.add_argument("--seed", type=int, default=SystemRandom().getrandbits(32), help="draws the same ones again")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    wish = asked(arguments)
    mutants = chosen(wish.words, wish.sample, wish.seed)
    if wish.sample is not None:
        print(f"seed {wish.seed}: {len(mutants)} of {len(MUTANTS)} mutants", flush=True)
    if not mutants:
        print("error: no mutant has such a name")
        return 1
    if broken := untouched(mutants):
        print(f"error: {broken} fails without any mutant")
        return 1
    alive = tell(mutants)
    print(f"\n{len(mutants)} mutants, {len(alive)} live", *(f"LIVES: {name}" for name in alive), sep="\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The raw limit of starting processes on this machine, compiled where a C compiler is there.

Promises: counts the same processes, with the priority that attempts have.
Never: runs anything of ours.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final

RAW: Final = "posix_spawn and waitpid in C, the same number of processes"
SLOTS: Final = 2


def raw(program: Path, count: int) -> float:
    return float(subprocess.run([program, str(count), str(SLOTS)], check=True, capture_output=True).stdout)


def compiled(folder: Path) -> Path | None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    program = folder / "raw_spawn"
    subprocess.run([compiler, "-O2", "-o", program, Path(__file__).with_name("raw_spawn.c")], check=True)
    return program

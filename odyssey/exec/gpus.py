"""The GPUs of this machine, as NVIDIA's own tool tells of them, or at least the kernel's driver.

Promises: what cannot be found out is left out; a tool that hangs costs LIMIT_S, and nothing is known then.
Never: looks where there is no driver and no tool.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

LIMIT_S: Final = 5.0
TOOL: Final = "nvidia-smi"
QUERY: Final = (TOOL, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
_MIB: Final = 1 << 20
_MAKERS: Final = frozenset({"nvidia", "geforce", "tesla", "quadro", "graphics", "device"})
_FORM: Final = re.compile(r"[0-9]+gb|hbm[0-9]*e?|pcie|sxm[0-9]*|nvl|nvlink")
_CUDA: Final = re.compile(r"CUDA Version:\s*([0-9]+(?:\.[0-9]+)?)")

Run = Callable[[Sequence[str]], str]  # what it writes; empty: it is not there, or it failed


class Gpus(NamedTuple):
    many: int = 0
    memory: int = 0  # of the smallest
    cuda: str = ""
    models: tuple[str, ...] = ()

    @property
    def labels(self) -> Mapping[str, str]:
        found = {"gpu": self.models[0], "gpus": str(self.many)} if self.models else {}
        return found | ({"cuda": self.cuda} if self.cuda else {})


def found(run: Run, root: Path = Path("/")) -> Gpus:
    rows = [row for line in run(QUERY).splitlines() if (row := _row(line)) is not None]
    if rows:
        cuda = _CUDA.search(run((TOOL,)))
        models = tuple(dict.fromkeys(model for model, _ in rows))
        return Gpus(len(rows), min(size for _, size in rows), cuda[1] if cuda else "", models)
    models = tuple(_of_driver(root))
    return Gpus(len(models), 0, "", tuple(dict.fromkeys(models)))


def _row(line: str) -> tuple[str, int] | None:
    name, comma, size = line.rpartition(",")
    size = size.strip()
    return (model(name), int(size) * _MIB) if comma and size.isascii() and size.isdigit() and model(name) else None


def _of_driver(root: Path) -> Iterator[str]:
    for file in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        try:
            lines = file.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition(":")
            if key.strip() == "Model" and model(value):
                yield model(value)


def model(name: str) -> str:
    """Short, as people ask for it: a100, rtx-3080, gtx-1080-ti."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word and word not in _MAKERS]
    return "-".join(word for word in words if not _FORM.fullmatch(word))


def tool(path: str) -> Run:
    """The real one, found on this path."""

    def run(words: Sequence[str]) -> str:
        try:
            done = subprocess.run(
                words,
                env={"PATH": path, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LIMIT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        return done.stdout.decode("utf-8", "replace")

    return run

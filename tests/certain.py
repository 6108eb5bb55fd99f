"""What would be there after a power cut, for tests of one module: every sync is noticed as it ends.

Certain are the bytes that a file had at its last sync, and the names that a folder had at its last one. `tests/power`
does this for the whole product; here it costs nothing.

Never: knows of bytes or names that were there before it was begun.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest


class Certain:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        for name in ("fsync", "fdatasync"):
            real = getattr(os, name)
            monkeypatch.setattr(os, name, lambda file, real=real: self._sync(real, file))

    def _sync(self, real: Any, file: Any) -> None:
        real(file)
        number = file if isinstance(file, int) else file.fileno()
        found = os.fstat(number)
        if stat.S_ISDIR(found.st_mode):
            self._names[found.st_ino] = {one.name: one.inode() for one in os.scandir(number)}
        else:
            path = os.readlink(f"/proc/self/fd/{number}")
            self._bytes[found.st_ino] = Path(path).read_bytes()

    def has(self, path: Path, top: Path) -> bool:
        """The file is there as it is now, and so is every name from the folder `top` on."""
        if self._bytes.get(path.stat().st_ino) != path.read_bytes():
            return False
        return self.has_name(path, top)

    def has_name(self, path: Path, top: Path) -> bool:
        while path != top:
            known = self._names.get(path.parent.stat().st_ino, {})
            if known.get(path.name) != path.stat().st_ino:
                return False
            path = path.parent
        return True


@pytest.fixture
def certain(monkeypatch: pytest.MonkeyPatch) -> Certain:
    return Certain(monkeypatch)

"""Every contract of a store is tried on both of them.

Never: waits for a real disk where a test only wants to know what would be on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from odyssey.clock import SeededEntropy
from tests.contracts.shaky_disk import installed, probe
from tests.contracts.store_rigs import MemoryRig, Rig, SqliteRig


@pytest.fixture(params=["sqlite", "memory"])
def rig(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    if request.param == "memory":
        yield MemoryRig(SeededEntropy(1))
        return
    probe(tmp_path)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    with installed() as disk:
        rig = SqliteRig(tmp_path / "home", disk, SeededEntropy(1))
        yield rig
        rig.close()


@pytest.fixture
def small_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the write-ahead log is copied into the file every few changes."""
    monkeypatch.setattr("odyssey.mesh.sqlite._WAL_BYTES", 40_000)

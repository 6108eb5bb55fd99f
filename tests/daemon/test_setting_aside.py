"""What a machine had in a mesh that it has left is put aside once, and is never written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from odyssey.daemon.founding import set_old_mesh_aside
from odyssey.paths import Home

OLD = {"mesh.db": "old log", "history.db": "old history", "outputs/1": "old output", "spool/stdin/a": "old input"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    write(tmp_path, OLD)
    return Home(tmp_path)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def aside(home: Home) -> dict[str, str]:
    found = home.old / "f0356aa1"
    return {str(path.relative_to(found)): path.read_text() for path in found.rglob("*") if path.is_file()}


def test_all_of_it_goes(home: Home) -> None:
    set_old_mesh_aside(home, "f0356aa1")
    assert aside(home) == OLD
    assert not [name for name in OLD if (home.path / name).exists()]


def test_interrupted_and_begun_anew_it_keeps_what_came_first(home: Home) -> None:
    """The new mesh has folders, and perhaps a store, by then."""
    set_old_mesh_aside(home, "f0356aa1")
    write(home.path, {"mesh.db": "empty log", "outputs/1": "new", "outputs/2": "newer", "spool/stdin/b": "input"})
    (home.path / "files").mkdir()
    set_old_mesh_aside(home, "f0356aa1")
    more = {"mesh.db.2": "empty log", "outputs/1.2": "new", "outputs/2": "newer", "spool/stdin/b": "input"}
    assert aside(home) == OLD | more
    set_old_mesh_aside(home, "f0356aa1")
    assert aside(home) == OLD | more

"""A daemon that is killed while it works: nothing runs twice, nothing is lost, no byte of output either."""

from __future__ import annotations

from pathlib import Path

from tests.system.kills import complaints, kill_often
from tests.system.place import Place


def test_nothing_is_lost_and_nothing_runs_twice(place: Place, tmp_path: Path) -> None:
    account = kill_often(place, tmp_path / "mark", 120, 6)
    assert complaints(account, 120) == []

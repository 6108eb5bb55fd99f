"""Leaving, as it is typed on a machine that is alone, or has no daemon."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.system.place import Place, wait_for


def typed(place: Place, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return place.python("-m", "odyssey", *words, stdin=subprocess.DEVNULL, **more)


def test_a_clean_leave_ends_what_runs_and_leaves_nothing(place: Place) -> None:
    """Every file that a daemon with jobs makes is known to `clearing`."""
    assert typed(place, "run", "--", "echo", "hi").stdout == "hi\n"
    typed(place, "run", "--detach", "--", "sleep", "1000")
    wait_for(lambda: json.loads(typed(place, "status", "--json").stdout)["jobs"]["running"] == 1)
    refused = typed(place, "leave", "--clean")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "error: this would remove for good: 1 unfinished job and 1 finished job",
        "hint: odyssey leave --clean --yes",
    ]
    path = place.home.path
    left = typed(place, "leave", "--clean", "--yes")
    assert left.returncode == 0, left.stderr
    assert not path.exists()
    assert list(place.processes()) == []
    assert "Removed: keys, database, output, " in left.stdout
    again = typed(place, "leave", "--clean")
    assert (again.returncode, again.stdout.splitlines()[0].split(" (")[0]) == (0, "Removed: nothing")


def test_a_clean_leave_works_where_no_daemon_can_begin_any_more(place: Place) -> None:
    typed(place, "run", "--detach", "--", "sleep", "1000")
    wait_for(lambda: json.loads(typed(place, "status", "--json").stdout)["jobs"]["running"] == 1)
    place.kill()
    mesh: Path = place.home.mesh
    mesh.write_bytes(b"torn")
    left = typed(place, "leave", "--clean", "--yes")
    assert left.returncode == 0, left.stderr
    assert not place.home.path.exists()
    wait_for(lambda: not list(place.processes()))


def test_one_that_is_alone_starts_anew_after_it_has_left(place: Place) -> None:
    typed(place, "run", "--", "echo", "hi")
    typed(place, "run", "--detach", "--", "sleep", "1000")
    typed(place, "cancel", "2")
    before = json.loads(typed(place, "status", "--json").stdout)
    wait_for(lambda: json.loads(typed(place, "status", "--json").stdout)["jobs"]["running"] == 0)
    assert typed(place, "leave").stdout.splitlines()[:2] == [
        f"{before['node']} has left {before['mesh']}.",
        "Removed: this machine's keys and its certificate.",
    ]
    old = json.loads(typed(place, "history", "--old", "--json").stdout)
    assert [(one["id"], one["state"], one["command"], one["node"], one["mesh"]) for one in old] == [
        (2, "cancelled", "sleep 1000", before["node"], before["mesh"]),
        (1, "done", "echo hi", before["node"], before["mesh"]),
    ]
    typed(place, "run", "--", "echo", "hi")
    after = json.loads(typed(place, "status", "--json").stdout)
    assert after["mesh_id"] != before["mesh_id"]
    assert after["node_id"] != before["node_id"]
    assert (place.home.old / before["mesh_id"][:8] / "mesh.db").exists()

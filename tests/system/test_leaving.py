"""Leaving, as it is typed on a machine that is alone, or has no daemon."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.system.people import terminal
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


def test_on_a_terminal_the_word_is_asked_for(place: Place) -> None:
    typed(place, "run", "--", "echo", "hi")
    with terminal(place, "leave", "--clean") as screen:
        screen.until(b"This removes for good: 1 finished job.")
        screen.until(b"Type leave to go on: ")
        screen.types(b"y\r")
        assert screen.ends() == 2
    assert b"error: nothing was changed" in screen.seen
    assert place.home.mesh.exists()
    with terminal(place, "leave", "--clean") as screen:
        screen.until(b"Type leave to go on: ")
        screen.types(b"leave\r")
        assert screen.ends() == 0
    assert not place.home.path.exists()


def test_an_invite_of_a_machine_that_listens_for_itself_says_so(place: Place) -> None:
    assert typed(place, "up", "--listen", "127.0.0.1:0").returncode == 0
    made = typed(place, "invite")
    assert made.stdout.startswith("ody1_")
    assert made.stderr.splitlines()[-1] == (
        "odyssey: this machine listens for itself only (127.0.0.1): nobody else can use this invite"
    )
    rows = [line.split("\t") for line in typed(place, "invite", "ls").stdout.splitlines()]
    assert [row[2] for row in rows] == ["0/1"]
    unknown = typed(place, "invite", "revoke", "zz")
    assert unknown.stderr.splitlines() == ["error: there is no invite 'zz'", "hint: see: odyssey invite ls"]
    assert typed(place, "invite", "revoke", rows[0][0]).returncode == 0
    assert typed(place, "invite", "ls").stdout == ""

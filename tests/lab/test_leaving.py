"""Machines that leave their mesh, or are put out of it, as their users do it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from odyssey.mesh.trust import invite as invites
from tests.lab import Host, Lab
from tests.system.place import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Three machines in one mesh."""
    with Lab(3) as lab:
        lab[0].run("odyssey", "up", "--listen", "0.0.0.0:7660", limit_s=120)
        for host in (lab[1], lab[2]):
            host.run("odyssey", "join", "-", stdin=told(lab[0], "invite")["invite"], limit_s=120)
        wait_for(lambda: all(states(host) == {"h1": "up", "h2": "up", "h3": "up"} for host in lab), 30)
        yield lab


def told(host: Host, *words: str) -> Any:
    return json.loads(host.run("odyssey", *words, "--json", limit_s=120).out)


def states(host: Host) -> dict[str, str]:
    return {one["name"]: one["state"] for one in told(host, "nodes")}


def submitted(host: Host, *words: str) -> int:
    return int(json.loads(host.run("odyssey", "run", "--detach", "--json", *words, limit_s=120).out)["id"])


def running(host: Host, job: int) -> str | None:
    """Where."""
    tries = told(host, "show", str(job))["task_list"][0]["tries"]
    return next((str(one["node"]) for one in tries if one["state"] == "running"), None)


def test_a_machine_that_leaves_is_not_listed_and_its_task_goes_on_elsewhere(lab: Lab) -> None:
    job = submitted(lab[0], "--avoid", "h1", "--", "sleep", "1000")
    place = wait_for(lambda: running(lab[0], job), 30)
    leaver, other = (lab[1], lab[2]) if place == "h2" else (lab[2], lab[1])
    out = leaver.run("odyssey", "leave", limit_s=120).out
    assert out.splitlines()[:2] == [
        "1 running task starts again on other machines.",
        f"{leaver.name} has left root's mesh.",
    ]
    assert states(lab[0]) == {"h1": "up", other.name: "up"}
    wait_for(lambda: running(lab[0], job) == other.name, 30)
    refused = leaver.run("odyssey", "leave", check=False)
    assert (refused.status, refused.err.splitlines()[0]) == (2, "error: this machine is in no mesh")
    leaver.run("odyssey", "join", "-", stdin=told(lab[0], "invite")["invite"], limit_s=120)
    wait_for(lambda: states(lab[0]) == {"h1": "up", "h2": "up", "h3": "up"}, 30)


def test_a_machine_that_is_put_out_hears_it_and_can_leave_and_join_anew(lab: Lab) -> None:
    refused = lab[0].run("odyssey", "node", "remove", "h3", check=False)
    assert refused.status == 2
    assert "hint: odyssey node remove h3 --yes" in refused.err
    lab[0].run("odyssey", "node", "remove", "h3", "--yes", limit_s=120)
    assert states(lab[0]) == {"h1": "up", "h2": "up"}
    wait_for(lambda: "This machine was removed from root's mesh" in lab[2].run("odyssey", "status").out, 30)
    assert lab[2].run("odyssey", "leave", limit_s=120).out.startswith("h3 has left root's mesh.\nRemoved:")
    lab[2].run("odyssey", "join", "-", stdin=told(lab[0], "invite")["invite"], limit_s=120)
    wait_for(lambda: states(lab[0]) == {"h1": "up", "h2": "up", "h3": "up"}, 30)


def test_a_machine_that_is_gone_is_put_out_and_can_leave_when_it_is_back(lab: Lab) -> None:
    lab[2].kill()
    wait_for(lambda: states(lab[0])["h3"] == "gone", 30)
    lab[0].run("odyssey", "node", "remove", "h3", "--yes", limit_s=120)
    assert states(lab[0]) == {"h1": "up", "h2": "up"}
    lab.boot(2)
    assert lab[2].run("odyssey", "leave", limit_s=120).out.startswith("h3 has left root's mesh.\n")
    assert lab[2].run("odyssey", "history", "--old", "--json").out
    lab[2].run("odyssey", "join", "-", stdin=told(lab[0], "invite")["invite"], limit_s=120)
    wait_for(lambda: states(lab[0]) == {"h1": "up", "h2": "up", "h3": "up"}, 30)


def test_who_alone_keeps_the_jobs_or_lets_machines_in_cannot_leave(lab: Lab) -> None:
    refused = lab[0].run("odyssey", "leave", check=False)
    assert refused.status == 2
    assert "error: h1 is the only machine that " in refused.err
    assert states(lab[0]) == {"h1": "up", "h2": "up", "h3": "up"}


def test_a_machine_that_reaches_nobody_leaves_all_the_same(lab: Lab) -> None:
    lab.cut(2)
    out = lab[2].run("odyssey", "leave", limit_s=120).out
    assert "Nobody of it could be reached. If the others list it still, type there: odyssey node remove h3" in out
    lab.heal(2)
    assert "h3" in states(lab[0])
    lab[0].run("odyssey", "node", "remove", "h3", "--yes", limit_s=120)
    assert states(lab[0]) == {"h1": "up", "h2": "up"}


# -- joining, from the side of what was there before -------------------------------------------------------------------


@pytest.fixture
def two() -> Iterator[Lab]:
    """One is open to others, the other has a mesh of its own with a job that is done."""
    with Lab(2) as lab:
        lab[0].run("odyssey", "up", "--listen", "0.0.0.0:7660", limit_s=120)
        assert lab[1].run("odyssey", "run", "--", "echo", "old", limit_s=120).out == "old\n"
        yield lab


def test_who_joins_sees_what_it_gives_and_can_still_read_its_own_old_jobs(two: Lab) -> None:
    text = told(two[0], "invite")["invite"]
    submitted(two[1], "--", "sleep", "1000")
    refused = two[1].run("odyssey", "join", "-", stdin=text, check=False, limit_s=120)
    assert (refused.status, refused.err.splitlines()) == (
        2,
        [
            "error: 1 of this machine's own jobs is unfinished",
            "hint: odyssey wait --all, then join",
        ],
    )
    two[1].run("odyssey", "cancel", "last")
    two[1].run("odyssey", "wait", "last", check=False)
    done = two[1].run("odyssey", "join", "-", stdin=text, limit_s=120)
    assert "root's mesh and its 2 finished jobs stay readable here: odyssey history --old" in done.err
    assert "h2 is in root's mesh now.\n" in done.out
    assert "\nh2 belongs to root, in root's mesh (2 machines).\n  gives     " in done.out
    assert done.out.splitlines()[-1].endswith("leave for good   odyssey leave --clean")
    old = json.loads(two[1].run("odyssey", "history", "--old", "--json").out)
    assert [(one["id"], one["state"]) for one in old] == [(2, "cancelled"), (1, "done")]
    again = two[1].run("odyssey", "join", "-", stdin=text, check=False, limit_s=120)
    assert again.err.startswith("error: this invite is for root's mesh, and this machine is in it already\n")


def test_an_invite_that_is_taken_back_lets_nobody_in_and_nothing_has_changed(two: Lab) -> None:
    one = told(two[0], "invite", "--uses", "3")
    (row,) = told(two[0], "invite", "ls")
    assert (row["id"], row["by"], row["uses"], row["used"]) == (one["id"], "root", 3, 0)
    two[0].run("odyssey", "invite", "revoke", one["id"][:6], limit_s=120)
    assert told(two[0], "invite", "ls") == []
    refused = two[1].run("odyssey", "join", "-", stdin=one["invite"], check=False, limit_s=120)
    assert refused.status != 0
    assert "invite is not known here: it was taken back, or is over" in refused.err
    assert states(two[1]) == {"h2": "up"}
    assert [job["id"] for job in told(two[1], "history")] == [1]


@pytest.mark.parametrize("moment", ["old", "old/*/mesh", "old/*/mesh.db"])
def test_a_joining_that_is_killed_is_whole_or_has_not_been(two: Lab, moment: str) -> None:
    """Whoever types `up` afterwards is in the one mesh or in the other, with all that belongs to it."""
    text, mine = told(two[0], "invite")["invite"], told(two[1], "status")["mesh_id"]
    two[1].run("odyssey", "down")
    (state,) = (two[1].folder / "home/.local/state/odyssey").iterdir()
    joining = two[1].start("sh", "-c", f"odyssey join {text}")
    try:
        wait_for(lambda: any(state.glob(moment)), 20)
    finally:
        for process in two[1].processes()[1:]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        joining.wait(30)
    now = wait_for(lambda: mesh_of(two[1]), 60)
    assert now in (mine, told(two[0], "status")["mesh_id"])
    assert not (state / "joining").exists()
    if now == mine:
        assert [job["id"] for job in told(two[1], "history")] == [1]
        two[1].run("odyssey", "join", "-", stdin=text, limit_s=120)
    wait_for(lambda: states(two[0]) == {"h1": "up", "h2": "up"}, 30)
    assert [one["id"] for one in json.loads(two[1].run("odyssey", "history", "--old", "--json").out)] == [1]


def mesh_of(host: Host) -> str:
    """Once it is up. One that has only just been let in may reach nobody for a moment."""
    done = host.run("odyssey", "up", "--json", check=False, limit_s=120)
    if done.status:
        print(done.err)  # seen where the test fails
        return ""
    return str(json.loads(done.out)["mesh_id"])


# -- what a machine may do ---------------------------------------------------------------------------------------------


def test_another_machine_lets_in_too_until_that_is_taken_back_and_who_came_by_it_stays(lab: Lab) -> None:
    lab[0].run("odyssey", "node", "allow", "h2", "invite", "admin", limit_s=120)
    text = wait_for(lambda: invited(lab[1]), 30)
    lab[2].run("odyssey", "leave", limit_s=120)
    lab[2].run("odyssey", "join", "-", stdin=text, limit_s=120)  # there is no other address in it
    wait_for(lambda: states(lab[0]) == {"h1": "up", "h2": "up", "h3": "up"}, 30)
    lab[0].run("odyssey", "node", "deny", "h2", "invite", limit_s=120)
    wait_for(lambda: states(lab[0]) == {"h1": "up", "h2": "up", "h3": "up"}, 30)
    assert lab[2].run("odyssey", "run", "--", "echo", "hi", limit_s=120).out == "hi\n"
    wait_for(lambda: told(lab[1], "status")["nodes"]["up"] == 3, 30)


def test_who_began_the_mesh_leaves_it_once_others_keep_its_jobs_and_let_in(lab: Lab) -> None:
    refused = lab[0].run("odyssey", "leave", check=False)
    assert "error: h1 is the only machine that remembers the jobs of root's mesh, and 2 other machines" in refused.err
    lab[0].run("odyssey", "node", "allow", "h2", "invite", "admin", limit_s=120)
    lab[0].run("odyssey", "node", "allow", "h3", "invite", limit_s=120)
    wait_for(lambda: lab[0].run("odyssey", "leave", check=False, limit_s=120).status == 0, 120)
    wait_for(lambda: states(lab[1]) == states(lab[2]) == {"h2": "up", "h3": "up"}, 30)
    assert lab[2].run("odyssey", "run", "--", "echo", "hi", limit_s=120).out == "hi\n"
    lab[0].run("odyssey", "join", "-", stdin=told(lab[1], "invite")["invite"], limit_s=120)
    wait_for(lambda: states(lab[2]) == {"h1": "up", "h2": "up", "h3": "up"}, 30)


def invited(host: Host) -> str | None:
    """With an invite that is let in by at this machine."""
    done = host.run("odyssey", "invite", "--json", check=False, limit_s=120)
    text = str(json.loads(done.out)["invite"]) if done.status == 0 else ""
    return text if text and any(one.host == host.address for one in invites.read(text).addresses) else None


def test_a_machine_that_may_not_submit_any_more_is_refused(lab: Lab) -> None:
    lab[0].run("odyssey", "node", "deny", "h2", "submit", limit_s=120)
    refused = wait_for(lambda: _refused(lab[1]), 30)
    assert "its certificate does not say so" in refused
    lab[0].run("odyssey", "node", "allow", "h2", "submit", limit_s=120)
    wait_for(lambda: not _refused(lab[1]), 30)
    unknown = lab[0].run("odyssey", "node", "allow", "h2", "fly", check=False)
    assert (unknown.status, unknown.err.splitlines()[0]) == (2, "error: there is no 'fly' for a machine to do")


def _refused(host: Host) -> str:
    done = host.run("odyssey", "run", "--", "true", check=False, limit_s=120)
    return done.err if done.status else ""

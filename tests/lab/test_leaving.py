"""Machines that leave their mesh, or are put out of it, as their users do it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

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

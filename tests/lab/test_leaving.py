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

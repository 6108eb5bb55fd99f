"""Machines that become one mesh, as their users do it: `odyssey up` here, `odyssey join` there."""

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
    with Lab(3) as lab:
        yield lab


def told(host: Host, *words: str) -> Any:
    return json.loads(host.run("odyssey", *words, "--json", limit_s=120).out)


def invite(host: Host) -> str:
    return str(told(host, "invite")["invite"])


def join(host: Host, text: str) -> None:
    host.run("odyssey", "join", "-", stdin=text, limit_s=120)


def states(host: Host) -> dict[str, str]:
    return {one["name"]: one["state"] for one in told(host, "nodes")}


def is_whole(lab: Lab) -> bool:
    return all(states(host) == {"h1": "up", "h2": "up", "h3": "up"} for host in lab)


def test_three_machines_become_one(lab: Lab) -> None:
    lab[0].run("odyssey", "up", "--listen", "0.0.0.0:7660", limit_s=120)
    for host in (lab[1], lab[2]):
        join(host, invite(lab[0]))
    wait_for(lambda: is_whole(lab), 30)
    assert len({told(host, "status")["mesh_id"] for host in lab}) == 1
    for host in lab:
        assert host.run("odyssey", "run", "--", "echo", host.name, limit_s=120).out == f"{host.name}\n"


def test_a_machine_whose_cable_was_cut_is_silent_then_gone_and_comes_back(lab: Lab) -> None:
    lab[0].run("odyssey", "up", "--listen", "0.0.0.0:7660", limit_s=120)
    for host in (lab[1], lab[2]):
        join(host, invite(lab[0]))
    wait_for(lambda: is_whole(lab), 30)
    lab.cut(2)
    wait_for(lambda: states(lab[0])["h3"] == "gone", 30)
    lab.heal(2)
    wait_for(lambda: is_whole(lab), 30)

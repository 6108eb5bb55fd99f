"""A laptop is stolen: its keys are genuine, and worth nothing from the moment the mesh has heard of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from subprocess import PIPE

import pytest

from odyssey.mesh.trust import invite as invites
from tests.lab import Host, Lab
from tests.lab.attacks.scene import attack, curve_of, is_up, join, mesh, node_id, peers, program, states, told
from tests.system.place import wait_for

pytestmark = pytest.mark.lab
SOON_S = 1.0


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(3) as lab:
        mesh(lab, 3)
        wait_for(lambda: all(is_up(host, 3) for host in lab), 30)
        yield lab


def place(host: Host, job: str) -> str | None:
    """Where it runs."""
    tries = told(host, "show", job)["task_list"][0]["tries"]
    return next((str(one["node"]) for one in tries if one["state"] == "running"), None)


def test_its_connections_end_it_does_not_come_back_and_its_work_moves(lab: Lab) -> None:
    """The thief's own program is connected beside the daemon, which still works; each to both others."""
    job = lab[0].run("odyssey", "run", "--detach", "--avoid", "h1", "--", "sleep", "1000", limit_s=120).out.strip()
    runs = wait_for(lambda: place(lab[0], job), 30)
    stolen, other = (lab[1], lab[2]) if runs == "h2" else (lab[2], lab[1])
    key, issuer = node_id(lab[0]), curve_of(lab[0])
    wait_for(lambda: node_id(other) in peers(stolen), 30)
    watches = [stolen.start(*program("impostor", "watches", node), stderr=PIPE) for node in (key, node_id(other))]
    for watch in watches:
        assert watch.stdout is not None
        assert watch.stdout.readline(), "it did not get in"
    lab[0].run("odyssey", "node", "remove", stolen.name, "--yes", limit_s=120)
    over = time.time()
    for watch in watches:
        out, trouble = watch.communicate(timeout=120)
        assert watch.returncode == 0, trouble
        came = json.loads(out.splitlines()[-1])
        print(f"\nended {came['at'] - over:.2f} s after the removal was told")
        assert came["ended"]
        assert came["at"] - over < SOON_S
    assert stolen.name not in states(lab[0])
    wait_for(lambda: place(lab[0], job) == other.name, 60)
    assert attack(stolen, "impostor", "knocks", key) == {"in": False}
    assert "was put out of the mesh" in str(attack(stolen, "renewing", lab[0].address, issuer))


def invited(host: Host) -> str:
    """By this machine, and no other one."""
    done = host.run("odyssey", "invite", "--json", check=False, limit_s=120)
    text = str(json.loads(done.out)["invite"]) if done.status == 0 else ""
    return text if text and {one.host for one in invites.read(text).addresses} >= {host.address} else ""


def test_with_one_that_lets_in_falls_whom_it_has_let_in() -> None:
    with Lab(3) as lab:
        mesh(lab, 2)
        wait_for(lambda: is_up(lab[1], 2), 30)
        lab[0].run("odyssey", "node", "allow", "h2", "invite", "admin", limit_s=120)
        join(lab[2], wait_for(lambda: invited(lab[1]), 30))
        wait_for(lambda: is_up(lab[0], 3), 30)
        wait_for(lambda: node_id(lab[0]) in peers(lab[2]), 30)
        assert attack(lab[2], "impostor", "knocks", node_id(lab[0])) == {"in": True}
        lab[0].run("odyssey", "node", "remove", "h2", "--yes", limit_s=120)
        for thief in (lab[1], lab[2]):
            assert attack(thief, "impostor", "knocks", node_id(lab[0])) == {"in": False}
        wait_for(lambda: states(lab[0]).get("h3") != "up", 30)

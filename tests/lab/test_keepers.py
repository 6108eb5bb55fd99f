"""Keepers that go: the one that coordinates is asked to, is stopped, is killed, or too many are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import Host, Lab
from tests.system.place import wait_for

pytestmark = pytest.mark.lab
KEEPERS_S = 120


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(3) as lab:
        lab[0].run("odyssey", "up", "--listen", "0.0.0.0:7660", limit_s=120)
        for host in (lab[1], lab[2]):
            text = str(told(lab[0], "invite")["invite"])
            host.run("odyssey", "join", "-", stdin=text, limit_s=120)
        wait_for(lambda: told(lab[2], "status")["quorum"]["need"] == 2, KEEPERS_S)
        yield lab


def told(host: Host, *words: str) -> Any:
    return json.loads(host.run("odyssey", *words, "--json", limit_s=120).out)


def coordinator(host: Host) -> str | None:
    found = told(host, "status")["coordinator"]
    return None if found is None else str(found)


def is_whole(host: Host) -> bool:
    return [one["state"] for one in told(host, "nodes")] == ["up"] * 3


def test_a_coordinator_that_steps_down_or_is_stopped_hands_over(lab: Lab) -> None:
    said = lab[0].run("odyssey", "node", "stepdown").err
    now = coordinator(lab[0])
    assert now in ("h2", "h3")
    assert f"{now} is the coordinator now" in said
    lab[int(now[1]) - 1].run("odyssey", "down")
    other = lab[0 if now == "h2" else 1]
    assert coordinator(other) not in (None, now)
    assert other.run("odyssey", "run", "-n", "--", "echo", "hi", limit_s=60).out == "hi\n"


def test_a_coordinator_that_loses_its_power_is_followed_by_another_and_comes_back(lab: Lab) -> None:
    number = lab[1].run("odyssey", "run", "--detach", "--on", "h2", "--", "sleep", "8").out.strip()
    wait_for(lambda: told(lab[1], "show", number)["state"] == "running")
    lab[0].kill()
    wait_for(lambda: coordinator(lab[1]) in ("h2", "h3"), 30)
    assert lab[2].run("odyssey", "run", "-n", "--on", "h3", "--", "echo", "hi", limit_s=60).out == "hi\n"
    assert lab[1].run("odyssey", "wait", number, limit_s=60).status == 0
    assert told(lab[1], "show", number)["tries"] == 1, "what ran elsewhere is not run again"
    lab.boot(0)
    lab[0].run("odyssey", "up", limit_s=120)
    wait_for(lambda: is_whole(lab[0]), 60)


def test_when_two_of_three_are_lost_the_last_one_reads_and_recovers(lab: Lab) -> None:
    number = lab[0].run("odyssey", "run", "--detach", "--", "true").out.strip()
    lab[0].run("odyssey", "wait", number)
    lab[0].kill()
    lab[1].kill()
    wait_for(lambda: coordinator(lab[2]) is None, 60)
    assert lab[2].run("odyssey", "run", "--", "true", check=False, limit_s=120).status == 5
    assert told(lab[2], "show", number)["state"] == "done"
    said = lab[2].run("odyssey", "mesh", "recover", "--yes", limit_s=120).err
    assert "h3 goes on with the log that it has" in said
    wait_for(lambda: coordinator(lab[2]) == "h3", 60)
    assert told(lab[2], "show", number)["state"] == "done"
    assert lab[2].run("odyssey", "run", "-n", "--", "echo", "hi", limit_s=120).out == "hi\n"
    for gone in (0, 1):
        lab.boot(gone)
        lab[gone].run("odyssey", "up", limit_s=120)
    wait_for(lambda: is_whole(lab[2]), 90)
    wait_for(lambda: {coordinator(host) for host in lab} == {"h3"}, 60)

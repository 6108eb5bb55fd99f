"""Real daemons in hosts, as their users start them. Each founds a mesh of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab import Host, Lab
from tests.system.place import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(3) as lab:
        yield lab


def use(host: Host) -> str:
    host.run("odyssey", "up", limit_s=120)
    assert host.run("odyssey", "run", "--", "sh", "-c", "cat; exit 0", stdin=host.name, limit_s=120).out == host.name
    return host.run("odyssey", "status").out


def test_three_machines_at_once_found_run_and_tell(lab: Lab) -> None:
    with ThreadPoolExecutor(3) as pool:
        for told in pool.map(use, lab):
            assert "1 machine" in told
            assert "Jobs: 1 done." in told
    assert [host.run("odyssey", "run", "--", "hostname").out for host in lab] == ["h1\n", "h2\n", "h3\n"]
    assert len({host.run("odyssey", "nodes", "--json").out for host in lab}) == 3


def test_nobody_listens_on_the_lan_before_somebody_asks_for_it(lab: Lab) -> None:
    lab[0].run("odyssey", "run", "--", "true", limit_s=120)
    sockets = lab[0].run("sh", "-c", "cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6").out
    assert [line for line in sockets.splitlines() if ":" in line and "local_address" not in line] == []


def test_a_machine_whose_plug_was_pulled_knows_its_jobs_afterwards(lab: Lab) -> None:
    host = lab[1]
    host.run("odyssey", "up", limit_s=120)
    host.run("odyssey", "run", "--", "true", limit_s=120)
    number = host.run("odyssey", "run", "--detach", "--", "sh", "-c", "echo $ODYSSEY_JOB; sleep 1000").out.strip()
    wait_for(lambda: "running" in host.run("odyssey", "ps").out)
    host.kill()
    lab.boot(1)
    host.run("odyssey", "up", limit_s=120)
    shown = [line.split("\t") for line in host.run("odyssey", "ps").out.splitlines()]
    assert {row[0]: row[3] for row in shown}["1"] == "done"
    assert number in [row[0] for row in shown]
    host.run("odyssey", "cancel", number)

"""What people are told of their mesh while machines are cut off, die and come back: `status`, `nodes`, `node`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from subprocess import Popen
from threading import Thread
from typing import Any

import pytest

from tests.lab import Host, Lab
from tests.system.place import wait_for

pytestmark = pytest.mark.lab
PATIENCE_S = 30


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(3) as lab:
        yield lab


def told(host: Host, *words: str) -> Any:
    return json.loads(host.run("odyssey", *words, "--json", limit_s=120).out)


def said(host: Host) -> list[str]:
    return host.run("odyssey", "status", limit_s=30, check=False).out.splitlines()


def together(lab: Lab, hosts: int) -> None:
    lab[0].run("odyssey", "up", "--listen", "0.0.0.0:7660", limit_s=120)
    for host in lab.hosts[1:hosts]:
        invite = told(lab[0], "invite")["invite"]
        host.run("odyssey", "join", "-", stdin=invite, limit_s=120)
    up = {host.name: "up" for host in lab.hosts[:hosts]}
    wait_for(lambda: all(told(host, "status")["machines"] == up for host in lab.hosts[:hosts]), PATIENCE_S)


def events(host: Host) -> tuple[Popen[str], list[Any]]:
    """What `events -f` tells there, as it comes."""
    following, heard = host.start("odyssey", "events", "-f", "--limit", "0", "--json"), list[Any]()
    assert following.stdout is not None
    lines = following.stdout
    Thread(target=lambda: heard.extend(map(json.loads, lines)), daemon=True).start()
    return following, heard


def is_true(view: Any) -> bool:
    """Nothing is promised that `can_lose` does not say."""
    return bool(view["can_lose"]) != bool(view["must_stay"]) or view["coordinator"] is None


def test_two_machines_say_what_a_third_would_change(lab: Lab) -> None:
    together(lab, 2)
    for host in lab.hosts[:2]:
        lines = said(host)
        assert "2 machines, all up" in lines[0]
        assert any(line.startswith("If h1") and "no new jobs" in line for line in lines), lines
        assert any("A third machine" in line for line in lines), lines
        assert is_true(told(host, "status"))


def test_a_machine_that_is_cut_off_says_so_and_tells_what_it_knew(lab: Lab) -> None:
    together(lab, 3)
    wait_for(lambda: len(told(lab[2], "nodes")) == 3, PATIENCE_S)
    lab.cut(2)
    wait_for(lambda: any(line.startswith("Cut off for") for line in said(lab[2])), PATIENCE_S)
    view = told(lab[2], "status")
    assert (view["coordinator"], view["can_lose"], view["node"]) == (None, 0, "h3")
    assert view["age_seconds"] > 0
    wait_for(lambda: {one["state"] for one in told(lab[2], "nodes") if one["name"] != "h3"} == {"gone"}, PATIENCE_S)
    wait_for(lambda: "Not here: h3 (gone)." in said(lab[0]), PATIENCE_S)
    assert told(lab[0], "status")["machines"]["h3"] == "gone"
    lab.heal(2)
    wait_for(lambda: all("3 machines, all up" in said(host)[0] for host in lab), PATIENCE_S)
    assert told(lab[2], "status")["coordinator"] is not None


def test_a_machine_that_died_is_named_until_it_is_back(lab: Lab) -> None:
    together(lab, 3)
    lab[1].kill()
    wait_for(lambda: "Not here: h2 (gone)." in said(lab[0]), PATIENCE_S)
    assert is_true(told(lab[0], "status"))
    lab.boot(1)
    lab[1].run("odyssey", "up", limit_s=120)
    wait_for(lambda: "3 machines, all up" in said(lab[0])[0], PATIENCE_S)


def ended(heard: list[Any]) -> list[str]:
    return [event["subject"] for event in heard if event["kind"] == "job-ended"]


def test_who_follows_what_happens_misses_nothing_of_the_log_over_a_cut_and_hears_nothing_twice(lab: Lab) -> None:
    together(lab, 3)
    following, heard = events(lab[2])
    lab[0].run("odyssey", "run", "--on", "h1", "--", "true", limit_s=60)
    wait_for(lambda: ended(heard) == ["1"], PATIENCE_S)
    lab.cut(2)
    for _ in range(3):
        lab[0].run("odyssey", "run", "--on", "h1", "--", "true", limit_s=60)
    wait_for(lambda: told(lab[0], "status")["machines"]["h3"] == "gone", PATIENCE_S)
    assert ended(heard) == ["1"]
    lab.heal(2)
    lab[0].run("odyssey", "run", "--on", "h1", "--", "true", limit_s=60)
    wait_for(lambda: len(ended(heard)) >= 5, PATIENCE_S)
    assert ended(heard) == ["1", "2", "3", "4", "5"]
    of_log = [event["mark"] for event in heard if event["index"]]
    assert len(of_log) == len(set(of_log))
    wait_for(lambda: "machine-back" in [event["kind"] for event in heard], PATIENCE_S)
    observed = [event for event in heard if event["kind"].startswith("machine-")]
    assert [one["kind"] for one in observed] == ["machine-silent", "machine-gone", "machine-back"]
    assert {(one["subject"], one["data"]["seen_by"], one["index"]) for one in observed} == {("h3", "h1", 0)}
    following.kill()


WALL = """
table inet wall {
  chain in {
    type filter hook input priority 0; policy accept
    tcp dport 7660-7662 tcp flags & (syn | ack) == syn drop
  }
}
"""


def doctor(host: Host, *words: str) -> dict[str, Any]:
    done = host.run("odyssey", "doctor", *words, "--json", limit_s=60, check=False)
    found = {one["name"]: one for one in json.loads(done.out)["checks"]}
    broken = [one for one in found.values() if one["is_fine"] is False and not (one["is_limit"] or one["is_warning"])]
    assert done.status == int(bool(broken)), done
    return found


def fine(checks: dict[str, Any], *names: str) -> list[bool | None]:
    return [checks[name]["is_fine"] for name in names]


def test_doctor_tries_both_directions_and_names_the_closed_one(lab: Lab) -> None:
    together(lab, 3)
    wait_for(lambda: fine(doctor(lab[0]), "h2", "h3") == [True, True], PATIENCE_S)
    ways = "link", "from here", "to here", "clock", "frames"
    wait_for(lambda: fine(doctor(lab[2], "h2"), *ways) == [True] * 5, PATIENCE_S)
    lab[1].run("nft", "-f", "-", stdin=WALL)
    found = doctor(lab[0], "h2")
    assert fine(found, "link", "from here", "to here") == [True, False, True]
    assert "closed from h1 to h2: 10.77.0.2 port 7661 is there and does not answer" in found["from here"]["text"]
    assert found["from here"]["hint"] == "on h2: sudo ufw allow 7661:7662/tcp"
    found = doctor(lab[1], "h1")
    assert fine(found, "from here", "to here") == [True, False]
    assert "closed from h1 to h2" in found["to here"]["text"]
    lab[1].set_clock(wall_s=600)
    wait_for(lambda: doctor(lab[0], "h2")["clock"]["is_fine"] is False, PATIENCE_S)
    assert "10m" in doctor(lab[0], "h2")["clock"]["text"]
    assert doctor(lab[0])["h2"]["is_fine"] is False


def test_doctor_asks_through_another_machine_where_two_cannot_talk(lab: Lab) -> None:
    together(lab, 3)
    lab.block(1, 2)
    lab.block(2, 1)
    wait_for(lambda: doctor(lab[1], "h3")["link"]["is_fine"] is False, PATIENCE_S)
    found = doctor(lab[1], "h3")
    assert fine(found, "from here", "to here") == [False, False]
    assert "another machine can reach it" in found["link"]["text"]
    assert "closed from h3 to h2" in found["to here"]["text"]


def test_doctor_tells_what_it_can_where_no_daemon_runs(lab: Lab) -> None:
    found = doctor(lab[0])
    assert fine(found, "daemon", "disk", "networks") == [False, None, True]


def test_what_only_a_machine_itself_knows_is_told_wherever_it_can_be_asked(lab: Lab) -> None:
    together(lab, 3)
    lab[2].run("odyssey", "share", "--cpus", "1")
    for host in lab:
        for name in ("h1", "h2", "h3"):
            detail = told(host, "node", name)
            assert detail["gives"]
            assert any(one["name"] == "ends" for one in detail["limits"])
        assert any("1 core" in line for line in told(host, "node", "h3")["gives"])


def test_a_program_that_only_one_machine_has_is_found_there_by_its_name(lab: Lab) -> None:
    together(lab, 3)
    frob = "/usr/local/sbin/frob"  # where the owner's login shell looks; of this host alone
    write = f"mount -t tmpfs tmpfs /usr/local/sbin && printf '#!/bin/sh\\nhostname\\n' > {frob} && chmod +x {frob}"
    lab[2].run("sh", "-c", write)
    assert lab[1].run("odyssey", "run", "--needs", "has:frob", "--", "frob", limit_s=60).out == "h3\n"
    labels = told(lab[1], "node", "h3")["labels"]
    assert {"os", "arch", "libc", "python", "has:frob"} <= set(labels)
    refused = lab[0].run("odyssey", "run", "--needs", "has:nothing-like-it", "--", "true", check=False)
    assert refused.status == 2


def test_who_follows_is_told_of_a_new_coordinator_and_misses_nothing(lab: Lab) -> None:
    together(lab, 3)
    wait_for(lambda: told(lab[0], "status")["can_lose"] == 1, 120)
    assert "You can switch off any one machine. Nothing is lost and work goes on." in said(lab[0])
    following, heard = events(lab[2])
    lab[1].run("odyssey", "run", "--on", "h2", "--", "true", limit_s=60)
    wait_for(lambda: ended(heard) == ["1"], PATIENCE_S)
    lab[0].kill()
    wait_for(lambda: any("is the coordinator now" in event["text"] for event in heard), PATIENCE_S)
    lab[1].run("odyssey", "run", "--on", "h2", "--", "true", limit_s=60)
    wait_for(lambda: ended(heard) == ["1", "2"], PATIENCE_S)
    wait_for(lambda: "machine-gone" in [event["kind"] for event in heard], PATIENCE_S)
    of_log = [event["mark"] for event in heard if event["index"]]
    assert len(of_log) == len(set(of_log))
    lines = said(lab[2])
    assert any(line.startswith("If h") and "no new jobs are taken" in line for line in lines), lines
    assert "Switch on h1 again, or add a machine: odyssey invite" in lines
    following.kill()

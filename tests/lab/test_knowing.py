"""Machines of one mesh know each other: where each is, when that changes, whose time is over, and who was put out."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from odyssey import __version__, wire
from odyssey.mesh.company import _read
from odyssey.mesh.trust.certificates import DAY_MS, Certificate
from odyssey.mesh.trust.signed import opened
from odyssey.mesh.trust.standing import Known
from tests.lab import Host, Lab
from tests.system.place import wait_for

pytestmark = pytest.mark.lab
UP = ("odyssey", "up", "--listen", "0.0.0.0:7660")
ALL_UP = {"h1": "up", "h2": "up", "h3": "up"}


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Three machines in one mesh."""
    with Lab(3) as lab:
        lab[0].run(*UP, limit_s=120)
        for host in (lab[1], lab[2]):
            join(lab, host)
        wait_for(lambda: is_whole(lab), 60)
        yield lab


def join(lab: Lab, host: Host) -> None:
    host.run("odyssey", "join", "-", stdin=told(lab[0], "invite")["invite"], limit_s=120)


def told(host: Host, *words: str) -> Any:
    return json.loads(host.run("odyssey", *words, "--json", limit_s=120).out)


def submitted(host: Host, *words: str) -> int:
    return int(json.loads(host.run("odyssey", "run", "--detach", "--json", *words, limit_s=120).out)["id"])


def nodes(host: Host) -> dict[str, Any]:
    done = host.run("odyssey", "nodes", "--json", limit_s=120, check=False)
    return {one["name"]: one for one in json.loads(done.out)} if done.status == 0 else {}


def states(host: Host) -> dict[str, str]:
    return {name: one["state"] for name, one in nodes(host).items()}


def is_whole(lab: Lab) -> bool:
    return all(states(host) == ALL_UP for host in lab)


def home(host: Host) -> Path:
    (found,) = (host.folder / "home/.local/state/odyssey").iterdir()
    return found


def certificate(host: Host) -> Certificate:
    data = (home(host) / "identity/trust").read_bytes()
    return opened(wire.decode_log(data[4:], Known).certificate, Certificate)


def known_addresses(host: Host) -> set[str]:
    return {address for peer in _read(home(host) / "peers") for address in peer.addresses}


def set_clocks(lab: Lab, days: float) -> None:
    for host in lab:
        host.set_clock(wall_s=days * 86_400)


# -- where each is -----------------------------------------------------------------------------------------------------


def test_each_knows_of_all_where_they_are_and_how(lab: Lab) -> None:
    for host in lab:
        for other in lab:
            wait_for(lambda host=host, other=other: f"{other.address}:7660" in known_addresses(host), 20)  # type: ignore[misc]
    for host in lab:
        for name, one in wait_for(lambda host=host: full(nodes(host)), 20).items():  # type: ignore[misc]
            assert one["address"] == f"{next(one for one in lab if one.name == name).address}:7660"
            assert one["version"] == __version__
            assert 0 <= one["cpu_percent"] <= 100
            assert 0 < one["memory_percent"] <= 100
            assert one["load1"] >= 0
            assert 0 <= one["last_seen_seconds"] < 5


def full(found: dict[str, Any]) -> dict[str, Any]:
    """Once all was told."""
    fields = ("address", "version", "cpu_percent", "memory_percent", "load1", "last_seen_seconds")
    return found if all(one[field] is not None for one in found.values() for field in fields) else {}


def test_who_was_away_finds_a_mesh_whose_founder_has_moved(lab: Lab) -> None:
    wait_for(lambda: f"{lab[1].address}:7660" in known_addresses(lab[2]), 20)
    lab[2].run("odyssey", "down", limit_s=120)
    lab[0].run("odyssey", "down", limit_s=120)
    before, now = lab[0].address, "10.77.0.101"
    lab[0].ip(f"addr flush dev eth0 scope global\naddr add {now}/24 dev eth0\n")
    lab[0].run(*UP, limit_s=120)
    wait_for(lambda: states(lab[1]).get("h1") == "up", 60)  # it was called by the founder
    assert f"{before}:7660" in known_addresses(lab[2])
    lab[2].run(*UP, limit_s=120)
    wait_for(lambda: is_whole(lab), 60)
    wait_for(lambda: f"{now}:7660" in known_addresses(lab[2]), 20)


def test_a_machine_that_nobody_can_call_works_as_the_others(lab: Lab) -> None:
    """Its firewall lets nobody in: what is to be done there travels on the connection that it has made itself."""
    lab[2].run("odyssey", "down", limit_s=120)
    chain = "type filter hook input priority 0\n tcp flags & (syn | ack) == syn drop\n"
    rules = f"table inet f {{\n chain i {{\n {chain} }}\n}}\n"
    lab[2].run("nft", "-f", "-", stdin=rules)
    lab[2].run(*UP, limit_s=120)
    wait_for(lambda: is_whole(lab), 60)
    job = submitted(lab[1], "--on", "h3", "--", "true")
    wait_for(lambda: told(lab[0], "show", str(job))["state"] == "done", 30)


# -- put out -----------------------------------------------------------------------------------------------------------


def running(host: Host, job: int) -> str | None:
    tries = told(host, "show", str(job))["task_list"][0]["tries"]
    return next((str(one["node"]) for one in tries if one["state"] == "running"), None)


def sleeps(host: Host) -> bool:
    names = ((Path("/proc") / str(one) / "cmdline").read_bytes() for one in host.processes())
    return any(name.startswith(b"sleep\x001000") for name in names)


def test_whoever_is_put_out_is_heard_no_more_and_says_so(lab: Lab) -> None:
    job = submitted(lab[0], "--avoid", "h1", "--", "sleep", "1000")
    place = wait_for(lambda: running(lab[0], job), 30)
    out, other = (lab[1], lab[2]) if place == "h2" else (lab[2], lab[1])
    assert sleeps(out)
    lab[0].run("odyssey", "node", "remove", out.name, "--yes", limit_s=120)
    began = time.monotonic()
    sentence = "This machine was removed from root's mesh by root."
    wait_for(lambda: out.run("odyssey", "status").out.startswith(sentence), 20)
    print(f"it knows after {time.monotonic() - began:.2f} s")
    refused = out.run("odyssey", "run", "--", "true", check=False)
    assert refused.err.splitlines() == [
        "error: this machine was removed from root's mesh by root",
        "hint: odyssey leave, then join again with a new invite",
    ]
    wait_for(lambda: not sleeps(out), 20)
    wait_for(lambda: running(lab[0], job) == other.name, 40)
    assert states(other) == {"h1": "up", other.name: "up"}
    out.run("odyssey", "down", limit_s=120)
    out.run("odyssey", "up", limit_s=120)
    assert out.run("odyssey", "status").out.startswith(sentence)
    assert states(lab[0]) == {"h1": "up", other.name: "up"}


def test_whoever_is_put_out_while_it_is_away_hears_it_when_it_comes_back(lab: Lab) -> None:
    lab.cut(2)
    lab[0].run("odyssey", "node", "remove", "h3", "--yes", limit_s=120)
    assert "h3" not in states(lab[1])
    lab.heal(2)
    wait_for(lambda: lab[2].run("odyssey", "status").out.startswith("This machine was removed"), 60)
    assert set(states(lab[0])) == {"h1", "h2"}


# -- certificates ------------------------------------------------------------------------------------------------------


def test_certificates_renew_themselves(lab: Lab) -> None:
    before = {host.name: certificate(host).not_before for host in lab}
    set_clocks(lab, 8)
    for host in lab:
        wait_for(lambda host=host: certificate(host).not_before > before[host.name] + 7 * DAY_MS, 60)  # type: ignore[misc]
    wait_for(lambda: is_whole(lab), 30)


def test_a_mesh_whose_certificates_are_all_over_comes_back_by_itself(lab: Lab) -> None:
    """All were switched off for three weeks."""
    set_clocks(lab, 21)
    wait_for(lambda: all(certificate(host).expiry > time.time() * 1000 + 30 * DAY_MS for host in lab), 90)
    wait_for(lambda: is_whole(lab), 60)


# -- copies ------------------------------------------------------------------------------------------------------------


def clone(source: Host, to: Host) -> None:
    """Its disk, as one copies a virtual machine: the machine's id, too."""
    (to.folder / "machine-id").write_text((source.folder / "machine-id").read_text())
    shutil.rmtree(to.folder / "home" / ".local")
    shutil.copytree(source.folder / "home/.local", to.folder / "home/.local", symlinks=True, ignore=_sockets)


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_socket()]


def test_a_home_that_was_copied_is_not_let_in_and_both_say_so(lab: Lab) -> None:
    lab[2].run("odyssey", "leave", "--clean", "--yes", limit_s=120)
    clone(lab[1], lab[2])
    lab[2].run("odyssey", "up", limit_s=120)
    wait_for(lambda: "its home is a copy of another machine's" in lab[2].run("odyssey", "status", check=False).out, 60)
    places = [f"A copy of this machine's home runs at {place}" for place in (lab[2].address, lab[2].address6)]
    wait_for(lambda: any(place in lab[1].run("odyssey", "status").out for place in places), 60)
    assert states(lab[0]) == {"h1": "up", "h2": "up"}
    assert lab[1].run("odyssey", "run", "--", "echo", "here", limit_s=120).out == "here\n"
    lab[2].run("odyssey", "leave", "--clean", "--yes", limit_s=120)
    join(lab, lab[2])
    wait_for(lambda: is_whole(lab), 60)


_NEVER_USED = """
import os
from msgspec.structs import replace
from odyssey.clock import SystemClock, SystemEntropy
from odyssey.daemon import founding
from odyssey.ids import UserId
from odyssey.mesh import identity
from odyssey.paths import find_home, machine_id, prepare
home, entropy = find_home(), SystemEntropy()
prepare(home)
key = identity.load_or_make(home.key, entropy)
made = founding.begin(UserId("anna"), os.uname().nodename, "", entropy)
made = founding.found_trust(home, made, key, SystemClock(), entropy)
founding.save(home, replace(made, host=founding.host(machine_id())))
"""


def test_a_home_that_was_copied_before_it_was_used_gets_a_key_of_its_own() -> None:
    """As from one image on many disks: each is another machine."""
    with Lab(2) as lab:
        place = "ODYSSEY_HOME=" + str(lab[0].folder / "home" / "image")
        other = "ODYSSEY_HOME=" + str(lab[1].folder / "home" / "image")
        lab[0].run("env", place, *lab[0].python("-c", _NEVER_USED))
        shutil.copytree(lab[0].folder / "home/image", lab[1].folder / "home/image", symlinks=True)
        ids = set()
        for host, where in zip(lab, (place, other), strict=True):
            host.run("env", where, *UP, limit_s=120)
            ids.add(json.loads(host.run("env", where, "odyssey", "status", "--json", limit_s=120).out)["node_id"])
        assert len(ids) == 2

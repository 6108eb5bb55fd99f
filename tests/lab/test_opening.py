"""A machine and the networks that it is on: `odyssey up` opens it, others find it by multicast, a strange network hears
nothing of it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab import Host, Lab
from tests.lab.sitting import sits
from tests.system.place import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(3) as lab:
        yield lab


def told(host: Host, *words: str) -> Any:
    return json.loads(host.run("odyssey", *words, "--json", limit_s=120).out)


def up(host: Host, *words: str) -> str:
    return host.run("odyssey", "up", *words, limit_s=120).err


def joins(lab: Lab, number: int) -> None:
    text = str(told(lab[0], "invite")["invite"])
    lab[number].run("odyssey", "join", "-", stdin=text, limit_s=120)


def states(host: Host) -> dict[str, str]:
    return {one["name"]: one["state"] for one in told(host, "nodes")}


def listens(host: Host) -> set[str]:
    """At which addresses, with their ports, TCP and UDP."""
    return {line.split()[4] for line in host.run("ss", "-Hlntu").out.splitlines()}


def addresses(host: Host) -> set[str]:
    return {one.rpartition(":")[0] for one in listens(host)}


def lines(host: Host) -> list[str]:
    return host.run("odyssey", "status", limit_s=60).out.splitlines()


def readdressed(host: Host, last: int) -> None:
    """Another address of the same network, as when a lease ends; nobody is told."""
    before = host.run("ip", "-o", "-4", "address", "show", "eth0").out.split()[3]
    default = "route add default via 10.77.0.254"
    host.ip(f"address flush dev eth0 scope global\naddress add 10.77.0.{last}/24 dev eth0\n{default}")
    assert not before.startswith(f"10.77.0.{last}/")


@contextmanager
def occupied(host: Host, port: int) -> Iterator[None]:
    program = f"import socket; s = socket.create_server(('0.0.0.0', {port})); print('x', flush=True); s.accept()"
    process = host.start(*host.python("-c", program), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(1) == "x"
    yield
    host.run("sh", "-c", f"kill $(ss -Hlntp sport = :{port} | grep -o 'pid=[0-9]*' | cut -d= -f2)")
    process.wait()


# -- ports -------------------------------------------------------------------------------------------------------------


def test_up_opens_a_machine_and_run_does_not(lab: Lab) -> None:
    host = lab[0]
    host.run("odyssey", "run", "--", "true", limit_s=120)
    assert listens(host) == set()
    up(host)
    wait_for(lambda: {f"{host.address}:{port}" for port in (7660, 7661, 7662)} <= listens(host))
    assert {f"[{host.address6}]:{port}" for port in (7660, 7661, 7662)} <= listens(host)
    assert not any(one.startswith(("0.0.0.0:76", "[::]:76", "*:76")) for one in listens(host))
    assert f"Others find this machine at {host.address}:7660." in lines(host)
    host.run("odyssey", "down", limit_s=60)
    host.run("odyssey", "run", "--", "true", limit_s=120)
    assert listens(host) == set()  # nobody else is in its mesh


@pytest.mark.parametrize("port", [7660, 7662])
def test_where_ports_are_taken_the_next_are_and_stay(lab: Lab, port: int) -> None:
    with occupied(lab[0], port):
        up(lab[0])
        assert told(lab[0], "status")["listen"] == "0.0.0.0:7670"
        joins(lab, 1)
    lab[0].run("odyssey", "down", limit_s=60)
    up(lab[0])
    assert told(lab[0], "status")["listen"] == "0.0.0.0:7670"
    wait_for(lambda: states(lab[1]) == {"h1": "up", "h2": "up"}, 60)


def test_what_its_owner_asks_for_and_cannot_have_is_one_error_and_changes_nothing(lab: Lab) -> None:
    host = lab[0]
    with occupied(host, 7661):
        refused = host.run("odyssey", "up", "--listen", "0.0.0.0:7660", check=False, limit_s=60)
    assert re.fullmatch(r"error: cannot listen on .*7661: .*\nhint: .*--listen .*\n", refused.err)
    assert refused.status == 1
    for words, status in ((("nonsense",), 2), (("10.99.0.1:7660",), 1), (("0.0.0.0:99999",), 2), (("nova:80",), 2)):
        refused = host.run("odyssey", "up", "--listen", *words, check=False, limit_s=60)
        assert (refused.status, len(refused.err.splitlines())) == (status, 2), refused
    up(host)
    assert told(host, "status")["listen"] == "0.0.0.0:7660"


def test_on_its_loopback_it_is_alone_whatever_is_around(lab: Lab) -> None:
    up(lab[0], "--listen", "127.0.0.1:0")
    before = told(lab[0], "status")["listen"]
    assert addresses(lab[0]) == {"127.0.0.1"}
    lab[0].run("odyssey", "down", limit_s=60)
    up(lab[0])
    assert told(lab[0], "status")["listen"] == before
    assert "listens at 127.0.0.1 only" in lab[0].run("odyssey", "network", check=False, limit_s=60).err


def test_a_machine_without_a_network_is_a_mesh_of_one_until_there_is_one(lab: Lab) -> None:
    host = lab[0]
    host.ip("link set eth0 down")
    up(host)
    host.run("odyssey", "run", "--", "true", limit_s=120)
    assert addresses(host) == {"127.0.0.1"}
    host.ip("link set eth0 up")
    up(host, "--name", "nova")  # in a script: nobody says that this network is his
    wait_for(lambda: any("quiet here" in line for line in lines(host)), 30)
    assert addresses(host) == {"127.0.0.1"}
    host.run("odyssey", "network", "trust", limit_s=60)
    assert told(host, "status")["address"].startswith(("10.77.0.1:", f"[{host.address6}]:"))


def test_where_there_is_only_ipv6_machines_join_as_well(lab: Lab) -> None:
    for host in lab.hosts[:2]:
        host.ip(f"address flush dev eth0 scope global\naddress add {host.address6}/64 dev eth0 nodad")
    up(lab[0], "--listen", f"[{lab[0].address6}]:8000")  # there, and nowhere else
    assert addresses(lab[0]) == {f"[{lab[0].address6}]"}
    joins(lab, 1)
    assert told(lab[1], "status")["address"] == f"[{lab[1].address6}]:7660"
    wait_for(lambda: states(lab[0]) == {"h1": "up", "h2": "up"}, 30)


# -- others ------------------------------------------------------------------------------------------------------------


def test_machines_that_have_both_moved_find_each_other_by_multicast(lab: Lab) -> None:
    """No address that any of them knows is right any more."""
    up(lab[0])
    for number in (1, 2):
        joins(lab, number)
    wait_for(lambda: set(states(lab[0]).values()) == {"up"}, 30)
    for number in range(3):
        readdressed(lab[number], 100 + number)
    wait_for(lambda: any(state != "up" for state in states(lab[0]).values()), 60)
    for host in lab:
        wait_for(lambda host=host: states(host) == {"h1": "up", "h2": "up", "h3": "up"}, 90)  # type: ignore[misc]
    assert told(lab[1], "status")["address"] == "10.77.0.101:7660"


def test_a_mesh_that_is_here_is_offered_to_a_person_and_named_to_a_script(lab: Lab) -> None:
    assert up(lab[0]) == ""
    wait_for(lambda: any(one.endswith(":5353") for one in listens(lab[0])))
    note = up(lab[1])
    assert "there is a mesh here already (1 machine, seen on eth0): odyssey join" in note
    invite = str(told(lab[0], "invite")["invite"])
    with sits(lab[2], "odyssey", "up") as terminal:
        terminal.until(b"Join it? [Y/n]", 60)
        terminal.types(b"\n")
        terminal.until(b"Paste the invite", 60)
        terminal.types(invite.encode() + b"\n")
        terminal.until(b"is in ", 60)
        assert terminal.ends(60) == 0
    wait_for(lambda: states(lab[0]) == {"h1": "up", "h3": "up"}, 30)


def test_an_invite_whose_addresses_are_old_still_leads_there(lab: Lab) -> None:
    up(lab[0])
    text = str(told(lab[0], "invite")["invite"])
    readdressed(lab[0], 100)
    wait_for(lambda: told(lab[0], "status")["address"] == "10.77.0.100:7660", 30)
    lab[1].run("odyssey", "join", "-", stdin=text, limit_s=120)
    wait_for(lambda: states(lab[1]) == {"h1": "up", "h2": "up"}, 30)


def test_where_nobody_answers_what_was_observed_is_said(lab: Lab) -> None:
    up(lab[0])
    text = str(told(lab[0], "invite")["invite"])
    lab[0].run("odyssey", "down", limit_s=60)
    refused = lab[1].run("odyssey", "join", "-", stdin=text, check=False, limit_s=120)
    assert refused.status == 3
    assert "No machine answered (looked on eth0 10.77.0.0/24" in refused.err
    assert f"{lab[0].address} is up but nothing listens on port 7660" in refused.err
    assert "guess" not in refused.err


# -- strange networks --------------------------------------------------------------------------------------------------

CAPTURE = """
import socket, struct, sys
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
heard.bind(("eth0", 0))
print("on", flush=True)
while True:
    frame, where = heard.recvfrom(70000)
    kind = struct.unpack("!H", frame[12:14])[0]
    if where[2] != 4:
        continue
    if kind == 0x0800:
        proto, body = frame[23], frame[14 + 4 * (frame[14] & 15):]
    elif kind == 0x86dd:
        proto, body = frame[20], frame[54:]
    else:
        continue
    if proto not in (6, 17):
        continue
    source, target = struct.unpack("!HH", body[:4])
    flags = body[13] if proto == 6 else 0
    print("tcp" if proto == 6 else "udp", source, target, flags, flush=True)
"""


def test_on_a_strange_network_it_is_quiet_and_finds_its_mesh_from_there(lab: Lab) -> None:
    up(lab[0])
    joins(lab, 1)
    host = lab[1]
    wait_for(lambda: any(one.endswith(":5353") for one in listens(host)), 30)
    host.run("odyssey", "down", limit_s=60)
    lab.readdress(1, 9)
    file = host.folder / "captured"
    with file.open("w") as out:
        host.start(*host.python("-c", CAPTURE), stdout=out)
        wait_for(lambda: file.read_text().startswith("on"))
        up(host)
        (note,) = [line for line in lines(host) if "quiet" in line]
        assert note == "New network 10.77.9.0/24 (eth0): quiet here. It is mine: odyssey network trust"
        knock = "import socket; s = socket.socket(); s.settimeout(1); print(s.connect_ex(('10.77.9.2', 7661)))"
        wires = "address add 10.77.9.77/24 dev eth0"
        lab[2].ip(wires)
        assert lab[2].run(*lab[2].python("-c", knock)).out != "0\n"
    assert addresses(host) == {"127.0.0.1"}
    said = [line.split() for line in file.read_text().splitlines()[1:]]
    assert [one for one in said if one[0] == "udp" and "5353" in one[1:3]] == []
    assert [one for one in said if one[0] == "tcp" and one[3] == "18"] == []  # nobody was let in
    host.run("odyssey", "network", "trust", limit_s=60)
    assert told(host, "status")["address"] == "10.77.9.2:7660"
    assert [one["state"] for one in told(host, "network") if one["interface"]] == ["known"]
    host.run("odyssey", "network", "forget", "eth0", limit_s=60)
    assert addresses(host) == {"127.0.0.1"}


def test_a_network_on_which_a_member_is_met_is_known(lab: Lab) -> None:
    """A new router: one person says so on one machine."""
    up(lab[0])
    joins(lab, 1)
    wait_for(lambda: states(lab[0]) == {"h1": "up", "h2": "up"}, 30)
    for host in lab.hosts[:2]:
        host.run("odyssey", "network", "forget", "eth0", limit_s=60)
        assert addresses(host) == {"127.0.0.1"}
    lab[0].run("odyssey", "network", "trust", limit_s=60)
    wait_for(lambda: f"{lab[1].address}:7661" in listens(lab[1]), 60)


def test_a_member_is_never_closed_to_its_mesh(lab: Lab) -> None:
    up(lab[0])
    joins(lab, 1)
    wait_for(lambda: states(lab[0]) == {"h1": "up", "h2": "up"}, 30)
    for host in lab.hosts[:2]:
        host.run("odyssey", "down", limit_s=60)
    for host in lab.hosts[:2]:
        host.run("odyssey", "run", "--detach", "--", "true", limit_s=120, check=False)
        assert told(host, "status")["is_embedded"] is False
    wait_for(lambda: states(lab[0]) == {"h1": "up", "h2": "up"}, 60)

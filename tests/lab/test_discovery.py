"""Machines find each other over real multicast; where they cannot, they say why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.lab import Host, Lab
from tests.lab.host import ROOT
from tests.lab.probes import ASK
from tests.system.place import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(3) as lab:
        yield lab


LISTEN_ON = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 7999))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.251") + socket.inet_aton("{}"))
s.recv(1)
"""


class Seeker:
    """A program that seeks, on one host."""

    def __init__(self, host: Host, *how: str, **more: Any) -> None:
        self.host = host
        self._file = host.folder / f"told-{len(list(host.folder.glob('told-*')))}"
        with self._file.open("w") as file:
            self.process = host.start(*host.python("-m", "tests.lab.seeking", *how), stdout=file, **more)

    def told(self) -> list[dict[str, Any]]:
        text = self._file.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def all(self, what: str) -> list[Any]:
        return [line[what] for line in self.told() if what in line]

    def found(self) -> dict[str, list[str]]:
        found: list[dict[str, list[str]]] = self.all("found")
        return found[-1] if found else {}

    def is_on(self) -> bool:
        return any("is_on" in line or "said" in line for line in self.told())

    def first_ms(self, ports: set[str]) -> int:
        """From when it was on until all of these were found."""
        told = self.told()
        began = next(line["at"] for line in told if "is_on" in line)
        return int(next(line["at"] for line in told if ports <= set(line.get("found", ()))) - began)

    def ends(self) -> None:
        """In order: `nsenter` hands no signal on."""
        os.kill(python_in(self.host), signal.SIGTERM)
        self.process.wait()


def ports(*hosts: Host) -> set[str]:
    return {str(7000 + host.number) for host in hosts}


def announcing(host: Host) -> Seeker:
    return Seeker(host, "announce", str(7000 + host.number))


def find(seeker: Seeker, wanted: set[str]) -> None:
    wait_for(lambda: set(seeker.found()) == wanted)


def test_three_machines_find_each_other_and_nobody_tells_of_his_loopback(lab: Lab) -> None:
    seekers = [announcing(host) for host in lab]
    for seeker in seekers:
        find(seeker, ports(*lab) - ports(seeker.host))
    for seeker in seekers:
        for other in lab:
            if other is not seeker.host:
                addresses = seeker.found()[str(7000 + other.number)]
                assert {other.address, other.address6} < set(addresses)
                assert next(one for one in addresses if one not in (other.address, other.address6)).endswith("%eth0")
                assert not [one for one in addresses if one.startswith(("127.", "::1"))]
    times = [seeker.first_ms(ports(*lab) - ports(seeker.host)) for seeker in seekers]
    print(f"all three found after {sorted(times)} ms, median {median(times)}")


def test_a_late_one_finds_those_who_are_there_and_they_find_it(lab: Lab) -> None:
    early = [announcing(host) for host in lab.hosts[:2]]
    for seeker in early:
        find(seeker, ports(*lab.hosts[:2]) - ports(seeker.host))
    late = announcing(lab[2])
    find(late, ports(lab[0], lab[1]))
    for seeker in early:
        find(seeker, ports(*lab) - ports(seeker.host))
    print(f"a late one found two after {late.first_ms(ports(lab[0], lab[1]))} ms")


def test_who_goes_in_order_is_gone_at_once_and_who_comes_back_after_a_crash_is_there_once(lab: Lab) -> None:
    ear, one, other = Seeker(lab[0], "silent"), announcing(lab[1]), announcing(lab[2])
    find(ear, ports(lab[1], lab[2]))
    one.ends()
    find(ear, ports(lab[2]))
    lab[2].kill()
    other.process.wait()
    lab.boot(2)
    again = announcing(lab[2])
    wait_for(again.is_on)
    lines = len(ear.told())
    wait_for(lambda: len(ear.told()) >= lines and set(ear.found()) == ports(lab[2]))
    # Who looks now finds only what lives.
    late = Seeker(lab[1], "silent")
    find(late, ports(lab[2]))


def test_a_silent_one_says_nothing(lab: Lab) -> None:
    ear, silent, speaker = Seeker(lab[0], "silent"), Seeker(lab[1], "silent"), announcing(lab[2])
    for seeker in (ear, silent):
        find(seeker, ports(lab[2]))
    wait_for(speaker.is_on)
    assert speaker.found() == {}


def test_what_comes_in_by_another_interface_is_not_heard_and_not_answered(lab: Lab) -> None:
    lab.connect(0, 1, 9)
    speaker = Seeker(lab[0], "announce", "7000", "eth0")
    find(Seeker(lab[2], "silent"), ports(lab[0]))
    # Another program of this machine listens there, as many do.
    lab[0].start(*lab[0].python("-c", LISTEN_ON.format("10.77.9.1")), stdout=subprocess.DEVNULL)
    told = lab[1].run(*lab[1].python("-c", ASK, "10.77.9.1", "10.77.0.1")).out
    assert told == "10.77.0.1 True\n"
    other = announcing(lab[1])
    wait_for(lambda: "7001" in speaker.found())
    assert all("10.77.9.2" not in addresses for addresses in speaker.found().values())
    assert other.process.poll() is None


def test_a_hundred_fakes_do_no_harm(lab: Lab) -> None:
    fakes = Seeker(lab[0], "fakes", "100")
    wait_for(fakes.is_on)
    real, ear = announcing(lab[1]), Seeker(lab[2], "silent")
    wait_for(lambda: ports(lab[1]) <= set(ear.found()))
    assert ear.first_ms(ports(lab[1])) < 5000
    print(f"found among 100 fakes after {ear.first_ms(ports(lab[1]))} ms")
    assert len(ear.found()) <= 9
    status = Path(f"/proc/{python_in(lab[2])}/status").read_text()
    assert int(status.partition("VmRSS:")[2].split()[0]) < 100_000  # kB
    assert real.process.poll() is None


def python_in(host: Host) -> int:
    def is_seeker(process: int) -> bool:
        return b"tests.lab.seeking" in Path(f"/proc/{process}/cmdline").read_bytes()

    return next(process for process in host.processes() if is_seeker(process))


def test_the_contract_of_neighbours_holds_for_multicast_dns(lab: Lab) -> None:
    host = lab[0]
    host.ip("address add 10.77.0.201/24 dev eth0\naddress flush dev eth0 to 10.77.0.1/32")
    host.ip("address add 10.77.0.2/24 dev eth0\naddress add 10.77.0.3/24 dev eth0\naddress add 10.77.0.1/24 dev eth0")
    command = host.python(
        "-m", "pytest", "-q", f"--rootdir={ROOT}", str(ROOT / "tests/mesh/discovery/test_neighbours.py")
    )
    told = host.run("env", "ODYSSEY_MDNS=1", *command, check=False)
    assert told.status == 0, told.out
    assert "12 passed" in told.out


# -- moving about ------------------------------------------------------------------------------------------------------


def test_on_a_strange_network_a_machine_is_quiet_until_it_is_trusted_and_follows_its_addresses(lab: Lab) -> None:
    ear = Seeker(lab[0], "silent")
    wait_for(ear.is_on)
    folder = lab[1].folder / "home"
    mover = Seeker(lab[1], "wander", str(folder), "7001", stdin=subprocess.PIPE)

    def types(word: str) -> None:
        assert mover.process.stdin is not None
        mover.process.stdin.write(f"{word}\n")
        mover.process.stdin.flush()

    def asked(what: str, answer: list[str]) -> None:
        def is_so() -> bool:
            count = len(mover.all(what))
            types("?")
            wait_for(lambda: len(mover.all(what)) > count)
            return bool(mover.all(what)[-1] == answer)

        wait_for(is_so)

    asked("quiet", ["eth0"])
    # Who is found later, is found by what was said later: nothing was said before.
    speaker = announcing(lab[2])
    find(ear, ports(lab[2]))
    assert set(mover.found()) == set()
    types("trust")
    find(ear, ports(lab[1], lab[2]))
    find(mover, ports(lab[2]))
    assert (folder / "networks").read_text().splitlines()[1:] == ["10.77.0.0/24 02:77:00:00:00:fe"]
    speaker.ends()
    for number in range(3):
        lab.readdress(number, 5)
    wait_for(lambda: any("eth0 10.77.5.2" in appeared for appeared in mover.all("appeared")))
    asked("quiet", ["eth0"])
    announcing(lab[2])
    late = Seeker(lab[0], "silent")
    find(late, ports(lab[2]))
    assert set(mover.found()) == set()
    types("trust")
    find(late, ports(lab[1], lab[2]))
    lab.readdress(1, 0)
    asked("open", ["eth0"])


# -- nobody ------------------------------------------------------------------------------------------------------------


def why_nobody(host: Host, *known: str) -> list[str]:
    out = host.run(*host.python("-m", "tests.lab.seeking", "nobody", "7660", *known)).out
    told = json.loads(out.splitlines()[-1])
    assert told["found"] == 0
    lines: list[str] = told["text"]
    assert lines[0] == "No machine answered (looked on eth0 10.77.0.0/24 for 1 s)."
    return [line.split("   ")[0].strip() for line in lines[1:]]


def test_a_network_without_multicast_is_told_by_one_where_devices_are_kept_apart(lab: Lab) -> None:
    announcing(lab[1])
    lab.carry_multicast(False)
    assert why_nobody(lab[0], "h2", lab[1].address) == [
        "h2 10.77.0.2 is up but nothing listens on port 7660",
        "the router answers, this network carries no multicast",
    ]
    lab.isolate()
    lab[0].run("ip", "neighbour", "flush", "dev", "eth0")
    assert why_nobody(lab[0], "h2", lab[1].address) == ["no device but the router answers at all"]


def test_a_closed_port_is_told_by_one_where_nobody_listens(lab: Lab) -> None:
    rules = "table inet f { chain i { type filter hook input priority 0; tcp dport 7660 drop; }; }"
    lab[1].run("nft", "-f", "-", stdin=rules)
    assert "h2 10.77.0.2 is up but port 7660 is closed" in why_nobody(lab[0], "h2", lab[1].address)


def test_a_cable_that_leads_nowhere(lab: Lab) -> None:
    lab.isolate()
    lab[0].run(
        "nft", "-f", "-", stdin="table netdev f { chain e { type filter hook ingress device eth0 priority 0; drop; }; }"
    )
    lab[0].run("ip", "neighbour", "flush", "dev", "eth0")
    assert why_nobody(lab[0]) == ["the router does not answer"]

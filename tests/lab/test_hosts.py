"""The lab itself: hosts are apart, see each other, and what is broken is really broken."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.lab.probes import FETCH, GROUP, LISTEN, SEND
from tests.system.place import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(3) as lab:
        yield lab


class Ears:
    """What a host hears, as (sender's address, word)."""

    def __init__(self, host: Host) -> None:
        self._file = host.folder / "heard"
        with self._file.open("w") as file:
            self._process = host.start(*host.python("-c", LISTEN), stdout=file)
        wait_for(lambda: "listening" in self._file.read_text())

    def heard(self) -> list[tuple[str, ...]]:
        return [tuple(line.split()) for line in self._file.read_text().splitlines()[1:]]

    def has_heard(self, all_of: set[tuple[str, ...]]) -> bool:
        return set(self.heard()) == all_of

    def words(self) -> set[str]:
        return {word for _, word in self.heard()}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is None


def send(sender: Host, word: str, *addresses: str, count: int = 1) -> None:
    sender.run(*sender.python("-c", SEND, word, str(count), *addresses))


def arrives(sender: Host, ears: Ears, word: str, address: str) -> None:
    """Sent until it is heard: a link that was just plugged in may lose the first."""

    def heard() -> bool:
        send(sender, word, address)
        return word in ears.words()

    wait_for(heard)


# -- apart -------------------------------------------------------------------------------------------------------------


def test_hosts_have_their_own_name_machine_id_home_boot_and_clock(lab: Lab) -> None:
    script = "hostname; cat /etc/machine-id; pwd; cat /proc/sys/kernel/random/boot_id; cut -d. -f1 /proc/uptime"
    found = [tuple(host.run("sh", "-c", script).out.split()) for host in lab]
    assert [host[0] for host in found] == ["h1", "h2", "h3"]
    assert [len(set(column)) for column in zip(*found, strict=True)] == [3] * 5


def test_what_one_has_in_tmp_or_shared_memory_or_runs_no_other_sees(lab: Lab) -> None:
    lab[0].run("sh", "-c", "echo mine > /tmp/a; echo mine > /dev/shm/a")
    with lab[0].start("sleep", "1000"):
        wait_for(lambda: "sleep 1000" in lab[0].run("sh", "-c", "cat /proc/*/cmdline | tr '\\0' ' '").out)
        assert "sleep 1000" not in lab[1].run("sh", "-c", "cat /proc/*/cmdline | tr '\\0' ' '").out
        assert lab[1].run("sh", "-c", "ls /tmp /dev/shm").out.split() == ["/dev/shm:", "/tmp:"]
        lab[0].kill()


def test_a_command_ends_with_its_own_status_and_no_later_than_it_may(lab: Lab) -> None:
    assert lab[0].run("sh", "-c", "cat; echo err >&2; exit 7", stdin="in", check=False) == (7, "in", "err\n")
    assert lab[0].run("sleep", "1000", limit_s=0.2, check=False).status == -9
    wait_for(lambda: len(lab[0].processes()) == 1)
    with pytest.raises(AssertionError, match="'false' on h1: 1"):
        lab[0].run("false")


# -- the network -------------------------------------------------------------------------------------------------------


def test_all_see_each_other_and_multicast_passes(lab: Lab) -> None:
    ears = [Ears(host) for host in lab]
    for host in lab:
        send(host, f"to-{host.name}", *(other.address for other in lab if other is not host))
        send(host, f"all-{host.name}", GROUP)
    for host, ear in zip(lab, ears, strict=True):
        others = [other for other in lab if other is not host]
        wanted: set[tuple[str, ...]] = {
            (other.address, f"{how}-{other.name}") for other in others for how in ("to", "all")
        }
        wait_for(partial(ear.has_heard, wanted))
        ear.close()


def test_ipv6_is_there(lab: Lab) -> None:
    lab[1].start(
        *lab[1].python("-m", "http.server", "--bind", "::", "8000"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    fetch = f"import urllib.request as u; print(u.urlopen('http://[{lab[1].address6}]:8000').status)"
    wait_for(lambda: lab[0].run(*lab[0].python("-c", fetch), check=False).out == "200\n")


def test_a_cable_that_is_cut_carries_nothing_until_it_is_healed(lab: Lab) -> None:
    ears = Ears(lab[1])
    arrives(lab[0], ears, "before", lab[1].address)
    lab.cut(1)
    send(lab[0], "cut", lab[1].address)
    send(lab[2], "cut", lab[1].address)
    assert "NO-CARRIER" in lab[1].run("ip", "link", "show", "eth0").out
    lab.heal(1)
    arrives(lab[0], ears, "after", lab[1].address)
    assert ears.words() == {"before", "after"}
    ears.close()


def test_one_way_is_one_way(lab: Lab) -> None:
    ears = [Ears(host) for host in lab]
    for sender, receiver in ((0, 1), (1, 0)):
        arrives(lab[sender], ears[receiver], "before", lab[receiver].address)  # neighbours know each other
    lab.block(0, 1)
    send(lab[0], "blocked", lab[1].address)
    arrives(lab[1], ears[0], "back", lab[0].address)
    arrives(lab[0], ears[2], "other", lab[2].address)
    lab.unblock(0, 1)
    arrives(lab[0], ears[1], "after", lab[1].address)
    assert "blocked" not in ears[1].words()
    for ear in ears:
        ear.close()


def test_loss_takes_about_as_many_as_it_should(lab: Lab) -> None:
    ears = Ears(lab[1])
    arrives(lab[0], ears, "before", lab[1].address)
    lab.lose(0, 50)
    send(lab[0], "lossy", lab[1].address, count=1000)
    lab.heal()
    arrives(lab[0], ears, "after", lab[1].address)
    heard = Counter(word for _, word in ears.heard())
    assert 300 < heard["lossy"] < 700  # a fair coin is outside of this once in 10^36 labs
    ears.close()


def test_guests_of_a_hotel_hear_the_router_alone(lab: Lab) -> None:
    ears = Ears(lab[1])
    arrives(lab[0], ears, "before", lab[1].address)
    lab.isolate()
    send(lab[0], "isolated", lab[1].address, GROUP)
    router = "import socket; print(socket.socket().connect_ex(('10.77.0.254', 9)) == 111)"
    assert lab[0].run(*lab[0].python("-c", router)).out == "True\n"
    lab.heal()
    arrives(lab[0], ears, "after", lab[1].address)
    assert ears.words() == {"before", "after"}
    ears.close()


def test_a_network_without_multicast_carries_the_rest(lab: Lab) -> None:
    ears = Ears(lab[1])
    lab.carry_multicast(False)
    send(lab[0], "group", GROUP)
    arrives(lab[0], ears, "after", lab[1].address)
    assert "group" not in ears.words()
    ears.close()


def test_a_slow_cable_is_slow(lab: Lab) -> None:
    """8 Mbit/s are 1 MB/s: half a megabyte above what may go at once takes a while, however fast the machine is."""
    lab.slow(1, 8000)
    server = lab[0].start(*lab[0].python("-c", FETCH, "serve", "600000"))
    assert server.stdout is not None
    assert server.stdout.readline() == "serving\n"
    got, seconds = lab[1].run(*lab[1].python("-c", FETCH, "fetch", lab[0].address)).out.split()
    assert got == "600000"
    assert float(seconds) > 0.4
    server.wait()


def test_frames_that_are_kept_for_a_while_come_later_and_all_of_them(lab: Lab) -> None:
    lab.delay(1, 40, jitter_ms=5)
    server = lab[1].start(*lab[1].python("-c", FETCH, "serve", "3000000"))
    assert server.stdout is not None
    assert server.stdout.readline() == "serving\n"
    got, seconds = lab[0].run(*lab[0].python("-c", FETCH, "fetch", lab[1].address)).out.split()
    assert got == "3000000"
    assert float(seconds) > 0.16  # to ask who has the address, to connect, the first bytes: 80 ms there and back
    server.wait()
    ears, other = Ears(lab[2]), Ears(lab[0])
    arrives(lab[1], ears, "before", lab[2].address)
    lab.block(1, 2)
    send(lab[1], "blocked", lab[2].address)
    arrives(lab[1], other, "behind", lab[0].address)
    lab.unblock(1, 2)
    arrives(lab[1], ears, "group", GROUP)
    lab.delay(1, 0)
    arrives(lab[1], ears, "after", lab[2].address)
    assert "blocked" not in ears.words()
    lab.delay(1, 10)
    lab[1].kill()
    lab.boot(1)
    arrives(lab[1], ears, "again", lab[2].address)
    ears.close()
    other.close()


def test_a_host_that_moves_has_another_address_and_another_router(lab: Lab) -> None:
    lab.readdress(1, 5)
    shown = lab[1].run("sh", "-c", "ip address; ip route").out
    assert lab[1].address == "10.77.5.2"
    assert re.findall(r"inet (10\S+)", shown) == ["10.77.5.2/24"]
    assert "default via 10.77.5.254" in shown


# -- machines ----------------------------------------------------------------------------------------------------------


def test_a_pulled_plug_ends_all_at_once_and_the_disk_stays(lab: Lab) -> None:
    lab[1].run("sh", "-c", "echo kept > ~/file; setsid sleep 1000 > /dev/null 2>&1 < /dev/null &")
    boot = lab[1].run("cat", "/proc/sys/kernel/random/boot_id").out
    processes = lab[1].processes()
    assert len(processes) == 2
    lab[1].kill()
    wait_for(lambda: not any(Path(f"/proc/{one}/root/bin").exists() for one in processes))
    lab.boot(1)
    assert lab[1].run("sh", "-c", "cat ~/file").out == "kept\n"
    assert lab[1].run("cat", "/proc/sys/kernel/random/boot_id").out != boot
    ears = Ears(lab[0])
    arrives(lab[1], ears, "back", lab[0].address)
    ears.close()


def test_a_frozen_host_stands_still_and_goes_on_and_what_stood_before_stands(lab: Lab) -> None:
    count = "import time\nwhile True: print('.', end='', flush=True); time.sleep(0.005)"
    file = lab[0].folder / "dots"
    with file.open("w") as dots:
        lab[0].start(*lab[0].python("-c", count), stdout=dots)
    wait_for(lambda: file.stat().st_size > 3)
    lab[0].start("sh", "-c", "kill -STOP $$; sleep 1000", stdout=subprocess.DEVNULL)

    def states() -> str:
        found = (Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[0] for one in lab[0].processes())
        return "".join(sorted(found))

    wait_for(lambda: states().count("T") == 1)
    lab[0].freeze()
    wait_for(lambda: set(states()) == {"T"})
    size = file.stat().st_size
    assert lab[1].run("true").status == 0
    lab[0].thaw()
    wait_for(lambda: file.stat().st_size > size + 3)
    assert states().count("T") == 1


def test_clocks_are_wrong_by_what_was_said(lab: Lab) -> None:
    now = "from odyssey.clock import SystemClock as C; c = C(); print(c.wall_ms(), c.boottime_ms(), c.monotonic_ms())"
    right, wrong = lab[0], lab[1]
    wrong.set_clock(wall_s=-86400, asleep_s=3600)
    first, second = ([int(part) for part in host.run(*host.python("-c", now)).out.split()] for host in (right, wrong))
    # In minutes: the second was asked a moment after the first, and its clocks begin 1000 s further on.
    assert round((second[0] - first[0]) / 60_000) == -24 * 60
    assert round((second[1] - second[2] - first[1] + first[2]) / 60_000) == 60


def test_hosts_have_their_own_control_groups_where_there_are_any(lab: Lab) -> None:
    if not os.access("/sys/fs/cgroup/memory/cgroup.procs", os.W_OK):
        return
    found = {host.run("grep", "memory", "/proc/self/cgroup").out.rpartition("/")[2].strip() for host in lab}
    assert found == {"h1", "h2", "h3"}


def test_many_hosts_start_quickly_enough_to_be_used() -> None:
    began = time.monotonic()
    with Lab(8) as lab:
        assert [host.run("hostname").out.strip() for host in lab] == [f"h{number}" for number in range(1, 9)]
        print(f"8 hosts after {time.monotonic() - began:.2f} s")

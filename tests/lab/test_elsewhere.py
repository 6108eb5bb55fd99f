"""Jobs that run on one machine, were typed on another, and a third coordinates: all that a person sees of them."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select
from time import monotonic
from typing import Any

import pytest

from tests.lab import Host, Lab
from tests.lab.test_joining import invite, is_whole, join, told
from tests.system.place import wait_for

pytestmark = pytest.mark.lab
LIMIT_S = 120


@pytest.fixture
def lab() -> Iterator[Lab]:
    """h1 began the mesh and coordinates."""
    with Lab(3) as lab:
        lab[0].run("odyssey", "up", "--listen", "0.0.0.0:7660", limit_s=LIMIT_S)
        for host in (lab[1], lab[2]):
            join(host, invite(lab[0]))
        wait_for(lambda: is_whole(lab), 30)
        yield lab


def run(host: Host, on: Host, script: str, stdin: str = "", check: bool = True) -> Any:
    words = ("odyssey", "run", "-q", "--on", on.name, "--", "sh", "-c", script)
    return host.run(*words, stdin=stdin, limit_s=LIMIT_S, check=check)


class Watched:
    """A command, and what it has written so far."""

    def __init__(self, host: Host, *words: str) -> None:
        self._host, self._files = host, {name: host.folder / f"watched.{name}" for name in ("pid", "out", "err")}
        pid, out, err = self._files.values()
        script = f'echo $$ > {pid}; exec "$@" > {out} 2> {err}'
        self.process = host.start("sh", "-c", script, "sh", *words, stdout=subprocess.DEVNULL)

    def _read(self, name: str) -> bytes:
        path = self._files[name]
        return path.read_bytes() if path.exists() else b""

    @property
    def out(self) -> bytes:
        return self._read("out")

    @property
    def err(self) -> str:
        return self._read("err").decode()

    def signal(self, name: str) -> None:
        self._host.run("kill", f"-{name}", self._read("pid").decode().strip())

    def status(self, limit_s: float = LIMIT_S) -> int:
        return self.process.wait(limit_s)


# ---- what a person sees ----------------------------------------------------------------------------------------------


def test_a_job_is_the_same_from_every_machine_on_every_machine(lab: Lab) -> None:
    for host in lab:
        for on in lab:
            done = run(host, on, "hostname; echo bad >&2; read word; echo $word; exit 3", stdin="a word\n", check=False)
            assert (done.status, done.out, done.err) == (3, f"{on.name}\na word\n", "bad\n"), (host.name, on.name)
    for host in lab:
        for number, on in enumerate((on for _ in lab for on in lab), 1):
            assert host.run("odyssey", "logs", "--stdout", str(number)).out == f"{on.name}\na word\n"
        (task,) = told(host, "where", "6")["tasks"]
        assert (task["node"], task["stdout_bytes"], task["stderr_bytes"]) == ("h3", 10, 4)


def test_ten_megabytes_come_back_byte_for_byte_both_streams_apart(lab: Lab) -> None:
    script = """
head -c 10000000 /dev/urandom > sent
odyssey run --on h3 -- sh -c 'tee /dev/stderr' < sent > out 2> err
head -c 10000000 sent | odyssey run --on h3 -- cat > piped
odyssey logs --stdout last > logs
for got in out err piped logs; do cmp sent $got || exit 1; done
"""
    lab[1].run("sh", "-c", script, limit_s=LIMIT_S)


def test_a_loop_over_a_file_sees_every_line(lab: Lab) -> None:
    script = """
printf '1\\n2\\n3\\n' > list
while read line; do odyssey run -q --on h3 -- head -c 2; done < list
while read line; do odyssey run -q --on h3 -- echo $line; done < list
"""
    assert lab[1].run("sh", "-c", script, limit_s=LIMIT_S).out == "2\n1\n2\n3\n"


def test_a_map_over_all_machines_in_order_and_never_mixed(lab: Lab) -> None:
    words = ("odyssey", "map", "-q", "-k", "--cpus", "0.5", "--", "sh", "-c", "seq {}000 {}999; hostname")
    done = lab[1].run(*words, ":::", *map(str, range(1, 41)), limit_s=LIMIT_S)
    lines = done.out.splitlines()
    at, machines = 0, set()
    for number in range(1, 41):
        expected = [str(one) for one in range(number * 1000, number * 1000 + 1000)]
        assert lines[at : at + 1000] == expected
        machines.add(lines[at + 1000])
        at += 1001
    assert at == len(lines)
    assert len(machines) > 1
    assert lab[2].run("odyssey", "logs", "last", limit_s=LIMIT_S).out == done.out


def test_who_stops_reading_ends_the_job(lab: Lab) -> None:
    done = lab[1].run("sh", "-c", "odyssey run -q --on h3 -- yes | head -1", limit_s=LIMIT_S)
    assert done.out == "y\n"
    wait_for(lambda: told(lab[0], "show", "1")["state"] == "cancelled", 30)


def test_ctrl_c_cancels_it_where_it_runs(lab: Lab) -> None:
    watched = Watched(lab[1], "odyssey", "run", "--on", "h3", "--", "sh", "-c", "echo there; sleep 1000")
    wait_for(lambda: watched.out == b"there\n", 30)
    watched.signal("INT")
    assert watched.status() == 128 + signal.SIGINT
    wait_for(lambda: told(lab[2], "show", "1")["state"] == "cancelled", 30)


# ---- a terminal ------------------------------------------------------------------------------------------------------


class Screen:
    def __init__(self, host: Host, *words: str) -> None:
        self._end, other = pty.openpty()
        self.process = host.start(*words, stdin=other, stdout=other, stderr=other)
        os.close(other)
        self.seen = b""

    def types(self, keys: bytes) -> None:
        os.write(self._end, keys)

    def until(self, text: bytes, limit_s: float = 60) -> None:
        end = monotonic() + limit_s
        while text not in self.seen:
            assert monotonic() < end, self.seen
            self.look(0.5)

    def look(self, seconds: float) -> None:
        if select([self._end], [], [], seconds)[0]:
            with suppress(OSError):  # nobody has the other end any more
                self.seen += os.read(self._end, 1 << 16)

    def ends(self) -> int:
        end = monotonic() + 60
        while self.process.poll() is None:
            assert monotonic() < end, self.seen
            self.look(0.1)
        return self.process.wait()

    def close(self) -> None:
        os.close(self._end)


@contextmanager
def screen(host: Host, *words: str) -> Iterator[Screen]:
    made = Screen(host, *words)
    try:
        yield made
    finally:
        made.close()


def test_a_terminal_is_typed_at_from_elsewhere_left_and_come_back_to(lab: Lab) -> None:
    shell = ("odyssey", "run", "-it", "--on", "h3", "-e", "PS1=at$? ", "--", "bash", "--norc", "--noprofile", "-i")
    with screen(lab[1], *shell) as there:
        there.until(b"at0 ")
        there.types(b"hostname; echo $((6*7))\r")
        there.until(b"h3\r\n42")
        there.types(b"\r~.")
        assert there.ends() == 0
    with screen(lab[0], "odyssey", "attach", "1") as again:
        again.types(b"(exit 3)\r")
        again.until(b"at3 ")
        with screen(lab[1], "odyssey", "attach", "1") as third:
            third.until(b"somebody else types there")
        again.types(b"\x04")
        assert again.ends() == 3


def test_who_types_and_is_gone_with_its_machine_leaves_the_place_free(lab: Lab) -> None:
    shell = ("odyssey", "run", "-it", "--on", "h3", "-e", "PS1=at$? ", "--", "bash", "--norc", "-i")
    with screen(lab[1], "sh", "-c", 'echo $$ > pid; exec "$@"', "sh", *shell) as there:
        there.until(b"at0 ")
        there.types(b"echo one\r")
        there.until(b"\rone\r\n")
        lab[1].run("sh", "-c", "kill -KILL $(cat pid)")
        there.ends()
    with screen(lab[2], "odyssey", "attach", "1") as again:
        again.types(b"exit 4\r")
        assert again.ends() == 4


# ---- when things break -----------------------------------------------------------------------------------------------

SLOWLY = "for i in $(seq 1 200); do echo $i; sleep 0.1; done"
ALL = "".join(f"{number}\n" for number in range(1, 201)).encode()


def test_a_cable_is_cut_and_healed_while_somebody_follows(lab: Lab) -> None:
    """Shorter than what makes a machine gone: the same try goes on."""
    watched = Watched(lab[1], "odyssey", "run", "--on", "h3", "--", "sh", "-c", SLOWLY)
    wait_for(lambda: len(watched.out) > 10, 30)
    lab.cut(2)
    wait_for(lambda: bool(silent_for(watched, 2.0)), 30)
    lab.heal(2)
    assert watched.status() == 0
    assert watched.out == ALL
    assert "starts again" not in watched.err


def silent_for(watched: Watched, seconds: float) -> bool:
    before, end = len(watched.out), monotonic() + seconds
    wait_for(lambda: len(watched.out) != before or monotonic() > end, 30)
    return len(watched.out) == before


def test_the_cable_of_who_follows_is_cut_and_healed(lab: Lab) -> None:
    watched = Watched(lab[1], "odyssey", "run", "--on", "h3", "--", "sh", "-c", SLOWLY)
    wait_for(lambda: len(watched.out) > 10, 30)
    lab.cut(1)
    wait_for(lambda: bool(silent_for(watched, 7.0)), 60)
    lab.heal(1)
    assert watched.status() == 0
    assert watched.out == ALL
    assert "the mesh answers again" in watched.err


def test_a_machine_dies_while_its_job_is_followed_and_the_next_try_is_told(lab: Lab) -> None:
    for host in (lab[0], lab[1]):
        host.run("odyssey", "pause", limit_s=LIMIT_S)
    script = "hostname; sleep 3; test $(hostname) = h1 || sleep 1000; echo end"
    watched = Watched(lab[1], "odyssey", "run", "--", "sh", "-c", script)
    wait_for(lambda: watched.out == b"h3\n", 60)
    lab[2].kill()
    lab[0].run("odyssey", "resume", limit_s=LIMIT_S)
    assert watched.status() == 0
    assert watched.out == b"h3\nh1\nend\n"
    assert "starts again" in watched.err


def test_the_coordinators_daemon_dies_while_somebody_follows_and_writes(lab: Lab) -> None:
    """It is started again by its hands. Nothing is told or read twice, or left out."""
    words = ("sh", "-c", "for i in $(seq 1 200); do echo $i; sleep 0.1; done | odyssey run --on h3 -- cat")
    watched = Watched(lab[1], *words)
    wait_for(lambda: len(watched.out) > 10, 30)
    lab[0].run("kill", "-KILL", str(told(lab[0], "status")["pid"]))
    assert watched.status() == 0
    assert watched.out == ALL


def test_what_a_machine_had_that_is_away_is_named_and_comes_when_it_is_back(lab: Lab) -> None:
    run(lab[1], lab[2], "echo one")
    lab.cut(2)
    done = lab[1].run("odyssey", "logs", "1", limit_s=LIMIT_S, check=False)
    assert done.status != 0
    assert "error: output of job 1 is on h3, which is not there\nhint: " in done.err
    lab.heal(2)
    again = ("odyssey", "logs", "1")
    wait_for(lambda: lab[1].run(*again, limit_s=LIMIT_S, check=False).out == "one\n", 30)


def test_a_restarted_worker_goes_on_reading_what_its_job_is_given(lab: Lab) -> None:
    """The daemon dies, what runs goes on, and so does its input."""
    writer = lab[1].start(
        *("sh", "-c", "(echo one; sleep 8; echo two) | odyssey run -q --on h3 -- cat > got"), stdin=subprocess.DEVNULL
    )
    got = lab[1].folder / "home" / "got"
    wait_for(lambda: got.exists() and got.read_text() == "one\n", 30)
    lab[2].run("kill", "-KILL", str(told(lab[2], "status")["pid"]))
    assert writer.wait(60) == 0
    assert got.read_text() == "one\ntwo\n"


# ---- whose it is -----------------------------------------------------------------------------------------------------


def test_who_sits_at_a_machine_that_was_let_in_rules_nothing(lab: Lab) -> None:
    refused = lab[1].run("odyssey", "policy", "use", "round_robin", limit_s=LIMIT_S, check=False)
    assert refused.status == 4
    assert "is changed by who administers it" in refused.err
    assert lab[0].run("odyssey", "policy", "use", "round_robin", limit_s=LIMIT_S).status == 0

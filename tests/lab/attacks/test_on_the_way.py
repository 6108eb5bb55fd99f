"""Whoever is between two machines: reads all, hands on, changes, pretends, says it again. It gets nothing by it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from odyssey.mesh.trust import invite as invites
from odyssey.mesh.trust.invite import Address, Invite
from tests.lab import Host, Lab
from tests.lab.attacks import tap
from tests.lab.attacks.scene import (
    attack,
    begin,
    curve_of,
    home,
    invite,
    is_up,
    join,
    log,
    node_id,
    open_up,
    secrets,
    states,
    told,
)
from tests.system.place import wait_for

pytestmark = pytest.mark.lab
WORD = "a-word-that-is-typed-4711"


@pytest.fixture
def lab() -> Iterator[Lab]:
    """The first is open to others; the third is somebody else's."""
    with Lab(3) as lab:
        open_up(lab[0])
        yield lab


@contextmanager
def tapped(lab: Lab, file: Path) -> Iterator[None]:
    """All that the switch carries meanwhile is in the file."""
    words = [str(lab[0].folder.parent / "switch"), sys.executable, "-P", tap.__file__, str(file)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stdin is not None
        assert started.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            started.stdin.close()
            started.wait()


def doctored(text: str, host: Host, curve: bytes = b"") -> str:
    """The invite, leading through another machine, which has perhaps put its own key in."""
    known = invites.read(text)
    changed = Invite(known.root, curve or known.curve, known.id, known.secret, [Address(host.address, 7660)])
    return invites.written(changed)


def needles(lab: Lab, text: str) -> dict[str, bytes]:
    """What nobody on the way may see."""
    known = invites.read(text)
    found = {"the invite": text.removeprefix("ody1_")[60:].encode(), "its secret": known.secret}
    found |= {"its key": known.key().secret, "what is typed": WORD.encode(), "what is told": WORD.upper().encode()}
    for host in lab.hosts[:2]:
        found |= {f"key {number} of {host.name}": key for number, key in enumerate(secrets(host))}
    return found


def assert_hidden(lab: Lab, text: str, heard: bytes) -> None:
    for name, secret in needles(lab, text).items():
        for form in (secret, secret.hex().encode()):
            assert form not in heard, name


def test_who_reads_all_of_a_joining_and_of_a_job_learns_nothing_of_them(lab: Lab, tmp_path: Path) -> None:
    text, file = invite(lab[0]), tmp_path / "frames"
    with tapped(lab, file):
        join(lab[1], text)
        words = ["sh", "-c", f"echo {WORD} | tr a-z A-Z"]
        number = lab[0].run("odyssey", "run", "--detach", "--on", "h2", "--", *words, limit_s=120).out.strip()
        wait_for(lambda: told(lab[0], "show", number)["state"] == "done", 60)
        lab[0].run("odyssey", "logs", number, check=False)
        lab[2].run("bash", "-c", f"echo tap-hears-this > /dev/udp/{lab[0].address}/9")
    heard = tap.said(file)
    assert b"tap-hears-this" in heard
    assert b"CURVE" in heard
    assert len(heard) > 10_000
    assert_hidden(lab, text, heard)


def test_who_hands_a_joining_on_sees_nothing_and_can_say_none_of_it_again(lab: Lab) -> None:
    text, file = invite(lab[0]), lab[2].folder / "said"
    begin(lab[2], "middle", "passes", lab[0].address, str(file))
    join(lab[1], doctored(text, lab[2]))
    wait_for(lambda: is_up(lab[0], 2), 30)
    assert_hidden(lab, text, file.read_bytes())
    assert len(file.read_bytes()) > 500
    assert attack(lab[2], "middle", "says", lab[0].address, str(file))["heard"] < 600, "a greeting, and no more"
    assert states(lab[0]) == {"h1": "up", "h2": "up"}


@pytest.mark.parametrize(("which", "at"), [("issuer", 400), ("joiner", 700)])
def test_who_changes_a_bit_of_a_joining_gets_it_refused_and_nothing_is_lost(lab: Lab, which: str, at: int) -> None:
    text = invite(lab[0])
    file = lab[2].folder / "said"
    begin(lab[2], "middle", "passes", lab[0].address, str(file), which, str(at))
    done = lab[1].run("odyssey", "join", "-", stdin=doctored(text, lab[2]), check=False, limit_s=120)
    if done.status != 0:
        assert [line.split(":")[0] for line in done.err.splitlines() if line.startswith(("error", "hint"))] == [
            "error",
            "hint",
        ]
        join(lab[1], text)  # it is as good as it was
    wait_for(lambda: is_up(lab[0], 2), 30)


def test_who_shows_the_genuine_certificates_under_a_key_of_his_own_hears_hello_only(lab: Lab) -> None:
    text = invite(lab[0])
    rogue = lab[2].start(
        *(sys.executable, "-P", "-m", "tests.lab.attacks.middle", "pretends", lab[0].address, curve_of(lab[0]))
    )
    assert rogue.stdout is not None
    key = bytes.fromhex(json.loads(rogue.stdout.readline())["key"])
    done = lab[1].run("odyssey", "join", "-", stdin=doctored(text, lab[2], key), check=False, limit_s=120)
    assert done.status != 0
    assert "it shows another machine's certificates" in done.err
    assert json.loads(rogue.stdout.readline()) == {"heard": "Hello"}
    lab.carry_multicast(False)  # else the true one is found all the same
    done = lab[1].run("odyssey", "join", "-", stdin=doctored(text, lab[2]), check=False, limit_s=120)
    assert done.status != 0
    assert "somebody else" in done.err
    rest, _ = rogue.communicate(timeout=60)
    assert rest == "", "a machine that has the invite's key in mind does not even say hello"


def test_a_hundred_services_that_are_none_keep_nobody_from_joining(lab: Lab) -> None:
    fakes = lab[2].start(sys.executable, "-P", "-m", "tests.lab.seeking", "fakes", "100")
    assert fakes.stdout is not None
    assert "said" in fakes.stdout.readline()
    took = float(lab[1].run("bash", "-c", f"TIMEFORMAT=%R; time odyssey join {invite(lab[0])} >/dev/null 2>&1").err)
    print(f"\njoined among 100 fakes in {took} s")
    assert states(lab[1]) == {"h1": "up", "h2": "up"}
    fakes.terminate()


def test_a_certificate_of_another_mesh_is_worth_nothing(lab: Lab) -> None:
    open_up(lab[2])
    said = attack(lab[2], "renewing", lab[0].address, curve_of(lab[0]))
    assert said.startswith("not let in: "), said
    peer = {"node": node_id(lab[0]), "home": str(home(lab[0]).path)}
    assert states(lab[0]) == {"h1": "up"}, peer
    assert "this is a bug" not in log(lab[0])

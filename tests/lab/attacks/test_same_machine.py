"""Another user of a machine of the mesh: reads no key, and is not served at the socket."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from odyssey.paths import known_door
from tests.lab import Lab
from tests.lab.attacks.scene import ROOM_BYTES, daemon, home, log, open_up, pss, told

pytestmark = pytest.mark.lab
# All that a file system can forbid is allowed first: what refuses then is the daemon.
_ASK = """
import os, sys
from odyssey.api.client import Client
from odyssey.api.requests import Status
from odyssey.errors import OdysseyError
path = sys.argv[1]
os.chmod(path, 0o666)
os.chmod(os.path.dirname(path), 0o755)
os.setgroups([])
os.setgid(4711)
os.setuid(4711)
try:
    Client(path, 0).call(Status())
    print("served")
except OdysseyError as error:
    print(error.message)
"""

_NONSENSE = """
import random, socket, sys
from contextlib import suppress
from odyssey.api import frames
draw = random.Random(5)
hello = frames.packed(frames.Hello(frames.VERSION))
for number in range(300):
    data = draw.randbytes(draw.choice((1, 4, 5, 50, 3_000, 100_000)))
    asked = frames.packed(frames.Ask(draw.randrange(3), draw.choice(("run", "status", "", "submit")), data[:3_000]))
    with suppress(OSError), socket.socket(socket.AF_UNIX) as made:
        made.connect(sys.argv[1])
        made.sendall((data, hello + data, hello + asked * 40, b"\\xff\\xff\\xff\\xff" + data)[number % 4])
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(1) as lab:
        open_up(lab[0])
        yield lab


def test_another_user_is_not_served(lab: Lab) -> None:
    door = known_door(home(lab[0]), {})
    assert door is not None
    said = lab[0].run(sys.executable, "-P", "-c", _ASK, str(door.socket)).out
    assert said == "this daemon belongs to somebody else\n"
    assert told(lab[0], "status")["node"] == "h1"


def test_nonsense_at_the_socket_ends_nothing_and_costs_little(lab: Lab) -> None:
    door, process = known_door(home(lab[0]), {}), daemon(lab[0])
    assert door is not None
    before = pss(lab[0], process)
    lab[0].run(sys.executable, "-P", "-c", _NONSENSE, str(door.socket))
    assert daemon(lab[0]) == process
    assert pss(lab[0], process) - before < ROOM_BYTES
    assert "a bug" not in log(lab[0])


@pytest.mark.parametrize("name", ["key", "curve", "issuer", "root", "trust"])
def test_a_key_that_others_can_read_is_used_by_nobody(lab: Lab, name: str) -> None:
    lab[0].run("odyssey", "down", limit_s=120)
    file = home(lab[0]).identity / name
    file.chmod(0o644)
    try:
        done = lab[0].run("odyssey", "up", check=False, limit_s=120)
    finally:
        file.chmod(0o600)
    assert done.status != 0
    assert [line.split(":")[0] for line in done.err.splitlines()] == ["error", "hint"]
    assert str(name) in done.err
    assert "chmod 600" in done.err
    lab[0].run("odyssey", "up", limit_s=120)


def test_a_home_that_others_may_write_to_is_closed_before_it_is_used(lab: Lab) -> None:
    lab[0].run("odyssey", "down", limit_s=120)
    home(lab[0]).path.chmod(0o777)
    lab[0].run("odyssey", "up", limit_s=120)
    assert home(lab[0]).path.stat().st_mode & 0o777 == 0o700

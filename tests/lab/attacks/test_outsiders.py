"""Somebody on the LAN without a key of the mesh: delivers nothing, costs little, and keeps nobody from anybody."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from subprocess import PIPE
from typing import Any

import pytest

from odyssey.mesh.trust.letters import Chain, Refused, unpacked
from tests.lab import Host, Lab
from tests.lab.attacks.scene import (
    PORTS,
    ROOM_BYTES,
    attack,
    begin,
    curve_of,
    daemon,
    is_up,
    log,
    mesh,
    program,
    pss,
    states,
    work,
)
from tests.system.place import wait_for

pytestmark = pytest.mark.lab
CROWD = 1_000
FLOOD_S = 5
RECOVERY_S = 5.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Two members; the third host is a stranger's."""
    with Lab(3) as lab:
        mesh(lab, 2)
        yield lab


def is_as_before(lab: Lab, process: int) -> bool:
    return is_up(lab[0], 2) and daemon(lab[0]) == process and "this is a bug" not in log(lab[0])


def test_nobody_without_a_key_of_the_mesh_delivers_anything(lab: Lab) -> None:
    process = daemon(lab[0])
    came = attack(lab[2], "strangers", "knock", lab[0].address, curve_of(lab[0]))
    for way, found in came.items():
        if way != "join rogue":
            assert found == {"in": False, "heard": []}, way
    heard = [unpacked(bytes.fromhex(one)) for one in came["join rogue"]["heard"]]
    assert [type(one) for one in heard] == [Chain, Refused], "any key may come there, and hears who lets in"
    assert len(came) == 4 * len(PORTS)
    assert is_as_before(lab, process)


def asking(host: Host, seconds: float) -> dict[str, Any]:
    started = begin(host, "asking", str(seconds))
    out, _ = started.communicate(timeout=seconds + 60)
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def test_a_crowd_at_the_door_and_a_flood_of_handshakes_keep_nobody_from_anybody(lab: Lab) -> None:
    process, before = daemon(lab[0]), pss(lab[0], daemon(lab[0]))
    quiet = asking(lab[1], 2)
    crowd = begin(lab[2], "strangers", "crowd", lab[0].address, str(CROWD))
    flood = lab[2].start(*program("strangers", "flood", lab[0].address, curve_of(lab[0]), str(FLOOD_S)), stderr=PIPE)
    worked = work(lab[0], process)
    busy = asking(lab[1], FLOOD_S)
    flooded, trouble = flood.communicate(timeout=60)
    assert flood.returncode == 0, trouble
    over, worked = time.monotonic(), work(lab[0], process) - worked
    wait_for(lambda: states(lab[1]) == {"h1": "up", "h2": "up"}, RECOVERY_S)
    recovered = time.monotonic() - over
    cost = pss(lab[0], process) - before
    crowd.terminate()
    crowd.wait()
    count = json.loads(flooded.splitlines()[-1])["handshakes"]
    print(f"\nasked in quiet {quiet}\nwith {CROWD} half-open and {count} handshakes in {FLOOD_S} s: {busy}")
    print(f"answered again {recovered:.2f} s after the flood; {worked:.1f} s of work; +{cost >> 10} KiB")
    assert busy["asked"] > 0
    assert busy["failed"] == []
    assert cost < ROOM_BYTES
    assert is_as_before(lab, process)


def test_nonsense_at_each_port_ends_nothing_and_costs_little(lab: Lab) -> None:
    process = daemon(lab[0])
    before = pss(lab[0], process)
    said = attack(lab[2], "strangers", "nonsense", lab[0].address, curve_of(lab[0]), "7", "120")
    wait_for(lambda: is_up(lab[0], 2), 20)
    cost = pss(lab[0], process) - before
    print(f"\n{said}: +{cost >> 10} KiB")
    assert cost < ROOM_BYTES
    assert is_as_before(lab, process)

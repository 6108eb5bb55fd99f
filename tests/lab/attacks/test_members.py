"""A member that has turned: it has genuine keys, and says what it likes. It harms nobody but itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from subprocess import PIPE

import pytest

from tests.lab import Lab
from tests.lab.attacks.scene import (
    ROOM_BYTES,
    attack,
    begin,
    daemon,
    invite,
    is_up,
    join,
    log,
    mesh,
    node_id,
    peers,
    program,
    pss,
    states,
    told,
)
from tests.system.place import wait_for

pytestmark = pytest.mark.lab
FLOOD_S = 4


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Two machines of one owner; the third is another one's, who has let go of the daemon and kept its keys."""
    with Lab(3) as lab:
        mesh(lab, 2)
        join(lab[2], invite(lab[0], "--for", "bob"))
        wait_for(lambda: all(is_up(host, 3) for host in lab), 30)
        wait_for(lambda: node_id(lab[1]) in peers(lab[2]), 30)
        lab[2].run("odyssey", "down", limit_s=120)
        yield lab


@pytest.fixture
def victim(lab: Lab) -> Iterator[str]:
    """The coordinator, which is there afterwards as it was before."""
    before = told(lab[0], "status")
    held = pss(lab[0], before["pid"])
    yield before["node_id"]
    after = told(lab[0], "status")
    assert (after["pid"], after["coordinator"]) == (before["pid"], "h1"), log(lab[0])[-2_000:]
    assert pss(lab[0], after["pid"]) - held < ROOM_BYTES
    wait_for(lambda: states(lab[1]) | {"h3": ""} == {"h1": "up", "h2": "up", "h3": ""}, 30)
    assert all("this is a bug" not in log(host) for host in lab.hosts[:2])


def assert_unharmed(lab: Lab) -> None:
    """Each runs what the other one asks for."""
    for asked, runs in ((0, "h2"), (1, "h1")):
        number = lab[asked].run("odyssey", "run", "--detach", "--on", runs, "--", "true", limit_s=120).out.strip()
        wait_for(lambda asked=asked, number=number: told(lab[asked], "show", number)["state"] == "done", 30)  # type: ignore[misc]


@pytest.mark.parametrize(
    "kind",
    ["in-anothers-name", "heartbeat", "vote", "append", "forward", "duty", "jobs", "hand-in", "found"],
)
def test_what_it_may_not_say_is_refused_and_it_is_sent_away(lab: Lab, victim: str, kind: str) -> None:
    assert attack(lab[2], "impostor", "oversteps", victim, kind) == {"ended": True, "again": False}
    assert "broke the rules and is sent away for a while: overstepped" in log(lab[0])
    assert_unharmed(lab)


def test_a_worker_goes_by_no_order_of_it(lab: Lab, victim: str) -> None:
    """Of an order that says that its giver is the newest coordinator, even one would be too many."""
    assert victim
    came = attack(lab[2], "impostor", "oversteps", node_id(lab[1]), "duty")
    assert came == {"ended": True, "again": False}
    assert_unharmed(lab)


def test_a_log_that_it_has_begun_is_followed_by_nobody(lab: Lab, victim: str) -> None:
    assert attack(lab[2], "impostor", "lineage", victim)["again"]


def test_an_end_that_it_tells_of_an_attempt_of_another_machine_is_not_believed(lab: Lab, victim: str) -> None:
    number = lab[0].run("odyssey", "run", "--detach", "--on", "h2", "--", "sleep", "1000", limit_s=120).out.strip()
    wait_for(lambda: told(lab[0], "show", number)["state"] == "running", 30)
    attack(lab[2], "impostor", "reports", victim, "1", "1")
    assert told(lab[0], "show", number)["state"] == "running"
    lab[0].run("odyssey", "cancel", number)


def test_it_cancels_no_job_of_somebody_else(lab: Lab, victim: str) -> None:
    number = lab[0].run("odyssey", "run", "--detach", "--on", "h2", "--", "sleep", "1000", limit_s=120).out.strip()
    assert attack(lab[2], "impostor", "asks", victim, number) == {"codes": ["NotPermitted"]}
    lab[0].run("odyssey", "cancel", number)


@pytest.mark.parametrize("what", ["oversized", "bomb", "nested", "raw", "unfinished"])
def test_what_breaks_the_rules_of_a_line_ends_it(lab: Lab, victim: str, what: str) -> None:
    assert attack(lab[2], "impostor", "throws", victim, what)["ended"]


def test_a_routing_id_that_it_claims_takes_nobodys_place(lab: Lab, victim: str) -> None:
    attack(lab[2], "impostor", "claims", victim)


@pytest.mark.parametrize("kind", ["beats", "asks", "stops"])
def test_a_flood_is_cut_off_and_the_others_are_served(lab: Lab, victim: str, kind: str) -> None:
    flood = lab[2].start(*program("impostor", "floods", victim, kind, str(FLOOD_S)), stderr=PIPE)
    started = begin(lab[1], "asking", str(FLOOD_S))
    out, _ = started.communicate(timeout=120)
    flooded, trouble = flood.communicate(timeout=120)
    assert flood.returncode == 0, trouble
    found = json.loads(out.splitlines()[-1])
    print(f"\n{kind}: {flooded.splitlines()[-1]} while {found}")
    assert found["failed"] == []
    assert_unharmed(lab)


def test_letters_that_mean_nothing_end_no_daemon(lab: Lab, victim: str) -> None:
    came = attack(lab[2], "impostor", "weird", victim, "3", "1200")
    print(f"\n{came}")
    assert came["sent"] > 100
    other = daemon(lab[1])
    assert attack(lab[2], "impostor", "weird", node_id(lab[1]), "4", "1200")["sent"] > 100
    assert daemon(lab[1]) == other
    assert_unharmed(lab)

"""What a machine that is cut off still tells: what it knew, how old that is, and no more."""

from __future__ import annotations

import asyncio

import pytest

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.outlook import is_cut_off
from odyssey.api.relay.remembered import Remembered
from odyssey.errors import Unreachable
from tests.api.relay.test_choosing import GONE, STATUS, Desk, Place, choose


def a_node(name: str, state: str = "up", **fields: object) -> v.NodeView:
    told = {"cpu_percent": 10.0, "memory_percent": 20.0, "load1": 0.5, "owner_state": "free", "last_seen_seconds": 1.0}
    return v.NodeView(
        name=name, id=name, state=state, role="worker", coordinator=name == "titan", address=None, owner="anna",
        os="linux", arch="x86_64", cpus=2.0, memory_bytes=1, gpus=0, box=None, labels={}, version=None,
        **{**told, **fields},  # type: ignore[arg-type]
    )  # fmt: skip


NODES = v.NodeList((a_node("titan"), a_node("pi4"), a_node("nova", "gone", last_seen_seconds=60.0)))


def test_nothing_is_remembered_of_a_mesh_that_was_never_heard() -> None:
    assert Remembered().status("pi4", 0) is None
    assert Remembered().nodes("pi4", 0) is None


def test_machines_are_what_they_were_with_their_age_and_are_not_heard_now() -> None:
    known = Remembered()
    known.note(NODES, 1_000)
    found = known.nodes("pi4", 13_000)
    assert found is not None
    assert found.age_ms == 12_000
    titan, pi4, nova = found.nodes
    assert (titan.state, titan.last_seen_seconds, titan.cpu_percent, titan.coordinator) == ("gone", 13.0, None, False)
    assert (pi4.state, pi4.cpu_percent) == ("up", 10.0)
    assert (nova.state, nova.last_seen_seconds) == ("gone", 72.0)
    younger = known.nodes("pi4", 2_000)
    assert younger is not None
    assert younger.nodes[0].state == "silent"


def test_the_status_of_who_is_cut_off_promises_nothing() -> None:
    known = Remembered()
    machines = {"titan": "up", "pi4": "up"}
    view = v.StatusView(
        "m", "id", "titan", "id1", "keeper", "titan", 3, v.Quorum(1, 1, 1), 1, (), {"up": 2, "gone": 0}, {}, 0.0, 1, 2,
        machines=machines,
    )  # fmt: skip
    known.note(v.Picture(True, (), (), None, view), 0)
    found = known.status("pi4", 60_000)
    assert found is not None
    assert is_cut_off(found)
    assert (found.can_lose, found.coordinator, found.missing) == (0, None, ("titan",))
    assert (found.machines, found.nodes) == ({"titan": "gone", "pi4": "up"}, {"up": 1, "gone": 1})
    assert found.age_seconds == 60.0


def test_who_keeps_no_log_and_reaches_nobody_tells_what_it_heard_before() -> None:
    passed = Desk("other")
    choosing = choose(Place(), Desk("own"), passed)

    async def status() -> v.StatusView:
        view = await choosing.handlers["status"](r.Status())  # type: ignore[misc]
        assert isinstance(view, v.StatusView)
        return view

    assert asyncio.run(status()).coordinator == STATUS.coordinator
    passed.before = GONE
    cut_off = asyncio.run(status())
    assert (cut_off.node, cut_off.coordinator, cut_off.notes) == ("pi4", None, ("Paused.",))


def test_who_reaches_nobody_and_was_in_touch_asks_nobody() -> None:
    place, passed = Place(), Desk("other")
    choosing = choose(place, Desk("own"), passed)
    asyncio.run(choosing.handlers["status"](r.Status()))  # type: ignore[arg-type]
    place.reaches = False
    view: object = asyncio.run(choosing.handlers["status"](r.Status()))  # type: ignore[arg-type]
    assert isinstance(view, v.StatusView)
    assert view.coordinator is None
    assert passed.asked == ["status"]


def test_who_has_heard_nothing_says_that_nobody_can_be_reached() -> None:
    choosing = choose(Place(), Desk("own"), Desk("other", before=GONE))
    for op in ("nodes", "jobs"):
        with pytest.raises(Unreachable):
            asyncio.run(choosing.handlers[op](r.Status()))  # type: ignore[arg-type]

"""Machines without a screen: an invite lies on the card, and the daemon does the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import Host, Lab
from tests.system.place import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(2) as lab:
        lab[0].run("odyssey", "up", "--listen", "0.0.0.0:7660", limit_s=120)
        yield lab


def told(host: Host, *words: str) -> Any:
    return json.loads(host.run("odyssey", *words, "--json", limit_s=120).out)


def card(host: Host, text: str) -> None:
    host.card.parent.mkdir(exist_ok=True)
    host.card.write_text(text)


def names(host: Host) -> set[str]:
    return {one["name"] for one in told(host, "nodes") if one["state"] == "up"}


def notes(host: Host) -> str:
    return " ".join(told(host, "status")["notes"])


def test_a_machine_joins_by_the_invite_on_its_card(lab: Lab) -> None:
    card(lab[1], told(lab[0], "invite")["invite"] + "\n")
    lab[1].run("odyssey", "up", limit_s=120)
    wait_for(lambda: names(lab[0]) == {"h1", "h2"}, 30)
    assert not lab[1].card.exists()
    assert notes(lab[1]) == ""


def test_also_one_that_has_begun_a_mesh_of_its_own(lab: Lab) -> None:
    lab[1].run("odyssey", "run", "--", "true", limit_s=60)
    lab[1].run("odyssey", "down", limit_s=60)
    card(lab[1], told(lab[0], "invite")["invite"])
    lab[1].run("odyssey", "up", limit_s=120)
    wait_for(lambda: names(lab[0]) == {"h1", "h2"}, 30)
    assert not lab[1].card.exists()


def test_a_spent_one_is_told_and_tried_once_in_a_boot(lab: Lab) -> None:
    text = told(lab[0], "invite")["invite"]
    card(lab[1], text)
    lab[1].run("odyssey", "up", limit_s=120)
    wait_for(lambda: names(lab[0]) == {"h1", "h2"}, 30)
    lab[1].run("odyssey", "leave", "--yes", limit_s=60)
    lab[0].run("odyssey", "node", "remove", "h2", "--yes", check=False)
    card(lab[1], text)
    for _ in range(2):
        lab[1].run("odyssey", "up", limit_s=120)
        assert "was not taken: not let in: " in notes(lab[1])
        lab[1].run("odyssey", "down", limit_s=60)
    assert lab[1].card.exists()

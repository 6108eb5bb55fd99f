"""Handing the lead over, and recovering: what people are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from odyssey.api import requests as r
from odyssey.clock import SeededEntropy
from odyssey.errors import UsageError
from odyssey.ids import NodeId
from odyssey.mesh.generation import Fork, Generation, Lineage
from odyssey.mesh.raft.types import Member, StoreId
from odyssey.mesh.recover import CannotRecover, Keeps, Standing, recovery
from tests.api.counter import FakeCounter, desk_of

OTHER = NodeId("node-000000000000000000002")


def told(counter: FakeCounter, name: str, request: r.Request[Any]) -> Any:
    async def scenario() -> Any:
        desk = desk_of(counter)
        try:
            answer = desk.handlers[name](request)
            assert isinstance(answer, Awaitable)
            return await answer
        finally:
            desk.close()

    return asyncio.run(asyncio.wait_for(scenario(), 20))


def test_who_coordinates_hands_it_over_and_says_to_whom(tmp_path: Path) -> None:
    counter = FakeCounter(tmp_path)
    counter.mesh.machine("nova")
    counter.heir = OTHER
    assert told(counter, "stepdown", r.StepDown()).coordinator == "nova"


def test_without_another_keeper_nothing_is_handed_over(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no other keeper"):
        told(FakeCounter(tmp_path), "stepdown", r.StepDown())


def a_recovery(counter: FakeCounter) -> None:
    me, lost = Member(counter.me, StoreId(b"a")), Member(OTHER, StoreId(b"b"))
    lineage = Lineage(bytes(16), Generation(1, b"root"))
    standing = Standing(me, lineage, Keeps.STANDBY, Fork(1, 7), 1, 7, (lost,))
    counter.recovery = recovery([standing], counter.me, SeededEntropy(1))


@pytest.mark.parametrize("is_sure", [False, True])
def test_a_recovery_names_who_goes_on_and_what_may_be_missing(tmp_path: Path, is_sure: bool) -> None:
    counter = FakeCounter(tmp_path)
    counter.mesh.machine("nova")
    a_recovery(counter)
    view = told(counter, "recover", r.Recover(is_sure))
    assert (view.founder, view.generation, view.has_begun) == ("titan", 2, is_sure)
    assert [(one.node, "did not answer" in one.text) for one in view.missing] == [("nova", True)]
    assert counter.recovered == [is_sure]


def test_what_must_not_be_recovered_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(CannotRecover, match="already"):
        told(FakeCounter(tmp_path), "recover", r.Recover(is_sure=True))

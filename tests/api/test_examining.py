"""A member asks a member: what it answers, whom it asks for others, and that nobody can send it anywhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from odyssey.api.errands import Examine, Examined
from odyssey.api.machines import MOST_PADDING
from odyssey.ids import NodeId
from tests.api.counter import FakeCounter, desk_of

NOVA, THERE = NodeId("node-nova"), NodeId("node-there")


def examined(counter: FakeCounter, request: Examine, nova: FakeCounter | None = None) -> Examined:
    async def ask() -> Any:
        if nova is not None:
            counter.others.errands[NOVA] = desk_of(nova).errands
        return await desk_of(counter).errands["examine"](request)

    view = asyncio.run(asyncio.wait_for(ask(), 20))
    assert isinstance(view, Examined)
    return view


def test_it_tries_to_connect_to_the_member_and_tells_its_clock(tmp_path: Path) -> None:
    counter = FakeCounter(tmp_path)
    view = examined(counter, Examine(back_to=THERE))
    assert counter.examining.knocked == [THERE]
    assert [way.answer for way in view.ways] == ["open"]
    assert view.wall_ms == counter.clock.wall_ms()
    assert view.gives == ("titan gives all",)


def test_without_somebody_to_go_to_it_goes_nowhere(tmp_path: Path) -> None:
    counter = FakeCounter(tmp_path)
    assert examined(counter, Examine()).ways == ()
    assert counter.examining.knocked == []


def test_it_asks_another_machine_once_and_that_one_no_other(tmp_path: Path) -> None:
    counter, nova = FakeCounter(tmp_path / "here"), FakeCounter(tmp_path / "there")
    view = examined(counter, Examine(machine=NOVA, back_to=THERE), nova)
    assert counter.others.asked == [(NOVA, Examine(machine="", back_to=THERE))]
    assert (counter.examining.knocked, nova.examining.knocked) == ([], [THERE])
    assert [way.answer for way in view.ways] == ["open"]


def test_padding_is_bounded(tmp_path: Path) -> None:
    view = examined(FakeCounter(tmp_path), Examine(wants=1 << 30))
    assert len(view.padding) == MOST_PADDING
    assert examined(FakeCounter(tmp_path), Examine(wants=-5)).padding == b""

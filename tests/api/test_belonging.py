"""Machines that say goodbye, or are put out; what they may do; and the invites there are."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from odyssey.api import belonging, rights
from odyssey.api import requests as r
from odyssey.api.rights import Asker
from odyssey.commands import LEVELS, MakeInvite, SetLevel
from odyssey.errors import NotPermitted, UsageError
from odyssey.ids import UserId
from tests.api.counter import FakeCounter, desk_of, until
from tests.builders import Mesh

BEN = UserId("ben")


def two(home: Path) -> tuple[FakeCounter, Asker]:
    """Titan answers; nova is ben's."""
    counter = FakeCounter(home)
    counter.mesh.machine("nova", owner=BEN)
    (nova,) = (one for one in counter.state.nodes.values() if one.name == "nova")
    return counter, Asker(BEN, nova.id)


def run(play: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(play, 20))


def names(counter: FakeCounter) -> list[str]:
    return [one.name for one in counter.state.nodes.values() if not one.removed]


def test_who_says_goodbye_is_gone_and_then_shut_out_however_often_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(belonging, "HEARD_S", 0)

    async def play() -> None:
        counter, nova = two(tmp_path)
        rights.welcome(nova)
        goodbye: Any = desk_of(counter).handlers["goodbye"]
        assert [(await goodbye(r.Goodbye())).name for _ in range(2)] == ["nova", ""]
        assert names(counter) == ["titan"]
        await until(lambda: len(counter.membership.put) == 2)
        assert set(counter.membership.put) == {(nova.node, BEN)}

    run(play())


def test_nobody_says_goodbye_for_the_machine_that_answers(tmp_path: Path) -> None:
    async def play() -> None:
        counter, _ = two(tmp_path)
        goodbye: Any = desk_of(counter).handlers["goodbye"]
        with pytest.raises(UsageError, match="to another one"):
            await goodbye(r.Goodbye())
        assert names(counter) == ["titan", "nova"]

    run(play())


def test_ones_own_machine_is_put_out_by_its_owner_and_what_it_may_do_is_for_who_administers(tmp_path: Path) -> None:
    async def play() -> None:
        counter, nova = two(tmp_path)
        handlers: Any = desk_of(counter).handlers
        await handlers["allow"](r.Allow("nova", ("invite", "work")))
        assert counter.membership.allowed == [(nova.node, ("invite", "work"), True)]
        with pytest.raises(UsageError, match="there is no 'fly' for a machine to do"):
            await handlers["allow"](r.Allow("nova", ("fly",)))
        with pytest.raises(UsageError, match="titan would put out itself"):
            await handlers["remove"](r.Remove("titan"))
        rights.welcome(nova)
        with pytest.raises(NotPermitted) as refused:
            await handlers["allow"](r.Allow("nova", ("admin",)))
        assert refused.value.hint == "type it on titan; or there, once: odyssey node allow nova admin"
        assert (await handlers["remove"](r.Remove("no"))).is_shut_out
        assert counter.membership.put == [(nova.node, BEN)]

    run(play())


def test_invites_are_listed_while_they_last_and_taken_back_by_a_part_of_their_id(tmp_path: Path) -> None:
    async def play() -> None:
        counter = FakeCounter(tmp_path, Mesh())
        handlers: Any = desk_of(counter).handlers
        now = counter.clock.wall_ms()
        counter.do(SetLevel(counter.mesh.fence, LEVELS[MakeInvite]))
        for first, until_ms in ((1, now + 1), (2, now + 2), (3, now)):
            counter.do(MakeInvite(bytes([first] * 6), b"terms", 2, until_ms, BEN))
        shown = await handlers["invites"](r.Invites())
        assert [(one.id[:2], one.used, one.uses, one.by) for one in shown.invites] == [
            ("01", 0, 2, BEN),
            ("02", 0, 2, BEN),
        ]
        for text in ("0", "", "ff"):
            with pytest.raises(UsageError):
                await handlers["end_invites"](r.EndInvites(("01", text)))
        await handlers["end_invites"](r.EndInvites(("0101", "02")))
        assert (await handlers["invites"](r.Invites())).invites == ()

    run(play())

"""A short day of a real daemon, and the power goes at its end. `python -m tests.power` tries many more moments."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.power.__main__ import accounted
from tests.power.account import Account
from tests.power.check import check
from tests.power.disk import Loss
from tests.power.record import is_possible, record

WHY_NOT = is_possible()


@pytest.mark.skipif(bool(WHY_NOT), reason=f"POWER CUTS ARE NOT TRIED: {WHY_NOT}")
def test_what_was_acknowledged_is_there_after_a_power_cut(tmp_path: Path) -> None:
    day = record(tmp_path / "day", {}, "boot-1", seed=1, acts=9)
    disk, lines = day.disk(), list[bytes]()
    for step in day.steps():
        if day.is_of_world(step):
            disk.take(step)
        elif day.is_told(step):
            lines.append(step.call.data)
        if b'"over"' in step.call.data:
            break
    account = accounted(Account(), lines)
    assert len(account.jobs) > 4
    assert account.seen
    assert check(tmp_path / "image", disk.crash(Loss.ALL_LOST, Random(0)), account, "boot-2") == []


def test_an_account_knows_what_is_promised() -> None:
    lines = (
        b'{"number": 1, "what": "submit", "kind": "held", "word": "a"}\n{"number": 1, "told": 1}\n',
        b'{"number": 2, "what": "release", "job": 1}\n{"number": 2, "told": 1}\n',
        b'{"number": 3, "what": "prio", "job": 1, "priority": 4}\n{"number": 3, "told": 0}\n',
        b'{"number": 4, "what": "cancel", "job": 1}\n',
    )
    marks = [line + b"\n" for text in lines for line in text.splitlines()]
    account = accounted(Account(), marks[:-1])
    assert (account.held[1].value, account.priority[1].value) == (False, None)
    assert (account.cancelled, account.may_be_cancelled) == (set(), set())
    account = accounted(account, marks[-1:])
    assert (account.cancelled, account.may_be_cancelled) == (set(), {1})
    account = accounted(Account(), [b'{"number": 1, "what": "submit", "kind": "one", "word": "b"}\n'])
    assert [work.word for work in account.unsure] == ["b"]

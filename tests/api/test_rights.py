"""Who may do what: every operation of the table, with one's own job, another's, and as who administers the mesh."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from odyssey import wire
from odyssey.api import requests as r
from odyssey.api import rights
from odyssey.api import views as v
from odyssey.api.operations import BY_NAME, TABLE
from odyssey.api.relay.guests import Guests
from odyssey.api.rights import Asker, Right
from odyssey.commands import Facts
from odyssey.errors import NotPermitted
from odyssey.ids import NodeId, UserId
from odyssey.messages import AskKeeper, Parts
from odyssey.resources import Resources
from tests.api.counter import FakeCounter, desk_of, until
from tests.builders import a_spec

THERE = NodeId("node-000000000000000000002")
OWNER, OTHER, ADMIN = (Asker(UserId("anna"), THERE), Asker(UserId("ben"), THERE), Asker(UserId("root"), THERE, True))
SECRET = b"--key=4711"

REQUESTS: dict[str, r.Request[Any]] = {
    "status": r.Status(),
    "nodes": r.Nodes(),
    "node": r.Node("titan"),
    "label": r.Label("titan", ("room=lab3",)),
    "rename": r.Rename("titan", "nova"),
    "drain": r.Drain("titan"),
    "facts": r.TellFacts(Facts(Resources(1000, 1 << 30, 0, 0))),
    "invite": r.Invite(),
    "remove": r.Remove("titan"),
    "allow": r.Allow("titan", ("invite",)),
    "goodbye": r.Goodbye(),
    "leave": r.Leave(),
    "invites": r.Invites(),
    "end_invites": r.EndInvites(("00",)),
    "asking": r.Asking(),
    "approve": r.Approve("pi5", "123456"),
    "network": r.Networks(),
    "stepdown": r.StepDown(),
    "recover": r.Recover(),
    "submit": r.Submit(bytes(16), (a_spec(user=""),)),
    "dry_run": r.DryRun(a_spec(user="")),
    "blob_put": r.PutBlob(bytes(32), 1, 0, b""),
    "stdin_put": r.PutStdin(bytes(16), 0, b"x"),
    "type": r.Type("1", 1, 1),
    "jobs": r.Jobs(),
    "job": r.Job("1"),
    "dag": r.Dag("1"),
    "cancel": r.Cancel("1"),
    "retry": r.Retry("1"),
    "hold": r.Hold("1"),
    "release": r.Release("1"),
    "prio": r.Prio("1", 1),
    "wait": r.Wait(("1",)),
    "follow": r.Follow("1"),
    "logs": r.Logs("1"),
    "watch": r.Watch(),
    "events": r.Events(),
    "queue": r.Queue(),
    "explain": r.Explain("1"),
    "history": r.History(),
    "where": r.Where("1"),
    "policy": r.Policy("round_robin"),
    "share": r.Share(),
    "pause": r.Pause(),
    "resume": r.Resume(),
    "doctor": r.Doctor(),
    "down": r.Down(),
}


def test_every_operation_is_tried_here() -> None:
    assert set(REQUESTS) == set(BY_NAME)


def a_counter(home: Path) -> FakeCounter:
    """Job 1 is anna's and has ended."""
    counter = FakeCounter(home)
    counter.submit(argv=(b"fit", SECRET), env=((b"TOKEN", b"4711"),), cwd=b"/home/anna/4711")
    counter.assign(1)
    counter.end(1)
    return counter


async def asked(counter: FakeCounter, guest: Asker, op: str, request: r.Request[Any]) -> tuple[bytes, str]:
    """What another machine is answered, and with which error it was refused."""
    letters: list[Parts] = []
    guests = Guests(
        desk_of(counter).handlers,
        lambda _, letter: letters.append(letter),
        lambda: 0,
        lambda _: rights.welcome(guest),
        lambda _: None,
    )
    guests.hear(THERE, AskKeeper(1, 1, op, wire.encode(request)))
    await until(lambda: bool(letters))
    guests.close()
    answer = b"".join(part for letter in letters for part in letter.parts)
    return answer, next((letter.refusal.code for letter in letters if letter.refusal is not None), "")


ALLOWED = {
    Right.SEE: (OWNER, OTHER, ADMIN),
    Right.READ: (OWNER, ADMIN),
    Right.CHANGE: (OWNER, ADMIN),
    Right.RULE: (ADMIN,),
    Right.HERE: (),
}


@pytest.mark.parametrize("guest", [OWNER, OTHER, ADMIN], ids=["owner", "other", "admin"])
@pytest.mark.parametrize("op", [row.name for row in TABLE])
def test_who_may_and_who_may_not(tmp_path: Path, op: str, guest: Asker) -> None:
    counter = a_counter(tmp_path)
    before = counter.state.head.index
    answer, code = asyncio.run(asyncio.wait_for(asked(counter, guest, op, REQUESTS[op]), 20))
    assert (code != NotPermitted.__name__) is (guest in ALLOWED[BY_NAME[op].right])
    if code == NotPermitted.__name__:
        assert counter.state.head.index == before
        assert answer == b""
    if guest is OTHER:
        assert b"4711" not in answer


def test_one_sees_ones_own_command_and_environment(tmp_path: Path) -> None:
    answer, _ = asyncio.run(asyncio.wait_for(asked(a_counter(tmp_path), OWNER, "job", r.Job("1")), 20))
    assert answer.count(b"4711") >= 3


def test_what_another_machine_submits_is_its_owners_and_from_there(tmp_path: Path) -> None:
    counter = FakeCounter(tmp_path)
    counter.mesh.machine("bens", owner="ben")
    asyncio.run(asyncio.wait_for(asked(counter, OTHER, "submit", r.Submit(bytes(16), (a_spec(user="anna"),))), 20))
    spec = counter.mesh.job(1).spec
    assert (spec.user, spec.origin) == (OTHER.user, OTHER.node)


def test_last_is_the_newest_of_ones_own(tmp_path: Path) -> None:
    counter = a_counter(tmp_path)
    counter.submit(user="ben")
    answer, _ = asyncio.run(asyncio.wait_for(asked(counter, OWNER, "job", r.Job("last")), 20))
    assert wire.decode(answer, v.JobDetail).job.id == 1

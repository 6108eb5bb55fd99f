"""What a member may say: in its own name, and about the log only if it may keep it."""

from __future__ import annotations

from typing import Any

import pytest

from odyssey.commands import Fence
from odyssey.ids import AttemptId, JobId, NodeId
from odyssey.mesh.generation import Charter, Fork, Generation, Lineage
from odyssey.mesh.letters import AskRead, Forward, Forwarded, Letter, ReadAt, Scope
from odyssey.mesh.raft.types import (
    Append,
    AppendReply,
    Config,
    Heartbeat,
    HeartbeatReply,
    Install,
    Member,
    Snapshot,
    StoreId,
    TakeOver,
    VoteReply,
    VoteRequest,
)
from odyssey.mesh.recover import AskStanding, Found, Founds, Line, Standing
from odyssey.mesh.speaking import Overstepped, check
from odyssey.mesh.trust.certificates import Grant
from odyssey.messages import (
    AskJobs,
    AskKeeper,
    Beat,
    BeatId,
    BootId,
    Duty,
    Elsewhere,
    HandedIn,
    HandIn,
    HandInSegment,
    HaveSegment,
    JobsAre,
    OfferSegment,
    Parts,
    SegmentTaken,
)

ME, OTHER = NodeId("me"), NodeId("other")
MINE, THEIRS = Member(ME, StoreId(b"s")), Member(OTHER, StoreId(b"s"))
FIRST = Generation(1, b"g" * 8)
CHARTER = Charter(b"m", Generation(2, b"h" * 8), FIRST, Fork(1, 1), 2, MINE, ME)


def named(who: Member) -> list[Any]:
    """All that says whose it is."""
    return [
        VoteRequest(2, who, 1, 1),
        VoteReply(2, who, MINE, True),
        Append(2, who, 0, 0, (), 0),
        AppendReply(2, who, True),
        Heartbeat(2, who, 0, 0, 1),
        HeartbeatReply(2, who, 1),
        Install(2, who, Snapshot(1, 1, Config((who,)), b"d", 1)),
        TakeOver(2, who),
        Forward(who, 1, b"x"),
        Forwarded(who, 1, 1),
        AskRead(who, 1),
        ReadAt(who, 1, 1),
    ]


OF_THOSE_WHO_KEEP_THE_LOG = [
    *named(MINE),
    Duty(BeatId(BootId(b"b"), 1, 1), Fence(1, 1), 1, AttemptId(0)),
    JobsAre(()),
    OfferSegment(Fence(1, 1), 1, 1, b"d", 1),
    HaveSegment(b"s", Fence(1, 1), 1, b"d"),
    HandIn(1),
    HandedIn(1),
    HandInSegment(b"s", b"d", 1, JobId(1), JobId(1), 1),
    SegmentTaken(b"d"),
    Found(CHARTER),
]
OF_ALL = [
    Beat(BeatId(BootId(b"b"), 1, 1)),
    AskJobs((JobId(1),)),
    Elsewhere(OTHER),
    AskKeeper(1, 1, "status", b""),
    Parts(1, 1, 0),
    AskStanding(),
    Standing(MINE, Lineage(b"m", FIRST)),
    Line(Lineage(b"m", FIRST)),
    Founds(FIRST),
]


def kind(content: Any) -> str:
    return type(content).__name__


def letter(content: Any) -> Letter:
    return Letter(Scope("mesh", 1), content)


def everybody(_: NodeId, __: Grant) -> bool:
    return True


def worker(_: NodeId, grant: Grant) -> bool:
    return grant in Grant.WORKER | Grant.SUBMIT


@pytest.mark.parametrize("content", [*OF_THOSE_WHO_KEEP_THE_LOG, *OF_ALL], ids=kind)
def test_who_may_keep_the_log_may_say_all_of_it(content: Any) -> None:
    check(ME, letter(content), everybody)


@pytest.mark.parametrize("content", OF_ALL, ids=kind)
def test_every_member_may_say_what_it_does_and_asks(content: Any) -> None:
    check(ME, letter(content), worker)


@pytest.mark.parametrize("content", OF_THOSE_WHO_KEEP_THE_LOG, ids=kind)
def test_who_may_not_keep_the_log_says_nothing_about_it_and_orders_nobody(content: Any) -> None:
    with pytest.raises(Overstepped):
        check(ME, letter(content), worker)


@pytest.mark.parametrize("content", [*named(THEIRS), Standing(THEIRS, Lineage(b"m", FIRST))], ids=kind)
def test_nobody_speaks_in_anothers_name(content: Any) -> None:
    with pytest.raises(Overstepped):
        check(ME, letter(content), everybody)

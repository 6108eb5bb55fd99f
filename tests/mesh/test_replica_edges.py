"""One replica where things meet: a full log, a snapshot from elsewhere, a newer version, a restart."""

from collections.abc import Iterable

import pytest

from odyssey.commands import Fence, LoseAttempts, Report, ReportAttempts
from odyssey.errors import NotUnderstood
from odyssey.ids import AttemptId, NodeNumber, TaskId
from odyssey.mesh.letters import Accepted, Again, AskRead, Forwarded, ReadAt
from odyssey.mesh.raft import core as raft_core
from odyssey.mesh.raft.types import Config, Install, Snapshot
from odyssey.mesh.replica import BUSY_MS
from odyssey.model import Cause, Outcome
from tests.mesh.raft.alone import append, beat, holds
from tests.mesh.raft.machine import config, member
from tests.mesh.test_replica import NEWER, following, leading, request_of, told

REPORT = ReportAttempts(NodeNumber(1), (Report(AttemptId(1), TaskId(1), Outcome.EXITED),))
LOSS = LoseAttempts(Fence(1, 1), Cause.DOWN, ((AttemptId(1), TaskId(1)),))
SHOT = Snapshot(5, 1, config("1 2 3"), b"digest", 3)


# -- a full log --------------------------------------------------------------------------------------------------------


def test_reports_losses_and_changes_of_members_find_room_on_a_full_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raft_core, "MAX_PROPOSALS", 2)
    rig = leading()
    for _ in range(3):
        rig.propose()
    assert rig.outcomes == [Again(BUSY_MS)]
    rig.propose(REPORT)
    rig.propose(LOSS)
    rig.replica.propose_config(Config(rig.replica.core.config.voters, (member("4"),)))
    assert rig.replica.core.log.last == 6
    rig.sync()
    rig.hears(holds("2", rig.term, 6))
    assert rig.outcomes == [Again(BUSY_MS), *(Accepted(index, f"said {index}") for index in (2, 3, 4, 5))]


def test_there_is_room_again_when_some_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raft_core, "MAX_PROPOSALS", 1)
    rig = leading()
    rig.propose()
    rig.propose()
    rig.sync()
    rig.hears(holds("2", rig.term, 2))
    rig.propose()
    rig.sync()
    rig.hears(holds("2", rig.term, 3))
    assert rig.outcomes == [Again(BUSY_MS), Accepted(2, "said 2"), Accepted(3, "said 3")]


# -- a snapshot from elsewhere -----------------------------------------------------------------------------------------


def test_who_waits_for_what_the_snapshot_covers_is_told_when_it_is_loaded() -> None:
    """The log may stand still afterwards; nobody must wait for the next entry."""
    rig, reads = following(), list[int | None]()
    rig.propose()
    rig.replica.read(reads.append)
    (asked,) = rig.said(AskRead)
    assert isinstance(asked, AskRead)
    rig.hears(Forwarded(member("2"), request_of(rig), 4), ReadAt(member("2"), asked.request, 5))
    rig.hears(Install(1, member("2"), SHOT))
    ((_, done),) = rig.fetches
    assert not rig.outcomes
    assert not reads
    done([b"abc"])
    assert (rig.outcomes, reads) == ([Accepted(4, None)], [5])


def test_it_stands_down_at_a_snapshot_of_a_newer_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not forget what it knows, nor tell its disk that it has what it cannot read."""

    def newer(_: Iterable[bytes]) -> None:
        raise NotUnderstood("a snapshot in format 2")

    rig = following()
    monkeypatch.setattr(rig, "load", newer)
    rig.hears(Install(1, member("2"), SHOT))
    ((_, done),) = rig.fetches
    before = len(rig.writes)
    done([b"abc"])
    rig.wait(1_000)
    assert rig.replica.stopped is not None
    assert rig.replica.applied == 0
    assert len(rig.writes) == before


# -- a newer version ---------------------------------------------------------------------------------------------------


def test_who_stood_down_gathers_nothing_for_days() -> None:
    """The leader goes on to send; what would be said to that must not pile up."""
    rig = following()
    rig.hears(append("2", 1, (0, 0), [told(1, 1, NEWER)], commit=1))
    assert rig.replica.stopped is not None
    before = len(rig.sent)
    for number in range(100):
        rig.hears(beat("2", 1, number=number), append("2", 1, (1, 1), [told(2, 1)]))
        rig.wait(1_000)
    assert len(rig.sent) == before
    assert rig.replica.core.ready().messages == ()
    assert rig.replica.core.log.last == 1


# -- a restart ---------------------------------------------------------------------------------------------------------


def test_the_answer_to_a_read_before_a_restart_is_for_nobody() -> None:
    before, rig, reads = following(), following(seed=2), list[int | None]()
    before.replica.read(lambda _: None)
    rig.replica.read(reads.append)
    (asked,) = before.said(AskRead)
    assert isinstance(asked, AskRead)
    rig.hears(ReadAt(member("2"), asked.request, 0))
    assert reads == []


@pytest.mark.parametrize("index", [0, 1])
def test_a_doubled_answer_is_one_outcome(index: int) -> None:
    rig = following()
    rig.propose()
    rig.hears(append("2", 1, (0, 0), [told(1, 1)], commit=1))
    rig.hears(*[Forwarded(member("2"), request_of(rig), index)] * 2)
    assert len(rig.outcomes) == 1

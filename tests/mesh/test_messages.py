"""The beat and the Duty: exact on the wire, open to what a newer daemon adds, careful with words it does not know."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey import messages, wire
from odyssey.commands import Fence, Report
from odyssey.ids import AttemptId, NodeId, TaskId, attempt_id, task_id
from odyssey.messages import (
    AnyMessage,
    Beat,
    BeatId,
    BootId,
    Duty,
    Going,
    Holding,
    Keeping,
    Listed,
    NodeState,
    OwnerState,
    Telemetry,
)
from odyssey.model import Outcome
from odyssey.scheduler import snapshot

RECORDS = [kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
RECORDS = [kind for kind in RECORDS if kind.__module__ == messages.__name__]

numbers = st.integers(0, (1 << 63) - 1)
beat_ids = st.builds(BeatId, st.binary(min_size=16, max_size=16).map(BootId), numbers, numbers)
holdings = st.builds(Holding, numbers.map(AttemptId), numbers.map(TaskId), elapsed_ms=numbers)
fences = st.builds(Fence, numbers, numbers)
beats = st.builds(Beat, beat_ids, st.lists(holdings, max_size=5).map(tuple), fence=fences, since=numbers.map(AttemptId))
listed = st.builds(Listed, numbers.map(AttemptId), numbers.map(TaskId))
duties = st.builds(Duty, beat_ids, fences, numbers, numbers.map(AttemptId), st.lists(listed, max_size=5).map(tuple))

BEAT = Beat(BeatId(BootId(b"b" * 16), 5, 1), (Holding(AttemptId(7), TaskId(3), started=True),))
DUTY = Duty(BEAT.id, Fence(1, 2), 1, AttemptId(0), (Listed(AttemptId(7), TaskId(3)),))


def test_the_walk_finds_the_records() -> None:
    assert {Beat, Duty, BeatId, Holding, Listed, Telemetry, Keeping} <= set(RECORDS)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_is_frozen_small_and_open(kind: type[msgspec.Struct]) -> None:
    config = kind.__struct_config__
    assert config.frozen
    assert config.array_like
    assert not config.forbid_unknown_fields


@given(beats | duties)
def test_what_is_sent_is_what_arrives(message: Beat | Duty) -> None:
    assert wire.decode_message(wire.encode_message(message), AnyMessage) == message


def plain(message: Beat | Duty) -> list[Any]:
    values: list[Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(message))
    return values


@pytest.mark.parametrize("message", [BEAT, DUTY], ids=["beat", "duty"])
def test_what_a_newer_version_adds_is_ignored(message: Beat | Duty) -> None:
    newer = [*plain(message), "more", {"and": "more"}]
    assert wire.decode_message(wire.encode([1, newer]), AnyMessage) == message


FULL_BEAT = msgspec.structs.replace(BEAT, reports=(Report(AttemptId(7), TaskId(3), Outcome.EXITED),))
FULL_DUTY = msgspec.structs.replace(DUTY, settled=(AttemptId(5),), keepers=(NodeId("n2"),))


@pytest.mark.parametrize("message", [FULL_BEAT, FULL_DUTY], ids=["beat", "duty"])
def test_what_an_older_version_leaves_out_has_a_default(message: Beat | Duty) -> None:
    """One field less each time, down to those that have always been there."""
    kind = type(message)
    fields = kind.__struct_fields__
    least = 1 + len(fields) - len(kind.__struct_defaults__)
    for length in range(least, len(plain(message))):
        read = wire.decode_message(wire.encode([1, plain(message)[:length]]), AnyMessage)
        without = {name: getattr(message, name) for name in fields[: length - 1]}
        assert read == kind(**without)
    assert {"reports", "settled", "keepers"} & set(fields[least - 1 :])


def test_a_word_nobody_knows_yet_is_read_as_the_most_careful_one() -> None:
    newer = plain(BEAT)
    newer[3] = 99
    newer[4][3] = 99
    read = wire.decode_message(wire.encode([1, newer]), Beat)
    assert read.going is Going.STAYING  # so its attempts are kept until its lease is over
    assert read.telemetry.owner is OwnerState.IN_USE


def test_a_full_machine_fits_into_one_beat_and_its_duty_into_one_batch() -> None:
    attempts = [(attempt_id(1, 1 << 36, place), task_id(1 << 30, place)) for place in range(1_500)]
    beat = Beat(BEAT.id, tuple(Holding(*one, started=True, elapsed_ms=1 << 40) for one in attempts))
    assert len(wire.encode_message(beat, wire.ITEM)) < wire.ITEM.bytes
    duty = Duty(BEAT.id, Fence(1, 2), 1, AttemptId(0), tuple(Listed(*one) for one in attempts))
    assert len(wire.encode_message(duty, wire.ENTRY)) < wire.ENTRY.bytes


def test_beats_of_one_boot_are_ordered_by_daemon_and_number() -> None:
    boot = BootId(b"b" * 16)
    sent = [BeatId(boot, 5, 8), BeatId(boot, 5, 9), BeatId(boot, 70, 1)]
    assert sorted(sent, key=lambda beat: beat.order) == sent


@pytest.mark.parametrize("going", Going)
def test_only_who_really_goes_is_away(going: Going) -> None:
    assert going.away == (going in (Going.SLEEP, Going.SHUTDOWN, Going.LEAVE))


def test_who_goes_and_still_holds_something_leaves_something() -> None:
    gone = Beat(BEAT.id, going=Going.SLEEP)
    assert gone.leaves_nothing
    assert msgspec.structs.replace(gone, holds=(Holding(AttemptId(1), TaskId(1), ended=True),)).leaves_nothing
    assert not msgspec.structs.replace(gone, holds=BEAT.holds).leaves_nothing
    assert not Beat(BEAT.id, going=Going.RESTART).leaves_nothing


def words(kind: Any) -> dict[str, int]:
    return {word.name: int(word) for word in kind}


def test_the_planner_reads_the_same_words() -> None:
    assert words(NodeState) == words(snapshot.NodeState)
    assert words(OwnerState) == words(snapshot.OwnerState)

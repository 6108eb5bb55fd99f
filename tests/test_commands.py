"""The orders of the log: each survives being written and read, none is ever misread, and none is without an effect.

Never: renumbers. The table of tags below is what logs on disks say; changing it would change what they mean.
"""

import typing
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey import commands, wire
from odyssey.commands import LEVELS, NEWEST_LEVEL, AnyCommand, Command, Entry
from odyssey.errors import Malformed, NotUnderstood
from odyssey.model import Cause, Outcome
from odyssey.resources import Resources
from odyssey.scheduler.apply import TRANSITIONS
from odyssey.spec import Want
from tests.scheduler.arbitrary import entries

TAGS = {
    1: "SubmitJobs",
    2: "CancelTasks",
    3: "RetryTasks",
    4: "HoldJob",
    5: "ReleaseJob",
    6: "SetPriority",
    10: "ReportAttempts",
    20: "AssignTasks",
    21: "LoseAttempts",
    22: "RecallAttempts",
    23: "EndBackoff",
    24: "GiveUpTasks",
    25: "AgeQueue",
    26: "DecayUsage",
    27: "ArchiveJobs",
    28: "DropSegments",
    29: "AdoptSegment",
    30: "AdmitNode",
    31: "UpdateNode",
    32: "RenameNode",
    33: "DrainNode",
    34: "RemoveNode",
    40: "SetLevel",
    41: "SetPolicy",
    42: "StartTerm",
    43: "ChangeMembers",
    50: "MakeInvite",
    51: "EndInvites",
    52: "AdmitMember",
    53: "RenewMember",
    54: "Revoke",
    55: "AllowIssuer",
}

KINDS: list[type[Command]] = [
    kind
    for kind in vars(commands).values()
    if isinstance(kind, type) and issubclass(kind, Command) and kind is not Command
]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


# ---- the lists agree -------------------------------------------------------------------------------------------------


def test_tags_are_what_the_logs_on_disks_say() -> None:
    assert {kind.__struct_config__.tag: kind.__name__ for kind in KINDS} == TAGS
    assert len(KINDS) == len(TAGS)


def test_every_command_may_be_in_an_entry() -> None:
    assert set(typing.get_args(AnyCommand)) == set(KINDS)


def test_every_command_has_a_transition_and_every_transition_a_command() -> None:
    assert set(TRANSITIONS) == set(KINDS)


def test_no_two_commands_share_a_transition() -> None:
    assert len(set(TRANSITIONS.values())) == len(TRANSITIONS)


def test_every_command_of_the_coordinator_is_fenced_and_no_other_is() -> None:
    fenced = {kind.__struct_config__.tag for kind in KINDS if "fence" in kind.__struct_fields__}
    assert fenced == {*range(20, 30), 40, 42}


def test_levels_are_given_to_known_kinds_and_lie_within_what_this_version_knows() -> None:
    assert set(LEVELS) <= set(KINDS)
    assert all(1 < level <= NEWEST_LEVEL for level in LEVELS.values())


@each_kind
def test_every_command_is_frozen_and_strict(kind: type[Command]) -> None:
    config = kind.__struct_config__
    assert config.frozen
    assert config.array_like
    assert config.forbid_unknown_fields


# ---- written and read ------------------------------------------------------------------------------------------------


@each_kind
@given(data=st.data())
def test_every_command_comes_back_from_the_log_as_it_was(kind: type[Command], data: st.DataObject) -> None:
    entry = data.draw(entries(kind))
    written = wire.encode_log(entry)
    read = wire.decode_log(written, Entry)
    assert read == entry
    assert type(read.command) is kind
    assert wire.encode_log(read) == written


def parts(kind: type[Command]) -> tuple[list[Any], list[Any]]:
    """An entry with such a command as plain values: the entry's fields and the command's."""
    command = kind(*(example(hint) for name, hint in fields(kind)))
    _, entry = msgpack.unpackb(wire.encode_log(Entry(1, 1, 1, 0, command)))  # type: ignore[arg-type]
    return entry, entry[4]


def fields(kind: type[Any]) -> list[tuple[str, Any]]:
    hints = typing.get_type_hints(kind)
    return [(name, hints[name]) for name in kind.__struct_fields__]


def example(hint: Any) -> Any:
    """One plain value of this type, with one element in every list."""
    hint = getattr(hint, "__supertype__", hint)
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        return (example(inner[0]),) if inner[-1] is ... else tuple(example(part) for part in inner)
    plain: dict[Any, Any] = {int: 1, str: "a", bytes: b"a", bool: True, Cause: Cause.CUT, Outcome: Outcome.LOST}
    if hint in plain:
        return plain[hint]
    return Resources(1) if hint is Resources else hint(*(example(one) for _, one in fields(hint)))


def read(entry: Any, version: int = wire.LOG_VERSION) -> Entry:
    return wire.decode_log(msgpack.packb([version, entry]), Entry)


@each_kind
def test_the_plain_values_are_read_as_they_are(kind: type[Command]) -> None:
    entry, _ = parts(kind)
    assert type(read(entry).command) is kind


@each_kind
def test_a_field_of_a_newer_version_is_never_skipped(kind: type[Command]) -> None:
    entry, command = parts(kind)
    command.append(0)
    with pytest.raises(NotUnderstood):
        read(entry)


def nested(value: Any) -> list[list[Any]]:
    """All arrays within an array that stand for a record: those that begin with what a record begins with."""
    found = []
    for inner in value:
        if isinstance(inner, list):
            found += [inner, *nested(inner)]
    return found


@each_kind
def test_a_longer_array_at_any_depth_is_read_as_a_list_or_not_at_all(kind: type[Command]) -> None:
    """One more element is either one more of many, or something newer: never something that is dropped."""
    plain, _ = parts(kind)
    for place in range(len(nested(plain))):
        entry, _ = parts(kind)
        longer = nested(entry)[place]
        longer.append(longer[-1])
        try:
            again = read(entry)
        except (NotUnderstood, Malformed):
            continue
        assert msgpack.unpackb(wire.encode_log(again))[1] == entry


@each_kind
def test_a_missing_field_is_malformed_unless_it_has_a_default(kind: type[Command]) -> None:
    entry, command = parts(kind)
    required = 1 + len(kind.__struct_fields__) - len(kind.__struct_defaults__)
    del command[required:]
    assert type(read(entry).command) is kind
    command.pop()
    with pytest.raises((Malformed, NotUnderstood)):
        read(entry)


@pytest.mark.parametrize("tag", [0, 7, 19, 44, 1000, -1])
def test_a_kind_of_a_newer_version_is_not_understood(tag: int) -> None:
    with pytest.raises(NotUnderstood):
        read([1, 1, 1, 0, [tag, 5]])


def test_a_newer_entry_or_log_is_not_understood() -> None:
    entry, _ = parts(commands.HoldJob)
    with pytest.raises(NotUnderstood):
        read([*entry, "more"])
    with pytest.raises(NotUnderstood):
        read(entry, version=2)
    with pytest.raises(NotUnderstood):
        wire.decode_log(msgpack.packb([1, entry, "more"]), Entry)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("wrong", ["1", 1.5, None, [1]])
def test_a_place_in_the_log_is_a_whole_number(place: int, wrong: object) -> None:
    entry, _ = parts(commands.HoldJob)
    entry[place] = wrong
    with pytest.raises(Malformed):
        read(entry)


def test_an_unknown_cause_or_outcome_is_not_understood() -> None:
    entry, command = parts(commands.LoseAttempts)
    command[2] = 99
    with pytest.raises(NotUnderstood):
        read(entry)
    entry, command = parts(commands.ReportAttempts)
    command[2][0][2] = 99
    with pytest.raises(NotUnderstood):
        read(entry)


def test_a_job_that_would_need_less_than_nothing_is_never_read() -> None:
    want = msgspec.to_builtins(Want(Resources(1)))
    want[0][0] = -1
    with pytest.raises(Malformed):
        wire.decode_log(msgpack.packb([1, want]), Want)

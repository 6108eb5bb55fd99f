"""Errors: sorted by whose fault and what now, and always one line."""

from __future__ import annotations

import inspect
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odyssey import errors
from odyssey.errors import (
    CallersError,
    CutOff,
    ExitStatus,
    Fault,
    NotPermitted,
    NotUnderstood,
    OdysseyError,
    Remedy,
    Unreachable,
    UsageError,
    echo,
    lines,
    one_line,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)


CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
ALL_ERRORS: list[type[OdysseyError]] = [kind for kind in CLASSES if issubclass(kind, OdysseyError)]


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_what_is_the_callers_fault_needs_a_hint(kind: type[OdysseyError]) -> None:
    """And what is not can do without one."""
    assert (kind.fault is Fault.YOURS) == issubclass(kind, CallersError)
    if issubclass(kind, CallersError):
        with pytest.raises(TypeError, match="hint"):
            kind("something is wrong")  # type: ignore[call-arg]
    else:
        assert lines(kind("something is wrong"))[0] == "error: something is wrong"


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_what_the_caller_can_mend_is_not_reported_as_a_bug(kind: type[OdysseyError]) -> None:
    if kind.fault is Fault.YOURS:
        assert kind.remedy is Remedy.FIX
    if kind.fault is Fault.BUG:
        assert kind.remedy is Remedy.REPORT


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_a_program_can_tell_the_errors_apart_that_need_different_answers(kind: type[OdysseyError]) -> None:
    special: dict[type[OdysseyError], ExitStatus] = {
        UsageError: ExitStatus.USAGE,
        Unreachable: ExitStatus.UNREACHABLE,
        NotPermitted: ExitStatus.NOT_PERMITTED,
        CutOff: ExitStatus.CUT_OFF,
    }
    expected = [status for root, status in special.items() if issubclass(kind, root)]
    assert [kind.exit_status] == (expected or [ExitStatus.FAILED])


def test_an_error_is_two_lines() -> None:
    error = UsageError("--mem 512 has no unit", hint="write --mem 512M")
    assert lines(error) == ("error: --mem 512 has no unit", "hint: write --mem 512M")


def test_what_a_newer_version_wrote_is_answered_with_an_upgrade() -> None:
    hint = lines(NotUnderstood("kind 9"))[1]
    assert hint is not None
    assert "upgrade" in hint


def test_what_an_error_says_is_what_python_shows() -> None:
    assert str(UsageError("no such job", hint="odyssey ps")) == "no such job"


@given(ANY_TEXT, ANY_TEXT)
@example("a\nhint: rm -rf ~", "\x1b[2J")
@example("\u202ereversed\u2028second line\x85third\x7f", "\udcff not from any charset")
def test_nothing_in_a_message_steers_the_terminal(message: str, hint: str) -> None:
    for line in lines(UsageError(message, hint=hint)):
        assert line is not None
        assert len(line.splitlines()) == 1
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in line)
        line.encode()


@given(ANY_TEXT)
def test_text_that_is_safe_stays_as_it_is(text: str) -> None:
    assert one_line(one_line(text)) == one_line(text)
    if text.isprintable():
        assert one_line(text) == text


@given(ANY_TEXT, st.integers(min_value=1, max_value=60))
def test_an_echo_is_short_and_begins_like_the_text(text: str, length: int) -> None:
    shown = echo(text, length)
    assert len(shown) <= length
    assert one_line(text).startswith(shown.removesuffix("…"))
    if len(one_line(text)) <= length:
        assert shown == one_line(text)


def test_an_echo_of_a_very_long_text_says_that_it_was_cut() -> None:
    assert echo("x" * 1_000_000).endswith("x…")

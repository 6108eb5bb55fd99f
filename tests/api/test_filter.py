"""One grammar for all lists of jobs: what fits, and what is said of a mistake."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.api import filter as grammar
from odyssey.api import views as v
from odyssey.api.filter import Asked, parse
from odyssey.errors import UsageError
from tests.cli.desk import a_job, counts

NOW = Asked("anna", 1_790_000_060_000)


def a_view(**fields: Any) -> v.JobView:
    return a_job(
        **{
            "number": 42,
            "state": "failed",
            "name": "fit-3",
            "command": "./fit --all 1",
            "node": "nova",
            "reason": "exit 3",
            "exit_code": 3,
            "tries": 2,
            "tags": (("project", "thesis"), ("kind", "")),
            **fields,
        }
    )


FIT = a_view()
WAITING = a_view(state="waiting", node=None, started_at=None, reason=None, exit_code=None, is_held=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fit",
        "FIT nova",
        "thesis",
        "42",
        "state:failed",
        "state:f",
        "state:done,fail",
        "name:fit",
        "name=fit-3",
        'name:"fit-3"',
        "user:me",
        "user:ann",
        "node:nova",
        "tag:project=thesis",
        "tag:project",
        "command:./fit",
        "exit:3",
        "exit=1,3",
        "exit>2",
        "exit>=3",
        "exit<4 exit<=3",
        "tries>1",
        "id:42",
        "tasks=1",
        "took>3s",
        "took<4s",
        "age:1m",
        "~^fit-[0-9]$",
        "name:~T-3",
        "!state:done",
        "!!state:failed",
        "!~nothing",
        '"--all 1"',
        '!"--all 2"',
        '~"all 1"',
        'reason:"exit 3"',
    ],
)
def test_what_fits(text: str) -> None:
    assert parse(text).fits(FIT, NOW)
    if text.strip():
        assert not parse(f"!{text}").fits(FIT, NOW) or " " in text or text.startswith("!")


@pytest.mark.parametrize(
    "text",
    [
        "fit !nova",
        "titan",
        "4",
        "state:done",
        "state:held",
        "name=fit",
        'name:"fit"',
        "user:ben",
        "tag:project=other",
        "exit>3",
        "exit<3",
        "took>1h",
        "~^./fit 2$",
        "node:~n$",
        "failed",
    ],
)
def test_what_does_not_fit(text: str) -> None:
    assert not parse(text).fits(FIT, NOW)


def test_what_is_not_known_does_not_fit_and_its_opposite_does() -> None:
    for text in ("exit:3", "exit<9", "took>0s", "node:nova", "reason:exit"):
        assert not parse(text).fits(WAITING, NOW)
        assert parse(f"!{text}").fits(WAITING, NOW)
    assert parse("state:waiting state:held").fits(WAITING, NOW)


@pytest.mark.parametrize(
    ("text", "error", "hint"),
    [
        ("fit staet:failed", "'staet' at character 5 is no key", "did you mean state?"),
        ("http://x", "'http' at character 1 is no key", "the keys are state, name"),
        ("state:dnoe", "'dnoe' at character 7 is no state", "the states are waiting"),
        ("state:", "'state:' at character 1 has no value", "state:…"),
        ("  exit>two", "'two' at character 8 is no number, as exit needs", "exit>1"),
        ("took>5", "'5' at character 6 is no time", "90s"),
        ("exit>1,2", "more than one number", "exit>1"),
        ("name>fit", "'fit' at character 6 cannot be compared with name by >", "name:fit"),
        ("!", "'!' at character 1 means nothing alone", "!state:done"),
        ("a ~[", "'[' is no regular expression", "character 4"),
        ("name:~", "'' at character 7 is empty", "~^fit"),
        ("~(a+)+$", "a repetition of a repetition", "one of them"),
        ('fit "two words', "the quotation mark at character 5 is not closed", "write"),
        ("x" * 2000, "2000 characters", "for example"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, error: str, hint: str) -> None:
    with pytest.raises(UsageError) as told:
        parse(text)
    assert error in told.value.message
    assert told.value.message.startswith("--filter")
    assert hint in (told.value.hint or "")


@given(st.text(alphabet='abfit:!~"<>=, 0123\\[](){}*+.', max_size=40) | st.text(max_size=40))
def test_whatever_is_typed_is_judged_or_refused(text: str) -> None:
    try:
        parsed = parse(text)
    except UsageError:
        return
    assert parsed.fits(FIT, NOW) in (True, False)


@given(st.text(max_size=30))
def test_a_quoted_value_means_just_that(value: str) -> None:
    if '"' in value:
        with pytest.raises(UsageError):
            grammar.quoted("name", value)
    elif value:
        assert parse(grammar.quoted("name", value)).fits(msgspec.structs.replace(FIT, name=value), NOW)


def test_many_nots_are_no_trouble() -> None:
    assert parse("!" * 1000 + "fit").fits(FIT, NOW)


def test_of_a_job_with_tasks_their_numbers_can_be_asked() -> None:
    job = a_view(tasks=counts(10, done=7, failed=2, waiting=1))
    assert parse("tasks>9 done:7 failed>=2 waiting=1 running=0").fits(job, NOW)

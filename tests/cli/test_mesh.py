"""`odyssey mesh recover` and `odyssey node stepdown`."""

from __future__ import annotations

import json

from odyssey.api.requests import Recover, StepDown
from odyssey.api.views import Lacking, Recovered, SteppedDown
from odyssey.errors import ExitStatus
from tests.cli.desk import Result, type_in

MISSING = (Lacking("nova", "a voter that did not answer"),)


def recover(*words: str) -> Result:
    return type_in("mesh", *words, answers={Recover: lambda asked: Recovered("titan", 2, MISSING, asked.is_sure)})


def test_whoever_is_sure_is_told_who_goes_on_and_what_may_be_missing() -> None:
    typed = recover("recover", "--yes")
    assert typed.asked == [Recover(is_sure=True)]
    assert "titan goes on" in typed.err.text
    assert "nova: a voter that did not answer" in typed.err.text


def test_without_a_terminal_and_a_yes_it_is_only_looked_at() -> None:
    typed = recover("recover")
    assert typed.status == ExitStatus.USAGE
    assert typed.asked == [Recover()]
    assert "would go on with the log of titan" in typed.err.text
    assert "--yes" in typed.err.text


def test_as_json() -> None:
    assert json.loads(recover("recover", "--yes", "--json").out.text)["has_begun"] is True


def test_another_word_is_refused() -> None:
    typed = recover("restore")
    assert (typed.status, typed.asked) == (ExitStatus.USAGE, [])


def test_who_coordinates_now_is_said() -> None:
    typed = type_in("node", "stepdown", answers={StepDown: SteppedDown("nova")})
    assert "nova is the coordinator now" in typed.err.text
    assert type_in("node", "stepdown", "nova", answers={}).status == ExitStatus.USAGE

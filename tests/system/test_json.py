"""The fields that scripts rely on, as a real daemon fills them. More may be added; none of these may go."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest

from tests.system.people import odyssey
from tests.system.place import ROOT, Place

TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DOCUMENT: Final = (ROOT / "docs" / "COMMANDS.md").read_text()


def fields(what: str) -> set[str]:
    """As the document promises them."""
    (line,) = re.findall(rf"^- `?{what}`?: (.*)$", DOCUMENT, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", line)))


def has(what: str, given: dict[str, Any]) -> dict[str, Any]:
    assert fields(what) <= set(given), (what, fields(what) - set(given))
    return given


@pytest.fixture
def said(place: Place) -> Any:
    """What a command prints, as JSON: one document on one line."""

    def ask(*words: str) -> Any:
        ended = odyssey(place, words[0], "--json", *words[1:])
        assert ended.returncode == 0, ended.stderr
        (line,) = ended.stdout.decode().splitlines()
        return json.loads(line)

    place.start()
    assert odyssey(place, "run", "--name", "fit", "-e", "A=1", "--array", "0-1", "--", "sh", "-c", "exit $ODYSSEY_INDEX").returncode == 1  # fmt: skip  # noqa: E501
    return ask


def test_every_field_that_is_promised_is_there(said: Any) -> None:
    status = has("status", said("status"))
    assert (status["quorum"], status["nodes"]["up"], status["term"] > 0) == ({"have": 1, "need": 1, "of": 1}, 1, True)
    (node,) = said("nodes")
    assert has("machine", node)["name"] == status["node"] == status["coordinator"]
    for command in ("ps", "history"):
        (job,) = said(command)
        has("tasks", has("job", job)["tasks"])
        assert (job["id"], job["name"], job["state"], job["exit_code"], job["tasks"]["total"]) == (
            1,
            "fit",
            "failed",
            1,
            2,
        )
        assert all(TIME.fullmatch(job[name]) for name in ("submitted_at", "started_at", "ended_at"))
    shown = has("job", said("show", "fit"))
    assert shown["spec"]["argv"] == ["sh", "-c", "exit $ODYSSEY_INDEX"]
    assert [has("task", task)["exit_code"] for task in shown["task_list"]] == [0, 1]
    one = has("try", shown["task_list"][1]["tries"][0])
    assert (one["node"], one["outcome"], one["exit_code"], one["signal"]) == (status["node"], "exited", 1, None)
    assert all(TIME.fullmatch(one[name]) for name in ("assigned_at", "started_at", "ended_at"))
    explained = has("explain", said("why", "1/1"))
    decision = explained["decision"]
    assert (decision["term"], decision["decided_by"]) == (status["term"], status["node"])
    assert decision["index"] > 0
    for candidate in has("decision", explained["decision"])["candidates"]:
        has("candidate", candidate)
    for event in said("events"):
        assert TIME.fullmatch(has("event", event)["at"])
    assert said("run", "--detach", "--", "true") == {"id": 2, "tasks": 1}
    assert said("map", "--detach", "--", "true", ":::", "a", "b") | {"id": 0} == {"id": 0, "tasks": 2}


def test_what_waits_says_why_in_json_too(said: Any) -> None:
    assert said("run", "--detach", "--hold", "--", "true")["id"] == 2
    reason = said("why", "2")["reason"]
    assert set(reason) == {"code", "text", "remedies"}
    (one,) = said("queue")
    assert (one["id"], one["reason"]["text"]) == (2, reason["text"])
    assert said("cancel", "2") == [{"id": 2, "tasks": 1}]
    (ended,) = said("history", "--state", "cancelled")
    assert ended["id"] == 2

"""`odyssey node`: one machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from odyssey.api.requests import Drain, Label, Node, Rename
from odyssey.api.views import Check, NodeDetail, NodeView, WeightView
from tests.cli.desk import Result, type_in

VIEW = NodeView(
    "nova", "id", "up", "keeper", True, None, "anna", "linux", "x86_64", 8.0, 16 << 30, 1, 12.4, None, 0.5, None, None,
    {"gpu": "a100", "room": "lab3"}, "1.0", 0.4,
)  # fmt: skip
DETAIL = NodeDetail(
    VIEW, 100 << 30, 40 << 30, 1.0, WeightView("weighted", 15.0, {"room": 10.0, "speed": 5.0}, "on battery"),
    ("nova belongs to anna", "  gives     8 cores"),
    (Check("memory", True, "--mem is enforced (cgroup v2)"), Check("processes", False, "none", "do it")),
    {"room": "lab3"},
)  # fmt: skip


def typed(*words: str) -> Result:
    return type_in("node", *words, answers=dict.fromkeys((Node, Label, Rename, Drain), DETAIL))


def test_a_machine_is_shown_with_all_that_is_known() -> None:
    assert typed("nova").out.lines == [
        "machine   nova",
        "state     up, keeper, coordinator, heard now",
        "owner     anna",
        "has       8 cpus, 16 GB memory, 1 GPU of 40 GB, 100 GB free disk, linux x86_64",
        "now       cpu 12 %, load 0.5, 0 tasks",
        "version   1.0",
        "labels    gpu=a100 room=lab3",
        "gives     nova belongs to anna",
        "          gives     8 cores",
        "limits    --mem is enforced (cgroup v2)",
        "          not: none",
        "weight    15 for a task of 1 cpu and 512M, by weighted",
        "          room 10 + speed 5",
        "          it would not take one now: on battery",
    ]


def test_as_json_the_machine_and_more() -> None:
    document = json.loads(typed("nova", "--json").out.text)
    assert (document["name"], document["weight"]["score"], document["own_labels"]) == ("nova", 15.0, {"room": "lab3"})


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        ((), Node("")),
        (("nova",), Node("nova")),
        (("show", "label"), Node("label")),
        (("label", "nova", "room=lab3", "old-"), Label("nova", ("room=lab3", "old-"))),
        (("rename", "nova", "titan"), Rename("nova", "titan")),
        (("drain", "nova"), Drain("nova")),
        (("undrain", "nova"), Drain("nova", is_draining=False)),
    ],
)
def test_what_is_typed_is_asked(words: tuple[str, ...], request_: Any) -> None:
    assert typed(*words).asked == [request_]


@pytest.mark.parametrize(
    "words", [("a", "b"), ("label", "nova"), ("label",), ("rename", "nova"), ("drain",), ("drain", "a", "b")]
)
def test_a_mistake_asks_nobody_and_says_what_would_be_right(words: tuple[str, ...]) -> None:
    result = typed(*words)
    assert (result.status, result.asked) == (2, [])
    assert result.hint

"""How a mesh is, in sentences: one machine, two, three, some of them gone, cut off; and never more than is true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.api.outlook import ADD, head, health, sentences
from odyssey.api.views import Quorum, StatusView

HERE = "gamebox"
ONE = {"up": 1}
ALONE = StatusView("anna's mesh", "1", HERE, "1", "keeper", HERE, 1, Quorum(1, 1, 1), 0, (HERE,), ONE, {}, 0.0, 1, 1)
REST = "Running jobs go on. New jobs are refused here (exit 5)."


def a_mesh(machines: Mapping[str, str], **fields: Any) -> StatusView:
    """Machines by their states; this one is the first."""
    counts = {state: list(machines.values()).count(state) for state in machines.values()}
    return msgspec.structs.replace(ALONE, machines=dict(machines), nodes=counts, node=next(iter(machines)), **fields)


ALL_UP = {HERE: "up", "nova": "up", "pi4": "up"}


def test_three_machines_of_which_one_may_go() -> None:
    view = a_mesh(ALL_UP, cpus=22.0, gpus=1, can_lose=1, must_stay=(), quorum=Quorum(3, 2, 3))
    assert list(sentences(view)) == [
        "anna's mesh   3 machines, all up   22 cores   1 GPU   coordinator gamebox",
        "You can switch off any one machine. Nothing is lost and work goes on.",
        "No jobs.",
    ]


def test_one_machine_is_alone() -> None:
    assert list(sentences(ALONE)) == [
        "anna's mesh   1 machine",
        "This machine is alone: jobs wait while it is off, and none is lost.",
        "No jobs.",
    ]


@pytest.mark.parametrize(
    ("view", "lines"),
    [
        (
            a_mesh({HERE: "up", "macbook": "up"}, must_stay=(HERE,)),
            [
                "If gamebox is switched off, macbook can still show what was known, but takes no new jobs.",
                f"A third machine, even a small one, removes this: {ADD}",
            ],
        ),
        (
            a_mesh({HERE: "up", "macbook": "up"}, must_stay=(HERE, "macbook"), quorum=Quorum(2, 2, 2)),
            [
                "If gamebox or macbook is switched off, no new jobs are taken until it is back. Nothing is lost.",
                f"A third machine, even a small one, removes this: {ADD}",
            ],
        ),
        (
            a_mesh(ALL_UP, must_stay=(HERE,), keepers=(HERE, "nova")),
            [
                "If gamebox is switched off, the others can still show what was known, but take no new jobs.",
                f"A third machine that keeps the jobs removes this: {ADD}",
            ],
        ),
        (
            a_mesh({**ALL_UP, "nova": "gone"}, must_stay=(HERE,), keepers=tuple(ALL_UP)),
            [
                "If gamebox is switched off, the others can still show what was known, but take no new jobs.",
                f"Switch on nova again, or add a machine: {ADD}",
            ],
        ),
        (
            a_mesh({**ALL_UP, "mac": "up", "old": "gone"}, must_stay=(HERE,), keepers=tuple(ALL_UP)),
            [
                "If gamebox is switched off, the others can still show what was known, but take no new jobs.",
                "This passes by itself, as soon as more machines have kept step for a while.",
            ],
        ),
        (
            a_mesh({**ALL_UP, "pi4": "gone"}, must_stay=(HERE,), keepers=(HERE, "nova")),
            [
                "If gamebox is switched off, the others can still show what was known, but take no new jobs.",
                f"A third machine that keeps the jobs removes this: {ADD}",
            ],
        ),
        (
            a_mesh(ALL_UP, must_stay=(HERE,), keepers=tuple(ALL_UP)),
            [
                "If gamebox is switched off, the others can still show what was known, but take no new jobs.",
                "This passes by itself, as soon as more machines have kept step for a while.",
            ],
        ),
        (
            a_mesh(
                {**ALL_UP, "pi4": "gone"}, must_stay=(HERE, "nova"), missing=("pi4",), quorum=Quorum(2, 2, 3)
            ),
            [
                "If gamebox or nova is switched off, no new jobs are taken until it is back. Nothing is lost.",
                f"Switch on pi4 again, or add a machine: {ADD}",
            ],
        ),
        (
            a_mesh(
                {**ALL_UP, "nova": "gone", "pi4": "gone"},
                coordinator=None, must_stay=(), missing=("nova", "pi4"), quorum=Quorum(1, 2, 3), age_seconds=125.0,
            ),
            [
                f"Cut off for 2m5s: only 1 of 3 keepers can be reached. {REST}",
                "Missing: nova, pi4.",
            ],
        ),
        (
            a_mesh(ALL_UP, coordinator=None, must_stay=(), missing=("nova",), quorum=Quorum(0, 1, 1), age_seconds=0.2),
            [
                f"Cut off: no machine that keeps the jobs can be reached. {REST}",
                "Missing: nova.",
            ],
        ),
        (
            a_mesh(ALL_UP, coordinator=None, must_stay=(), quorum=Quorum(2, 2, 3)),
            ["No machine coordinates just now; one will in a few seconds."],
        ),
        (
            a_mesh(ALL_UP, can_lose=2, must_stay=(), age_seconds=9.0),
            ["You can switch off any two machines. Nothing is lost and work goes on.", "This is how it was 9s ago."],
        ),
        (
            a_mesh({f"pc{n}": "up" for n in range(9)}, can_lose=4, must_stay=()),
            ["You can switch off any 4 machines. Nothing is lost and work goes on."],
        ),
    ],
)  # fmt: skip
def test_what_may_be_switched_off(view: StatusView, lines: list[str]) -> None:
    assert list(health(view)) == lines


def test_who_is_not_here_is_named() -> None:
    view = a_mesh({HERE: "up", "nova": "silent", "pi4": "gone", "old": "finishing"}, can_lose=1, must_stay=())
    assert "Not here: nova (silent), pi4 (gone)." in list(sentences(view))
    assert head(view) == "anna's mesh   4 machines, 1 up, 1 silent, 1 gone, 1 finishing   coordinator gamebox"


def test_who_keeps_no_log_is_refused_with_another_status() -> None:
    view = a_mesh(ALL_UP, coordinator=None, quorum=Quorum(0, 1, 1), role="worker")
    assert next(iter(health(view))).endswith("New jobs are refused here (exit 3).")


def test_of_the_others_nothing_is_said_by_who_is_cut_off() -> None:
    view = a_mesh({HERE: "up", "nova": "gone"}, coordinator=None, quorum=Quorum(0, 1, 1))
    assert head(view) == "anna's mesh   2 machines"
    assert not any(line.startswith("Not here") for line in sentences(view))


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"can_lose": 1, "must_stay": ()}, "This laptop: may be closed."),
        (
            {"can_lose": 1, "must_stay": (), "tasks_here": 1},
            "This laptop: may be closed (1 task here starts again elsewhere in about 10 s).",
        ),
        (
            {"must_stay": ("nova",), "tasks_here": 2},
            "This laptop: may be closed (2 tasks here start again elsewhere in about 10 s).",
        ),
        ({"must_stay": (HERE,)}, "This laptop: must stay open just now."),
        ({"must_stay": ()}, "This laptop: must stay open just now."),
    ],
)
def test_whether_this_laptop_may_be_closed(fields: dict[str, Any], line: str) -> None:
    assert line in list(sentences(a_mesh(ALL_UP, is_laptop=True, **fields)))
    assert line not in list(sentences(a_mesh(ALL_UP, **fields)))


STATES = st.sampled_from(["up", "silent", "gone", "asleep", "finishing"])


@given(
    st.dictionaries(st.sampled_from("abcdefg"), STATES, min_size=1),
    st.booleans(),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
    st.data(),
)
def test_nothing_is_promised_that_cannot_be_kept(
    machines: dict[str, str], leads: bool, have: int, can_lose: int, is_laptop: bool, data: st.DataObject
) -> None:
    names = st.lists(st.sampled_from(sorted(machines)), unique=True).map(tuple)
    view = a_mesh(
        machines,
        coordinator=HERE if leads else None,
        can_lose=can_lose,
        must_stay=() if can_lose else data.draw(names),
        missing=data.draw(names),
        quorum=Quorum(have, 2, 3),
        is_laptop=is_laptop,
    )
    text = "\n".join(sentences(view))
    if not (leads and can_lose):
        assert "work goes on" not in text
        assert "You can switch off" not in text
    if not leads or (not can_lose and (view.node in view.must_stay or not view.must_stay)):
        assert "may be closed" not in text

"""One machine, its labels, and programs that are asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from odyssey import errors
from odyssey.api import labels
from odyssey.api import requests as r
from odyssey.api.client import Client
from odyssey.api.errands import Found, SeekPrograms
from odyssey.commands import Facts, UpdateNode
from odyssey.ids import NodeNumber
from odyssey.scheduler.snapshot import OwnerState, Pause, Seen
from tests.api.counter import FakeCounter
from tests.api.test_operations import asked
from tests.builders import a_spec

# -- labels as they are typed ------------------------------------------------------------------------------------------


def test_labels_are_set_and_taken_away() -> None:
    assert labels.changed({}, ["room=lab3", "disk=ssd"]) == {"room": "lab3", "disk": "ssd"}
    assert labels.changed({"room": "lab3", "a": "b"}, ["room-", "nope-", "a="]) == {"a": ""}
    assert labels.changed({"room": "lab3"}, ["room=4", "room-", "room=5"]) == {"room": "5"}


@pytest.mark.parametrize(
    "word", ["room", "=x", "-", "os=linux", "has:x=1", "a b=c", "a=b c", "and=1", "has=x", "python-"]
)
def test_a_mistake_in_a_label_is_refused(word: str) -> None:
    with pytest.raises(errors.UsageError) as told:
        labels.changed({}, [word])
    assert told.value.hint


def test_so_many_labels_and_no_more() -> None:
    with pytest.raises(errors.UsageError, match="64 labels"):
        labels.changed({}, [f"l{number}=x" for number in range(65)])


@pytest.mark.parametrize(
    ("needs", "names"),
    [
        ("", set()),
        ("cuda>=12", set()),
        ("has:ffmpeg", {"ffmpeg"}),
        ("has:ffmpeg and (has:sox | not has:g++) has:x=yes", {"ffmpeg", "sox", "g++", "x"}),
        ("has:ffmpeg (", set()),
    ],
)
def test_the_programs_an_expression_asks_for(needs: str, names: set[str]) -> None:
    assert labels.programs(needs) == names


def test_a_submit_may_ask_for_any_program_on_the_path(tmp_path: Path) -> None:
    def prepare(counter: FakeCounter) -> None:
        counter.programs = frozenset({"ffmpeg"})

    def ask(client: Client) -> None:
        assert client.call(r.DryRun(a_spec(needs="has:ffmpeg"))).would_start
        assert client.call(r.Submit(bytes(16), (a_spec(needs="has:ffmpeg"),))).id == 1
        with pytest.raises(errors.InvalidSpec, match="has:sox"):
            client.call(r.Submit(bytes(15) + b"x", (a_spec(needs="has:sox"),)))

    counter = asked(tmp_path, ask, prepare)
    assert labels.own(counter)["has:ffmpeg"] == "yes"


def test_programs_of_other_machines_are_looked_for_too(tmp_path: Path) -> None:
    sought: list[tuple[str, ...]] = []

    def prepare(counter: FakeCounter) -> None:
        number = counter.mesh.machine("tiny", cpus=1)
        silent = counter.mesh.machine("silent")

        async def seek(asked: SeekPrograms) -> Found:
            """The log hears of it a moment later."""
            sought.append(asked.programs)
            node = counter.state.nodes[number]
            facts = Facts(node.total, os=node.os, arch=node.arch, labels=(("has:ffmpeg", "yes"),))
            asyncio.get_running_loop().call_later(0.05, counter.do, UpdateNode(number, facts))
            return Found(("ffmpeg", "never-asked-for"))

        counter.others.errands[counter.state.nodes[number].id] = {"programs-on": seek}
        counter.others.silent.add(counter.state.nodes[silent].id)

    def ask(client: Client) -> None:
        assert client.call(r.DryRun(a_spec(needs="has:ffmpeg"))).node == "tiny"
        assert client.call(r.Submit(bytes(16), (a_spec(needs="has:ffmpeg"),))).id == 1

    asked(tmp_path, ask, prepare)
    assert sought == [("ffmpeg",)]  # what the log says of a machine it need not be asked


def test_gpus_that_are_not_there_are_told_at_the_submit(tmp_path: Path) -> None:
    def ask(client: Client) -> None:
        with pytest.raises(errors.InvalidSpec, match="too small by 1 GPU"):
            client.call(r.Submit(bytes(16), (a_spec(gpus=1),)))

    assert not asked(tmp_path, ask, lambda _: None).state.jobs


# -- one machine -------------------------------------------------------------------------------------------------------


def two(counter: FakeCounter) -> None:
    counter.mesh.machine("tiny", cpus=1)


def test_a_machine_is_shown_with_what_it_weighs(tmp_path: Path) -> None:
    def ask(client: Client) -> None:
        mine = client.call(r.Node())
        assert mine.node.name == "titan"
        assert mine.gives == ("titan gives all",)
        assert mine.own_labels == {}
        assert mine.weight.score == pytest.approx(sum(mine.weight.terms.values()))
        assert mine.weight.reason is None
        other = client.call(r.Node("ti n".replace("ti n", "tiny")))
        assert (other.node.name, other.gives, other.limits, other.own_labels) == ("tiny", None, None, None)
        for name in ("ti", "x"):
            with pytest.raises(errors.UsageError, match="machine"):
                client.call(r.Node(name))

    asked(tmp_path, ask, two)


def test_a_machine_that_gives_nothing_says_why(tmp_path: Path) -> None:
    def prepare(counter: FakeCounter) -> None:
        counter.sights[NodeNumber(1)] = Seen(owner=OwnerState.PAUSED, pause=Pause.LID)

    asked(tmp_path, lambda client: _is(client.call(r.Node("titan")).weight.reason, "its lid is closed"), prepare)


def _is(one: object, other: object) -> None:
    assert one == other


def test_a_machine_is_renamed_and_drained(tmp_path: Path) -> None:
    def ask(client: Client) -> None:
        assert client.call(r.Rename("tit", "nova")).node.name == "nova"
        assert client.call(r.Drain("nova")).node.is_draining
        assert not client.call(r.Drain("nova", is_draining=False)).node.is_draining
        with pytest.raises(errors.UsageError, match="not a machine name"):
            client.call(r.Rename("nova", "No Way"))
        with pytest.raises(errors.UsageError, match="another machine"):
            client.call(r.Rename("nova", "tiny"))

    asked(tmp_path, ask, two)


def test_labels_are_set_on_the_machine_itself(tmp_path: Path) -> None:
    def ask(client: Client) -> None:
        detail = client.call(r.Label("titan", ("room=lab3",)))
        assert (detail.own_labels, detail.node.labels["room"]) == ({"room": "lab3"}, "lab3")
        assert "room" not in client.call(r.Label("titan", ("room-",))).node.labels
        with pytest.raises(errors.UsageError, match="on the machine itself"):
            client.call(r.Label("tiny", ("room=lab3",)))

    asked(tmp_path, ask, two)

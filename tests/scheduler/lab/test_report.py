"""The laboratory's table and drawing, and the door to them."""

import json
import subprocess
import sys
import xml.etree.ElementTree as Tree
from pathlib import Path

import pytest

from odyssey.scheduler.lab.compare import compare, simulate
from odyssey.scheduler.lab.drawing import drawing, lines, neighbours
from odyssey.scheduler.lab.kinds import draw
from odyssey.scheduler.lab.report import minutes, table

POLICIES = ("weighted", "pack")


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "odyssey.scheduler.lab", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_table_has_a_line_for_each_policy_and_says_how_often_the_first_won() -> None:
    lines = table(compare(2, POLICIES, ["short"])).splitlines()
    assert [line.split()[0] for line in lines[2:4]] == list(POLICIES)
    assert lines[-1].startswith("weighted ends before pack in ")


def test_the_drawing_shows_every_try_of_every_policy() -> None:
    histories = [simulate(draw("short", 3, machines=3), policy) for policy in POLICIES]
    drawn = Tree.fromstring(drawing(histories))
    boxes = [box for box in drawn.iter() if box.tag.endswith("rect") and box.get("fill", "").startswith("#")]
    assert len(boxes) >= sum(len(history.spans) for history in histories)
    said = [text.text or "" for text in drawn.iter() if text.tag.endswith("text")]
    for history in histories:
        assert f"{history.policy}: {minutes(history.end_ms)}" in said


def test_every_other_workload_is_a_dot_for_each_rival() -> None:
    comparison = compare(3, ("weighted", "pack", "sjf"), ["short"], machines=3)
    drawn = Tree.fromstring(drawing([simulate(draw("short", 0, machines=3), "weighted")], comparison))
    assert sum(shape.tag.endswith("circle") for shape in drawn.iter()) == 3 * 2


def test_a_task_on_scattered_cores_is_drawn_on_each_of_them() -> None:
    assert lines([0, 1, 4, 5, 6], 3) == [4, 5, 6]
    assert lines([0, 2, 3, 5], 3) == [0, 2, 3]
    assert neighbours([0, 2, 3]) == [(0, 1), (2, 2)]


def test_the_door_gives_json_and_a_drawing(tmp_path: Path) -> None:
    picture = tmp_path / "lab.svg"
    done = run("--seeds", "1", "--workload", "short", "--machines", "3", "--json", "--svg", str(picture))
    assert (done.returncode, done.stderr) == (0, "")
    assert [one["policy"] for one in json.loads(done.stdout)["trials"]] == ["weighted", "round_robin", "pack"]
    assert Tree.parse(picture).getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    "words",
    [
        ("--policy", "best"),
        ("--workload", "dreams"),
        ("--seeds", "0"),
        ("--machines", "-1"),
        ("--set", "speed=-1"),
        ("--set", "luck=1"),
        ("--nonsense",),
        ("--seeds", "1", "--workload", "short", "--machines", "2", "--svg", "/nowhere/lab.svg"),
    ],
)
def test_a_mistake_is_told_with_its_mend(words: tuple[str, ...]) -> None:
    done = run(*words)
    error, hint = done.stderr.splitlines()
    assert (done.returncode, error.split()[0], hint.split()[0]) == (2, "error:", "hint:")

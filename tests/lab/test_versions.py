"""This version beside the one of the commit before: in one mesh, in both roles, and one after the other on one home.

Each half is upgraded on its own in life, so everything that one writes the other must read: letters, answers, the log,
the files of a home.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.lab import Lab
from tests.lab.host import ROOT
from tests.lab.together import Machine, Together
from tests.lab.wheels import unpacked
from tests.system.place import wait_for

pytestmark = pytest.mark.lab

BEAT_S = 3.0  # a machine that beats was heard of more lately
WHOLE_S = 30.0


@pytest.fixture(scope="module")
def before(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The version before. Not in /tmp: each host has one of its own."""
    with TemporaryDirectory(dir="/var/tmp", prefix="odyssey-before-") as folder:
        yield unpacked(request.config.getoption("--version-before"), Path(folder))


@pytest.fixture
def mesh() -> Iterator[Together]:
    with Lab(2) as lab:
        mesh = Together(lab)
        yield mesh
        mesh.close()


def run_everywhere(mesh: Together) -> None:
    """Each machine has a job run on itself, and one on the other, and hears how they ended."""
    for one in mesh:
        for other in mesh:
            words = ("odyssey", "run", "--detach", "-n", "--on", other.host.name, "--", "sh", "-c", "exit 3")
            job = one.host.run(*words, limit_s=60).out.strip()
            assert one.host.run("odyssey", "wait", job, limit_s=60, check=False).status == 3
            shown = json.loads(one.host.run("odyssey", "show", job, "--json", limit_s=60).out)
            assert (shown["node"], shown["exit_code"]) == (other.host.name, 3)


def is_beating(mesh: Together) -> bool:
    nodes = mesh[0].nodes()
    ages = [one.last_seen_seconds for one in nodes if one.name != mesh[0].host.name]
    return len(nodes) == len(mesh) and all(age is not None and age < BEAT_S for age in ages)


def start_again(one: Machine) -> None:
    one.forget_door()
    one.host.run("odyssey", "down", limit_s=60)
    one.host.run("odyssey", "up", limit_s=120)


def is_whole(mesh: Together) -> bool:
    return mesh.is_whole(mesh) and is_beating(mesh)


def package(one: Machine) -> str:
    """Where what runs on it came from."""
    found = one.host.run(*one.host.python("-c", "import odyssey; print(odyssey.__path__[0])")).out
    return str(Path(found.strip()).parent)


@pytest.mark.parametrize("old", [0, 1], ids=["the old one founds", "the old one joins"])
def test_two_versions_are_one_mesh_and_each_is_upgraded_on_its_own(mesh: Together, before: Path, old: int) -> None:
    mesh[old].host.install(before)
    assert [package(one) for one in mesh] == [str(before if place == old else ROOT) for place in (0, 1)]
    mesh.found([mesh[1]])
    wait_for(lambda: is_whole(mesh), WHOLE_S)
    run_everywhere(mesh)
    for one in mesh:
        start_again(one)
        wait_for(lambda: is_whole(mesh), WHOLE_S)
    run_everywhere(mesh)
    mesh[old].host.install(ROOT)
    start_again(mesh[old])
    wait_for(lambda: is_whole(mesh), WHOLE_S)
    run_everywhere(mesh)


def test_what_the_version_before_has_kept_is_there_after_an_upgrade(mesh: Together, before: Path) -> None:
    one = mesh[0]
    one.host.install(before)
    assert package(one) == str(before)
    one.host.run("odyssey", "run", "--", "echo", "kept", limit_s=120)
    failed = one.host.run("odyssey", "run", "--", "sh", "-c", "exit 7", limit_s=60, check=False)
    assert failed.status == 7
    running = one.host.run("odyssey", "run", "--detach", "--", "sh", "-c", "sleep 5; echo over", limit_s=60).out.strip()
    one.host.run("odyssey", "down", limit_s=60)
    one.host.install(ROOT)
    one.host.run("odyssey", "up", limit_s=120)
    one.host.run("odyssey", "wait", running, limit_s=60)
    states = {row[0]: row[3] for row in (line.split("\t") for line in one.host.run("odyssey", "ps").out.splitlines())}
    assert (states["1"], states["2"], states[running]) == ("done", "failed", "done")
    assert one.host.run("odyssey", "logs", "1").out == "kept\n"
    assert one.host.run("odyssey", "logs", running).out == "over\n"
    assert one.host.run("odyssey", "run", "--", "echo", "new").out == "new\n"

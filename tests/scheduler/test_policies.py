"""Policies are found, added and refused: the built-in four always, others by their entry points."""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NamedTuple

import pytest

from odyssey.commands import SetPolicy
from odyssey.scheduler.decision import decode
from odyssey.scheduler.plan import plan, policy_of
from odyssey.scheduler.policies import BUILT_IN, GROUP, installed
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.rows import Row, Wish
from tests.builders import Mesh
from tests.scheduler.asking import chosen


class Alphabet(NamedTuple):
    """A policy of another package: the machine whose name comes last."""

    name: str = "alphabet"
    weights: Mapping[str, int] = {}
    ranks: bool = True
    waits: bool = False

    def rank(self, wish: Wish) -> int:
        return -wish.cpu

    def total(self, weights: Mapping[str, int]) -> Callable[[Wish, Row], int]:
        return lambda wish, row: sum(self.parts(weights, wish, row, {}).values())

    def parts(self, weights: Mapping[str, int], wish: Wish, row: Row, inputs: Mapping[bytes, int]) -> dict[str, int]:
        return {"letter": ord(row.node.name[0])}


POLICY = Alphabet()
NOT_A_POLICY = "weighted"


class Broken:
    """Has all that a policy has, and fails when it is looked at."""

    name, ranks, waits = "explodes", False, False
    rank, total, parts = Alphabet.rank, Alphabet.total, Alphabet.parts

    @property
    def weights(self) -> Mapping[str, int]:
        raise RuntimeError("no weights today")


EXPLODES = Broken()


class Impostors:
    weighted, round_robin, sjf, pack = (Alphabet(name) for name in ("weighted", "round_robin", "sjf", "pack"))


def of_this_file(name: str, attribute: str) -> EntryPoint:
    return EntryPoint(name, f"{__name__}:{attribute}", GROUP)


def found(*points: EntryPoint) -> tuple[dict[str, Policy], dict[str, str]]:
    return installed(lambda: list(points))


# -- found -------------------------------------------------------------------------------------------------------------


def test_the_built_in_four_are_entry_points_of_the_installed_package() -> None:
    """Not a table in the code: the way is the same as for another package's."""
    named = {point.name: point.load() for point in entry_points(group=GROUP) if point.value.startswith("odyssey.")}
    assert named == dict(BUILT_IN)
    assert set(named) == {"weighted", "round_robin", "sjf", "pack"}


def test_what_is_installed_here_is_found_and_sound() -> None:
    policies, broken = installed()
    assert policies.keys() >= BUILT_IN.keys()
    assert broken == {}
    for name, policy in policies.items():
        assert isinstance(policy, Policy)
        assert policy.name == name


def test_a_package_that_is_installed_brings_its_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pip leaves it: metadata beside the module, on the path."""
    (tmp_path / "mine.py").write_text("from tests.scheduler.test_policies import Alphabet\nPOLICY = Alphabet('mine')\n")
    metadata = tmp_path / "mine-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nmine = mine:POLICY\nabsent = mine:ABSENT\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    policies, broken = installed()
    assert policies["mine"].name == "mine"
    assert list(broken) == ["absent"]


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("absent", "no_such_package:POLICY", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("mine", f"{__name__}:NO_SUCH", "AttributeError: "),
        ("words", f"{__name__}:NOT_A_POLICY", "it is not a Policy with this name"),
        ("another", f"{__name__}:POLICY", "it is not a Policy with this name"),
        ("kind", f"{__name__}:Alphabet", "it is not a Policy with this name"),
        ("explodes", f"{__name__}:EXPLODES", "RuntimeError: no weights today"),
    ],
)
def test_a_broken_one_is_reported_and_the_others_stay(name: str, value: str, why: str) -> None:
    policies, broken = found(EntryPoint(name, value, GROUP), of_this_file("alphabet", "POLICY"))
    assert policies == {**BUILT_IN, "alphabet": POLICY}
    assert list(broken) == [name]
    assert broken[name].startswith(why)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_name_cannot_be_taken(name: str) -> None:
    assert found(of_this_file(name, f"Impostors.{name}"), of_this_file(name, "NO_SUCH")) == (dict(BUILT_IN), {})


# -- used --------------------------------------------------------------------------------------------------------------


def a_mesh(*names: str) -> Mesh:
    mesh = Mesh()
    for name in names:
        mesh.machine(name)
    return mesh


def test_a_plan_is_made_by_a_policy_of_another_package() -> None:
    policies, _ = found(of_this_file("alphabet", "POLICY"))
    mesh = a_mesh("anvil", "zebra", "moon")
    mesh.do(SetPolicy("alphabet"))
    mesh.submit(cpus=3)
    mesh.submit(cpus=4)
    planned = plan(mesh.snapshot(), policies=policies)
    assert [(batch.job, mesh.node(batch.node).name) for batch in planned.batches] == [(2, "zebra"), (1, "moon")]
    read = decode(planned.whys[0])
    assert read is not None
    assert (read.policy, read.terms) == ("alphabet", ("letter",))
    assert [(candidate.node, candidate.score) for candidate in read.top] == [
        (2, ord("z")),
        (3, ord("m")),
        (1, ord("a")),
    ]


def test_where_a_policy_is_not_installed_the_default_stands_in() -> None:
    mesh = a_mesh("anvil", "zebra")
    mesh.do(SetPolicy("alphabet"))
    mesh.submit()
    assert policy_of(mesh.snapshot(), BUILT_IN)[0].name == "weighted"
    assert chosen(plan(mesh.snapshot())) == [1]


def test_the_meshs_weights_replace_single_ones_of_the_policy() -> None:
    mesh = a_mesh("anvil")
    mesh.do(SetPolicy("pack", (("room", 7), ("fill", 0))))
    _, weights = policy_of(mesh.snapshot(), BUILT_IN)
    assert weights == {**BUILT_IN["pack"].weights, "room": 7, "fill": 0}


def test_a_policy_says_its_terms_by_name() -> None:
    """Each weight of a built-in policy is a term that people can look up and change."""
    mesh = a_mesh("anvil")
    for policy in BUILT_IN.values():
        mesh.do(SetPolicy(policy.name, tuple(sorted(policy.weights.items()))))
        assert mesh.state.head.policy == policy.name

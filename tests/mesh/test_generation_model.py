"""However often people recover a mesh that is cut in pieces: nobody follows two generations of one number, coordinators
only grow for everyone, all come together, and nothing acknowledged is in nobody's hands."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from odyssey.mesh.generation import Lineage, Stand, Verdict, Verify, judge
from tests.mesh.generation_model import Broken, World

SEEDS = 400


@pytest.mark.parametrize("part", range(4))
def test_whatever_people_do_the_generations_come_together(part: int) -> None:
    reached, alarms, tails = 0, 0, 0
    for seed in range(part * SEEDS, (part + 1) * SEEDS):
        machines = World(seed).run().machines.values()
        reached = max(reached, *(machine.lineage.tip.number for machine in machines))
        alarms += any(machine.alarms for machine in machines)
        tails += sum(len(machine.tails) for machine in machines)
    assert reached > 4
    assert alarms > SEEDS // 20
    assert tails > SEEDS


# -- mistakes it must see ----------------------------------------------------------------------------------------------

Judging = Callable[[Stand, Lineage, Verify], Verdict]


def instead(wrong: Verdict, right: Verdict) -> Judging:
    """Says the one where the other would be right."""

    def judging(mine: Stand, offered: Lineage, verify: Verify) -> Verdict:
        said = judge(mine, offered, verify)
        return wrong if said is right else said

    return judging


class Mistake(NamedTuple):
    name: str
    judging: Judging = judge
    knows_voters: bool = True
    patch: tuple[str, object] | None = None


MISTAKES = [
    Mistake("a machine moves to the sibling that wins", instead(Verdict.FOLLOW, Verdict.LOST)),
    Mistake("the sibling that wins founds no child", instead(Verdict.OLDER, Verdict.WON)),
    Mistake("an old anchor keeps its log", instead(Verdict.FOLLOW, Verdict.OLD_ANCHOR)),
    Mistake("a log of another branch is kept", instead(Verdict.FOLLOW, Verdict.OTHER_BRANCH)),
    Mistake("old voters elect in the new generation", knows_voters=False),
    Mistake("the founder does not look again", patch=("why_not", lambda charter, mine: "")),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name.replace(" ", "-"))
def test_the_model_sees_the_mistake(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    if mistake.patch is not None:
        monkeypatch.setattr(f"tests.mesh.generation_model.{mistake.patch[0]}", mistake.patch[1])
    assert any(is_broken(seed, mistake) for seed in range(SEEDS))


def is_broken(seed: int, mistake: Mistake) -> bool:
    try:
        World(seed, mistake.judging, mistake.knows_voters).run()
    except Broken:
        return True
    return False

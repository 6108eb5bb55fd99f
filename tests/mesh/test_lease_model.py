"""No task ever runs twice at once, and no attempt starts twice, in 20,000 small disasters; and the model would see it.

A failing run is repeated with one line: World(SEED).run(). Each mutant is a mistake that is easy to make, with the seed
from where on to look for it: from 0 on all of them show within 1,900 runs. A model that has gone blind is a failing
test.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from odyssey.ids import AttemptId, NodeNumber
from odyssey.mesh import grants, lease
from odyssey.mesh.grants import Grants
from odyssey.mesh.lease import FREEZE_MS, LEASE_MS, Drop, Lease, Used
from odyssey.messages import Beat, BeatId, Duty
from tests.mesh.lease_model import Faults, World

RUNS = 20_000
PARTS = 16  # so that they can be spread over processes


@pytest.mark.parametrize("part", range(PARTS))
def test_no_task_runs_twice_at_once(part: int) -> None:
    size = RUNS // PARTS
    started = moved = thawed = 0
    for seed in range(part * size, (part + 1) * size):
        world = World(seed)
        assert world.run() is None, f"World({seed}).run() gives {world.wrong} under {world.faults}"
        started, moved, thawed = started + len(world.started), moved + world.moved, thawed + world.thawed
    assert min(started // 2, moved * 2, thawed * 10) > size  # runs in which nothing happens prove nothing


def test_where_nothing_goes_wrong_nothing_is_moved_or_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.mesh.lease_model.drawn", lambda draw: Faults(*[0] * len(Faults._fields)))
    for seed in range(50):
        world = World(seed)
        assert world.run() is None
        assert (len(world.started), world.moved, world.thawed) == (2, 0, 0)


# ---- the machine's side, wrong ---------------------------------------------------------------------------------------


class CountsFromReceipt(Lease):
    def use(self, duty: Duty, now_ms: int) -> Used:
        used = super().use(duty, now_ms)
        if used.drop is None:
            self._until_ms = now_ms + LEASE_MS
        return used


class TakesAnyBoot(Lease):
    def _refusal(self, duty: Duty, now_ms: int) -> Drop | None:
        quoted = BeatId(self.boot, self.run, duty.beat.number)
        return super()._refusal(Duty(quoted, duty.fence, duty.revision, duty.since), now_ms)


class TakesAnyRun(Lease):
    def _refusal(self, duty: Duty, now_ms: int) -> Drop | None:
        quoted = BeatId(duty.beat.boot, self.run, duty.beat.number)
        return super()._refusal(Duty(quoted, duty.fence, duty.revision, duty.since), now_ms)


class TakesAnyBeat(Lease):
    """Also of the daemon before, also from before it said that it goes, also older than the one in force."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.all: dict[int, int] = {}

    def send(self, now_ms: int) -> BeatId:
        beat = super().send(now_ms)
        self.all[beat.number] = now_ms
        return beat

    def _refusal(self, duty: Duty, now_ms: int) -> Drop | None:
        sent_ms = self.all.get(duty.beat.number)
        if duty.beat.boot != self.boot or sent_ms is None:
            return Drop.UNKNOWN_BEAT
        self._sent[duty.beat.number] = sent_ms
        return Drop.TOO_LATE if now_ms >= sent_ms + LEASE_MS else None


class ForgetsNothing(Lease):
    """It says that it goes, and still takes answers to what it sent before."""

    def announce(self, now_ms: int) -> BeatId:
        sent = dict(self._sent)
        beat = super().announce(now_ms)
        self._sent = sent
        return beat


# ---- the coordinator's side, wrong -----------------------------------------------------------------------------------


class AsksNobody(Grants):
    """It believes that it leads."""

    def duty(self, *args: object) -> Duty | None:
        self._round = 1 << 60
        return super().duty(*args)  # type: ignore[arg-type]


class AsksTooEarly(Grants):
    """A quorum was heard, but before the beat came in."""

    def beat(self, node: NodeNumber, beat: Beat, round_: int, now_ms: int) -> bool:
        return super().beat(node, beat, round_ - 1, now_ms)


class ListsTheLost(Grants):
    def _gone(self, node: NodeNumber, current: object) -> set[AttemptId]:
        return set(self._dead.get(node, ()))


class DoesNotWaitForEarlierLeases(Grants):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._settled_ms = self._elected_ms


def nothing(_: pytest.MonkeyPatch) -> None: ...


def giving_away_after(ms: int) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(grants, "GIVE_AWAY_MS", ms)


def any_attempt_to_any_boot(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(grants._Machine, "owns", lambda *_: True)


def every_boot_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(grants._Machine, "is_free", lambda *_: True)


class Mutant(NamedTuple):
    name: str
    seed: int  # where to begin looking
    lease: type[Lease] = Lease
    grants: type[Grants] = Grants
    patch: Callable[[pytest.MonkeyPatch], None] = nothing


MUTANTS = (
    Mutant("lease counted from receipt", 100, CountsFromReceipt),
    Mutant("Duty of another boot", 30, TakesAnyBoot),
    Mutant("Duty of another daemon run", 800, TakesAnyRun),
    Mutant("Duty of an old beat", 280, TakesAnyBeat),
    Mutant("beats from before leaving still count", 280, ForgetsNothing),
    Mutant("grant without quorum", 940, grants=AsksNobody),
    Mutant("grant by a quorum from before the beat", 1890, grants=AsksTooEarly),
    Mutant("grant after proposed loss", 250, grants=ListsTheLost),
    Mutant("no wait after the election", 0, grants=DoesNotWaitForEarlierLeases),
    Mutant("listed to any boot", 0, patch=any_attempt_to_any_boot),
    Mutant("a new boot is served at once", 30, patch=every_boot_at_once),
    Mutant("given away without any margin", 120, patch=giving_away_after(LEASE_MS)),
    Mutant("given away without time to freeze", 590, patch=giving_away_after(LEASE_MS * 12 // 10)),
    Mutant("given away without the factor", 120, patch=giving_away_after(LEASE_MS + FREEZE_MS + 300)),
    Mutant("given away without the last 0.3 s", 590, patch=giving_away_after(lease.GIVE_AWAY_MS - 300)),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_the_model_sees_the_mistake(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.patch(monkeypatch)
    assert any(World(seed, mutant.lease, mutant.grants).run() for seed in range(mutant.seed, mutant.seed + 4_000))

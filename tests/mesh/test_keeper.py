"""The keeper and its transfers on a store in memory, one job after the other by hand.

Never: starts a thread. What a thread does is the worker's contract.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import pytest

from odyssey.clock import SeededEntropy
from odyssey.errors import OdysseyError
from odyssey.mesh import keeper as keepers
from odyssey.mesh.keeper import Keeper
from odyssey.mesh.raft.types import HardState, Member, Snapshot, Write
from odyssey.mesh.store import OWN, Broken, Damaged, DamagedSegment, DiskFull, ImpossibleWrite
from odyssey.mesh.worker import Worker, outcome
from tests.contracts.store_rigs import BARE, CONFIG, OTHER, MemoryRig, a_snapshot, a_write, entries, entry, slices

T = TypeVar("T")
HEAD = Snapshot(3, 1, CONFIG)


class ByHand(Worker):
    """Does a job when it is told to."""

    def __init__(self) -> None:
        self.jobs: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()
        self.count = 0

    def run(self, job: Callable[[], T], done: Callable[[T | OdysseyError], None]) -> None:
        self.jobs.append((job, done))

    def step(self) -> None:
        job, done = self.jobs.popleft()
        self.count += 1
        done(outcome(job))

    def all(self) -> None:
        while self.jobs:
            self.step()


class Asked(NamedTuple):
    source: Member
    digest: bytes
    first: int
    doubted: bool
    done: Callable[[Sequence[bytes] | None], None]


class AskedSegment(NamedTuple):
    source: Member
    digest: bytes
    start: int
    done: Callable[[bytes | None], None]


class Lane:
    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.segments: list[AskedSegment] = []

    def ask(self, *asked: Any) -> None:
        self.asked.append(Asked(*asked))

    def ask_segment(self, *asked: Any) -> None:
        self.segments.append(AskedSegment(*asked))


class Desk:
    """One machine: a keeper with a store, and what came of it."""

    def __init__(self) -> None:
        self.rig = MemoryRig(SeededEntropy(1))
        self.store = self.rig.create(BARE)
        self.worker, self.lane = ByHand(), Lane()
        self.failures: list[OdysseyError] = []
        self.heard: list[object] = []
        self.keeper = Keeper(self.store, self.worker, self.lane, self.failures.append)

    def written(self, *told: Any, commit: int = 0) -> None:
        self.keeper.write(a_write(*told, commit=commit), lambda: None)
        self.worker.all()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_write_is_answered_when_it_is_there(desk: Desk) -> None:
    desk.keeper.write(a_write(*entries(1, 3)), lambda: desk.heard.append("written"))
    assert desk.heard == []
    desk.worker.step()
    assert desk.heard == ["written"]
    assert desk.store.load().entries == [*entries(1, 3)]


@pytest.mark.parametrize("kind", [Broken, DiskFull])
def test_the_first_error_ends_everything_and_nothing_is_tried_again(desk: Desk, kind: type[OdysseyError]) -> None:
    desk.written(*entries(1, 3))
    desk.rig.fail(kind is Broken)
    desk.rig.fill(kind is DiskFull)
    for number in (4, 5):
        desk.keeper.write(a_write(entry(number, data=b"x" * 999)), lambda: desk.heard.append("written"))
    desk.keeper.ask(lambda store: store.room(), desk.heard.append)
    desk.worker.all()
    steps = desk.rig.steps
    desk.rig.fail(False)
    desk.rig.fill(False)
    desk.keeper.write(a_write(entry(4)), lambda: desk.heard.append("written"))
    desk.keeper.save(HEAD, iter(slices("s")), 4, desk.heard.append)
    desk.keeper.fetch(a_snapshot(9, 1, slices("nine")), OTHER, desk.heard.append)
    assert not desk.worker.jobs
    assert [type(error) for error in desk.failures] == [kind]
    assert desk.rig.steps == steps
    assert desk.heard == [None]  # of the snapshot: there is none


def test_an_impossible_write_ends_everything_too(desk: Desk) -> None:
    desk.written(entry(9))
    assert [type(error) for error in desk.failures] == [ImpossibleWrite]


def test_rot_that_is_met_later_ends_everything(desk: Desk) -> None:
    desk.written(*entries(1, 3))
    desk.rig.rot(b"entry 2 of term 1")
    desk.keeper.ask(lambda store: store.entries(1, 3), desk.heard.append)
    desk.worker.all()
    assert [type(error) for error in desk.failures] == [Damaged]
    assert desk.heard == []


def test_a_damaged_segment_is_only_an_answer(desk: Desk) -> None:
    error = DamagedSegment("it is", hint="fetch it")

    def look(_: object) -> bytes:
        raise error

    desk.keeper.ask(look, desk.heard.append)
    desk.worker.all()
    assert (desk.heard, desk.failures) == ([error], [])


def test_after_closing_the_store_can_be_opened_anew(desk: Desk) -> None:
    desk.keeper.write(a_write(*entries(1, 3)), lambda: desk.heard.append("written"))
    desk.keeper.close(lambda: desk.heard.append("closed"))
    desk.worker.all()
    assert desk.heard == ["closed"]
    assert desk.rig.open().load().entries == [*entries(1, 3)]


# -- snapshots of one's own --------------------------------------------------------------------------------------------


def test_a_snapshot_is_laid_by_in_steps_and_writes_come_between(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "AT_ONCE", 3000)
    desk.written(*entries(1, 3), commit=3)
    pieces = slices("mine")
    desk.keeper.save(HEAD, iter(pieces), 4, desk.heard.append)
    desk.worker.step()
    for number in range(4, 7):
        desk.worker.step()
        desk.keeper.write(a_write(entry(number)), lambda: desk.heard.append("written"))
        desk.worker.jobs.rotate()  # it came first
        desk.worker.step()
    desk.worker.all()
    assert desk.heard == ["written"] * 3 + [a_snapshot(3, 1, pieces)]
    loaded = desk.store.load()
    assert (loaded.snapshot, loaded.entries) == (a_snapshot(3, 1, pieces), [*entries(4, 6)])
    assert list(desk.store.snapshot_slices(loaded.snapshot.digest)) == pieces


def test_two_snapshots_at_once_do_not_mix(desk: Desk) -> None:
    desk.written(*entries(1, 3), commit=3)
    desk.keeper.save(HEAD, iter(slices("one")), 4, desk.heard.append)
    desk.keeper.save(HEAD, iter(slices("two")), 4, desk.heard.append)
    desk.worker.all()
    assert desk.heard == [None, a_snapshot(3, 1, slices("one"))]


def test_half_a_snapshot_of_before_gets_into_no_other(desk: Desk) -> None:
    desk.written(*entries(1, 3), commit=3)
    desk.store.stage(OWN, 0, slices("half"))
    desk.keeper.save(HEAD, iter(slices("one")), 4, desk.heard.append)
    desk.worker.all()
    assert desk.heard == [a_snapshot(3, 1, slices("one"))]


def test_a_leaders_newer_snapshot_overtakes_ones_own(desk: Desk) -> None:
    desk.written(*entries(1, 3), commit=3)
    theirs = a_snapshot(9, 2, slices("theirs"))
    desk.store.stage(theirs.digest, 0, slices("theirs"))
    desk.keeper.save(HEAD, iter(slices("mine")), 4, desk.heard.append)
    desk.worker.step()
    desk.keeper.write(Write(2, HardState(2, None, 9), (), theirs), lambda: desk.heard.append("installed"))
    desk.worker.all()
    assert sorted(desk.heard, key=str) == [None, "installed"]
    assert (desk.store.load().snapshot, desk.failures, desk.store.staging()) == (theirs, [], frozenset())


# -- snapshots of others -----------------------------------------------------------------------------------------------


def fetched(desk: Desk, pieces: list[bytes], index: int = 9) -> Snapshot:
    snapshot = a_snapshot(index, 1, pieces)
    desk.keeper.fetch(snapshot, OTHER, desk.heard.append)
    desk.worker.all()
    return snapshot


def answer(desk: Desk, some: Sequence[bytes] | None) -> Asked:
    asked = desk.lane.asked[-1]
    asked.done(some)
    desk.worker.all()
    return asked


def test_a_snapshot_comes_in_pieces_and_can_be_installed(desk: Desk) -> None:
    pieces = slices("nine")
    snapshot = fetched(desk, pieces)
    for first in (0, 2, 4):
        assert answer(desk, pieces[first : first + 2])[:4] == (OTHER, snapshot.digest, first, False)
    assert desk.heard == [pieces]
    desk.keeper.write(Write(1, HardState(1, None, 9), (), snapshot), lambda: desk.heard.append("installed"))
    desk.worker.all()
    assert (desk.heard[1], desk.store.load().snapshot) == ("installed", snapshot)


def test_what_broke_off_goes_on_where_it_stopped_even_after_a_restart(desk: Desk) -> None:
    pieces = slices("nine")
    fetched(desk, pieces)
    answer(desk, pieces[:2])
    answer(desk, None)
    assert desk.heard == [None]
    fetched(desk, pieces)
    assert answer(desk, pieces[2:3]).first == 2
    desk.keeper.close(lambda: None)
    desk.worker.all()
    desk.keeper = Keeper(desk.rig.open(), desk.worker, desk.lane, desk.failures.append)
    fetched(desk, pieces)
    assert answer(desk, pieces[3:]).first == 3
    assert desk.heard == [None, pieces]


def test_wrong_bytes_are_dropped_and_the_source_is_told_of_the_doubt(desk: Desk) -> None:
    pieces, wrong = slices("nine"), slices("NINE")
    fetched(desk, pieces)
    answer(desk, wrong)
    assert desk.store.staging() == frozenset()
    assert answer(desk, pieces)[2:4] == (0, True)
    assert desk.heard == [pieces]


def test_rot_in_what_was_laid_by_costs_the_transfer_and_nothing_else(desk: Desk) -> None:
    pieces = slices("nine")
    fetched(desk, pieces)
    answer(desk, pieces[:2])
    desk.keeper.close(lambda: None)
    desk.worker.all()
    desk.rig.rot(b"nine, slice 1")
    desk.keeper = Keeper(desk.rig.open(), desk.worker, desk.lane, desk.failures.append)
    fetched(desk, pieces)
    assert answer(desk, pieces[2:]).first == 2
    assert answer(desk, pieces).first == 0
    assert (desk.heard, desk.failures) == ([pieces], [])


def test_who_sends_wrong_bytes_twice_is_not_asked_a_third_time(desk: Desk) -> None:
    fetched(desk, slices("nine"))
    answer(desk, slices("NINE"))
    answer(desk, slices("NINE"))
    assert (len(desk.lane.asked), desk.heard, desk.store.staging()) == (2, [None], frozenset())


@pytest.mark.parametrize("some", [[b"x" * 20_000], [*slices("nine"), b"and more"], []])
def test_more_or_fewer_bytes_than_the_snapshot_has_are_not_laid_by(desk: Desk, some: list[bytes]) -> None:
    fetched(desk, slices("nine"))
    steps = desk.rig.steps
    answer(desk, some)
    assert desk.rig.steps == steps
    assert desk.store.staging() == frozenset()
    assert desk.lane.asked[-1].doubted


def test_a_newer_fetch_takes_the_place_of_the_older_and_of_its_room(desk: Desk) -> None:
    nine, ten = slices("nine"), slices("ten")
    fetched(desk, nine)
    answer(desk, nine[:2])
    late = desk.lane.asked[-1]
    snapshot = fetched(desk, ten, 10)
    late.done(nine[2:])
    desk.worker.all()
    assert desk.store.staging() == frozenset()
    answer(desk, ten)
    assert desk.store.staging() == {snapshot.digest}
    assert desk.heard == [ten]


def test_what_a_write_is_about_to_install_is_left_alone(desk: Desk) -> None:
    nine = slices("nine")
    snapshot = fetched(desk, nine)
    answer(desk, nine)
    fetched(desk, slices("ten"), 10)
    desk.keeper.write(Write(1, HardState(1, None, 9), (), snapshot), lambda: desk.heard.append("installed"))
    desk.worker.all()
    assert (desk.heard, desk.failures) == ([nine, "installed"], [])


# -- serving -----------------------------------------------------------------------------------------------------------


def served(desk: Desk, digest: bytes, first: int, doubted: bool = False) -> object:
    desk.keeper.serve(digest, first, doubted, desk.heard.append)
    desk.worker.all()
    return desk.heard.pop() if desk.heard else "nothing"


def with_a_snapshot(desk: Desk, pieces: list[bytes]) -> bytes:
    desk.written(*entries(1, 3), commit=3)
    desk.keeper.save(HEAD, iter(pieces), 4, lambda _: None)
    desk.worker.all()
    return a_snapshot(3, 1, pieces).digest


def test_slices_are_served_some_at_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "AT_ONCE", 5000)
    pieces = slices("mine")
    digest = with_a_snapshot(desk, pieces)
    assert served(desk, digest, 0) == pieces[:2]
    assert served(desk, digest, 4) == pieces[4:]
    assert served(desk, digest, 5) == []


def test_who_asks_for_an_older_snapshot_hears_that_it_is_gone(desk: Desk) -> None:
    with_a_snapshot(desk, slices("mine"))
    assert served(desk, b"another", 0) is None
    assert desk.failures == []


@pytest.mark.parametrize(("rotten", "first"), [(4, 0), (4, 2), (0, 2)])
def test_a_doubt_finds_the_rot_where_it_is(desk: Desk, rotten: int, first: int) -> None:
    digest = with_a_snapshot(desk, slices("mine"))
    desk.rig.rot(b"mine, slice %d" % rotten)
    assert served(desk, digest, first, doubted=True) == "nothing"
    assert [type(error) for error in desk.failures] == [Damaged]

"""An invite on a card: when it is tried, when it is not tried again, and what becomes of it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from odyssey.clock import Clock
from odyssey.daemon import headless
from odyssey.daemon.founding import Belonging
from odyssey.daemon.headless import Headless, Invited, Lying, found, holds
from odyssey.entry import Entry
from odyssey.errors import NotPermitted, OdysseyError, Unreachable, UsageError
from odyssey.ids import NodeId, UserId
from odyssey.mesh.generation import Generation
from odyssey.mesh.trust.join_client import WrongClock
from odyssey.paths import Home
from tests.builders import Mesh
from tests.fakes import FakeClock

MINE = Belonging(b"m" * 16, Generation(1, b"g"), "anna's mesh", UserId("anna"), "pi4")
THEIRS = Belonging(b"t" * 16, Generation(1, b"g"), "ben's mesh", UserId("ben"), "pi4", joined=True)
REFUSED = NotPermitted("this invite has let in all it may (1)", hint="ask for another one")


class Place:
    def __init__(self, folder: Path) -> None:
        self.home, self.card = Home(folder / "home"), folder / "boot" / "odyssey.invite"
        for one in (self.home.path, self.card.parent):
            one.mkdir()
        self.card.write_text("ody1_abc\n")
        self.tries: list[Entry] = []
        self.errors: list[OdysseyError] = []

    async def enter(self, entry: Entry) -> Belonging:
        self.tries.append(entry)
        if self.errors:
            raise self.errors.pop(0)
        return THEIRS

    def start(
        self, before: Belonging | None = None, why: str = "", boot: bytes = b"1", clock: Clock | None = None
    ) -> str:
        """A daemon begins here. What `status` says of it; "in": it joined."""
        invited = Invited(self.home, [self.card.parent / "none", self.card], clock or FakeClock())
        invited._headless = Headless(self.home, [self.card.parent / "none", self.card], boot)
        found = asyncio.run(invited.join(before, lambda _: why, self.enter))
        return "in" if found is THEIRS else " ".join(invited.notes)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_it_joins_and_deletes_the_invite(place: Place) -> None:
    assert place.start() == "in"
    assert place.tries == [Entry("ody1_abc")]
    assert not place.card.exists()
    assert place.start(THEIRS) == ""
    assert len(place.tries) == 1


def test_no_invite_is_no_word(place: Place) -> None:
    place.card.unlink()
    assert place.start() == ""
    assert place.tries == []


def test_a_mesh_of_one_is_left_for_it(place: Place) -> None:
    assert place.start(MINE) == "in"


def test_who_is_in_a_mesh_with_others_stays_and_the_invite_too(place: Place) -> None:
    assert place.start(THEIRS) == ""
    assert place.start(MINE, why="2 of this machine's own jobs are unfinished") == (
        f"The invite {place.card} is not used yet: 2 of this machine's own jobs are unfinished."
    )
    assert place.tries == []
    assert place.card.exists()
    assert place.start(MINE) == "in"


def test_a_refused_one_is_tried_once_in_a_boot_and_told_each_time(place: Place) -> None:
    told = f"The invite {place.card} was not taken: {REFUSED.message}."
    place.errors = [REFUSED]
    assert [place.start(), place.start(), place.start()] == [told, told, told]
    assert len(place.tries) == 1
    place.errors = [REFUSED]
    assert place.start(boot=b"2") == told
    assert len(place.tries) == 2
    place.card.write_text("ody1_another")  # in the same boot
    assert place.start(boot=b"2") == "in"


@pytest.mark.parametrize("error", [Unreachable("nobody answers"), WrongClock("its clock is behind", hint="set it")])
def test_a_network_and_a_time_that_come_late_are_waited_for(
    place: Place, error: OdysseyError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headless, "AGAIN_S", 0.0)
    place.errors = [error] * 3
    assert place.start() == "in"
    assert len(place.tries) == 4


def test_but_not_for_ever_and_at_the_next_start_it_is_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headless, "KNOCK_MS", 0)
    place.errors = [Unreachable("nobody answers")]
    assert place.start() == f"The invite {place.card} is not used yet: nobody answers."
    assert place.card.exists()
    assert place.start() == "in"


def test_one_that_was_used_is_deleted_also_when_there_was_no_time_for_that(place: Place) -> None:
    Headless(place.home, [place.card], b"1").begins(Lying(place.card, "ody1_abc"))
    assert place.start(THEIRS) == ""  # the power went after it was let in
    assert not place.card.exists()
    assert place.tries == []


def test_one_that_was_refused_before_is_not_deleted_when_it_joins_by_another(place: Place) -> None:
    place.errors = [REFUSED]
    place.start()
    place.start(THEIRS)
    assert place.card.exists()


def test_one_that_cannot_be_deleted_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(path: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    one = Headless(place.home, [place.card], b"1")
    one.used(Lying(place.card, "ody1_abc"))
    assert one.notes == (f"The invite {place.card} was used, and cannot be deleted here: Read-only file system.",)


def test_what_is_no_file_or_empty_or_endless_is_bounded(tmp_path: Path) -> None:
    fifo, empty, long = tmp_path / "fifo", tmp_path / "empty", tmp_path / "long"
    os.mkfifo(fifo)
    empty.touch()
    long.write_bytes(b"x" * 100_000)
    assert found([tmp_path, fifo, empty, tmp_path / "none", empty / "below"]) is None
    lying = found([fifo, long])
    assert lying is not None
    assert (lying.path, len(lying.text)) == (long, headless.LONGEST)


def test_what_holds_a_machine_in_the_mesh_it_began() -> None:
    mesh = Mesh()
    mesh.machine("titan")
    me = next(iter(mesh.state.nodes.values())).id
    assert holds(mesh.state, me) == ""
    mesh.submit()
    assert holds(mesh.state, me) == "1 of this machine's own jobs are unfinished"
    assert holds(mesh.state, NodeId("other")) == "this machine is in a mesh with others"


def test_a_mistake_in_the_file_is_a_refusal(place: Place) -> None:
    place.errors = [UsageError("character 9 of this invite is mistyped", hint="paste it again")]
    assert "character 9 of this invite is mistyped" in place.start()
    assert place.card.exists()

"""The owner's rules on this machine: kept, followed, and safe when they cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from odyssey.daemon.owner import Owner
from odyssey.errors import OdysseyError
from odyssey.manners import Allowed, Whose
from odyssey.mesh.store import StoreError
from odyssey.messages import Pause
from odyssey.resources import G, Resources
from tests.daemon_fakes import Time

HAS = Resources(8000, 16 * G)


class Desk:
    def __init__(self, path: Path) -> None:
        self.path, self.time = path / "policy.toml", Time()
        self.mains: bool | None = True
        self.is_open: bool | None = None
        self.followed: list[Allowed] = []
        self.owner = self.make()

    def make(self) -> Owner:
        whose = Whose("pi4", "anna", "anna's mesh", 1, "pi")
        return Owner(
            self.path, HAS, self.time, lambda: self.mains, lambda: self.is_open, lambda: whose, self.followed.append
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_rule_is_followed_at_once_and_after_a_restart(desk: Desk) -> None:
    view = desk.owner.share({"cpus": "50%"})
    assert view.cpus == "50%"
    assert [one.total.cpu_milli for one in desk.followed] == [4000]
    assert desk.make().now.total.cpu_milli == 4000


def test_asking_changes_nothing(desk: Desk) -> None:
    assert desk.owner.share({}).lines[0].startswith("pi4 belongs to anna")
    assert not desk.path.exists()


def test_a_pause_stops_and_resume_goes_on(desk: Desk) -> None:
    assert desk.owner.pause(0).is_paused
    assert desk.owner.now.pause
    assert desk.make().now.pause
    assert not desk.owner.resume().is_paused
    assert [bool(one.pause) for one in desk.followed] == [True, False]


def test_a_pause_for_a_while_ends_by_itself(desk: Desk) -> None:
    view = desk.owner.pause(60_000)
    assert view.paused_until_at == desk.time.wall_ms() + 60_000
    desk.time.wait(61_000)
    desk.owner.look()
    assert not desk.owner.now.pause
    assert not desk.owner.view().is_paused


def test_the_mains_are_followed(desk: Desk) -> None:
    desk.mains = False
    desk.owner.look()
    assert desk.owner.now.pause == "on battery"


def test_the_lid_is_followed(desk: Desk) -> None:
    desk.is_open = False
    desk.owner.look()
    assert (desk.owner.now.pause, desk.owner.now.why) == ("its lid is closed", Pause.LID)
    assert desk.owner.share({"lid": "on"}).lid == "on"
    assert not desk.owner.now.pause


def test_an_editor_may_change_the_file(desk: Desk) -> None:
    desk.path.write_text('cpus = "2"\n')
    desk.owner.look()
    assert desk.owner.now.total.cpu_milli == 2000
    desk.path.unlink()
    desk.owner.look()
    assert desk.owner.now.total == HAS


def test_a_file_that_cannot_be_followed_stops_everything_and_says_why(desk: Desk) -> None:
    desk.path.write_text("cpus = lots\n")
    desk.owner.look()
    assert "policy.toml is not TOML" in desk.owner.now.pause
    assert desk.owner.now.why is Pause.RULES
    assert "policy.toml is not TOML" in desk.owner.view().lines[1]
    assert desk.make().now.pause
    desk.owner.resume()
    assert not desk.owner.now.pause


def test_a_mistake_changes_nothing(desk: Desk) -> None:
    with pytest.raises(OdysseyError):
        desk.owner.share({"cpus": "lots"})
    assert (desk.followed, desk.path.exists()) == ([], False)


def test_a_rule_that_cannot_be_kept_is_not_followed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    desk.owner.share({"cpus": "50%"})
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="full"):
        desk.owner.pause(0)
    desk.owner.look()
    assert (desk.owner.now.pause, desk.owner.now.total.cpu_milli) == ("", 4000)

"""What can be seen of a machine without a daemon: its disk, keys, certificate, limits; and what is said of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from odyssey import checkup
from odyssey.api.views import Check
from odyssey.checkup import Facts, checks, facts, looked_at
from odyssey.paths import Home

DAY = 86_400_000
NOW = 100 * DAY
WELL = Facts(20_000, 50 << 30, 1.25, "", (), NOW + 14 * DAY, None, "v2", None, ("eth0 10.0.0.0/24",))


def said(**fields: Any) -> dict[str, Check]:
    return {check.name: check for check in checks(WELL._replace(**fields), Path("/h"), NOW)}


def level(check: Check) -> str:
    return "ok" if check.is_fine else "?" if check.is_fine is None else "broken" if check.is_broken else "warning"


def test_all_is_well() -> None:
    found = said()
    assert {level(one) for one in found.values()} == {"ok"}
    assert found["disk"].text == "50 GB free at /h"
    assert found["writing"].text == "what is written is on the disk after 1.2 ms"
    assert found["certificate"].text == "good for 14d more"


@pytest.mark.parametrize(
    ("fields", "name", "how"),
    [
        ({"free": 100 << 20}, "disk", "broken"),
        ({"free": 1 << 30}, "disk", "warning"),
        ({"free": None, "fsync_ms": None}, "disk", "?"),
        ({"free": None, "fsync_ms": None}, "writing", "?"),
        ({"fsync_ms": None, "why_not": "read-only file system"}, "writing", "broken"),
        ({"fsync_ms": 150.0}, "writing", "warning"),
        ({"fsync_ms": 1_500.0}, "writing", "broken"),
        ({"open_keys": ("/h/identity/key", "/h/identity/curve")}, "keys", "broken"),
        ({"expiry_ms": NOW + 2 * DAY}, "certificate", "warning"),
        ({"expiry_ms": NOW - 1}, "certificate", "broken"),
        ({"expiry_ms": None}, "certificate", "?"),
        ({"bad_trust": ("it is torn", "put its copy back")}, "certificate", "broken"),
        ({"files": 1_024}, "open files", "warning"),
        ({"files": None}, "open files", "ok"),
        ({"groups": ""}, "cgroups", "warning"),
        ({"docker": False}, "docker", "warning"),
        ({"docker": True}, "docker", "ok"),
        ({"networks": ()}, "networks", "warning"),
    ],
)
def test_what_is_not_as_it_should_be(fields: dict[str, Any], name: str, how: str) -> None:
    check = said(**fields)[name]
    assert level(check) == how
    assert how not in ("broken", "warning") or check.hint or check.is_limit


def test_a_home_as_it_is(tmp_path: Path) -> None:
    home = Home(tmp_path)
    tmp_path.chmod(0o700)
    home.identity.mkdir(0o700)
    key = home.identity / "key"
    key.write_bytes(b"x")
    key.chmod(0o600)
    found = facts(home)
    assert found.open_keys == ()
    assert found.free is not None
    assert found.fsync_ms is not None
    assert os.listdir(tmp_path) == ["identity"]
    key.chmod(0o640)
    assert facts(home).open_keys == (os.fspath(key),)


def test_a_home_that_is_not_there_is_no_error_and_is_not_made(tmp_path: Path) -> None:
    home = Home(tmp_path / "none")
    found = {check.name: check for check in looked_at(home, NOW)}
    assert [found[name].is_fine for name in ("disk", "writing", "certificate")] == [None, None, None]
    assert not home.path.exists()


def test_trust_that_is_torn_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.identity.mkdir(0o700)
    home.trust.write_bytes(b"torn")
    home.trust.chmod(0o600)
    check = next(one for one in looked_at(home, NOW) if one.name == "certificate")
    assert check.is_broken
    assert "cannot be read" in check.text
    assert check.hint


def test_a_docker_that_does_not_answer(tmp_path: Path) -> None:
    assert checkup._docker(tmp_path / "none") is None
    (tmp_path / "socket").write_bytes(b"")
    assert checkup._docker(tmp_path / "socket") is False

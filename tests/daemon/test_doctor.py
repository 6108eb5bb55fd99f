"""What is said of a machine: what it can, what it cannot, and what would help."""

from __future__ import annotations

from odyssey.api.views import Check
from odyssey.daemon.doctor import ABILITIES, checks


def said(trouble: str = "", is_member: bool = True, hands: int | None = 1, **abilities: str) -> dict[str, Check]:
    return {one.name: one for one in checks(abilities, trouble, is_member, hands, ("Something else.",))}


def test_what_it_can_it_says_and_how() -> None:
    found = said(namespaces="user", memory="cgroup1", pids="cgroup2", freeze="cgroup2", terminals="pty")
    assert all(one.is_fine for one in found.values() if one.name != "note")
    assert found["memory"].text == "--mem is enforced (cgroup v1)"
    assert found["ends"].text == "all that a job starts ends with it (namespaces of its own user)"


def test_what_it_cannot_comes_with_what_would_help() -> None:
    found = said(namespaces="no", memory="none", pids="none", freeze="none", terminals="none")
    for one in ABILITIES:
        assert (found[one.shown].is_fine, found[one.shown].hint) == (False, one.hint)


def test_what_is_not_known_is_said_so() -> None:
    found = said()
    assert {found[one.shown].is_fine for one in ABILITIES} == {None}
    assert (found["note"].is_fine, found["note"].text) == (None, "Something else.")


def test_trouble_is_said() -> None:
    found = said(trouble="the disk is full", is_member=False, hands=None)
    assert [found[name].is_fine for name in ("log", "member", "hands")] == [False, False, False]
    assert found["log"].text == "the disk is full"

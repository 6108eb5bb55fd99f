"""What is said of the way to another machine: each direction, its clock, large frames; and in one line."""

from __future__ import annotations

from typing import Any

import pytest

from odyssey.api.diagnosis import Seen, checks, multicast, summary
from odyssey.api.views import Check, NetworkList, NetworkView, WayView


def ways(control: str = "open", bulk: str = "open", address: str = "10.0.0.2") -> tuple[WayView, ...]:
    return WayView(address, 7661, "control", control), WayView(address, 7662, "bulk", bulk)


WELL = Seen("h1", "h2", "up", is_linked=True, there=ways(), back=ways(address="10.0.0.1"), apart_ms=100,
            round_trip_ms=2, large_ms=5, has_large=True, version="1", own_version="1")  # fmt: skip


def said(**fields: Any) -> dict[str, Check]:
    return {check.name: check for check in checks(WELL._replace(**fields))}


def level(check: Check) -> str:
    return "ok" if check.is_fine else "?" if check.is_fine is None else "broken" if check.is_broken else "warning"


def test_all_is_well() -> None:
    found = said()
    assert [level(one) for one in found.values()] == ["ok"] * 5
    assert found["from here"].text == "h1 reaches h2 at 10.0.0.2 (control 7661 and bulk 7662)"
    assert found["to here"].text == "h2 reaches h1 at 10.0.0.1 (control 7661 and bulk 7662)"
    assert summary(WELL) == Check("h2", True, "reached both ways (2 ms); clocks and frames are fine")


@pytest.mark.parametrize(
    ("answer", "text", "hint"),
    [
        ("silent", "10.0.0.2 port 7661 is there and does not answer", "on h2: sudo ufw allow 7661:7662/tcp"),
        ("closed", "at 10.0.0.2 port 7661 nobody listens", "on h2: odyssey up"),
        ("nothing", "nothing answers at 10.0.0.2 port 7661", "is h2 on, and in the same network?"),
        ("blocked", "the system does not let Odyssey connect to 10.0.0.2 port 7661", "on h1: let this program"),
    ],
)
def test_the_direction_that_is_closed_is_named_with_its_port_and_its_remedy(answer: str, text: str, hint: str) -> None:
    found = said(there=ways(answer, answer))
    assert f"closed from h1 to h2: {text}" in found["from here"].text
    assert hint in (found["from here"].hint or "")
    assert (level(found["from here"]), level(found["to here"])) == ("warning", "ok")  # it dials out itself
    assert "because h2 connects to h1 by itself" in found["from here"].text
    assert level(said(there=ways(answer, answer), is_linked=False)["from here"]) == "broken"


def test_the_other_direction_is_named_too() -> None:
    found = said(back=ways("silent", "silent", "10.0.0.1"))
    assert "closed from h2 to h1: 10.0.0.1 port 7661" in found["to here"].text
    assert (found["to here"].hint, level(found["from here"])) == ("on h1: sudo ufw allow 7661:7662/tcp", "ok")


def test_one_of_two_ports_closed_is_closed_and_one_of_two_addresses_open_is_open() -> None:
    assert "port 7662" in said(there=ways("open", "silent"))["from here"].text
    both = (*ways("nothing", "nothing", "10.9.9.9"), *ways())
    assert level(said(there=both)["from here"]) == "ok"
    mixed = (*ways("open", "silent", "10.9.9.9"), *ways("silent", "open"))
    assert level(said(there=mixed)["from here"]) == "warning"


def test_who_has_no_address_cannot_be_dialled() -> None:
    assert level(said(there=())["from here"]) == "warning"
    assert level(said(there=(), is_linked=False)["from here"]) == "broken"


def test_what_was_not_tried_is_not_judged() -> None:
    found = said(back=None, trouble="no answer", apart_ms=None, has_large=None, is_linked=False, why="cut")
    assert set(found) == {"link", "from here", "to here"}
    assert level(found["to here"]) == "?"
    assert found["link"].text == "no connection between h1 and h2: cut"
    assert level(found["link"]) == "broken"
    assert level(said(is_linked=False, asked_by="another machine")["link"]) == "warning"


@pytest.mark.parametrize(
    ("apart_ms", "how", "text"),
    [
        (5_000, "ok", "5.0 s apart"),
        (-5_000, "ok", "5.0 s apart"),
        (5_001, "warning", "ahead"),
        (-60_000, "warning", "1m behind"),
        (60_001, "broken", "1m ahead: invites and certificates may be refused"),
        (-172_800_000, "broken", "2d behind"),
    ],
)
def test_clocks(apart_ms: int, how: str, text: str) -> None:
    check = said(apart_ms=apart_ms)["clock"]
    assert level(check) == how
    assert text in check.text


def test_frames_that_are_lost_when_they_are_large() -> None:
    check = said(has_large=False, large_ms=None)["frames"]
    assert level(check) == "broken"
    assert "mtu" in (check.hint or "")


def test_two_versions() -> None:
    assert level(said(version="2")["version"]) == "warning"


def test_one_line_tells_the_worst() -> None:
    both = WELL._replace(there=ways("silent", "silent"), apart_ms=90_000)
    assert "ahead" in summary(both).text
    assert summary(both).is_broken
    assert summary(WELL._replace(there=ways("silent", "silent"))).is_warning
    gone = summary(WELL._replace(state="gone", is_linked=False, back=None, there=ways("nothing", "nothing")))
    assert (level(gone), gone.text, gone.hint) == ("warning", "is gone, as the mesh knows it", "odyssey doctor h2")


def test_who_is_gone_may_just_be_off() -> None:
    found = said(state="gone", is_linked=False, back=None, there=ways("silent", "silent"))
    assert (found["from here"].hint or "").startswith("is h2 on?")


def test_whether_machines_are_found_by_themselves() -> None:
    assert [level(one) for one in multicast(None)] == ["?"]
    known = NetworkView("10.0.0.0/24", "02:00", "eth0", "known")
    new, away = NetworkView("10.1.0.0/24", "", "wlan0", "new"), NetworkView("10.2.0.0/24", "", "", "away")
    on, quiet = multicast(NetworkList((known, new, away)))
    assert (level(on), level(quiet)) == ("ok", "warning")
    assert "quiet on wlan0 10.1.0.0/24" in quiet.text
    assert quiet.hint == "if it is yours: odyssey network trust"

"""Why nobody was found: each line stands for something that was seen."""

from __future__ import annotations

import itertools

import pytest

from odyssey.mesh.discovery.nobody import Answer, Knock, Line, Observed, head, lines, text

ON = Observed(looked_on=("en0 192.168.1.0/24",), seconds=5.0)
BOX = Knock("gamebox", "192.168.1.20", 7660, Answer.SILENT)


def whats(seen: Observed) -> list[str]:
    return [line.what for line in lines(seen)]


def test_nothing_seen_nothing_said() -> None:
    assert lines(ON) == ()
    assert text(ON) == "No machine answered (looked on en0 192.168.1.0/24 for 5 s)."


def test_the_head_says_where_was_looked() -> None:
    assert "on no network that it knows" in head(Observed(quiet_on=("en0 10.0.0.0/8",)))
    assert head(Observed()) == "No machine answered: this machine is on no network."


def test_a_strange_network_says_how_it_becomes_known() -> None:
    assert lines(Observed(quiet_on=("en0 10.0.0.0/8",))) == (
        Line("new network en0 10.0.0.0/8: quiet here", "it is yours: odyssey network trust"),
    )


def test_no_multicast_is_said_where_others_are_there_and_none_was_heard() -> None:
    seen = ON._replace(router_answers=True, others_answer=True, heard_multicast=False)
    assert whats(seen) == ["the router answers, this network carries no multicast"]
    assert whats(seen._replace(heard_multicast=None)) == []
    assert whats(seen._replace(heard_multicast=True)) == []
    assert whats(seen._replace(router_answers=None)) == ["other devices answer, this network carries no multicast"]


def test_devices_that_are_kept_apart() -> None:
    seen = ON._replace(router_answers=True, others_answer=False, heard_multicast=False)
    assert whats(seen) == ["no device but the router answers at all"]
    assert whats(seen._replace(router_answers=None)) == []
    assert whats(seen._replace(others_answer=None)) == []


def test_a_machine_that_is_there_is_named_with_what_to_do_on_it() -> None:
    assert lines(ON._replace(knocks=(BOX,)))[0] == Line(
        "gamebox 192.168.1.20 is up but port 7660 is closed", "on gamebox: sudo ufw allow 7660/tcp"
    )
    assert lines(ON._replace(knocks=(BOX._replace(answer=Answer.CLOSED),)))[0] == Line(
        "gamebox 192.168.1.20 is up but nothing listens on port 7660", "on gamebox: odyssey up"
    )
    assert lines(ON._replace(knocks=(BOX._replace(answer=Answer.NOTHING),))) == ()


def test_a_machine_that_is_there_proves_that_devices_are_not_kept_apart() -> None:
    seen = ON._replace(router_answers=True, others_answer=False, heard_multicast=False, knocks=(BOX,))
    assert whats(seen)[-1] == "the router answers, this network carries no multicast"
    assert "no device but the router answers at all" not in whats(seen)


def test_macos_that_blocks_is_told_where_it_does() -> None:
    seen = ON._replace(router_answers=True, knocks=(BOX._replace(answer=Answer.BLOCKED),), system="darwin")
    assert whats(seen) == ["macOS blocks this program from the local network"]
    assert whats(seen._replace(system="linux")) == []


def test_a_silent_router() -> None:
    assert whats(ON._replace(router_answers=False)) == ["the router does not answer"]


@pytest.mark.parametrize("router", [None, True, False])
def test_no_line_without_its_observation(router: bool | None) -> None:
    """Whatever else was seen: what was not seen is never said."""
    for others, heard, answer in itertools.product((None, True, False), (None, True, False), Answer):
        seen = ON._replace(
            router_answers=router, others_answer=others, heard_multicast=heard, knocks=(BOX._replace(answer=answer),)
        )
        said = " ".join(whats(seen))
        assert "the router answers" not in said or router
        assert "the router does not" not in said or router is False
        assert "no multicast" not in said or heard is False
        assert "no device but" not in said or (others is False and heard is False)
        assert "port 7660" not in said or answer in (Answer.CLOSED, Answer.SILENT)


def test_lines_are_in_two_columns() -> None:
    shown = text(ON._replace(knocks=(BOX,), router_answers=False)).splitlines()
    assert [line.index("→") for line in shown[1:]] == [shown[1].index("→")] * 2

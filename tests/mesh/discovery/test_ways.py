"""Which addresses are tried, in which order."""

from __future__ import annotations

from odyssey.clock import SeededEntropy
from odyssey.mesh.discovery.interfaces import made
from odyssey.mesh.discovery.ways import MOST, STEP_MS, Source, Try, Way, order

HERE = made("eth0", "192.168.1.20/24", "fd00:1::20/64")


def way(address: str, source: Source = Source.GIVEN, worked_ms: int = 0, port: int = 7660) -> Way:
    return Way(address, port, source, worked_ms)


def addresses(*ways: Way) -> list[str]:
    return [one.address for one in order(ways, [HERE])]


def test_what_worked_last_begins_whoever_told_it() -> None:
    found = addresses(way("192.168.1.2", Source.SEEN), way("10.9.0.1", worked_ms=5), way("10.8.0.1", Source.MET, 9))
    assert found == ["10.8.0.1", "10.9.0.1", "192.168.1.2"]


def test_what_is_near_comes_before_what_is_far() -> None:
    assert addresses(way("100.64.0.1"), way("192.168.1.2"), way("10.0.0.1", Source.MET)) == [
        "192.168.1.2",
        "10.0.0.1",
        "100.64.0.1",
    ]


def test_families_take_turns() -> None:
    fours, sixes = [way(f"192.168.1.{n}") for n in (1, 2, 3)], [way(f"fd00:1::{n}") for n in (1, 2)]
    assert addresses(*fours, *sixes) == ["192.168.1.1", "fd00:1::1", "192.168.1.2", "fd00:1::2", "192.168.1.3"]
    assert addresses(way("fd00:1::1"), way("10.0.0.1")) == ["fd00:1::1", "10.0.0.1"]


def test_each_begins_a_moment_after_the_one_before_and_none_is_waited_for() -> None:
    assert order([way("192.168.1.2"), way("fd00:1::1", port=9)], [HERE]) == (
        Try(0, "192.168.1.2", 7660),
        Try(STEP_MS, "fd00:1::1", 9),
    )


def test_the_same_place_is_tried_once_and_another_port_is_another_place() -> None:
    twice = [way("192.168.1.2"), way("192.168.1.2", Source.SEEN), way("192.168.1.2", Source.MET, 3)]
    assert [(one.address, one.port) for one in order([*twice, way("192.168.1.2", port=9)], [HERE])] == [
        ("192.168.1.2", 7660),
        ("192.168.1.2", 9),
    ]


def test_nobody_calls_himself_or_what_nobody_can_be_called_at() -> None:
    wrong = ("192.168.1.20", "fd00:1::20", "224.0.0.1", "0.0.0.0", "::", "fe80::1", "nonsense", "")
    assert addresses(*map(way, wrong), way("192.168.1.2", port=0), way("192.168.1.2", port=65536)) == []
    assert addresses(way("fe80::1%eth0")) == ["fe80::1%eth0"]


def test_a_loopback_may_be_given_for_tries_on_one_machine() -> None:
    assert addresses(way("127.0.0.1")) == ["127.0.0.1"]


def test_however_many_are_told_some_are_tried_and_none_that_worked_is_left_out() -> None:
    entropy = SeededEntropy(3)
    for _ in range(50):
        told = [way(f"10.0.{entropy.below(9)}.{entropy.below(250)}", Source(entropy.below(3))) for _ in range(100)]
        worked = [way(f"10.1.0.{n}", worked_ms=1 + entropy.below(9)) for n in range(entropy.below(MOST))]
        found = addresses(*told, *worked)
        assert len(found) == len(set(found)) == MOST
        assert {one.address for one in worked} <= set(found)

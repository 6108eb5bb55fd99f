"""What the switch is told to do, as text."""

from __future__ import annotations

from tests.lab import wires


def test_without_faults_nothing_is_stopped_and_what_was_is_forgotten() -> None:
    script = wires.Faults().script()
    assert "drop" not in script
    assert "delete table bridge lab" in script


def test_each_fault_is_a_rule() -> None:
    faults = wires.Faults(blocked={(1, 2)}, lost={0: 20}, has_multicast=False)
    rules = [line.strip() for line in faults.script().splitlines() if line.endswith("drop")]
    assert rules == [
        "ip daddr 224.0.0.0/4 drop",
        "ip6 daddr ff02::fb drop",
        "iifname p1 oifname p2 drop",
        "iifname p0 numgen random mod 100 < 20 drop",
        "oifname p0 numgen random mod 100 < 20 drop",
    ]


def test_isolated_hosts_reach_the_router_only() -> None:
    assert "  drop\n" in wires.Faults(is_isolated=True).script()


def test_addresses_are_all_different() -> None:
    found = [wires.address(number) for number in range(200)] + [wires.address(0, 3)]
    assert len(set(found)) == 201
    assert wires.address(199).endswith(".200")  # the router's own is free


def test_a_shaper_may_send_enough_in_one_go_for_its_rate() -> None:
    assert wires.slowed("eth0", 8000)[-5:] == ["8000kbit", "burst", "80000", "latency", "50ms"]
    assert wires.slowed("eth0", 0) == ["tc", "qdisc", "delete", "dev", "eth0", "root"]

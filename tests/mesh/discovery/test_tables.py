"""What Linux tells of routes and neighbours."""

from __future__ import annotations

import sys

import pytest

from odyssey.clock import SeededEntropy
from odyssey.mesh.discovery.tables import neighbours, routers

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
ARP = "IP address       HW type     Flags       HW address            Mask     Device\n"
pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the samples are of a little-endian machine")


def route(name: str, target: str, gateway: str, flags: str, metric: int, mask: str) -> str:
    return f"{name}\t{target}\t{gateway}\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"


def test_the_router_to_everywhere() -> None:
    text = HEAD + route("eth0", "00000000", "0101A8C0", "0003", 100, "00000000")
    text += route("eth0", "0001A8C0", "00000000", "0001", 100, "00FFFFFF")
    text += route("wlan0", "0002A8C0", "FE02A8C0", "0003", 600, "00FFFFFF")  # a router to one network only
    assert routers(text) == {"eth0": "192.168.1.1"}


def test_of_several_the_preferred_one() -> None:
    text = HEAD + route("eth0", "00000000", "0201A8C0", "0003", 600, "00000000")
    text += route("eth0", "00000000", "0101A8C0", "0003", 100, "00000000")
    assert routers(text) == {"eth0": "192.168.1.1"}


def test_a_way_without_a_router_has_none() -> None:
    assert routers(HEAD + route("wg0", "00000000", "00000000", "0001", 0, "00000000")) == {}


def test_neighbours_that_have_answered() -> None:
    text = ARP + "192.168.1.1      0x1         0x2         02:FC:00:00:00:05     *        eth0\n"
    text += "192.168.1.7      0x1         0x0         00:00:00:00:00:00     *        eth0\n"
    text += "192.168.1.8      0x1         0x2         00:00:00:00:00:00     *        tun0\n"
    assert neighbours(text) == {("eth0", "192.168.1.1"): "02:fc:00:00:00:05"}


def test_noise_is_left_out() -> None:
    entropy = SeededEntropy(9)
    sample = HEAD + route("eth0", "00000000", "0101A8C0", "0003", 100, "00000000") * 3
    for _ in range(500):
        text = bytearray(sample.encode())
        for _ in range(20):
            text[entropy.below(len(text))] = entropy.below(256)
        routers(text.decode("ascii", "replace"))
        neighbours(text.decode("ascii", "replace"))
    assert (routers(""), neighbours("")) == ({}, {})

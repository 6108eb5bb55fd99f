"""What the switch between the hosts does with their frames, as data, and as words for `nft`, `ip` and `tc`.

Host number i is behind the port `p<i>` of the switch.
Promises: a set of faults has one text, whatever was healed before; an empty one stops nothing.
Never: touches the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

TABLE: Final = "lab"
PREFIX: Final = 24
PREFIX6: Final = 64
ROUTER: Final = 254  # the last part of the router's address in each subnet


def address(number: int, subnet: int = 0) -> str:
    return f"10.77.{subnet}.{number + 1}"


def address6(number: int, subnet: int = 0) -> str:
    return str(ip_address(f"fd77:0:0:{subnet:x}::{number + 1:x}"))


def mac(number: int) -> str:
    return f"02:77:00:00:00:{number + 1:02x}"


@dataclass
class Faults:
    """What frames do not get through."""

    blocked: set[tuple[int, int]] = field(default_factory=set)  # from, to
    lost: dict[int, int] = field(default_factory=dict)  # percent, of what host sends and of what it is sent
    is_isolated: bool = False  # hosts reach the router alone, as guests of a hotel do
    has_multicast: bool = True

    def script(self) -> str:
        """For `nft -f`: what was there before is forgotten."""
        rules = "".join(f"  {rule}\n" for rule in self._rules())
        return (
            f"table bridge {TABLE}\ndelete table bridge {TABLE}\ntable bridge {TABLE} {{\n"
            f" chain f {{\n  type filter hook forward priority 0; policy accept;\n{rules} }}\n}}\n"
        )

    def _rules(self) -> Iterable[str]:
        if self.is_isolated:
            yield "drop"
        if not self.has_multicast:
            # Neighbours find each other by multicast too (IPv6): that is not what such networks lose.
            yield "ip daddr 224.0.0.0/4 drop"
            yield "ip6 daddr ff02::fb drop"
        for sender, receiver in sorted(self.blocked):
            yield f"iifname p{sender} oifname p{receiver} drop"
        for number, percent in sorted(self.lost.items()):
            for side in ("iifname", "oifname"):
                yield f"{side} p{number} numgen random mod 100 < {percent} drop"


def switch() -> str:
    """For `ip -batch`, in the switch. The switch is the router, too."""
    return "\n".join(
        (
            "link set lo up",
            "link add name br0 address 02:77:00:00:00:fe type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            f"address add 10.77.0.{ROUTER}/{PREFIX} dev br0",
            f"address add fd77::{ROUTER:x}/{PREFIX6} dev br0 nodad",
            "link set br0 up",
        )
    )


def port(number: int, process: int) -> str:
    """In the switch: a cable to the host in which this process is."""
    return (
        f"link add name p{number} type veth peer name eth0 address {mac(number)} netns {process}\n"
        f"link set p{number} master br0 up"
    )


def between(one: int, one_process: int, other: int, other_process: int, subnet: int) -> tuple[str, str, str]:
    """A cable from host to host, beside the switch: for the switch's `ip`, and for that of each host."""
    ends = f"link add name eth1 netns {one_process} type veth peer name eth1 netns {other_process}"

    def end(number: int) -> str:
        return f"address add {address(number, subnet)}/{PREFIX} dev eth1\nlink set eth1 up"

    return ends, end(one), end(other)


def unplugged(number: int) -> str:
    """In the switch: the cable under another name, so that something else can be the port."""
    return f"link set p{number} nomaster down\nlink set p{number} name w{number}\nlink set w{number} up"


def plugged(number: int) -> str:
    return f"link set w{number} down\nlink set w{number} name p{number}\nlink set p{number} master br0 up"


def host(number: int, subnet: int = 0) -> str:
    """In the host."""
    return "\n".join(
        (
            "link set lo up",
            f"address add {address(number, subnet)}/{PREFIX} broadcast 10.77.{subnet}.255 dev eth0",
            f"address add {address6(number, subnet)}/{PREFIX6} dev eth0 nodad",
            "link set eth0 up",
            f"route add default via 10.77.{subnet}.{ROUTER}",
            "route add 224.0.0.0/4 dev eth0",
        )
    )


def moved(number: int, subnet: int) -> str:
    """In the host: it is somewhere else now, or has another lease."""
    return "address flush dev eth0 scope global\n" + host(number, subnet)


def routed(subnet: int) -> str:
    """In the switch: it is the router of this subnet as well."""
    return (
        f"address replace 10.77.{subnet}.{ROUTER}/{PREFIX} dev br0\n"
        f"address replace fd77:0:0:{subnet:x}::{ROUTER:x}/{PREFIX6} dev br0 nodad"
    )


def slowed(device: str, kilobits: int) -> list[str]:
    """For `tc`: what leaves through this device, in bits per second."""
    if not kilobits:
        return ["tc", "qdisc", "delete", "dev", device, "root"]
    burst = max(16_000, kilobits * 10)  # bytes; a shaper that may send less in one go never reaches its rate
    shape = ["tbf", "rate", f"{kilobits}kbit", "burst", str(burst), "latency", "50ms"]
    return ["tc", "qdisc", "replace", "dev", device, "root", *shape]

"""What was seen of the way to another machine, as checks with their remedies: both directions, clock, large frames.

Promises: a closed direction is named with its port; what was not tried is not judged; what works although something is
closed is a warning, not an error.
Never: looks at anything itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from odyssey.api.views import Check, NetworkList, WayView
from odyssey.resources import show_duration_rounded

APART_MS: Final = 5_000  # clocks
FAR_APART_MS: Final = 60_000
OPEN: Final = "open"
AWAY: Final = ("gone", "asleep")


class Seen(NamedTuple):
    """`me` and `name` are this machine and the other one. None: it was not tried, or nobody could say."""

    me: str
    name: str
    state: str  # of the other one, as the mesh knows it
    is_linked: bool
    why: str = ""  # there is no link
    there: tuple[WayView, ...] = ()  # from here to it
    back: tuple[WayView, ...] | None = None  # from it to here
    asked_by: str = ""  # another machine asked it for us
    trouble: str = ""  # why it could not be asked
    apart_ms: int | None = None  # its clock is ahead of ours
    round_trip_ms: int | None = None
    large_ms: int | None = None  # of a question and an answer of many frames
    has_large: bool | None = None  # they came
    version: str = ""
    own_version: str = ""


def checks(seen: Seen) -> Iterator[Check]:
    """All of one machine."""
    yield _link(seen)
    yield _direction(seen, seen.me, seen.name, seen.there)
    if seen.back is None:
        yield Check("to here", None, f"{seen.name} could not be asked to try: {seen.trouble or 'no answer'}")
    else:
        yield _direction(seen, seen.name, seen.me, seen.back)
    yield from _clock(seen)
    yield from _large(seen)
    if seen.version and seen.version != seen.own_version:
        text = f"{seen.name} has Odyssey {seen.version}, this machine {seen.own_version}"
        yield Check("version", False, text, "upgrade the older one", is_warning=True)


def multicast(networks: NetworkList | None) -> Iterator[Check]:
    """Whether machines are found here by themselves, network by network. None: this machine is on none."""
    here = [one for one in networks.networks if one.interface] if networks is not None else []
    if not here:
        yield Check("mdns", None, "off: this machine is open to no network")
    for one in here:
        where = f"{one.interface} {one.subnet}"
        if one.state == "new":
            text = f"quiet on {where}: it is a new network"
            yield Check("mdns", False, text, "if it is yours: odyssey network trust", is_warning=True)
        else:
            yield Check("mdns", True, f"on {where}: machines are found there by themselves")


def summary(seen: Seen) -> Check:
    """The same in one line, under the machine's name."""
    found = list(checks(seen))
    worst = next((one for one in found if one.is_broken), None) or next((one for one in found if not one.is_fine), None)
    more = f"odyssey doctor {seen.name}"
    if seen.state in AWAY and not seen.is_linked:
        return Check(seen.name, False, f"is {seen.state}, as the mesh knows it", more, is_warning=True)
    if worst is None:
        return Check(seen.name, True, f"reached both ways{_in(seen.round_trip_ms)}; clocks and frames are fine")
    return Check(seen.name, worst.is_fine, worst.text, worst.hint or more, is_warning=not worst.is_broken)


# -- one by one --------------------------------------------------------------------------------------------------------


def _link(seen: Seen) -> Check:
    if seen.is_linked:
        return Check("link", True, f"connected to {seen.name}{_in(seen.round_trip_ms)}")
    why = f": {seen.why}" if seen.why else ""
    by = f"; {seen.asked_by} can reach it" if seen.asked_by else ""
    text = f"no connection between {seen.me} and {seen.name}{why}{by}"
    return Check("link", False, text, "see the two directions below", is_warning=bool(seen.asked_by))


def _direction(seen: Seen, source: str, target: str, ways: Sequence[WayView]) -> Check:
    label = "from here" if source == seen.me else "to here"
    if not ways:
        text = f"{source} knows no address of {target}"
        return Check(label, False, text, f"on {target}: odyssey up", is_warning=seen.is_linked)
    addresses = dict.fromkeys(way.address for way in ways)
    whole = [one for one in addresses if all(way.answer == OPEN for way in ways if way.address == one)]
    if whole:
        ports = " and ".join(f"{way.lane} {way.port}" for way in ways if way.address == whole[0])
        return Check(label, True, f"{source} reaches {target} at {whole[0]} ({ports})")
    bad = next(way for way in ways if way.answer != OPEN)
    text = f"closed from {source} to {target}: {_SAID[bad.answer].format(where=f'{bad.address} port {bad.port}')}"
    if seen.is_linked:
        text += f"; it works, because {target} connects to {source} by itself"
    hint = _remedy(source, target, bad, ways)
    if seen.state in AWAY and target == seen.name and not seen.is_linked and bad.answer != "nothing":
        hint = f"is {target} on? the mesh has not heard it either; else {hint}"
    return Check(label, False, text, hint, is_warning=seen.is_linked)


_SAID: Final = {
    "closed": "at {where} nobody listens",
    "silent": "{where} is there and does not answer",
    "blocked": "the system does not let Odyssey connect to {where}",
    "nothing": "nothing answers at {where}",
}


def _remedy(source: str, target: str, bad: WayView, ways: Sequence[WayView]) -> str:
    ports = sorted({way.port for way in ways})
    allow = f"sudo ufw allow {ports[0]}:{ports[-1]}/tcp" if len(ports) > 1 else f"sudo ufw allow {ports[0]}/tcp"
    match bad.answer:
        case "closed":
            return f"on {target}: odyssey up"
        case "silent":
            return f"on {target}: {allow}"
        case "blocked":
            return f"on {source}: let this program into the local network"
    return f"is {target} on, and in the same network? a firewall there: {allow}"


def _clock(seen: Seen) -> Iterator[Check]:
    if seen.apart_ms is None:
        return
    apart = abs(seen.apart_ms)
    if apart <= APART_MS:
        yield Check("clock", True, f"the two clocks are {apart / 1000:.1f} s apart")
        return
    text = f"the clock of {seen.name} is {show_duration_rounded(apart)} {'ahead' if seen.apart_ms > 0 else 'behind'}"
    hint = "on the one that is wrong: sudo timedatectl set-ntp true"
    if apart > FAR_APART_MS:
        yield Check("clock", False, f"{text}: invites and certificates may be refused", hint)
    else:
        yield Check("clock", False, text, hint, is_warning=True)


def _large(seen: Seen) -> Iterator[Check]:
    if seen.has_large is None:
        return
    if seen.has_large:
        yield Check("frames", True, f"large ones arrive both ways{_in(seen.large_ms)}")
    else:
        text = "small questions are answered, large ones are not: something on the way drops large frames"
        yield Check("frames", False, text, "a tunnel or VPN? on both: sudo ip link set dev DEVICE mtu 1280")


def _in(ms: int | None) -> str:
    return "" if ms is None else f" ({max(ms, 1)} ms)"

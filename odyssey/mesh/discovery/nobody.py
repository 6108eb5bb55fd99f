"""Nobody was found: what was observed, and the sentences that follow from it.

Promises: a line stands for something that was seen; what was not asked, or has two meanings, gives no line.
Never: guesses what would be the usual reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

JOIN: Final = "paste an invite: it holds addresses   odyssey join"


class Answer(Enum):
    OPEN = "open"  # somebody listens
    CLOSED = "closed"  # it says that nobody listens
    SILENT = "silent"  # it is there, and drops what comes to this port
    BLOCKED = "blocked"  # our own system would not send it
    NOTHING = "nothing"  # perhaps nobody is there


class Knock(NamedTuple):
    """One address at which a machine was tried."""

    name: str  # of the machine, as far as it is known
    address: str
    port: int
    answer: Answer


class Observed(NamedTuple):
    looked_on: tuple[str, ...] = ()  # networks, as people read them
    quiet_on: tuple[str, ...] = ()  # networks that are not known
    seconds: float = 0.0
    router_answers: bool | None = None  # None: there is none, or it cannot be told
    others_answer: bool | None = None  # any device but the router
    heard_multicast: bool | None = None  # from any other device
    knocks: tuple[Knock, ...] = ()
    system: str = "linux"


class Line(NamedTuple):
    what: str
    remedy: str


def head(seen: Observed) -> str:
    if seen.looked_on:
        return f"No machine answered (looked on {', '.join(seen.looked_on)} for {seen.seconds:g} s)."
    if seen.quiet_on:
        return "No machine answered: this machine is on no network that it knows."
    return "No machine answered: this machine is on no network."


def lines(seen: Observed) -> tuple[Line, ...]:
    return tuple(_lines(seen))


def _lines(seen: Observed) -> Iterator[Line]:
    for network in seen.quiet_on:
        yield Line(f"new network {network}: quiet here", "it is yours: odyssey network trust")
    for knock in seen.knocks:
        yield from _of_knock(knock, seen)
    if seen.router_answers is False:
        yield Line("the router does not answer", "is the cable in, or the Wi-Fi the right one?")
    if seen.router_answers and seen.others_answer is False and seen.heard_multicast is False and not _any(seen):
        yield Line(
            "no device but the router answers at all",
            "this Wi-Fi keeps devices apart: use the cable, another network, or Tailscale",
        )
    if seen.heard_multicast is False and (seen.others_answer or _any(seen)):
        subject = "the router answers" if seen.router_answers else "other devices answer"
        yield Line(f"{subject}, this network carries no multicast", JOIN)


def _of_knock(knock: Knock, seen: Observed) -> Iterator[Line]:
    who = f"{knock.name} {knock.address}".strip()
    where = f"on {knock.name}" if knock.name else "there"
    if knock.answer is Answer.CLOSED:
        yield Line(f"{who} is up but nothing listens on port {knock.port}", f"{where}: odyssey up")
    elif knock.answer is Answer.SILENT:
        yield Line(f"{who} is up but port {knock.port} is closed", f"{where}: sudo ufw allow {knock.port}/tcp")
    elif knock.answer is Answer.BLOCKED and seen.router_answers and seen.system == "darwin":
        yield Line(
            "macOS blocks this program from the local network",
            "System Settings › Privacy & Security › Local Network: switch on this program, then odyssey up",
        )


def _any(seen: Observed) -> bool:
    """Some machine that was knocked at is there."""
    return any(knock.answer in (Answer.OPEN, Answer.CLOSED, Answer.SILENT) for knock in seen.knocks)


def text(seen: Observed) -> str:
    """The head, and its lines in two columns."""
    found = lines(seen)
    width = max((len(line.what) for line in found), default=0)
    return "\n".join((head(seen), *(f"  {line.what:{width}}   → {line.remedy}" for line in found)))

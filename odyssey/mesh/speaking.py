"""What a member may say to another one: in its own name only, and what concerns the log only if it may keep the log.

The links know whose key a letter came with; what it says of its sender is a claim. A certificate says what a machine
may do. Whoever may keep the log is trusted with it: machines that agree by majority cannot do without that.

Promises: pure; all that a machine could use to order others about, to write onto the log, or to answer for somebody
else is refused before any part of the daemon has heard it.
Never: refuses what is said by each member of a mesh, or what this version does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from odyssey.errors import Malformed
from odyssey.ids import NodeId
from odyssey.mesh.letters import AskRead, Forward, Forwarded, Letter, ReadAt
from odyssey.mesh.raft.types import Message as LogMessage
from odyssey.mesh.recover import Found, Standing
from odyssey.mesh.trust.certificates import Grant
from odyssey.messages import (
    Duty,
    HandedIn,
    HandIn,
    HandInSegment,
    HaveSegment,
    JobsAre,
    OfferSegment,
    SegmentTaken,
)

_OF_THE_LOG: Final = (LogMessage, Forward, Forwarded, AskRead, ReadAt)
_OF_THE_COORDINATOR: Final = (Duty, JobsAre, OfferSegment, HandedIn, SegmentTaken)
# Who hands in has kept the log once; what it hands in was submitted by others.
_OF_KEEPERS: Final = (HaveSegment, HandIn, HandInSegment, Found)


class Overstepped(Malformed):
    """A member says what it may not. It is sent away for a while, as whoever breaks the rules."""


def check(sender: NodeId, letter: Letter, may: Callable[[NodeId, Grant], bool]) -> None:
    """Raises Overstepped. `may` is what certificates say now."""
    named = _named(letter)
    if named is not None and named != sender:
        raise Overstepped(f"{type(letter.content).__name__} in the name of another machine")
    content = letter.content
    if isinstance(content, (*_OF_THE_LOG, *_OF_THE_COORDINATOR, *_OF_KEEPERS)) and not may(sender, Grant.VOTE):
        raise Overstepped(f"{type(content).__name__} of a machine that may not keep the log")


def _named(letter: Letter) -> NodeId | None:
    """Who says this, as it says itself."""
    match letter.content:
        case LogMessage(sender=member) | Forward(sender=member) | Forwarded(sender=member):
            return member.node
        case AskRead(sender=member) | ReadAt(sender=member) | Standing(member=member):
            return member.node
        case _:
            return None

"""What is proven of the supervisor before this one: that all it ran is over.

This is the witness of its death, for a daemon that lives on and for the next one alike: whoever of them needs hands
starts a supervisor, and this is the first that it does. So what was lost moves at once, and no lease has to end first.
The connection of a dead supervisor breaks before its runners are dead, so that proves nothing; that a runner is gone
proves that all it ran is, where it was the first process of a namespace.

Promises: what is left is killed, also what stands still, without moving once more. What is not proven is said.
Never: takes a process for a runner that only has its number.
"""

import os
import signal
import time
from contextlib import suppress
from typing import Final, NamedTuple

from odyssey.exec.supervisor import oldgroups, slots, tree

_DYING_S: Final = 0.5  # in which they should have died by themselves
_PROOF_S: Final = 5.0


class Before(NamedTuple):
    """The supervisor before this one: what ran, by slot (0: nothing), and what of it is not proven to be over."""

    ran: list[int]
    unproven: frozenset[int]


def make_sure_it_is_over(own: str) -> Before:
    """Its runners die with it, and where they are alone, so does all that they ran before they are gone. Elsewhere each
    says in its page that it has ended all; one that was killed could not."""
    pages = slots.look(os.path.join(own, "slots"))
    if pages is None:
        return Before([], frozenset())
    servers = [pages.server(slot) for slot in range(pages.used)]
    left = [one for one in servers if one.pid and tree.began(one.pid) == one.began]
    for one in left:
        tree.signal_all(one.pid, signal.SIGKILL)  # before anything that stood still may move
    oldgroups.thaw(own)
    deadline = time.monotonic() + _PROOF_S
    hurry = time.monotonic() + _DYING_S
    while left and time.monotonic() < deadline:
        left = [one for one in left if tree.began(one.pid) == one.began]
        if time.monotonic() > hurry:  # they should have died by themselves
            for one in left:
                tree.signal_all(one.pid, signal.SIGKILL)
                with suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
        time.sleep(0.001 if left else 0)
    ran = [pages.read(slot).attempt for slot in range(pages.used)]
    doubtful = [slot for slot in range(pages.used) if not pages.are_alone and pages.server(slot).pid]
    return Before(ran, frozenset(ran[slot] for slot in doubtful) | {ran[servers.index(one)] for one in left})

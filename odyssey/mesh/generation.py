"""The lives of a mesh: who began each, on which log, and what a machine does that hears of another one.

A generation is begun by `mesh recover`, on the log of one machine, because the voters of the one before are lost.
Nobody can make sure that this happens once only: two people may do it on two sides of a cut, and the old coordinator
may come back. So each generation has a charter, signed by a key that may vote: its number, its random id, its parent,
the entry at which it forks from its parent's log, and the machine that founds it. Those from the first one on are a
lineage; a store keeps its own with its identity.

All generations are ordered by number, then id, and the rules need nothing else:

- A machine moves only to a generation of a higher number. So it never follows two of one number, and what is numbered
  by them (fences, attempts) only grows for it, though two generations may have the same number.
- Of two with the same number the one with the higher id wins: its coordinator founds a child of it, which has a higher
  number than both, and everybody can move there.
- Who moves to a descendant of its own generation keeps its store if its log is a beginning of the new one's. Everybody
  else is an old anchor: it sets its store aside, comes back with a new one, and hands in what only its old log has.

Promises: `judge` is the whole decision; what it says does not depend on the order in which charters are heard of.
Never: believes a charter whose signature was not looked at, if it would follow from it.
"""

import enum
from collections.abc import Callable, Collection, Sequence
from itertools import takewhile
from typing import Final, NamedTuple

import msgspec

from odyssey import wire
from odyssey.errors import CallersError
from odyssey.ids import GENERATION_BITS, NodeId
from odyssey.mesh.raft.types import Member

ID_BYTES: Final = 16
NEWEST: Final = (1 << GENERATION_BITS) - 1  # as far as attempt ids can count
NOT_AGREED: Final = 8_192  # more than a leader lets pile up that is not agreed on yet
_PURPOSE: Final = b"odyssey generation\0"  # a signature for this is none for anything else

Sign = Callable[[bytes], bytes]
Verify = Callable[[NodeId, bytes, bytes], bool]  # is this the signature of that machine, whose key may vote?


class Generation(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, order=True):
    """Which life of the mesh this is; `mesh recover` begins a new one."""

    number: int
    id: bytes


class Fork(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, order=True):
    """The end of a log. In the order of logs: what the smaller one knows to be committed, the larger one holds."""

    term: int = 0
    index: int = 0


class Charter(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """How a generation began."""

    mesh: bytes
    generation: Generation
    parent: Generation
    fork: Fork  # the last entry that it shares with its parent
    term: int  # its first, later than any that was heard of
    founder: Member  # its first voter, whose log it goes on with
    signer: NodeId
    signature: bytes = b""


class Lineage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A generation with all before it, oldest first."""

    mesh: bytes
    root: Generation
    charters: tuple[Charter, ...] = ()

    @property
    def tip(self) -> Generation:
        return self.charters[-1].generation if self.charters else self.root

    @property
    def first_term(self) -> int:
        """Who has no entry of this term or a later one does not know yet who votes in this generation."""
        return self.charters[-1].term if self.charters else 0

    def with_child(self, charter: Charter) -> "Lineage":
        return Lineage(self.mesh, self.root, (*self.charters, charter))

    def number_at(self, index: int) -> int:
        """In which generation the entry of this index was written. Replicas that apply it later must count it there."""
        for charter in reversed(self.charters):
            if index > charter.fork.index:
                return charter.generation.number
        return self.root.number

    def since(self, generation: Generation) -> tuple[Charter, ...] | None:
        """The charters that lead from this generation to the tip; None if it is none of the line."""
        line = [self.root, *(charter.generation for charter in self.charters)]
        return self.charters[line.index(generation) :] if generation in line else None

    def is_sound(self) -> bool:
        """Each the child of the one before. Signatures are another question."""
        before, term = self.root, 0
        for charter in self.charters:
            if charter.mesh != self.mesh or charter.parent != before or len(charter.generation.id) != ID_BYTES:
                return False
            if charter.generation.number != before.number + 1 or charter.term <= charter.fork.term:
                return False
            if charter.term <= term:
                return False
            before, term = charter.generation, charter.term
        return True


class TooManyGenerations(CallersError):
    """Numbers of attempts cannot hold another one."""


def parted(one: Lineage, other: Lineage) -> tuple[Fork, ...]:
    """Where two lines of one mesh have left what both have: each of these forks bounds it."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one.charters, other.charters, strict=False)))
    return tuple(charter.fork for charter in (*one.charters[same:], *other.charters[same:]))


def shared(forks: Collection[Fork], log: Sequence[Fork]) -> int:
    """The last index of this log that is surely before all these forks: its snapshot and what follows. An entry of a
    later term than a fork is behind it wherever it stands. Where the snapshot is, only indexes are known, and the
    founder's log may have ended in what was never agreed on, where this one has other entries. If indexes say otherwise
    than its term, nothing is known to be shared."""
    if not forks:
        return log[-1].index
    end = min(fork.index for fork in forks)
    inside = list(takewhile(lambda at: all(at.index <= fork.index and at.term <= fork.term for fork in forks), log))
    if inside:
        return inside[-1].index
    return max(0, end - NOT_AGREED) if log[0].index > end else 0


# -- charters ----------------------------------------------------------------------------------------------------------


def draft(
    mesh: bytes, parent: Generation, id_: bytes, fork: Fork, term: int, founder: Member, signer: NodeId
) -> Charter:
    """Of the next generation, not signed yet."""
    if parent.number >= NEWEST:
        raise TooManyGenerations(
            f"this mesh has been recovered {parent.number} times", hint="make a new mesh, and let all machines join it"
        )
    return Charter(mesh, Generation(parent.number + 1, id_), parent, fork, term, founder, signer)


def signed(charter: Charter, sign: Sign) -> Charter:
    return msgspec.structs.replace(charter, signature=sign(_signed_bytes(charter)))


def is_signed(charter: Charter, verify: Verify) -> bool:
    return verify(charter.signer, _signed_bytes(charter), charter.signature)


def _signed_bytes(charter: Charter) -> bytes:
    return _PURPOSE + wire.encode(msgspec.structs.replace(charter, signature=b""))


# -- hearing of another generation -------------------------------------------------------------------------------------


class Verdict(enum.Enum):
    SAME = "the generation of this machine"
    OLDER = "an older one: whoever follows it should hear of this one"
    FOLLOW = "a descendant, and this log is a beginning of its log: adopt it"
    OLD_ANCHOR = "a descendant that lacks entries of this log: set the store aside, rejoin, hand in the tail"
    OTHER_BRANCH = "a newer one of another branch: set the store aside, rejoin, hand in the tail"
    WON = "another one of the same number, which gives way: this one has to found a child"
    LOST = "another one of the same number, which wins: wait for its child"
    FOREIGN = "of another mesh, or not what a voter has signed"

    @property
    def moves(self) -> bool:
        return self in (Verdict.FOLLOW, Verdict.OLD_ANCHOR, Verdict.OTHER_BRANCH)

    @property
    def is_alarm(self) -> bool:
        """The mesh was recovered twice; people should know."""
        return self in (Verdict.OTHER_BRANCH, Verdict.WON, Verdict.LOST)


class Stand(NamedTuple):
    """Where a machine stands: what its store belongs to, and where the log in it ends."""

    lineage: Lineage
    end: Fork = Fork()


def judge(mine: Stand, offered: Lineage, verify: Verify) -> Verdict:
    """What a machine is to do that is shown another lineage."""
    held = mine.lineage.tip
    if not _is_ours(mine.lineage, offered):
        return Verdict.FOREIGN
    if offered.tip == held:
        return Verdict.SAME
    if offered.tip.number < held.number:
        return Verdict.OLDER
    if not all(is_signed(one, verify) for one in offered.charters if one.generation.number >= held.number):
        return Verdict.FOREIGN
    if offered.tip.number == held.number:
        return Verdict.WON if held > offered.tip else Verdict.LOST
    ahead = offered.since(held)
    if ahead is None:
        return Verdict.OTHER_BRANCH
    return Verdict.FOLLOW if all(mine.end <= charter.fork for charter in ahead) else Verdict.OLD_ANCHOR


def _is_ours(mine: Lineage, offered: Lineage) -> bool:
    return (offered.mesh, offered.root) == (mine.mesh, mine.root) and offered.is_sound()


def may_move(held: Lineage, to: Lineage) -> bool:
    """A store goes only down its own line: one child of each generation, for ever."""
    return _is_ours(held, to) and bool(to.since(held.tip))

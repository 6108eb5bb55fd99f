"""`mesh recover`: beginning again on the best log within reach, when the voters of a mesh are lost.

Whoever is asked to recover asks every member it reaches where it stands, and decides from the answers: not while one of
them hears a coordinator; else on the best log there is, with the machine that holds it as the only voter. That machine
looks at itself once more, makes the new generation durable, and writes its first entry. If it is interrupted between
the two, the next start writes it.

The same charter is used where two generations of one number have met: the coordinator of the one that wins makes its
machine the only voter, by the usual changes of members, and then founds a child, which everybody can move to.

Promises: the chosen log holds all that any of the others knows to be committed; ties are broken the same way by all.
Never: guesses about who does not answer. It says which of them may hold what is not in the chosen log.
"""

import enum
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from odyssey import wire
from odyssey.clock import Entropy
from odyssey.errors import CallersError
from odyssey.ids import NodeId
from odyssey.mesh.generation import ID_BYTES, Charter, Fork, Generation, Lineage, draft
from odyssey.mesh.raft.types import Config, HardState, Kind, LogEntry, Member, Write
from odyssey.mesh.store import ImpossibleWrite, Loaded, Store

RECENT_MS: Final = 3_000  # as long as an election may take: who heard a coordinator so lately may hear one again


class Keeps(enum.IntEnum):
    """What a machine holds of the log."""

    NOTHING = 0
    STANDBY = 1
    VOTER = 2


class Standing(msgspec.Struct, frozen=True, array_like=True, tag="standing", gc=False):
    """What a member answers when it is asked where it stands. All of the log is meant as it is on its disk."""

    member: Member
    lineage: Lineage
    keeps: Keeps = Keeps.NOTHING
    end: Fork = Fork()
    term: int = 0  # the newest it has heard of
    commit: int = 0
    voters: tuple[Member, ...] = ()  # as its log says
    hears: NodeId | None = None  # the coordinator, also when it is one itself
    heard_ms: int | None = None  # how long ago

    @property
    def hears_now(self) -> NodeId | None:
        return self.hears if (self.heard_ms or 0) <= RECENT_MS else None

    @property
    def rank(self) -> tuple[Generation, Fork, Member]:
        return self.lineage.tip, self.end, self.member


class AskStanding(msgspec.Struct, frozen=True, array_like=True, tag="ask-standing", gc=False):
    """Where do you stand? Asked before a recovery."""


class Line(msgspec.Struct, frozen=True, array_like=True, tag="line", gc=False):
    """This is my generation, and how it came about."""

    lineage: Lineage


class Found(msgspec.Struct, frozen=True, array_like=True, tag="found", gc=False):
    """Begin this generation: your log is the best one."""

    charter: Charter


class Founds(msgspec.Struct, frozen=True, array_like=True, tag="founds", gc=False):
    """What came of it: that generation is begun here, or why not."""

    generation: Generation
    why_not: str = ""


AnyMessage = AskStanding | Standing | Line | Found | Founds


class Refusal(enum.Enum):
    COORDINATED = "a coordinator is there"
    NO_LOG = "none of the machines in reach keeps a log"
    GONE_BACK = "a log ends before what another one knows to be committed"
    DECLINED = "the machine with the best log does not begin"
    UNDER_WAY = "it is being done already"
    MOVED = "another generation has begun meanwhile"
    UNKNOWN = "the machine with the best log does not answer any more"


class CannotRecover(CallersError):
    """Recovering now would lose or double something."""

    def __init__(self, refusal: Refusal, by: NodeId | None, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.refusal, self.by = refusal, by


class Lack(enum.Enum):
    SILENT = "a keeper that did not answer: it may hold jobs and results that the others do not"
    EMPTIED = "a keeper that has lost its store"
    OTHER_BRANCH = "has gone on by itself meanwhile: what only it holds comes back by itself"
    BEHIND = "has only just begun, and perhaps not with all that there was"


class Missing(NamedTuple):
    member: Member
    why: Lack


class Recovery(NamedTuple):
    """What is to be done, and what it may cost, for people to read before they say yes."""

    charter: Charter  # not signed yet
    lineage: Lineage  # of its parent
    missing: tuple[Missing, ...]

    @property
    def founder(self) -> Member:
        return self.charter.founder


# -- deciding ----------------------------------------------------------------------------------------------------------


def recovery(answers: Sequence[Standing], signer: NodeId, entropy: Entropy) -> Recovery:
    """Raises `CannotRecover` when it must not be done."""
    _check_alone(answers)
    logs = [one for one in answers if one.keeps is not Keeps.NOTHING]
    if not logs:
        text, hint = "no machine in reach keeps a log", "wake a machine that did; `odyssey status` names them"
        raise CannotRecover(Refusal.NO_LOG, None, text, hint=hint)
    best = max(logs, key=lambda one: one.rank)
    _check_whole(best, logs)
    lineage = best.lineage
    term = 1 + max(lineage.first_term, *(one.term for one in answers))  # the first terms of a line grow
    charter = draft(lineage.mesh, lineage.tip, entropy.token(ID_BYTES), best.end, term, best.member, signer)
    return Recovery(charter, lineage, tuple(_missing(best, answers)))


def _check_alone(answers: Iterable[Standing]) -> None:
    for one in answers:
        if one.hears_now is not None:
            raise CannotRecover(
                Refusal.COORDINATED,
                one.member.node,
                f"{one.member.node} hears the coordinator {one.hears}",
                hint=f"if {one.hears} is to be given up, switch it off first",
            )


def _check_whole(best: Standing, logs: Iterable[Standing]) -> None:
    """Among sound logs this cannot be: the best one holds what the others know to be committed."""
    for one in logs:
        if one.lineage.tip == best.lineage.tip and one.commit > best.end.index:
            raise CannotRecover(
                Refusal.GONE_BACK,
                best.member.node,
                f"the log of {best.member.node} ends at {best.end.index}, but {one.member.node} knows "
                f"{one.commit} entries to be committed",
                hint=f"the store of {best.member.node} has gone back: switch that machine off and try again",
            )


def _missing(best: Standing, answers: Sequence[Standing]) -> Iterable[Missing]:
    there = {one.member for one in answers if one.keeps is not Keeps.NOTHING}
    nodes = {one.member.node for one in answers}
    last = best.lineage.charters[-1] if best.lineage.charters else None
    is_behind = last is not None and best.end <= last.fork and best.member != last.founder
    began = (last.founder,) if last is not None and is_behind else ()
    for voter in dict.fromkeys((*best.voters, *began)):
        if voter not in there:
            yield Missing(voter, Lack.EMPTIED if voter.node in nodes else Lack.SILENT)
    if is_behind:
        yield Missing(best.member, Lack.BEHIND)
    for one in answers:
        if one.lineage.since(best.lineage.tip) is None and best.lineage.since(one.lineage.tip) is None:
            yield Missing(one.member, Lack.OTHER_BRANCH)


def declined(charter: Charter, reason: str) -> CannotRecover:
    founder = charter.founder.node
    return CannotRecover(
        Refusal.DECLINED,
        founder,
        f"nothing was begun: {founder} was to go on with its log, and {reason}",
        hint="look at `odyssey status`; if no coordinator is there, recover again",
    )


def under_way(me: NodeId) -> CannotRecover:
    text, hint = f"{me} is asking the others already, for somebody else", "wait for what comes of that"
    return CannotRecover(Refusal.UNDER_WAY, me, text, hint=hint)


def moved(me: NodeId) -> CannotRecover:
    text = f"{me} has heard of a newer generation of this mesh and moves there; nothing was begun"
    return CannotRecover(Refusal.MOVED, me, text, hint="look at `odyssey status` in a minute")


def unknown(charter: Charter) -> CannotRecover:
    founder = charter.founder.node
    return CannotRecover(
        Refusal.UNKNOWN,
        founder,
        f"it is not known whether {founder} has begun: it was asked to go on with its log and has not answered",
        hint="look at `odyssey status` in a minute, before anything else is tried",
    )


# -- founding ----------------------------------------------------------------------------------------------------------


def why_not(charter: Charter, mine: Standing) -> str:
    """What has changed at the founder since it was asked; empty if nothing has. To be looked at just before it adopts
    the new generation, with its core at rest."""
    if charter.founder != mine.member:
        return f"{charter.founder.node} is to begin it, with another store"
    if mine.hears_now is not None and mine.hears_now != mine.member.node:
        return f"it hears the coordinator {mine.hears} again"
    if charter.parent != mine.lineage.tip:
        return f"it follows generation {mine.lineage.tip.number} now"
    if charter.fork != mine.end or charter.term <= mine.term:
        return f"its log has gone on to entry {mine.end.index} in term {mine.term}"
    return ""


def first_write(charter: Charter, me: Member, loaded: Loaded, number: int = 1) -> Write | None:
    """What the founder of the generation its store has adopted must write before anything else; None if that was done,
    or somebody else founded it. All that it holds is committed by it, and it is the only voter."""
    end = end_of(loaded)
    if charter.founder != me or end.term >= charter.term:
        return None
    if end != charter.fork:
        raise ImpossibleWrite(f"generation {charter.generation.number} begins after {charter.fork}, not after {end}")
    first = LogEntry(end.index + 1, charter.term, Kind.CONFIG, wire.encode(Config((me,))))
    return Write(number, HardState(charter.term, me, first.index), (first,), None)


def found(store: Store) -> None:
    """To be called when a store has been opened: its first write in a generation that it founds, if that is due."""
    charters = store.identity.charters
    write = first_write(charters[-1], store.identity.member, store.load()) if charters else None
    if write is not None:
        store.write(write)


def end_of(loaded: Loaded) -> Fork:
    last = loaded.entries[-1] if loaded.entries else loaded.snapshot
    return Fork(last.term, last.index)


# -- a child of a generation that has a coordinator --------------------------------------------------------------------


def step_to_child(config: Config, me: Member, live: Collection[Member]) -> Config | None:
    """For the coordinator of a generation that has won against another one of its number: the next change of members
    on the way to being the only voter; None when it is. Once that is committed and nothing is outstanding it founds the
    child: nobody else can lead then, and no entry follows the fork. First go those that do not answer."""
    others = [voter for voter in config.voters if voter != me]
    if not others:
        return None
    out = min(others, key=lambda voter: (voter in live, voter))
    voters = tuple(voter for voter in config.voters if voter != out)
    return Config(voters, (*config.learners, out))


def child(mine: Standing, entropy: Entropy) -> Charter:
    """Its founder signs it itself. `mine` is as it is on disk; all of that is committed."""
    if mine.voters != (mine.member,) or mine.commit != mine.end.index:
        raise ImpossibleWrite(f"{mine.member.node} is not the only voter of a log that is wholly committed")
    line = mine.lineage
    return draft(line.mesh, line.tip, entropy.token(ID_BYTES), mine.end, mine.term + 1, mine.member, mine.member.node)

"""Who votes, who stands by: a quorum that follows the machines that are there.

Of a home's or an office's machines some sleep, leave and come back every day. A fixed set of voters would be cut off
half of the time, so the leader keeps changing it, one member at a time. Voters decide; standbys (learners) hold the log
and are ready to vote; all others hold nothing. Two standbys suffice however many machines there are, because every
growth needs two: from 1 voter to 3, from 3 to 5.

| machines that are here | voters | standbys |
|------------------------|--------|----------|
| 1                      | 1      | 0        |
| 2                      | 1      | 1        |
| 3 to 6                 | 3      | up to 2  |
| 7 and more             | 5      | 2        |

An even number of voters is only passed through, two above all: it stops when one is lost, like one voter, but either of
two can be the one. So it is entered only while the partner has answered the last heartbeat, and left again at once. The
driver asks every ASK_MS, at once after an announcement or a change, and with every tick while two vote.

A voter that is gone is replaced: the standby is promoted first, then the voter demoted, so the number that may be lost
never sinks on the way. Without a standby the set shrinks to the largest odd number of voters that are left: three of
which two are left become one, which no second loss can stop.

Promises: a change leaves at least a quorum of the new voters among those that answer now; at most one voter changes;
who has not stood by in step for STEADY_MS does not vote, except to take over from a sole voter that goes.
Never: proposes, sends or waits: it says what to do next, and why, as data.
"""

import enum
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from odyssey.mesh.raft.types import Config, Member
from odyssey.messages import Going

ASK_MS: Final = 5_000
FRESH_MS: Final = 500  # a heartbeat every 300 ms, and the way back: it has answered the last one
LIVE_MS: Final = 1_000  # three heartbeats; before CheckQuorum (1.5 s) makes the leader of two step down
GONE_MS: Final = 60_000  # longer than a reboot of a router or a daemon, shorter than anybody waits
STEADY_MS: Final = 30_000
HYSTERESIS_MS: Final = 10 * 60_000  # between changes that are merely better
CAUGHT_UP: Final = 1_024  # entries: one append, which a member that keeps pace may just be reading
STANDBYS: Final = 2
OUT_OF_STEP_MS: Final = 2_000  # so long the acknowledgement of jobs may wait for a standby
_FOREVER: Final = 1 << 62


class Candidate(NamedTuple):
    """One machine with its store, as the leader sees it now. What is not known is None and ranks in the middle."""

    member: Member
    silent_ms: int = 0  # since its last answer
    steady_ms: int = 0  # for so long it was never silent for LIVE_MS
    lag: int | None = None  # entries it lacks; None: it holds no log
    caught_up_ms: int = 0  # for so long it has lacked no more than CAUGHT_UP
    owing_ms: int = 0  # for so long an entry waits for its acknowledgement
    going: Going = Going.STAYING
    keeper_only: bool = False
    laptop: bool | None = None
    mains: bool | None = None
    wired: bool | None = None
    uptime_ms: int | None = None
    fsync_ms: int | None = None

    @property
    def is_live(self) -> bool:
        return self.silent_ms < LIVE_MS

    @property
    def is_fresh(self) -> bool:
        return self.silent_ms <= FRESH_MS

    @property
    def is_steady(self) -> bool:
        return self.is_live and not self.going.away and self.steady_ms >= STEADY_MS

    @property
    def can_take_over(self) -> bool:
        return self.is_fresh and not self.going.away and self.lag is not None and self.lag <= CAUGHT_UP

    @property
    def is_ready(self) -> bool:
        return self.is_steady and self.can_take_over and self.caught_up_ms >= STEADY_MS


class View(NamedTuple):
    """What the leader knows. `machines` holds all that could be members, itself among them; who is missing is gone."""

    me: Member
    config: Config
    machines: tuple[Candidate, ...]
    elected_ms: int = 0
    changed_ms: int = 0  # when the members last changed
    settled: bool = True  # leads safely, and the last change is committed


class Act(enum.Enum):
    ADD = "add as standby"
    PROMOTE = "promote to voter"
    DEMOTE = "demote from voter"
    REMOVE = "remove from standbys"
    HAND_OVER = "hand leadership over"


class Why(enum.Enum):
    LEAVING = "it, or who it takes over from, has said that it goes"
    SILENT = "it has been silent for too long"
    NEW_STORE = "its machine has a new store"
    REPLACE = "a voter is gone"
    STAND_BY = "a standby is missing"
    GROW = "there are machines for more voters"
    SHRINK = "an odd number of voters is safer"
    SURPLUS = "there are more than needed"
    PREFERRED = "mains, wire or a machine that only keeps is better"


class Change(NamedTuple):
    act: Act
    member: Member
    why: Why
    config: Config  # to propose; unchanged when leadership is handed over


def quorum(voters: int) -> int:
    return voters // 2 + 1


def target(machines: int) -> int:
    """How many should vote."""
    return 1 if machines < 3 else 3 if machines < 7 else 5


def decide(view: View, now_ms: int) -> Change | None:
    """The next safe step, or None when all is as it should be, or nothing can be done now."""
    if not view.settled or view.me not in view.config.voters:
        return None
    look = _Look(view, now_ms)
    return next((change for change in look.wishes() if look.is_safe(change)), None)


# -- preference --------------------------------------------------------------------------------------------------------


def standing(one: Candidate) -> tuple[int, ...]:
    """What is a reason to swap. Facts that stay, so that two machines do not take turns."""
    return int(one.keeper_only), _yes(_not(one.laptop)), _yes(one.mains), _yes(one.wired)


def preference(one: Candidate) -> tuple[int, ...]:
    """What decides between newcomers: also how long it has been up and how fast its disk is, in coarse steps. More than
    a day says no more than a day; and a disk under 20 ms is not felt."""
    up = 1 if one.uptime_ms is None else _steps(one.uptime_ms, 3_600_000, 86_400_000)
    disk = 1 if one.fsync_ms is None else 2 - _steps(one.fsync_ms, 20, 100)
    return (*standing(one), up, disk)


def _yes(known: bool | None) -> int:
    return 1 if known is None else 2 if known else 0


def _not(known: bool | None) -> bool | None:
    return None if known is None else not known


def _steps(value: int, low: int, high: int) -> int:
    return (value >= low) + (value >= high)


def _best(some: Iterable[Candidate]) -> Candidate | None:
    return max(some, key=lambda one: (preference(one), one.member), default=None)


def _least(some: Iterable[Candidate]) -> Candidate | None:
    """First whom one can do without: who does not answer, then who is preferred least."""
    return min(some, key=lambda one: (one.is_live, preference(one), one.member), default=None)


# -- the rules ---------------------------------------------------------------------------------------------------------


class _Look:
    """One decision: the machines sorted into their roles, and the rules, most urgent first."""

    def __init__(self, view: View, now_ms: int) -> None:
        self.config = view.config
        self.known = {one.member: one for one in view.machines}
        self.known[view.me] = self.known.get(view.me, Candidate(view.me, lag=0))._replace(silent_ms=0)
        self.me = self.known[view.me]
        self.voters = [self._of(member) for member in view.config.voters]
        self.others = [one for one in self.voters if one.member != view.me]
        self.learners = [self._of(member) for member in view.config.learners]
        self.ready = [one for one in self.learners if one.is_ready and not self._is_lost(one)]
        self.lost = [one for one in self.others if self._is_lost(one)]
        here = [one for one in self.known.values() if one.is_live and not self._is_lost(one)]
        self.target = target(sum(1 for one in here if one.is_steady or one in self.voters))
        taken = {member.node for member in view.config.members}
        self.spares = [one for one in here if one.member.node not in taken]
        self.long_led = now_ms - view.elected_ms >= HYSTERESIS_MS
        self.calm = (
            self.long_led
            and now_ms - view.changed_ms >= HYSTERESIS_MS
            and all(one.is_live and not one.going.away for one in self.voters)
        )

    def _of(self, member: Member) -> Candidate:
        return self.known.get(member, Candidate(member, silent_ms=_FOREVER))

    def _is_lost(self, one: Candidate) -> bool:
        return one.silent_ms >= GONE_MS or one.going.away or self._has_new_store(one)

    def _has_new_store(self, one: Candidate) -> bool:
        """The same machine answers with another store: this one never will again."""
        same = (other for other in self.known.values() if other.member.node == one.member.node)
        return not one.is_live and any(other.is_live for other in same)

    def wishes(self) -> Iterator[Change]:
        if self.me.going.away:
            yield from self._leave()
        if len(self.voters) == 2:
            yield from self._two()
        elif self.lost:
            yield from self._replace()
        elif len(self.voters) % 2 == 0:
            yield from self._even()
        else:
            yield from self._resize()
            yield from self._standbys()
            yield from self._prefer()

    def is_safe(self, change: Change) -> bool:
        """Enough of the new voters answer; and of two, both have answered the last heartbeat."""
        voters = [self._of(member) for member in change.config.voters]
        live = sum(1 for one in voters if one.is_live)
        return live >= quorum(len(voters)) and (len(voters) != 2 or all(one.is_fresh for one in voters))

    # -- one rule each -------------------------------------------------------------------------------------------------

    def _leave(self) -> Iterator[Change]:
        """The leader goes: another voter leads, else a standby becomes one in a hurry."""
        heir = _best(one for one in self.others if one.can_take_over)
        if heir is not None:
            yield self._hand_over(heir, Why.LEAVING)
        elif not self.others:
            heir = _best(one for one in self.learners if one.can_take_over)
            if heir is not None:
                yield self._promote(heir, Why.LEAVING)

    def _two(self) -> Iterator[Change]:
        """On the way from one to three or back: on, if the third is ready, else back to one."""
        (partner,) = self.others
        if self.lost or not partner.is_live:
            yield self._demote(partner, self._why_lost(partner))
        third = _best(self.ready)
        if third is not None and self.target >= 3:
            yield self._promote(third, Why.GROW)
        elif partner.is_fresh:
            yield from self._without_least(Why.SHRINK)

    def _replace(self) -> Iterator[Change]:
        """Promote before demote, one after the other; as many as there can be, up to what there was."""
        left = len(self.voters) - len(self.lost)
        odd = (len(self.voters) - 1) // 2 * 2 + 1
        wanted = min(odd, (left + len(self.ready) - 1) // 2 * 2 + 1)
        standby = _best(self.ready)
        if standby is not None and len(self.voters) % 2 == 1 and left < wanted:
            yield self._promote(standby, Why.REPLACE)
        gone = max(self.lost, key=lambda one: (one.silent_ms, one.member))
        yield self._demote(gone, self._why_lost(gone))

    def _even(self) -> Iterator[Change]:
        standby = _best(self.ready)
        if standby is not None and self.target > len(self.voters):
            yield self._promote(standby, Why.GROW)
        else:
            yield from self._without_least(Why.SHRINK)

    def _resize(self) -> Iterator[Change]:
        if not all(one.is_live for one in self.voters):
            return
        if len(self.voters) < self.target and len(self.ready) >= 2:
            best = _best(self.ready)
            assert best is not None
            yield self._promote(best, Why.GROW)
        elif len(self.voters) > self.target and self.calm:
            yield from self._without_least(Why.SURPLUS)

    def _standbys(self) -> Iterator[Change]:
        for one in self.learners:
            if one.going is Going.LEAVE or self._has_new_store(one):
                yield self._remove(one, self._why_lost(one))
        there = [one for one in self.learners if not self._is_lost(one)]
        spare = _best(self.spares)
        surplus = len(self.learners) > STANDBYS
        if surplus and len(there) < len(self.learners):
            gone = [one for one in self.learners if one not in there]
            yield self._remove(max(gone, key=lambda one: (one.silent_ms, one.member)), Why.SURPLUS)
        elif surplus and (least := _least(there)) is not None and len({*self.ready} - {least}) >= STANDBYS:
            yield self._remove(least, Why.SURPLUS)
        elif not surplus and spare is not None and len(there) < STANDBYS:
            yield self._add(spare, Why.STAND_BY)

    def _prefer(self) -> Iterator[Change]:
        """Only when all is calm, and only for somebody who has been there just as long."""
        if not self.calm:
            return
        least, standby = _least(self.voters), _best(self._lasting(self.ready))
        if least is not None and standby is not None and standing(standby) > standing(least):
            yield self._promote(standby, Why.PREFERRED)
        least, spare = _least(self.learners), _best(self._lasting(self.spares))
        if len(self.learners) != STANDBYS or least is None or spare is None:
            return
        if standing(spare) > standing(least):
            yield self._add(spare, Why.PREFERRED)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _lasting(self, some: Iterable[Candidate]) -> Iterator[Candidate]:
        return (one for one in some if one.steady_ms >= HYSTERESIS_MS)

    def _why_lost(self, one: Candidate) -> Why:
        if one.going.away:
            return Why.LEAVING
        return Why.NEW_STORE if self._has_new_store(one) else Why.SILENT

    def _without_least(self, why: Why) -> Iterator[Change]:
        """One voter less. If the leader is the one, it hands over first, unless it has only just been elected."""
        heir = _best(one for one in self.others if one.can_take_over)
        if self.long_led and heir is not None and _least(self.voters) is self.me and standing(heir) > standing(self.me):
            yield self._hand_over(heir, Why.PREFERRED)
        least = _least(self.others)
        if least is not None:
            yield self._demote(least, why)

    def _add(self, one: Candidate, why: Why) -> Change:
        learners = (*self.config.learners, one.member)
        return Change(Act.ADD, one.member, why, Config(self.config.voters, learners))

    def _promote(self, one: Candidate, why: Why) -> Change:
        voters = (*self.config.voters, one.member)
        return Change(Act.PROMOTE, one.member, why, Config(voters, _without(self.config.learners, one.member)))

    def _demote(self, one: Candidate, why: Why) -> Change:
        """It stands by from now on, unless it will not come back."""
        stays = one.going is not Going.LEAVE and why is not Why.NEW_STORE
        learners = (*self.config.learners, one.member) if stays else self.config.learners
        return Change(Act.DEMOTE, one.member, why, Config(_without(self.config.voters, one.member), learners))

    def _remove(self, one: Candidate, why: Why) -> Change:
        config = Config(self.config.voters, _without(self.config.learners, one.member))
        return Change(Act.REMOVE, one.member, why, config)

    def _hand_over(self, one: Candidate, why: Why) -> Change:
        return Change(Act.HAND_OVER, one.member, why, self.config)


def _without(members: tuple[Member, ...], gone: Member) -> tuple[Member, ...]:
    return tuple(member for member in members if member != gone)

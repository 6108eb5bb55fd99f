"""The quorum that follows the machines: each rule, then any view at all, then whole days of coming and going."""

from collections import Counter
from itertools import combinations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey.ids import NodeId
from odyssey.mesh.raft.members import why_unsafe
from odyssey.mesh.raft.types import Config, Member, StoreId
from odyssey.mesh.roles import (
    CAUGHT_UP,
    FRESH_MS,
    GONE_MS,
    HYSTERESIS_MS,
    LIVE_MS,
    OUT_OF_STEP_MS,
    STEADY_MS,
    Act,
    Candidate,
    Change,
    View,
    Why,
    decide,
    preference,
    quorum,
    standing,
    target,
)
from odyssey.mesh.safety import in_step, safety
from odyssey.messages import Going

LONG = 10 * HYSTERESIS_MS
NAMES = "abcdefghijkl"


def member(name: str, store: str = "s") -> Member:
    return Member(NodeId(name), StoreId(store.encode()))


def one(name: str, **facts: Any) -> Candidate:
    """A steady machine in the rack: on mains and wire, up for a day, in step."""
    plain: dict[str, Any] = {"steady_ms": LONG, "lag": 0, "caught_up_ms": LONG, "laptop": False, "mains": True}
    plain |= {"wired": True, "uptime_ms": 86_400_000, "fsync_ms": 5}
    store = facts.pop("store", "s")
    return Candidate(member(name, store), **(plain | facts))


def spare(name: str, **facts: Any) -> Candidate:
    return one(name, **({"lag": None, "caught_up_ms": 0} | facts))


def gone(name: str, silent_ms: int = GONE_MS) -> Candidate:
    return one(name, silent_ms=silent_ms, steady_ms=0)


def view(voters: str, learners: str, *machines: Candidate, **fields: Any) -> View:
    """The first voter leads. Who is not given is a steady machine; a spare must be given."""
    config = Config(tuple(map(member, voters)), tuple(map(member, learners)))
    given_ = {machine.member for machine in machines}
    others = tuple(one(name) for name in voters + learners if member(name) not in given_)
    return View(member(voters[0]), config, (*machines, *others), **fields)


def step(seen: View, now_ms: int = LONG) -> tuple[Act, str, Why] | None:
    change = decide(seen, now_ms)
    return None if change is None else (change.act, change.member.node, change.why)


def laptop(name: str, **facts: Any) -> Candidate:
    return one(name, **({"laptop": True, "mains": False, "wired": False} | facts))


# ---- targets ---------------------------------------------------------------------------------------------------------


def test_how_many_vote() -> None:
    assert [target(machines) for machines in (1, 2, 3, 6, 7, 1_000)] == [1, 1, 3, 3, 5, 5]


def test_alone_nothing_is_to_be_done() -> None:
    assert step(view("a", "")) is None


def test_a_second_machine_stands_by() -> None:
    assert step(view("a", "", spare("b"))) == (Act.ADD, "b", Why.STAND_BY)
    assert step(view("a", "b")) is None


def test_a_third_makes_three_voters_through_two_in_one_breath() -> None:
    assert step(view("a", "b", spare("c"))) == (Act.ADD, "c", Why.STAND_BY)
    assert step(view("a", "bc")) == (Act.PROMOTE, "c", Why.GROW)
    assert step(view("ac", "b")) == (Act.PROMOTE, "b", Why.GROW)
    assert step(view("acb", "")) is None


def test_more_machines_make_two_standbys_and_from_seven_on_five_voters() -> None:
    assert step(view("abc", "", spare("d"))) == (Act.ADD, "d", Why.STAND_BY)
    assert step(view("abc", "de", spare("f"))) is None
    assert step(view("abc", "de", spare("f"), spare("g"))) == (Act.PROMOTE, "e", Why.GROW)
    assert step(view("abce", "d", spare("f"), spare("g"))) == (Act.PROMOTE, "d", Why.GROW)
    assert step(view("abced", "", spare("f"), spare("g"))) == (Act.ADD, "g", Why.STAND_BY)
    assert step(view("abced", "gf", *(spare(f"{n}") for n in range(50)))) is None


@pytest.mark.parametrize(
    "not_ready",
    [
        {"steady_ms": STEADY_MS - 1},
        {"caught_up_ms": STEADY_MS - 1},
        {"lag": CAUGHT_UP + 1},
        {"silent_ms": FRESH_MS + 1},
        {"going": Going.SLEEP},
    ],
)
def test_nobody_votes_who_has_not_stood_by_in_step(not_ready: dict[str, Any]) -> None:
    assert step(view("a", "bc", one("c", **not_ready))) is None
    assert step(view("abc", "d", gone("c"), one("d", **not_ready))) == (Act.DEMOTE, "c", Why.SILENT)


def test_nothing_while_a_change_is_not_settled_and_nothing_by_who_does_not_vote() -> None:
    seen = view("a", "", spare("b"))
    assert step(seen._replace(settled=False)) is None
    assert step(seen._replace(me=member("b"))) is None


# ---- two ------------------------------------------------------------------------------------------------------------


def test_a_leader_of_two_drops_a_partner_that_is_silent_for_a_second() -> None:
    assert step(view("ab", "", gone("b", LIVE_MS))) == (Act.DEMOTE, "b", Why.SILENT)
    assert step(view("ab", "", gone("b", LIVE_MS - 1))) is None  # wait: on or back needs its answer
    assert step(view("ab", "", one("b", going=Going.SHUTDOWN))) == (Act.DEMOTE, "b", Why.LEAVING)


def test_two_become_one_when_there_is_no_third() -> None:
    assert step(view("ab", "")) == (Act.DEMOTE, "b", Why.SHRINK)
    assert step(view("ab", "c", gone("c", 2_000))) == (Act.DEMOTE, "b", Why.SHRINK)


def test_two_are_entered_only_while_both_have_just_answered() -> None:
    assert step(view("abc", "", gone("c"), one("b", silent_ms=FRESH_MS + 1))) is None
    assert step(view("abc", "", gone("c"), one("b", silent_ms=FRESH_MS))) == (Act.DEMOTE, "c", Why.SILENT)


# ---- replacing -------------------------------------------------------------------------------------------------------


def test_a_silent_voter_is_replaced_after_a_minute_and_the_standby_is_promoted_first() -> None:
    assert step(view("abc", "d", gone("c", GONE_MS - 1))) is None
    assert step(view("abc", "d", gone("c"))) == (Act.PROMOTE, "d", Why.REPLACE)
    assert step(view("abcd", "", gone("c"))) == (Act.DEMOTE, "c", Why.SILENT)
    assert step(view("abd", "c", gone("c"))) is None


def test_who_announces_that_it_goes_is_replaced_at_once() -> None:
    assert step(view("abc", "d", one("c", going=Going.SLEEP))) == (Act.PROMOTE, "d", Why.REPLACE)
    assert step(view("abcd", "", one("c", going=Going.SLEEP))) == (Act.DEMOTE, "c", Why.LEAVING)


def test_two_lost_of_five_are_replaced_one_after_the_other() -> None:
    lost = gone("d"), gone("e", GONE_MS + 1)
    assert step(view("abcde", "fg", *lost)) == (Act.PROMOTE, "g", Why.REPLACE)
    assert step(view("abcdeg", "f", *lost)) == (Act.DEMOTE, "e", Why.SILENT)
    assert step(view("abcdg", "fe", *lost)) == (Act.PROMOTE, "f", Why.REPLACE)
    assert step(view("abcdgf", "e", *lost)) == (Act.DEMOTE, "d", Why.SILENT)


def test_without_a_standby_the_set_shrinks_to_an_odd_number_of_those_left() -> None:
    assert step(view("abc", "", gone("c"))) == (Act.DEMOTE, "c", Why.SILENT)
    assert step(view("ab", "c", gone("c"))) == (Act.DEMOTE, "b", Why.SHRINK)
    assert step(view("a", "cb", gone("c"))) is None
    assert step(view("abcde", "", gone("e"))) == (Act.DEMOTE, "e", Why.SILENT)
    assert step(view("abcd", "e", gone("e"))) == (Act.DEMOTE, "b", Why.SHRINK)


def test_without_a_quorum_nothing_can_be_changed() -> None:
    assert step(view("abc", "d", gone("b"), gone("c"))) is None
    assert step(view("abcde", "fg", gone("c"), gone("d"), gone("e"))) is None


def test_a_demoted_voter_stands_by_unless_it_leaves_for_good() -> None:
    stays = decide(view("abcd", "", one("c", going=Going.SLEEP)), LONG)
    leaves = decide(view("abcd", "", one("c", going=Going.LEAVE)), LONG)
    assert stays is not None
    assert leaves is not None
    assert stays.config.learners == (member("c"),)
    assert leaves.config.learners == ()


# ---- a new store -----------------------------------------------------------------------------------------------------


def test_a_machine_with_a_new_store_joins_only_after_its_old_store_left() -> None:
    emptied = gone("c", 5_000), spare("c", store="new")
    assert step(view("abc", "", *emptied)) == (Act.DEMOTE, "c", Why.NEW_STORE)
    change = decide(view("abc", "", *emptied), LONG)
    assert change is not None
    assert change.config == Config((member("a"), member("b")), ())
    assert step(view("a", "bc", *emptied)) == (Act.REMOVE, "c", Why.NEW_STORE)
    after = decide(view("a", "b", *emptied), LONG)
    assert after is not None
    assert (after.act, after.member) == (Act.ADD, member("c", "new"))


def test_a_new_store_waits_while_the_old_one_was_heard_a_moment_ago() -> None:
    assert step(view("abc", "", one("c", silent_ms=LIVE_MS - 1), spare("c", store="new"))) is None


# ---- a leader that goes ----------------------------------------------------------------------------------------------


def test_a_leader_that_goes_hands_over_to_the_best_voter_there() -> None:
    going = one("a", going=Going.SHUTDOWN)
    assert step(view("abc", "d", going, laptop("c"))) == (Act.HAND_OVER, "b", Why.LEAVING)
    assert step(view("abc", "d", going)) == (Act.HAND_OVER, "c", Why.LEAVING)
    assert step(view("abc", "d", going, one("c", lag=CAUGHT_UP + 1))) == (Act.HAND_OVER, "b", Why.LEAVING)


def test_a_sole_voter_that_goes_makes_its_standby_vote_then_hands_over_and_is_dropped() -> None:
    going, hurried = one("a", going=Going.SLEEP), one("b", steady_ms=0, caught_up_ms=0)
    assert step(view("a", "b", going, hurried)) == (Act.PROMOTE, "b", Why.LEAVING)
    assert step(view("ab", "", going, hurried)) == (Act.HAND_OVER, "b", Why.LEAVING)
    assert step(view("ba", "", going, hurried)) == (Act.DEMOTE, "a", Why.LEAVING)
    assert step(view("b", "a", going, hurried)) is None


def test_a_leader_that_goes_and_has_nobody_can_only_go() -> None:
    assert step(view("a", "", one("a", going=Going.SLEEP))) is None
    assert step(view("ab", "", one("a", going=Going.SLEEP), gone("b"))) == (Act.DEMOTE, "b", Why.SILENT)


# ---- preference ------------------------------------------------------------------------------------------------------


def test_the_order_of_preference() -> None:
    better_first = [
        one("a", keeper_only=True, mains=False, wired=False),
        one("a"),
        one("a", fsync_ms=50),
        one("a", fsync_ms=500),
        one("a", uptime_ms=7_200_000),
        one("a", uptime_ms=60_000),
        one("a", wired=None),
        one("a", wired=False),
        one("a", mains=None),
        one("a", mains=False),
        one("a", laptop=None),
        one("a", laptop=True),
    ]
    ranks = [preference(machine) for machine in better_first]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == len(ranks)


def test_uptime_and_disk_choose_among_newcomers_but_are_no_reason_to_swap() -> None:
    assert standing(one("a", uptime_ms=1, fsync_ms=900)) == standing(one("a"))
    assert step(view("a", "", spare("b"), spare("c", uptime_ms=1))) == (Act.ADD, "b", Why.STAND_BY)


def test_a_better_standby_takes_the_place_of_a_voter_after_ten_calm_minutes() -> None:
    seen = view("abc", "d", laptop("c"))
    assert step(seen) == (Act.PROMOTE, "d", Why.PREFERRED)
    assert step(view("abcd", "", laptop("c"))) == (Act.DEMOTE, "c", Why.SHRINK)
    assert step(view("abd", "c", laptop("c"))) is None
    assert step(seen._replace(changed_ms=LONG - HYSTERESIS_MS + 1)) is None
    assert step(seen._replace(elected_ms=LONG - HYSTERESIS_MS + 1)) is None
    assert step(view("abc", "d", laptop("c"), one("d", steady_ms=HYSTERESIS_MS - 1))) is None
    assert step(view("abc", "d", laptop("c"), gone("b", 5_000))) is None


def test_a_laptop_that_votes_alone_hands_its_place_to_a_machine_on_the_wire() -> None:
    assert step(view("a", "b", laptop("a"))) == (Act.PROMOTE, "b", Why.PREFERRED)
    assert step(view("ab", "", laptop("a"))) == (Act.HAND_OVER, "b", Why.PREFERRED)
    assert step(view("ba", "", laptop("a"), elected_ms=LONG)) == (Act.DEMOTE, "a", Why.SHRINK)


def test_nobody_hands_over_what_it_was_only_just_given() -> None:
    assert step(view("ab", "", laptop("a"), elected_ms=LONG)) == (Act.DEMOTE, "b", Why.SHRINK)


def test_a_leader_that_is_the_least_of_four_hands_over_first() -> None:
    assert step(view("abcd", "", laptop("a"))) == (Act.HAND_OVER, "d", Why.PREFERRED)


def test_a_better_spare_stands_by_first_and_then_the_lesser_one_goes() -> None:
    assert step(view("abc", "de", laptop("d"), spare("f"))) == (Act.ADD, "f", Why.PREFERRED)
    fetching = one("f", caught_up_ms=0)
    assert step(view("abc", "def", laptop("d"), fetching)) is None
    assert step(view("abc", "def", laptop("d"))) == (Act.REMOVE, "d", Why.SURPLUS)


def test_a_standby_that_is_gone_keeps_its_place_until_another_is_there() -> None:
    assert step(view("abc", "de", gone("d"))) is None
    assert step(view("abc", "de", gone("d"), spare("f"))) == (Act.ADD, "f", Why.STAND_BY)
    assert step(view("abc", "def", gone("d"))) == (Act.REMOVE, "d", Why.SURPLUS)
    assert step(view("abc", "de", one("d", going=Going.LEAVE))) == (Act.REMOVE, "d", Why.LEAVING)


def test_five_voters_on_six_machines_become_three_after_ten_calm_minutes() -> None:
    seen = view("abcde", "f")
    assert step(seen) == (Act.DEMOTE, "b", Why.SURPLUS)
    assert step(view("acde", "fb")) == (Act.DEMOTE, "c", Why.SHRINK)
    assert step(seen._replace(changed_ms=LONG - 1)) is None


# ---- any view at all -------------------------------------------------------------------------------------------------

FACTS: dict[str, list[Any]] = {
    "silent_ms": [0, 0, 100, FRESH_MS, FRESH_MS + 1, LIVE_MS - 1, LIVE_MS, 30_000, GONE_MS, LONG],
    "steady_ms": [0, STEADY_MS - 1, STEADY_MS, HYSTERESIS_MS, LONG],
    "lag": [None, 0, 0, CAUGHT_UP, CAUGHT_UP + 1],
    "caught_up_ms": [0, STEADY_MS, LONG],
    "owing_ms": [0, OUT_OF_STEP_MS],
    "going": [*[Going.STAYING] * 8, Going.RESTART, Going.SLEEP, Going.SHUTDOWN, Going.LEAVE],
    "laptop": [None, False, True],
    "mains": [None, False, True],
    "wired": [None, False, True],
    "keeper_only": [False, False, True],
    "store": ["s", "s", "s", "s", "s", "s", "new"],
}


def any_view(seed: int) -> View:
    """Mostly well machines, or mostly odd ones."""
    draw = Random(seed)
    names = draw.sample(NAMES, 9)
    count = draw.randint(1, 9)
    voters = draw.randint(1, min(6, count))
    learners = draw.randint(0, min(3, count - voters))
    odd = draw.choice((0.05, 0.2, 0.9))
    machines: dict[Member, Candidate] = {}
    for name in names[:count] + draw.sample(names[:count], min(count, 2)):
        facts = {fact: draw.choice(values) for fact, values in FACTS.items() if draw.random() < odd}
        made = one(name, **facts)
        machines[made.member] = made
    seen = view("".join(names[:voters]), "".join(names[voters : voters + learners]), *machines.values())
    return seen._replace(elected_ms=draw.choice((0, 0, LONG)), changed_ms=draw.choice((0, 0, LONG)))


views = st.integers(0, 1 << 40).map(any_view)


def test_the_views_lead_to_every_step_and_every_reason() -> None:
    steps = [change for seed in range(3_000) if (change := decide(any_view(seed), LONG))]
    assert set(Act) == {change.act for change in steps}
    assert set(Why) == {change.why for change in steps}
    assert min(Counter(change.act for change in steps).values()) > 20


def answering(seen: View, config: Config) -> list[Member]:
    live = {machine.member for machine in seen.machines if machine.silent_ms < LIVE_MS} | {seen.me}
    return [voter for voter in config.voters if voter in live]


def check(seen: View, change: Change) -> None:
    config = change.config
    assert why_unsafe(seen.config, config) == ""
    assert len(answering(seen, config)) >= quorum(len(config.voters))
    assert seen.me in config.voters  # a leader never drops itself
    if change.act is Act.HAND_OVER:
        assert config == seen.config
        assert change.member in answering(seen, config)
        assert change.member != seen.me
    else:
        assert config != seen.config
        assert sum(1 for who in set(config.members) ^ set(seen.config.members)) <= 1


@settings(max_examples=3_000)
@given(views)
def test_no_change_leaves_less_than_a_quorum_of_the_new_voters_answering(seen: View) -> None:
    change = decide(seen, LONG)
    if change is not None:
        check(seen, change)


@settings(max_examples=2_000)
@given(views)
def test_promote_before_demote(seen: View) -> None:
    """From an odd set, no voter is demoted for being gone while a standby could take its place."""
    change = decide(seen, LONG)
    if change is None or change.act is not Act.DEMOTE or len(seen.config.voters) % 2 == 0:
        return
    known = {machine.member: machine for machine in seen.machines}
    ready = [who for who in seen.config.learners if who in known and known[who].is_ready]
    going = [who for who in seen.config.voters if who in known and known[who].going.away]
    lost = {*seen.config.voters} - {*answering(seen, seen.config)} | {*going} - {seen.me}
    promoted = Config((*seen.config.voters, *ready[:1]))
    enough = len(answering(seen, promoted)) >= quorum(len(promoted.voters))
    assert change.why is Why.SURPLUS or not ready or not enough or len(lost) > len(ready)


# ---- days of coming and going ----------------------------------------------------------------------------------------


class Days:
    """Machines that are there or not; a leader that decides every few seconds; changes that commit if a quorum of the
    new voters is there."""

    def __init__(self, count: int, **odd: Candidate) -> None:
        self.now = 0
        self.names = NAMES[:count]
        self.kinds = {name: odd.get(name, one(name)) for name in self.names}
        self.since = dict.fromkeys(self.names, 0)  # since when there, or not
        self.there = dict.fromkeys(self.names, True)
        self.joined: dict[str, int] = {"a": 0}  # when it got the log
        self.config = Config((member("a"),))
        self.leader: str | None = "a"
        self.elected_ms = self.changed_ms = 0
        self.acts: list[Change] = []

    def switch(self, name: str, there: bool) -> None:
        if self.there[name] != there:
            self.there[name], self.since[name] = there, self.now

    def seen(self, name: str) -> Candidate:
        age = self.now - self.since[name]
        if not self.there[name]:
            return self.kinds[name]._replace(silent_ms=age + 100, steady_ms=0, caught_up_ms=0)
        known = self.joined.get(name)
        in_step = 0 if known is None else min(age, self.now - known)
        lag = None if member(name) not in self.config.members else 0
        return self.kinds[name]._replace(silent_ms=100, steady_ms=age, lag=lag, caught_up_ms=in_step)

    def view(self) -> View:
        assert self.leader is not None
        machines = tuple(self.seen(name) for name in self.names)
        return View(member(self.leader), self.config, machines, self.elected_ms, self.changed_ms)

    def quorate(self, config: Config) -> bool:
        return sum(self.there[voter.node] for voter in config.voters) >= quorum(len(config.voters))

    def elect(self) -> None:
        if self.leader is not None and self.there[self.leader] and self.quorate(self.config):
            return
        able = [str(voter.node) for voter in self.config.voters if self.there[voter.node]]
        self.leader = able[0] if self.quorate(self.config) else None
        self.elected_ms = self.now

    def run(self, ms: int, step_ms: int = 5_000) -> None:
        """The leader looks with every step, and at once after a change."""
        until = self.now + ms
        while self.now < until:
            self.now = min(until, self.now + (1_000 if len(self.config.voters) == 2 else step_ms))
            self.elect()
            while self.leader is not None and self.look():
                pass
            assert len(self.config.voters) != 2 or not all(self.there[voter.node] for voter in self.config.voters)

    def look(self) -> bool:
        seen = self.view()
        change = decide(seen, self.now)
        if change is None:
            return False
        check(seen, change)
        self.acts.append(change)
        assert len(self.acts) < 500, "it never comes to rest"
        if change.act is Act.HAND_OVER:
            self.leader, self.elected_ms = str(change.member.node), self.now
        else:
            assert self.quorate(change.config)
            self.config, self.changed_ms = change.config, self.now
            for learner in change.config.learners:
                self.joined.setdefault(str(learner.node), self.now)
        return True

    def shape(self) -> tuple[int, int]:
        return len(self.config.voters), len(self.config.learners)


@pytest.mark.parametrize(
    ("machines", "shape"),
    [(1, (1, 0)), (2, (1, 1)), (3, (3, 0)), (4, (3, 1)), (5, (3, 2)), (6, (3, 2)), (7, (5, 2)), (12, (5, 2))],
)
def test_steady_machines_come_to_the_target_and_to_rest(machines: int, shape: tuple[int, int]) -> None:
    days = Days(machines)
    days.run(180_000)
    assert days.shape() == shape
    before = len(days.acts)
    days.run(1_800_000)
    assert len(days.acts) == before


def test_the_steadiest_machine_ends_as_the_anchor_whoever_began() -> None:
    days = Days(2, a=laptop("a"))
    days.run(2 * HYSTERESIS_MS)
    assert days.config == Config((member("b"),), (member("a"),))
    assert days.leader == "b"
    assert [change.act for change in days.acts] == [Act.ADD, Act.PROMOTE, Act.HAND_OVER, Act.DEMOTE]


def test_no_laptop_votes_while_something_better_is_up() -> None:
    days = Days(6, a=laptop("a"), b=laptop("b"), c=laptop("c"))
    days.run(6 * HYSTERESIS_MS)
    assert {voter.node for voter in days.config.voters} == set("def")
    before = len(days.acts)
    days.run(6 * HYSTERESIS_MS)
    assert len(days.acts) == before


def test_three_machines_in_an_evening_end_with_the_last_one_in_charge() -> None:
    days = Days(3)
    days.run(180_000)
    days.switch("c", there=False)
    days.run(90_000)
    assert days.shape()[0] == 1
    days.switch("c", there=True)
    days.run(90_000)
    assert days.shape()[0] == 3


comings = st.lists(
    st.tuples(st.integers(0, 8), st.booleans(), st.sampled_from([1, 4, 20, 70, 300, 1_500])), max_size=14
)


@settings(max_examples=60)
@given(st.integers(1, 9), st.integers(0, 9), comings)
def test_whatever_comes_and_goes_every_change_is_safe_and_all_is_well_in_the_end(
    count: int, laptops: int, script: list[tuple[int, bool, int]]
) -> None:
    days = Days(count, **{name: laptop(name) for name in NAMES[:laptops]})
    for which, there, seconds in script:
        days.switch(days.names[which % count], there)
        days.run(seconds * 1_000)
    for name in days.names:
        days.switch(name, there=True)
    days.run(60_000)
    days.run(8 * HYSTERESIS_MS, step_ms=60_000)
    voters = target(count)
    assert days.shape() == (voters, min(2, count - voters))
    kinds = [bool(days.kinds[str(voter.node)].laptop) for voter in days.config.voters]
    assert sum(kinds) == max(0, voters - (count - min(count, laptops)))
    before = len(days.acts)
    days.run(HYSTERESIS_MS, step_ms=60_000)
    assert len(days.acts) == before


# ---- how safe --------------------------------------------------------------------------------------------------------


@settings(max_examples=1_000)
@given(views)
def test_any_so_many_machines_may_vanish_and_commits_go_on_but_not_any_one_more(seen: View) -> None:
    voters = seen.config.voters
    going = {machine.member for machine in seen.machines if machine.going.away} - {seen.me}
    live = set(answering(seen, seen.config)) - going
    everyone = {machine.member.node for machine in seen.machines} | {voter.node for voter in voters}

    def goes_on(vanished: tuple[NodeId, ...]) -> bool:
        return len([voter for voter in live if voter.node not in vanished]) >= quorum(len(voters))

    told = safety(seen)
    if goes_on(()):
        assert all(goes_on(some) for some in combinations(sorted(everyone), told.can_lose))
        more = list(combinations(sorted(everyone), told.can_lose + 1))
        assert not more or not all(goes_on(some) for some in more)
        assert set(told.must_stay) == {voter for voter in live if not goes_on((voter.node,))}
        assert (told.wake, told.missing) == ((), 0)
    else:
        assert told.can_lose == 0
        assert set(told.must_stay) == live
        assert set(told.wake) == set(voters) - live
        for back in combinations(told.wake, told.missing):
            assert len(live) + len(back) == quorum(len(voters))


def test_copies_are_the_disks_that_surely_hold_a_job() -> None:
    held = {
        ("a", ""): 1,
        ("a", "b"): 1,
        ("ab", ""): 2,
        ("abc", ""): 2,
        ("abcde", ""): 3,
    }
    assert {shape: safety(view(*shape)).copies for shape in held} == held
    assert safety(view("a", "b"), frozenset({member("b")})).copies == 2


def test_whom_to_wake_first_is_who_was_heard_last() -> None:
    told = safety(view("abcde", "", gone("b", 9_000), gone("c", 5_000), gone("d", 70_000)))
    assert told.must_stay == (member("a"), member("e"))
    assert told.wake == (member("c"), member("b"), member("d"))
    assert told.missing == 1


# ---- in step ---------------------------------------------------------------------------------------------------------

B = frozenset({member("b")})
NOBODY: frozenset[Member] = frozenset()


def test_a_standby_is_taken_in_after_half_a_minute_in_step() -> None:
    assert in_step(view("a", "b", one("b", caught_up_ms=STEADY_MS - 1)), NOBODY) == NOBODY
    assert in_step(view("a", "b", one("b", caught_up_ms=STEADY_MS)), NOBODY) == B
    assert in_step(view("a", "b", one("b", silent_ms=FRESH_MS + 1)), NOBODY) == NOBODY


def test_and_is_out_after_two_seconds_without_an_answer_or_an_acknowledgement() -> None:
    for late in ("silent_ms", "owing_ms"):
        assert in_step(view("a", "b", one("b", **{late: OUT_OF_STEP_MS - 1}, caught_up_ms=0)), B) == B
        assert in_step(view("a", "b", one("b", **{late: OUT_OF_STEP_MS}, caught_up_ms=0)), B) == NOBODY


def test_only_a_sole_voter_waits_for_a_standby_and_for_one_alone() -> None:
    assert in_step(view("abc", "d"), NOBODY) == NOBODY
    assert in_step(view("a", "bc"), NOBODY) == frozenset({member("c")})
    assert in_step(view("a", "bc"), B) == B
    assert in_step(view("a", "bc", gone("b", OUT_OF_STEP_MS)), B) == frozenset({member("c")})
    assert in_step(view("a", "b", one("b", going=Going.SLEEP)), B) == NOBODY

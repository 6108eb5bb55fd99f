"""Both sides of the lease, rule by rule. That they fit together is the model's part (test_lease_model.py)."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey.commands import Fence
from odyssey.ids import AttemptId, NodeNumber, TaskId, attempt_id
from odyssey.mesh.grants import (
    DEAF_MS,
    MASS_MS,
    PATIENCE_MOST_MS,
    RECOVERED_MS,
    Grants,
    Work,
    patience_ms,
)
from odyssey.mesh.lease import (
    FOREVER,
    FREEZE_MS,
    FROZEN_LIMIT_MS,
    GIVE_AWAY_MS,
    LEASE_MS,
    NOTHING_KEPT,
    Drop,
    Kept,
    Lease,
    Used,
)
from odyssey.mesh.membership import GONE_MS
from odyssey.messages import Beat, BeatId, BootId, Duty, Going, Here, Holding, Listed
from odyssey.model import Cause

BOOT, OTHER = BootId(b"boot"), BootId(b"other")
A, B = Listed(AttemptId(101), TaskId(1)), Listed(AttemptId(102), TaskId(2))
RUNNING = {A.attempt: Here(A.task)}


def test_the_formula_pays_for_clocks_that_are_wrong_by_a_tenth() -> None:
    slow_machine, fast_coordinator = 900, 1100
    stands_still_after = (LEASE_MS + FREEZE_MS) * 1000 // slow_machine + 1
    given_away_after = GIVE_AWAY_MS * 1000 // fast_coordinator
    assert stands_still_after + 100 < given_away_after  # true milliseconds after the beat was sent
    assert GIVE_AWAY_MS == 9_000


# ---- the machine's side ----------------------------------------------------------------------------------------------


class Daemon:
    def __init__(self, kept: Kept = NOTHING_KEPT, until_ms: int = 0, run: int = 1) -> None:
        self.lease = Lease(BOOT, run, kept, until_ms)
        self.revision = 0

    def gets(self, beat: BeatId, now: int, *holds: Listed, term: int = 1, revision: int = 0, since: int = 1) -> Used:
        self.revision += 1
        duty = Duty(beat, Fence(1, term), revision or self.revision, AttemptId(since), holds)
        return self.lease.use(duty, now)

    def may_start(self, now: int, here: dict[AttemptId, Here] | None = None) -> list[Listed]:
        return list(self.lease.todo(here or {}, now).start)


def test_before_any_duty_nothing_may_run() -> None:
    todo = Daemon().lease.todo(RUNNING, 1_000)
    assert (todo.start, todo.freeze, todo.kill) == ((), (A.attempt,), ())


def test_a_lease_counts_from_when_the_beat_was_sent() -> None:
    daemon = Daemon()
    beat = daemon.lease.send(1_000)
    assert daemon.gets(beat, 5_000, A).drop is None
    assert daemon.lease.until_ms == 1_000 + LEASE_MS
    assert daemon.may_start(1_000 + LEASE_MS - 1) == [A]
    assert daemon.may_start(1_000 + LEASE_MS) == []


def test_a_lease_counts_from_the_beat_that_is_quoted_and_not_from_a_later_one() -> None:
    daemon = Daemon()
    quoted = daemon.lease.send(1_000)
    daemon.lease.send(3_000)
    daemon.gets(quoted, 3_010, A)
    assert daemon.lease.until_ms == 1_000 + LEASE_MS


def test_what_runs_is_frozen_at_the_end_and_thawed_by_a_newer_duty_that_lists_it() -> None:
    daemon = Daemon()
    daemon.gets(daemon.lease.send(1_000), 1_010, A)
    assert daemon.lease.todo(RUNNING, 7_999).freeze == ()
    assert daemon.lease.todo(RUNNING, 8_000).freeze == (A.attempt,)
    frozen = {A.attempt: Here(A.task, frozen_at_ms=8_000)}
    assert daemon.lease.todo(frozen, 8_100).freeze == ()
    daemon.gets(daemon.lease.send(9_000), 9_010, A)
    todo = daemon.lease.todo(frozen, 9_010)
    assert (todo.thaw, todo.kill, todo.start) == ((A.attempt,), (), ())


def test_what_the_newest_duty_does_not_list_is_killed_frozen_or_not() -> None:
    for frozen_at in (None, 8_000):
        daemon = Daemon()
        daemon.gets(daemon.lease.send(9_000), 9_010, B)
        todo = daemon.lease.todo({A.attempt: Here(A.task, frozen_at_ms=frozen_at)}, 9_010)
        assert (todo.kill, todo.thaw, todo.freeze) == ((A.attempt,), (), ())


def test_a_quarter_of_an_hour_frozen_is_enough() -> None:
    daemon = Daemon()
    daemon.gets(daemon.lease.send(1_000), 1_010, A)
    frozen = {A.attempt: Here(A.task, frozen_at_ms=8_000)}
    assert daemon.lease.todo(frozen, 8_000 + FROZEN_LIMIT_MS - 1).kill == ()
    daemon.gets(daemon.lease.send(8_000 + FROZEN_LIMIT_MS), 8_000 + FROZEN_LIMIT_MS, A)
    todo = daemon.lease.todo(frozen, 8_000 + FROZEN_LIMIT_MS)
    assert (todo.kill, todo.thaw) == ((A.attempt,), ())


def test_what_is_to_be_stopped_or_given_back_is_never_started() -> None:
    daemon = Daemon()
    stop, recall = Listed(A.attempt, A.task, stop=True), Listed(B.attempt, B.task, slot=False, recall=True)
    daemon.gets(daemon.lease.send(1_000), 1_010, stop, recall)
    assert daemon.lease.todo({}, 1_010).start == ()
    assert daemon.lease.todo({}, 1_010).give_back == (stop, recall)
    both = {A.attempt: Here(A.task), B.attempt: Here(B.task)}
    todo = daemon.lease.todo(both, 1_010)
    assert (todo.stop, todo.give_back, todo.kill) == ((A.attempt,), (), ())  # what has started is not given back


def test_what_has_ended_is_not_started_again() -> None:
    daemon = Daemon()
    daemon.gets(daemon.lease.send(1_000), 1_010, A)
    assert daemon.may_start(1_010, {A.attempt: Here(A.task, ended=True)}) == []


def test_an_attempt_waits_while_another_of_its_task_still_dies_here() -> None:
    daemon = Daemon()
    again = Listed(AttemptId(105), A.task)
    daemon.gets(daemon.lease.send(1_000), 1_010, again)
    assert daemon.may_start(1_010, dict(RUNNING)) == []
    assert daemon.may_start(1_010, {A.attempt: Here(A.task, ended=True)}) == [again]


# -- which Duties have no effect ---------------------------------------------------------------------------------------


def served() -> tuple[Daemon, BeatId, BeatId]:
    """Two beats sent, the second one answered with A, by term 3."""
    daemon = Daemon()
    first, second = daemon.lease.send(1_000), daemon.lease.send(2_000)
    daemon.gets(second, 2_010, A, term=3, revision=5)
    return daemon, first, second


def test_a_duty_without_effect_neither_starts_nor_kills_nor_lengthens() -> None:
    daemon, first, second = served()
    cases = {
        Drop.OLD_FENCE: (second, 3_000, 2, 9),
        Drop.OTHER_BOOT: (BeatId(OTHER, 1, 2), 3_000, 3, 9),
        Drop.UNKNOWN_BEAT: (BeatId(BOOT, 1, 77), 3_000, 3, 9),
        Drop.OLD_BEAT: (first, 3_000, 3, 9),
        Drop.OLD_REVISION: (second, 3_000, 3, 4),
        Drop.TOO_LATE: (second, 2_000 + LEASE_MS, 3, 9),
    }
    for drop, (beat, now, term, revision) in cases.items():
        assert daemon.gets(beat, now, B, term=term, revision=revision) == Used(drop), drop
        todo = daemon.lease.todo(RUNNING, 3_000)
        assert (todo.start, todo.kill, todo.until_ms) == ((), (), 2_000 + LEASE_MS), drop


def test_the_same_duty_twice_is_once() -> None:
    daemon, _, second = served()
    assert daemon.gets(second, 2_020, A, term=3, revision=5).drop is Drop.OLD_REVISION
    assert daemon.gets(second, 2_020, A, B, term=3, revision=6).drop is None  # but a newer one may quote the same beat


def test_a_later_coordinator_may_count_its_revisions_from_one() -> None:
    daemon, _, second = served()
    assert daemon.gets(second, 2_020, B, term=4, revision=1).drop is None
    assert daemon.may_start(2_020) == [B]


def test_the_answer_to_the_daemon_before_is_not_mine() -> None:
    old = Daemon(run=1)
    quoted = old.lease.send(1_000)
    new = Daemon(run=900)
    new.lease.send(2_000)
    assert new.gets(quoted, 2_010, A).drop is Drop.UNKNOWN_BEAT


def test_whom_it_refused_once_it_refuses_after_a_crash() -> None:
    daemon, _, _ = served()
    kept = daemon.lease.kept
    assert kept.fence == Fence(1, 3)
    again = Daemon(kept, run=9)
    assert again.gets(again.lease.send(5_000), 5_010, A, term=2).drop is Drop.OLD_FENCE
    assert Lease(OTHER, 1, kept).kept == Kept(Fence(1, 3), OTHER)


def test_what_must_be_remembered_is_given_back_with_the_duty_that_says_so_and_only_then() -> None:
    daemon = Daemon()
    first = daemon.gets(daemon.lease.send(1_000), 1_010, term=2, since=50)
    assert first.keep == Kept(Fence(1, 2), BOOT, AttemptId(50))
    assert daemon.gets(daemon.lease.send(2_000), 2_010, term=2, since=50).keep is None
    later = daemon.gets(BeatId(BOOT, 1, 99), 2_020, term=4)
    assert (later.drop, later.keep) == (Drop.UNKNOWN_BEAT, Kept(Fence(1, 4), BOOT, AttemptId(50)))


def test_once_a_newer_coordinator_was_heard_of_the_former_ones_duty_starts_nothing_more() -> None:
    daemon = Daemon()
    daemon.gets(daemon.lease.send(1_000), 1_010, A, B)
    daemon.gets(BeatId(BOOT, 1, 99), 1_020, term=2)
    todo = daemon.lease.todo(RUNNING, 1_030)
    assert (todo.start, todo.freeze, todo.kill) == ((), (), ())  # what runs goes on: the newer one waits for that


# -- restarts, leaving, alone ------------------------------------------------------------------------------------------


def test_a_new_daemon_lets_run_what_runs_and_starts_and_kills_nothing_before_its_first_duty() -> None:
    daemon = Daemon(until_ms=6_000)
    todo = daemon.lease.todo(RUNNING, 5_000)
    assert (todo.start, todo.freeze, todo.kill, todo.until_ms) == ((), (), (), 6_000)
    assert daemon.lease.todo(RUNNING, 6_000).freeze == (A.attempt,)


def test_who_has_said_that_it_goes_starts_nothing_until_it_beats_again_and_is_answered() -> None:
    daemon = Daemon()
    before = daemon.lease.send(1_000)
    daemon.gets(before, 1_010, A)
    said = daemon.lease.announce(1_500)
    assert said.number > before.number
    for quoted in (before, said):
        assert daemon.gets(quoted, 1_600, A).drop is Drop.UNKNOWN_BEAT
    assert daemon.lease.until_ms == 1_500
    assert daemon.may_start(1_600) == []
    assert daemon.lease.todo(RUNNING, 1_600).kill == (A.attempt,)  # should anything be left
    daemon.gets(daemon.lease.send(2_000), 2_010, B)
    assert daemon.may_start(2_010) == [B]


def test_a_machine_alone_needs_no_lease_but_still_a_duty() -> None:
    daemon = Daemon()
    daemon.lease.set_alone(True)
    assert daemon.may_start(10) == []
    daemon.gets(daemon.lease.send(1_000), 1_010, A)
    assert daemon.may_start(900_000) == [A]
    assert daemon.lease.todo(RUNNING, 900_000).freeze == ()
    assert daemon.lease.until_ms == FOREVER
    daemon.lease.set_alone(False)
    assert daemon.lease.todo(RUNNING, 900_000).freeze == (A.attempt,)
    assert Daemon(until_ms=FOREVER).lease.until_ms == 0  # the next daemon asks anew whether it is alone


steps = st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from("sdddpa"), st.integers(0, 9), st.integers(0, 4)))


@settings(max_examples=500)
@given(steps)
def test_whatever_comes_no_right_outlives_its_beat_and_only_the_newest_duty_is_obeyed(
    script: list[tuple[int, str, int, int]],
) -> None:
    daemon, now, sent = Daemon(), 1_000, {}
    listed: tuple[Listed, ...] = ()
    newest = (0, 0)
    for wait, what, which, term in script:
        now += wait
        if what == "s":
            sent[daemon.lease.send(now)] = now
        elif what == "p":
            sent.clear()
            listed = ()
            daemon.lease.announce(now)
        elif what == "d" and sent:
            beat = list(sent)[which % len(sent)]
            holds = tuple(Listed(AttemptId(number), TaskId(number)) for number in range(which))
            if daemon.gets(beat, now, *holds, term=term, revision=which + 1).drop is None:
                assert now < sent[beat] + LEASE_MS
                assert (term, which + 1) > newest
                listed, newest = holds, (term, which + 1)
                assert daemon.lease.until_ms == sent[beat] + LEASE_MS
        todo = daemon.lease.todo({}, now)
        assert set(todo.start) <= set(listed)
        assert not todo.start or any(now < at + LEASE_MS for at in sent.values())


# ---- the coordinator's side ------------------------------------------------------------------------------------------

PC, PI = NodeNumber(1), NodeNumber(2)
FENCE = Fence(1, 4)
START = 100
ELECTED = 50_000
EARLIER = AttemptId(attempt_id(1, 60, 0))  # given by a coordinator before
MINE = AttemptId(attempt_id(1, 200, 0))


class Office:
    """A coordinator with its machines; time goes in steps of half a second, as its driver takes them."""

    def __init__(self, recovered: bool = False, applied: int = START) -> None:
        self.now = ELECTED
        self.grants = Grants(FENCE, START, ELECTED, recovered)
        self.grants.applied(applied)
        self.number = self.round = 0
        self.hears = True
        self.revisions: dict[NodeNumber, int] = {}  # of the newest Duty that reached each machine

    def beat(
        self,
        node: NodeNumber = PC,
        holds: Iterable[AttemptId] = (),
        boot: BootId = BOOT,
        run: int = 1,
        going: Going = Going.STAYING,
        since: int = 0,
        elapsed: int = 0,
        fence: Fence = FENCE,
        ended: bool = False,
    ) -> bool:
        self.number += 1
        self.round += 1
        held = tuple(Holding(one, TaskId(one), True, ended, elapsed_ms=elapsed) for one in holds)
        name = BeatId(boot, run, self.number)
        revision = self.revisions.get(node, 0)
        told = Beat(name, held, going, fence=fence, revision=revision, since=AttemptId(since))
        return self.grants.beat(node, told, self.round, self.now)

    def duty(self, *attempts: AttemptId, node: NodeNumber = PC) -> Duty | None:
        duty = self.grants.duty(node, [Listed(one, TaskId(one)) for one in attempts], self.now)
        if duty is not None and self.hears:
            self.revisions[node] = duty.revision
        return duty

    def listed(self, *attempts: AttemptId, node: NodeNumber = PC) -> list[AttemptId]:
        duty = self.duty(*attempts, node=node)
        assert duty is not None
        return [one.attempt for one in duty.holds]

    def confirm(self) -> None:
        self.grants.confirmed(self.round)

    def serve(self, *attempts: AttemptId, node: NodeNumber = PC, **beat: object) -> list[AttemptId]:
        """A beat that holds them, a quorum, and the Duty."""
        self.beat(node, attempts, **beat)  # type: ignore[arg-type]
        self.confirm()
        return self.listed(*attempts, node=node)

    def lost(
        self, *attempts: AttemptId, node: NodeNumber = PC, patience: int = -1, cut: tuple[NodeNumber, ...] = ()
    ) -> dict[Cause, list[AttemptId]]:
        work = [Work(one, TaskId(one), patience) for one in attempts]
        found = self.grants.give_away(node, work, self.now, cut)
        return {cause: [attempt for attempt, _ in held] for cause, held in found.items()}

    def wait(self, ms: int, *alive: NodeNumber) -> None:
        """With a look at the clock every half a second; those alive beat."""
        for step in (500,) * (ms // 500) + (ms % 500,):
            self.now += step
            self.duty(node=NodeNumber(99))
            for node in alive:
                self.beat(node)

    def settle(self) -> None:
        self.wait(GIVE_AWAY_MS)


# -- when a Duty may leave ---------------------------------------------------------------------------------------------


def test_no_duty_before_a_quorum_was_heard_after_the_beat() -> None:
    office = Office()
    office.grants.confirmed(0)
    office.beat()
    assert office.duty() is None
    office.confirm()
    duty = office.duty()
    assert duty is not None
    assert (duty.beat.number, duty.fence) == (1, FENCE)


def test_no_duty_before_an_entry_of_the_own_term_is_applied() -> None:
    office = Office(applied=START - 1)
    office.beat()
    office.confirm()
    assert office.duty() is None
    office.grants.applied(START)
    assert office.duty() is not None


def test_later_duties_quote_the_newest_beat_that_is_proven_and_their_revision_grows() -> None:
    office = Office()
    office.serve()
    office.beat()
    again, later = office.duty(MINE), None
    office.confirm()
    later = office.duty(MINE)
    assert again is not None
    assert later is not None
    assert [again.beat.number, later.beat.number] == [1, 2]
    assert 1 < again.revision < later.revision


def test_a_beat_whose_lease_is_over_is_not_quoted() -> None:
    office = Office()
    office.serve()
    office.wait(LEASE_MS)
    assert office.duty() is None


def test_who_hears_of_a_newer_coordinator_gives_nothing_out_and_nothing_away() -> None:
    office = Office()
    office.serve(MINE)
    office.beat(PI, fence=Fence(1, 5))
    assert office.duty() is None
    office.wait(20_000)
    assert office.lost(MINE) == {}


def test_who_says_that_there_is_a_newer_coordinator_is_believed_until_a_quorum_knows_better() -> None:
    office = Office()
    office.serve(MINE)
    office.beat(PI, fence=Fence(1, 5))
    office.beat()
    assert office.duty() is None
    office.confirm()
    assert office.listed(MINE) == [MINE]
    office.beat(PI, fence=Fence(1, 9))
    assert office.listed(MINE) == [MINE], "it was wrong once"
    office.beat(NodeNumber(7), fence=Fence(1, 9))
    assert office.duty() is None


def test_an_old_or_doubled_beat_proves_nothing() -> None:
    office = Office()
    office.number = 5
    office.serve()
    for number in (5, 0):
        office.number = number
        assert not office.beat()


def test_more_beats_than_anybody_waits_for_are_not_kept() -> None:
    office = Office()
    for _ in range(100):
        office.beat()
    office.confirm()
    duty = office.duty()
    assert duty is not None
    assert duty.beat.number == 100


# -- what a Duty may list ----------------------------------------------------------------------------------------------


def test_what_is_proposed_as_lost_is_not_listed_even_if_its_machine_is_back() -> None:
    office = Office()
    office.serve()
    office.duty(MINE)
    office.wait(GIVE_AWAY_MS)
    assert office.lost(MINE) == {Cause.DOWN: [MINE]}
    assert office.lost(MINE) == {}  # and it is not proposed twice
    assert office.serve(MINE) == []
    assert office.listed(MINE) == []


def test_a_loss_that_the_log_did_not_take_is_none() -> None:
    office = Office()
    office.serve(MINE)
    office.wait(GIVE_AWAY_MS)
    assert office.lost(MINE) == {Cause.DOWN: [MINE]}
    office.grants.withdraw(PC, [MINE])
    office.grants.withdraw(PI, [MINE])
    assert office.lost(MINE) == {Cause.DOWN: [MINE]}  # offered again
    office.grants.withdraw(PC, [MINE])
    assert office.serve(MINE) == [MINE]


def test_what_is_gone_from_the_log_is_forgotten() -> None:
    office = Office()
    office.serve(MINE)
    office.grants.dead(PC, [MINE])
    office.lost(MINE)
    assert office.listed() == []
    assert office.listed(MINE) == [MINE]  # cannot come back in truth; here it shows that nothing piles up


def test_what_an_earlier_coordinator_gave_is_listed_at_once_to_who_holds_it() -> None:
    office = Office()
    assert office.serve(EARLIER) == [EARLIER]


def test_what_nobody_holds_is_listed_if_its_boot_knows_that_it_can_only_be_its_own() -> None:
    office = Office()
    office.beat(since=EARLIER)
    office.confirm()
    assert office.listed(EARLIER, MINE) == [EARLIER, MINE]
    office.wait(GIVE_AWAY_MS, PC)
    assert office.lost(EARLIER, MINE) == {}


def test_or_is_lost_when_all_earlier_leases_are_over_as_it_may_have_been_another_boots() -> None:
    office = Office()
    office.beat(since=EARLIER + 1)
    office.confirm()
    office.wait(GIVE_AWAY_MS - 500, PC)
    office.confirm()
    assert office.listed(EARLIER) == []
    assert office.lost(EARLIER, MINE) == {}
    office.wait(500, PC)
    assert office.lost(EARLIER, MINE) == {Cause.REBOOT: [EARLIER]}


def test_a_boot_is_told_from_where_on_attempts_are_its_own_and_the_mark_stays() -> None:
    office = Office(applied=150)
    office.beat()
    office.confirm()
    marks = []
    for index in (150, 300):
        office.grants.applied(index)
        duty = office.duty()
        assert duty is not None
        marks.append(duty.since)
    assert marks == [attempt_id(1, 151, 0)] * 2


def test_a_machine_heard_before_the_first_own_entry_gets_its_mark_there() -> None:
    office = Office(applied=START - 1)
    office.beat()
    office.grants.applied(START)
    office.grants.applied(START + 500)
    office.confirm()
    assert office.listed(AttemptId(attempt_id(1, START + 1, 0))) != []


# -- boots and daemons -------------------------------------------------------------------------------------------------


def test_a_new_daemon_moves_nothing() -> None:
    office = Office()
    office.settle()
    office.serve()
    office.duty(MINE)
    assert office.serve(MINE, run=2) == [MINE]
    assert office.lost(MINE) == {}


def test_a_new_boot_gets_nothing_and_moves_nothing_until_the_old_one_was_silent_for_a_lease() -> None:
    office = Office()
    office.settle()
    office.serve(MINE)
    office.duty(MINE)
    for _ in range(8):
        office.wait(1_000)
        assert not office.beat(boot=OTHER)
        office.confirm()
        assert office.lost(MINE) == {}
    office.wait(1_000)
    office.grants.applied(300)
    assert office.beat(boot=OTHER)
    office.confirm()
    assert office.listed(MINE) == []
    assert office.lost(MINE) == {Cause.REBOOT: [MINE]}
    new = AttemptId(attempt_id(1, 301, 0))
    assert office.listed(new) == [new]


def test_a_boot_that_said_it_goes_and_holds_nothing_makes_room_at_once() -> None:
    for held in ([], [MINE]):
        office = Office()
        office.settle()
        office.serve(MINE)
        office.beat(holds=held, going=Going.SHUTDOWN)
        assert office.beat(boot=OTHER) == (not held)


def test_a_boot_that_comes_into_force_cannot_know_what_was_given_while_it_was_not() -> None:
    office = Office()
    office.settle()
    office.serve(MINE)
    office.wait(GIVE_AWAY_MS)
    office.grants.applied(300)
    office.beat(boot=OTHER, since=1)
    office.confirm()
    assert office.listed(MINE) == []


def test_a_boot_that_beats_keeps_out_another_one_of_its_name() -> None:
    office = Office()
    for _ in range(30):
        assert office.beat()
        assert not office.beat(boot=OTHER)
        office.wait(500)


# -- when an attempt may be given away ---------------------------------------------------------------------------------


def test_not_a_millisecond_before_its_time_and_then_at_once() -> None:
    office = Office()
    office.settle()
    office.serve(MINE)
    office.wait(GIVE_AWAY_MS - 1)
    assert office.lost(MINE) == {}
    office.now += 1
    assert office.lost(MINE) == {Cause.DOWN: [MINE]}


def test_it_counts_from_the_beat_that_was_answered_and_not_from_the_answer() -> None:
    office = Office()
    office.settle()
    office.serve(MINE)
    office.wait(1_000)
    office.beat(holds=[MINE])  # never answered
    office.confirm()
    office.wait(4_000)
    office.duty(MINE)  # now it is
    office.wait(GIVE_AWAY_MS - 4_001)
    assert office.lost(MINE) == {}
    office.now += 1
    assert office.lost(MINE) == {Cause.DOWN: [MINE]}


def test_a_new_coordinator_counts_from_its_election_for_who_was_never_heard() -> None:
    office = Office()
    office.wait(GIVE_AWAY_MS - 1)
    assert office.lost(EARLIER, node=PI) == {}
    office.now += 1
    assert office.lost(EARLIER, node=PI) == {Cause.DOWN: [EARLIER]}


def test_whoever_beats_is_not_given_up_even_if_nobody_could_answer() -> None:
    office = Office()
    office.settle()
    office.serve(MINE)
    for _ in range(20):
        office.wait(1_000)
        office.beat(holds=[MINE])
        assert office.lost(MINE) == {}


def serve_the_deaf(office: Office, *attempts: AttemptId) -> bool:
    """A beat that names no newer Duty; whether a Duty was sent all the same."""
    office.wait(1_000)
    office.beat(holds=attempts)
    office.confirm()
    return office.duty(*attempts) is not None


def test_who_is_heard_and_does_not_hear_gets_no_more_and_its_work_moves_when_the_last_lease_is_over() -> None:
    office = Office()
    office.settle()
    office.serve(MINE)
    office.hears = False
    answered = sum(serve_the_deaf(office, MINE) for _ in range(20))
    assert answered == DEAF_MS // 1_000
    assert office.grants.is_deaf(PC)
    last = office.now - (20 - answered) * 1_000
    assert office.lost(MINE) == {}
    office.wait(last + GIVE_AWAY_MS - 1 - office.now, PC)
    assert office.lost(MINE) == {}
    office.wait(1, PC)
    assert office.lost(MINE) == {Cause.CUT: [MINE]}


def test_who_was_deaf_and_holds_nothing_is_asked_again_and_is_served_when_it_hears() -> None:
    office = Office()
    office.serve(MINE)
    office.hears = False
    while serve_the_deaf(office, MINE):
        pass
    assert serve_the_deaf(office)  # a Duty that lists nothing gives nothing away
    office.hears = True
    assert serve_the_deaf(office)
    assert office.grants.is_deaf(PC)
    office.beat()
    assert not office.grants.is_deaf(PC)
    assert office.serve(MINE) == [MINE]


def test_a_lost_answer_or_two_make_nobody_deaf() -> None:
    office = Office()
    office.serve(MINE)
    for _ in range(10):
        office.hears = False
        assert all(serve_the_deaf(office, MINE) for _ in range(9))
        office.hears = True
        assert serve_the_deaf(office, MINE)


def test_how_far_an_earlier_coordinator_had_counted_makes_nobody_deaf() -> None:
    office = Office()
    office.revisions[PC] = 900
    office.beat(fence=Fence(1, 3))
    office.confirm()
    assert office.duty() is not None
    assert all(serve_the_deaf(office, MINE) for _ in range(20))


def test_whoever_was_heard_once_and_never_answered_has_its_time_too() -> None:
    office = Office()
    office.settle()
    office.wait(20_000)
    office.beat()
    office.wait(GIVE_AWAY_MS - 1)
    assert office.lost(MINE) == {}
    office.now += 1
    assert office.lost(MINE) == {Cause.DOWN: [MINE]}


def test_what_has_ended_and_is_not_yet_reported_is_not_lost() -> None:
    office = Office()
    office.beat(holds=[EARLIER], ended=True)
    office.settle()
    office.beat(holds=[EARLIER], ended=True)
    assert office.lost(EARLIER) == {}


def test_our_own_stall_gives_nobody_up() -> None:
    office = Office()
    office.settle()
    office.serve(MINE)
    office.now += 3_600_000
    assert office.lost(MINE) == {}
    office.beat(holds=[MINE])
    office.wait(5_000)
    assert office.lost(MINE) == {}


def test_after_recover_nothing_is_given_away_for_ten_seconds() -> None:
    office = Office(recovered=True)
    office.grants.dead(PI, [MINE])
    office.wait(RECOVERED_MS - 1)
    assert office.lost(EARLIER, MINE, node=PI) == {}
    office.now += 1
    assert office.lost(EARLIER, MINE, node=PI) == {Cause.DOWN: [EARLIER, MINE]}


def test_nor_is_anything_given_to_anybody() -> None:
    """What was given behind the fork, of which this coordinator does not know, may still run under its last lease."""
    assert Office().grants.may_give(0)
    office = Office(recovered=True)
    office.wait(RECOVERED_MS - 1)
    assert not office.grants.may_give(office.now)
    office.now += 1
    assert office.grants.may_give(office.now)


def test_a_witness_moves_at_once_and_what_is_dead_is_not_listed() -> None:
    for waited in (0, GIVE_AWAY_MS):
        office = Office()
        office.wait(waited)
        office.serve(MINE)
        assert office.lost(MINE) == {}
        office.grants.dead(PC, [MINE])
        assert office.listed(MINE) == []
        assert office.lost(MINE) == {Cause.DOWN: [MINE]}


def test_what_a_witness_saw_dead_says_nothing_of_the_rest_of_a_machine_that_beats() -> None:
    office, other = Office(), AttemptId(attempt_id(1, 201, 0))
    office.settle()
    office.serve(MINE, other)
    for _ in range(GIVE_AWAY_MS // 500):
        office.wait(500)
        office.beat(holds=[MINE, other])  # and no quorum answers
    office.grants.dead(PC, [other])
    assert office.lost(MINE, other) == {Cause.DOWN: [other]}


def test_who_said_it_goes_gives_up_at_once_what_it_does_not_hold() -> None:
    held = AttemptId(attempt_id(1, 201, 0))
    done = AttemptId(attempt_id(1, 202, 0))
    for going in (Going.SLEEP, Going.SHUTDOWN, Going.LEAVE):
        office = Office()
        office.settle()
        office.serve(MINE, held, done)
        office.beat(holds=[held], going=going)
        office.confirm()
        assert office.duty(MINE) is None
        assert office.lost(MINE, held, done) == {Cause.LEFT: [MINE, done]}
        office.wait(GIVE_AWAY_MS)
        assert office.lost(held) == {Cause.DOWN: [held]}


def test_what_has_ended_is_not_held_by_who_goes() -> None:
    office = Office()
    office.settle()
    office.serve(MINE)
    office.beat(holds=[MINE], ended=True)
    assert office.lost(MINE) == {}
    office.beat(holds=[MINE], ended=True, going=Going.SHUTDOWN)
    assert office.lost(MINE) == {Cause.LEFT: [MINE]}


def test_who_comes_back_after_saying_so_is_served_again() -> None:
    office = Office()
    office.settle()
    office.serve()
    office.beat(going=Going.SLEEP)
    assert office.lost(MINE) == {Cause.LEFT: [MINE]}
    other = AttemptId(attempt_id(1, 203, 0))
    office.beat()
    office.confirm()
    assert office.listed(MINE, other) == [other]


def test_a_removed_machine_is_not_answered_and_moves_when_its_lease_is_over() -> None:
    office = Office()
    office.settle()
    office.serve(MINE)
    office.grants.removed(PC)
    office.wait(GIVE_AWAY_MS - 1, PC)
    office.confirm()
    assert office.duty(MINE) is None
    assert office.lost(MINE) == {}
    office.now += 1
    assert office.lost(MINE) == {Cause.LEFT: [MINE]}


def test_a_removed_machine_that_was_never_heard_moves_when_all_is_settled() -> None:
    office = Office()
    office.grants.removed(PI)
    assert office.lost(EARLIER, node=PI) == {}
    office.settle()
    assert office.lost(EARLIER, node=PI) == {Cause.LEFT: [EARLIER]}


def test_a_machine_that_is_well_costs_nothing() -> None:
    office = Office()
    office.settle()
    office.serve()
    office.lost()

    work = iter([Work(MINE, TaskId(1))])
    assert office.grants.give_away(PC, work, office.now) == {}
    assert len(list(work)) == 1  # not even looked at


# -- patience ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run_ms", "asked", "restarting", "patience"),
    [
        (0, -1, False, 0),
        (-5, -1, False, 0),
        (10_000, -1, False, 1_000),
        (600_000, -1, False, 60_000),
        (86_400_000, -1, False, PATIENCE_MOST_MS),
        (10_000, -1, True, PATIENCE_MOST_MS),
        (86_400_000, 0, False, 0),
        (86_400_000, 0, True, 0),
        (0, 3_600_000, False, 3_600_000),
    ],
)
def test_patience_grows_with_the_work_unless_its_job_says_otherwise(
    run_ms: int, asked: int, restarting: bool, patience: int
) -> None:
    assert patience_ms(run_ms, asked, restarting) == patience


def test_long_work_is_waited_for_and_short_work_of_the_same_machine_is_not() -> None:
    office = Office()
    office.settle()
    short = AttemptId(attempt_id(1, 201, 0))
    office.beat(holds=[MINE], elapsed=100_000)
    office.confirm()
    office.duty(MINE, short)
    office.wait(GIVE_AWAY_MS)
    assert office.lost(MINE, short) == {Cause.DOWN: [short]}
    office.wait(9_999)
    assert office.lost(MINE) == {}
    office.now += 1
    assert office.lost(MINE) == {Cause.DOWN: [MINE]}


def test_a_restart_that_was_announced_is_waited_for() -> None:
    office = Office()
    office.settle()
    office.serve(MINE)
    office.serve(MINE, going=Going.RESTART)
    office.wait(GIVE_AWAY_MS + PATIENCE_MOST_MS - 1)
    assert office.lost(MINE) == {}
    office.now += 1
    assert office.lost(MINE) == {Cause.DOWN: [MINE]}


# -- why it was lost ---------------------------------------------------------------------------------------------------


def two_silent(apart: int) -> Office:
    office = Office()
    office.settle()
    office.serve(node=PI)
    office.wait(apart // 500 * 500, PC)
    office.serve(MINE)
    office.wait(GIVE_AWAY_MS)
    return office


def test_two_that_fall_silent_within_half_a_minute_say_nothing_about_the_task() -> None:
    assert two_silent(0).lost(MINE) == {Cause.MASS: [MINE]}
    assert two_silent(MASS_MS - 500).lost(MINE) == {Cause.MASS: [MINE]}
    assert two_silent(MASS_MS + 1_000).lost(MINE) == {Cause.DOWN: [MINE]}


def test_both_of_them() -> None:
    office = two_silent(0)
    assert office.lost(MINE, node=PC) == {Cause.MASS: [MINE]}
    assert office.lost(EARLIER, node=PI) == {Cause.REBOOT: [EARLIER]}
    second = AttemptId(attempt_id(1, 300, 0))
    assert office.lost(second, node=PI) == {Cause.MASS: [second]}


def test_two_that_a_new_coordinator_never_heard_count_too() -> None:
    office = Office()
    office.lost(EARLIER, node=PI)
    office.lost(EARLIER + 1, node=NodeNumber(3))  # type: ignore[arg-type]
    office.settle()
    assert office.lost(EARLIER, node=PI) == {Cause.MASS: [EARLIER]}


def test_who_beats_or_has_left_is_not_another_that_fell_silent() -> None:
    office = Office()
    office.settle()
    office.serve(MINE)
    office.serve(node=PI)
    office.serve(node=NodeNumber(3))
    office.beat(NodeNumber(3), going=Going.LEAVE)
    office.serve(node=NodeNumber(4))
    office.grants.removed(NodeNumber(4))
    office.wait(GIVE_AWAY_MS, PI)
    assert office.lost(MINE) == {Cause.DOWN: [MINE]}


def test_who_was_missing_and_was_heard_since_is_missing_no_more() -> None:
    office = Office()
    office.lost(EARLIER, node=PI)
    office.wait(5_000)
    office.serve(MINE)
    office.wait(GIVE_AWAY_MS, PI)
    assert office.lost(MINE) == {Cause.DOWN: [MINE]}


def test_who_is_still_heard_by_another_member_is_cut_off_and_not_down() -> None:
    office = two_silent(0)
    assert office.lost(MINE, cut=(PC,)) == {Cause.CUT: [MINE]}


def test_silence_is_counted_only_after_five_seconds() -> None:
    assert GONE_MS < GIVE_AWAY_MS

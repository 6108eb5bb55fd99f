"""The tail of an old coordinator's log: what it did behind the fork, and what becomes of that."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from odyssey.clock import SeededEntropy
from odyssey.commands import CancelTasks, EndBackoff, HoldJob, SetPriority, Span, SubmitJobs
from odyssey.ids import ClientId, JobId, NodeNumber, UserId
from odyssey.model import Job, JobState, TaskState, job_state
from odyssey.scheduler.apply import apply
from odyssey.scheduler.dump import dump, load
from odyssey.scheduler.salvage import Numbers, Tail, history_again, history_of, of_today, offers_of, submit_of, tail_of
from odyssey.scheduler.segments import Kept, Packed, Packing, contents, ripe
from odyssey.scheduler.state import State
from odyssey.spec import JobSpec
from tests.builders import Mesh, a_spec
from tests.scheduler.life import Life

ORIGIN = b"o" * 16


class Sides:
    """One mesh up to the fork; then the old coordinator goes on with it, and a new one of the next generation."""

    def __init__(self, before: Mesh) -> None:
        self.fork = before.state.head.index
        self.at_fork = list(dump(before.state))
        self.old, self.new = self.side(before, 1, 1), self.side(before, 2, 2)
        self.segments: dict[bytes, bytes] = {}

    def side(self, before: Mesh, generation: int, term: int) -> Mesh:
        side = Mesh(generation, term)
        side.state = load(self.at_fork)
        side.entries = list(before.entries)
        side._clients = 1000 * generation
        return side

    def tail(self, snapshot_at: int = 0) -> Tail:
        """With the state of a snapshot at this index."""
        base, _ = apply(State(), self.old.entries[:snapshot_at])
        return tail_of(base, self.old.entries[snapshot_at:], self.fork, ORIGIN)

    def weighed(self, snapshot_at: int = 0) -> Weighed:
        tail = self.tail(snapshot_at)
        numbers = told(tail, self.new.state)
        open_ = [offer for offer in offers_of(tail) if not numbers.knows(offer.client)]
        cancels = [(numbers.here(one.of), one.only, one.by) for one in tail.cancels]
        live = [one for one in cancels if one[0] in self.new.state.jobs and self.new.job(one[0]).live]
        history = [one for made in self.history(tail) for one in contents(made.data).jobs]
        return Weighed(history, [left.job.id for offer in open_ for left in offer.jobs], live)

    def history(self, tail: Tail) -> list[Packed]:
        again = (one for digest in tail.segments for one in history_again(self.segments[digest], tail))
        return [*history_of(tail), *again]

    def archive(self) -> None:
        packing = Packing(self.old.state, ripe(self.old.state).jobs)
        while (made := packing.step()) is None:
            pass
        self.segments[made.digest] = made.data
        self.old.do(made.order(self.old.fence))


class Weighed(NamedTuple):
    """What becomes of a tail, at a coordinator that knows what it knows."""

    history: list[Kept]
    offered: list[JobId]  # by their old numbers
    cancels: list[tuple[JobId | None, tuple[Span, ...], UserId]]


def told(tail: Tail, state: State) -> Numbers:
    numbers = Numbers(tail)
    for client in numbers.to_ask([*tail.jobs, *(one.of for one in tail.cancels)]):
        if (known := state.clients.get(client)) is not None:
            numbers.learn(client, known.first, known.jobs)
    return numbers


def forked(*fields: dict[str, Any]) -> Sides:
    """Two machines, and a job for each of the fields, before the fork."""
    mesh = Mesh()
    mesh.machines(2, cpus=64)
    for one in fields:
        mesh.submit(**one)
    return Sides(mesh)


def run(mesh: Mesh, job: int, code: int = 0) -> None:
    mesh.assign(job, 1)
    mesh.report(job, code=code, run_ms=500)


def send(mesh: Mesh, client: bytes, *specs: JobSpec) -> JobId:
    mesh.do(SubmitJobs(ClientId(client * 16), mesh.state.head.index, specs or (a_spec(),)))
    return mesh.state.clients[ClientId(client * 16)].first


def ids(weighed: Weighed) -> tuple[list[int], list[int]]:
    """Old numbers of what becomes history, and of what is offered."""
    return sorted(kept.job.id for kept in weighed.history), list(weighed.offered)


# -- what is in a tail -------------------------------------------------------------------------------------------------


def test_an_old_log_that_did_not_go_on_has_an_empty_tail() -> None:
    sides = forked({}, {})
    assert sides.tail() == Tail(
        ORIGIN, sides.fork, sides.fork, (), (), {NodeNumber(1): "pc-1", NodeNumber(2): "pc-2"}, ()
    )
    assert sides.weighed() == ([], [], [])


def test_only_what_changed_behind_the_fork_is_in_it() -> None:
    sides = forked({}, {}, {"count": 3})
    run(sides.old, 2)
    sides.old.assign(3, 2, 1)
    assert [left.job.id for left in sides.tail().jobs] == [2, 3]
    assert [left.is_new for left in sides.tail().jobs] == [False, False]


def test_a_result_is_in_it_with_its_tries_and_the_machines_they_speak_of() -> None:
    sides = forked()
    job = sides.old.submit()
    run(sides.old, job, code=3)
    (left,) = sides.tail().jobs
    assert left.job == sides.old.job(job)
    assert left.tasks == (sides.old.task(job),)
    assert left.tasks[0].tries[0].code == 3
    (made,) = history_of(sides.tail())
    assert contents(made.data).names == {1: "pc-1"}


# -- what becomes of it ------------------------------------------------------------------------------------------------


def test_what_ended_there_and_is_unknown_here_becomes_history() -> None:
    sides = forked()
    job = sides.old.submit()
    run(sides.old, job, code=1)
    weighed = sides.weighed()
    assert ids(weighed) == ([job], [])
    assert job_state(weighed.history[0].job) is JobState.FAILED


def test_what_did_not_end_and_is_unknown_here_is_offered_by_its_client_id() -> None:
    sides = forked()
    waits, runs = send(sides.old, b"w"), send(sides.old, b"r")
    sides.old.assign(runs, 1)
    assert ids(sides.weighed()) == ([], [waits, runs])
    assert [offer.client for offer in offers_of(sides.tail())] == [b"w" * 16, b"r" * 16]


def test_what_was_sent_again_here_is_known_by_its_client_id_whatever_its_number() -> None:
    sides = forked()
    send(sides.new, b"x")
    there, here = send(sides.old, b"a"), send(sides.new, b"a")
    assert there != here
    assert ids(sides.weighed()) == ([], [])
    tail = sides.tail()
    assert told(tail, sides.new.state).here(tail.jobs[0]) == here
    run(sides.old, there)
    assert ids(sides.weighed()) == ([there], []), "shown, and what it is here counts"


def test_one_number_may_mean_two_jobs() -> None:
    sides = forked()
    sides.new.generation = 1  # as if the numbers had not jumped
    there, here = send(sides.old, b"a"), send(sides.new, b"b")
    assert there == here
    tail = sides.tail()
    assert told(tail, sides.new.state).here(tail.jobs[0]) is None
    assert ids(sides.weighed()) == ([], [there])
    run(sides.old, there)
    assert ids(sides.weighed()) == ([there], [])


def test_a_job_from_before_the_fork_is_known_to_both_and_its_result_here_counts() -> None:
    sides = forked({}, {}, {})
    run(sides.old, 1)
    run(sides.new, 1, code=5)
    run(sides.old, 2)
    sides.old.assign(3, 1)
    weighed = sides.weighed()
    assert ids(weighed) == ([1, 2], [])
    assert weighed.history[0].tasks[0].tries[0].code == 0
    assert sides.new.task(1).tries[0].code == 5


def test_a_submit_from_before_the_fork_is_known_here_however_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client id is one of so many only; without it the job would be submitted a second time."""
    sides = forked({}, {})
    monkeypatch.setattr("odyssey.scheduler.draft.MAX_CLIENTS", 2)
    for _ in range(3):
        sides.new.submit()
    assert sides.new.job(1).client not in sides.new.state.clients
    sides.old.assign(1, 1)
    run(sides.old, 2)
    assert ids(sides.weighed()) == ([2], [])


def test_each_job_of_a_submit_is_found_at_its_place() -> None:
    sides = forked()
    there, here = (send(side, b"a", a_spec(), a_spec(), a_spec()) for side in (sides.old, sides.new))
    run(sides.old, there + 2)
    tail = sides.tail()
    numbers = told(tail, sides.new.state)
    assert [numbers.here(left) for left in tail.jobs] == [here, here + 1, here + 2]


# -- cancels -----------------------------------------------------------------------------------------------------------


def cancel(mesh: Mesh, job: int) -> None:
    mesh.do(CancelTasks(JobId(job), by=UserId("anna")))


def test_cancels_are_listed_where_the_job_goes_on_here() -> None:
    sides = forked({}, {})
    there, here = send(sides.old, b"a"), send(sides.new, b"a")
    for job in (1, 2, there):
        cancel(sides.old, job)
    run(sides.new, 2)
    weighed = sides.weighed()
    assert weighed.cancels == [(1, (), "anna"), (here, (), "anna")]


def test_a_cancel_that_was_refused_is_none() -> None:
    sides = forked({})
    cancel(sides.old, 77)
    assert sides.tail().cancels == ()


def test_what_was_being_cancelled_and_is_unknown_here_is_over() -> None:
    sides = forked()
    job = sides.old.submit(count=2)
    sides.old.assign(job, 1, 0)
    cancel(sides.old, job)
    assert sides.old.job(job).live
    weighed = sides.weighed()
    assert ids(weighed) == ([job], [])
    kept = weighed.history[0]
    assert (kept.job.ended_index, kept.job.attempts) == (sides.old.state.head.index, 0)
    assert kept.job.counts[TaskState.CANCELLED] == 2
    assert [(task.state, task.attempts) for task in kept.tasks] == [(TaskState.CANCELLED, ())]


# -- the old side's own snapshots and segments -------------------------------------------------------------------------


def test_what_the_old_coordinator_archived_is_in_it_too() -> None:
    sides = forked({})
    job = sides.old.submit()
    run(sides.old, job)
    run(sides.old, 1)
    sides.archive()
    assert sides.old.state.jobs == {}
    assert ids(sides.weighed()) == ([1, job], [])


def test_what_ended_before_the_fork_and_was_archived_behind_it_is_known_to_both() -> None:
    mesh = Mesh()
    mesh.machine()
    mesh.submit()
    run(mesh, 1)
    sides = Sides(mesh)
    sides.archive()
    assert len(sides.tail().segments) == 1
    assert ids(sides.weighed()) == ([], [])


def test_history_that_was_adopted_behind_the_fork_is_adopted_as_it_is() -> None:
    first = forked()
    run(first.old, first.old.submit())
    (made,) = first.history(first.tail())
    second = forked()
    second.old.do(made.adoption(second.old.fence))
    second.segments[made.digest] = made.data
    later = second.tail()._replace(origin=b"p" * 16)
    assert [one.digest for one in second.history(later)] == [made.digest]


def test_a_segment_that_both_know_is_not_in_it() -> None:
    mesh = Mesh()
    mesh.machine()
    mesh.submit()
    run(mesh, 1)
    before = Sides(mesh)
    before.archive()
    after = Sides(before.old)
    after.segments = before.segments
    assert not after.tail().jobs
    assert not after.tail().segments


@pytest.mark.parametrize("past", [0, 1, 3, 9])
def test_wherever_its_snapshot_is_the_same_comes_of_it(past: int) -> None:
    """Also behind the fork, where the state at the fork is not to be had any more."""
    sides = forked({}, {})
    known, new = send(sides.old, b"k"), send(sides.old, b"n")
    send(sides.new, b"k")
    for job in (1, known, new):
        run(sides.old, job)
    waits = send(sides.old, b"w")
    cancel(sides.old, 2)
    expected = sides.weighed()
    assert ids(expected) == ([1, 2, known, new], [waits])
    assert sides.weighed(sides.fork + past) == expected


# -- submitting it again -----------------------------------------------------------------------------------------------


def resubmitted(sides: Sides) -> list[Job]:
    """All offers are taken, in the order in which that is possible."""
    tail, made = sides.tail(), []
    numbers = told(tail, sides.new.state)
    offers = [offer for offer in offers_of(tail) if not numbers.knows(offer.client)]
    while offers:
        ready = [(offer, submit_of(offer, told(tail, sides.new.state))) for offer in offers]
        for offer, command in ready:
            if command is not None:
                sides.new.do(of_today(command, sides.new.state))
                first = sides.new.state.clients[command.client].first
                made += [sides.new.job(first + place) for place in range(len(command.specs))]
                offers.remove(offer)
    assert sides.weighed().offered == []
    return made


def test_an_offer_is_submitted_as_it_was_seen_last() -> None:
    sides = forked()
    job = send(sides.old, b"a", a_spec(count=7, name="film"))
    sides.old.do(SetPriority(job, 4))
    sides.old.do(HoldJob(job))
    (again,) = resubmitted(sides)
    assert (again.client, again.priority, again.held) == (b"a" * 16, 4, True)
    assert (again.spec.count, again.spec.name) == (7, "film")


def test_what_a_job_waited_for_is_found_by_its_new_number() -> None:
    sides = forked({}, {})
    done = send(sides.old, b"d")
    parent = send(sides.old, b"p")
    run(sides.old, done)
    child = send(sides.old, b"c", a_spec(after=(JobId(1), parent, done), after_any=(JobId(2),)))
    assert sides.old.job(child).blockers == (1, parent, 2)
    first, second = resubmitted(sides)
    assert second.spec.after == (1, first.id)
    assert second.spec.after_any == (2,)
    assert second.blockers == (1, first.id, 2)


def test_a_child_waits_until_its_parent_has_been_submitted() -> None:
    sides = forked()
    parent = send(sides.old, b"p")
    send(sides.old, b"c", a_spec(after=(parent,)))
    tail = sides.tail()
    assert [submit_of(offer, told(tail, sides.new.state)) is None for offer in offers_of(tail)] == [False, True]


def test_what_a_job_waited_for_and_is_history_here_is_waited_for_no_more() -> None:
    sides = forked({})
    send(sides.old, b"c", a_spec(after=(JobId(1),)))
    run(sides.new, 1)
    sides.new.state.jobs.pop(JobId(1))
    tail = sides.tail()
    (offer,) = offers_of(tail)
    command = submit_of(offer, told(tail, sides.new.state))
    assert command is not None
    assert command.specs[0].after == (1,)
    today = of_today(command, sides.new.state)
    assert (today.specs[0].after, today.seen_index) == ((), sides.new.state.head.index)


def test_of_a_submit_only_what_did_not_end_is_offered() -> None:
    sides = forked()
    first = send(sides.old, b"a", a_spec(), a_spec(), a_spec(after_here=(0, 1)))
    run(sides.old, first)
    assert ids(sides.weighed()) == ([first], [first + 1, first + 2])
    parent, child = resubmitted(sides)
    assert child.spec.after_here == (0,)
    assert child.blockers == (parent.id,)
    assert ids(sides.weighed()) == ([first], []), "asked again, the rest is known now"
    tail = sides.tail()
    numbers = told(tail, sides.new.state)
    assert [numbers.here(left) for left in tail.jobs] == [None, parent.id, child.id]


def test_what_may_have_run_and_must_not_twice_needs_somebodys_word() -> None:
    sides = forked()
    send(sides.old, b"a", a_spec(once=True))
    started = send(sides.old, b"b", a_spec(once=True))
    send(sides.old, b"c")
    sides.old.assign(started, 1)
    assert [offer.needs_word for offer in offers_of(sides.tail())] == [False, True, False]


# -- whatever happened -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(15))
def test_nothing_acknowledged_behind_the_fork_is_left_out(seed: int) -> None:
    life = Life(SeededEntropy(seed))
    for _ in range(60):
        step(life)
    sides = Sides(life.mesh)
    life.mesh = sides.old
    for _ in range(80):
        step(life)
    snapshot_at = life.draw.choose([0, sides.fork // 2, sides.fork, sides.fork + 20])
    weighed = sides.weighed(snapshot_at)
    ended = {job.id for job in sides.old.state.jobs.values() if not job.live}
    new = {number for number in sides.old.state.jobs if number not in sides.new.state.jobs}
    history, offered = set(ids(weighed)[0]), set(weighed.offered)
    stopped = {number for number in new - ended if not any(sides.old.job(number).counts[:2])}
    assert history == {job for job in ended if sides.old.job(job).ended_index > sides.fork} | stopped
    assert history >= new & ended
    assert offered == new - ended - stopped
    assert new
    assert ended
    assert len(resubmitted(sides)) == len(offered)


def step(life: Life) -> None:
    life.step()
    waiting = [job for job in life.mesh.state.jobs.values() if job.live and not job.held and not job.attempts]
    if waiting:
        nodes = [number for number, node in life.mesh.state.nodes.items() if not node.removed]
        life.mesh.assign(life.draw.choose(waiting).id, life.draw.choose(nodes), 0)
    if life.mesh.state.backoffs:
        life.mesh.do(EndBackoff(life.mesh.fence, tuple(life.mesh.state.backoffs)))


def test_its_history_becomes_part_of_the_new_ones_once() -> None:
    sides = forked()
    job = sides.old.submit()
    run(sides.old, job, code=4)
    sides.archive()
    (made,) = sides.history(sides.tail())
    sides.new.do(made.adoption(sides.new.fence))
    assert sides.history(sides.tail()) == [made]
    sides.new.do(made.adoption(sides.new.fence))
    assert list(sides.new.state.segments) == [made.digest]
    found = contents(made.data)
    assert (found.origin, found.names) == (ORIGIN, {1: "pc-1"})
    (kept,) = found.jobs
    assert (kept.job.id, kept.tasks[0].tries[0].code) == (job, 4)

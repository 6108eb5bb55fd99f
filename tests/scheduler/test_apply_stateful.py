"""Whatever is ordered, in whatever order: every state is sound, and a reloaded one goes on like the one it was made of.

Random commands, many of them stale or senseless, are applied one by one. After each, the invariants are walked from end
to end, and a witness that knows nothing of the code keeps its own books from the events: results, attempts, rooms.
"""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey import wire
from odyssey.clock import Entropy, SeededEntropy
from odyssey.commands import CancelTasks, Command, Entry, Report, ReportAttempts
from odyssey.events import (
    AttemptEnded,
    BacklogPromoted,
    ChangedNothing,
    CommandFailed,
    CommandRefused,
    Event,
    TasksAssigned,
    TasksEnded,
    TasksRetried,
)
from odyssey.ids import AttemptId, NodeNumber, TaskId, job_of, task_id
from odyssey.model import ENDED, Outcome, TaskState, Use
from odyssey.scheduler.apply import apply
from odyssey.scheduler.draft import replace
from odyssey.scheduler.dump import dump, load, state_hash
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.state import Head, State
from tests.scheduler.storm import Storm


class Drawn(Entropy):
    """Chance, as Hypothesis gives it: what fails is made small."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def bits(self, n: int) -> int:
        return self._data.draw(st.integers(0, (1 << n) - 1))

    def below(self, n: int) -> int:
        return self._data.draw(st.integers(0, n - 1))


class Witness:
    """Keeps books of what the events told, and complains when they tell what cannot be."""

    def __init__(self) -> None:
        self.started: set[AttemptId] = set()
        self.newest = AttemptId(0)
        self.results: Counter[TaskId] = Counter()
        self.ended: dict[TaskId, TaskState] = {}
        self.may_have_run: set[TaskId] = set()  # --once tasks that a machine may have started

    def sees(self, state: State, before: dict[NodeNumber, Use], events: list[Event]) -> None:
        assert events
        for event in events:
            assert not isinstance(event, CommandFailed), event
            match event:
                case TasksAssigned():
                    self._assigned(state, event)
                case AttemptEnded():
                    self._attempt_ended(state, event)
                case TasksEnded():
                    self._ended(event)
                case TasksRetried():
                    self._retried(event)
        self._rooms(state, before, events)

    def _assigned(self, state: State, event: TasksAssigned) -> None:
        spec = state.jobs[event.job].spec
        for start, stop in event.spans:
            for index in range(start, stop):
                task = task_id(event.job, index)
                assert task not in self.ended, "an ended task was given away"
                assert not (spec.once and task in self.may_have_run), "--once was given twice"
                (new,) = [one.id for one in state.tasks[task].attempts if one.node == event.node]
                assert new > self.newest, "attempt ids do not grow"
                self.newest = new
                self.started.add(new)

    def _attempt_ended(self, state: State, event: AttemptEnded) -> None:
        assert event.attempt in self.started
        spec = state.jobs[job_of(event.task)].spec
        if spec.once and event.outcome not in (Outcome.REJECTED, Outcome.NOT_HERE):
            self.may_have_run.add(event.task)

    def _ended(self, event: TasksEnded) -> None:
        for start, stop in event.spans:
            for index in range(start, stop):
                task = task_id(event.job, index)
                assert task not in self.ended, "a task ended twice"
                self.ended[task] = event.state
                self.results[task] += event.state is TaskState.DONE
                assert self.results[task] <= 1, "a task has two results"

    def _retried(self, event: TasksRetried) -> None:
        for start, stop in event.spans:
            for index in range(start, stop):
                assert self.ended.pop(task_id(event.job, index)) is not TaskState.DONE
                self.may_have_run.discard(task_id(event.job, index))

    def _rooms(self, state: State, before: dict[NodeNumber, Use], events: list[Event]) -> None:
        """Who was given more in this entry has room for all that it holds."""
        given = {event.node for event in events if isinstance(event, TasksAssigned | BacklogPromoted)}
        for number in given & state.nodes.keys():
            use, total, was = state.uses[number], state.nodes[number].total, before.get(number, Use())
            assert use.cpu_milli <= max(was.cpu_milli, total.cpu_milli)
            assert use.memory <= max(was.memory, total.memory)
            assert use.gpus <= max(was.gpus, total.gpus)
            assert use.disk <= max(was.disk, total.disk)

    def agrees(self, state: State) -> None:
        """The records say what the events said."""
        for task in state.tasks.values():
            assert self.ended.get(task.id, task.state) == task.state
            assert (task.state in ENDED) == (task.id in self.ended)


class Run:
    """A mesh in a storm, with a twin that is made anew from a dump every now and then."""

    def __init__(self, entropy: Entropy, refresh: int) -> None:
        self.storm = Storm(entropy)
        self.state, self.twin = State(), State()
        self.witness = Witness()
        self.refresh = refresh

    def step(self) -> None:
        self.do(self.storm.command(self.state))

    def do(self, command: Command) -> None:
        index = self.state.head.index + 1
        entry = Entry(self.storm.generation, self.storm.term, index, 1_000, command)  # type: ignore[arg-type]
        head, before, uses = self.state.head, state_hash(self.state), dict(self.state.uses)
        self.state, events = apply(self.state, [entry])
        self.witness.sees(self.state, uses, events)
        self.witness.agrees(self.state)
        assert violations(self.state) == []
        if all(isinstance(event, ChangedNothing | CommandRefused) for event in events):
            self._nothing_has_changed(head, before)
        self._the_twin_agrees(wire.decode_log(wire.encode_log(entry), Entry), events)

    def _nothing_has_changed(self, head: Head, before: bytes) -> None:
        now = self.state.head
        if (now.generation, now.term) == (head.generation, head.term):
            self.state.head = replace(now, index=head.index)
            assert state_hash(self.state) == before
            self.state.head = now

    def _the_twin_agrees(self, entry: Entry, events: list[Event]) -> None:
        self.twin, same = apply(self.twin, [entry])
        assert same == events
        assert state_hash(self.twin) == state_hash(self.state)
        if entry.index % self.refresh == 0:
            self.twin = load(dump(self.state))
            assert state_hash(self.twin) == state_hash(self.state)
            assert violations(self.twin) == []

    def calm(self) -> None:
        """The storm is over: what runs ends, what waits is cancelled, and nothing is left behind."""
        for job in sorted(self.state.jobs.keys() - self.state.ended.keys()):
            self.do(CancelTasks(job))
        for node, attempts in sorted(self.state.held.items()):
            for attempt, task in sorted(attempts.items()):
                self.do(ReportAttempts(node, (Report(attempt, task, Outcome.EXITED),)))
        assert self.state.ended.keys() == self.state.jobs.keys()
        assert all(use == Use() for use in self.state.uses.values())
        assert not any(self.state.held.values())
        assert (self.state.reserved, self.state.children, self.state.backoffs) == ({}, {}, {})
        assert len(self.state.waiting) == 0


@given(st.data())
def test_no_order_breaks_the_state(data: st.DataObject) -> None:
    run = Run(Drawn(data), refresh=7)
    for _ in range(data.draw(st.integers(5, 60))):
        run.step()
    run.calm()


@pytest.mark.parametrize("seed", range(12))
def test_no_storm_breaks_the_state(seed: int) -> None:
    run = Run(SeededEntropy(seed), refresh=1 + seed * 5)
    for _ in range(400):
        run.step()
    run.calm()

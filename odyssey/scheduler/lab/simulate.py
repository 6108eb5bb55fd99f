"""One workload under one policy, from the first submission to the last end, on virtual time.

This is the coordinator. What reaches it becomes an entry and goes through the real `apply`; after every moment in which
something changed the real `plan` is asked, with a board that is kept from plan to plan, and its orders are applied and
then sent to the machines. Every ten minutes the queue ages and the usage fades.

Promises: the same workload, policy and weights give the same history; every history is checked against the invariants.
Never: tells the planner what a mesh could not know.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

from odyssey import commands as c
from odyssey import events as e
from odyssey.errors import ImpossibleStep
from odyssey.ids import AttemptId, ClientId, NodeId, NodeNumber, TaskId, index_of, job_of, task_id
from odyssey.model import Cause, TaskState, Use
from odyssey.scheduler.apply import apply
from odyssey.scheduler.board import Board
from odyssey.scheduler.fairshare import DECAY_EVERY_MS, keep_ppm
from odyssey.scheduler.feasible import Code
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.lab.floor import Coordinator, Floor, Span
from odyssey.scheduler.lab.timeline import Timeline
from odyssey.scheduler.lab.worker import Held
from odyssey.scheduler.lab.workload import Submission, Workload
from odyssey.scheduler.plan import orders, plan
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.snapshot import Snapshot
from odyssey.scheduler.state import State

AGE_MS: Final = 600_000
LOOK_AGAIN_MS: Final = 5_000  # while a task waits for a faster machine that may overrun
LONGEST_MS: Final = 14 * 24 * 3_600_000  # whoever has not ended by then would wait for ever
_FENCE: Final = c.Fence(1, 1)


class Times(NamedTuple):
    """Of one task; -1 where it did not come to that."""

    submitted_ms: int
    started_ms: int = -1  # for the first time
    ended_ms: int = -1
    failed: bool = False


class History(NamedTuple):
    workload: Workload
    policy: str
    times: Mapping[TaskId, Times]
    spans: tuple[Span, ...]
    end_ms: int
    faults: tuple[str, ...]  # what must not be: broken invariants, room that is not given back
    dropped: int  # assignments that the door refused

    def submission(self, task: TaskId) -> Submission:
        return self.workload.submissions[job_of(task) - 1]

    def work(self, task: TaskId) -> int:
        return self.submission(task).works[index_of(task)]


class Simulation:
    def __init__(
        self,
        workload: Workload,
        policy: str = "weighted",
        weights: Mapping[str, int] | None = None,
        learning: bool = True,
        policies: Mapping[str, Policy] = BUILT_IN,
    ) -> None:
        """`weights` replace single ones of the policy's own; without `learning` no run time is remembered."""
        self.state = State()
        self._workload, self._policy, self._learning, self._policies = workload, policy, learning, policies
        self._timeline, self._board = Timeline(), Board()
        self._floor = Floor(self._timeline, workload.machines, Coordinator(self._report, self._lose, self._look))
        self._times: dict[TaskId, Times] = {}
        self._left, self._dropped = workload.tasks, 0
        self._dirty = self._looking = False
        self._apply(c.SetPolicy(policy, tuple(sorted((weights or {}).items()))))
        for number, machine in enumerate(workload.machines, 1):
            self._apply(c.AdmitNode(NodeId(f"{number:026d}"), machine.name, machine.owner, machine.facts))
        for submission in workload.submissions:
            self._timeline.at(submission.at_ms, partial(self._submit, submission))
        self._timeline.at(AGE_MS, self._age)
        self._timeline.at(DECAY_EVERY_MS, self._decay)

    def run(self) -> History:
        while self._left and self._timeline.now <= LONGEST_MS and self._timeline.step():
            if self._dirty:
                self._plan()
        faults = self._faults()
        self._floor.stop_all()
        starts = self._floor.first_start
        times = {task: one._replace(started_ms=starts.get(task, -1)) for task, one in self._times.items()}
        spans = tuple(self._floor.spans)
        return History(self._workload, self._policy, times, spans, self._timeline.now, faults, self._dropped)

    def _faults(self) -> tuple[str, ...]:
        found = violations(self.state)
        if not self._left:
            found += [f"machine {node} still holds {use}" for node, use in self.state.uses.items() if use != Use()]
            found += [f"{user} still holds {cpu}" for user, cpu in self.state.reserved.items() if cpu]
        return tuple(found)

    # -- the log -------------------------------------------------------------------------------------------------------

    def _apply(self, command: c.AnyCommand) -> list[e.Event]:
        entry = c.Entry(1, 1, self.state.head.index + 1, self._timeline.now, command)
        self.state, events = apply(self.state, [entry])
        self._dirty = True
        for event in events:
            self._note(event)
        return events

    def _note(self, event: e.Event) -> None:
        match event:
            case e.TasksEnded():
                self._ended(event)
            case e.TaskRequeued() if event.backoff_ms:
                command = c.EndBackoff(_FENCE, (event.task,))
                self._timeline.after(event.backoff_ms, partial(self._order, command))
            case e.AssignmentDropped():
                self._dropped += sum(stop - start for start, stop in event.spans)
            case e.CommandRefused() | e.CommandFailed():
                raise ImpossibleStep(f"entry {event.index} of a laboratory run: {event.text}")

    def _ended(self, event: e.TasksEnded) -> None:
        for start, stop in event.spans:
            for index in range(start, stop):
                task = task_id(event.job, index)
                failed = event.state is not TaskState.DONE
                self._times[task] = self._times[task]._replace(ended_ms=self._timeline.now, failed=failed)
                self._left -= 1

    def _order(self, command: c.AnyCommand) -> None:
        self._apply(command)

    # -- what happens --------------------------------------------------------------------------------------------------

    def _submit(self, submission: Submission) -> None:
        self._floor.place(NodeNumber(submission.origin + 1), submission.spec.inputs)
        head = self.state.head
        self._apply(c.SubmitJobs(ClientId((head.index + 1).to_bytes(16, "big")), head.index, (submission.spec,)))
        for index in range(submission.spec.count):
            self._times[task_id(self.state.head.last_job, index)] = Times(self._timeline.now)

    def _report(self, command: c.ReportAttempts) -> None:
        self._apply(command)
        if not self._learning:
            self.state.learned.clear()

    def _lose(self, node: NodeNumber, together: bool) -> None:
        held = tuple(self.state.held.get(node, {}).items())
        if held:
            self._apply(c.LoseAttempts(_FENCE, Cause.MASS if together else Cause.DOWN, held))

    def _look(self) -> None:
        self._dirty = True

    def _age(self) -> None:
        self._apply(c.AgeQueue(_FENCE))
        self._timeline.after(AGE_MS, self._age)

    def _decay(self) -> None:
        self._apply(c.DecayUsage(_FENCE, keep_ppm(DECAY_EVERY_MS)))
        self._timeline.after(DECAY_EVERY_MS, self._decay)

    # -- decisions -----------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        again, waits = True, False
        while again:
            made = plan(Snapshot(self.state, self._floor.seen()), self._board, self._policies)
            for command in orders(made, _FENCE):
                self._carry_out(command)
            again, waits = made.more, any(one.code is Code.FASTER_SOON for one in made.blocked)
        self._dirty = False
        if waits and not self._looking:
            self._looking = True
            self._timeline.after(LOOK_AGAIN_MS, self._look_again)

    def _look_again(self) -> None:
        self._looking, self._dirty = False, True

    def _carry_out(self, command: c.Command) -> None:
        match command:
            case c.AssignTasks():
                for event in self._apply(command):
                    if isinstance(event, e.TasksAssigned):
                        self._send(event)
            case c.RecallAttempts():
                self._apply(command)
                for attempt, task in command.attempts:
                    self._floor.recall(self._holder(attempt, task), attempt)
            case c.GiveUpTasks():
                self._apply(command)
            case _:
                raise ImpossibleStep(f"the planner ordered {type(command).__name__}")

    def _holder(self, attempt: AttemptId, task: TaskId) -> NodeNumber:
        return next(one.node for one in self.state.tasks[task].attempts if one.id == attempt)

    def _send(self, event: e.TasksAssigned) -> None:
        machine, submission = self._workload.machines[event.node - 1], self._workload.submissions[event.job - 1]
        spec, helds = submission.spec, []
        for start, stop in event.spans:
            for index in range(start, stop):
                task = task_id(event.job, index)
                run_ms = self._workload.run_ms(spec.want.key, submission.works[index], machine)
                helds.append(Held(self.state.tasks[task].attempts[-1].id, task, spec, run_ms))
        self._floor.send(event.node, helds, event.slot)

"""A log as a busy mesh of people writes it: jobs of all kinds, machines that come, go and break, second thoughts.

Promises: drawn from a seed, so the same log every time; every kind of command occurs, also the ones that come too late.
Never: plans: machines are drawn, so that assignments also meet the door when they do not fit.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final

from bench.builders import GIB, MIB, WALL_MS, WHY, Mesh, client, spec, user, want
from odyssey.clock import SeededEntropy
from odyssey.commands import (
    AdmitNode,
    AgeQueue,
    ArchiveJobs,
    AssignTasks,
    Batch,
    CancelTasks,
    Command,
    DecayUsage,
    DrainNode,
    DropSegments,
    EndBackoff,
    Facts,
    Fence,
    GiveUpTasks,
    HoldJob,
    LoseAttempts,
    RecallAttempts,
    ReleaseJob,
    RemoveNode,
    RenameNode,
    Report,
    ReportAttempts,
    RetryTasks,
    SetPolicy,
    SetPriority,
    StartTerm,
    SubmitJobs,
    UpdateNode,
)
from odyssey.ids import AttemptId, JobId, NodeId, NodeNumber, TaskId
from odyssey.model import Cause, Outcome
from odyssey.resources import Resources
from odyssey.scheduler.draft import NO_USE, has_room
from odyssey.scheduler.line import task_indices
from odyssey.scheduler.runs import spans_of
from odyssey.spec import JobSpec, Want

KEPT: Final = 500  # ended jobs
_RARE: Final = tuple(one for one in Outcome if one not in (Outcome.EXITED, Outcome.CANCELLED, Outcome.LOST))
ENDS: Final = (*(Outcome.EXITED,) * 12, *_RARE)


class Traffic:
    """Draws the next command from what the mesh looks like now."""

    def __init__(self, seed: int, machines: int = 60) -> None:
        self.mesh = Mesh(keep=True, strict=False)
        self.mesh.machines(machines)
        self._draw = SeededEntropy(seed)
        self._wants = [self._a_want(at) for at in range(12)]
        self._kinds: list[Callable[[], Command | None]] = []
        for share, kind in (
            (240, self._submit),
            (320, self._assign),
            (320, self._report),
            (40, self._end_backoffs),
            (15, self._lose),
            (12, self._cancel),
            (10, self._second_thoughts),
            (10, self._retry),
            (6, self._recall),
            (4, self._give_up),
            (8, self._machine),
            (6, self._time),
            (4, self._archive),
        ):
            self._kinds += [kind] * share

    def run(self, commands: int) -> None:
        while len(self.mesh.log) < commands:
            command = self._draw.choose(self._kinds)()
            if command is not None:
                self.mesh.do(command)

    # -- people --------------------------------------------------------------------------------------------------------

    def _a_want(self, at: int) -> Want:
        fields = {"needs": "has:room"} if at == 3 else {"os": "linux"} if at == 5 else {}
        return want((0.5, 1, 2)[at % 3], (1 + at % 4) * GIB // 2, key=f"tool-{at % 7}", **fields)

    def _submit(self) -> Command:
        count = 1 if self._draw.chance(800) else 1 + self._draw.below(5)
        specs = tuple(self._a_spec(position) for position in range(count))
        head = self.mesh.state.head
        return SubmitJobs(client(head.index), head.index, specs)

    def _a_spec(self, position: int) -> JobSpec:
        draw = self._draw
        fields: dict[str, object] = {}
        if draw.chance(30):
            fields["count"] = 2 + draw.below(30)
        if draw.chance(300):
            fields["retries"] = draw.below(4)
        if draw.chance(50):
            fields["held"] = True
        if draw.chance(100):
            fields["priority"] = draw.below(7) - 3
        if draw.chance(100):
            fields["once" if draw.chance(500) and "retries" not in fields else "overlap"] = True
        if position and draw.chance(500):
            fields[draw.choose(("after_here", "after_any_here"))] = (draw.below(position),)
        if draw.chance(150) and (job := self._a_job()):
            fields[draw.choose(("after", "after_any"))] = (job,)
        return spec(draw.below(6), draw.choose(self._wants), **fields)

    def _a_job(self) -> JobId | None:
        """One of the newest that are in the state."""
        last = self.mesh.state.head.last_job
        job = JobId(last - self._draw.below(400))
        return job if job in self.mesh.state.jobs else None

    def _a_waiting_job(self) -> JobId | None:
        """An old one of the highest priority of anyone."""
        lanes = self.mesh.state.waiting.lanes
        if not lanes:
            return None
        of_user = lanes[self._draw.choose(sorted(lanes))]
        _, group = self._draw.choose(tuple(islice(of_user[max(of_user)], 4)))
        return JobId(self._draw.choose(tuple(islice(group.jobs, 4))))

    def _cancel(self) -> Command | None:
        """What someone regrets; or what has waited so long that nobody wants it any more."""
        job = self._a_job() if self._draw.chance(400) else self._a_waiting_job()
        return CancelTasks(job, ((0, 1),) if self._draw.chance(200) else ()) if job else None

    def _retry(self) -> Command | None:
        job = self._a_job()
        return RetryTasks(job) if job else None

    def _second_thoughts(self) -> Command | None:
        job = self._a_job()
        if job is None:
            return None
        priority = self._draw.below(9) - 4
        return self._draw.choose((HoldJob(job), ReleaseJob(job), ReleaseJob(job), SetPriority(job, priority)))

    # -- the coordinator -----------------------------------------------------------------------------------------------

    def _assign(self) -> Command | None:
        batches = [self._a_batch() for _ in range(1 + self._draw.below(3))]
        made = tuple(batch for batch in batches if batch is not None)
        return AssignTasks(self.mesh.fence, made, (WHY,)) if made else None

    def _a_batch(self) -> Batch | None:
        state, oldest = self.mesh.state, self._a_waiting_job()
        if oldest is None:
            return None
        job = state.jobs[oldest]
        indices = sorted(islice(task_indices(state, job), 1 + self._draw.below(4)))
        slot = not self._draw.chance(80)
        spans = tuple((index, index + 1) for index in indices)
        node = self._with_room(job.spec.want.need)
        return Batch(node, job.id, spans, slot, 0, 90_000) if node else None

    def _with_room(self, need: Resources) -> NodeNumber | None:
        state, node = self.mesh.state, None
        for _ in range(4):
            node = state.nodes[self._a_machine()]
            if has_room(state.uses.get(node.number, NO_USE), need, node.total):
                return node.number
        return node.number if node is not None and self._draw.chance(100) else None  # the door says no

    def _end_backoffs(self) -> Command | None:
        tasks = tuple(islice(sorted(self.mesh.state.backoffs), 20))
        return EndBackoff(self.mesh.fence, tasks) if tasks else None

    def _lose(self) -> Command | None:
        node = self._a_machine()
        held = tuple(sorted(self.mesh.state.held.get(node, {}).items()))
        some = held if self._draw.chance(300) else held[:2]
        return LoseAttempts(self.mesh.fence, self._draw.choose(tuple(Cause)), some) if some else None

    def _recall(self) -> Command | None:
        backlogs = [(node, use.backlog[-1]) for node, use in sorted(self.mesh.state.uses.items()) if use.backlog]
        if not backlogs:
            return None
        node, attempt = self._draw.choose(backlogs)
        return RecallAttempts(self.mesh.fence, ((attempt, self.mesh.state.held[node][attempt]),))

    def _give_up(self) -> Command:
        tasks = tuple(islice(reversed(self.mesh.state.tasks), 50))
        return GiveUpTasks(self.mesh.fence, tuple(sorted(tasks)))

    def _time(self) -> Command:
        fence = self.mesh.fence
        if self._draw.chance(150):
            fence = self.mesh.fence = Fence(fence.generation + self._draw.below(2), fence.term + 1)
            return StartTerm(fence)
        policy = self._draw.choose(("weighted", "sjf", "pack"))
        return self._draw.choose((AgeQueue(fence), DecayUsage(fence, 990_000), SetPolicy(policy)))

    def _archive(self) -> Command | None:
        """The oldest jobs that have ended."""
        state, fence = self.mesh.state, self.mesh.fence
        if self._draw.chance(200):
            return DropSegments(fence, tuple(islice(state.segments, 2)))
        old = [job for job in sorted(state.ended)[:-KEPT] if not state.jobs[job].attempts]
        return (
            ArchiveJobs(fence, state.head.index.to_bytes(32, "big"), 4096, spans_of(old), state.head.index)
            if old
            else None
        )

    # -- machines ------------------------------------------------------------------------------------------------------

    def _a_machine(self) -> NodeNumber:
        return self._draw.choose(sorted(self.mesh.state.nodes))

    def _report(self) -> Command | None:
        node = self._a_machine()
        held = sorted(self.mesh.state.held.get(node, {}).items())
        some = held[self._draw.below(len(held)) :][: 1 + self._draw.below(4)] if held else []
        told = [self._an_end(attempt, task) for attempt, task in some]
        if told and self._draw.chance(20):
            told.append(told[0])  # sent again
        return ReportAttempts(node, tuple(told)) if told else None

    def _an_end(self, attempt: AttemptId, task: TaskId) -> Report:
        run_ms = 100 + self._draw.below(20_000)
        outcome = Outcome.EXITED if self._draw.chance(850) else self._draw.choose(ENDS)
        code = int(outcome in (Outcome.EXITED, Outcome.SIGNALLED) and self._draw.chance(150))
        now = WALL_MS + self.mesh.state.head.index
        return Report(attempt, task, outcome, code, now - run_ms, now, run_ms, run_ms - 2, self._draw.below(900) * MIB)

    def _machine(self) -> Command:
        draw = self._draw
        node = self.mesh.state.nodes[self._a_machine()]
        facts = Facts(Resources(8000, 32 * GIB, 0, 100 * GIB), speed=600 + draw.below(1400), shared=True)
        if len(self.mesh.state.nodes) < 40 or draw.chance(150):
            number = self.mesh.state.head.last_node + 1
            return AdmitNode(NodeId(f"{number:026d}"), f"pc-{draw.below(90)}", user(draw.below(8)), facts)
        if draw.chance(200):
            return RemoveNode(node.number)
        if draw.chance(100):
            return RenameNode(node.number, f"pc-{draw.below(90)}")
        if draw.chance(300):
            return UpdateNode(node.number, facts)
        return DrainNode(node.number, not node.draining and draw.chance(200))

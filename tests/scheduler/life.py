"""A mesh that lives at random: people submit, machines work, fail, leave and come back, owners sit down and get up.

Every order here is sensible, unlike a storm's, and what beats would tell changes too: made for the deciding half.

Promises: the same seed gives the same life; a machine's observations stay the same object while nothing changed, as the
coordinator keeps them.
Never: plans. Whoever drives a life plans and carries out.
"""

from collections.abc import Callable

from odyssey.clock import Entropy
from odyssey.commands import (
    AgeQueue,
    CancelTasks,
    Command,
    DecayUsage,
    DrainNode,
    EndBackoff,
    Facts,
    HoldJob,
    LoseAttempts,
    ReleaseJob,
    RemoveNode,
    Report,
    ReportAttempts,
    RetryTasks,
    SetPolicy,
    SetPriority,
    SubmitJobs,
    UpdateNode,
)
from odyssey.events import AssignmentDropped, CommandFailed, CommandRefused, Event
from odyssey.ids import AttemptId, NodeNumber, TaskId, UserId, job_of
from odyssey.model import Attempt, Cause, Outcome
from odyssey.resources import Resources
from odyssey.scheduler.draft import replace
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.snapshot import NodeState, OwnerState, Seen, Snapshot
from odyssey.spec import Blob, JobSpec, Want
from tests.builders import GIB, Mesh, need

USERS = (UserId("anna"), UserId("ben"), UserId("cara"))
BLOBS = tuple(Blob(bytes([number]) * 4, size << 20) for number, size in enumerate((1, 40, 900)))
WANTS = (
    Want(need(1), key="quick"),
    Want(need(1), key="quick"),
    Want(need(1), key="steady"),
    Want(need("0.5", GIB // 4), key="long"),
    Want(need(2)),
    Want(need(4, 3 * GIB)),
    Want(need(1, 2 * GIB), key="quick", needs="has:ffmpeg"),
    Want(need(1), on=("pc-1", "pc-2")),
    Want(need(1), key="steady", avoid=("pc-1",)),
    Want(need(1, GIB, gpus=1), gpu_memory=2 * GIB),
    Want(need(1), arch="arm64"),
    Want(need(64)),
)
RUN_MS = {"quick": 700, "steady": 6_000, "long": 60_000, "": 2_000}
HARD = frozenset({Outcome.LOST})


class Life:
    def __init__(self, entropy: Entropy, policy: str = "weighted", machines: int = 4, steady: bool = False) -> None:
        """A steady life: the same machines as they are, under the same policy, to the end."""
        self.draw, self.mesh = entropy, Mesh()
        self.seen: dict[NodeNumber, Seen] = {}
        self.events: list[Event] = []
        for _ in range(machines):
            self.admit()
        self.do(SetPolicy(policy))
        unsteady = (self.drain, self.update_facts, self.admit_or_remove, self.set_policy)
        table = {act: weight for act, weight in self._table().items() if not (steady and act in unsteady)}
        self._acts = [act for act, weight in table.items() for _ in range(weight)]

    def snapshot(self) -> Snapshot:
        return Snapshot(self.mesh.state, {number: self.seen[number] for number in self.mesh.state.nodes})

    def step(self) -> None:
        self.draw.choose(self._acts)()

    def do(self, command: Command) -> None:
        events = self.mesh.do(command)
        assert not any(isinstance(event, CommandFailed | AssignmentDropped) for event in events), events
        self.events += events

    def _table(self) -> dict[Callable[[], None], int]:
        return {
            self.submit: 10,
            self.finish: 12,
            self.observe: 8,
            self.answer_recalls: 4,
            self.end_backoffs: 3,
            self.lose: 2,
            self.hold_or_release: 1,
            self.set_priority: 1,
            self.cancel_or_retry: 1,
            self.drain: 1,
            self.update_facts: 1,
            self.admit_or_remove: 1,
            self.age: 2,
            self.decay: 1,
            self.set_policy: 1,
        }

    # -- people --------------------------------------------------------------------------------------------------------

    def spec(self) -> JobSpec:
        inputs = tuple(blob for blob in BLOBS if self.draw.chance(300)) if self.draw.chance(250) else ()
        return JobSpec(
            self.draw.choose(USERS),
            (b"work",),
            self.draw.choose(WANTS),
            count=self.draw.choose([1, 1, 2, 5, 12]),
            priority=self.draw.choose([0, 0, 0, 1, -1]),
            retries=self.draw.below(3),
            held=self.draw.chance(50),
            inputs=inputs,
        )

    def submit(self) -> None:
        specs = tuple(self.spec() for _ in range(1 + self.draw.below(2)))
        self.do(SubmitJobs(self.mesh.client(), self.mesh.state.head.index, specs))

    def hold_or_release(self) -> None:
        live = [job for job in self.mesh.state.jobs.values() if job.live]
        if live:
            job = self.draw.choose(live)
            self.do(ReleaseJob(job.id) if job.held else HoldJob(job.id))

    def set_priority(self) -> None:
        live = [job.id for job in self.mesh.state.jobs.values() if job.live]
        if live:
            self.do(SetPriority(self.draw.choose(live), self.draw.below(5) - 2))

    def cancel_or_retry(self) -> None:
        jobs = list(self.mesh.state.jobs.values())
        if jobs:
            job = self.draw.choose(jobs)
            self.do(CancelTasks(job.id) if job.live else RetryTasks(job.id))

    # -- machines at work ----------------------------------------------------------------------------------------------

    def attempts(self) -> list[tuple[Attempt, TaskId]]:
        tasks = self.mesh.state.tasks
        held = [task for _, _, task in self.mesh.running()]
        return [(attempt, task) for task in dict.fromkeys(held) for attempt in tasks[task].attempts]

    def finish(self) -> None:
        """Some of what runs ends, well or badly; stopping attempts end as cancelled."""
        for attempt, task in self.attempts():
            if attempt.slot and self.draw.chance(400):
                outcome = Outcome.EXITED
                if attempt.stopping:
                    outcome = Outcome.CANCELLED
                elif self.draw.chance(200):
                    outcome = self.draw.choose([Outcome.OOM, Outcome.NOT_HERE, Outcome.NOT_HERE, Outcome.TIMEOUT])
                self.report(attempt, task, outcome)

    def answer_recalls(self) -> None:
        for attempt, task in self.attempts():
            if attempt.recalled and not attempt.slot:
                self.report(attempt, task, Outcome.REJECTED)

    def report(self, attempt: Attempt, task: TaskId, outcome: Outcome) -> None:
        node, want = self.mesh.state.nodes[attempt.node], self.mesh.state.jobs[job_of(task)].spec.want
        run_ms = self.draw.spread(RUN_MS[want.key] * 1000 // node.speed, 30)
        code = int(self.draw.chance(150))
        self.do(ReportAttempts(attempt.node, (Report(attempt.id, task, outcome, code, run_ms=run_ms),)))

    def end_backoffs(self) -> None:
        if self.mesh.state.backoffs:
            self.do(EndBackoff(self.mesh.fence, tuple(self.mesh.state.backoffs)))

    def lose(self) -> None:
        held = self.mesh.state.held.get(self.draw.choose(sorted(self.seen)), {})
        if held:
            self.do(LoseAttempts(self.mesh.fence, self.draw.choose(list(Cause)), tuple(held.items())))

    # -- machines themselves -------------------------------------------------------------------------------------------

    def facts(self) -> Facts:
        return Facts(
            Resources(
                self.draw.choose([1, 2, 4, 8]) * 1000, self.draw.choose([2, 4, 8]) * GIB, self.draw.below(3), GIB
            ),
            gpu_memory=self.draw.below(3) * GIB,
            arch=self.draw.choose(["x86_64", "x86_64", "arm64"]),
            labels=(("has:ffmpeg", ""),) if self.draw.chance(500) else (),
            speed=self.draw.choose([500, 1000, 1000, 2500]),
            shared=self.draw.chance(700),
        )

    def admit(self) -> None:
        facts = self.facts()
        number = self.mesh.machine(
            owner=self.draw.choose(USERS), **{f: getattr(facts, f) for f in Facts.__struct_fields__}
        )
        self.seen[number] = Seen()

    def admit_or_remove(self) -> None:
        members = [node.number for node in self.mesh.state.nodes.values() if not node.removed]
        if len(members) < 4 or self.draw.chance(500):
            self.admit()
        else:
            self.do(RemoveNode(self.draw.choose(members)))

    def drain(self) -> None:
        node = self.draw.choose([*self.mesh.state.nodes.values()])
        if not node.removed:
            self.do(DrainNode(node.number, not node.draining))

    def update_facts(self) -> None:
        node = self.draw.choose([*self.mesh.state.nodes.values()])
        if not node.removed:
            self.do(UpdateNode(node.number, self.facts()))

    def observe(self) -> None:
        """One machine's beats tell something new."""
        number = self.draw.choose(sorted(self.mesh.state.nodes))
        held = self.mesh.state.held.get(number, {})
        changes: list[dict[str, object]] = [
            {"state": self.draw.choose([NodeState.UP, NodeState.UP, NodeState.UP, *NodeState])},
            {"cpu_free_milli": self.draw.choose([None, 0, 500, 3000])},
            {"memory_free": self.draw.choose([None, 0, GIB // 2, 3 * GIB])},
            {"owner": self.draw.choose([None, *OwnerState])},
            {"mains": self.draw.choose([None, False, True])},
            {"stay_ms": self.draw.choose([None, 60_000, 7_200_000])},
            {"blobs": frozenset(blob.digest for blob in BLOBS if self.draw.chance(500))},
            {"elapsed_ms": {attempt: self.elapsed(attempt, task) for attempt, task in held.items()}},
        ]
        self.seen[number] = replace(self.seen[number], **self.draw.choose(changes))

    def elapsed(self, attempt: AttemptId, task: TaskId) -> int:
        return self.draw.below(2 * RUN_MS[self.mesh.state.jobs[job_of(task)].spec.want.key])

    # -- the coordinator -----------------------------------------------------------------------------------------------

    def age(self) -> None:
        self.do(AgeQueue(self.mesh.fence))

    def decay(self) -> None:
        self.do(DecayUsage(self.mesh.fence, 900_000))

    def set_policy(self) -> None:
        weights = (("speed", self.draw.below(100)),) if self.draw.chance(300) else ()
        self.do(SetPolicy(self.draw.choose(sorted(BUILT_IN)) if self.draw.chance(300) else self.policy(), weights))

    def policy(self) -> str:
        return self.mesh.state.head.policy


def refused(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, CommandRefused)]

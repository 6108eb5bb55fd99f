"""A source of random commands: sensible ones, stale ones, and ones that make no sense at all.

It looks at the state to find something to be right or wrong about, and remembers what is over, to bring it up again.

Promises: the same draws over the same state give the same commands, so every run can be repeated.
Never: changes the state, and never leaves out a kind of command.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from odyssey import commands as c
from odyssey.clock import Entropy
from odyssey.commands import Command, Fence, Span
from odyssey.ids import AttemptId, ClientId, JobId, NodeId, NodeNumber, TaskId, UserId, index_of, job_of, task_id
from odyssey.model import Cause, Outcome, TaskState, Use
from odyssey.resources import Resources
from odyssey.scheduler.draft import has_room
from odyssey.scheduler.runs import spans_of
from odyssey.scheduler.score import TERMS
from odyssey.scheduler.state import State
from odyssey.spec import RETRY_WORDS, JobSpec, Want

T = TypeVar("T")
GIB = 1 << 30
USERS = ("anna", "ben")
Held = tuple[NodeNumber, AttemptId, TaskId]


class Storm:
    """`command` is the next one. The state may change between two calls only by applying entries."""

    def __init__(self, entropy: Entropy) -> None:
        self.draw = entropy
        self.generation, self.term = 1, 1
        self.past: list[Held] = []  # attempts, current and over
        self.clients: list[ClientId] = []
        self.state = State()
        self._makers = [maker for maker, weight in self._table().items() for _ in range(weight)]

    def command(self, state: State) -> Command:
        self.state = state
        self.past = [*self.past, *self.held()][-40:]
        if len(state.nodes) < 3:
            return self.admit()
        if state.head.level < c.NEWEST_LEVEL and self.once_in(4):
            return c.SetLevel(self.fence(), c.NEWEST_LEVEL)
        return self.pick(self._makers)()

    def _table(self) -> dict[Callable[[], Command], int]:
        return {
            self.assign: 14,
            self.report: 12,
            self.submit: 8,
            self.lose: 6,
            self.end_backoff: 5,
            self.cancel: 3,
            self.retry: 4,
            self.recall: 2,
            self.give_up: 1,
            self.archive: 2,
            self.hold: 1,
            self.release: 2,
            self.priority: 1,
            self.update: 1,
            self.drain: 2,
            self.remove: 1,
            self.admit: 2,
            self.rename: 1,
            self.age: 1,
            self.decay: 1,
            self.drop_segments: 1,
            self.adopt_segment: 1,
            self.set_level: 1,
            self.set_policy: 1,
            self.start_term: 1,
            self.change_members: 1,
            self.make_invite: 1,
            self.end_invites: 1,
            self.admit_member: 2,
            self.renew_member: 1,
            self.revoke: 1,
            self.allow_issuer: 1,
        }

    # -- draws ---------------------------------------------------------------------------------------------------------

    def pick(self, options: Sequence[T]) -> T:
        return self.draw.choose(options)

    def below(self, n: int) -> int:
        return self.draw.below(n)

    def once_in(self, n: int) -> bool:
        return self.draw.below(n) == n - 1

    def some(self, options: Sequence[T], most: int = 3) -> tuple[T, ...]:
        if not options or self.once_in(20):
            return ()
        return tuple(self.pick(options) for _ in range(1 + self.below(most)))

    def fence(self) -> Fence:
        if self.once_in(12):
            return self.pick(
                [Fence(self.generation, self.term - 1), Fence(self.generation - 1, self.term), Fence(9, 9)]
            )
        return Fence(self.generation, self.term)

    # -- what there is -------------------------------------------------------------------------------------------------

    def held(self) -> list[Held]:
        return [(node, *one) for node, attempts in sorted(self.state.held.items()) for one in sorted(attempts.items())]

    def job(self, likely: Sequence[JobId] = ()) -> JobId:
        known = sorted(self.state.jobs)
        if not known or self.once_in(12):
            return JobId(self.pick([0, -1, 1, self.state.head.last_job + 1, 1 << 40]))
        return self.pick(likely if likely and not self.once_in(4) else known[-8:])

    def node(self) -> NodeNumber:
        if self.once_in(12):
            return NodeNumber(self.pick([0, -3, self.state.head.last_node + 1, 1 << 50]))
        return self.pick(sorted(self.state.nodes))

    def task(self) -> TaskId:
        job = self.job()
        count = self.state.jobs[job].spec.count if job in self.state.jobs else 3
        return task_id(job, self.below(count))

    def spans(self, job: JobId) -> tuple[Span, ...]:
        count = self.state.jobs[job].spec.count if job in self.state.jobs else 3
        if self.once_in(15):
            return (self.pick([(0, count + 1), (-1, 1), (2, 2), (1 << 20, (1 << 20) + 2), (3, 1)]),)
        start = self.below(count)
        return ((start, start + 1 + self.below(count - start)), *(((0, 1),) if self.once_in(3) else ()))

    def attempts(self, most: int = 3) -> tuple[c.Held, ...]:
        pool = self.past if self.once_in(5) else self.held()
        return tuple((attempt, task) for _, attempt, task in self.some(pool, most))

    def live(self) -> list[JobId]:
        return sorted(self.state.jobs.keys() - self.state.ended.keys())

    def startable(self) -> list[TaskId]:
        """Tasks that could be given away now, as far as the queue and --overlap tell."""
        found = []
        for id_ in sorted(self.state.waiting.jobs()):
            job = self.state.jobs[id_]
            found += [task_id(id_, index) for index in self.state.waiting.ready.get(id_, ())]
            found += [
                task_id(id_, index)
                for run in job.runs
                if run.state is TaskState.WAITING
                for index in range(run.start, run.stop)
            ]
        found += [task for _, _, task in self.held() if self.state.jobs[job_of(task)].spec.overlap]
        return found

    # -- of clients ----------------------------------------------------------------------------------------------------

    def submit(self) -> Command:
        if self.clients and self.once_in(8):
            client = self.pick(self.clients)
        else:
            client = ClientId(self.draw.token(15 if self.once_in(30) else 16))
            self.clients.append(client)
        specs = tuple(self.spec(position) for position in range(1 + self.below(3)))
        return c.SubmitJobs(client, self.state.head.index, specs)

    def spec(self, position: int) -> JobSpec:
        kind = self.below(8)
        return JobSpec(
            UserId(self.pick(USERS)),
            (b"true",),
            Want(self.need(), key=self.pick(["", "true"])),
            count=1 + self.below(5),
            priority=self.pick([0, 0, 3, -3]),
            retries=self.pick([0, 1, 2]) if kind != 1 else 0,
            retry_on=(self.pick(RETRY_WORDS),) if self.once_in(6) else (),
            memory_is_limit=self.once_in(6),
            once=kind == 1 or self.once_in(40),
            overlap=kind in (2, 3),
            held=self.once_in(10),
            after=(self.job(),) if self.once_in(5) else (),
            after_any=(self.job(),) if self.once_in(5) else (),
            after_here=(self.below(position),) if position and self.once_in(2) else (),
            after_any_here=(self.below(3),) if self.once_in(8) else (),
        )

    def need(self) -> Resources:
        cpu_milli, memory = self.pick([500, 1000, 1000, 2000]), self.pick([0, GIB // 2, GIB])
        return Resources(cpu_milli, memory, self.pick([0, 0, 0, 1]), self.pick([0, 0, GIB]))

    def cancel(self) -> Command:
        job = self.job([job_of(task) for _, _, task in self.held()])
        return c.CancelTasks(job, self.spans(job) if self.once_in(2) else ())

    def retry(self) -> Command:
        bad = [id_ for id_, job in sorted(self.state.jobs.items()) if sum(job.counts[TaskState.FAILED :])]
        job = self.job(bad)
        return c.RetryTasks(job, self.spans(job) if self.once_in(2) else ())

    def hold(self) -> Command:
        return c.HoldJob(self.job(self.live()))

    def release(self) -> Command:
        held = [job.id for job in self.state.jobs.values() if job.held]
        return c.ReleaseJob(self.pick(held) if held else self.job())

    def priority(self) -> Command:
        return c.SetPriority(self.job(self.live()), self.pick([0, 5, -10, 11]))

    # -- of machines ---------------------------------------------------------------------------------------------------

    def report(self) -> Command:
        pool = self.held() if not self.once_in(5) else self.past
        node = self.pick(pool)[0] if pool else self.node()
        mine = [one for one in pool if one[0] == node]
        if self.once_in(15):
            node = self.node()
        return c.ReportAttempts(node, tuple(self.one_report(held) for held in self.some(mine)))

    def one_report(self, held: Held) -> c.Report:
        _, attempt, task = held
        outcome = Outcome.EXITED if self.once_in(2) else self.pick(list(Outcome))
        if self.once_in(20):
            task = self.task()
        ran = self.pick([0, 10, 90_000, -5, (1 << 63) - 1])
        return c.Report(attempt, task, outcome, self.pick([0, 0, 1]), 5, 5 + self.below(90_000), ran, peak_memory=GIB)

    # -- of the coordinator --------------------------------------------------------------------------------------------

    def assign(self) -> Command:
        batches = tuple(self.batch() for _ in range(1 + self.below(3)))
        return c.AssignTasks(self.fence(), batches, (b"because",))

    def batch(self) -> c.Batch:
        startable, why = self.startable(), self.pick([0, 0, 0, 1, -1, -2])
        if not startable or self.once_in(6):
            job = self.job(self.live())
            return c.Batch(self.node(), job, self.spans(job), slot=self.once_in(2), why=why)
        task = self.pick(startable)
        job, index = job_of(task), index_of(task)
        need, more = self.state.jobs[job].spec.want.need, self.below(3)
        roomy = [
            number
            for number, node in sorted(self.state.nodes.items())
            if has_room(self.state.uses.get(number, Use()), need, node.total) and not node.draining
        ]
        node = self.pick(roomy) if roomy and not self.once_in(4) else self.node()
        return c.Batch(node, job, ((index, index + 1 + more),), slot=not self.once_in(3), why=why, score=7)

    def lose(self) -> Command:
        return c.LoseAttempts(self.fence(), self.pick(list(Cause)), self.attempts())

    def recall(self) -> Command:
        return c.RecallAttempts(self.fence(), self.attempts())

    def end_backoff(self) -> Command:
        waiting = sorted(self.state.backoffs)
        return c.EndBackoff(self.fence(), self.some(waiting, 6) if waiting else (self.task(),))

    def give_up(self) -> Command:
        refused = [id_ for id_, task in sorted(self.state.tasks.items()) if task.refused_by]
        return c.GiveUpTasks(self.fence(), self.some(refused) if refused else (self.task(),))

    def age(self) -> Command:
        return c.AgeQueue(self.fence())

    def decay(self) -> Command:
        return c.DecayUsage(self.fence(), self.pick([900_000, 0, 1_000_001]))

    def archive(self) -> Command:
        ended = sorted(self.state.ended)
        jobs = spans_of(sorted(set(self.some(ended)))) if ended else (self.spans(self.job()))
        return c.ArchiveJobs(
            self.fence(), self.draw.token(2), 100, jobs, self.pick([index := self.state.head.index, index, index - 30])
        )

    def adopt_segment(self) -> Command:
        return c.AdoptSegment(self.fence(), self.draw.token(1), 100, self.job(), self.job(), 1 + self.draw.below(3))

    def drop_segments(self) -> Command:
        return c.DropSegments(self.fence(), self.some([*self.state.segments, b"unknown"]))

    # -- about machines and the mesh -----------------------------------------------------------------------------------

    def facts(self) -> c.Facts:
        total = Resources(self.pick([4000, 4000, 2000, 0]), self.pick([4, 2]) * GIB, self.pick([0, 1]), 2 * GIB)
        return c.Facts(total, shared=not self.once_in(4), speed=self.pick([1000, 500, 1_000_000]), level=c.NEWEST_LEVEL)

    def admit(self) -> Command:
        id_ = NodeId(f"node-{self.below(6)}")
        return c.AdmitNode(id_, self.pick(["pc", "Big.local", "ü"]), UserId(self.pick(USERS)), self.facts())

    def update(self) -> Command:
        return c.UpdateNode(self.node(), self.facts())

    def rename(self) -> Command:
        return c.RenameNode(self.node(), self.pick(["pc", "pc-2", "Bad Name"]))

    def drain(self) -> Command:
        draining = [node for node, record in sorted(self.state.nodes.items()) if record.draining]
        if draining and not self.once_in(4):
            return c.DrainNode(self.pick(draining), draining=False)
        return c.DrainNode(self.node(), draining=True)

    def remove(self) -> Command:
        return c.RemoveNode(self.node())

    def set_level(self) -> Command:
        return c.SetLevel(self.fence(), self.below(4))

    def set_policy(self) -> Command:
        return c.SetPolicy(
            self.pick(["weighted", "sjf", "not a name"]), self.some([(TERMS[0], 1), (TERMS[-1], 2), ("none", 1)])
        )

    def start_term(self) -> Command:
        """Whoever starts a term is the coordinator of that term; sometimes a recovery started a generation."""
        self.generation, self.term = (self.generation + 1, 1) if self.once_in(4) else (self.generation, self.term + 1)
        return c.StartTerm(Fence(self.generation, self.term))

    def make_invite(self) -> Command:
        return c.MakeInvite(self.invite(), self.pick([b"terms", b"others", b""]), self.below(4), 1_000)

    def end_invites(self) -> Command:
        return c.EndInvites(self.some([self.invite(), self.invite()]))

    def admit_member(self) -> Command:
        invite = b"" if self.once_in(4) else self.invite()
        return c.AdmitMember(self.who(), b"certificate", self.below(9), invite, UserId("anna"))

    def renew_member(self) -> Command:
        return c.RenewMember(self.who(), self.pick([b"certificate", b"newer", b"x" * 2000]), self.below(9))

    def revoke(self) -> Command:
        return c.Revoke(self.who(), b"statement")

    def allow_issuer(self) -> Command:
        return c.AllowIssuer(self.who(), self.pick([b"one", b"two", b""]), 1_000)

    def invite(self) -> bytes:
        """Often one that is there."""
        known = sorted(self.state.invites)
        return self.pick(known) if known and not self.once_in(3) else self.below(9).to_bytes(6, "big")

    def who(self) -> NodeId:
        """Seldom one that will be put out: that is for good."""
        return NodeId(f"node-{self.below(40)}")

    def change_members(self) -> Command:
        nodes = [NodeId(f"node-{number}") for number in range(4)]
        return c.ChangeMembers(self.some(nodes), self.some(nodes))

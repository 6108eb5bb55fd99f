"""The driver of the brain while this machine leads: beats in, Duties out, plans and deadlines onto the log.

One object per term, thrown away with it. It is made of callbacks: `receive` for what machines say, `applied` for what
the log has made true, `tick` for time, `look` whenever something may have changed. What it remembers beyond the state
(who was heard when, which backoff ends when, what is proposed and not yet applied) is heard again or starts afresh in
the next term.

Promises: nothing is ordered before an entry of its own term is applied; one plan at a time is under way; a report is
called settled only when it is on the log.
Never: changes the state, or keeps a promise by a wall clock.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from odyssey import events as e
from odyssey.clock import Clock
from odyssey.commands import (
    NEWEST_LEVEL,
    AgeQueue,
    Command,
    DecayUsage,
    EndBackoff,
    Fence,
    Held,
    LoseAttempts,
    ReportAttempts,
    SetLevel,
)
from odyssey.ids import AttemptId, NodeId, NodeNumber, TaskId, job_of
from odyssey.mesh import roles, safety
from odyssey.mesh.crew import Crew, Sight
from odyssey.mesh.grants import Grants, Work
from odyssey.mesh.letters import Accepted, Again, Outcome
from odyssey.mesh.membership import Announced, Membership, StateChanged
from odyssey.mesh.raft.types import Member, StoreId
from odyssey.mesh.replica import Replica
from odyssey.messages import AskJobs, Beat, Duty, Elsewhere, Going, JobsAre, Listed, NodeState
from odyssey.model import Cause, Node, Task
from odyssey.scheduler.board import Board
from odyssey.scheduler.fairshare import DECAY_EVERY_MS, keep_ppm
from odyssey.scheduler.feasible import Code
from odyssey.scheduler.plan import orders, plan
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.snapshot import Seen, Snapshot
from odyssey.scheduler.state import State

AGE_MS: Final = 600_000
LOSSES_MS: Final = 1_000
LEVEL_EVERY_MS: Final = 1_000
SIGHTS_MS: Final = 500  # how often keepers are looked at where three or more vote or a machine is alone; else each tick
LOOK_AGAIN_MS: Final = 5_000  # while a task waits for a faster machine that may overrun, or for memory of others
AT_ONCE: Final = 1_000  # tasks in one order: a log entry has its limits
_NEVER: Final = 1 << 62


class Book(Protocol):
    """The state the log is applied to."""

    @property
    def state(self) -> State: ...


class Post(Protocol):
    def tell(self, node: NodeId, message: Duty | JobsAre | Elsewhere) -> None: ...


class Coordinator:
    """Made when this machine's replica has won an election."""

    def __init__(
        self,
        replica: Replica,
        book: Book,
        post: Post,
        clock: Clock,
        recovered: bool = False,
        policies: Mapping[str, Policy] = BUILT_IN,
        may_keep: Callable[[NodeId], bool] = lambda _: True,
        noticed: Callable[[StateChanged], None] = lambda _: None,
    ) -> None:
        """`may_keep` says whose certificate lets it keep the log: a machine's own word for it is a claim. `noticed` is
        told how machines come and go, for people."""
        now = clock.monotonic_ms()
        self.term = replica.core.term
        # Who has not answered since has its time from here, but counts as live only when it does.
        self._elected_ms = now
        self.fence = Fence(replica.scope.generation, self.term)
        self._replica, self._book, self._post, self._clock, self._policies = replica, book, post, clock, policies
        self._may_keep = may_keep
        self._noticed = noticed
        self._grants = Grants(self.fence, replica.core.started, now, recovered)
        self._membership = Membership(now)
        self._crew = Crew(now)
        self._board = Board()
        self._seen: dict[NodeNumber, Seen] = {}
        self._numbers: dict[NodeId, NodeNumber] = {}
        self._removed: set[NodeId] = set()  # in this term; they need not be waited for
        self._reported: dict[NodeNumber, dict[AttemptId, bool]] = {}  # proposed; True: applied
        self._refused: dict[NodeNumber, None] = {}  # whose reports the log did not take
        self._tell: dict[NodeNumber, bool] = {}  # whose Duty may have changed; True: it is to do something
        self._lists: dict[NodeNumber, dict[AttemptId, tuple[Task, Listed]]] = {}  # of the newest Duties: a memo
        self._owed: dict[NodeNumber, int] = {}  # whose beat can be answered once a quorum has answered this round
        self._backoffs: dict[TaskId, int] = {}  # when they end
        self._begun = self._stirred = False  # stirred: a Duty may be sent that could not be before
        self._confirmed = 0
        self._dirty, self._planning = True, 0  # orders that are proposed and not applied
        self._losses_ms = self._level_ms = self._roles_ms = self._sights_ms = 0
        self._again_ms = _NEVER  # when to plan although nothing has changed
        self._age_ms, self._decay_ms = now + AGE_MS, now + DECAY_EVERY_MS
        self._meet(now)

    @property
    def _state(self) -> State:
        return self._book.state

    # -- what it knows, for people -------------------------------------------------------------------------------------

    @property
    def seen(self) -> Mapping[NodeNumber, Seen]:
        """What machines have told since this term began."""
        return self._seen

    def beats(self) -> Mapping[NodeNumber, tuple[Beat, int]]:
        """The last one of each machine, and how many ms ago it came."""
        now, found = self._clock.monotonic_ms(), {}
        for number in self._numbers.values():
            beat, age = self._membership.last(number), self._membership.age_ms(number, now)
            if beat is not None and age is not None:
                found[number] = beat, age
        return found

    def safety(self) -> safety.Safety:
        """How many machines may go."""
        core, now = self._replica.core, self._clock.monotonic_ms()
        view = self._crew.view(core.me, core.config, self._is_settled, core.log.last, self._sights(now), now)
        return safety.safety(view, core.in_step)

    # -- what comes in -------------------------------------------------------------------------------------------------

    def receive(self, sender: NodeId, message: Beat | AskJobs) -> None:
        now = self._clock.monotonic_ms()
        match message:
            case Beat():
                number = self._numbers.get(sender)
                if number is not None:
                    self._on_beat(number, message, now)
            case AskJobs(jobs):
                for job in jobs:
                    if (known := self._state.jobs.get(job)) is not None:  # one by one: each may be large
                        self._post.tell(sender, JobsAre(((job, known.spec),)))

    def _on_beat(self, node: NodeNumber, beat: Beat, now: int) -> None:
        round_ = self._replica.core.next_round
        in_force = self._grants.beat(node, beat, round_, now)
        self._notice(self._membership.hear(node, beat, now))
        if in_force:
            self._owed.setdefault(node, round_)  # an answer now would quote the beat before
            self._hear(node, beat)
            if self._grants.waits(node):  # for its first Duty
                self._replica.ask_round()
            self.look()

    def _hear(self, node: NodeNumber, beat: Beat) -> None:
        if self._begun:
            self._observe(node)
            self._report(node, beat)

    def applied(self, events: Iterable[e.Event]) -> None:
        """What the newest entries have made true."""
        now = self._clock.monotonic_ms()
        for event in events:
            self._note(event, now)
            if not isinstance(event, e.TasksAssigned):
                self._dirty = True
        self._stirred = True
        if not self._dirty:  # what was planned has come true: nothing else follows from it, as far as anybody knows
            self._plan_again(0)

    def _note(self, event: e.Event, now: int) -> None:
        match event:
            case e.TaskRequeued() if event.backoff_ms:
                self._backoffs[event.task] = now + event.backoff_ms
            case e.TasksAssigned():
                self._tell[event.node] = True
            case e.BacklogPromoted():  # it starts what fits by itself
                self._tell.setdefault(event.node, False)
            case e.AttemptEnded():
                self._tell.setdefault(event.node, False)
                self._tell_holders((event.task,))  # of a race that is decided
            case e.TasksCancelling():
                self._tell_holders(event.tasks)
            case e.AttemptsRecalled():
                held = self._state.held.items()
                self._tell.update((node, True) for node, those in held if not those.keys().isdisjoint(event.attempts))
            case e.NodeAdmitted():
                self._meet(now)
            case e.NodeRemoved():
                self._removed.update(id_ for id_, number in self._numbers.items() if number == event.node)
                self._meet(now)
                self._roles_ms = 0
            case _:
                pass

    def _tell_holders(self, tasks: Iterable[TaskId]) -> None:
        for task in tasks:
            known = self._state.tasks.get(task)
            self._tell.update((attempt.node, True) for attempt in (known.attempts if known is not None else ()))

    def _meet(self, now: int) -> None:
        """Go by the log in who is a member."""
        before = set(self._numbers.values())
        self._numbers = {node.id: number for number, node in self._state.nodes.items() if not node.removed}
        self._removed.difference_update(self._numbers)
        members = set(self._numbers.values())
        for number in members - before:
            self._membership.admit(number, now)
        for number in (before | self._state.nodes.keys()) - members:
            self._forget(number)

    def _forget(self, gone: NodeNumber) -> None:
        self._grants.removed(gone)
        self._membership.forget(gone)
        self._seen.pop(gone, None)
        self._reported.pop(gone, None)
        self._refused.pop(gone, None)
        self._owed.pop(gone, None)
        self._lists.pop(gone, None)

    # -- time ----------------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Several times a second."""
        self._notice(self._membership.tick(now))
        if self._begun:
            self._end_backoffs(now)
            self._keep_time(now)
            self._raise_level(now)
            self._report_again()
            self._give_away(now)
            self._choose_keepers(now)
        self.look()

    @property
    def rests(self) -> bool:
        """Nothing waits for time that cannot wait a little longer."""
        waits = self._backoffs or self._planning or self._dirty or self._refused or not self._begun
        return not waits and not any(self._state.held.values())

    def _keep_time(self, now: int) -> None:
        if now >= self._age_ms:
            self._age_ms = now + AGE_MS
            self._propose(AgeQueue(self.fence), self._age_soon)
        if now >= self._decay_ms:
            self._decay_ms = now + DECAY_EVERY_MS
            self._propose(DecayUsage(self.fence, keep_ppm(DECAY_EVERY_MS)), self._decay_soon)
        if now >= self._again_ms:
            self._again_ms, self._dirty = _NEVER, True

    def _raise_level(self, now: int) -> None:
        """As soon as every member understands more than is on; again, until the log has it."""
        if now < self._level_ms:
            return
        self._level_ms = now + LEVEL_EVERY_MS
        levels = [node.level for node in self._state.nodes.values() if not node.removed]
        if levels and (level := min(*levels, NEWEST_LEVEL)) > self._state.head.level:
            self._propose(SetLevel(self.fence, level))

    def _age_soon(self) -> None:
        self._age_ms = 0

    def _decay_soon(self) -> None:
        self._decay_ms = 0

    def _end_backoffs(self, now: int) -> None:
        due = [task for task, end in self._backoffs.items() if end <= now][:AT_ONCE]
        if due:
            self._backoffs.update(dict.fromkeys(due, _NEVER))  # unless the log does not take it
            self._propose(EndBackoff(self.fence, tuple(due)), lambda: self._backoffs.update(dict.fromkeys(due, now)))
        if self._backoffs:
            self._backoffs = {task: end for task, end in self._backoffs.items() if task in self._state.backoffs}

    # -- whenever something may have changed ---------------------------------------------------------------------------

    def look(self) -> None:
        """Cheap while nothing has changed."""
        core = self._replica.core
        self._grants.applied(self._state.head.index)
        if core.term != self.term:
            return
        confirmed = core.confirmed_round
        self._grants.confirmed(confirmed)
        if not self._grants.ready:
            return
        if not self._begun:
            self._begin()
        if confirmed != self._confirmed:
            self._confirmed, self._stirred = confirmed, True
            self._answer_beats(confirmed)
        if self._dirty and not self._planning and self._grants.may_give(self._clock.monotonic_ms()):
            self._plan()
        if self._tell and self._stirred and not (self._planning and self._may_wait):
            self._stirred = False
            self._send_duties()

    @property
    def _may_wait(self) -> bool:
        """Duties would not make a machine do anything: the next orders are on their way onto the log, and go along."""
        return not any(self._tell.values())

    def _answer_beats(self, confirmed: int) -> None:
        due = [node for node, round_ in self._owed.items() if round_ <= confirmed]
        for node in due:
            del self._owed[node]
            self._tell[node] = True

    def _begin(self) -> None:
        """All that earlier coordinators did is known."""
        now = self._clock.monotonic_ms()
        self._begun = True
        self._meet(now)
        for task in self._state.backoffs:
            self._backoffs[task] = now + self._state.tasks[task].backoff_ms
        for node in self._numbers.values():
            if (beat := self._membership.last(node)) is not None:  # it came before
                self._hear(node, beat)

    # -- plans ---------------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        self._dirty = False
        seen = {number: self._seen.get(number, _UNHEARD) for number in self._state.nodes}
        made = plan(Snapshot(self._state, seen), self._board, self._policies)
        if made.more:
            self._dirty = True
        codes = {one.code for one in made.blocked}
        if Code.FASTER_SOON in codes or (Code.FULL in codes and self._is_memory_taken()):
            self._plan_again(LOOK_AGAIN_MS)
        for command in orders(made, self.fence, self._numbers.get(self._replica.core.me.node)):
            self._planning += 1
            self._replica.propose(command, self._planned)

    def _is_memory_taken(self) -> bool:
        """By programs of others, somewhere: that may end without a word on the log."""
        for number, node in self._state.nodes.items():
            free, use = self._seen.get(number, _UNHEARD).memory_free, self._state.uses.get(number)
            if free is not None and free < node.total.memory - (use.memory if use is not None else 0):
                return True
        return False

    def _planned(self, outcome: Outcome) -> None:
        self._planning -= 1
        if not isinstance(outcome, Accepted):
            self._plan_again(0)

    def _plan_again(self, after_ms: int) -> None:
        """With a tick: at once the log would be as busy as before."""
        self._again_ms = min(self._again_ms, self._clock.monotonic_ms() + after_ms)

    def _propose(self, command: Command, refused: Callable[[], None] = lambda: None) -> None:
        def done(outcome: Outcome) -> None:
            if isinstance(outcome, Again):
                refused()

        self._replica.propose(command, done)

    # -- Duties --------------------------------------------------------------------------------------------------------

    def _send_duties(self) -> None:
        now = self._clock.monotonic_ms()
        for number in list(self._tell):
            node = self._state.nodes.get(number)
            if node is None or node.removed:
                del self._tell[number]
                continue
            duty = self._grants.duty(number, self._listed(number), now)
            if duty is not None:
                del self._tell[number]
                self._post.tell(node.id, self._completed(node, duty))

    def _completed(self, node: Node, duty: Duty) -> Duty:
        held = self._state.held.get(node.number, {})  # whose report could not be applied: kept for a later term
        told = self._reported.get(node.number, {})
        settled = tuple(attempt for attempt, applied in told.items() if applied and attempt not in held)
        keepers = tuple(one.node for one in self._replica.core.config.members if one.node != node.id)
        return Duty(duty.beat, duty.fence, duty.revision, duty.since, duty.holds, settled, keepers)

    def _listed(self, node: NodeNumber) -> list[Listed]:
        """Most are what they were in the Duty before: records are made anew when they change."""
        tasks, before, now = self._state.tasks, self._lists.get(node, {}), dict[AttemptId, tuple[Task, Listed]]()
        for attempt, number in self._state.held.get(node, {}).items():
            task, known = tasks[number], before.get(attempt)
            now[attempt] = known if known is not None and known[0] is task else (task, _as_listed(task, attempt))
        self._lists[node] = now
        return [one for _, one in now.values()]

    # -- reports -------------------------------------------------------------------------------------------------------

    def _report(self, node: NodeNumber, beat: Beat) -> None:
        """What a machine tells of attempts that have ended, until it is on the log."""
        told = {one.attempt for one in beat.reports}
        known = {attempt: done for attempt, done in self._reported.get(node, {}).items() if attempt in told}
        new = tuple(one for one in beat.reports if one.attempt not in known)
        self._reported[node] = known | dict.fromkeys((one.attempt for one in new), False)
        if new:
            attempts = [one.attempt for one in new]
            self._replica.propose(ReportAttempts(node, new), lambda outcome: self._on_log(node, attempts, outcome))

    def _on_log(self, node: NodeNumber, attempts: list[AttemptId], outcome: Outcome) -> None:
        reported = self._reported.get(node, {})
        for attempt in attempts:
            if isinstance(outcome, Accepted):
                reported[attempt] = True
            else:
                reported.pop(attempt, None)
                self._refused[node] = None
        self._stirred = True
        self._tell.setdefault(node, False)

    def _report_again(self) -> None:
        """The machine may be gone by now: what it has told must not be lost for that."""
        refused, self._refused = self._refused, {}
        for node in refused:
            beat = self._membership.last(node)
            if beat is not None:
                self._report(node, beat)

    # -- losses --------------------------------------------------------------------------------------------------------

    def _give_away(self, now: int) -> None:
        if now < self._losses_ms:
            return
        self._losses_ms = now + LOSSES_MS
        for node, held in list(self._state.held.items()):
            if held:
                work = (Work(attempt, task, self._patience_ms(task)) for attempt, task in held.items())
                for cause, attempts in self._grants.give_away(node, work, now).items():
                    self._lose(node, cause, tuple(attempts))

    def _patience_ms(self, task: TaskId) -> int:
        return self._state.jobs[job_of(task)].spec.patience_ms

    def _lose(self, node: NodeNumber, cause: Cause, attempts: tuple[Held, ...]) -> None:
        ids = [attempt for attempt, _ in attempts]
        self._propose(LoseAttempts(self.fence, cause, attempts), lambda: self._grants.withdraw(node, ids))

    # -- machines ------------------------------------------------------------------------------------------------------

    def _notice(self, events: Iterable[object]) -> None:
        for event in events:
            if isinstance(event, StateChanged):
                self._observe(event.node)
                self._noticed(event)
            elif isinstance(event, Announced):
                self._roles_ms = 0

    def _observe(self, number: NodeNumber) -> None:
        """What the planner is told of a machine."""
        state, beat = self._membership.state(number), self._membership.last(number)
        if state is None or beat is None:
            return
        if state is NodeState.UP and self._grants.is_deaf(number):
            state = NodeState.SILENT
        told = beat.telemetry
        seen = Seen(
            state,
            told.cpu_free_milli,
            told.memory_free,
            told.owner,
            told.mains,
            told.stay_ms,
            elapsed_ms={one.attempt: one.elapsed_ms for one in beat.holds if one.started and not one.ended},
            pause=told.pause,
        )
        before, self._seen[number] = self._seen.get(number), seen
        if before is None or before.state is not seen.state or before.owner is not seen.owner:
            self._dirty = True

    # -- who keeps the log ---------------------------------------------------------------------------------------------

    def _choose_keepers(self, now: int) -> None:
        core = self._replica.core
        if now < self._sights_ms and (len(core.config.voters) > 2 or len(self._numbers) == 1):
            return
        self._sights_ms = now + SIGHTS_MS
        view = self._crew.view(core.me, core.config, self._is_settled, core.log.last, self._sights(now), now)
        core.in_step = safety.in_step(view, core.in_step)
        if not view.settled or (now < self._roles_ms and len(core.config.voters) != 2):
            return
        self._roles_ms = now + roles.ASK_MS
        change = roles.decide(view, now)
        if change is None:
            return
        self._roles_ms = 0
        if change.act is roles.Act.HAND_OVER:
            core.transfer(change.member)
        else:
            self._replica.propose_config(change.config)

    @property
    def _is_settled(self) -> bool:
        core = self._replica.core
        return core.leads_safely and core.transferring is None and core.log.config_index <= core.log.commit

    def _sights(self, now: int) -> list[Sight]:
        core, sights = self._replica.core, {}
        for number, node in self._state.nodes.items():
            sight = self._sight(number, node, now)
            if sight is not None:
                sights[sight.member] = sight
        for member in core.config.members:
            match = core.log.stable if member == core.me else core.peers[member].match
            silent = now - self._replica.heard_ms.get(member, self._elected_ms - roles.LIVE_MS)
            known = sights.get(member, Sight(member, 0))
            going = Going.LEAVE if self._is_no_member(member, now) else known.going
            sights[member] = Sight(member, 0 if member == core.me else silent, match, going, known.keeping, known.mains)
        return list(sights.values())

    def _is_no_member(self, keeper: Member, now: int) -> bool:
        """Removed, perhaps in an earlier term. One that founds a mesh is not admitted yet, but soon."""
        unknown = keeper.node not in self._numbers and now - self._elected_ms >= roles.GONE_MS
        return unknown or keeper.node in self._removed

    def _sight(self, number: NodeNumber, node: Node, now: int) -> Sight | None:
        """A machine with a store, by its own word, that may keep the log."""
        beat, age = self._membership.last(number), self._membership.age_ms(number, now)
        if node.removed or beat is None or age is None or not beat.keeping.store:
            return None
        if not self._may_keep(node.id):
            return None
        member = Member(node.id, StoreId(beat.keeping.store))
        return Sight(member, age, None, beat.going, beat.keeping, beat.telemetry.mains)


def _as_listed(task: Task, attempt: AttemptId) -> Listed:
    place, one = next((place, one) for place, one in enumerate(task.attempts, 1) if one.id == attempt)
    return Listed(attempt, task.id, one.slot, one.stopping, one.recalled, task.tries_total + place)


_UNHEARD: Final = Seen(state=NodeState.SILENT)  # since this coordinator began

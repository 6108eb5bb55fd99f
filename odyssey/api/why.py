"""Why it waits, why it went there, what would happen: asked of the functions that decide.

Promises: a reason is what the planner finds now; a decision is told from the record that was kept when it was made.
Never: has an opinion of its own.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from odyssey.api import labels, rights
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.names import resolve
from odyssey.api.past import Found, Past
from odyssey.api.ports import Counter
from odyssey.errors import InvalidSpec
from odyssey.ids import JobId, attempt_parts, job_of, task_id
from odyssey.model import Attempt, Job, Task, TaskState, Try
from odyssey.resources import show_cpus, show_size
from odyssey.scheduler import explain as asking
from odyssey.scheduler import placement, say
from odyssey.scheduler.board import GONE, NO_HEALTH, NO_USE
from odyssey.scheduler.draft import replace
from odyssey.scheduler.explain import Why
from odyssey.scheduler.feasible import LASTING, why_closed
from odyssey.scheduler.glance import glance
from odyssey.scheduler.rows import Row, Wish
from odyssey.scheduler.runs import outside
from odyssey.scheduler.snapshot import Snapshot
from odyssey.spec import JobSpec, Want

MOST_SHOWN: Final = 1_000


class Reasons:
    def __init__(self, counter: Counter, past: Past) -> None:
        self._counter, self._past = counter, past

    def _snapshot(self) -> Snapshot:
        return Snapshot(self._counter.state, self._counter.seen())

    # -- one job -------------------------------------------------------------------------------------------------------

    async def explain(self, request: r.Explain) -> v.ExplainView:
        meant = resolve(request.ref, self._counter.state, rights.asker(self._counter).user)
        found = await self._past.find(meant.job)
        waiting = None if found.is_past else asking.waiting(self._snapshot(), meant.job, meant.task)
        reason, lines = None, []
        if waiting is not None and waiting.why is not Why.NOT_WAITING:
            reason, lines = self._reason(waiting), say.waiting(self._snapshot(), waiting)
        task = self._placed(found, meant.task)
        decision, more = self._decision(found, task) if task is not None else (None, [])
        lines += more
        if reason is None and found.view.reason:
            reason = v.ReasonView(found.view.state, found.view.reason)
            lines.insert(0, found.view.reason)
        return v.ExplainView(found.job.id, found.view.state, reason, decision, tuple(lines))

    def told(self, views: Sequence[v.JobView]) -> list[v.JobView]:
        """The same views; those that wait for no other reason say why, in the words of `explain`."""
        jobs = self._counter.state.jobs
        mute = [jobs[JobId(one.id)] for one in views if one.state == "waiting" and not one.reason and one.id in jobs]
        found = glance(self._snapshot(), mute) if mute else {}
        return [
            msgspec.structs.replace(one, reason=say.overall(why)) if (why := found.get(JobId(one.id))) else one
            for one in views
        ]

    def _reason(self, waiting: asking.Waiting) -> v.ReasonView:
        names = {number: node.name for number, node in self._counter.state.nodes.items()}
        remedies = (say.change(waiting.change, names[waiting.change.node]),) if waiting.change is not None else ()
        return v.ReasonView(waiting.why.name.lower(), say.overall(waiting), remedies)

    def _placed(self, found: Found, index: int | None) -> Task | None:
        """The task whose placement is told: the one that is meant, else the first that is with a machine, else the
        first that was."""
        if index is not None:
            return found.records.tasks.get(task_id(found.job.id, index))
        records, job = found.records, found.job
        current = [
            task for held in self._counter.state.held.values() for task in held.values() if job_of(task) == job.id
        ]
        if current and not found.is_past:
            return records.tasks.get(min(current))
        recorded = (records.tasks.get(task_id(job.id, one)) for one in outside(job.runs, job.spec.count))
        return next(filter(None, recorded), None)

    def _decision(self, found: Found, task: Task) -> tuple[v.DecisionView | None, list[str]]:
        tried = _newest(task)
        placed = placement.placement(tried) if tried is not None else None
        if tried is None or placed is None:
            return None, []
        name = found.records.name
        attempt = tried.id if isinstance(tried, Attempt) else tried.attempt
        lines = say.placement(self._snapshot(), placed)
        candidates = [
            v.Candidate(name(one.node), one.score / 1000, {term: part / 1000 for term, part in one.parts.items()}, None)
            for one in placed.ranked
        ]
        candidates += [
            v.Candidate(f"{count} other{'s' * (count != 1)}", None, {}, code.name.lower())
            for code, count in placed.excluded
        ]
        flip = placed.flip
        return v.DecisionView(
            name(placed.node),
            placed.term or None,
            attempt_parts(attempt).log_index,
            name(placed.by) if placed.by else None,
            placed.policy,
            tuple(candidates),
            name(placed.runner_up) if placed.runner_up is not None else None,
            placed.margin / 1000 if placed.margin is not None else None,
            lines[-1] if flip is not None else None,
        ), lines

    # -- what would be -------------------------------------------------------------------------------------------------

    async def dry_run(self, request: r.DryRun) -> v.DryRunView:
        who = rights.asker(self._counter)
        spec = replace(request.spec, user=who.user, origin=who.node)
        await labels.asked_for(self._counter, (spec,))
        snapshot = self._snapshot()
        answer = asking.dry_run(snapshot, spec)
        if answer.faults:
            raise InvalidSpec(answer.faults[0].error, hint=answer.faults[0].hint)
        waiting = answer.waiting
        starts = waiting is not None and waiting.why is Why.NEXT
        node = waiting.verdicts[0].name if starts and waiting is not None and waiting.verdicts else None
        return v.DryRunView(starts, node, tuple(say.dry_run(snapshot, spec, answer)))

    def check_possible(self, spec: JobSpec) -> None:
        """What no machine could ever take is refused, with the one that comes closest."""
        snapshot = self._snapshot()
        if could_run(snapshot, spec):
            return
        answer = asking.dry_run(snapshot, replace(spec, held=False, after=(), after_any=()))
        waiting = answer.waiting
        if waiting is None or waiting.why is not Why.IMPOSSIBLE:
            return
        names = {number: node.name for number, node in snapshot.state.nodes.items()}
        closest = waiting.verdicts[0]
        if waiting.change is not None:
            closest = next(one for one in waiting.verdicts if one.node == waiting.change.node)
            hint = say.change(waiting.change, names[waiting.change.node])
        else:
            hint = "see what the machines have: odyssey nodes"
        raise InvalidSpec(f"no machine can run this: {_verdict(closest)}", hint=hint)

    # -- the queue -----------------------------------------------------------------------------------------------------

    async def queue(self, request: r.Queue) -> v.QueueView:
        state = self._counter.state
        waiting = [job for job in state.jobs.values() if job.counts[TaskState.WAITING] and not job.ended_index]
        waiting.sort(key=lambda job: (job.held, bool(job.blockers), -(job.priority + state.age(job.id)), job.id))
        limit = max(1, min(request.limit, MOST_SHOWN))
        found = glance(self._snapshot(), waiting[:limit])
        views = tuple(self._in_queue(place, job, found.get(job.id)) for place, job in enumerate(waiting[:limit], 1))
        return v.QueueView(views, max(0, len(waiting) - limit))

    def _in_queue(self, place: int, job: Job, why: asking.Waiting | None) -> v.Waiting:
        state = self._counter.state
        reason = self._reason(why) if why is not None else v.ReasonView("turn", "its turn has not come")
        return v.Waiting(
            place,
            job.id,
            job.spec.name,
            job.user,
            job.counts[TaskState.WAITING],
            job.priority,
            state.age(job.id),
            asks_for(job.spec.want),
            reason,
            why.earliest_ms if why is not None else None,
        )


def _newest(task: Task) -> Attempt | Try | None:
    if task.attempts:
        return task.attempts[-1]
    return task.tries[-1] if task.tries else None


def could_run(snapshot: Snapshot, spec: JobSpec) -> bool:
    """Some machine could take it some day, as far as the filters know that decide."""
    wish = Wish(spec.user, spec.want, 1)
    rows = []
    for number, node in snapshot.state.nodes.items():
        row = Row(number)
        row.load(node, NO_USE, snapshot.seen.get(number, GONE), NO_HEALTH)
        rows.append(row)
    return not rows or any(why_closed(wish, row) not in LASTING for row in rows)


def _verdict(one: asking.Verdict) -> str:
    return f"{one.name}: {say.reason(one.reason)}" if one.reason is not None else one.name


def asks_for(want: Want) -> str:
    """In one line, as it would be typed."""
    words = [f"--cpus {show_cpus(want.need.cpu_milli)}", f"--mem {show_size(want.need.memory)}"]
    words += [f"--gpus {want.need.gpus}"] if want.need.gpus else []
    words += [f"--gpu-mem {show_size(want.gpu_memory)}"] if want.gpu_memory else []
    words += [f"--needs {want.needs}"] if want.needs else []
    words += [f"--on {name}" for name in want.on] + [f"--avoid {name}" for name in want.avoid]
    return " ".join(words)

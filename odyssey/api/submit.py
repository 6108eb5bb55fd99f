"""A submit: checked, stamped with whose it is and where it came from, and put onto the log.

What no machine could ever take is told here, with the machine that comes closest, so that nobody waits for nothing.

Promises: the same client id gives the same jobs, before and after restarts; the answer comes when the log has it.
Never: believes what a spec says of its user or its origin.
"""

from collections.abc import Iterable, Sequence

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.committing import Committing
from odyssey.api.ports import Counter
from odyssey.api.spool import Spool
from odyssey.api.why import Reasons
from odyssey.commands import SubmitJobs
from odyssey.errors import InvalidSpec, OdysseyError
from odyssey.events import Event, JobSubmitted, SubmitRepeated
from odyssey.ids import CLIENT_ID_BYTES, ClientId, JobId
from odyssey.scheduler.draft import replace
from odyssey.scheduler.needs import needs_fault
from odyssey.spec import JobSpec, Want, faults


class Submitting:
    def __init__(self, counter: Counter, committing: Committing, spool: Spool, reasons: Reasons) -> None:
        self._counter, self._committing, self._spool, self._reasons = counter, committing, spool, reasons

    async def submit(self, request: r.Submit) -> v.Submitted:
        if len(request.client) != CLIENT_ID_BYTES:
            raise InvalidSpec("the submit has no proper client id", hint="upgrade the program that sent it")
        client = ClientId(request.client)
        known = self._counter.state.clients.get(client)
        if known is not None:
            return self._answer(known.first, known.jobs)
        specs = tuple(self._stamped(spec, request.python) for spec in request.specs)
        check(specs)
        self._spool.check_blobs(specs)
        for spec in specs:
            self._reasons.check_possible(spec)
        command = SubmitJobs(client, self._counter.log.applied, specs)
        events = await self._committing.carry_out(command)
        first, jobs = _numbers(events) or self._remembered(client)
        return self._answer(first, jobs)

    def _stamped(self, spec: JobSpec, python: str) -> JobSpec:
        want = self._with_python(spec.want, python) if python else spec.want
        return replace(spec, user=self._counter.owner, origin=self._counter.me, want=want)

    def _with_python(self, want: Want, version: str) -> Want:
        """What one version of Python has packed, another cannot open. On this machine it runs by the very interpreter
        that packed it."""
        others = {
            node.name: found
            for node in self._counter.state.nodes.values()
            if node.id != self._counter.me
            and (found := dict(node.labels).get("python", ""))
            and not f"{found}.".startswith(f"{version}.")
        }
        wrong = [name for name in want.on if name in others]
        if wrong and len(wrong) == len(want.on):
            name = wrong[0]
            raise InvalidSpec(
                f"{name} has Python {others[name]}, and this program is run by {version}",
                hint=f"install Python {version} on {name}, or run this program with Python {others[name]}",
            )
        return replace(want, avoid=(*want.avoid, *(name for name in sorted(others) if name not in want.avoid)))

    def _remembered(self, client: ClientId) -> tuple[JobId, int]:
        known = self._counter.state.clients.get(client)
        if known is None:
            raise OdysseyError("the jobs were taken in, and their numbers are not known here", hint="odyssey ps")
        return known.first, known.jobs

    def _answer(self, first: JobId, jobs: int) -> v.Submitted:
        known = (self._counter.state.jobs.get(JobId(number)) for number in range(first, first + jobs))
        return v.Submitted(first, jobs, sum(job.spec.count for job in known if job is not None))


def check(specs: Sequence[JobSpec]) -> None:
    found = [*faults(tuple(specs)), *filter(None, (needs_fault(spec.want.needs) for spec in specs))]
    if found:
        raise InvalidSpec(found[0].error, hint=found[0].hint)


def _numbers(events: Iterable[Event]) -> tuple[JobId, int] | None:
    jobs = [event.job for event in events if isinstance(event, JobSubmitted)]
    if jobs:
        return min(jobs), len(jobs)
    for event in events:
        if isinstance(event, SubmitRepeated):
            return event.first, event.jobs
    return None

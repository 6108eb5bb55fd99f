"""A submit: checked, stamped with whose it is and where it came from, and put onto the log.

What no machine could ever take is told here, with the machine that comes closest, so that nobody waits for nothing.

Promises: the same client id gives the same jobs, before and after restarts; the answer comes when the log has it.
Never: believes what a spec says of its user or its origin.
"""

import os
import stat
from collections.abc import Iterable, Sequence

from odyssey.api import labels, rights
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.committing import Committing
from odyssey.api.labels import HAS
from odyssey.api.matching import ANY, HEAD, interpreter_of, platform_of
from odyssey.api.ports import Counter
from odyssey.api.spool import Spool
from odyssey.api.why import Reasons
from odyssey.commands import SubmitJobs
from odyssey.errors import InvalidSpec, OdysseyError, echo
from odyssey.events import Event, JobSubmitted, SubmitRepeated
from odyssey.exec.probe import arch_name
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
        await labels.asked_for(self._counter, specs)
        for typed, spec in zip(request.specs, specs, strict=True):
            self._check_possible(typed, spec)
        command = SubmitJobs(client, self._counter.log.applied, specs)
        events = await self._committing.carry_out(command)
        first, jobs = _numbers(events) or self._remembered(client)
        return self._answer(first, jobs)

    def _check_possible(self, typed: JobSpec, spec: JobSpec) -> None:
        """A need that nobody has typed is told as what it is."""
        try:
            self._reasons.check_possible(spec)
        except InvalidSpec as error:
            for name in labels.programs(spec.want.needs) - labels.programs(typed.want.needs):
                if f"{HAS}{name}" in error.message:
                    script = os.fsdecode(spec.argv[0])
                    text = f"no machine can run this: {echo(script)} is run by {name}, which was not found"
                    raise InvalidSpec(text, hint=f"install {name}, or change the first line of the script") from error
            raise

    def _stamped(self, spec: JobSpec, python: str) -> JobSpec:
        want, who = matched(spec), rights.asker(self._counter)
        if python:
            want = self._with_python(want, python)
        return replace(spec, user=who.user, origin=who.node, want=want)

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


def matched(spec: JobSpec) -> Want:
    """A program that lies in a folder of this machine says for which machines it is; a name alone says nothing."""
    want = spec.want
    os_name, arch = (text.lower() for text in (want.os, want.arch))
    needs = want.needs
    if not os_name and not arch and spec.argv and b"/" in spec.argv[0]:
        head = head_of(os.path.join(spec.cwd, spec.argv[0]))
        found = platform_of(head)
        os_name, arch = found if found is not None else ("", "")
        needs = with_interpreter(needs, interpreter_of(head))
    os_name, arch = ("" if text == ANY else text for text in (os_name, arch_name(arch)))
    if (os_name, arch, needs) == (want.os, want.arch, want.needs):
        return want
    return replace(want, os=os_name, arch=arch, needs=needs)


def with_interpreter(needs: str, name: str) -> str:
    """A script goes only where what runs it is found."""
    if not name or needs_fault(needs) is not None:
        return needs
    return f"({needs}) & {HAS}{name}" if needs else f"{HAS}{name}"


def head_of(path: bytes) -> bytes:
    """Empty: it is no file that can be read here; whoever starts it will say so."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(file, HEAD) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(file)


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

"""What people type for a job: `42`, `42/7`, a name, a prefix of one, `last`.

Promises: a number is always a number; of several jobs of one name the newest is meant; a prefix that fits several names
is refused with the names.
Never: finds what is history by its name: that is asked for by its number.
"""

from typing import Final, NamedTuple

from odyssey.errors import UsageError, echo
from odyssey.ids import JobId, UserId
from odyssey.model import Job
from odyssey.scheduler.state import State

LAST: Final = "last"
_MOST_DIGITS: Final = 18
_NAMED: Final = 5  # names in a refusal


class Meant(NamedTuple):
    job: JobId
    task: int | None = None  # one of its tasks


def resolve(ref: str, state: State, user: UserId) -> Meant:
    """The number may be that of a job that is history, but not of one that never was."""
    text, slash, task = ref.strip().partition("/")
    index = _index(ref, task) if slash else None
    job = _job(text, state, user)
    known = state.jobs.get(job)
    if known is not None and index is not None and index >= known.spec.count:
        count = known.spec.count
        tasks = "one task, 0" if count == 1 else f"tasks 0 to {count - 1}"
        raise UsageError(f"job {job} has no task {index}", hint=f"it has {tasks}")
    return Meant(job, index)


def _index(ref: str, task: str) -> int:
    if not _is_number(task):
        raise UsageError(f"{echo(ref)} is no task", hint="write the job, a slash and the task's number: 42/7")
    return int(task)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def _job(text: str, state: State, user: UserId) -> JobId:
    if _is_number(text):
        number = int(text)
        if not 0 < number <= state.head.last_job:
            newest = f"the newest is {state.head.last_job}" if state.head.last_job else "none was submitted yet"
            raise UsageError(f"there is no job {number}", hint=f"see: odyssey ps --state all ({newest})")
        return JobId(number)
    if text == LAST:
        return _last(state, user)
    return _named(text, state)


def _last(state: State, user: UserId) -> JobId:
    newest = next((job for job in reversed(state.jobs) if state.jobs[job].user == user), None)  # they are in order
    if newest is None:
        raise UsageError("there is no last job: nothing of yours is remembered here", hint="see: odyssey history")
    return newest


def _named(text: str, state: State) -> JobId:
    if not text:
        raise UsageError("no job is named", hint="write its number, its name, or: last")
    fitting = [job for job in state.jobs.values() if job.spec.name.startswith(text)]
    exact = [job for job in fitting if job.spec.name == text]
    names = sorted({job.spec.name for job in fitting})
    if not exact and len(names) > 1:
        some = ", ".join(echo(name) for name in names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
        raise UsageError(f"{echo(text)} may mean several jobs: {some}", hint="write more of the name, or the number")
    if not fitting:
        raise UsageError(f"there is no job {echo(text)}", hint="see: odyssey ps --state all")
    return _newest(exact or fitting)


def _newest(jobs: list[Job]) -> JobId:
    return max(job.id for job in jobs)

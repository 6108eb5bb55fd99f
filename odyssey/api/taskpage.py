"""The tasks of one job, a page at a time.

Promises: what is looked at for one page is bounded by the page and by MOST_LOOKED, however large the job is; pages that
follow each other show every fitting task once.
Never: holds more than the page.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, NamedTuple

from odyssey.api import views as v
from odyssey.ids import TaskId, task_id
from odyssey.model import Job, Task, TaskState
from odyssey.scheduler.runs import pieces

MOST_LOOKED: Final = 20_000  # records that do not fit, in one page: some milliseconds
WAITING: Final = TaskState.WAITING
_NAMES: Final = {state: state.name.lower() for state in TaskState}


class Show(NamedTuple):
    """How tasks are shown: of a record, and of one that is only a number in a run."""

    recorded: Callable[[Task], v.TaskView]
    untouched: Callable[[int, TaskState], v.TaskView]


class Asked(NamedTuple):
    start: int
    stop: int
    limit: int
    states: Collection[str]  # of views.TASK_STATES; none: all


Page = tuple[list[v.TaskView], int | None]  # and where the next one begins


def page(job: Job, tasks: Mapping[TaskId, Task], asked: Asked, show: Show) -> Page:
    found: list[v.TaskView] = []
    for index, view in _fitting(job, tasks, asked, show):
        if view is None or len(found) == asked.limit:
            return found, index
        found.append(view)
    return found, None


def _fitting(
    job: Job, tasks: Mapping[TaskId, Task], asked: Asked, show: Show
) -> Iterator[tuple[int, v.TaskView | None]]:
    """Without a view: enough was looked at; it goes on there."""
    looked = 0
    for start, stop, state in pieces(job.runs, asked.start, asked.stop):
        if state is not None:
            if not asked.states or _NAMES[state] in asked.states:
                yield from ((index, show.untouched(index, state)) for index in range(start, stop))
            continue
        for index in range(start, stop):
            view = _view(tasks.get(task_id(job.id, index)), index, asked.states, show)
            if view is not None:
                yield index, view
                continue
            looked += 1
            if looked == MOST_LOOKED and index + 1 < asked.stop:
                yield index + 1, None


def _view(task: Task | None, index: int, states: Collection[str], show: Show) -> v.TaskView | None:
    """None: it is in none of the states."""
    if task is None:
        return show.untouched(index, WAITING) if not states or _NAMES[WAITING] in states else None
    if not states:
        return show.recorded(task)
    if _NAMES[task.state] not in states and task.state is not TaskState.ASSIGNED:
        return None
    view = show.recorded(task)  # of one that a machine has only its view says whether it runs
    return view if view.state in states else None

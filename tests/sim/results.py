"""What became of each task, by the events of the log: one end, one result, and the right one.

Promises: every event is looked at once, when the first replica has applied it.
Never: asks a state; it hears only what people would be told.
"""

from collections.abc import Iterable

from odyssey.events import AttemptEnded, CommandFailed, Event, TasksEnded
from odyssey.ids import TaskId, show_task, task_id
from odyssey.model import Outcome, TaskState
from tests.sim.checks import Violation
from tests.sim.hands import script


class Results:
    def __init__(self) -> None:
        self.ended: dict[TaskId, tuple[TaskState, int]] = {}  # as what, and by which entry
        self._seen = 0

    def fork(self, index: int) -> "Results":
        new = Results()
        new.ended = {task: end for task, end in self.ended.items() if end[1] <= index}
        new._seen = min(self._seen, index)
        return new

    def saw(self, index: int, events: Iterable[Event]) -> None:
        if index <= self._seen:
            return
        self._seen = index
        for event in events:
            match event:
                case AttemptEnded(task=task, outcome=Outcome.EXITED):
                    self._result(event, task)
                case TasksEnded():
                    self._end(event)
                case CommandFailed():
                    raise Violation(f"bug: entry {index}: {event.text}")
                case _:
                    pass

    def _result(self, event: AttemptEnded, task: TaskId) -> None:
        if event.code != script(task).code:
            raise Violation(f"10: task {show_task(task)} exited with {script(task).code}, the log says {event.code}")

    def _end(self, event: TasksEnded) -> None:
        for start, stop in event.spans:
            for index in range(start, stop):
                task = task_id(event.job, index)
                if task in self.ended:
                    before = self.ended[task][0].name
                    raise Violation(f"10: task {show_task(task)} ended as {before} and again as {event.state.name}")
                self.ended[task] = event.state, event.index
                if event.state is TaskState.DONE and script(task).code:
                    raise Violation(f"10: task {show_task(task)} is done and has failed")

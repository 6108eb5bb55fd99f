"""One type per kind of id, so that a job's number can never be handed in where a task's is meant.

Promises: every id that programs pack into one integer fits a signed 64-bit field; packing and unpacking are exact
opposites; ids made later in the log are larger.
Never: makes an id from a clock, a host name or chance. Numbers come from the log, node ids from keys.
"""

from typing import Final, NamedTuple, NewType

JobId = NewType("JobId", int)  # consecutive, given by the log
TaskIndex = NewType("TaskIndex", int)  # position of a task in its job, from 0
TaskId = NewType("TaskId", int)  # job and index in one integer
AttemptId = NewType("AttemptId", int)  # generation, log index and position in one integer
NodeId = NewType("NodeId", str)  # 26 characters made from the machine's key
NodeNumber = NewType("NodeNumber", int)  # short number of an admitted machine, given by the log
UserId = NewType("UserId", str)  # the owner a job belongs to
ClientId = NewType("ClientId", bytes)  # 128 random bits: one submit, however often it is sent

INDEX_BITS: Final = 20
MAX_TASKS: Final = 1 << INDEX_BITS  # in one job
_INDEX_MASK: Final = MAX_TASKS - 1

GENERATION_BITS: Final = 11
LOG_BITS: Final = 38
POSITION_BITS: Final = 14
MAX_POSITIONS: Final = 1 << POSITION_BITS  # assignments in one log entry
_POSITION_MASK: Final = MAX_POSITIONS - 1
_LOG_MASK: Final = (1 << LOG_BITS) - 1

CLIENT_ID_BYTES: Final = 16


def task_id(job: int, index: int) -> TaskId:
    return TaskId(job << INDEX_BITS | index)


def job_of(task: TaskId) -> JobId:
    return JobId(task >> INDEX_BITS)


def index_of(task: TaskId) -> TaskIndex:
    return TaskIndex(task & _INDEX_MASK)


class AttemptParts(NamedTuple):
    generation: int
    log_index: int
    position: int


def attempt_id(generation: int, log_index: int, position: int) -> AttemptId:
    """The only maker of attempt ids. A part that does not fit is a bug upstream, so it is refused here, not wrapped."""
    if not (0 <= generation < 1 << GENERATION_BITS and 0 <= log_index <= _LOG_MASK and 0 <= position <= _POSITION_MASK):
        raise ValueError(f"attempt id out of range: {generation}.{log_index}.{position}")
    return AttemptId((generation << LOG_BITS | log_index) << POSITION_BITS | position)


def attempt_parts(attempt: AttemptId) -> AttemptParts:
    rest, position = attempt >> POSITION_BITS, attempt & _POSITION_MASK
    return AttemptParts(rest >> LOG_BITS, rest & _LOG_MASK, position)


def show_task(task: TaskId) -> str:
    """`42/7`, as people type it."""
    return f"{job_of(task)}/{index_of(task)}"

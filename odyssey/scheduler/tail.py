"""When not to use a free machine: the tail of an array must not end on the slowest one.

With many tasks left, every machine helps. With few left, a slow machine that takes one of them may hold the whole job
up, though a faster machine, busy now, would have done it earlier. The rule counts how many of these tasks the faster
machines can finish before the slow one would finish its single one; are there no more left than that, they wait.

Promises: never makes a task wait for a machine whose tasks overrun without end: what overruns counts as longer and
longer, until the slow machine is the better choice.
Never: applies where a run time is unknown.
"""

from collections.abc import Container, Mapping

from odyssey.ids import AttemptId, NodeNumber, TaskId, job_of
from odyssey.scheduler.board import Row, Wish
from odyssey.scheduler.snapshot import Snapshot
from odyssey.scheduler.state import ANY_NODE


def done_elsewhere(
    snapshot: Snapshot, wish: Wish, rows: Mapping[NodeNumber, Row], slow: Row, closed: Container[NodeNumber]
) -> int:
    """How many of these tasks machines faster than `slow` finish before `slow` would finish one."""
    limit = wish.expected(slow)
    if not limit:
        return 0
    count = 0
    for row in rows.values():
        needed = wish.expected(row)
        if needed >= limit or row.number in closed or row.reserved_for is not None:
            continue
        count += sum(
            (limit - free_at) // needed
            for free_at in slots_free_at(snapshot, wish, row)
            if free_at is not None and free_at < limit
        )
    return count


def slots_free_at(snapshot: Snapshot, wish: Wish, row: Row) -> list[int | None]:
    """For each slot that this wish could use on the machine: in how many ms it is free; None when nobody knows."""
    free = min(row.free_cpu // max(1, wish.cpu), row.free_memory // max(1, wish.memory))
    slots: list[int | None] = [0] * max(0, min(free, wish.slots(row)))
    for attempt, task in snapshot.state.held.get(row.number, {}).items():
        if len(slots) >= wish.slots(row):
            break
        slots.append(remaining_ms(snapshot, row, attempt, task))
    return slots


def remaining_ms(snapshot: Snapshot, row: Row, attempt: AttemptId, task: TaskId) -> int | None:
    """How long an attempt will still run, as far as its command is known."""
    want = snapshot.state.jobs[job_of(task)].spec.want
    learned = snapshot.state.learned
    known = learned.get((want.key, row.number)) if want.key else None
    if known is not None:
        expected = known.mean_ms
    else:
        anywhere = learned.get((want.key, ANY_NODE)) if want.key else None
        if anywhere is None:
            return None
        expected = anywhere.mean_ms * 1000 // row.node.speed
    elapsed = row.seen.elapsed_ms.get(attempt, 0)
    return expected - elapsed if elapsed < expected else elapsed // 2 + 1

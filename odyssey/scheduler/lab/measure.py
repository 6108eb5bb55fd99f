"""What one history was worth, in numbers.

| measure | what it is |
|---|---|
| makespan | from the first submission to the last end |
| wait | from a task's submission to its first start: mean, 95th percentile, longest |
| turnaround | from a task's submission to its end, mean: the wait and the run |
| slowdown | turnaround by the time the task takes on the machine that suits it best (but at least 10 s), mean |
| fairness | Jain's index over the core-seconds that people got while all of them had something waiting; 1 is equal |
| utilisation | core time in which tasks ran, by core time of the machines that were there |
| lost | the part of the core time whose result was lost, because a machine vanished or its owner came |

Promises: utilisation is at most 1; what cannot be measured (fairness of one person) is None.
Never: a number that is not counted from the history.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from odyssey.ids import TaskId, UserId, job_of
from odyssey.model import Outcome
from odyssey.scheduler.lab.floor import Span
from odyssey.scheduler.lab.machines import Machine, What
from odyssey.scheduler.lab.simulate import History

_SHORTEST_MS: Final = 10_000  # below this nobody minds a factor
Stretch = tuple[int, int]


class Measures(NamedTuple):
    makespan_ms: int
    wait_mean_ms: int
    wait_p95_ms: int
    wait_max_ms: int
    turnaround_ms: int
    slowdown: float
    fairness: float | None
    utilisation: float
    lost: float
    tasks: int
    tries: int
    failed: int
    unfinished: int


def measure(history: History) -> Measures:
    times = history.times
    started = [one.started_ms - one.submitted_ms for one in times.values() if one.started_ms >= 0]
    ended = [one.ended_ms - one.submitted_ms for one in times.values() if one.ended_ms >= 0]
    used = sum(_core_ms(history, span) for span in history.spans)
    lost = sum(_core_ms(history, span) for span in history.spans if span.outcome is not Outcome.EXITED)
    there = sum(_present_ms(machine, history.end_ms) * machine.cpus for machine in history.workload.machines)
    return Measures(
        makespan_ms=history.end_ms - min((one.submitted_ms for one in times.values()), default=0),
        wait_mean_ms=round(mean(started)),
        wait_p95_ms=round(quantile(started, 0.95)),
        wait_max_ms=max(started, default=0),
        turnaround_ms=round(mean(ended)),
        slowdown=mean(_slowdowns(history)),
        fairness=_fairness(history),
        utilisation=used / there / 1000 if there else 0.0,
        lost=lost / used if used else 0.0,
        tasks=len(times),
        tries=len(history.spans),
        failed=sum(one.failed for one in times.values()),
        unfinished=len(times) - len(ended),
    )


# -- small statistics --------------------------------------------------------------------------------------------------


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def quantile(values: Iterable[float], part: float) -> float:
    """With a straight line between neighbours."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    whole, rest = divmod(part * (len(ordered) - 1), 1)
    low, high = ordered[int(whole)], ordered[min(int(whole) + 1, len(ordered) - 1)]
    return low + (high - low) * rest


def jain(shares: Sequence[float]) -> float:
    """1 when all are equal, 1/n when one has everything."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


# -- from the history --------------------------------------------------------------------------------------------------


def _cpu(history: History, task: TaskId) -> int:
    return history.submission(task).spec.want.need.cpu_milli


def _core_ms(history: History, span: Span) -> int:
    """In thousandths of a core-millisecond."""
    return (span.end_ms - span.start_ms) * _cpu(history, span.task)


def _present_ms(machine: Machine, end_ms: int) -> int:
    present, since = 0, 0
    for change in machine.changes:
        if change.what is What.VANISH:
            present += max(0, min(change.at_ms, end_ms) - since)
        elif change.what is What.RETURN:
            since = change.at_ms
    away = bool(machine.changes) and machine.changes[-1].what is What.VANISH
    return present if away else present + max(0, end_ms - since)


def _slowdowns(history: History) -> Iterator[float]:
    for task, times in history.times.items():
        if times.ended_ms >= 0:
            best = history.workload.best_ms(history.submission(task).spec, history.work(task))
            yield max(1.0, (times.ended_ms - times.submitted_ms) / max(_SHORTEST_MS, best))


def _fairness(history: History) -> float | None:
    """Over the time in which everybody has a task that waits."""
    users = history.workload.users
    if len(users) < 2:
        return None
    contested = _common([_waiting(history, user) for user in users])
    if not contested:
        return None
    shares = dict.fromkeys(users, 0)
    for span in history.spans:
        overlap = sum(max(0, min(span.end_ms, stop) - max(span.start_ms, start)) for start, stop in contested)
        shares[history.submission(span.task).spec.user] += overlap * _cpu(history, span.task)
    return jain(list(shares.values()))


def _waiting(history: History, user: UserId) -> list[Stretch]:
    """When at least one task of theirs waited for its first start."""
    mine = [
        (one.submitted_ms, one.started_ms if one.started_ms >= 0 else history.end_ms)
        for task, one in history.times.items()
        if history.workload.submissions[job_of(task) - 1].spec.user == user
    ]
    joined: list[Stretch] = []
    for start, stop in sorted(mine):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _common(lists: list[list[Stretch]]) -> list[Stretch]:
    """Where a stretch of every list is."""
    common = lists[0]
    for other in lists[1:]:
        pairs = [(max(a, c), min(b, d)) for a, b in common for c, d in other]
        common = [(start, stop) for start, stop in pairs if start < stop]
    return common

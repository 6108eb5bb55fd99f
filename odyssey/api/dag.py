"""Jobs that wait for each other, seen from one of them: all that hang together, and the longest chain.

Promises: pure; the chain is by what is known: how long jobs ran, or run already, or are expected to by learned times;
where nothing is known each job counts alike.
Never: follows more than MOST jobs: then it says how many are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from odyssey.api import views as v
from odyssey.ids import JobId
from odyssey.model import Job

MOST: Final = 500


class Component(NamedTuple):
    jobs: tuple[JobId, ...]  # in an order in which a job comes after those it waits for
    more: int  # that hang together with them too


def component(jobs: Mapping[JobId, Job], start: JobId) -> Component:
    """Those that are not among `jobs` are told too, as far as others name them."""
    children: dict[JobId, list[JobId]] = {}
    for job in jobs.values():
        for parent in job.parents:
            children.setdefault(parent, []).append(job.id)
    found: dict[JobId, None] = {start: None}
    todo = deque([start])
    while todo:
        one = todo.popleft()
        known = jobs.get(one)
        for other in (*(known.parents if known is not None else ()), *children.get(one, ())):
            if other not in found:
                found[other] = None
                todo.append(other)
    near = list(found)[:MOST]  # the nearest came first
    return Component(tuple(sorted(near)), len(found) - len(near))


def edges(jobs: Mapping[JobId, Job], shown: Iterable[JobId]) -> tuple[tuple[int, int], ...]:
    """Parent and child, of those that are shown."""
    those = set(shown)
    return tuple(
        (parent, job) for job in sorted(those) if job in jobs for parent in jobs[job].parents if parent in those
    )


def longest(
    jobs: Iterable[int], pairs: Iterable[tuple[int, int]], length: Callable[[int], int | None]
) -> tuple[int, ...]:
    """The chain that takes longest, first to last; of equals the one with more jobs. Numbers grow along a chain, since
    a job can only wait for one that was there before it or came with it; with it the order is found here."""
    order = in_order(tuple(jobs), tuple(pairs))
    above: dict[int, list[int]] = {}
    for parent, child in pairs:
        above.setdefault(child, []).append(parent)
    best: dict[int, tuple[int, int, int]] = {}  # the length, the jobs, the one before; of the chain that ends here
    for job in order:
        before = max(((best[one][0], best[one][1], one) for one in above.get(job, ())), default=(0, 0, 0))
        best[job] = before[0] + (length(job) or 0), before[1] + 1, before[2]
    if not best:
        return ()
    at = max(best, key=lambda one: (best[one][:2], -one))
    chain = [at]
    while best[chain[-1]][2]:
        chain.append(best[chain[-1]][2])
    return tuple(reversed(chain))


def in_order(jobs: tuple[int, ...], pairs: tuple[tuple[int, int], ...]) -> list[int]:
    """Those that wait after those they wait for."""
    waits = dict.fromkeys(jobs, 0)
    below: dict[int, list[int]] = {}
    for parent, child in pairs:
        waits[child] += 1
        below.setdefault(parent, []).append(child)
    ready = deque(job for job in jobs if not waits[job])
    found = []
    while ready:
        found.append(job := ready.popleft())
        for child in below.get(job, ()):
            waits[child] -= 1
            if not waits[child]:
                ready.append(child)
    return found


def took_ms(job: v.JobView, now_ms: int) -> int | None:
    if job.started_at is None:
        return None
    return max(0, (job.ended_at if job.ended_at is not None else now_ms) - job.started_at)

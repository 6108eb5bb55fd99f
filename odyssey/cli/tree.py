"""Jobs that wait for each other, as a tree of lines.

A job that waits for several stands below the one that is deepest itself: so it stands below all of them.

Promises: pure; each job once; those without a parent first level, in the order they were given.
Never: says anything of a job: whoever shows the tree does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_ROOT: Final = -1
Parents = Mapping[int, Sequence[int]]


def branches(parents: Parents) -> list[tuple[int, str]]:
    """Each job, in the order of the lines, with the branches before its name."""
    depths = depths_of(parents)
    below: dict[int, list[int]] = {}
    for job, before in parents.items():
        below.setdefault(max(before, key=lambda one: (depths[one], one), default=_ROOT), []).append(job)
    found: list[tuple[int, str]] = []
    left = [(job, "", "") for job in reversed(below.get(_ROOT, []))]
    while left:
        job, before_it, under = left.pop()
        found.append((job, before_it))
        children = below.get(job, [])
        for number, child in reversed(list(enumerate(children))):
            own, beneath = ("└─ ", "   ") if number == len(children) - 1 else ("├─ ", "│  ")
            left.append((child, under + own, under + beneath))
    return found


def depths_of(parents: Parents) -> dict[int, int]:
    """How many jobs come one after the other before each; there are no cycles."""
    depths = dict.fromkeys(parents, 0)
    is_settled = False
    while not is_settled:
        is_settled = True
        for job, before in parents.items():
            depth = max((depths[one] + 1 for one in before), default=0)
            is_settled &= depth == depths[job]
            depths[job] = depth
    return depths

"""How far a follow has come, so that it can go on where it was.

Promises: what is asked for next is exactly what was not taken yet.
Never: keeps output.
"""

from __future__ import annotations

from typing import Final

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.requests import Span

_MERGE: Final = 1_000  # single ends before they are made spans


class Marks:
    def __init__(self, request: r.Follow) -> None:
        self._request = request
        self._marks = {mark.attempt: mark for mark in request.marks}
        self._attempts: dict[int, list[int]] = {}  # of tasks that have not ended
        self._told = list(request.told)

    def request(self) -> r.Follow:
        self._told = merged(self._told)
        asked, marks = self._request, tuple(self._marks.values())
        return r.Follow(asked.ref, asked.is_grouped, tuple(self._told), marks, asked.without_output)

    def note(self, item: v.AnyItem) -> bool:
        """False: it was told before the connection broke."""
        match item:
            case v.Began() if item.attempt in self._marks:
                self._open(item)
                return False
            case v.Began():
                self._open(item)
                self._marks.setdefault(item.attempt, r.Mark(item.attempt))
            case v.Output():
                mark, end = self._marks.get(item.attempt, r.Mark(item.attempt)), item.offset + len(item.data)
                is_out = item.stream == v.STDOUT
                self._marks[item.attempt] = r.Mark(
                    item.attempt, end if is_out else mark.stdout, mark.stderr if is_out else end
                )
            case v.Moved():
                mark = self._marks.get(item.attempt, r.Mark(item.attempt))
                self._marks[item.attempt] = r.Mark(item.attempt, mark.stdout, mark.stderr, is_over=True)
            case v.Ended():
                for attempt in self._attempts.pop(item.index, ()):
                    self._marks.pop(attempt, None)
                self._told.append((item.index, item.index + 1))
                if len(self._told) % _MERGE == 0:
                    self._told = merged(self._told)
            case _:
                pass
        return True

    def _open(self, began: v.Began) -> None:
        """Its marks are said until its task has ended."""
        those = self._attempts.setdefault(began.index, [])
        if began.attempt not in those:
            those.append(began.attempt)


def merged(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return found

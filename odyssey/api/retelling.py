"""How far somebody has been told what happened, so that another machine, or the next daemon, can go on from there.

Events of the log have one place and one mark on every machine. What machines observe has no place: of that, what may
have been missed meanwhile is asked for by its age.

Promises: each event of the log is handed on once, whoever tells it; what is asked for next begins where the last one
ended; the same observation of a machine is not handed on twice in a row.
Never: waits, or keeps more than MARKS.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec.structs import replace

from odyssey.api import requests as r
from odyssey.api import views as v

MARKS: Final = 20_000
SLACK_MS: Final = 2_000  # what is observed takes its time on the way
LONGEST_MS: Final = 24 * 3_600_000


class Retelling:
    def __init__(self, request: r.Events) -> None:
        self._first = replace(request, with_position=True)
        self._index = 0
        self._marks: OrderedDict[int, None] = OrderedDict()
        self._observed: dict[str, str] = {}  # of each machine what was told last
        self._heard_ms: int | None = None
        self._begin = (0, 0)  # the entry and the mark of the first that was told
        self._is_before_begin = False

    @property
    def has_begun(self) -> bool:
        return self._heard_ms is not None

    def request(self, now_ms: int) -> r.Events:
        """What is to be asked next."""
        if self._heard_ms is None or not self._index:
            return self._first
        self._is_before_begin = True
        away_ms = min(LONGEST_MS, now_ms - self._heard_ms + SLACK_MS)
        return replace(self._first, since=self._index, within_ms=away_ms)

    def news(self, page: v.EventPage, now_ms: int) -> v.EventPage:
        """What of it has not been handed on."""
        self._heard_ms = now_ms
        new = tuple(event for event in page.events if self._is_new(event))
        told = max((event.index for event in page.events), default=0)
        self._index = max(self._index, page.index, told)
        while len(self._marks) > MARKS:
            self._marks.popitem(last=False)
        return replace(page, events=new)

    def _is_new(self, event: v.EventView) -> bool:
        if self._was_before(event) or (event.mark and event.mark in self._marks):
            return False
        self._marks[event.mark] = None
        if event.index:
            self._begin = self._begin if self._begin[0] else (event.index, event.mark)
            return True
        is_new, self._observed[event.subject] = self._observed.get(event.subject) != event.kind, event.kind
        return is_new

    def _was_before(self, event: v.EventView) -> bool:
        """Of the entry with which this began, what was before its first event was not asked for."""
        if self._is_before_begin and event.index:
            self._is_before_begin = event.index == self._begin[0] and event.mark != self._begin[1]
            return self._is_before_begin
        return False

"""What people asked for and what they were told, up to a moment.

Promises: pure. What was asked and not answered binds nobody: it may have happened or not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.power.works import Work


@dataclass(slots=True)
class Wish:
    """Something that can be undone by its contrary. None: it is not known any more."""

    value: Any = None


@dataclass(slots=True)
class Account:
    works: dict[int, Work] = field(default_factory=dict)  # that were taken in, by the number of their first job
    unsure: list[Work] = field(default_factory=list)  # nobody was told
    cancelled: set[int] = field(default_factory=set)
    may_be_cancelled: set[int] = field(default_factory=set)
    retried: set[int] = field(default_factory=set)
    held: dict[int, Wish] = field(default_factory=dict)
    priority: dict[int, Wish] = field(default_factory=dict)
    share: Wish = field(default_factory=Wish)
    seen: dict[int, dict[str, Any]] = field(default_factory=dict)  # what was told of jobs that had ended
    refused: list[str] = field(default_factory=list)
    _asked: dict[str, Any] | None = None

    def take(self, line: bytes) -> None:
        mark = json.loads(line)
        if "what" in mark:
            self._ask(mark)
        elif "told" in mark and self._asked is not None:
            asked, self._asked = self._asked, None
            self._tell(asked, mark["told"])
        elif "refused" in mark and self._asked is not None:
            self._asked = None
            self.refused.append(mark["refused"])
        elif "seen" in mark:
            self.seen[mark["seen"]] = {name: mark[name] for name in ("state", "tasks", "texts", "kept")}

    def interrupted(self) -> None:
        """What was asked last will never be answered."""
        if self._asked is not None and self._asked["what"] == "submit":
            self.unsure.append(Work(self._asked["kind"], self._asked["word"]))
        self._asked = None

    def _ask(self, mark: dict[str, Any]) -> None:
        """Until it is answered it is not known which of both is so."""
        self._asked = mark
        job = mark.get("job", 0)
        match mark["what"]:
            case "cancel":
                self.may_be_cancelled.add(job)
            case "hold" | "release":
                self.held[job] = Wish()
            case "prio":
                self.priority[job] = Wish()
            case "retry":
                self.seen.pop(job, None)
                self.cancelled.discard(job)
            case "share":
                self.share = Wish()

    def _tell(self, asked: dict[str, Any], told: int) -> None:
        """`told` is how much was changed: by what changes nothing, nothing is promised."""
        job = asked.get("job", 0)
        match asked["what"]:
            case "submit":
                self._taken_in(told, Work(asked["kind"], asked["word"]))
            case "share":
                self.share = Wish(asked["mem"])
            case "cancel" if told:
                self.cancelled.add(job)
            case "hold" | "release" if told:
                self.held[job] = Wish(asked["what"] == "hold")
            case "prio" if told:
                self.priority[job] = Wish(asked["priority"])
            case "retry" if told:
                self.retried.add(job)

    def _taken_in(self, first: int, work: Work) -> None:
        self.works[first] = work
        if work.kind == "held":
            self.held[first] = Wish(True)

    @property
    def jobs(self) -> dict[int, tuple[Work, int, int]]:
        """By number: its work, its place in the submit, the number of the first."""
        return {
            first + place: (work, place, first)
            for first, work in self.works.items()
            for place in range(len(work.specs()))
        }

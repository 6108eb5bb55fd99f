"""Machines that have output for this person and do not answer: a sentence when one falls silent, one when it is back,
and an error in the end when something is missing.

Promises: each is told once; a job whose output is not all here never looks like one that succeeded.
Never: prints.
"""

from __future__ import annotations

from collections.abc import Iterator

from odyssey.api.views import AnyItem, Ended, Progress
from odyssey.errors import OdysseyError, Unreachable


class Away:
    def __init__(self) -> None:
        self._silent: frozenset[str] = frozenset()
        self._is_cut = False
        self.missing: set[str] = set()  # machines

    def hear(self, item: AnyItem) -> Iterator[str]:
        if isinstance(item, Progress):
            now, before = frozenset(item.silent), self._silent
            self._silent = now
            for name in sorted(now - before):
                yield f"{name} does not answer: its output comes when it does, or from where the job starts again"
            for name in sorted(before - now):
                yield f"{name} answers again"
        elif isinstance(item, Ended) and item.missing is not None:
            self.missing.add(item.missing)

    def reach(self, cut: OdysseyError | None) -> Iterator[str]:
        """Of the mesh itself, from here."""
        if cut is not None and not self._is_cut:
            yield f"{cut.message}; what runs goes on, and this goes on when it answers"
        elif cut is None and self._is_cut:
            yield "the mesh answers again"
        self._is_cut = cut is not None

    def error(self, ref: str) -> Unreachable | None:
        if not self.missing:
            return None
        where = ", ".join(sorted(self.missing))
        text = f"output of job {ref} is missing: it is on {where}, which is not there"
        return Unreachable(text, hint=f"when it is back: odyssey logs {ref}")

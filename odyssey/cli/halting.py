"""When a `map` is stopped early, in GNU parallel's words: `--halt now,fail=1`, `soon,success=3`, `now,fail=20%`.

Promises: a rule that cannot be read is refused with one that can; what it says depends on the counts alone.
Never: stops anything.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from odyssey.errors import UsageError, echo

_FORM: Final = re.compile(r"(now|soon),(fail|success|done)=([1-9][0-9]{0,6})(%?)")
_SHORT: Final = {"0": "never", "1": "soon,fail=1", "2": "now,fail=1"}


class Halt(NamedTuple):
    """`at_once`: what runs is killed too; else only what waits is dropped."""

    at_once: bool = False
    what: str = ""  # "": never
    limit: int = 0
    is_percent: bool = False

    def is_due(self, done: int, failed: int, total: int) -> bool:
        """`done` and `failed` of `total` tasks have ended so; a share is one of all tasks."""
        if not self.what:
            return False
        seen = {"fail": failed, "success": done, "done": done + failed}[self.what]
        return seen * 100 >= self.limit * total if self.is_percent else seen >= self.limit


def parse(text: str) -> Halt:
    text = _SHORT.get(text, text)
    if text == "never":
        return Halt()
    found = _FORM.fullmatch(text)
    if not found or (found[4] and int(found[3]) > 100):
        raise UsageError(
            f"--halt {echo(text)} is not understood",
            hint="write --halt now,fail=1 or soon,fail=20%, with fail, success or done; or never",
        )
    return Halt(found[1] == "now", found[2], int(found[3]), bool(found[4]))

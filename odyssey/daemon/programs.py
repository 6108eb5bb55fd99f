"""Which programs are on the owner's path of this machine, of those that somebody has asked for.

Promises: what is told was so within the last FRESH_MS; of very many names those asked for last are remembered.
Never: starts one, or looks through all there are.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from odyssey.clock import Clock

FRESH_MS: Final = 60_000
MOST: Final = 256


class Programs:
    def __init__(self, path: Callable[[], bytes], clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._known: OrderedDict[str, tuple[bool, int]] = OrderedDict()  # by name: is it there, and when was it looked

    def ask(self, names: Iterable[str]) -> frozenset[str]:
        """Those that are there; from now on they are told of."""
        names = tuple(names)
        for name in names:
            self._known[name] = is_program(name, self._path()), self._clock.monotonic_ms()
            self._known.move_to_end(name)
        found = frozenset(name for name in names if self._known[name][0])
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return found

    def labels(self, told: Mapping[str, str]) -> dict[str, str]:
        """What is so now, of what was asked for and of what this machine has `told` before."""
        self.ask(name for label in told if (name := label.removeprefix("has:")) != label and name not in self._known)
        return {f"has:{name}": "yes" for name in list(self._known) if self._look(name)}

    def _look(self, name: str) -> bool:
        now = self._clock.monotonic_ms()
        is_there, looked_ms = self._known[name]
        if now - looked_ms >= FRESH_MS:
            is_there, looked_ms = is_program(name, self._path()), now
        self._known[name] = is_there, looked_ms
        return is_there


def is_program(name: str, path: bytes) -> bool:
    """As whoever starts it would find it."""
    if not name or "/" in name or "\0" in name:
        return False
    files = (os.path.join(folder or b".", os.fsencode(name)) for folder in path.split(b":"))
    return any(os.path.isfile(file) and os.access(file, os.X_OK) for file in files)

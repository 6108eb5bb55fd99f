"""The keys by which a person leaves a terminal without ending what runs there, as ssh has them.

Promises: pure; everything else passes as it was typed. What may become the way out is held back until the next key.
Never: takes part of a word for it: it counts only at the beginning of a line.
"""

from __future__ import annotations

from typing import Final

WAY_OUT: Final = "Enter ~ ."
_LINE_ENDS: Final = b"\r\n"


class Escapes:
    def __init__(self) -> None:
        self._is_at_start = True
        self._is_held = False  # a ~ at the beginning of a line

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What goes on to the job, and whether the person leaves; what follows is then dropped."""
        out = bytearray()
        for key in data:
            if self._is_held:
                self._is_held = False
                if key == ord("."):
                    return bytes(out), True
                out += b"~" if key == ord("~") else bytes((ord("~"), key))
                self._is_at_start = key in _LINE_ENDS
            elif self._is_at_start and key == ord("~"):
                self._is_held = True
            else:
                out.append(key)
                self._is_at_start = key in _LINE_ENDS
        return bytes(out), False

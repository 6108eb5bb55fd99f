"""What a program has turned on in the terminal it draws on, so that it can be turned off when the person leaves it
there: another screen, reports of the mouse, a hidden cursor.

Promises: pure; what the program has turned off again itself is not touched.
Never: changes what passes, or knows what is drawn.
"""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(
    rb"\x1b(?:\[\?(?P<modes>[0-9;]*)(?P<set>[hl])|(?P<keypad>[=>])|\[(?P<region>[0-9;]*)r"
    rb"|\[(?P<keys>[<>])[0-9;]*u|\[>4(?:;(?P<other>[0-9]*))?m|(?P<reset>c))"
)
COLOURLESS: Final = b"\x1b[0m"
_LONGEST: Final = 32  # of what is looked for
_ON_AT_FIRST: Final = frozenset((7, 25))  # lines wrap, the cursor is seen
_OFF_AT_FIRST: Final = frozenset((1, 5, 9, 47, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1047, 1049, 2004))
_OTHER_SCREENS: Final = (47, 1047, 1049)


class Screen:
    def __init__(self) -> None:
        self._reset()
        self._left = b""  # the beginning of a word that may go on

    def _reset(self) -> None:
        self._changed: set[int] = set()
        self._has_keypad = self._has_region = self._has_other_keys = False
        self._key_modes = 0

    def feed(self, data: bytes) -> None:
        data = self._left + data
        for word in _WORD.finditer(data):
            self._note(word)
        last = data.rfind(b"\x1b", max(0, len(data) - _LONGEST))
        self._left = data[last:] if last >= 0 and not _WORD.match(data, last) else b""

    def _note(self, word: re.Match[bytes]) -> None:
        if word["set"]:
            for text in word["modes"].split(b";"):
                self._note_mode(int(text or 0), word["set"] == b"h")
        elif word["keypad"]:
            self._has_keypad = word["keypad"] == b"="
        elif word["region"] is not None:
            self._has_region = bool(word["region"])
        elif word["keys"]:
            self._key_modes = max(0, self._key_modes + (1 if word["keys"] == b">" else -1))
        elif word["reset"]:
            self._reset()
        else:
            self._has_other_keys = word["other"] not in (None, b"", b"0")

    def _note_mode(self, mode: int, is_on: bool) -> None:
        if (mode in _OFF_AT_FIRST and is_on) or (mode in _ON_AT_FIRST and not is_on):
            self._changed.add(mode)
        else:
            self._changed.discard(mode)

    def undo(self) -> bytes:
        """What makes the terminal one for a shell again. The other screen is left last: that puts the cursor back."""
        words = [b"\x1b[<u"] * self._key_modes
        words += [b"\x1b[>4m"] if self._has_other_keys else []
        words += [b"\x1b>"] if self._has_keypad else []
        words += [b"\x1b7\x1b[r\x1b8"] if self._has_region else []
        for mode in sorted(self._changed, key=lambda mode: (mode in _OTHER_SCREENS, mode)):
            words.append(b"\x1b[?%d%s" % (mode, b"h" if mode in _ON_AT_FIRST else b"l"))
        return b"".join(words) + COLOURLESS if words else b""

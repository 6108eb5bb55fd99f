"""The terminal of the person who types: given raw to a job, and taken back.

Promises: after `leave` it is as it was before the first `enter`, also where this process is in the background or the
terminal is gone.
Never: reads or writes it.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any, Final

USUAL: Final = (24, 80)


class Terminal:
    """The one on descriptor `number`."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._before: list[Any] | None = None
        self.is_raw = False

    @property
    def is_there(self) -> bool:
        try:
            return os.isatty(self.number)
        except OSError:
            return False

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns; some terminals do not know them."""
        try:
            columns, rows = os.get_terminal_size(self.number)
        except OSError:
            return USUAL
        return (rows or USUAL[0], columns or USUAL[1])

    def enter(self) -> None:
        """Every key goes on as it is, and nothing is shown of it here."""
        import termios
        import tty

        with suppress(termios.error, OSError):
            if self._before is None:
                self._before = termios.tcgetattr(self.number)
            self.is_raw = True
            tty.setraw(self.number, termios.TCSANOW)  # what was typed ahead stays

    def leave(self) -> None:
        if self._before is None or not self.is_raw:
            return
        import termios

        self.is_raw = False
        usual = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else who is in the background would be stopped here
        try:
            with suppress(termios.error, OSError):
                termios.tcsetattr(self.number, termios.TCSANOW, self._before)
        finally:
            signal.signal(signal.SIGTTOU, usual)

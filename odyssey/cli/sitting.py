"""A person at the terminal of a job: keys in, screen out, until one of the two goes.

As long as no machine has the job this is like any attached one; then the terminal is the job's. Ctrl-C is a key.

Promises: the person's terminal is as it was when this is over, whatever ends it. Leaving, and losing the terminal,
leave the job alone.
Never: shows again what the job has shown before: a screen would answer what the program once asked of it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from odyssey.api.requests import Mark
from odyssey.api.views import STDOUT, AnyItem, Began, Cut, Ended, Moved, Output, Over
from odyssey.cli.attached import Attached
from odyssey.cli.desk import Desk
from odyssey.cli.escapes import WAY_OUT
from odyssey.cli.screen import COLOURLESS, Screen
from odyssey.cli.terminal import Terminal
from odyssey.cli.typist import Typist

_BELL: Final = b"\a"


class Sitting(Attached):
    def __init__(
        self, desk: Desk, job: int, terminal: Terminal, *, at: Mark | None = None, takes: bool = False
    ) -> None:
        """`at`: it runs already, as this attempt, and so much was shown before. `takes`: whoever types there now looks
        on from then on."""
        super().__init__(desk, job, is_grouped=False, marks=() if at is None else (at,))
        self._terminal, self._at, self._takes = terminal, at, takes
        self._screen = Screen()
        self._typist: Typist | None = None
        self._is_told = self._looks_told = False
        self._is_resized = self._is_continued = False

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """No signal ends this process while it has the terminal."""
        with super()._listening(), self._watching_terminal():
            try:
                if self._at is not None:
                    self._is_started = True
                    self._sit_down(self._at.attempt, is_back=True)
                yield
            finally:
                self._get_up()

    @contextmanager
    def _watching_terminal(self) -> Iterator[None]:
        def resized(_number: int, _frame: object) -> None:
            self._is_resized = True
            self._feed.wake()

        def continued(_number: int, _frame: object) -> None:
            self._is_continued = True
            self._feed.wake()

        ours = {signal.SIGWINCH: resized, signal.SIGCONT: continued}
        before = {number: signal.signal(number, heard) for number, heard in ours.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # ---- sitting down and getting up ---------------------------------------------------------------------------------

    def _sit_down(self, attempt: int, *, is_back: bool) -> None:
        if not self._is_told:
            self._is_told = True
            self._output.say(f"leave with {WAY_OUT} and it goes on; come back with: odyssey attach {self._job}")
        end, size = self._terminal.number, lambda: self._terminal.size
        self._typist = Typist(self._desk.daemon(), self._ref, attempt, end, size, self._feed.wake, self._ring)
        self._typist.takes, self._takes = self._takes, False
        self._terminal.enter()
        self._typist.start(is_back=is_back)

    def _get_up(self, *, is_over: bool = False) -> None:
        """The terminal is the person's again. A program that is over has tidied up itself, as far as it could."""
        typist, self._typist = self._typist, None
        self._terminal.leave()
        if typist is not None:
            typist.stop()
            with suppress(OSError):  # it may be gone
                if self._output.out.is_terminal:
                    self._output.out.write(self._screen.undo() or (b"" if is_over else COLOURLESS))
            self._screen = Screen()

    def _ring(self) -> None:
        with suppress(OSError):
            self._output.err.write(_BELL)

    # ---- what is told ------------------------------------------------------------------------------------------------

    def _show(self, item: AnyItem) -> None:
        match item:
            case Output() if item.stream == STDOUT:
                self._screen.feed(item.data)
            case Moved() | Ended() | Over():
                self._get_up(is_over=True)
        if isinstance(item, Cut) and self._typist is not None:
            self._say_between(f"its output is longer than is kept: nothing more is shown; leave with {WAY_OUT}")
            return
        super()._show(item)
        if isinstance(item, Began):
            self._get_up(is_over=True)
            self._sit_down(item.attempt, is_back=False)

    # ---- what the person does ----------------------------------------------------------------------------------------

    def _obey(self) -> int | None:
        typist = self._typist
        if typist is None:
            return super()._obey()
        if typist.failure is not None:
            raise typist.failure
        if typist.has_left:
            return self._detach(0)
        if typist.is_lost:
            return self._detach(128 + signal.SIGHUP)
        if typist.only_looks and not self._looks_told:
            self._looks_told = True
            take = f"to type yourself: odyssey attach --take {self._job}"
            self._say_between(f"somebody else types there: you look on; leave with {WAY_OUT}; {take}")
        if self._is_continued:
            self._terminal.enter()
        if self._is_resized or self._is_continued:
            typist.resize(is_nudge=self._is_continued)
            self._is_resized = self._is_continued = False
        return super()._obey()

    def _tell(self, text: str) -> None:
        if self._typist is None:
            super()._tell(text)
        else:
            self._say_between(text)

    def _say_between(self, text: str) -> None:
        self._terminal.leave()
        self._output.say(text)
        self._terminal.enter()

    def _choice(self) -> str:
        """Ctrl-C is a key of the job, so this signal is from somebody else."""
        return "c" if self._typist is not None else super()._choice()

    def _detach(self, status: int) -> int:
        self._get_up()
        return super()._detach(status)

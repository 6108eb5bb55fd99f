"""The only module that prints.

A command's result goes to stdout: a table (aligned on a terminal, else tab-separated, without a head and without
colour), text, or one JSON document. What Odyssey itself says goes to stderr after `odyssey:`. The bytes of jobs pass
through untouched, each on its own stream.

Promises: nothing that came from elsewhere can steer the terminal; what is written is written at once, so two streams on
one terminal keep their order; a line of progress is gone before anything else appears.
Never: asks the daemon, or decides what is worth saying.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from select import select
from typing import Final, NamedTuple, Protocol

from odyssey.errors import OdysseyError, lines, one_line

Cell = str | int | float | None

_COLOURS: Final = {
    "done": "32",
    "up": "32",
    "running": "36",
    "waiting": "33",
    "silent": "33",
    "failed": "31",
    "gone": "31",
    "cancelled": "35",
    "skipped": "35",
}
_WIDEST: Final = 24
_ERASE: Final = b"\r\x1b[K"


class Stream(Protocol):
    @property
    def is_terminal(self) -> bool: ...

    @property
    def width(self) -> int: ...

    def write(self, data: bytes) -> None: ...


class Descriptor:
    """A file descriptor of this process, unbuffered."""

    def __init__(self, number: int) -> None:
        self._number = number
        try:
            self.is_terminal = os.isatty(number)
        except OSError:
            self.is_terminal = False

    @property
    def width(self) -> int:
        try:
            return os.get_terminal_size(self._number).columns or 80
        except OSError:
            return 80

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._number, view) :]
            except BlockingIOError:  # whoever else has this terminal or pipe may have made it non-blocking
                select([], [self._number], [])


class Column(NamedTuple):
    title: str
    is_wide: bool = False  # left out on a terminal


class Output:
    def __init__(self, out: Stream, err: Stream, environment: Mapping[str, str]) -> None:
        self.out, self.err = out, err
        self.is_quiet = False
        self.as_json = False
        self.has_colour = out.is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        self._drawn = ""  # the line of progress on the terminal
        self._block = 0  # how many lines are drawn there, to be drawn over
        self._is_at_start = True  # of a line of the terminal, as far as what passed here tells

    # ---- results -----------------------------------------------------------------------------------------------------

    def text(self, line: str = "") -> None:
        self._put(self.out, _printable(line) + "\n")

    def json(self, document: object) -> None:
        import json

        self._put(self.out, json.dumps(document, ensure_ascii=False, separators=(", ", ": ")) + "\n")

    def script(self, text: str) -> None:
        """A text of our own, with its lines."""
        self._put(self.out, text)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        if not self.out.is_terminal:
            for row in rows:
                self._put(self.out, "\t".join(_cell(cell, "") for cell in row) + "\n")
            return
        for line in self._aligned(columns, [list(row) for row in rows]):
            self._put(self.out, line + "\n")

    def screen(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        """A table on a terminal, drawn over the one before."""
        self._draw_over(self.out, list(self._aligned(columns, rows)))

    def _aligned(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
        shown = [place for place, column in enumerate(columns) if not column.is_wide]
        last = shown[-1]
        cells = [[_short(_cell(row[place], "-"), place == last) for place in shown] for row in rows]
        titles = [columns[place].title for place in shown]
        widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
        for number, row in enumerate([titles, *cells]):
            padded = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            yield self._dressed(padded[: self.out.width], row, is_head=number == 0)

    def _dressed(self, line: str, row: Sequence[str], *, is_head: bool) -> str:
        if not self.has_colour:
            return line
        if is_head:
            return f"\x1b[2m{line}\x1b[0m"
        for cell in row:
            if colour := _COLOURS.get(cell):
                return line.replace(f"  {cell}", f"  \x1b[{colour}m{cell}\x1b[0m", 1)
        return line

    # ---- bytes of jobs -----------------------------------------------------------------------------------------------

    def stdout(self, data: bytes) -> None:
        self._put(self.out, data)

    def stderr(self, data: bytes) -> None:
        self._put(self.err, data)

    # ---- what Odyssey says -------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        if not self.is_quiet:
            self._own(f"odyssey: {one_line(text)}")

    def progress(self, text: str) -> None:
        """One line at the end of a terminal, until it is replaced or something else is printed."""
        if self.is_quiet or not self.err.is_terminal or not self._is_at_start:
            return
        line = one_line(text)[: max(1, self.err.width - 1)]
        if line != self._drawn:
            self.err.write(_ERASE + line.encode("utf-8", "backslashreplace"))
            self._drawn = line

    def block(self, lines: Sequence[str], is_last: bool) -> None:
        """Several lines at the end of a terminal, drawn over those of the last time; the last time they stay."""
        if self.is_quiet or not self.err.is_terminal:
            return
        self._draw_over(self.err, [one_line(line)[: max(1, self.err.width - 1)] for line in lines])
        if is_last:
            self._block = 0

    def _draw_over(self, stream: Stream, lines: Sequence[str]) -> None:
        up = f"\x1b[{self._block}F" if self._block else ""
        text = up + "".join(f"\x1b[K{line}\n" for line in lines) + "\x1b[J" * (len(lines) < self._block)
        self._block = len(lines)
        stream.write(text.encode("utf-8", "backslashreplace"))

    def clear(self) -> None:
        if self._drawn:
            self.err.write(_ERASE)
            self._drawn = ""

    def ask(self, question: str) -> None:
        """A question on the terminal, that is answered on the same line."""
        self.clear()
        self._fresh_line()
        self.err.write(f"{one_line(question)} ".encode())
        self._is_at_start = False

    def answered(self) -> None:
        self._fresh_line()

    def tap(self, text: str) -> None:
        """A tap on the shoulder: the bell, and the notification that many terminals know (OSC 9)."""
        if self.err.is_terminal and not self.is_quiet:
            self.err.write(f"\x1b]9;{one_line(text)}\x1b\\\a".encode("utf-8", "backslashreplace"))

    def error(self, error: OdysseyError) -> None:
        """Two lines; also with -q: a failure is never silent."""
        for line in lines(error):
            if line is not None:
                self._own(line)

    def trace(self, text: str) -> None:
        self.clear()
        self.err.write(text.encode("utf-8", "backslashreplace"))

    def _own(self, line: str) -> None:
        self.clear()
        self._fresh_line()
        self.err.write(f"{_printable(line)}\n".encode("utf-8", "backslashreplace"))

    def _fresh_line(self) -> None:
        """On a terminal our lines do not go on where a job has stopped in the middle of one."""
        if self.err.is_terminal and not self._is_at_start:
            self.err.write(b"\n")
            self._is_at_start = True

    def _put(self, stream: Stream, text: str | bytes) -> None:
        data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
        if not data:
            return
        if stream.is_terminal:
            self.clear()
            self._is_at_start = data.endswith(b"\n")
        stream.write(data)


def _cell(cell: Cell, unknown: str) -> str:
    return unknown if cell is None or cell == "" else _printable(str(cell))


def _short(text: str, is_last: bool) -> str:
    """No column may push the others off the screen; the last one ends where the screen does."""
    return text if is_last or len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _printable(text: str) -> str:
    return one_line(text)

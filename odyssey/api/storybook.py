"""What was told of the mesh, in two files that take turns: the newest 100,000 events outlive the daemon.

One line for each event, as JSON, so that people can read it too. When the newer file is full it becomes the older one,
and the older one goes.

Promises: a line that is torn or foreign is passed over; what is read has growing numbers; a disk that is full costs
lines and nothing else.
Never: is a source of truth: the log is, and tells again what had not been written down yet.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from odyssey.api.views import EventView

MOST: Final = 100_000
NEWER, OLDER = "events.jsonl", "events.1.jsonl"
_log: Final = logging.getLogger(__name__)


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    number: int
    at: int
    kind: str
    subject: str
    text: str
    data: dict[str, str | int]
    mark: int  # of the entry and the event: the same again is no news
    index: int = 0  # of the entry; 0: it was observed

    @property
    def view(self) -> EventView:
        return EventView(self.at, self.kind, self.subject, self.text, self.data, self.number, self.index, self.mark)


_DECODER: Final = msgspec.json.Decoder(Line)
_ENCODER: Final = msgspec.json.Encoder()


class Storybook:
    def __init__(self, folder: Path, most: int = MOST) -> None:
        self._newer, self._older, self._half = folder / NEWER, folder / OLDER, max(1, most // 2)
        self._count = -1  # of lines in the newer one, as soon as that is known
        self._is_in_trouble = False

    def read(self) -> list[Line]:
        """All that is there, oldest first."""
        lines = list(_lines(self._older))
        newer = list(_lines(self._newer))
        self._count = len(newer)
        found: list[Line] = []
        for line in (*lines, *newer):
            if not found or line.number > found[-1].number:
                found.append(line)
        return found

    def add(self, lines: Sequence[Line]) -> None:
        try:
            self._add(lines)
            self._is_in_trouble = False
        except OSError as error:
            if not self._is_in_trouble:
                _log.warning("events are not written down: %s", error)
            self._is_in_trouble = True

    def _add(self, lines: Sequence[Line]) -> None:
        if self._count < 0:
            self._count = sum(1 for _ in _lines(self._newer))
        if self._count + len(lines) > self._half and self._count:
            os.replace(self._newer, self._older)
            self._count = 0
        data = b"".join(_ENCODER.encode(line) + b"\n" for line in lines)
        file = os.open(self._newer, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if not _ends_well(self._newer):
                data = b"\n" + data  # the one before was torn
            while data:
                data = data[os.write(file, data) :]
        finally:
            os.close(file)
        self._count += len(lines)


def _ends_well(file: Path) -> bool:
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - 1))
        return opened.read(1) in (b"", b"\n")


def _lines(file: Path) -> Iterator[Line]:
    for text in _texts(file):
        try:
            yield _DECODER.decode(text)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            continue


def _texts(file: Path) -> Iterable[bytes]:
    try:
        with file.open("rb") as opened:
            yield from opened
    except OSError:
        return

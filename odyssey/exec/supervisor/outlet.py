"""Where the output of one slot goes: segments that grow at their end, and beside each an index of who wrote what.

A runner reads the pipes of its job and writes here; so a job that opens its own /dev/stderr again, empties it or locks
it can harm nobody's output, and a stalled disk holds up the slot that writes and nothing else. A segment is three
files, made when there is something to write: `.out`, `.err`, and `.idx` with one record for each attempt that has
written something or of whose end there is something to say.

Promises: bytes are kept as they were written and in their order; beyond the limit, or on a full disk, they are counted
and thrown away, and the job goes on. A record is written after the bytes it speaks of.
Never: deletes.
"""

import os
import struct
from typing import Final, NamedTuple

OUT: Final = 1
ERR: Final = 2
LIMIT: Final = 1 << 30  # bytes of one stream of one attempt
FULL: Final = 32 << 20  # then the slot takes the next segment
RECORD: Final = struct.Struct("<QQQQQQQqQI")
UNKNOWN: Final = -1


class Record(NamedTuple):
    attempt: int
    out_at: int
    out_size: int
    out_cut: int
    err_at: int
    err_size: int
    err_cut: int
    unread: int  # bytes of its standard input that it left; UNKNOWN
    note_at: int  # in the file of stderr
    note_size: int


def segment_name(life: int, slot: int, number: int) -> str:
    return f"{life:012x}-{slot:03x}-{number:04x}"


class Outlet:
    """Of one slot. `begin`, any number of `write`, `end`; then the next attempt."""

    def __init__(self, folder: str, life: int, slot: int, limit: int = LIMIT) -> None:
        self._folder, self._life, self._slot, self._limit = folder, life, slot, limit
        self.number = 0
        self.is_open = False
        self._files: list[int] = []
        self._attempt = 0
        self.at = [0, 0, 0]  # by stream: where the attempt's output begins
        self.size = [0, 0, 0]
        self.cut = [0, 0, 0]
        self.is_disk_full = False
        self._owed = list[tuple[Record, bytes]]()  # ends that found no room, each with its note

    def resume(self, number: int, attempt: int, at: list[int], cut: list[int]) -> None:
        """Go on where a runner was killed: its files are as long as what it had written."""
        self.number, self._attempt = number, attempt
        self._open()
        ends = [0, os.fstat(self._files[0]).st_size, os.fstat(self._files[1]).st_size]
        self.at, self.cut = list(at), list(cut)
        self.size = [0, *(max(0, ends[stream] - at[stream]) for stream in (OUT, ERR))]

    def begin(self, attempt: int) -> None:
        self._attempt = attempt
        if self._owed:
            self._pay()
        if not self.is_open:
            self.size, self.cut = [0, 0, 0], [0, 0, 0]
            return
        if self.size[OUT] or self.size[ERR]:
            self.at = [0, self.at[OUT] + self.size[OUT], self.at[ERR] + self.size[ERR]]
            self.size = [0, 0, 0]
        self.cut = [0, 0, 0]
        if self.at[OUT] + self.at[ERR] > FULL:
            self.close()
            self.number += 1

    def write(self, stream: int, data: bytes) -> None:
        room = self._limit - self.size[stream]
        if len(data) > room:
            self.cut[stream] += len(data) - room
            data = data[:room]
        if data:
            kept = self._append(stream, data)
            self.size[stream] += kept
            self.cut[stream] += len(data) - kept

    def _append(self, stream: int, data: bytes) -> int:
        """How much of it is kept: all, unless the disk is full."""
        done = 0
        try:
            if not self.is_open:
                self._open()
            while done < len(data):
                done += os.write(self._files[stream - 1], data[done:] if done else data)
        except OSError:
            self.is_disk_full = True
        return done

    def end(self, unread: int = UNKNOWN, note: bytes = b"") -> None:
        """What finds no room on the disk is written before the next attempt that finds some."""
        if not (note or unread != UNKNOWN or any(self.size) or any(self.cut)):
            return
        record = Record(
            self._attempt, self.at[OUT], self.size[OUT], self.cut[OUT], self.at[ERR], self.size[ERR],
            self.cut[ERR], unread, self.at[ERR] + self.size[ERR], len(note),
        )  # fmt: skip
        try:
            if not self.is_open:
                self._open()
                record = record._replace(out_at=self.at[OUT], err_at=self.at[ERR], note_at=self.at[ERR])
            self._note(record, note)
            self.size[ERR] += len(note)  # what comes next is behind it
        except OSError:
            self._owed.append((record, note))
            self.close()  # how long the files are is asked anew

    def _note(self, record: Record, note: bytes) -> None:
        self._put(self._files[1], note)
        self._put(self._files[2], RECORD.pack(*record))

    def _pay(self) -> None:
        self.close()
        try:
            self._open()
            while self._owed:
                record, note = self._owed[0]
                self._note(record._replace(note_at=os.fstat(self._files[1]).st_size), note)
                del self._owed[0]
        except OSError:
            pass  # not yet
        self.close()

    def _put(self, file: int, data: bytes) -> None:
        """All of it or nothing."""
        before = os.fstat(file).st_size
        if data and os.write(file, data) < len(data):
            os.ftruncate(file, before)
            raise OSError("the disk is full")

    def _open(self) -> None:
        base = os.path.join(self._folder, segment_name(self._life, self._slot, self.number))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._files = files = _opened([f"{base}.{ending}" for ending in ("out", "err", "idx")], flags)
        self.is_open = True
        self.at = [0, os.fstat(files[0]).st_size, os.fstat(files[1]).st_size]

    def close(self) -> None:
        if self.is_open:
            for file in self._files:
                os.close(file)
        self.is_open, self.at, self.size = False, [0, 0, 0], [0, 0, 0]


def _opened(paths: list[str], flags: int) -> list[int]:
    """All of them or none."""
    files: list[int] = []
    try:
        files.extend(os.open(path, flags, 0o600) for path in paths)
    except OSError:
        for file in files:
            os.close(file)
        raise
    return files

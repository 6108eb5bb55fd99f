"""What the supervisor has started and how it ended, for the supervisor after it.

A write that was made is there after this process was killed; that is all that is asked of it. After a restart of the
machine nothing of it counts: what ran then is lost, and the coordinator knows that from the machine's new boot.

Promises: a start is written before anything runs. What cannot be read to its end is read as far as it can be.
Never: waits for the disk. Grows without bound: it is written anew when most of it is past.
"""

import os
from typing import Final, NamedTuple

from odyssey.exec.supervisor.frames import Ended, Garbled, Held, Past, Splitter, packed
from odyssey.exec.supervisor.spans import Spans

MAGIC: Final = b"odyssey-hands-1\n"
LARGE: Final = 4 << 20


class Told(NamedTuple):
    """What a supervisor before this one had in its hands."""

    running: dict[int, int]  # attempt -> task
    ended: dict[int, Ended]
    past: Spans


class Journal:
    def __init__(self, path: str, boot: bytes) -> None:
        self._path, self._head = path, MAGIC + boot.ljust(64)[:64]
        self._file = -1
        self._size = 0
        self._lines: list[bytes] = []

    def open(self) -> Told:
        told = Told({}, {}, Spans())
        try:
            with open(self._path, "rb") as file:
                if file.read(len(self._head)) == self._head:
                    _replay(file.read(), told)
        except FileNotFoundError:
            pass
        self.rewrite(told)
        return told

    def add(self, line: bytes) -> None:
        """A packed frame."""
        self._lines.append(line)

    def flush(self) -> bool:
        """False: the disk does not take it. What was added is kept for the next time."""
        if self._lines:
            data = b"".join(self._lines)
            try:
                done = os.write(self._file, data)
                if done < len(data):
                    os.ftruncate(self._file, self._size)
                    return False
            except OSError:
                return False
            self._size += len(data)
            self._lines.clear()
        return True

    @property
    def is_large(self) -> bool:
        return self._size > LARGE

    def rewrite(self, told: Told) -> None:
        """So that it holds this and nothing else."""
        parts = [self._head, *(packed(Past(*span)) for span in told.past.all())]
        parts += [packed(Held(attempt, task, 1, 0, 0)) for attempt, task in told.running.items()]
        parts += [packed(one) for one in told.ended.values()]
        new = f"{self._path}.new"
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        data = b"".join(parts)
        if os.write(file, data) < len(data):
            os.close(file)
            raise OSError("the disk is full")
        os.rename(new, self._path)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size = file, len(data)


def _replay(data: bytes, told: Told) -> None:
    try:
        for one in Splitter().feed(data):
            match one:
                case Held():
                    told.running[one.attempt] = one.task
                case Ended():
                    told.running.pop(one.attempt, None)
                    told.ended[one.attempt] = one
                case Past():
                    told.past.add(one.start, one.stop)
                    if one.stop - one.start > len(told.ended):
                        for attempt in [attempt for attempt in told.ended if one.start <= attempt < one.stop]:
                            del told.ended[attempt]
                    else:
                        for attempt in range(one.start, one.stop):
                            told.ended.pop(attempt, None)
    except Garbled:
        pass  # what follows was never read by anybody

"""What attempts have written, to read: while they run, and afterwards, also after restarts of daemon and supervisor.

Segments and their indexes are as `supervisor.outlet` writes them; how far the output of a running attempt is, its
runner says in shared memory. An index is read when somebody asks, and remembered for a while.

Promises: gives bytes exactly as they were written; what is not known is None, never a guess.
Never: writes, except that `forget` deletes segments of which nothing is wanted any more.
"""

import mmap  # noqa: F401
import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from odyssey.exec.supervisor import slots as pages
from odyssey.exec.supervisor.outlet import ERR, OUT, RECORD, UNKNOWN, Record, segment_name
from odyssey.ids import AttemptId

_KEPT: Final = 64  # indexes in memory


class Extent(NamedTuple):
    """How much of one stream of an attempt there is."""

    size: int
    is_complete: bool
    cut_bytes: int = 0


class _Place(NamedTuple):
    path: str  # of the segment, without its ending
    record: Record
    is_complete: bool


class _Index:
    """Of one segment, as far as it was read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._read = 0
        self.records: dict[int, Record] = {}

    def refresh(self) -> None:
        try:
            with open(f"{self.path}.idx", "rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return
        whole = len(data) - len(data) % RECORD.size
        for at in range(0, whole, RECORD.size):
            record = Record(*RECORD.unpack_from(data, at))
            self.records[record.attempt] = record
        self._read += whole


class Outputs:
    def __init__(self, folder: Path, slots: Path) -> None:
        self._folder, self._slots_path = str(folder), str(slots)
        self._pages: pages.Slots | None = None
        self._indexes: OrderedDict[str, _Index] = OrderedDict()
        self._where: OrderedDict[int, str] = OrderedDict()  # attempt -> segment, of those that were found
        self._watchers: list[Callable[[AttemptId], None]] = []

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, attempt: AttemptId, stream: int, offset: int, limit: int) -> bytes:
        place = self._find(attempt)
        if place is None:
            return b""
        at, size = _part(place.record, stream)
        wanted = max(0, min(limit, size - offset))
        if not wanted:
            return b""
        with suppress(FileNotFoundError), open(f"{place.path}.{'out' if stream == OUT else 'err'}", "rb") as file:
            return os.pread(file.fileno(), wanted, at + offset)
        return b""

    def extent(self, attempt: AttemptId, stream: int) -> Extent | None:
        place = self._find(attempt)
        if place is None:
            return None
        cut = place.record.out_cut if stream == OUT else place.record.err_cut
        return Extent(_part(place.record, stream)[1], place.is_complete, cut)

    def note(self, attempt: AttemptId) -> str | None:
        place = self._find(attempt)
        if place is None or not place.record.note_size:
            return None
        with suppress(FileNotFoundError), open(f"{place.path}.err", "rb") as file:
            return os.pread(file.fileno(), place.record.note_size, place.record.note_at).decode("utf-8", "replace")
        return None

    def unread(self, attempt: AttemptId) -> int | None:
        place = self._find(attempt)
        return None if place is None or place.record.unread == UNKNOWN else place.record.unread

    def watch(self, changed: Callable[[AttemptId], None]) -> Callable[[], None]:
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    def changed(self, attempt: AttemptId) -> None:
        for watcher in list(self._watchers):
            watcher(attempt)

    # -- finding -------------------------------------------------------------------------------------------------------

    def _find(self, attempt: int) -> _Place | None:
        return self._live(attempt) or self._ended(attempt)

    def _live(self, attempt: int) -> _Place | None:
        """In the shared pages: it runs."""
        if self._pages is None:
            self._pages = pages.look(self._slots_path)
        if self._pages is None:
            return None
        for slot in range(pages.MOST):
            if not self._pages.server(slot).pid:
                continue
            page = self._pages.read(slot)
            if page.attempt == attempt:
                path = os.path.join(self._folder, segment_name(self._pages.life, slot, page.segment))
                record = Record(
                    attempt, page.out_at, page.out_size, page.out_cut, page.err_at, page.err_size, page.err_cut,
                    UNKNOWN, 0, 0,
                )  # fmt: skip
                return _Place(path, record, False)
        return None

    def _ended(self, attempt: int) -> _Place | None:
        path = self._where.get(attempt)
        if path is not None:
            return _Place(path, self._index(path).records[attempt], True)
        for name in self._segments():
            path = os.path.join(self._folder, name)
            index = self._index(path)
            index.refresh()
            if attempt in index.records:
                self._where[attempt] = path
                return _Place(path, index.records[attempt], True)
        return None

    def _segments(self) -> list[str]:
        """The newest first."""
        with suppress(FileNotFoundError):
            return sorted((name[:-4] for name in os.listdir(self._folder) if name.endswith(".idx")), reverse=True)
        return []

    def _index(self, path: str) -> _Index:
        index = self._indexes.get(path)
        if index is None:
            index = self._indexes[path] = _Index(path)
            index.refresh()
            if len(self._indexes) > _KEPT:
                old, _ = self._indexes.popitem(last=False)
                self._where = OrderedDict((one, where) for one, where in self._where.items() if where != old)
        self._indexes.move_to_end(path)
        return index


def _part(record: Record, stream: int) -> tuple[int, int]:
    return (record.out_at, record.out_size) if stream == OUT else (record.err_at, record.err_size)


STDOUT: Final = OUT
STDERR: Final = ERR

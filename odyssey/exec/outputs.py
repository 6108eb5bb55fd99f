"""What attempts have written, to read: while they run, and afterwards, also after restarts of daemon and supervisor.

Segments and their indexes are as `supervisor.outlet` writes them; how far the output of a running attempt is, its
runner says in shared memory. Of each segment it is remembered which attempts may be in it; its index is read when
somebody asks for one of them, and kept for a while.

Promises: gives bytes exactly as they were written; what is not known is None, never a guess. Nobody who watches costs
anything while nothing runs.
Never: writes. Deletes only what `sweep` is told to, a segment at a time, and none that still grows.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from odyssey.exec.supervisor import slots as pages
from odyssey.exec.supervisor.outlet import ERR, OUT, RECORD, UNKNOWN, Record, segment_name
from odyssey.ids import AttemptId

STDOUT: Final = OUT
STDERR: Final = ERR
LOOK_S: Final = 0.02  # so often it is looked whether something was written, while somebody watches
_KEPT: Final = 64  # indexes in memory
_STEP_NS: Final = 50_000_000  # longer than any step of the clock of a file system
_ENDINGS: Final = ("idx", "out", "err")


class Extent(NamedTuple):
    """How much of one stream of an attempt there is."""

    size: int  # bytes that can be read
    is_complete: bool  # no more will come
    cut_bytes: int = 0  # that were written beyond the limit and are not kept


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


class _Found(NamedTuple):
    path: str  # of the segment, without its ending
    record: Record
    is_complete: bool


class _Segment:
    """What is known of one: which attempts may be in it, and sometimes its whole index."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lowest, self.highest = 1 << 64, -1
        self._read = 0
        self.records: dict[int, Record] | None = None

    def refresh(self) -> None:
        """What was written since."""
        for record in self._new(self._read):
            self.lowest, self.highest = min(self.lowest, record.attempt), max(self.highest, record.attempt)
            self._read += RECORD.size
            if self.records is not None:
                self.records[record.attempt] = record

    def load(self) -> dict[int, Record]:
        if self.records is None:
            self.records = {record.attempt: record for record in self._new(0)}
        return self.records

    def _new(self, start: int) -> list[Record]:
        with suppress(FileNotFoundError), open(f"{self.path}.idx", "rb") as file:
            data = os.pread(file.fileno(), max(0, os.fstat(file.fileno()).st_size - start), start)
            return [Record(*one) for one in RECORD.iter_unpack(data[: len(data) - len(data) % RECORD.size])]
        return []


class Outputs:
    def __init__(self, folder: Path, slots: Path, timers: Timers) -> None:
        """`folder` is where segments are, `slots` the shared pages of the supervisor."""
        self._folder, self._slots_path, self._timers = str(folder), str(slots), timers
        self._pages: pages.Slots | None = None
        self._pages_are: tuple[int, int] = (0, 0)
        self._segments: dict[str, _Segment] = {}
        self._folder_ns: int | None = None
        self._loaded: OrderedDict[str, _Segment] = OrderedDict()
        self._watchers: list[Callable[[AttemptId], None]] = []
        self._is_looking = False
        self._sizes: dict[int, tuple[int, int]] = {}

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, attempt: AttemptId, stream: int, offset: int, limit: int) -> bytes:
        found = self._find(attempt)
        if found is None:
            return b""
        at, size, _ = _part(found.record, stream)
        wanted = max(0, min(limit, size - offset))
        if not wanted:
            return b""
        with suppress(FileNotFoundError), open(f"{found.path}.{'out' if stream == OUT else 'err'}", "rb") as file:
            return os.pread(file.fileno(), wanted, at + offset)
        return b""

    def extent(self, attempt: AttemptId, stream: int) -> Extent | None:
        found = self._find(attempt)
        if found is None:
            return None
        _, size, cut = _part(found.record, stream)
        return Extent(size, found.is_complete, cut)

    def note(self, attempt: AttemptId) -> str | None:
        """What was said of its end, as one sentence: which program was not found."""
        found = self._find(attempt)
        if found is None or not found.record.note_size:
            return None
        with suppress(FileNotFoundError), open(f"{found.path}.err", "rb") as file:
            return os.pread(file.fileno(), found.record.note_size, found.record.note_at).decode("utf-8", "replace")
        return None

    def unread(self, attempt: AttemptId) -> int | None:
        """How many bytes of its standard input it left, where that is known."""
        found = self._find(attempt)
        return None if found is None or found.record.unread == UNKNOWN else found.record.unread

    # -- watching ------------------------------------------------------------------------------------------------------

    def watch(self, changed: Callable[[AttemptId], None]) -> Callable[[], None]:
        """`changed` is called soon after an attempt has written; the answer ends that."""
        self._watchers.append(changed)
        if not self._is_looking:
            self._is_looking = True
            self._look()

        def end() -> None:
            with suppress(ValueError):
                self._watchers.remove(changed)

        return end

    def wrote(self, attempt: AttemptId) -> None:
        """Somebody knows that there is more, before the next look."""
        for watcher in list(self._watchers):
            watcher(attempt)

    def _look(self) -> None:
        if not self._watchers:
            self._is_looking = False
            self._sizes.clear()
            return
        self._timers.call_later(LOOK_S, self._look)
        before, self._sizes = self._sizes, {}
        for _, page in self._running():
            sizes = (page.out_size + page.out_cut, page.err_size + page.err_cut)
            self._sizes[page.attempt] = sizes
            if sizes != before.get(page.attempt, (0, 0)):
                for watcher in list(self._watchers):
                    watcher(AttemptId(page.attempt))

    # -- finding -------------------------------------------------------------------------------------------------------

    def _find(self, attempt: int) -> _Found | None:
        return self._live(attempt) or self._ended(attempt)

    def _running(self) -> list[tuple[int, pages.Page]]:
        """Slot and page of all that runs."""
        self._open_pages()
        if self._pages is None:
            return []
        told = ((slot, self._pages.read(slot)) for slot in range(self._pages.used) if self._pages.server(slot).pid)
        return [(slot, page) for slot, page in told if page.attempt]

    def _open_pages(self) -> None:
        """Each supervisor makes a file of its own."""
        try:
            told = os.stat(self._slots_path)
        except FileNotFoundError:
            return
        if (told.st_ino, told.st_mtime_ns) != self._pages_are or self._pages is None:
            if self._pages is not None:
                self._pages.close()
            self._pages, self._pages_are = pages.look(self._slots_path), (told.st_ino, told.st_mtime_ns)

    def _live(self, attempt: int) -> _Found | None:
        for slot, page in self._running():
            if page.attempt == attempt:
                assert self._pages is not None
                path = os.path.join(self._folder, segment_name(self._pages.life, slot, page.segment))
                record = Record(
                    attempt, page.out_at, page.out_size, page.out_cut, page.err_at, page.err_size, page.err_cut,
                    UNKNOWN, 0, 0,
                )  # fmt: skip
                return _Found(path, record, False)
        return None

    def _ended(self, attempt: int) -> _Found | None:
        self._list()
        for segment in reversed(self._segments.values()):
            if self._may_grow(segment):
                segment.refresh()
            if segment.lowest <= attempt <= segment.highest:
                record = self._loaded_records(segment).get(attempt)
                if record is not None:
                    return _Found(segment.path, record, True)
        return None

    def _list(self) -> None:
        """Which segments there are; in the order they were begun."""
        try:
            changed_ns = settled_ns(self._folder)
        except FileNotFoundError:
            return
        if changed_ns is not None and changed_ns == self._folder_ns:
            return
        self._folder_ns = changed_ns
        names = sorted(name[:-4] for name in os.listdir(self._folder) if name.endswith(".idx"))
        self._segments = {name: self._segments.get(name) or self._listed(name) for name in names}

    def _listed(self, name: str) -> _Segment:
        segment = _Segment(os.path.join(self._folder, name))
        segment.refresh()
        return segment

    def _may_grow(self, segment: _Segment) -> bool:
        """Its slot writes there, or may do so next."""
        self._open_pages()
        if self._pages is None:
            return False
        life, slot, number = (int(part, 16) for part in os.path.basename(segment.path).split("-"))
        if life != self._pages.life:
            return life > self._pages.life
        return slot >= pages.MOST or number >= self._pages.read(slot).segment

    def _loaded_records(self, segment: _Segment) -> dict[int, Record]:
        self._loaded[segment.path] = segment
        self._loaded.move_to_end(segment.path)
        if len(self._loaded) > _KEPT:
            self._loaded.popitem(last=False)[1].records = None
        return segment.load()

    # -- sweeping ------------------------------------------------------------------------------------------------------

    def pieces(self) -> list[tuple[int, int, int]]:
        """Of each segment that grows no more: its newest attempt, its bytes, and the wall time in ms of the last one;
        in the order of that."""
        self._list()
        found = []
        for segment in self._segments.values():
            if self._may_grow(segment):
                continue
            segment.refresh()
            stats = [os.stat(name) for ending in _ENDINGS if os.path.exists(name := f"{segment.path}.{ending}")]
            if stats:
                written_ns = max(one.st_mtime_ns for one in stats)
                found.append((segment.highest, sum(one.st_size for one in stats), written_ns // 1_000_000))
        return sorted(found, key=lambda one: one[2])

    def sweep(self, is_wanted: Callable[[AttemptId], bool]) -> bool:
        """Deletes a segment of which nothing is wanted; true if there may be more of them."""
        self._list()
        for name, segment in list(self._segments.items()):
            if self._may_grow(segment):
                continue
            if not any(is_wanted(AttemptId(attempt)) for attempt in segment.load()):
                for ending in _ENDINGS:
                    with suppress(FileNotFoundError):
                        os.unlink(f"{segment.path}.{ending}")
                self._loaded.pop(segment.path, None)
                del self._segments[name]
                return True
            if segment.path not in self._loaded:
                segment.records = None
        return False


def settled_ns(folder: str) -> int | None:
    """When names last came or went. None: only just, and systems tell the time in steps, so more may come of which this
    time would not tell."""
    changed_ns = os.stat(folder).st_mtime_ns
    return changed_ns if time.time_ns() - changed_ns > _STEP_NS else None


def _part(record: Record, stream: int) -> tuple[int, int, int]:
    if stream == OUT:
        return record.out_at, record.out_size, record.out_cut
    return record.err_at, record.err_size, record.err_cut

"""What this machine answers others on behalf of jobs: what attempts here have written, keys for their terminals, and
files from its spool.

Promises: a question about news is answered as soon as there is some; an answer is never larger than a letter.
Never: decides who may ask: that is the table's, and whoever receives the question.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from odyssey.api import errands as q
from odyssey.api import views as v
from odyssey.api.ports import Counter, Outputs
from odyssey.api.spool import Spool
from odyssey.api.terminals import check_keys, typed
from odyssey.errors import UsageError
from odyssey.exec.outputs import Extent
from odyssey.ids import AttemptId, TaskId

PIECE: Final = 256 << 10  # read at a time, in search of lines
LOOK_S: Final = 1.0  # without a hint, so often it is looked by itself


class Bringing:
    def __init__(self, counter: Counter, spool: Spool) -> None:
        self._counter, self._spool = counter, spool
        self.handlers: Mapping[str, q.Handler] = {
            "output-of": self.output,
            "sizes-of": self.sizes,
            "keys-for": self.keys,
            "blob-of": spool.blob_of,
            "stdin-of": spool.stdin_of,
        }

    # -- output --------------------------------------------------------------------------------------------------------

    async def output(self, request: q.AskOutput) -> q.Pieces:
        if len(request.wants) > q.MOST_WANTED or any(_is_wrong(want) for want in request.wants):
            raise UsageError("this output cannot be told", hint="upgrade the program that asks")
        pieces = self._news(request.wants, request.tail)
        if pieces or request.wait_ms <= 0:
            return q.Pieces(pieces)
        return q.Pieces(await self._wait(request))

    async def _wait(self, request: q.AskOutput) -> tuple[q.Piece, ...]:
        by_attempt = {want.attempt: want for want in request.wants}
        changed: dict[int, None] = {}
        stirred = asyncio.Event()

        def heard(attempt: AttemptId) -> None:
            if attempt in by_attempt:
                changed[attempt] = None
                stirred.set()

        loop = asyncio.get_running_loop()
        end = loop.time() + min(request.wait_ms, q.LONGEST_MS) / 1000
        stop = self._counter.outputs.watch(heard)
        try:
            while (left := end - loop.time()) > 0:
                is_hinted = await _within(stirred, min(left, LOOK_S))
                wants = [by_attempt[one] for one in changed] if is_hinted else request.wants
                changed.clear()
                stirred.clear()
                if pieces := self._news(wants, request.tail):
                    return pieces
        finally:
            stop()
        return ()

    def _news(self, wants: Iterable[q.Want], tail: int) -> tuple[q.Piece, ...]:
        found: list[q.Piece] = []
        room = q.MOST_BYTES
        for want in wants:
            piece = self._piece(want, tail, room)
            if piece is not None:
                found.append(piece)
                room -= len(piece.stdout.data) + len(piece.stderr.data)
            if room <= 0:
                break
        return tuple(found)

    def _piece(self, want: q.Want, tail: int, room: int) -> q.Piece | None:
        """None: nothing is new."""
        outputs, attempt = self._counter.outputs, AttemptId(want.attempt)
        out, err = (outputs.extent(attempt, stream) for stream in (v.STDOUT, v.STDERR))
        if out is None and err is None:
            return q.Piece(want.attempt) if want.is_over else None
        out, err = out or Extent(0, is_complete=True), err or Extent(0, is_complete=True)
        is_complete = out.is_complete and err.is_complete
        stdout = self._stream(attempt, v.STDOUT, want.stdout, out, tail, room)
        stderr = self._stream(attempt, v.STDERR, want.stderr, err, tail, room - len(stdout.data))
        if not (stdout.data or stderr.data or is_complete or want.is_over):
            return None
        note = unread = None
        if is_complete or want.is_over:
            note, unread = outputs.note(attempt), outputs.unread(attempt)
        return q.Piece(want.attempt, True, is_complete, stdout, stderr, note, unread)

    def _stream(self, attempt: AttemptId, stream: int, at: int, extent: Extent, tail: int, room: int) -> q.Stream:
        if tail >= 0:
            at = max(at, tail_start(self._counter.outputs, attempt, stream, extent, tail))
        size = min(extent.size - at, room)
        data = self._counter.outputs.read(attempt, stream, at, size) if size > 0 else b""
        return q.Stream(at, data, extent.size, extent.cut_bytes)

    async def sizes(self, request: q.AskSizes) -> q.Sizes:
        if len(request.attempts) > q.MOST_WANTED:
            raise UsageError("these sizes cannot be told", hint="upgrade the program that asks")
        return q.Sizes(tuple(size_of(self._counter, TaskId(task), AttemptId(one)) for task, one in request.attempts))

    # -- keys ----------------------------------------------------------------------------------------------------------

    async def keys(self, request: q.Keys) -> v.Typed:
        check_keys(request.attempt, request.writer, request.offset, (request.rows, request.columns), request.data)
        attempt = AttemptId(request.attempt)
        here = self._counter.here().get(attempt)
        if here is None or here.task != request.task:
            return v.Typed(0, is_ready=False)
        return await typed(self._counter, attempt, request)


def size_of(counter: Counter, task: TaskId, attempt: AttemptId) -> q.Size:
    """As far as this machine knows."""
    extents = [counter.outputs.extent(attempt, stream) for stream in (v.STDOUT, v.STDERR)]
    out, err = extents
    return q.Size(
        out.size if out is not None else None,
        err.size if err is not None else None,
        all(one is not None and one.is_complete for one in extents),
        sum(one.cut_bytes for one in extents if one is not None),
        counter.files.kept(task, attempt),
    )


def _is_wrong(want: q.Want) -> bool:
    return min(want.attempt, want.stdout, want.stderr) < 0


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def tail_start(outputs: Outputs, attempt: AttemptId, stream: int, extent: Extent, lines: int) -> int:
    """Where the last so many lines begin; a last line without an end is one too."""
    if lines == 0:
        return extent.size
    end, wanted = extent.size, lines
    if end and outputs.read(attempt, stream, end - 1, 1) == b"\n":
        wanted += 1
    while end:
        start = max(0, end - PIECE)
        data = outputs.read(attempt, stream, start, end - start)
        count = data.count(b"\n")
        if count >= wanted:
            at = len(data)
            for _ in range(wanted):
                at = data.rindex(b"\n", 0, at)
            return start + at + 1
        wanted -= count
        end = start
    return 0

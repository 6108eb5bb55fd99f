"""Output of attempts on other machines, as it arrives: for one who follows, or reads what there is.

It looks like the outputs of this machine, but bytes are here only until they are read once. What is to be asked for
next follows from what has come: offsets are the truth, so an answer that is lost, late or doubled costs nothing.

Promises: each byte once and in order; so much at most waits to be read, of each machine; what nobody can tell is told
as missing, never as the end.
Never: asks, waits, or looks at a clock.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from odyssey.api import errands as q
from odyssey.api import views as v
from odyssey.exec.outputs import Extent
from odyssey.ids import AttemptId, NodeId

ROOM: Final = 512 << 10  # bytes of one machine that wait to be read; while there are more, no more are asked for
REST_MS: Final = 2_000  # for the last bytes of an attempt to be there whose end is known
GONE_MS: Final = 30_000  # after the end of an attempt, its machine is waited for


class _Stream:
    __slots__ = ("cut", "data", "size", "start")

    def __init__(self, start: int) -> None:
        self.start, self.data, self.size, self.cut = start, bytearray(), 0, 0

    @property
    def end(self) -> int:
        return self.start + len(self.data)

    def take(self, told: q.Stream) -> int:
        """What came before is left out; behind a gap nothing is taken. How many bytes were new."""
        self.size, self.cut = told.size, told.cut  # of a disk that lost its last bytes it may be less than before
        if not told.at <= self.end < told.at + len(told.data):
            return 0
        new = told.data[self.end - told.at :]
        self.data += new
        return len(new)

    @property
    def has_all(self) -> bool:
        return self.end >= self.size


class _Attempt:
    """What is here of one."""

    def __init__(self, node: NodeId, stdout: int, stderr: int) -> None:
        self.node = node
        self.streams = (_Stream(stdout), _Stream(stderr))
        self.is_known = self.is_complete = False
        self.is_over = False  # on the log
        self.is_done = False  # nothing is asked any more
        self.is_missing = False  # because nobody answers
        self.over_ms = 0
        self.again_ms = 0  # not asked for before
        self.note: str | None = None
        self.unread: int | None = None

    @property
    def has_all(self) -> bool:
        return all(stream.has_all for stream in self.streams)

    @property
    def held(self) -> int:
        return sum(len(stream.data) for stream in self.streams)


class Trouble(NamedTuple):
    """A machine does not answer."""

    since_ms: int
    text: str


class Distant:
    """`wanted` is called with a machine when there is something else to ask of it (True), or room for more (False)."""

    def __init__(self, wanted: Callable[[NodeId, bool], None]) -> None:
        self._wanted = wanted
        self._all: dict[AttemptId, _Attempt] = {}
        self._held: dict[NodeId, int] = defaultdict(int)  # bytes that nobody has read yet
        self._trouble: dict[NodeId, Trouble] = {}
        self._preferred: _Attempt | None = None

    # -- for who reads -------------------------------------------------------------------------------------------------

    def begin(self, attempt: AttemptId, node: NodeId, stdout: int, stderr: int) -> None:
        self._all[attempt] = _Attempt(node, stdout, stderr)
        self._wanted(node, True)

    def end(self, attempt: AttemptId) -> None:
        one = self._all.pop(attempt, None)
        if one is not None:
            self._preferred = None if self._preferred is one else self._preferred
            self._let_go(one.node, one.held)

    def _let_go(self, node: NodeId, size: int) -> None:
        was_full = not self.has_room(node)
        self._held[node] -= size
        if was_full:  # there may be room for one of them
            self._wanted(node, False)

    def settle(self, attempt: AttemptId, now_ms: int) -> None:
        """Its end is on the log: what its machine has now is all."""
        one = self._all.get(attempt)
        if one is None or one.is_done:
            return
        if not one.is_over:
            one.is_over, one.over_ms = True, now_ms
            self._wanted(one.node, True)
        elif one.node in self._trouble and now_ms - max(one.over_ms, self._trouble[one.node].since_ms) >= GONE_MS:
            one.is_done = one.is_missing = True

    def read(self, attempt: AttemptId, stream: int, offset: int, limit: int) -> bytes:
        """Once."""
        one = self._all.get(attempt)
        if one is None:
            return b""
        part = one.streams[_place(stream)]
        if offset != part.start or not part.data:
            return b""
        data = bytes(memoryview(part.data)[:limit])
        del part.data[: len(data)]
        part.start += len(data)
        self._let_go(one.node, len(data))
        return data

    def extent(self, attempt: AttemptId, stream: int) -> Extent | None:
        one = self._all.get(attempt)
        if one is None or (one.is_done and not one.is_known and not one.is_missing):
            return None
        part = one.streams[_place(stream)]
        return Extent(part.end, one.is_done, part.cut)

    def note(self, attempt: AttemptId) -> str | None:
        one = self._all.get(attempt)
        return one.note if one is not None else None

    def unread(self, attempt: AttemptId) -> int | None:
        one = self._all.get(attempt)
        return one.unread if one is not None else None

    def is_missing(self, attempt: AttemptId) -> bool:
        one = self._all.get(attempt)
        return one is not None and one.is_missing

    def is_silent(self, attempt: AttemptId) -> bool:
        """Its machine does not answer just now."""
        one = self._all.get(attempt)
        return one is not None and one.node in self._trouble

    def silent(self) -> frozenset[NodeId]:
        """Machines that have something for us and do not answer."""
        return frozenset(one.node for one in self._all.values() if not one.is_done) & self._trouble.keys()

    def has_room_beside(self, attempt: AttemptId) -> bool:
        """More can come of others or of this one while nobody reads it."""
        one = self._all.get(attempt)
        return one is not None and self.has_room(one.node)

    # -- for who asks --------------------------------------------------------------------------------------------------

    def has_room(self, node: NodeId) -> bool:
        return self._held[node] < ROOM

    def prefer(self, attempt: AttemptId | None) -> None:
        """Nothing else is read until this one is all there: it must not wait for room that others take."""
        one = self._all.get(attempt) if attempt is not None else None
        if self._preferred is not one:
            self._preferred = one
            if one is not None:
                self._wanted(one.node, True)

    def wants(self, node: NodeId, now_ms: int) -> tuple[q.Want, ...]:
        """What to ask next, if there is room. Attempts whose end is known first, in the order in which they began."""
        one = self._preferred
        if not self.has_room(node) and (one is None or one.node != node or one.held >= ROOM):
            return ()
        open_ = [(attempt, one) for attempt, one in self._all.items() if one.node == node and not one.is_done]
        if not self.has_room(node):
            open_ = [(attempt, one) for attempt, one in open_ if one is self._preferred]
        due = [(attempt, one) for attempt, one in open_ if one.again_ms <= now_ms]
        ordered = [*(one for one in due if one[1].is_over), *(one for one in due if not one[1].is_over)]
        return tuple(
            q.Want(attempt, one.streams[0].end, one.streams[1].end, one.is_over)
            for attempt, one in ordered[: q.MOST_WANTED]
        )

    def due_ms(self, node: NodeId, now_ms: int) -> int | None:
        """In so many ms something is to be asked that is not yet."""
        later = [one.again_ms - now_ms for one in self._all.values() if one.node == node and not one.is_done]
        later = [wait for wait in later if wait > 0]
        return min(later) if later else None

    def take(self, asked: Iterable[q.Want], pieces: Iterable[q.Piece], now_ms: int) -> None:
        """An answer."""
        wants = {want.attempt: want for want in asked}
        for piece in pieces:
            one, want = self._all.get(AttemptId(piece.attempt)), wants.get(piece.attempt)
            if one is None or one.is_done or want is None:
                continue
            self._trouble.pop(one.node, None)
            one.is_known = one.is_known or piece.is_known
            self._held[one.node] += one.streams[0].take(piece.stdout) + one.streams[1].take(piece.stderr)
            one.is_complete = one.is_complete or piece.is_complete
            one.note = piece.note if piece.note is not None else one.note
            one.unread = piece.unread if piece.unread is not None else one.unread
            self._look(one, want, now_ms)

    def _look(self, one: _Attempt, want: q.Want, now_ms: int) -> None:
        """Is that all? Where its machine knows the end of it, or nothing at all though it is over; else the last bytes
        may still be on their way to its disk."""
        if not one.has_all:
            return
        if one.is_complete or (want.is_over and not one.is_known):
            one.is_done = True
        elif want.is_over:
            one.is_done = now_ms - one.over_ms >= REST_MS
            one.again_ms = one.over_ms + REST_MS

    def answered(self, node: NodeId) -> bool:
        """True: it did not before."""
        return self._trouble.pop(node, None) is not None

    def failed(self, node: NodeId, text: str, now_ms: int) -> bool:
        """It does not answer. True: that is new."""
        is_new = node not in self._trouble
        if is_new:
            self._trouble[node] = Trouble(now_ms, text)
        return is_new

    def why_silent(self, attempt: AttemptId) -> str:
        one = self._all.get(attempt)
        trouble = self._trouble.get(one.node) if one is not None else None
        return trouble.text if trouble is not None else ""


def _place(stream: int) -> int:
    return 0 if stream == v.STDOUT else 1

"""One segment of history on its way from another member onto this disk: piece by piece, and put when it is whole.

Its name is the digest of its bytes, so it does not matter who sends it. What breaks off is lost: a segment is small,
and who is asked next begins anew.

Promises: ends once, with True when it is on disk; is silent once it was cancelled.
Never: puts bytes that are not those of the digest, or asks for more than the segment has.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from odyssey.mesh.raft.types import Member
from odyssey.mesh.transfer import Bulk, Run


class SegmentTransfer:
    def __init__(
        self,
        digest: bytes,
        size: int,
        source: Member,
        run: Run,
        bulk: Bulk,
        came: Callable[[], None],
        done: Callable[[bool], None],
    ) -> None:
        self._digest, self._size, self._source = digest, size, source
        self._run, self._bulk, self._came, self._done = run, bulk, came, done
        self._data = bytearray()
        self._over = False

    def start(self) -> None:
        self._bulk.ask_segment(self._source, self._digest, len(self._data), self._arrived)

    def cancel(self) -> None:
        self._over = True

    def _arrived(self, piece: bytes | None) -> None:
        if self._over:
            return
        if not piece:
            self._end(False)
            return
        self._data += piece
        if len(self._data) < self._size:
            self._came()
            self.start()
        else:
            self._put(bytes(self._data))

    def _put(self, data: bytes) -> None:
        if sha256(data).digest() != self._digest:
            self._end(False)
        else:
            self._run(lambda store: store.put_segment(self._digest, data), lambda _: self._end(True))

    def _end(self, is_here: bool) -> None:
        if not self._over:
            self._over = True
            self._done(is_here)

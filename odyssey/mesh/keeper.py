"""Keeps a replica's log on its store, from the side of somebody who must not wait.

Every call of the store is a job for the one thread that touches it; between two jobs others have their turn, so a
snapshot is laid by in steps and the log goes on meanwhile. The bytes of another member's snapshot come through `Bulk`.

Promises: `done` is called when it is on disk. The first error that may have cost something ends everything here:
`failed` is told once, nothing is tried again and nobody else is answered; whoever hears it stops the replica, closes
this and opens the store anew.
Never: lays hands on the store itself, or decides when a snapshot is due.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, TypeVar

from odyssey.errors import OdysseyError
from odyssey.mesh.raft.types import Member, Snapshot, Write
from odyssey.mesh.segment_transfer import SegmentTransfer
from odyssey.mesh.store import MIB, OWN, DamagedSegment, Room, SnapshotGone, Store, StoreError
from odyssey.mesh.transfer import Bulk, Transfer
from odyssey.mesh.worker import Worker

T = TypeVar("T")

AT_ONCE: Final = MIB  # bytes of slices in one job, and in one answer of the bulk lane
_HARMLESS: Final = (SnapshotGone, DamagedSegment)


class Keeper:
    def __init__(self, store: Store, worker: Worker, bulk: Bulk, failed: Callable[[OdysseyError], None]) -> None:
        self._store, self._worker, self._bulk, self._failed = store, worker, bulk, failed
        self._stopped = False
        self._base = 0  # the newest snapshot that is on disk, or on its way there
        self._saving = False
        self._transfer: Transfer | None = None
        self._segment: SegmentTransfer | None = None
        self._handed = b""  # a fetched snapshot that the next write may install

    # -- what a replica asks of its disk -------------------------------------------------------------------------------

    def write(self, write: Write, done: Callable[[], None]) -> None:
        if write.snapshot is not None:
            self._base = write.snapshot.index
        self._run(partial(_write, write), lambda _: done())

    def fetch(self, snapshot: Snapshot, source: Member, done: Callable[[Iterable[bytes] | None], None]) -> None:
        """Takes the place of a fetch that is under way, which is not answered any more."""

        def ended(slices: Sequence[bytes] | None) -> None:
            self._handed = snapshot.digest if slices is not None else self._handed
            done(slices)

        if self._transfer is not None:
            self._transfer.cancel()
        self._transfer = Transfer(snapshot, source, self._run, self._bulk, ended)
        self._transfer.start(frozenset({OWN, self._handed}))

    # -- snapshots of one's own ----------------------------------------------------------------------------------------

    def save(
        self, head: Snapshot, slices: Iterator[bytes], keep_from: int, done: Callable[[Snapshot | None], None]
    ) -> None:
        """`head` says all but digest and size. None: another one was under way, or a leader's newer one came first."""
        if self._saving or self._stopped:
            done(None)
            return
        self._saving = True

        def over(saved: Snapshot | None) -> None:
            self._saving = False
            done(saved)

        def go_on(there_is_more: bool) -> None:
            if self._base >= head.index:
                self._run(_forget, lambda _: over(None))
            elif there_is_more:
                self._run(partial(_lay_by, slices), go_on)
            else:
                self._base = head.index
                self._run(partial(_save, head, keep_from), over)

        self._run(_forget, go_on)

    # -- what others ask -----------------------------------------------------------------------------------------------

    def serve(self, digest: bytes, first: int, doubted: bool, done: Callable[[Sequence[bytes] | None], None]) -> None:
        """Slices of the snapshot in use, some at a time; () after the last one, None when a newer one has come.
        Doubted: they came over there as others, so all of them are verified first."""
        self.ask(
            partial(_serve, digest, first, doubted),
            lambda found: done(None if isinstance(found, StoreError) else found),
        )

    def serve_segment(self, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None:
        """A piece of it from `start` on. None: it is not here; what is damaged goes, and comes again from another."""

        def found(data: bytes | StoreError | None) -> None:
            if isinstance(data, StoreError):
                self.ask(partial(_drop_segments, [digest]), lambda _: done(None))
            else:
                done(None if data is None else data[start : start + AT_ONCE])

        self.ask(partial(_segment, digest), found)

    # -- history -------------------------------------------------------------------------------------------------------

    def fetch_segment(
        self, source: Member, digest: bytes, size: int, came: Callable[[], None], done: Callable[[bool], None]
    ) -> None:
        """From another keeper onto this disk. `came` is called with each piece; False: it was not to be had there.
        Takes the place of one that is under way, which is not answered any more."""
        if self._segment is not None:
            self._segment.cancel()
        self._segment = SegmentTransfer(digest, size, source, self._run, self._bulk, came, done)
        self._segment.start()

    def put_segment(self, digest: bytes, data: bytes, done: Callable[[], None]) -> None:
        self._run(lambda store: store.put_segment(digest, data), lambda _: done())

    def drop_segments(self, digests: Iterable[bytes]) -> None:
        self._run(partial(_drop_segments, sorted(digests)), lambda _: None)

    def segment(self, digest: bytes, done: Callable[[bytes | None], None]) -> None:
        """None: it is not here, or damaged."""
        self.ask(partial(_segment, digest), lambda found: done(None if isinstance(found, StoreError) else found))

    def segments(self, done: Callable[[frozenset[bytes]], None]) -> None:
        """All that are durable when this is answered."""
        self._run(_segments, done)

    # --

    def room(self, done: Callable[[Room], None]) -> None:
        self._run(_room, done)

    def ask(self, job: Callable[[Store], T], done: Callable[[T | StoreError], None]) -> None:
        """Anything else. An error that costs nothing is an answer: `SnapshotGone`, `DamagedSegment`."""
        if not self._stopped:
            self._worker.run(lambda: job(self._store), lambda found: self._heard(found, done))

    def _run(self, job: Callable[[Store], T], done: Callable[[T], None]) -> None:
        """Here every error counts."""

        def sure(found: T | StoreError) -> None:
            if isinstance(found, StoreError):
                self._fail(found)
            else:
                done(found)

        self.ask(job, sure)

    def _heard(self, found: T | OdysseyError, done: Callable[[T | StoreError], None]) -> None:
        if self._stopped:
            return
        if not isinstance(found, OdysseyError) or isinstance(found, _HARMLESS):
            done(found)
        else:
            self._fail(found)

    def _fail(self, error: OdysseyError) -> None:
        self._stop()
        self._failed(error)

    # -- the end -------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._stopped = True
        if self._transfer is not None:
            self._transfer.cancel()
        if self._segment is not None:
            self._segment.cancel()

    def close(self, done: Callable[[], None]) -> None:
        """After what was asked for. Whether closing went well is nobody's business: what is there shows when it is
        opened."""
        self._stop()
        self._worker.run(self._store.close, lambda _: done())


# -- jobs --------------------------------------------------------------------------------------------------------------


def _write(write: Write, store: Store) -> None:
    store.write(write)


def _room(store: Store) -> Room:
    return store.room()


def _forget(store: Store) -> bool:
    store.unstage(OWN)
    return True


def _lay_by(slices: Iterator[bytes], store: Store) -> bool:
    """One step; False when there are no more."""
    pieces = _some(slices)
    if pieces:
        store.stage(OWN, store.staged(OWN).slices, pieces)
    return bool(pieces)


def _save(head: Snapshot, keep_from: int, store: Store) -> Snapshot:
    staged = store.staged(OWN)
    snapshot = Snapshot(head.index, head.term, head.config, staged.digest, staged.size)
    store.save_snapshot(snapshot, keep_from)
    return snapshot


def _serve(digest: bytes, first: int, doubted: bool, store: Store) -> Sequence[bytes]:
    if doubted:
        deque(store.snapshot_slices(digest), maxlen=0)
    return _some(store.snapshot_slices(digest, first))


def _segment(digest: bytes, store: Store) -> bytes | None:
    return store.segment(digest)


def _segments(store: Store) -> frozenset[bytes]:
    return store.segments()


def _drop_segments(digests: Iterable[bytes], store: Store) -> None:
    for digest in digests:
        store.drop_segment(digest)


def _some(slices: Iterator[bytes]) -> Sequence[bytes]:
    pieces, size = [], 0
    for piece in slices:
        pieces.append(piece)
        size += len(piece)
        if size >= AT_ONCE:
            break
    return pieces

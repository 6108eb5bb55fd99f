"""One snapshot on its way from another member onto this disk.

Its slices are laid by under its digest as they come, so a transfer that breaks off goes on where it stopped, also after
a restart. Whether they are the right ones shows in the digest at the end; wrong ones are dropped, and the source is
asked once more and told so, because its disk may be the one that is wrong.

Promises: ends once, with all slices or with None; is silent once it was cancelled.
Never: lays by more bytes than the snapshot has, or tries again after it ended: whoever wants it asks anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from odyssey.mesh.raft.types import Member, Snapshot
from odyssey.mesh.store import Staged, Store

T = TypeVar("T")


class Bulk(Protocol):
    """The lane for bytes."""

    def ask(
        self, source: Member, digest: bytes, first: int, doubted: bool, done: Callable[[Sequence[bytes] | None], None]
    ) -> None:
        """Some slices of a snapshot, from `first` on; () if there are no more. None: it broke off, or is not there."""

    def ask_segment(self, source: Member, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None:
        """Some bytes of a segment, from `start` on. None: it broke off, or is not there."""


class Run(Protocol):
    """A job for the store; `done` is not called if it failed."""

    def __call__(self, job: Callable[[Store], T], done: Callable[[T], None], /) -> None: ...


class Transfer:
    def __init__(
        self,
        snapshot: Snapshot,
        source: Member,
        run: Run,
        bulk: Bulk,
        done: Callable[[Sequence[bytes] | None], None],
    ) -> None:
        self._snapshot, self._source, self._run, self._bulk, self._done = snapshot, source, run, bulk, done
        self._over = self._doubted = False

    def start(self, spared: frozenset[bytes]) -> None:
        """What else is laid by goes, but for the spared names: nobody will ask for it any more."""
        self._run(partial(_make_room, self._snapshot.digest, spared), self._go_on)

    def cancel(self) -> None:
        self._over = True

    def _go_on(self, staged: Staged) -> None:
        wanted = self._snapshot
        if self._over:
            return
        if (staged.digest, staged.size) == (wanted.digest, wanted.size):
            self._run(lambda store: list(store.staged_slices(wanted.digest)), self._end)
        elif staged.size >= wanted.size:
            self._wrong()
        else:
            arrived = partial(self._arrived, staged)
            self._bulk.ask(self._source, wanted.digest, staged.slices, self._doubted, arrived)

    def _arrived(self, staged: Staged, slices: Sequence[bytes] | None) -> None:
        if self._over:
            return
        if slices is None:
            self._end(None)
        elif not slices or staged.size + sum(map(len, slices)) > self._snapshot.size:
            self._wrong()
        else:
            digest, first = self._snapshot.digest, staged.slices
            self._run(lambda store: store.stage(digest, first, slices), self._go_on)

    def _wrong(self) -> None:
        digest, known = self._snapshot.digest, self._doubted
        self._doubted = True
        self._run(lambda store: store.unstage(digest), lambda _: self._end(None) if known else self._again())

    def _again(self) -> None:
        self._go_on(Staged(0, 0, b""))

    def _end(self, slices: Sequence[bytes] | None) -> None:
        if not self._over:
            self._over = True
            self._done(slices)


def _make_room(digest: bytes, spared: frozenset[bytes], store: Store) -> Staged:
    for name in store.staging() - spared - {digest}:
        store.unstage(name)
    return store.staged(digest)

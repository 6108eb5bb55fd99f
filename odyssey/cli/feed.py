"""What is told of a job, item by item, for a face that also has to look at keys and signals.

Promises: every item comes once and in order; the thread that takes them from the daemon is never further ahead than
AHEAD items, so a slow reader slows down the daemon and not its memory.
Never: prints, or ends the job.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import Final

from odyssey.api.requests import Follow
from odyssey.api.views import AnyItem
from odyssey.cli.desk import Daemon
from odyssey.errors import OdysseyError, Unreachable

AHEAD: Final = 64


class Feed:
    def __init__(self, daemon: Daemon, request: Follow) -> None:
        self._daemon, self._request = daemon, request
        self._queue: SimpleQueue[AnyItem | Exception | None] = SimpleQueue()
        self._room = threading.Semaphore(AHEAD)
        self.cut: OdysseyError | None = None  # why the mesh is out of reach just now

    def start(self) -> None:
        threading.Thread(target=self._work, name="feed", daemon=True).start()

    def take(self, seconds: float) -> AnyItem | None:
        """The next item; None when the time is over or somebody called `wake`."""
        try:
            got = self._queue.get(timeout=seconds)
        except Empty:
            return None
        if got is None:
            return None
        self._room.release()
        if isinstance(got, Unreachable):
            hint = f"the job goes on where it runs; come back with: odyssey attach {self._request.ref}"
            raise Unreachable(got.message, hint=hint) from got
        if isinstance(got, Exception):
            raise got
        return got

    def wake(self) -> None:
        """May be called from a signal handler: this queue can be put to while it is being taken from."""
        self._queue.put(None)

    def _work(self) -> None:
        try:
            for item in self._daemon.follow(self._request, self._reach):
                self._room.acquire()
                self._queue.put(item)
        except Exception as error:  # noqa: BLE001 - whoever takes the items is told, whatever it was
            self._room.acquire()
            self._queue.put(error)

    def _reach(self, error: OdysseyError | None) -> None:
        self.cut = error
        self.wake()

"""What a job needs before it starts here and somebody else was given: words of its tasks, its standard input.

Each is fetched from a machine that keeps the log, into the same places where it would be if it had been put here. A
standard input that is still being written is read on as it grows; a mark beside it says for which attempt, so that the
next daemon goes on. One that is complete there is complete here before the job starts: what it has left unread is
counted from the end of it.

Promises: nothing is fetched twice that is here; what breaks off goes on where it was; who waits for something hears
when it is here, or that nobody has it.
Never: believes bytes that are not those of their name.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from odyssey.api import errands as q
from odyssey.api.ports import Others
from odyssey.api.spool import END, Stdin
from odyssey.errors import OdysseyError, Unreachable
from odyssey.ids import AttemptId, index_of
from odyssey.mesh.blobs import KEEP_FREE, Blobs
from odyssey.messages import Here, Listed
from odyssey.spec import ITEMS_IN_BLOB, Blob, JobSpec

T = TypeVar("T")

THERE: Final = ".there"  # beside a standard input that comes from elsewhere
AGAIN_S: Final = 0.5
WAIT_MS: Final = 10_000
TOUCH_S: Final = 600.0  # what is in use is never old
_log: Final = logging.getLogger(__name__)


class Absent(OdysseyError):
    """Nobody who could be asked has it."""


class Inputs:
    """`ready` is called when something has come, or is known not to; `grew` when there is more of a standard input."""

    def __init__(
        self,
        blobs: Path,
        stdin: Path,
        others: Callable[[], Others],
        here: Callable[[], Mapping[AttemptId, Here]],
        ready: Callable[[], None],
        grew: Callable[[bytes, int, bool], None],
    ) -> None:
        self._blobs, self._stdin, self._folder = Blobs(blobs), Stdin(stdin, KEEP_FREE), stdin
        self._others, self._here, self._ready, self._grew = others, here, ready, grew
        self._thread = ThreadPoolExecutor(1, "inputs")
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self._usable: set[bytes] = set()  # standard inputs that are still coming, enough of which is here
        self._absent: dict[bytes, str] = {}
        self._touching: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """What the daemon before was fetching for what still runs."""
        for mark in sorted(self._folder.glob(f"*{THERE}")):
            attempt = _attempt_of(mark)
            one = self._here().get(attempt)
            with suppress(ValueError):
                name = bytes.fromhex(mark.name.removesuffix(THERE))
                if one is not None and not one.ended and not self._path(name, END).exists():
                    self._usable.add(name)
                    self._start(name, self._read_on(name))
        self._touch()

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        if self._touching is not None:
            self._touching.cancel()
        self._thread.shutdown(wait=True)

    # -- what is asked for ---------------------------------------------------------------------------------------------

    def lacks(self, one: Listed, spec: JobSpec) -> bool:
        """True: it is on its way, and `ready` will be called. Raises Absent when it cannot be had."""
        number = index_of(one.task) // ITEMS_IN_BLOB
        blob = spec.items[number] if number < len(spec.items) else None
        lacks_blob = blob is not None and self._lacks_blob(blob)
        return (bool(spec.stdin) and self._lacks_stdin(spec.stdin, one.attempt)) or lacks_blob

    def _lacks_blob(self, blob: Blob) -> bool:
        if blob.digest not in self._tasks and self._blobs.has(blob.digest):
            return False
        self._check("the words of this task", blob.digest)
        self._start(blob.digest, self._fetch_blob(blob))
        return True

    def _lacks_stdin(self, name: bytes, attempt: AttemptId) -> bool:
        is_whole = self._path(name, END).exists()
        is_own = self._path(name).exists() and not self._path(name, THERE).exists()
        if is_whole or is_own or name in self._usable:
            return False
        self._check("its standard input", name)
        if name not in self._tasks:
            self._mark(name, attempt)
            self._start(name, self._read_on(name))
        return True

    def _check(self, what: str, name: bytes) -> None:
        why = self._absent.pop(name, None)
        if why is not None:
            raise Absent(f"{what} cannot be had: {why}", hint="submit it again")

    def _mark(self, name: bytes, attempt: AttemptId) -> None:
        with suppress(OSError):  # without it a restart of this daemon ends the job's input; the job tells
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path(name, THERE).write_text(str(attempt))

    def _start(self, name: bytes, fetching: Coroutine[Any, Any, None]) -> None:
        if name in self._tasks:
            fetching.close()
            return
        task = self._tasks[name] = asyncio.get_running_loop().create_task(self._told(name, fetching))
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def _told(self, name: bytes, fetching: Coroutine[Any, Any, None]) -> None:
        try:
            await fetching
        except OdysseyError as error:
            _log.warning("what a job needs cannot be fetched: %s", error)
            self._absent[name] = error.message
        self._usable.discard(name)
        asyncio.get_running_loop().call_soon(self._ready)  # when this task is no more

    # -- fetching ------------------------------------------------------------------------------------------------------

    async def _fetch_blob(self, blob: Blob) -> None:
        at = 0
        while at < blob.size or not self._blobs.has(blob.digest):
            chunk = await self._ask(q.AskBlob(blob.digest, at))
            at = await self._in_thread(partial(self._blobs.put, blob.digest, blob.size, at, chunk.data))

    async def _read_on(self, name: bytes) -> None:
        """As long as there may be more."""
        path, is_complete = self._path(name), False
        at = path.stat().st_size if path.exists() else 0
        while not is_complete:
            chunk = await self._ask(q.AskStdin(name, at, WAIT_MS))
            is_end = chunk.is_complete and at + len(chunk.data) >= chunk.size
            at, is_complete = await self._in_thread(partial(self._stdin.put, name, at, chunk.data, is_end))
            self._grew(name, at, is_complete)
            if not chunk.is_complete and name not in self._usable:
                self._usable.add(name)
                self._ready()

    async def _ask(self, errand: q.Errand[q.Chunk]) -> q.Chunk:
        """Until somebody answers. Raises Absent when all who do have not got it."""
        while True:
            nodes, silent = self._others().who_keeps(), False
            for node in nodes:
                try:
                    chunk = await self._others().ask(node, errand)
                except Unreachable:
                    silent = True
                    continue
                if chunk.is_known:
                    return chunk
            if not silent:
                raise Absent("no machine that keeps the mesh's jobs has it", hint="submit it again")
            await asyncio.sleep(AGAIN_S)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    # -- what is in use ------------------------------------------------------------------------------------------------

    def _touch(self) -> None:
        """What an attempt here reads from is not to be taken for something that nobody names any more."""
        self._touching = asyncio.get_running_loop().call_later(TOUCH_S, self._touch)
        here = self._here()
        for mark in sorted(self._folder.glob(f"*{THERE}")):
            one = here.get(_attempt_of(mark))
            if one is not None and not one.ended:
                base = mark.with_name(mark.name.removesuffix(THERE))
                for path in (mark, base, base.with_name(base.name + END)):
                    with suppress(OSError):
                        os.utime(path)

    def _path(self, name: bytes, ending: str = "") -> Path:
        return self._folder / f"{name.hex()}{ending}"


def _attempt_of(mark: Path) -> AttemptId:
    with suppress(OSError, ValueError):
        return AttemptId(int(mark.read_text()))
    return AttemptId(0)

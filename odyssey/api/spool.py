"""What is put before a job needs it: files by their content, and standard inputs as they come.

A standard input is `HOME/spool/stdin/<name>`; a file `<name>.end` beside it says that no more will come. The hands feed
it to the job from there, so neither the end of this daemon nor that of the client is a false end of the input.

Promises: a piece is on the disk's way before it is answered; when the end is answered, all of it is there also after a
power cut; what comes twice is taken once; all writing is done outside the loop, by one thread, in order.
Never: keeps what no job names any more longer than an hour, or lets a job wait for a writer that is gone for good.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from odyssey import events as e
from odyssey.api import errands as q
from odyssey.api import frames
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.ports import Counter
from odyssey.api.visits import Visit, Visits
from odyssey.errors import InvalidSpec, OdysseyError, UsageError
from odyssey.lasting import Folders, sync_names
from odyssey.mesh.blobs import DIGEST_BYTES, KEEP_FREE, Blobs, appending
from odyssey.mesh.sidefiles import refused
from odyssey.mesh.store import DiskFull
from odyssey.model import JobState
from odyssey.spec import JobSpec

T = TypeVar("T")

NAME_BYTES: Final = 16
MOST_STDIN: Final = 1 << 30
UNNAMED_SECONDS: Final = 3600.0  # a put may be long before its submit
SWEEP_SECONDS: Final = 600.0
ABANDONED_SECONDS: Final = 60.0  # a client that comes back over a restart needs less
END: Final = ".end"


class Spool:
    def __init__(self, counter: Counter, visits: Visits, keep_free: int = KEEP_FREE) -> None:
        self._counter, self._visits = counter, visits
        self.blobs = Blobs(counter.home / "blobs", keep_free)
        self._stdin = Stdin(counter.home / "spool" / "stdin", keep_free)
        self._thread = ThreadPoolExecutor(1, "spool")
        self._thread.submit(self.blobs.begin)
        self._timers: set[asyncio.TimerHandle] = set()
        self._writers: dict[bytes, Visit] = {}  # of standard inputs that have no end yet
        self._ending: set[asyncio.Task[None]] = set()
        self._waiting: dict[bytes, set[asyncio.Event]] = {}  # machines that read a standard input as it comes
        self._is_closed = False
        self._unsubscribe = counter.subscribe(self._heard)
        self._later(SWEEP_SECONDS, self._sweep)
        self._later(ABANDONED_SECONDS, self._end_orphans)

    def close(self) -> None:
        self._is_closed = True
        self._unsubscribe()
        for timer in self._timers:
            timer.cancel()
        self._thread.shutdown(wait=True)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    # -- putting -------------------------------------------------------------------------------------------------------

    async def blob_put(self, request: r.PutBlob) -> v.HowFar:
        _check_piece(request.offset, request.data)
        size = await self._in_thread(lambda: self.blobs.put(request.digest, request.size, request.offset, request.data))
        return v.HowFar(size, size == request.size)

    async def stdin_put(self, request: r.PutStdin) -> v.HowFar:
        _check_piece(request.offset, request.data)
        if len(request.name) != NAME_BYTES:
            raise InvalidSpec("a standard input has no proper name", hint="upgrade the program that sent it")
        size, is_complete = await self._in_thread(
            lambda: self._stdin.put(request.name, request.offset, request.data, request.is_end)
        )
        self._grew(request.name, size, is_complete)
        self._note_writer(request.name, None if is_complete else self._visits.now())
        return v.HowFar(size, is_complete)

    # -- writers that go -----------------------------------------------------------------------------------------------

    def _note_writer(self, name: bytes, visiting: Visit | None) -> None:
        """Who goes and does not come back has written all that there will be: its job must not wait for ever."""
        if visiting is None:
            self._writers.pop(name, None)
        elif self._writers.get(name) is not visiting:
            self._writers[name] = visiting
            visiting.add_done_callback(lambda gone: self._writer_gone(name, gone))

    def _writer_gone(self, name: bytes, gone: Visit) -> None:
        if not self._is_closed and self._writers.get(name) is gone:
            self._later(ABANDONED_SECONDS, lambda: self._end_abandoned(name, gone))

    def _end_abandoned(self, name: bytes, gone: Visit | None) -> None:
        if self._writers.get(name) is gone:
            self._writers.pop(name, None)
            task = asyncio.get_running_loop().create_task(self._end(name))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _end(self, name: bytes) -> None:
        with suppress(OdysseyError):  # the disk is full: the job's time limit, or a person, ends it
            size, is_complete = await self._in_thread(lambda: self._stdin.end(name))
            self._grew(name, size, is_complete)

    def _grew(self, name: bytes, size: int, is_complete: bool) -> None:
        self._counter.stdin_grew(name, size, is_complete)
        for waiting in self._waiting.pop(name, ()):
            waiting.set()

    # -- for other machines --------------------------------------------------------------------------------------------

    async def blob_of(self, request: q.AskBlob) -> q.Chunk:
        if len(request.digest) != DIGEST_BYTES:
            raise UsageError("there is no such file", hint="upgrade the program that asks")
        return await self._in_thread(lambda: _chunk(self.blobs.path(request.digest), request.offset, True))

    async def stdin_of(self, request: q.AskStdin) -> q.Chunk:
        """From where it is asked, or the end of it; both may be long in coming."""
        if len(request.name) != NAME_BYTES:
            raise UsageError("there is no such standard input", hint="upgrade the program that asks")
        waiting = asyncio.Event()
        self._waiting.setdefault(request.name, set()).add(waiting)
        try:
            found = await self._in_thread(lambda: self._stdin.chunk(request.name, request.offset))
            if found.is_known and not found.data and not found.is_complete and request.wait_ms > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(request.wait_ms, q.LONGEST_MS) / 1000):
                        await waiting.wait()
                found = await self._in_thread(lambda: self._stdin.chunk(request.name, request.offset))
            return found
        finally:
            left = self._waiting.get(request.name, set())
            left.discard(waiting)
            if not left:
                self._waiting.pop(request.name, None)

    def _end_orphans(self) -> None:
        """Those whose writers were here before the daemon began, and have not come back."""
        for job in self._counter.state.jobs.values():
            if job.spec.stdin and not job.ended_index:
                self._end_abandoned(job.spec.stdin, None)

    def check_blobs(self, specs: Sequence[JobSpec]) -> None:
        """What a submit names must be here: the log outlives its client."""
        for spec in specs:
            for blob in spec.items:
                if not self.blobs.has(blob.digest):
                    raise InvalidSpec(
                        f"the words of the tasks of {spec.name or 'this job'} were not sent", hint="submit it again"
                    )

    # -- cleaning up ---------------------------------------------------------------------------------------------------

    def _heard(self, events: Sequence[e.Event]) -> None:
        for event in events:
            if isinstance(event, e.JobEnded):
                job = self._counter.state.jobs.get(event.job)
                if job is not None and job.spec.stdin and event.state is JobState.DONE:
                    self._thread.submit(self._stdin.drop, job.spec.stdin)  # nobody can retry it

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        def due() -> None:
            self._timers.discard(timer)
            call()

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._timers.add(timer)

    def _sweep(self) -> None:
        jobs = self._counter.state.jobs.values()
        blobs = {blob.digest for job in jobs for blob in (*job.spec.items, *job.spec.inputs)}
        stdin = {job.spec.stdin for job in jobs if job.spec.stdin}
        before = self._counter.clock.wall_ms() / 1000 - UNNAMED_SECONDS
        self._thread.submit(self.blobs.sweep, blobs, before)
        self._thread.submit(self._stdin.sweep, stdin, before)
        self._later(SWEEP_SECONDS, self._sweep)


class Stdin:
    """The files of standard inputs."""

    def __init__(self, folder: Path, keep_free: int) -> None:
        self._folder, self._keep_free = folder, keep_free
        self._folders = Folders(folder.parent.parent)

    def put(self, name: bytes, offset: int, data: bytes, is_end: bool) -> tuple[int, bool]:
        """How much is here, and whether that is all. A gap is refused; what is here already is passed over."""
        path = self._path(name)
        end = path.with_name(path.name + END)
        try:
            self._folders.make(self._folder)
            with appending(path) as file:
                here = file.tell()
                if end.exists():
                    return here, True
                if offset > here:
                    return here, False
                new = data[here - offset :]
                self._check(path, here + len(new), len(new))
                here += file.write(new)
                if not is_end or offset + len(data) != here:
                    return here, False
                file.flush()
                os.fsync(file.fileno())
            os.close(os.open(end, os.O_WRONLY | os.O_CREAT, 0o600))
            sync_names(self._folder)
        except OSError as error:
            self._folders.doubt()
            raise refused(path, error) from error
        return here, True

    def _check(self, path: Path, size: int, new: int) -> None:
        if size > MOST_STDIN:
            raise UsageError(
                f"the standard input is longer than {MOST_STDIN >> 30}G", hint="name the file to the command instead"
            )
        room = os.statvfs(self._folder)
        if room.f_bavail * room.f_frsize - new < self._keep_free:
            raise DiskFull(f"the disk of {self._folder} is nearly full", hint="free some space there", path=path)

    def chunk(self, name: bytes, offset: int) -> q.Chunk:
        path = self._path(name)
        is_whole = path.with_name(path.name + END).exists()  # looked at before what is there
        return _chunk(path, offset, is_whole)

    def end(self, name: bytes) -> tuple[int, bool]:
        """As much as is here is all."""
        path = self._path(name)
        return self.put(name, path.stat().st_size if path.exists() else 0, b"", is_end=True)

    def drop(self, name: bytes) -> None:
        path = self._path(name)
        for one in (path.with_name(path.name + END), path):
            one.unlink(missing_ok=True)

    def sweep(self, keep: set[bytes], before: float) -> None:
        named = {name.hex() for name in keep}
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            with suppress(FileNotFoundError):
                if path.name.partition(".")[0] not in named and path.stat().st_mtime < before:
                    path.unlink()

    def _path(self, name: bytes) -> Path:
        return self._folder / name.hex()


def _chunk(path: Path, offset: int, is_whole: bool) -> q.Chunk:
    """`is_whole`: no more will come."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = os.pread(file.fileno(), frames.CHUNK, offset) if 0 <= offset < size else b""
    except FileNotFoundError:
        return q.Chunk(is_known=False)
    except OSError as error:
        raise refused(path, error) from error
    return q.Chunk(data, size, is_whole)


def _check_piece(offset: int, data: bytes) -> None:
    if offset < 0 or len(data) > frames.CHUNK:
        raise UsageError("this piece of a file cannot be taken", hint="upgrade the program that sent it")

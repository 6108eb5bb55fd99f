"""`MeshExecutor`: a `concurrent.futures.Executor` whose calls run as tasks of the mesh.

    with MeshExecutor(cpus=1) as executor:
        print(list(executor.map(pow, range(10), range(10))))

What is called while a submit is on its way travels together in the next one, as the tasks of one job; so many small
calls cost few submits, and a single one waits for nobody.

Promises: a future ends as its call did, with the value, or the exception and its traceback; one whose task ended
without an answer (killed, out of memory, cancelled by somebody) says so; results are opened only by who called.
Never: loses a call: what is accepted is a task of the mesh, or its future has an error.
"""

from __future__ import annotations

import base64
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import msgspec

from odyssey.api import called
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.program import Client
from odyssey.errors import Fault, OdysseyError, Remedy
from odyssey.ids import CLIENT_ID_BYTES

P = ParamSpec("P")
T = TypeVar("T")

TOGETHER: Final = 48 << 10  # bytes of calls that travel in one job
IN_ENVIRONMENT: Final = 80 << 10  # bytes as text, which a variable holds; more goes through standard input
MOST_CALLS: Final = 512  # in one job
MOST_JOBS: Final = 128  # under way at once, each followed by a thread; what is called beyond that travels together
_SHOWN: Final = 2_000  # bytes of standard error in a message


class CallFailed(OdysseyError):
    """The task of a call ended without saying what the function gave."""

    fault = Fault.YOURS
    remedy = Remedy.FIX


class RemoteTraceback(Exception):
    """The traceback of where the function ran, as the cause of what it raised."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class _Pending:
    """A call and who waits for it."""

    def __init__(self, call: called.Call, future: _MeshFuture[Any]) -> None:
        self.call, self.future = call, future


class _MeshFuture(Future[T]):
    """One that can still be cancelled while its task waits."""

    def __init__(self) -> None:
        super().__init__()
        self.task: tuple[Client, str] | None = None  # once it has one

    def cancel(self) -> bool:
        was_cancelled = super().cancel()
        if was_cancelled and self.task is not None:
            client, ref = self.task
            self.task = None
            client.call(r.Cancel(ref))
        return was_cancelled


class MeshExecutor(Executor):
    """Options are those of `Client.submit`, and hold for each call."""

    def __init__(self, client: Client | None = None, **options: Any) -> None:
        self._is_own, self._client = client is None, client or Client()
        self._spec = self._client.spec(_command(), **{"name": "python", **_with_path(options)})
        self._queue: deque[_Pending] = deque()
        self._changed = threading.Condition()  # around the queue, the followers and the end
        self._followers: set[threading.Thread] = set()
        self._is_over = False
        self._sender = threading.Thread(target=self._send_all, name="mesh-executor")
        self._sender.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        import cloudpickle

        call = called.Call(cloudpickle.dumps(fn), cloudpickle.dumps((args, kwargs)))
        future: _MeshFuture[T] = _MeshFuture()
        with self._changed:
            if self._is_over:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._queue.append(_Pending(call, future))
            self._changed.notify_all()
        return future

    def map(
        self, fn: Callable[..., T], /, *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]:
        """As the standard library's. A process begins for each call, which costs some hundredths of a second; with a
        `chunksize` one process makes so many of them, one after the other."""
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout)
        chunks = _chunks(zip(*iterables, strict=False), chunksize)
        return chain.from_iterable(super().map(partial(called.each, fn), chunks, timeout=timeout))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Without `wait` what was called goes on, and is waited for when the program ends."""
        with self._changed:
            self._is_over = True
            waiting = [one.future for one in self._queue] if cancel_futures else []
            self._changed.notify_all()
        for future in waiting:
            future.cancel()
        if wait:
            self._sender.join()

    # -- out -----------------------------------------------------------------------------------------------------------

    def _send_all(self) -> None:
        """In a thread of its own, until all is sent and told after the end."""
        while (batch := self._next_batch()) is not None:
            for some in _travelling_together(batch):
                self._send(some)
        for follower in list(self._followers):
            follower.join()
        if self._is_own:
            self._client.close()

    def _next_batch(self) -> list[_Pending] | None:
        with self._changed:
            while not self._queue or len(self._followers) >= MOST_JOBS:
                if self._is_over and not self._queue:
                    return None
                self._changed.wait()
            batch: list[_Pending] = []
            size = 0
            while self._queue and len(batch) < MOST_CALLS:
                size += len(self._queue[0].call.arguments) + len(self._queue[0].call.function)
                if batch and size > TOGETHER:
                    break
                batch.append(self._queue.popleft())
            return [one for one in batch if not one.future.cancelled()]

    def _send(self, batch: list[_Pending]) -> None:
        try:
            job = self._submitted(batch)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it was
            _fail([one.future for one in batch], error)
            return
        for index, one in enumerate(batch):
            one.future.task = self._client, f"{job}/{index}"
            if one.future.cancelled():  # meanwhile
                self._client.call(r.Cancel(f"{job}/{index}"))
        follower = threading.Thread(target=self._follow, args=(job, [one.future for one in batch]), name=f"job-{job}")
        with self._changed:
            self._followers.add(follower)
        follower.start()

    def _submitted(self, batch: Sequence[_Pending]) -> int:
        data = called.packed([one.call for one in batch], sys.path)
        text = base64.b64encode(data)
        spec = msgspec.structs.replace(self._spec, count=len(batch))
        if len(text) <= IN_ENVIRONMENT:
            name = called.CALLS.encode()
            spec = msgspec.structs.replace(spec, env=tuple(sorted((*spec.env, (name, text)))), hidden=(name,))
        else:
            spec = msgspec.structs.replace(spec, stdin=self._client.put_stdin(data))
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return self._client.call(r.Submit(os.urandom(CLIENT_ID_BYTES), (spec,), version)).id

    # -- home ----------------------------------------------------------------------------------------------------------

    def _follow(self, job: int, futures: list[_MeshFuture[Any]]) -> None:
        """In a thread of its own, until the job has ended."""
        try:
            self._hear(job, futures)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it was
            _fail(futures, error)
        finally:
            with self._changed:
                self._followers.discard(threading.current_thread())
                self._changed.notify_all()

    def _hear(self, job: int, futures: list[_MeshFuture[Any]]) -> None:
        written: dict[tuple[int, int], bytearray] = {}
        for item in self._client.follow(r.Follow(str(job), is_grouped=True)):
            match item:
                case v.Began(index=index):
                    _begin(futures[index])
                case v.Output(index=index):
                    written.setdefault((index, item.stream), bytearray()).extend(item.data)
                case v.Ended(index=index):
                    out, err = (bytes(written.pop((index, stream), b"")) for stream in (v.STDOUT, v.STDERR))
                    _settle(futures[index], job, item, out, err)
                case _:
                    pass


def _chunks(calls: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(islice(calls, size)):
        yield chunk


def _travelling_together(batch: list[_Pending]) -> list[list[_Pending]]:
    """One that is too large for a variable goes alone: each task of a job would read the calls of all."""
    large = [one for one in batch if len(one.call.function) + len(one.call.arguments) > TOGETHER]
    small = [one for one in batch if one not in large]
    return [[one] for one in large] + ([small] if small else [])


def _begin(future: _MeshFuture[Any]) -> None:
    """A later try of a call that began once began already."""
    if not future.running() and not future.done():
        future.set_running_or_notify_cancel()


def _settle(future: _MeshFuture[Any], job: int, end: v.Ended, out: bytes, err: bytes) -> None:
    future.task = None
    _begin(future)
    if future.done():
        return
    answer = called.opened(out)
    if answer is None:
        text = f"the call ended without an answer: {end.reason or end.state} (job {job}/{end.index})"
        said = err[-_SHOWN:].decode("utf-8", "replace").strip()
        future.set_exception(CallFailed(text, hint=said or f"see: odyssey logs {job}/{end.index}"))
        return
    import cloudpickle

    try:
        value = cloudpickle.loads(answer[1])
    except Exception as error:  # noqa: BLE001 - what came home cannot be opened here
        future.set_exception(error)
        return
    if answer[0] == called.RETURNED:
        future.set_result(value)
    else:
        raised, text = value
        raised.__cause__ = RemoteTraceback(text)
        future.set_exception(raised)


def _fail(futures: Sequence[_MeshFuture[Any]], error: Exception) -> None:
    for future in futures:
        _begin(future)
        if not future.done():
            future.set_exception(error)


# -- what runs there ---------------------------------------------------------------------------------------------------


def _command() -> list[str]:
    return [sys.executable, "-P", "-m", called.__name__]


def _with_path(options: dict[str, Any]) -> dict[str, Any]:
    """Odyssey is found there as it was found here."""
    here = str(Path(called.__file__).resolve().parent.parent.parent)
    env = dict(options.get("env") or {})
    env["PYTHONPATH"] = os.pathsep.join(part for part in (here, env.get("PYTHONPATH", "")) if part)
    return {**options, "env": env}

"""The mesh for programs: `from odyssey import Client`.

    client = Client()
    done = client.run(["python", "fold.py"], cpus=2)    # blocks: done.exit_code, done.stdout, done.stderr, done.job_id
    job = client.submit(["true"], array=range(10))      # job.id, job.wait(60), job.state, job.cancel()

Options have the names of the command line, with `_` for `-`. The working directory is the current one.

Promises: a daemon is started when none runs, as the command line does; several threads may use one client; errors are
those of `odyssey.errors`.
Never: prints.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from odyssey.api import asking, client, frames
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.errors import Unreachable, UsageError
from odyssey.ids import CLIENT_ID_BYTES, JobId
from odyssey.paths import find_home, known_socket
from odyssey.spec import JobSpec

Word = str | bytes | os.PathLike[str]
_STDIN_NAME: Final = 16
_HANDED_ON: Final = ("LANG", "LC_ALL", "TZ")
_log: Final = logging.getLogger("odyssey")


class Result(NamedTuple):
    """How a job ended. `exit_code` is as a shell has it: 128 + the signal's number, 124 for the time limit."""

    job_id: int
    exit_code: int
    stdout: bytes
    stderr: bytes
    state: str
    reason: str | None


class Client(client.Client):
    """`socket`: talk to the daemon there. `start`: start one when none runs."""

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        *,
        start: bool = True,
        patience: float = client.PATIENCE_SECONDS,
    ) -> None:
        super().__init__(socket if socket is not None else _Way(start), patience)

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def submit(self, command: Sequence[Word], *, array: range | str | None = None, **options: Any) -> Job:
        """`input`: bytes for its standard input. `env`: a mapping. `cwd`: another working directory."""
        spec = self.spec(command, array=array, **options)
        done = self.call(r.Submit(os.urandom(CLIENT_ID_BYTES), (spec,)))
        return Job(self, done.id, done.tasks)

    def run(self, command: Sequence[Word], *, array: range | str | None = None, **options: Any) -> Result:
        """To its end. Interrupted, the job is cancelled."""
        job = self.submit(command, array=array, **options)
        try:
            return job.result()
        except KeyboardInterrupt:
            job.cancel()
            raise

    def job(self, ref: int | str) -> Job:
        detail = self.call(r.Job(str(ref), limit=0)).job
        return Job(self, detail.id, detail.tasks.total)

    def jobs(self, *states: str) -> list[v.JobView]:
        """Newest first; without states what has not ended, and what ended in the last hour."""
        found: list[v.JobView] = []
        below = 0
        while True:
            page = self.call(r.Jobs(states, below=below))
            found += page.jobs
            below = page.below
            if not below:
                return found

    # -- what they are made of -----------------------------------------------------------------------------------------

    def spec(
        self,
        command: Sequence[Word],
        *,
        array: range | str | None = None,
        input: bytes | None = None,  # noqa: A002 - as subprocess.run calls it
        cwd: Word | None = None,
        **options: Any,
    ) -> JobSpec:
        if isinstance(command, str | bytes):
            raise UsageError("the command is one text", hint='write it as a list of words: ["python", "fold.py"]')
        after, after_any = (self._numbers(options.pop(name, ())) for name in ("after", "after_any"))
        asked = texts(options) | ({"array": array} if isinstance(array, str) else {})
        argv = [os.fsencode(word) for word in command]
        hints = {name.encode(): os.fsencode(os.environ[name]) for name in _HANDED_ON if name in os.environ}
        spec = asking.build(asked, argv, os.fsencode(cwd if cwd is not None else os.getcwd()), hints, os.environ)
        spec = msgspec.structs.replace(spec, after=after, after_any=after_any)
        if isinstance(array, range):
            spec = msgspec.structs.replace(spec, count=len(array), start=array.start, step=array.step)
        return msgspec.structs.replace(spec, stdin=self.put_stdin(input)) if input is not None else spec

    def put_stdin(self, data: bytes) -> bytes:
        """The name under which a spec may speak of this standard input."""
        name, at = os.urandom(_STDIN_NAME), 0
        while True:
            piece = data[at : at + frames.CHUNK]
            here = self.call(r.PutStdin(name, at, piece, is_end=at + len(piece) == len(data)))
            if here.is_complete:
                return name
            at = here.size

    def _numbers(self, jobs: Any) -> tuple[JobId, ...]:
        those = [jobs] if isinstance(jobs, int | str | Job) else jobs
        return tuple(JobId(one.id if isinstance(one, Job) else self.job(one).id) for one in those)


class Job:
    """One job of the mesh. It goes on whether or not somebody looks."""

    def __init__(self, client: Client, number: int, tasks: int) -> None:
        self._client, self.id, self.tasks = client, number, tasks

    def __repr__(self) -> str:
        return f"<job {self.id}, {self.tasks} task{'s' * (self.tasks != 1)}>"

    @property
    def state(self) -> str:
        return self.view().state

    def view(self) -> v.JobView:
        return self._client.call(r.Job(str(self.id), limit=0)).job

    def detail(self, start: int = 0, limit: int = 1000) -> v.JobDetail:
        return self._client.call(r.Job(str(self.id), start, limit))

    def wait(self, timeout: float | None = None) -> v.JobView:
        """Raises TimeoutError when it has not ended in so many seconds; it goes on."""
        (view,) = self._client.wait(str(self.id), timeout=timeout)
        return view

    def result(self) -> Result:
        """How it ended and what it wrote, task after task; of a task that was moved, what the last try wrote."""
        written: dict[tuple[int, int], list[bytes]] = {}
        for item in self._client.follow(r.Follow(str(self.id), is_grouped=True)):
            match item:
                case v.Output():
                    written.setdefault((item.stream, item.index), []).append(item.data)
                case v.Over(job):
                    out, err = (_joined(written, stream) for stream in (v.STDOUT, v.STDERR))
                    status = job.exit_status if job.exit_status is not None else 1
                    return Result(self.id, status, out, err, job.state, job.reason)
        raise Unreachable("the daemon stopped telling of the job", hint=f"see: odyssey show {self.id}")

    def logs(self, follow: bool = False, stream: str = "", tail: int = -1) -> Iterator[v.Output]:
        """Pieces of output, with the task they are of. `follow`: until the job has ended."""
        if follow:
            items: Iterable[v.AnyItem] = self._client.follow(r.Follow(str(self.id)))
        else:
            parts = self._client.stream(r.Logs(str(self.id), stream, tail))
            items = (item for told in parts for item in told.items)
        wanted = {"stdout": (v.STDOUT,), "stderr": (v.STDERR,)}.get(stream, (v.STDOUT, v.STDERR))
        for item in items:
            if isinstance(item, v.Output) and item.stream in wanted:
                yield item

    def cancel(self) -> int:
        """How many tasks that ends."""
        return self._client.call(r.Cancel(str(self.id))).tasks

    def retry(self) -> int:
        return self._client.call(r.Retry(str(self.id))).tasks

    def explain(self) -> v.ExplainView:
        return self._client.call(r.Explain(str(self.id)))


def _joined(written: Mapping[tuple[int, int], list[bytes]], stream: int) -> bytes:
    return b"".join(piece for key in sorted(written) if key[0] == stream for piece in written[key])


def texts(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords as the texts a person would have typed, for the table of `asking`."""
    asked: dict[str, Any] = {}
    for name, value in options.items():
        key = name.replace("_", "-")
        option = asking.BY_KEY.get(key)
        if option is None:
            known = ", ".join(sorted(one.replace("-", "_") for one in asking.BY_KEY))
            raise UsageError(f"there is no option {name}", hint=f"use: input, cwd, {known}")
        if value is None or value is False:
            continue
        asked[key] = _many(value) if option.is_many else True if value is True else str(value)
    return asked


def _many(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}={text}" for name, text in value.items()]
    return [value] if isinstance(value, str) else [str(one) for one in value]


class _Way:
    """To the daemon of this user's home. Only at first one is started: later, whoever ended it meant it."""

    def __init__(self, start: bool) -> None:
        self._may_start = start

    def __call__(self) -> str:
        home = find_home()
        if self._may_start and not os.environ.get("ODYSSEY_SOCKET"):
            from odyssey.starting import ensure_running

            running = ensure_running(home)
            self._may_start = False
            for note in running.notes:
                _log.info("%s", note)
            return os.fspath(running.socket)
        path = known_socket(home)
        if path is None:
            raise Unreachable("no daemon runs here", hint="start one: odyssey up")
        return os.fspath(path)

"""What becomes of the tasks of a `map` as they end: their output in order and with tags, files about them, and an early
end.

Promises: the output of one task is never mixed with another's; a line of the job log is written after the task's
output. Output that has to wait for an earlier task waits in a file.
Never: holds the output of more than one piece in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from odyssey.api.requests import Cancel, Job, Span
from odyssey.api.views import STDERR, STDOUT, AnyItem, Ended, Output
from odyssey.cli import mapfiles
from odyssey.cli.desk import Desk
from odyssey.cli.halting import Halt
from odyssey.cli.mapping import Template, Words


class Task(NamedTuple):
    number: int  # from 1, as {#}
    record: Words


class Mapped:
    def __init__(
        self,
        desk: Desk,
        job: int,
        tasks: Sequence[Task],
        template: Template,
        *,
        halt: Halt = Halt(),  # noqa: B008 - frozen
        keeps_order: bool = False,
        is_tagged: bool = False,
        results: str | None = None,
        joblog: str | None = None,
        is_resumed: bool = False,
    ) -> None:
        self._desk, self._job, self._tasks, self._template = desk, job, tasks, template
        self._halt, self._is_halted = halt, False
        self._done = self._failed = 0
        self._shown = _InOrder(self._put) if keeps_order else None
        self._is_tagged = is_tagged
        self._at_start: dict[int, bool] = {}  # by stream: is the next byte the first of a line?
        self._received = 0  # bytes of stdout of the task whose output comes
        self._results = Path(results) if results else None
        self._files: dict[int, IO[bytes]] = {}
        self._joblog = _opened_log(Path(joblog), is_resumed) if joblog else None

    def __enter__(self) -> Mapped:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_files()
        if self._joblog is not None:
            self._joblog.close()
        if self._shown is not None:
            self._shown.close()

    # ---- what is told ------------------------------------------------------------------------------------------------

    def hear(self, item: AnyItem) -> bool:
        if isinstance(item, Output):
            self._received += len(item.data) * (item.stream == STDOUT)
            self._keep(item)
            if self._shown is None:
                self._put(item.index, item.stream, item.data)
            else:
                self._shown.add(item.index, item.stream, item.data)
            return True
        if isinstance(item, Ended):
            self._finish(item)
        return False

    def status(self, status: int) -> int:
        """A map that was to stop at the first success has succeeded."""
        return 0 if self._is_halted and self._halt.what == "success" else status

    def _finish(self, end: Ended) -> None:
        if self._results is not None:
            for stream in (STDOUT, STDERR):
                self._file(end.index, stream)
            self._close_files()
        self._note(end)
        self._received = 0
        if self._shown is not None:
            self._shown.end(end.index)
        else:
            self._at_start.clear()
        self._done += end.state == "done"
        self._failed += end.state == "failed"
        if not self._is_halted and self._halt.is_due(self._done, self._failed, len(self._tasks)):
            self._is_halted = True
            self._stop()

    def _stop(self) -> None:
        ref = str(self._job)
        if self._halt.at_once:
            self._desk.ask(Cancel(ref))
            return
        waiting: list[int] = []
        start: int | None = 0
        while start is not None:
            page = self._desk.ask(Job(ref, start, states=("waiting", "assigned")))
            waiting += [task.index for task in page.task_list]
            start = page.next_task
        if waiting:
            self._desk.ask(Cancel(ref, spans(waiting)))

    # ---- output ------------------------------------------------------------------------------------------------------

    def _put(self, index: int, stream: int, data: bytes | None) -> None:
        """No data: the task has ended."""
        if data is None:
            self._at_start.clear()
            return
        if self._is_tagged:
            tag = os.fsencode(" ".join(self._tasks[index].record)) + b"\t"
            is_start = self._at_start.get(stream, True)
            self._at_start[stream] = data.endswith(b"\n")
            data = tagged(tag, data, is_start)
        (self._desk.output.stdout if stream == STDOUT else self._desk.output.stderr)(data)

    def _keep(self, item: Output) -> None:
        if self._results is not None:
            self._file(item.index, item.stream).write(item.data)

    def _file(self, index: int, stream: int) -> IO[bytes]:
        assert self._results is not None
        if stream not in self._files:
            task = self._tasks[index]
            folder = self._results / mapfiles.folder(task.record)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "seq").write_text(str(task.number))
            self._files[stream] = (folder / ("stdout" if stream == STDOUT else "stderr")).open("wb")
        return self._files[stream]

    def _close_files(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _note(self, end: Ended) -> None:
        if self._joblog is None or end.state not in ("done", "failed"):
            return  # what was cancelled or skipped is to be run by --resume
        task = self._tasks[end.index]
        started = end.started_at or end.ended_at or 0
        line = mapfiles.row(
            task.number,
            end.node or ":",
            started,
            max(0, (end.ended_at or started) - started),
            self._received,
            end.exit_code or 0 if end.signal is None else 0,
            end.signal or 0,
            self._template.command(task.record, task.number),
        )
        self._joblog.write(line.encode("utf-8", "surrogateescape"))
        self._joblog.flush()


def tagged(tag: bytes, data: bytes, is_start: bool) -> bytes:
    """The tag before each line; `is_start`: the data begins one."""
    ended = data.endswith(b"\n")
    body = data[:-1] if ended else data
    return (tag if is_start else b"") + body.replace(b"\n", b"\n" + tag) + (b"\n" if ended else b"")


def _opened_log(path: Path, is_resumed: bool) -> IO[bytes]:
    """A row that was cut off is removed: the task is run again."""
    if not (is_resumed and path.exists() and path.stat().st_size):
        new = path.open("wb")
        new.write(mapfiles.HEADER.encode())
        new.flush()
        return new
    data = path.read_bytes()
    file = path.open("r+b")
    file.seek(data.rfind(b"\n") + 1)
    file.truncate()
    return file


def spans(numbers: Iterable[int]) -> tuple[Span, ...]:
    """Neighbouring numbers as ranges: 1, 2, 3, 7 are (1, 4) and (7, 8)."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number:
            found[-1][1] += 1
        else:
            found.append([number, number + 1])
    return tuple((start, stop) for start, stop in found)


class _InOrder:
    """Pieces of output, handed on in the order of their tasks."""

    def __init__(self, put: Callable[[int, int, bytes | None], None]) -> None:
        self._put = put
        self._next = 0
        self._ended: set[int] = set()
        self._held: dict[int, list[tuple[int, int, int]]] = {}  # by task: stream, place in the file, size
        self._file: IO[bytes] | None = None

    def add(self, index: int, stream: int, data: bytes) -> None:
        if index == self._next:
            self._put(index, stream, data)
            return
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115 - closed by `close`
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(data)
        self._held.setdefault(index, []).append((stream, place, len(data)))

    def end(self, index: int) -> None:
        self._ended.add(index)
        while self._next in self._ended:
            self._ended.discard(self._next)
            self._put(self._next, 0, None)
            self._next += 1
            self._hand_on(self._next)
        if self._file is not None and not self._held:
            self._file.truncate(0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _hand_on(self, index: int) -> None:
        for stream, place, size in self._held.pop(index, ()):
            assert self._file is not None
            self._file.seek(place)
            self._put(index, stream, self._file.read(size))

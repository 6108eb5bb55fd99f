"""What a job reads: files and pipes on their way to the spool, and what is put back afterwards."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from odyssey.api.requests import Cancel, Follow, PutStdin, Submit
from odyssey.api.views import AnyItem, Began, Changed, HowFar, Over, Submitted
from odyssey.cli.stdin import PIECE, Stdin
from odyssey.errors import UsageError
from tests.cli.desk import FakeAsker, a_job, type_in


class Spool:
    """Takes pieces as the daemon does, in order."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.data, self.is_complete, self.most = b"", False, most
        self.ended = threading.Event()

    def __call__(self, put: PutStdin) -> Any:
        assert not self.is_complete
        assert put.offset == len(self.data)
        if len(self.data) + len(put.data) > self.most:
            return UsageError("the input is too long", hint="let the job open the file")
        self.data += put.data
        self.is_complete |= put.is_end
        if put.is_end:
            self.ended.set()
        return HowFar(len(self.data), self.is_complete)


@contextmanager
def a_file(path: Path, data: bytes, skip: int = 0) -> Iterator[int]:
    path.write_bytes(data)
    file = os.open(path, os.O_RDONLY)
    try:
        os.lseek(file, skip, os.SEEK_SET)
        yield file
    finally:
        os.close(file)


@contextmanager
def a_pipe(data: bytes, is_open: bool = False) -> Iterator[int]:
    reader, writer = os.pipe()
    try:
        os.write(writer, data)
        if not is_open:
            os.close(writer)
        yield reader
    finally:
        os.close(reader)
        if is_open:
            os.close(writer)


@pytest.mark.parametrize("unread", [0, 1, 5, 8])
def test_a_file_is_sent_from_where_it_stands_and_put_back_to_what_was_read(tmp_path: Path, unread: int) -> None:
    with a_file(tmp_path / "list", b"0123456789", 2) as file:
        stdin, spool = Stdin(file), Spool()
        assert (stdin.is_file, stdin.size, len(stdin.name)) == (True, 8, 16)
        stdin.send_file(FakeAsker({PutStdin: spool}))
        assert (spool.data, spool.is_complete) == (b"23456789", True)
        assert stdin.put_back(unread) is None
        assert os.lseek(file, 0, os.SEEK_CUR) == 10 - unread


def test_where_it_is_not_known_what_was_read_nothing_is_put_back(tmp_path: Path) -> None:
    with a_file(tmp_path / "list", b"0123456789") as file:
        stdin = Stdin(file)
        stdin.send_file(FakeAsker({PutStdin: Spool()}))
        assert stdin.put_back(None) is None
        assert os.lseek(file, 0, os.SEEK_CUR) == 10


def test_a_large_file_goes_in_pieces(tmp_path: Path) -> None:
    data = os.urandom(2 * PIECE + 5)
    with a_file(tmp_path / "list", data) as file:
        spool = Spool()
        Stdin(file).send_file(FakeAsker({PutStdin: spool}))
        assert spool.data == data


def test_a_pipe_is_sent_beside_the_job_and_what_is_lost_is_told() -> None:
    with a_pipe(b"x" * 412) as pipe:
        stdin, spool = Stdin(pipe), Spool()
        daemon = FakeAsker({PutStdin: spool})
        stdin.begin(daemon)
        stdin.send_beside(daemon, lambda: None)
        assert spool.ended.wait(10)
        assert spool.data == b"x" * 412
        said = "note: the job read 12 of 412 bytes of stdin, the rest is gone for your loop; use -n"
        assert stdin.put_back(400) == said
        assert stdin.put_back(0) is None


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    try:
        stdin, spool = Stdin(reader), Spool()
        stdin.send_beside(FakeAsker({PutStdin: spool}), lambda: None)
        os.write(writer, b"late")
        os.close(writer)
        assert spool.ended.wait(10)
        assert spool.data == b"late"
    finally:
        os.close(reader)


def test_an_input_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    failed = threading.Event()
    file = os.open(tmp_path / "only-written", os.O_WRONLY | os.O_CREAT)
    try:
        stdin = Stdin(file)
        stdin.send_beside(FakeAsker({}), failed.set)
        assert failed.wait(10)
        assert "stdin cannot be read: bad file descriptor" in str(stdin.failure)
    finally:
        os.close(file)


def test_of_a_pipe_that_is_still_open_nothing_is_said_and_its_end_can_be_sent() -> None:
    with a_pipe(b"abc", is_open=True) as pipe:
        stdin, spool = Stdin(pipe), Spool()
        assert stdin.put_back(3) is None
        stdin.finish(FakeAsker({PutStdin: spool}))
        assert spool.is_complete


def test_a_gap_is_a_failure_and_never_a_shorter_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey.cli.stdin.GAP_SECONDS", 0.0)
    failed = threading.Event()
    with a_pipe(b"abc") as pipe:
        stdin = Stdin(pipe)
        stdin.send_beside(FakeAsker({PutStdin: lambda put: HowFar(0, is_complete=False)}), failed.set)
        assert failed.wait(10)
        assert "keeps what the job reads is not there any more" in str(stdin.failure)


@pytest.mark.parametrize("what", [os.devnull, "closed"])
def test_what_is_nothing_is_not_sent(what: str) -> None:
    file = os.open(os.devnull, os.O_RDONLY)
    if what == "closed":
        os.close(file)
        assert Stdin(file).name == b""
        return
    try:
        assert Stdin(file).name == b""
    finally:
        os.close(file)


def test_more_than_is_kept_ends_the_job_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = threading.Event()

    def cancel(_: Cancel) -> Changed:
        cancelled.set()
        return Changed(42, 1)

    def story(_: Follow) -> Iterator[AnyItem]:
        yield Began(0, 7, 1, "nova")
        assert cancelled.wait(10)
        yield Over(a_job(42, "cancelled", exit_status=125))

    with a_pipe(b"x" * 100) as pipe:
        monkeypatch.setattr("odyssey.cli.run.Stdin", lambda _, **_more: Stdin(pipe))
        answers = {PutStdin: Spool(most=50), Submit: Submitted(42, 1, 1), Follow: story, Cancel: cancel}
        result = type_in("run", "cat", answers=answers)
    assert result.status == 125
    assert result.err.lines == ["error: the input is too long", "hint: let the job open the file"]


def test_a_file_that_is_too_long_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_file(tmp_path / "huge", b"") as file:
        os.truncate(tmp_path / "huge", (1 << 30) + 1)
        monkeypatch.setattr("odyssey.cli.run.Stdin", lambda _, **_more: Stdin(file))
        result = type_in("run", "cat", answers={})
    assert (result.status, result.started) == (2, False)
    assert result.error == "error: stdin has 1 GB, and at most 1 GB are kept for a job"
    assert "odyssey run -- sh -c 'COMMAND < FILE'" in result.hint

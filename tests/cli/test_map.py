"""`odyssey map`: which tasks it asks for, and what becomes of them as they end."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from odyssey.api.requests import Cancel, Follow, Job, Nodes, PutBlob, Status, Submit
from odyssey.api.views import (
    STDERR,
    STDOUT,
    Changed,
    Ended,
    HowFar,
    JobDetail,
    NodeList,
    NodeView,
    Output,
    Over,
    Quorum,
    StatusView,
    Submitted,
    TaskView,
)
from odyssey.cli.mapfiles import HEADER
from odyssey.cli.mapped import spans, tagged
from odyssey.cli.putting import encoded, put_items
from odyssey.spec import ITEMS_IN_BLOB, JobSpec
from tests.cli.desk import FakeAsker, Result, a_job, counts, type_in
from tests.cli.test_attached import SPEC

NODE = NodeView("nova", "1", "up", "keeper", True, None, "anna", "linux", "x86_64", 4.0, 1, 0, None, None, None, None, None, {}, None, None)  # fmt: skip  # noqa: E501
STATUS = StatusView("m", "1", "nova", "1", "keeper", "nova", 1, Quorum(1, 1), 0, (), {"up": 1}, {}, 0.0, 1, 1)


class Blobs:
    """Keeps what is put, in pieces as small as it likes."""

    def __init__(self) -> None:
        self.files: dict[bytes, bytes] = {}

    def __call__(self, put: PutBlob) -> HowFar:
        have = self.files.get(put.digest, b"")
        if put.offset == len(have):
            self.files[put.digest] = have = have + put.data
        return HowFar(len(have), len(have) == put.size)


def asked(*words: str) -> tuple[JobSpec, list[list[bytes]]]:
    """What is submitted, and the words of each task."""
    blobs = Blobs()
    answers = {
        Submit: Submitted(42, 1, 3),
        PutBlob: blobs,
        Status: STATUS,
        Nodes: NodeList((NODE,)),
    }
    result = type_in("map", "--detach", *words, answers=answers)
    assert result.status == 0, result.err.text
    (request,) = (one for one in result.asked if isinstance(one, Submit))
    (spec,) = request.specs
    tasks = [task for blob in spec.items for task, _ in msgspec.msgpack.decode(blobs.files[blob.digest])]
    return spec, tasks


def test_the_words_of_each_task_are_a_file_and_the_template_is_what_people_see() -> None:
    spec, tasks = asked("--cpus", "2", "--", "gzip", "-k", "{}", ":::", "a b", "c")
    assert (spec.argv, spec.count, spec.start) == ((b"gzip", b"-k", b"{}"), 2, 1)
    assert (spec.want.need.cpu_milli, spec.want.key) == (2000, "gzip")
    assert tasks == [[b"gzip", b"-k", b"a b"], [b"gzip", b"-k", b"c"]]


def test_items_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"a\xff\nb\n")
    (tmp_path / "zero").write_bytes(b"x\ny\0z\0")
    assert asked("-a", str(tmp_path / "list"), "echo")[1] == [[b"echo", b"a\xff"], [b"echo", b"b"]]
    assert asked("-0", "echo", "::::", str(tmp_path / "zero"))[1] == [[b"echo", b"x\ny"], [b"echo", b"z"]]


def test_each_task_knows_its_item_unless_that_is_too_long_for_a_variable() -> None:
    (piece,) = encoded([(("echo", "a b"), "a b"), (("rm",), "x" * 70_000), (("e",), "\udcff")])
    assert [item for _, item in msgspec.msgpack.decode(piece)] == [b"a b", b"", b"\xff"]


def test_an_item_with_a_nul_byte_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zero").write_bytes(b"x\0y\0")
    result = type_in("map", "--dry-run", "echo", "::::", str(tmp_path / "zero"))
    assert (result.status, result.err.lines[0]) == (2, "error: an item holds a NUL byte")


@pytest.mark.parametrize(
    ("width", "cpu_milli"),
    [("1", 4000), ("4", 1000), ("8", 500), ("50%", 2000), ("+4", 500), ("-3", 4000), ("-9", 4000), ("0", 10)],
)
def test_how_many_at_once_is_a_share_of_the_machine(width: str, cpu_milli: int) -> None:
    assert asked("-j", width, "echo", ":::", "a")[0].want.need.cpu_milli == cpu_milli


def test_a_dry_run_prints_the_commands_and_asks_nobody() -> None:
    result = type_in("map", "--dry-run", "cp {} {.}.b", ":::", "a b.x", "c")
    assert (result.status, result.out.lines) == (0, ["cp 'a b.x' 'a b'.b", "cp c c.b"])


def test_without_items_there_is_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    result = type_in("map", "echo", "::::", str(tmp_path / "empty"))
    assert (result.status, result.err.lines) == (0, ["odyssey: there is nothing to do: no items"])


def test_many_tasks_are_several_files() -> None:
    pieces = list(encoded((("x",), str(n)) for n in range(ITEMS_IN_BLOB + 1)))
    assert [len(msgspec.msgpack.decode(piece)) for piece in pieces] == [ITEMS_IN_BLOB, 1]


def test_a_file_goes_in_pieces_and_one_that_is_there_is_not_sent_again() -> None:
    blobs = Blobs()
    daemon = FakeAsker({PutBlob: blobs})
    tasks = [(("x" * 100_000,), "x")] * 10
    (blob,) = put_items(daemon, tasks)
    assert sha256(blobs.files[blob.digest]).digest() == blob.digest
    assert len(daemon.asked) == 4
    daemon.answers = {PutBlob: HowFar(blob.size, True)}
    assert put_items(daemon, tasks) == (blob,)
    assert len(daemon.asked) == 5


# ---- as tasks end ----------------------------------------------------------------------------------------------------


def out(index: int, data: bytes, stream: int = STDOUT) -> Output:
    return Output(index, 100 + index, stream, 0, data)


def ended(index: int, code: int | None = 0, signal: int | None = None) -> Ended:
    state = "done" if code == 0 else "failed"
    return Ended(index, state, code, signal, "exited", None, "nova", 100 + index, 1000 + index, 3000, code or 0)


def over(state: str = "done", status: int = 0) -> Over:
    return Over(a_job(42, state, exit_status=status, tasks=counts(3, done=2, failed=1)))


def mapped(*words: str, story: list[Any], answers: dict[Any, Any] | None = None) -> Result:
    given = {Submit: Submitted(42, 1, 3), PutBlob: HowFar(0, True), Follow: story} | (answers or {})
    return type_in("map", *words, answers=given)


STORY = [out(1, b"two\n"), ended(1), out(2, b"three"), out(2, b" x\n"), ended(2), out(0, b"one\n"), ended(0), over()]
THREE = ("echo", ":::", "a", "b b", "c")


def test_output_comes_as_tasks_end_or_in_their_order() -> None:
    assert mapped(*THREE, story=STORY).out.text == "two\nthree x\none\n"
    assert mapped("-k", *THREE, story=STORY).out.text == "one\ntwo\nthree x\n"


def test_a_task_that_is_not_told_does_not_hold_up_those_before() -> None:
    story = [out(0, b"one\n"), ended(0), out(2, b"three\n"), ended(2), ended(1, None), over("failed", 125)]
    assert mapped("-k", *THREE, story=story).out.text == "one\nthree\n"


def test_tags_begin_each_line() -> None:
    story = [out(1, b"x\ny"), out(1, b"z\n"), out(1, b"e\n", STDERR), ended(1), over()]
    result = mapped("--tag", *THREE, story=story)
    assert result.out.text == "b b\tx\nb b\tyz\n"
    assert result.err.lines[0] == "b b\te"


@pytest.mark.parametrize(
    ("data", "is_start", "made"),
    [
        (b"a\nb\n", True, b"T a\nT b\n"),
        (b"a\nb", False, b"a\nT b"),
        (b"\n\n", True, b"T \nT \n"),
        (b"\n", False, b"\n"),
    ],
)
def test_what_a_tag_makes_of_a_piece(data: bytes, is_start: bool, made: bytes) -> None:
    assert tagged(b"T ", data, is_start) == made


def test_the_job_log_and_the_results_are_those_of_parallel(tmp_path: Path) -> None:
    story = [out(1, b"two\n"), out(1, b"e", STDERR), ended(1), ended(2, None, 9), out(0, b"one\n"), ended(0, 3), over()]
    words = ("--joblog", str(tmp_path / "log"), "--results", str(tmp_path / "res"))
    mapped(*words, *THREE, story=story)
    header, *rows = (tmp_path / "log").read_text().splitlines()
    assert header + "\n" == HEADER
    assert [row.split("\t") for row in rows] == [
        ["2", "nova", "1.001", "     1.999", "0", "4", "0", "0", "echo 'b b'"],
        ["3", "nova", "1.002", "     1.998", "0", "0", "0", "9", "echo c"],
        ["1", "nova", "1.000", "     2.000", "0", "4", "3", "0", "echo a"],
    ]
    found = {str(path.relative_to(tmp_path / "res")): path.read_bytes() for path in tmp_path.glob("res/1/*/*")}
    assert found["1/b b/stdout"] == b"two\n"
    assert found["1/b b/stderr"] == b"e"
    assert (found["1/b b/seq"], found["1/c/stdout"]) == (b"2", b"")


def test_a_run_is_resumed_where_its_log_ends(tmp_path: Path) -> None:
    log = tmp_path / "log"
    mapped("--joblog", str(log), *THREE, story=[ended(1), over()])
    log.write_bytes(log.read_bytes() + b"1\tnova\t1.0")  # cut off in the middle
    spec, tasks = asked("--resume", "--joblog", str(log), *THREE)
    assert tasks == [[b"echo", b"a"], [b"echo", b"c"]]
    mapped("--resume", "--joblog", str(log), *THREE, story=[ended(0), ended(1), over()])
    assert [line.partition("\t")[0] for line in log.read_text().splitlines()] == ["Seq", "2", "1", "3"]
    assert mapped("--resume", "--joblog", str(log), *THREE, story=[]).err.lines == [
        "odyssey: there is nothing to do: no items"
    ]
    assert spec.count == 2


def test_what_was_cancelled_is_no_row_of_the_log(tmp_path: Path) -> None:
    gone = Ended(0, "cancelled", None, 15, "cancelled", None, "nova", 100, 1000, 2000)
    mapped("--joblog", str(tmp_path / "log"), *THREE, story=[gone, ended(1), over()])
    assert [line.partition("\t")[0] for line in (tmp_path / "log").read_text().splitlines()] == ["Seq", "2"]


def a_task(index: int) -> TaskView:
    return TaskView(index, "waiting", None, (), 0)


def test_a_halt_now_cancels_all_of_it() -> None:
    result = mapped(
        "--halt", "now,fail=1", *THREE, story=[ended(0, 3), over("failed", 3)], answers={Cancel: Changed(42, 2)}
    )
    assert result.status == 3
    assert [one for one in result.asked if isinstance(one, Cancel)] == [Cancel("42")]


def test_a_halt_soon_cancels_what_waits() -> None:
    left = JobDetail(a_job(42, "running"), SPEC, (a_task(1), a_task(2)))
    answers = {Cancel: Changed(42, 2), Job: left}
    result = mapped("--halt", "soon,fail=1", *THREE, story=[ended(0, 3), over("failed", 3)], answers=answers)
    assert [one for one in result.asked if isinstance(one, Cancel)] == [Cancel("42", ((1, 3),))]


def test_a_halt_at_the_first_success_is_a_success() -> None:
    answers = {Cancel: Changed(42, 2)}
    story = [ended(0, 3), ended(1), over("failed", 3)]
    assert mapped("--halt", "now,success=1", *THREE, story=story, answers=answers).status == 0


@pytest.mark.parametrize(
    ("numbers", "ranges"), [([], ()), ([3], ((3, 4),)), ([3, 1, 2, 7], ((1, 4), (7, 8))), ([5, 5], ((5, 6),))]
)
def test_numbers_as_ranges(numbers: list[int], ranges: tuple[tuple[int, int], ...]) -> None:
    assert spans(dict.fromkeys(numbers)) == ranges


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (("--resume", *THREE), "--resume needs the log", "--joblog FILE"),
        (("-j", "two", *THREE), "-j two is not understood", "-j 4"),
        (("-j", "2", "--cpus", "2", *THREE), "-j and --cpus both say", "leave one"),
        (("-n", "0", *THREE), "-n 0 is less than 1", "-n"),
        (("--halt", "x", *THREE), "--halt x is not understood", "now,fail=1"),
        (("echo", "{%}", ":::", "a"), "replacement string {%}", "{#}"),
        (("--sshlogin", "a,b", *THREE), "no such option --sshlogin", "not needed: all your machines are used"),
        (("echo", "::::", "/nowhere/list"), "/nowhere/list: no such file", "one item a line"),
        (("-a", "/nowhere", "echo"), "/nowhere: no such file", "one item a line"),
    ],
)
def test_a_mistake_is_one_error_and_one_hint(words: tuple[str, ...], error: str, hint: str) -> None:
    result = type_in("map", *words, answers={Status: STATUS, Nodes: NodeList((NODE,))})
    assert (result.status, len(result.err.lines), result.out.data) == (2, 2, b"")
    assert error in result.error
    assert hint in result.hint
    assert not any(isinstance(one, Submit) for one in result.asked)


def test_bytes_that_are_no_text_go_through() -> None:
    assert asked("cp", "{}", "{.}", ":::", os.fsdecode(b"\xff.x"))[1] == [[b"cp", b"\xff.x", b"\xff"]]

"""The one module that prints: tables, colour, what is ours and what is the job's."""

from __future__ import annotations

import json
import os
import threading

import pytest

from odyssey.cli.output import Column, Descriptor, Output
from odyssey.errors import UsageError
from tests.cli.desk import Kept

COLUMNS = (Column("ID"), Column("NAME"), Column("USER", is_wide=True), Column("STATE"))
ROWS = [(1, "fit", "anna", "done"), (42, None, "ben", "failed")]


def an_output(terminal: bool = False, **environment: str) -> tuple[Output, Kept, Kept]:
    out, err = Kept(terminal), Kept(terminal)
    return Output(out, err, environment), out, err


def test_a_pipe_gets_tabs_without_head_and_colour() -> None:
    output, out, _ = an_output()
    output.table(COLUMNS, ROWS)
    assert out.text == "1\tfit\tanna\tdone\n42\t\tben\tfailed\n"


def test_a_terminal_gets_aligned_columns_with_a_head() -> None:
    output, out, _ = an_output(True, NO_COLOR="1")
    output.table(COLUMNS, ROWS)
    assert out.lines == ["ID  NAME  STATE", "1   fit   done", "42  -     failed"]


def test_colour_is_for_terminals_that_want_it() -> None:
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        output, out, _ = an_output(True, **environment)
        output.table(COLUMNS, ROWS)
        assert ("\x1b[" in out.text) is coloured


def test_no_column_pushes_the_others_off_the_screen() -> None:
    output, out, _ = an_output(True, NO_COLOR="1")
    output.table(COLUMNS, [(1, "x" * 300, "anna", "done")])
    assert out.lines[1].endswith("…  done")


def test_foreign_text_cannot_steer_the_terminal() -> None:
    output, out, err = an_output(True)
    output.text("a\x1b[2Jb\nc")
    output.table((Column("A"), Column("B")), [("x\ty", "\x1b]0;t\x07")])
    output.say("a\x1b[2J\r\nodyssey: b")
    output.error(UsageError("one\ntwo\x1b", hint="x\ry"))
    assert out.lines[0] == "a\\x1b[2Jb\\nc"
    assert "\x1b]" not in out.text
    assert "\x1b" not in err.text
    assert len(err.lines) == 3


def test_what_is_ours_goes_to_stderr_with_our_name_and_vanishes_when_quiet() -> None:
    output, out, err = an_output()
    output.say("job 42 goes on")
    output.is_quiet = True
    output.say("not this")
    output.error(UsageError("but this", hint="and this"))
    assert (out.data, err.lines) == (b"", ["odyssey: job 42 goes on", "error: but this", "hint: and this"])


def test_bytes_of_jobs_pass_untouched() -> None:
    output, out, err = an_output()
    output.stdout(b"\xff\x00\x1b[31m")
    output.stderr(b"no end")
    assert (out.data, err.data) == (b"\xff\x00\x1b[31m", b"no end")


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data = os.urandom(1 << 20)  # more than fits
    got = bytearray()

    def drain() -> None:
        while piece := os.read(reader, 65536):
            got.extend(piece)

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        Descriptor(writer).write(data)
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)
    assert bytes(got) == data


def test_json_is_one_line() -> None:
    output, out, _ = an_output()
    output.json([{"name": "ü\n"}])
    assert len(out.lines) == 1
    assert json.loads(out.text) == [{"name": "ü\n"}]


def test_a_line_of_progress_is_gone_before_anything_else_appears() -> None:
    output, out, err = an_output(True)
    output.progress("1/2")
    output.progress("1/2")
    assert err.data == b"\r\x1b[K1/2"  # drawn once
    output.stdout(b"a line\n")
    assert err.data == b"\r\x1b[K1/2\r\x1b[K"
    assert out.data == b"a line\n"


def test_progress_waits_while_a_job_stands_in_the_middle_of_a_line() -> None:
    output, _, err = an_output(True)
    output.stdout(b"Name: ")
    output.progress("1/2")
    assert err.data == b""
    output.say("ours begins a line of its own")
    assert err.data == b"\nodyssey: ours begins a line of its own\n"


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_and_the_tap_on_the_shoulder_are_for_terminals(quiet: bool) -> None:
    output, _, err = an_output(terminal=quiet)
    output.is_quiet = quiet
    output.progress("1/2")
    output.tap("done")
    assert err.data == b""


def test_the_tap_is_a_bell_and_a_notification() -> None:
    output, _, err = an_output(True)
    output.tap("job 42: done")
    assert err.data == b"\x1b]9;job 42: done\x1b\\\a"

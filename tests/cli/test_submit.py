"""From what is typed, or written in a script, to the job that the mesh is asked for."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from odyssey.api.asking import learned_as
from odyssey.api.requests import Cancel, DryRun, Job, Submit
from odyssey.api.views import Changed, DryRunView, JobDetail, Submitted
from odyssey.cli import sheet
from odyssey.errors import UsageError
from odyssey.resources import G, M
from odyssey.spec import JobSpec
from tests.cli.desk import a_job, type_in
from tests.cli.test_attached import SPEC


def submitted(*words: str, **more: Any) -> JobSpec:
    answers = {Submit: Submitted(42, 1, 1), Job: JobDetail(a_job(7), SPEC, ())}
    result = type_in(*words, answers=answers, **more)
    assert result.status == 0, result.err.text
    (request,) = (one for one in result.asked if isinstance(one, Submit))
    (spec,) = request.specs
    return spec


def detached(*words: str, **more: Any) -> JobSpec:
    return submitted("run", "--detach", "-n", *words, **more)


def test_what_is_not_asked_for_has_its_default() -> None:
    spec = detached("--", "./fit", "-x", "--json")
    assert spec.argv == (b"./fit", b"-x", b"--json")
    assert (spec.cwd, spec.env, spec.stdin) == (b"/home/anna/fit", (), b"")
    assert (spec.want.need.cpu_milli, spec.want.need.memory, spec.memory_is_limit) == (1000, 512 * M, False)
    assert (spec.timeout_ms, spec.retries, spec.priority, spec.count, spec.once) == (0, 0, 0, 1, False)


def test_every_option_is_understood() -> None:
    spec = detached(
        *shlex.split(
            "--name fit --tag of=thesis --tag a=b --cpus 1.5 --mem 2G --gpus 2 --gpu-mem 8G --disk 1G --timeout 1h30m "
            "--retries 3 --retry-on exited,timeout --priority -4 --on nova --avoid pi4,pc1 --needs cuda>=12 --os linux "
            "--arch arm64 --after 7 --after-any fit --patience 5m -e A=1 --env B --secret C --array 2-10:4 --hold"
        ),
        "./fit",
        environment={"B": "2", "C": "3", "D": "4"},
    )
    need = spec.want.need
    assert (spec.name, spec.tags) == ("fit", (("of", "thesis"), ("a", "b")))
    assert (need.cpu_milli, need.memory, need.gpus, need.disk, spec.want.gpu_memory) == (1500, 2 * G, 2, G, 8 * G)
    assert (spec.memory_is_limit, spec.timeout_ms, spec.retries) == (True, 5_400_000, 3)
    assert (spec.retry_on, spec.priority, spec.held) == (("exited", "timeout"), -4, True)
    assert (spec.want.on, spec.want.avoid, spec.want.needs) == (("nova",), ("pi4", "pc1"), "cuda>=12")
    assert (spec.want.os, spec.want.arch, spec.patience_ms) == ("linux", "arm64", 300_000)
    assert (spec.after, spec.after_any) == ((7,), (7,))
    assert (spec.env, spec.hidden) == (((b"A", b"1"), (b"B", b"2"), (b"C", b"3")), (b"C",))
    assert (spec.start, spec.step, spec.count) == (2, 4, 3)


def test_language_and_clock_go_along_and_nothing_else() -> None:
    env = {"LANG": "de_DE.UTF-8", "TZ": "Europe/Berlin", "SSH_AUTH_SOCK": "/x", "TERM": "xterm", "PATH": "/bin"}
    assert detached("x", environment=env).env == ((b"LANG", b"de_DE.UTF-8"), (b"TZ", b"Europe/Berlin"))


def test_a_terminal_is_described() -> None:
    env = dict(detached("x", environment={"TERM": "xterm"}, terminal=True).env)
    assert env == {b"TERM": b"xterm", b"COLUMNS": b"100", b"CLICOLOR_FORCE": b"1", b"FORCE_COLOR": b"1"}


def test_words_that_are_no_text_stay_what_they_were() -> None:
    assert detached("echo", os.fsdecode(b"\xff\xfe")).argv == (b"echo", b"\xff\xfe")


def test_options_after_the_command_are_the_commands() -> None:
    assert detached("grep", "--json", "-q", "--", "--debug").argv == (b"grep", b"--json", b"-q", b"--", b"--debug")


def test_detached_its_number_is_all_that_is_printed() -> None:
    answers = {Submit: Submitted(42, 1, 10)}
    result = type_in("run", "-n", "--detach", "x", answers=answers)
    assert (result.status, result.out.text, result.err.text) == (0, "42\n", "")
    result = type_in("run", "-n", "--detach", "--json", "x", answers=answers)
    assert result.out.text == '{"id": 42, "tasks": 10}\n'


def test_an_interrupted_submit_is_found_again_and_cancelled() -> None:
    answers = iter([KeyboardInterrupt(), Submitted(42, 1, 1)])
    result = type_in("run", "-n", "x", answers={Submit: lambda _: next(answers), Cancel: Changed(42, 1)})
    first, again, cancel = result.asked
    assert (result.status, first) == (130, again)  # the same id: the same job
    assert cancel == Cancel("42")


def test_a_dry_run_submits_nothing() -> None:
    result = type_in("run", "--dry-run", "x", answers={DryRun: DryRunView(True, "nova", ("it would start",))})
    assert (result.status, result.out.text) == (0, "it would start\n")


@pytest.mark.parametrize(
    ("argv", "key"),
    [
        ([b"/usr/bin/make", b"-j"], "make"),
        ([b"python3", b"src/fit.py", b"x"], "python3 fit.py"),
        ([b"python3.11", b"-c", b"x"], "python3.11"),
        ([b"./fit"], "fit"),
    ],
)
def test_run_times_are_learned_of_the_program_or_its_script(argv: list[bytes], key: str) -> None:
    assert learned_as(argv) == key


# ---- scripts ---------------------------------------------------------------------------------------------------------

SCRIPT = """#!/usr/bin/env python3
#ODYSSEY --cpus 2 --timeout 1h
# a remark

#ODYSSEY --name 'my fit'  # why not
#ODYSSEY -e A=1
print(1)
"""


def test_a_script_says_what_it_needs_and_the_command_line_goes_before(tmp_path: Path) -> None:
    file = tmp_path / "fit.py"
    file.write_text(SCRIPT)
    spec = submitted("submit", "--cpus", "4", "-e", "B=2", str(file), "--cpus", "x")
    assert spec.argv == (b"/usr/bin/env", b"python3", str(file).encode(), b"--cpus", b"x")
    assert (spec.want.need.cpu_milli, spec.timeout_ms, spec.name) == (4000, 3_600_000, "my fit")
    assert spec.env == ((b"A", b"1"), (b"B", b"2"))


def test_a_script_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "fit.sh").write_text("echo hi\n")
    spec = submitted("submit", str(tmp_path / "fit.sh"))
    assert (spec.name, spec.argv) == ("fit.sh", (b"sh", str(tmp_path / "fit.sh").encode()))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("#ODYSSEY --cpu 2\n", "line 1: no such option --cpu"),
        ("#\n#ODYSSEY --cpus many\n", "line 2: --cpus many is not a number of cpus"),
        ("true\n#ODYSSEY --cpus 2\n", "line 2: #ODYSSEY stands after the first command"),
        ("#ODYSSEY --name 'x\n", "line 1: no closing quotation"),
        ("#ODYSSEY ./fit\n", "line 1: there is no place for './fit'"),
    ],
)
def test_a_mistake_in_a_script_is_told_with_its_line(text: str, error: str, tmp_path: Path) -> None:
    (tmp_path / "x.sh").write_text(text)
    result = type_in("submit", str(tmp_path / "x.sh"), answers={})
    assert (result.status, len(result.err.lines), result.started) == (2, 2, False)
    assert error in result.error


def test_marks_are_words_of_their_own() -> None:
    assert sheet.lines("#ODYSSEYS --x\n# ODYSSEY --y\n") == ()
    with pytest.raises(UsageError):
        sheet.lines("\nx=1\n#ODYSSEY\n")

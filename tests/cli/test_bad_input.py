"""Whatever is typed wrongly ends with one `error:` line, one `hint:` line and a fixed status, and changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from odyssey.api.requests import Job, Submit
from odyssey.cli.main import ALIASES, COMMANDS
from odyssey.cli.neighbours import _OPTIONS, command_hint, option_hint
from odyssey.errors import InvalidSpec, NotPermitted, OdysseyError, Unreachable, UsageError
from tests.cli.desk import type_in

NUL = "a\0b"

WRONG = [
    # nothing, or not this
    (["run"], "there is no command to run", "odyssey run -- hostname"),
    (["run", "--"], "there is no command to run", "odyssey run -- hostname"),
    (["run", "--", ""], "there is no command to run", "odyssey run -- hostname"),
    (["kill", "42"], "there is no command 'kill'", "hint: odyssey cancel"),
    (["statsu"], "there is no command 'statsu'", "hint: odyssey status"),
    (["teleport"], "there is no command 'teleport'", "odyssey --help"),
    (["cancel"], "missing argument 'ID...'", "odyssey cancel --help"),
    (["show", "1", "2"], "there is no place for '2'", "for example: odyssey show 42; see odyssey show --help"),
    (["submit", "/nowhere/job.sh"], "/nowhere/job.sh: no such file or directory", "odyssey run -- COMMAND"),
    (["submit", "/"], "/: is a directory", "odyssey run -- COMMAND"),
    (["flow", "/nowhere.toml"], "/nowhere.toml: no such file or directory", "odyssey flow --help"),
    (["completion", "tcsh"], "tcsh is not a shell that can be helped", "bash, zsh, fish"),
    (["wait"], "wait for which jobs?", "odyssey wait --all"),
    # units and numbers
    (["run", "--mem", "512", "x"], "--mem 512 has no unit", "--mem 512M"),
    (["run", "--mem", "1X", "x"], "--mem 1X has an unknown unit", "K, M, G and T"),
    (["run", "--mem", "-1G", "x"], "--mem -1G is not a size", "512M"),
    (["run", "--timeout", "90", "x"], "--timeout 90 has no unit", "--timeout 90s"),
    (["run", "--timeout", "soon", "x"], "--timeout soon is not a duration", "90s"),
    (["run", "--cpus", "0", "x"], "--cpus 0 is less than 0.01", "0.01 or more"),
    (["run", "--cpus", "1e3", "x"], "--cpus 1e3 is not a number", "2 or 0.5"),
    (["run", "--gpus", "-1", "x"], "--gpus -1 is not a whole number", "0 to"),
    (["run", "--priority", "11", "x"], "--priority 11 is", "10"),
    (["run", "--priority", "high", "x"], "--priority high is not a whole number", "from -10 to 10"),
    (["run", "--priority", "-11", "x"], "--priority -11 is out of range", "from -10 to 10"),
    (["run", "--retries", "1001", "x"], "--retries 1001 is out of range", "--retries"),
    (["run", "--retry-on", "bad", "x"], "--retry-on bad is not known", "exited"),
    (["run", "--array", "9-0", "x"], "--array 9-0 is empty", "--array 0-9"),
    (["run", "--array", "1,2,3", "x"], "--array 1,2,3 is not understood", "odyssey map -- COMMAND ::: 1 2 3"),
    (["run", "--array", "0-99%4", "x"], "--array 0-99%4 is not understood", "--array 0-99"),
    (["run", "--array", "0-9:0", "x"], "step of 0", "0-99:2"),
    (["run", "--array", "0-99999999", "x"], "has 100000000 tasks", "at most 1048576"),
    (["run", "--overlap", "yes", "x"], "--overlap yes is not understood", "--overlap ok"),
    (["run", "--once", "--overlap", "ok", "x"], "--once and --overlap ok contradict", "cannot overlap"),
    (["run", "--once", "--retries", "1", "x"], "--once and --retries contradict", "leave one of them out"),
    (["run", "--name", "x" * 65, "x"], "name is too long", "64 printable"),
    (["run", "--name", "a\nb", "x"], "name is too long or not printable", "64 printable"),
    (["run", "--name", "42", "x"], "--name 42 means another job already", "with a letter"),
    (["run", "--name", "last", "x"], "--name last means another job already", "with a letter"),
    (["run", "--name", "a/1", "x"], "--name a/1 means another job already", "without a /"),
    (["run", "--tag", "thesis", "x"], "--tag thesis has no value", "NAME=VALUE"),
    (["run", "--env", "NOT_THERE", "x"], "--env NOT_THERE: there is no such variable", "-e NOT_THERE=VALUE"),
    (["run", "-e", "=1", "x"], "no proper name", "NAME=VALUE"),
    (["run", "--secret", "KEY=abc", "x"], "--secret takes a name, not a value", "export KEY first"),
    (["run", "--", NUL], "holds a NUL byte", "in a file"),
    (["run", "--json", "x"], "stdout is the job's own", "add --detach"),
    (["map", "--json", "echo", ":::", "a"], "stdout is the job's own", "add --detach"),
    (["cancel", "--undo", "30", "42"], "--undo 30 has no unit", "--undo 30s"),
    (["cancel", "--undo", "30s", "42/1"], "--undo is for whole jobs", "cancel the job"),
    (["prio", "42", "top"], "top is not a priority", "-10 to 10"),
    (["policy", "weighted"], "policy weighted is not understood", "odyssey policy use NAME"),
    (["policy", "set", "speed"], "speed is no term and weight", "TERM=WEIGHT"),
    (["ps", "--state", "gone"], "--state gone is not known", "waiting"),
    (["ps", "--limit", "0"], "--limit 0 is less than 1", "--limit"),
    (["logs", "42", "--tail", "-1"], "--tail -1 is not a whole number", "--tail"),
    (["logs", "-f", "42", "--tail", "1"], "-f shows all of it", "leave out --tail"),
    (["pause", "2"], "2 has no unit", "2s"),
    # words of other tools
    (["run", "--gres=gpu:2", "x"], "no such option --gres", "hint: --gpus 2"),
    (["run", "--sshlogin", "a", "x"], "no such option --sshlogin", "not needed: all your machines are used"),
    (["run", "-J", "fit", "x"], "no such option -J", "hint: --name fit"),
    (["run", "-c4", "x"], "no such option -c", "hint: --cpus 4"),
    (["run", "--time=2:00", "x"], "no such option --time", "with a unit"),
    (["run", "--memory", "2g", "x"], "no such option --memory", "hint: --mem 2g"),
    (["run", "--tiemout", "2s", "x"], "no such option --tiemout", "did you mean --timeout?"),
]


@pytest.mark.parametrize(("words", "error", "hint"), WRONG, ids=[" ".join(words)[:40] for words, _, _ in WRONG])
def test_a_wrong_call_is_one_error_and_one_hint(words: list[str], error: str, hint: str) -> None:
    result = type_in(*words, answers={})
    assert (result.status, result.out.data, len(result.err.lines)) == (2, b"", 2), result.err.text
    assert result.error.startswith("error: ")
    assert error in result.error
    assert result.hint.startswith("hint: ")
    assert hint in result.hint
    assert result.asked == []
    assert not result.started  # what is wrong is told before a daemon is started for it


def test_what_is_typed_cannot_steer_the_terminal() -> None:
    result = type_in("run", "--mem", "\x1b[2J\n5", "x")
    assert "\x1b" not in result.err.text
    assert len(result.err.lines) == 2
    assert "\\xff" not in type_in(os.fsdecode(b"\xff")).out.text


def test_quiet_does_not_hide_an_error() -> None:
    assert type_in("run", "-q", "--mem", "5", "x").error == "error: --mem 5 has no unit"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidSpec("no machine has 64 cpus", hint="titan has 16"), 2),
        (UsageError("there is no job fit", hint="odyssey ps"), 2),
        (Unreachable("the daemon has gone", hint="odyssey up"), 3),
        (NotPermitted("job 7 is ben's", hint="ask ben"), 4),
        (OdysseyError("broken"), 1),
    ],
)
def test_what_the_daemon_refuses_is_told_in_its_words(error: OdysseyError, status: int) -> None:
    result = type_in("run", "-n", "x", answers={Submit: error})
    assert (result.status, result.error) == (status, f"error: {error.message}")
    assert type_in("show", "fit", answers={Job: error}).status == status


def test_a_bug_is_no_traceback_unless_it_is_asked_for() -> None:
    result = type_in("show", "42", answers={Job: ValueError("x\ny")})
    assert (result.status, len(result.err.lines)) == (1, 2)
    assert "this is a mistake in Odyssey: ValueError: x" in result.error
    assert "Traceback" in type_in("show", "--debug", "42", answers={Job: ValueError()}).err.text
    assert "Traceback" in type_in("--debug", "show", "42", answers={Job: ValueError()}).err.text


def test_an_interrupt_is_130_without_a_word() -> None:
    result = type_in("show", "42", answers={Job: KeyboardInterrupt})
    assert (result.status, result.err.data) == (130, b"")


def test_every_answer_to_a_neighbour_can_be_followed() -> None:
    for option in _OPTIONS:
        assert option_hint(option, [option, "5"])
    for word in ("kill", "ls", "parallel", "sbatch"):
        assert command_hint(word) in COMMANDS
    assert set(ALIASES.values()) <= set(COMMANDS)


def test_every_command_is_in_the_document_for_scripts() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "COMMANDS.md").read_text()
    assert [name for name in (*COMMANDS, *ALIASES) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_names_no_option_twice(name: str) -> None:
    from odyssey.cli.main import odyssey

    command = odyssey.get_command(None, name)  # type: ignore[arg-type]  # the group needs no context for that
    assert command is not None
    assert (command.help or "").strip()
    options = [option for param in command.params for option in param.opts]
    assert len(options) == len(set(options)), options

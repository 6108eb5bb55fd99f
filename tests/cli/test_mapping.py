"""The grammar of `map`, beside what GNU parallel 20221122 makes of the same words (`--dry-run -k`).

Where GNU parallel is installed, the recorded answers are compared with its own.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest

from odyssey.cli import mapfiles, mapping
from odyssey.cli.halting import Halt
from odyssey.cli.halting import parse as parse_halt
from odyssey.errors import UsageError

RECORDED = {
    "echo ::: a b": ["echo a", "echo b"],
    "echo ::: a b ::: c d": ["echo a c", "echo a d", "echo b c", "echo b d"],
    "echo {2}-{1} ::: a b ::: c d": ["echo c-a", "echo d-a", "echo c-b", "echo d-b"],
    "echo {1} ::: a b ::: c d": ["echo a", "echo a", "echo b", "echo b"],
    "echo {3} ::: a ::: b": ["echo "],
    "echo {-1} ::: a ::: b": ["echo b"],
    "echo ::: a b :::+ 1 2 ::: c": ["echo a 1 c", "echo b 2 c"],
    "echo ::: a b c :::+ 1 2": ["echo a 1", "echo b 2"],
    "-n 2 echo ::: a b c": ["echo a b", "echo c"],
    "-n 2 echo x{}y ::: a b c": ["echo xa by", "echo xcy"],
    "-n 2 echo {2} {1} ::: a b c": ["echo b a", "echo  c"],
    "-n 2 echo {.} ::: a.x b.y": ["echo a b"],
    "-n 2 echo {} ::: a b ::: c d": ["echo a c a d", "echo b c b d"],
    "-n 3 echo [{#}] {1}:{} ::: a b c d": ["echo [1] a:a b c", "echo [2] d:d"],
    "echo {.} {/} {//} {/.} {#} ::: d/a.tar.gz .bashrc foo. a.b/c /x plain d/.x a/b/ a//b.c": [
        "echo d/a.tar a.tar.gz d a.tar 1",
        "echo '' .bashrc . '' 2",
        "echo foo foo. . foo 3",
        "echo a.b/c c a.b c 4",
        "echo /x x / x 5",
        "echo plain plain . plain 6",
        "echo d/ .x d '' 7",
        "echo a/b/ '' a '' 8",
        "echo a//b b.c a b 9",
    ],
    "echo {1.} {2/} {1//} {2/.} ::: d/a.gz ::: e/f.h": ["echo d/a f.h d f"],
    "echo a{}b{}c ::: x": ["echo axbxc"],
    "echo {} {.} ::: 'x y.z' '$HOME' \"it's\" 'a\"b' '*' 'a\\b' '~' ü.x": [
        "echo 'x y.z' 'x y'",
        "echo '$HOME' '$HOME'",
        "echo 'it'\"'\"'s' 'it'\"'\"'s'",
        "echo 'a\"b' 'a\"b'",
        "echo '*' '*'",
        "echo 'a\\b' 'a\\b'",
        "echo '~' '~'",
        "echo 'ü.x' 'ü'",
    ],
    "'echo {} | wc -c' ::: 'a b' '' \"it's\"": [
        "echo 'a b' | wc -c",
        "echo '' | wc -c",
        "echo 'it'\"'\"'s' | wc -c",
    ],
    "'echo no place' ::: 'a b' c": ["echo no place 'a b'", "echo no place c"],
    "-n 2 'cmp {1} {2} && echo {}' ::: a 'b b' c d": ["cmp a 'b b' && echo a 'b b'", "cmp c d && echo c d"],
    "::: 'echo a' \"echo 'b c'\"": ["echo a", "echo 'b c'"],
    "echo {} ::: ''": ["echo ''"],
    "echo ::: {} '{#}'": ["echo '{}'", "echo '{#}'"],
    "echo {a} { } {1x} ::: v": ["echo {a} { } {1x} v"],
}


def commands(words: list[str]) -> list[str]:
    per_task = 1
    if words[0] == "-n":
        per_task, words = int(words[1]), words[2:]
    given, sources = mapping.split(words)
    made = mapping.template(given)
    every = mapping.records([(source.items, source.linked) for source in sources], per_task)
    return [made.command(record, number) for number, record in enumerate(every, 1)]


def understood(lines: list[str]) -> list[list[str]]:
    """As a shell splits them: how a word is quoted is nobody's business."""
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("typed", RECORDED)
def test_the_words_are_those_of_gnu_parallel(typed: str) -> None:
    expected = RECORDED[typed]
    assert understood(commands(shlex.split(typed))) == understood(expected)
    if shutil.which("parallel"):
        asked = ["parallel", "--will-cite", "--dry-run", "-k", *shlex.split(typed)]
        real = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True)
        assert understood(real.stdout.splitlines()) == understood(expected)


@pytest.mark.parametrize(
    ("words", "task"),
    [
        (("echo", "{}"), ("echo", "$(id) `id`; id")),
        (("echo {}",), ("sh", "-c", "echo '$(id) `id`; id'")),
        (("cat<{}",), ("sh", "-c", "cat<'$(id) `id`; id'")),
        (("$HOME/x",), ("sh", "-c", "$HOME/x '$(id) `id`; id'")),
        (("echo",), ("echo", "$(id) `id`; id")),
        ((), ("sh", "-c", "$(id) `id`; id")),  # without a template the items are the commands
        (("echo", "", "{}"), ("echo", "", "$(id) `id`; id")),
    ],
)
def test_what_an_item_holds_is_a_word_and_never_a_command_of_the_template(
    words: tuple[str, ...], task: tuple[str, ...]
) -> None:
    assert mapping.template(words).task(("$(id) `id`; id",), 1) == task


def test_bytes_that_are_no_text_pass_through() -> None:
    name = b"\xff.png".decode("utf-8", "surrogateescape")
    assert mapping.template(("cp", "{}", "{.}")).task((name,), 1) == ("cp", name, name[:1])


@pytest.mark.parametrize("word", ["{%}", "{= s/x// =}"])
def test_what_parallel_would_replace_and_this_does_not_know_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="replacement string"):
        mapping.template(("echo", word))


@pytest.mark.parametrize("words", [["echo", ":::+", "a"], ["echo", "::::"]])
def test_a_source_without_what_it_needs_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        mapping.split(words)


@pytest.mark.parametrize(
    ("text", "items"),
    [("", ()), ("a", ("a",)), ("a\nb\n", ("a", "b")), ("a\n\nb", ("a", "", "b")), ("\n", ("",))],
)
def test_items_of_a_file(text: str, items: tuple[str, ...]) -> None:
    assert mapping.lines(text) == items
    assert mapping.lines(text.replace("\n", "\0"), "\0") == items


def test_combinations_are_made_as_they_are_asked_for() -> None:
    many = [(tuple(map(str, range(10_000))), False)] * 3
    assert next(mapping.records(many)) == ("0", "0", "0")


# ---- --halt ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "halt"),
    [
        ("never", Halt()),
        ("0", Halt()),
        ("1", Halt(False, "fail", 1)),
        ("2", Halt(True, "fail", 1)),
        ("now,fail=1", Halt(True, "fail", 1)),
        ("soon,success=3", Halt(False, "success", 3)),
        ("now,done=20%", Halt(True, "done", 20, True)),
    ],
)
def test_a_rule_to_halt_is_read_as_parallel_reads_it(text: str, halt: Halt) -> None:
    assert parse_halt(text) == halt


@pytest.mark.parametrize(
    "text", ["", "3", "now", "now,fail", "now,fail=0", "later,fail=1", "now,fail=101%", "now,fail=x"]
)
def test_another_rule_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_halt(text)
    assert "--halt now,fail=1" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "done", "failed", "due"),
    [
        ("never", 0, 9, False),
        ("now,fail=2", 5, 1, False),
        ("now,fail=2", 5, 2, True),
        ("now,success=2", 2, 0, True),
        ("now,done=3", 2, 1, True),
        ("now,fail=50%", 0, 4, False),
        ("now,fail=50%", 0, 5, True),
    ],
)
def test_when_it_is_due(text: str, done: int, failed: int, due: bool) -> None:
    assert parse_halt(text).is_due(done, failed, 10) is due


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_row_of_the_job_log_is_parallels() -> None:
    made = mapfiles.row(2, "nova", 1795274354332, 6, 2, 3, 0, "echo 3;\nexit 3")
    assert made == "2\tnova\t1795274354.332\t     0.006\t0\t2\t3\t0\techo 3;\\nexit 3\n"


def test_a_job_log_tells_what_was_run() -> None:
    rows = mapfiles.row(1, ":", 0, 0, 0, 0, 0, "a") + mapfiles.row(3, ":", 0, 0, 0, 7, 0, "c")
    assert mapfiles.already_run(mapfiles.HEADER + rows) == {1, 3}
    assert mapfiles.already_run("") == frozenset()


def test_a_row_that_was_cut_off_was_not_run() -> None:
    rows = mapfiles.row(1, ":", 0, 0, 0, 0, 0, "a") + mapfiles.row(2, ":", 0, 0, 0, 0, 0, "b")
    assert mapfiles.already_run(mapfiles.HEADER + rows[:-2]) == {1}


def test_another_file_is_no_job_log() -> None:
    with pytest.raises(UsageError):
        mapfiles.already_run("my thesis\n")


@pytest.mark.parametrize(
    ("record", "folder"),
    [
        (("a",), "1/a"),
        (("a", "b c"), "1/a/2/b c"),
        (("x/y",), "1/x\\_y"),
        (("q\\w",), "1/q\\\\w"),
        (("..",), "1/\\.\\."),
        ((".",), "1/\\."),
        (("",), "1/\\e"),
        (("/etc/passwd",), "1/\\_etc\\_passwd"),
    ],
)
def test_every_item_becomes_a_name_inside_the_tree(record: tuple[str, ...], folder: str) -> None:
    assert mapfiles.folder(record) == folder


def test_long_items_become_names_that_differ() -> None:
    names = {mapfiles.folder(("ü" * 300 + end,)) for end in "ab"}
    assert len(names) == 2
    assert all(len(name.encode()) <= 202 for name in names)

"""Jobs that wait for each other: what the file means, and every mistake in it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from odyssey.api.requests import Jobs, Submit
from odyssey.api.views import JobPage, Submitted
from odyssey.cli.flow import Mistake, Surroundings, read, tree
from odyssey.spec import JobSpec
from tests.cli.desk import a_job, type_in

AROUND = Surroundings(b"/home/anna", {b"LANG": b"C"}, {"TOKEN": "x"})

GOOD = """
[defaults]
cpus = 2
env = { A = 1 }

[jobs.fetch]
run = "curl -s x > y"

[jobs.clean]
run = ["python", "clean.py"]
after = ["fetch"]
timeout = "2h"
cpus = 0.5
folder = "data"

[jobs.report]
run = "true"
after-any = ["clean", 7]
array = "0-9"
tag = { of = "thesis" }
secret = "TOKEN"
"""


def test_the_file_says_what_run_would() -> None:
    (fetch, clean, report), mistakes = read(GOOD, AROUND)
    assert mistakes == []
    assert (fetch.name, fetch.argv, fetch.want.need.cpu_milli) == ("fetch", (b"sh", b"-c", b"curl -s x > y"), 2000)
    assert fetch.env == ((b"A", b"1"), (b"LANG", b"C"))
    assert (clean.argv, clean.after_here, clean.timeout_ms) == ((b"python", b"clean.py"), (0,), 7_200_000)
    assert (clean.want.need.cpu_milli, clean.cwd, fetch.cwd) == (500, b"/home/anna/data", b"/home/anna")
    assert (report.after_any_here, report.after_any, report.count) == ((1,), (7,), 10)
    assert (report.tags, report.hidden) == ((("of", "thesis"),), (b"TOKEN",))


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("x = [", [("this is not TOML", "toml.io")]),
        ("", [("there are no jobs in the file", "[jobs.NAME]")]),
        ("job = 1\n[jobs.a]\nrun='x'", [("the file: there is no 'job'", "did you mean jobs?")]),
        ("[jobs.a]\nrun='x'\ntimout='2h'", [("job a: there is no 'timout'", "did you mean timeout?")]),
        ("[defaults]\ncpu=1\n[jobs.a]\nrun='x'", [("defaults: there is no 'cpu'", "did you mean cpus?")]),
        ("[jobs.a]\ncpus=1", [("job a: there is no command", 'run = "make data"')]),
        ("[jobs.a]\nrun=7", [("job a: run is neither a text nor a list", "run = ")]),
        ("[jobs.a]\nrun='x'\ntimeout=90", [("job a: --timeout 90 has no unit", "--timeout 90s")]),
        ("[jobs.a]\nrun='x'\nonce='yes'", [("job a: once is neither true nor false", "once = true")]),
        ("[jobs.a]\nrun='x'\nneeds=['a']", [("job a: needs is no text", "needs = ")]),
        ("[jobs.a]\nrun='x'\nsecret='NOT'", [("job a: --secret NOT: there is no such variable", "-e NOT=VALUE")]),
        ("[jobs]\na=1", [("job a is no table", "[jobs.a]")]),
        ("[jobs.fetch]\nrun='x'\n[jobs.b]\nrun='x'\nafter=['fetsh']", [("job b waits for 'fetsh'", "mean fetch?")]),
        ("[jobs.a]\nrun='x'\nafter=['b']\n[jobs.b]\nrun='x'\nafter=['a']", [("a -> b -> a", "remove one")]),
        ("[jobs.a]\nrun='x'\nafter=['a']", [("a waits for itself", "remove it")]),
        (
            "[jobs.a]\nrum='x'\n[jobs.b]\nrun='x'\nmem='3'\nafter='c'",
            [
                ("job a: there is no 'rum'", "did you mean run?"),
                ("job a: there is no command", "run = "),
                ("job b waits for 'c'", "the jobs are a, b"),
                ("job b: --mem 3 has no unit", "3M"),
            ],
        ),
    ],
)
def test_every_mistake_is_found_at_once_with_what_would_be_right(text: str, mistakes: list[tuple[str, str]]) -> None:
    _, found = read(text, AROUND)
    assert len(found) == len(mistakes), found
    for one, (error, hint) in zip(found, mistakes, strict=True):
        assert error in one.error, found
        assert hint in one.hint, found
        assert isinstance(one, Mistake)


def drawn(text: str) -> list[str]:
    specs, mistakes = read(text, AROUND)
    assert mistakes == []
    return [f"{before}{specs[place].name}" for place, before in tree(specs)]


def chain(*waits: tuple[str, str]) -> str:
    return "\n".join(f"[jobs.{name}]\nrun='x'\nafter=[{after}]" for name, after in waits)


def test_the_tree_has_each_job_once_below_the_last_one_it_waits_for() -> None:
    text = chain(("a", ""), ("b", "'a'"), ("c", "'a'"), ("d", "'b', 'a'"), ("e", ""), ("f", "'c', 'd'"))
    assert drawn(text) == ["a", "├─ b", "│  └─ d", "│     └─ f", "└─ c", "e"]


def test_a_long_chain_is_a_tree_too() -> None:
    text = chain(("j0", ""), *((f"j{n}", f"'j{n - 1}'") for n in range(1, 990)))
    assert len(drawn(text)) == 990


def a_file(folder: Path, text: str) -> str:
    (folder / "f.toml").write_text(text)
    return str(folder / "f.toml")


def test_nothing_is_submitted_with_a_mistake_and_all_are_told(tmp_path: Path) -> None:
    result = type_in("flow", a_file(tmp_path, "[jobs.a]\nrun='x'\nmen='3'\nafter='b'"), answers={})
    assert (result.status, result.asked, result.started) == (2, [], False)
    assert [line.partition(":")[0] for line in result.err.lines] == ["error", "hint", "error", "hint"]


def test_it_is_one_submit_and_the_status_is_the_first_that_failed(tmp_path: Path) -> None:
    text = chain(("a", ""), ("b", "'a'"))
    ended = JobPage((a_job(42, name="a"), a_job(43, "failed", name="b", exit_status=3, reason="exit 3")))
    answers = {Submit: Submitted(42, 2, 2), Jobs: ended}
    result = type_in("flow", a_file(tmp_path, text), answers=answers)
    submitted = [one for one in result.asked if isinstance(one, Submit)]
    assert [spec.name for spec in submitted[0].specs] == ["a", "b"]
    assert (result.status, result.out.data) == (3, b"")
    assert result.err.lines == ["odyssey: a done 3.5s", "odyssey: b failed 3.5s (job 43: exit 3)"]


def test_on_a_terminal_it_is_a_tree(tmp_path: Path) -> None:
    ended = JobPage((a_job(42, name="a"), a_job(43, name="b")))
    answers = {Submit: Submitted(42, 2, 2), Jobs: ended}
    result = type_in("flow", a_file(tmp_path, chain(("a", ""), ("b", "'a'"))), answers=answers, terminal=True)
    assert result.err.text == "\x1b[K✓ a done 3.5s\n\x1b[K└─ ✓ b done 3.5s\n"


def test_detached_it_tells_all_numbers(tmp_path: Path) -> None:
    answers = {Submit: Submitted(42, 2, 2)}
    result = type_in("flow", "--detach", "--json", a_file(tmp_path, chain(("a", ""), ("b", ""))), answers=answers)
    assert result.out.text == '{"id": 42, "tasks": 2, "jobs": {"a": 42, "b": 43}}\n'


def test_the_folder_is_the_one_of_the_file(tmp_path: Path) -> None:
    def kept(request: Submit) -> Submitted:
        specs: tuple[JobSpec, ...] = request.specs
        assert specs[0].cwd == str(tmp_path).encode()
        return Submitted(42, 1, 1)

    assert type_in("flow", "--detach", a_file(tmp_path, chain(("a", ""))), answers={Submit: kept}).status == 0

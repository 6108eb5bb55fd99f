"""Many tasks at once, as people type them, with a real daemon: arrays, `map`, scripts, flows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.system.people import odyssey, shell, terminal
from tests.system.place import Place, wait_for


@pytest.fixture
def up(place: Place) -> Place:
    place.start()
    return place


def test_the_status_of_an_array_is_the_first_failing_tasks(up: Place) -> None:
    script = "echo out $ODYSSEY_INDEX; echo err $ODYSSEY_INDEX >&2; exit $((ODYSSEY_INDEX / 10))"
    ended = odyssey(up, "run", "--array", "0-50:10", "--", "sh", "-c", script)
    assert ended.returncode == 1
    assert sorted(ended.stdout.split()) == sorted(b"out 0 out 10 out 20 out 30 out 40 out 50".split())
    assert b"odyssey: job 1: 1 of 6 tasks done, 5 failed; see odyssey show 1" in ended.stderr
    lines = odyssey(up, "show", "1").stdout.decode().splitlines()
    assert [line.split("\t")[:3] for line in lines[-6:]] == [
        [str(n), "failed" if n else "done", str(n)] for n in range(6)
    ]


def test_map_runs_each_item_in_its_own_words(up: Place, tmp_path: Path) -> None:
    for name in ("a b.txt", "c.txt", "it's.txt"):
        (tmp_path / name).write_text(name)
    ended = shell(up, "odyssey map -k -- cp {} {.}.copy ::: *.txt; odyssey map -k cat ::: *.copy", tmp_path)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout == b"a b.txtc.txtit's.txt"
    ended = shell(up, "ls *.txt | odyssey map --tag -k 'echo {/.} && wc -c < {}'", tmp_path)
    assert ended.stdout.decode().splitlines() == [
        "a b.txt\ta b",
        "a b.txt\t7",
        "c.txt\tc",
        "c.txt\t5",
        "it's.txt\tit's",
        "it's.txt\t8",
    ]


def test_map_keeps_its_output_apart_and_in_order(up: Place) -> None:
    script = "for i in 1 2 3; do echo {} $i; sleep 0.0$((RANDOM % 3)); done"
    ended = odyssey(up, "map", "-j", "8", script, ":::", *map(str, range(12)))
    blocks = [ended.stdout.decode().splitlines()[n : n + 3] for n in range(0, 36, 3)]
    assert sorted(int(block[0].split()[0]) for block in blocks) == list(range(12))
    assert all(block == [f"{block[0].split()[0]} {n}" for n in (1, 2, 3)] for block in blocks)
    ended = odyssey(up, "map", "-k", "-j", "8", script, ":::", *map(str, range(12)))
    assert [int(line.split()[0]) for line in ended.stdout.decode().splitlines()[::3]] == list(range(12))


def test_map_writes_its_log_and_goes_on_where_it_was(up: Place, tmp_path: Path) -> None:
    words = ("map", "--joblog", "log", "--results", "res")
    command = ("echo {}; test {} != 3 || exit 3", ":::", "1", "2", "3", "4")
    ended = odyssey(up, *words, *command, cwd=tmp_path)
    assert ended.returncode == 3
    rows = [row.split("\t") for row in (tmp_path / "log").read_text().splitlines()[1:]]
    assert sorted((int(row[0]), int(row[5]), int(row[6])) for row in rows) == [
        (1, 2, 0),
        (2, 2, 0),
        (3, 2, 3),
        (4, 2, 0),
    ]
    assert (tmp_path / "res/1/3/stdout").read_bytes() == b"3\n"
    ended = odyssey(up, *words, "--resume", *command, "5", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, b"5\n")


def test_a_halt_ends_the_rest(up: Place) -> None:
    ended = odyssey(
        up, "map", "--halt", "now,fail=1", "test {} != 1 || exit 9; exec sleep 600", ":::", "1", "2", "3", "4"
    )
    assert ended.returncode == 9
    (job,) = json.loads(odyssey(up, "ps", "--json").stdout)
    assert (job["tasks"]["failed"], job["tasks"]["cancelled"]) == (1, 3)


def test_a_script_says_what_it_needs(up: Place, tmp_path: Path) -> None:
    (tmp_path / "fit.sh").write_text('#ODYSSEY --name fit -e SEED=7 --array 1-2\necho "$1 $SEED $ODYSSEY_INDEX"\n')
    submitted = odyssey(up, "submit", "fit.sh", "hello", cwd=tmp_path)
    assert (submitted.returncode, submitted.stdout) == (0, b"1\n")
    assert odyssey(up, "wait", "fit").returncode == 0
    assert odyssey(up, "logs", "fit").stdout == b"hello 7 1\nhello 7 2\n"
    assert odyssey(up, "logs", "1/1").stdout == b"hello 7 2\n"


FLOW = """
[jobs.one]
run = "echo 1 >> order"
[jobs.bad]
run = "echo bad >> order; exit 4"
after = ["one"]
[jobs.never]
run = "echo never >> order"
after = ["bad"]
[jobs.always]
run = "echo always >> order"
after-any = ["bad"]
"""


def test_a_flow_runs_in_its_order_and_skips_what_cannot_be(up: Place, tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(FLOW)
    ended = odyssey(up, "flow", str(tmp_path / "f.toml"))
    assert ended.returncode == 4
    assert (tmp_path / "order").read_text() == "1\nbad\nalways\n"
    states = {job["name"]: job["state"] for job in json.loads(odyssey(up, "ps", "--json").stdout)}
    assert states == {"one": "done", "bad": "failed", "never": "skipped", "always": "done"}


def test_a_flow_on_a_terminal_is_a_tree(up: Place, tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(FLOW)
    with terminal(up, "flow", str(tmp_path / "f.toml")) as screen:
        assert screen.ends() == 4
    last = screen.seen.decode().rpartition("F")[2].replace("\x1b[K", "").splitlines()
    assert [line.split()[0] for line in last] == ["✓", "└─", "├─", "└─"]
    assert "✓ always done" in last[3]


def test_detached_work_is_looked_at_changed_and_waited_for(up: Place) -> None:
    def run(*words: str) -> str:
        return odyssey(up, *words).stdout.decode()

    assert run("run", "--detach", "--name", "slow", "--", "sleep", "600") == "1\n"
    assert run("run", "--detach", "--hold", "--name", "later", "--after", "slow", "--", "true") == "2\n"
    assert wait_for(lambda: "\trunning\t" in run("ps"))
    assert run("where", "slow").split("\t")[:2] == ["0", "running"]
    assert "held" in run("why", "later")
    assert run("queue").split("\t")[1:3] == ["2", "later"]
    for words in (("prio", "2", "5"), ("release", "later"), ("cancel", "slow")):
        assert odyssey(up, *words).returncode == 0
    assert odyssey(up, "wait", "1", "2").returncode != 0
    states = [line.split("\t")[3] for line in run("history").splitlines()]
    assert states == ["skipped", "cancelled"]
    assert odyssey(up, "retry", "slow").returncode == 0
    assert "job-submitted" in run("events")
    assert odyssey(up, "cancel", "slow").returncode == 0


def test_jobs_are_completed_in_the_shell(up: Place) -> None:
    assert odyssey(up, "run", "--name", "holiday", "--", "true").returncode == 0
    script = (
        'eval "$(odyssey completion bash)"; COMP_WORDS=(odyssey show ho) COMP_CWORD=2; '
        '_odyssey_completion odyssey; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert shell(up, script).stdout == b"holiday\n"


@pytest.mark.parametrize(
    ("shell_name", "asked", "told"),
    [
        ("bash", {"COMP_WORDS": "odyssey show ho", "COMP_CWORD": "2"}, "plain,holiday"),
        ("zsh", {"COMP_WORDS": "odyssey show ho", "COMP_CWORD": "2"}, "plain\nholiday\njob 1, done"),
        ("fish", {"COMP_WORDS": "odyssey show ho", "COMP_CWORD": "ho"}, "plain,holiday\tjob 1, done"),
    ],
)
def test_each_shell_is_told_of_jobs_in_its_own_words(
    up: Place, shell_name: str, asked: dict[str, str], told: str
) -> None:
    """What the scripts of `odyssey completion` ask; bash itself is tried above."""
    assert odyssey(up, "run", "--name", "holiday", "--", "true").returncode == 0
    up.environment |= {"_ODYSSEY_COMPLETE": f"{shell_name}_complete", **asked}
    try:
        assert odyssey(up).stdout.decode().strip() == told
    finally:
        for name in ("_ODYSSEY_COMPLETE", *asked):
            del up.environment[name]


def test_fish_completes_jobs_itself(up: Place) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed here: its completion was tried without it only")
    assert odyssey(up, "run", "--name", "holiday", "--", "true").returncode == 0
    done = shell(up, "fish -c 'odyssey completion fish | source; complete -C \"odyssey show ho\"'")
    assert done.stdout.decode().split()[0] == "holiday"


def test_up_and_down_are_content_when_it_is_so(place: Place) -> None:
    assert odyssey(place, "down").stderr == b"odyssey: no daemon runs here\n"
    first = odyssey(place, "up", "--name", "nova", "--mesh", "anna's mesh")
    assert (first.returncode, first.stdout.splitlines()[0]) == (0, b"nova is up, in anna's mesh.")
    assert odyssey(place, "up").stdout.splitlines()[0] == b"nova is up already, in anna's mesh."
    assert odyssey(place, "status").stdout.startswith(b"anna's mesh   1 machine")
    assert odyssey(place, "down").returncode == 0
    assert odyssey(place, "status").returncode == 3

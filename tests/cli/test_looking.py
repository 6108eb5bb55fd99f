"""The commands that look: the same fields as text and as JSON, pages to their end, and what is said in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from odyssey.api.requests import (
    Cancel,
    Doctor,
    Events,
    Explain,
    History,
    Hold,
    Job,
    Jobs,
    Logs,
    Nodes,
    Pause,
    Policy,
    Prio,
    Queue,
    Retry,
    Share,
    Status,
    Wait,
    Watch,
    Where,
)
from odyssey.api.views import (
    STDERR,
    STDOUT,
    Changed,
    Check,
    Cut,
    DoctorView,
    EventPage,
    EventView,
    ExplainView,
    JobDetail,
    JobPage,
    NodeList,
    Output,
    Picture,
    PolicyView,
    QueueView,
    ReasonView,
    ShareView,
    StatusView,
    TaskView,
    TaskWhere,
    Told,
    TryView,
    Waiting,
    WhereView,
)
from odyssey.cli.completing import matching
from odyssey.errors import UsageError
from tests.cli.desk import a_job, counts, type_in
from tests.cli.test_attached import SPEC
from tests.cli.test_map import NODE, STATUS

# ---- jobs ------------------------------------------------------------------------------------------------------------


def test_ps_in_a_pipe_is_a_line_a_job() -> None:
    job = a_job(42, "failed", exit_code=3, reason="exit 3", tasks=counts(10, done=9, failed=1), tries=11)
    result = type_in("ps", answers={Jobs: JobPage((job, a_job(41, "waiting", node=None, started_at=None, tries=0)))})
    first, second = (line.split("\t") for line in result.out.lines)
    assert first[:8] == ["42", "fit", "anna", "failed", "10/10", "nova", "11", "3"]
    assert first[8:] == ["2026-09-21T14:13:20.000Z", "2026-09-21T14:13:21.000Z", "2026-09-21T14:13:24.500Z", "3.5s", "exit 3"]  # fmt: skip  # noqa: E501
    assert second[:8] == ["41", "fit", "anna", "waiting", "0/1", "", "0", ""]
    assert len(second) == len(first)


def test_ps_as_json_is_a_list_with_the_fields_scripts_rely_on() -> None:
    (job,) = json.loads(type_in("ps", "--json", answers={Jobs: JobPage((a_job(),))}).out.text)
    assert {"id", "name", "user", "state", "tasks", "node", "tries", "exit_code", "reason"} <= set(job)
    assert {"submitted_at", "started_at", "ended_at"} <= set(job)
    assert job["tasks"] == {"total": 1, "waiting": 0, "running": 0, "done": 1, "failed": 0, "cancelled": 0, "skipped": 0}  # fmt: skip  # noqa: E501
    assert job["submitted_at"] == "2026-09-21T14:13:20.000Z"
    assert json.loads(type_in("ps", "--json", answers={Jobs: JobPage(())}).out.text) == []


def paged(request: Jobs | History) -> JobPage:
    first = request.below or 6
    ids = list(range(first - 1, 0, -1))[: min(2, request.limit)]
    return JobPage(tuple(a_job(number) for number in ids), ids[-1] if ids and ids[-1] > 1 else 0)


@pytest.mark.parametrize("command", ["ps", "history"])
def test_pages_are_fetched_until_all_is_there_or_enough(command: str) -> None:
    answers = {Jobs: paged, History: paged}
    assert [line.split("\t")[0] for line in type_in(command, answers=answers).out.lines] == ["5", "4", "3", "2", "1"]
    some = type_in(command, "--limit", "3", answers=answers, terminal=True)
    assert len(some.out.lines) == 4  # with the head
    assert some.err.lines == ["odyssey: there are more, older than job 3: --limit N shows more"]


def test_ps_asks_for_what_was_typed() -> None:
    (asked,) = type_in("ps", "--state", "failed,done", "--limit", "7", "fit", answers={Jobs: JobPage(())}).asked
    assert asked == Jobs(("failed", "done"), ("fit",), limit=7)
    (asked,) = type_in("ps", "--state", "all", answers={Jobs: JobPage(())}).asked
    assert asked == Jobs(everything=True)


def test_ps_goes_on_with_what_changes() -> None:
    pictures = [
        Picture(True, (a_job(41), a_job(42, "waiting")), (), None, None),
        Picture(False, (a_job(42, "running"),), (41,), None, None),
    ]
    answers = {Watch: pictures}
    lines = type_in("ps", "--watch", "--json", answers=answers).out.lines
    shown = [[(job["id"], job["state"]) for job in json.loads(line)] for line in lines]
    assert shown == [[(42, "waiting"), (41, "done")], [(42, "running")]]
    lines = type_in("ps", "--watch", answers=answers).out.lines
    assert [line.split("\t")[::3][:2] for line in lines] == [["41", "done"], ["42", "waiting"], ["42", "running"]]
    drawn = type_in("ps", "--watch", answers=answers, terminal=True, environment={"NO_COLOR": "1"}).out.text
    first, again = drawn.split("\x1b[3F")
    assert (first.count("\n"), again.count("\n"), again.endswith("\x1b[J")) == (3, 2, True)


def a_try(code: int, node: str = "nova", outcome: str = "exited") -> TryView:
    return TryView(9, node, "ended", outcome, code, None, None, 1000, 1000, 3000)


def a_detail(*tasks: TaskView, next_task: int | None = None, **spec: Any) -> JobDetail:
    return JobDetail(a_job(), msgspec.structs.replace(SPEC, **spec), tasks, next_task, (40,), (43,))


def test_show_tells_what_was_asked_and_what_became_of_it() -> None:
    task = TaskView(0, "done", 0, (a_try(0),), 1)
    spec: dict[str, Any] = {
        "argv": (b"./fit", b"a b", b"\x1b[2J"),
        "env": ((b"A", b"1"), (b"KEY", None)),
        "timeout_ms": 7_200_000,
        "gpus": 2,
    }
    text = type_in("show", "fit", answers={Job: a_detail(task, **spec)}).out.text
    for line in (
        "job         42 fit",
        "state       done, exit 0",
        "command     ./fit 'a b' '\\x1b[2J'",
        "asks for    1 cpu, 1 B, 2 GPUs, 2h at most",
        "after       40",
        "before      43",
        "machine     nova",
        "took        3.5s",
        "variables   A=1 KEY=(hidden)",
    ):
        assert f"{line}\n" in text
    assert "\x1b" not in text


def test_show_as_json_has_every_task() -> None:
    def page(request: Job) -> JobDetail:
        first = request.start
        tasks = tuple(TaskView(n, "done", 0, (a_try(0),), 1) for n in range(first, first + 2))
        return a_detail(*tasks, next_task=first + 2 if first < 4 else None)

    shown = json.loads(type_in("show", "42", "--json", answers={Job: page}).out.text)
    assert (shown["id"], [task["index"] for task in shown["task_list"]]) == (42, [0, 1, 2, 3, 4, 5])
    assert {"attempt", "node", "state", "outcome", "exit_code", "signal"} <= set(shown["task_list"][0]["tries"][0])
    assert "spec" in shown


def test_show_on_a_terminal_asks_once_for_what_it_shows() -> None:
    def page(request: Job) -> JobDetail:
        those = range(request.start, request.start + request.limit)
        detail = a_detail(*(TaskView(n, "done", 0, (), 1) for n in those), next_task=request.limit)
        return msgspec.structs.replace(detail, job=a_job(tasks=counts(100_000, done=100_000)))

    typed = type_in("show", "42", answers={Job: page}, terminal=True)
    assert len(typed.asked) == 1
    assert typed.out.lines[-1] == "… and 99980 more: odyssey show 42 --json"


def test_tries_of_a_task_are_a_table() -> None:
    tasks = (TaskView(0, "failed", 3, (a_try(1), a_try(3, "titan")), 2, 0, "exit 3"), TaskView(1, "done", 0, (), 0))
    lines = type_in("show", "42", answers={Job: a_detail(*tasks)}).out.lines
    assert lines[-2:] == ["0\tfailed\t3\t2\ttitan\t2s\texit 3", "1\tdone\t0\t0\t\t\t"]


def test_logs_keep_the_streams_apart() -> None:
    told = [
        Told((Output(0, 1, STDOUT, 0, b"\xffa"), Output(0, 1, STDERR, 0, b"b"))),
        Told((Cut(0, 1, STDOUT, 1 << 30),)),
    ]
    result = type_in("logs", "42", answers={Logs: told})
    assert (result.out.data, result.err.data) == (b"\xffa", b"bodyssey: 1 GB of stdout are not kept: it was too long\n")
    result = type_in("logs", "42/1", "--stderr", "--tail", "3", answers={Logs: told})
    assert (result.out.data, result.err.data) == (b"", b"b")
    assert result.asked == [Logs("42/1", "stderr", 3)]


def test_where_is_a_line_a_task() -> None:
    view = WhereView(42, (TaskWhere(0, "done", "nova", 9, 100, None, True, files="/h/files/jobs/42/0-9"), TaskWhere(1, "waiting", None, None, None, None, False)))  # fmt: skip  # noqa: E501
    assert type_in("where", "42", answers={Where: view}).out.lines == [
        "0\tdone\tnova\t100\t\t\t/h/files/jobs/42/0-9",
        "1\twaiting\t\t\t\t\t",
    ]
    shown = json.loads(type_in("where", "42", "--json", answers={Where: view}).out.text)
    assert shown["tasks"][0]["stdout_bytes"] == 100
    shown_to_people = type_in("where", "42", answers={Where: view}, terminal=True)
    assert shown_to_people.out.lines[1].endswith("0-9")
    assert shown_to_people.err.lines == ["odyssey: the files are in /h/files/jobs/42"]


# ---- verbs -----------------------------------------------------------------------------------------------------------


def test_every_job_that_is_named_is_answered_for() -> None:
    def answer(request: Cancel) -> Any:
        return (
            UsageError("there is no job 7", hint="odyssey ps") if request.ref == "7" else Changed(int(request.ref), 2)
        )

    result = type_in("cancel", "5", "7", "9", answers={Cancel: answer})
    assert result.status == 2
    assert result.err.lines == [
        "odyssey: job 5: 2 tasks cancelled",
        "error: there is no job 7",
        "hint: odyssey ps",
        "odyssey: job 9: 2 tasks cancelled",
    ]


def test_what_was_so_already_is_said_so() -> None:
    assert type_in("cancel", "5", answers={Cancel: Changed(5, 0)}).err.lines == ["odyssey: job 5: had ended already"]
    assert type_in("retry", "5", answers={Retry: Changed(5, 1)}).err.lines == ["odyssey: job 5: 1 task starts again"]
    assert type_in("hold", "--json", "5", answers={Hold: Changed(5, 0)}).out.text == '[{"id": 5, "tasks": 0}]\n'


def test_a_priority_may_be_negative() -> None:
    result = type_in("prio", "fit", "-4", answers={Prio: Changed(5, 1)})
    assert (result.status, result.asked) == (0, [Prio("fit", -4)])


def test_wait_ends_with_the_first_status_that_is_not_0() -> None:
    ended = [a_job(9, "failed", exit_status=7), a_job(5), a_job(6, "failed", exit_status=3, reason="exit 3")]
    result = type_in("wait", "5", "6", "9", answers={Wait: ended})
    assert (result.status, result.out.data) == (3, b"")
    assert result.err.lines == ["odyssey: job 9 failed", "odyssey: job 6 failed: exit 3"]
    result = type_in("wait", "--all", answers={Jobs: JobPage((a_job(5, "running"),)), Wait: [a_job(5)]})
    assert (result.status, result.asked[-1]) == (0, Wait(("5",)))
    assert type_in("wait", "--all", answers={Jobs: JobPage(())}).status == 0


# ---- why, and what happened ------------------------------------------------------------------------------------------


def test_explain_is_told_in_the_schedulers_sentences() -> None:
    view = ExplainView(42, "waiting", ReasonView("full", "all machines are busy"), None, ("it waits", "nova: busy"))
    for word in ("explain", "why"):
        assert type_in(word, "42", answers={Explain: view}).out.lines == ["it waits", "nova: busy"]
    shown = json.loads(type_in("why", "42", "--json", answers={Explain: view}).out.text)
    assert shown["reason"] == {"code": "full", "text": "all machines are busy", "remedies": []}


def test_the_queue_says_why_each_waits() -> None:
    one = Waiting(1, 42, "fit", "anna", 10, 0, 0, "2 cpus", ReasonView("full", "busy"), 90_000)
    view = QueueView((one,), 3)
    assert type_in("queue", answers={Queue: view}).out.text == "1\t42\tfit\tanna\t10\t0\t0\t2 cpus\t1m30s\tbusy\n"
    assert type_in("queue", answers={Queue: QueueView(())}, terminal=True).err.text == "odyssey: nothing waits\n"


def test_events_are_a_list_or_with_f_a_line_each() -> None:
    pages = [EventPage((EventView(0, "job-ended", "job 42", "done", {"job": 42}),)), EventPage(())]
    asked = type_in("events", "--limit", "5", answers={Events: pages})
    assert asked.out.text == "1970-01-01T00:00:00.000Z\tjob-ended\tjob 42\tdone\n"
    assert asked.asked == [Events(5, False)]
    assert len(json.loads(type_in("events", "--json", answers={Events: pages}).out.text)) == 1
    followed = type_in("events", "-f", "--json", answers={Events: pages}).out.lines
    assert json.loads(followed[0])["kind"] == "job-ended"


# ---- machines --------------------------------------------------------------------------------------------------------


def a_status(**fields: Any) -> StatusView:
    return msgspec.structs.replace(STATUS, mesh="anna's mesh", **fields)


def test_status_is_said_in_words() -> None:
    view = a_status(cpus=4.0, jobs={"running": 2, "done": 3}, is_embedded=True, notes=("On battery.",))
    assert type_in("status", answers={Status: view}).out.lines == [
        "anna's mesh   1 machine   4 cores",
        "This machine is alone: jobs wait while it is off, and none is lost.",
        "Jobs: 2 running, 3 done.",
        "On battery.",
    ]


def test_status_as_json_has_the_fields_scripts_rely_on() -> None:
    shown = json.loads(type_in("status", "--json", answers={Status: a_status()}).out.text)
    assert {"mesh", "mesh_id", "node", "node_id", "role", "coordinator", "term", "quorum", "can_lose"} <= set(shown)
    assert {"must_stay", "nodes", "jobs", "age_seconds", "pid", "supervisor_pid"} <= set(shown)
    assert shown["quorum"] == {"have": 1, "need": 1, "of": 0}


def test_nodes_are_a_line_a_machine() -> None:
    for word in ("nodes", "machines"):
        cells = type_in(word, answers={Nodes: NodeList((NODE,))}).out.lines[0].split("\t")
        assert cells[:12] == ["nova", "up", "keeper", "yes", "4", "1", "0", "", "", "", "0", ""]
        assert cells[12:] == ["anna", "", "", "linux", "x86_64", "", ""]


def test_nodes_on_a_terminal_have_a_head_and_no_column_that_says_nothing() -> None:
    other = msgspec.structs.replace(
        NODE, name="pi4", state="silent", role="worker", coordinator=False, load1=0.52, last_seen_seconds=4.2
    )
    head, first, second = type_in("nodes", answers={Nodes: NodeList((NODE, other))}, terminal=True).out.lines
    assert "\x1b[2mNAME" in head
    for title in ("STATE", "ROLE", "LOAD", "SEEN"):
        assert title in head
    for title in ("BOX", "GPUS", "COORDINATOR", "ADDRESS", "VERSION"):
        assert title not in head
    assert "coordinator" in first
    assert "0.5" in second
    assert "4.2s ago" in second


def test_nodes_of_who_is_cut_off_come_with_their_age() -> None:
    result = type_in("nodes", answers={Nodes: NodeList((NODE,), 65_000)}, terminal=True)
    assert result.err.text == "odyssey: cut off for 1m5s: this is what was known of the others then\n"


def test_share_tells_the_rules_in_force() -> None:
    view = ShareView(("gives 4 cores, lowest priority",), "4")
    result = type_in("share", "--cpus", "4", "--quiet", "22-08", answers={Share: view})
    assert (result.out.lines, result.asked) == (["gives 4 cores, lowest priority"], [Share("4", quiet="22-08")])
    assert type_in("pause", "2h", answers={Pause: view}).asked == [Pause(7_200_000)]


def test_the_policy_is_told_used_and_set() -> None:
    answers = {Policy: PolicyView("weighted", {"speed": 60, "load": 5}, ("pack", "weighted"))}
    result = type_in("policy", answers=answers)
    assert result.out.lines == ["weighted   (there are pack, weighted)", "  speed        60", "  load         5"]
    assert type_in("policy", "use", "pack", answers=answers).asked == [Policy("pack")]
    asked = type_in("policy", "set", "speed=50", "load=0", answers=answers).asked
    assert asked == [Policy(weights=(("speed", 50), ("load", 0)))]


def test_doctor_ends_with_1_when_something_is_wrong() -> None:
    fine, wrong = Check("cgroups", True, "v2"), Check("limits", False, "no memory limits", "odyssey doctor --fix")
    assert type_in("doctor", answers={Doctor: DoctorView((fine,))}).status == 0
    result = type_in("doctor", answers={Doctor: DoctorView((fine, wrong, Check("gpu", None, "unknown")))})
    assert (result.status, len(result.out.lines)) == (1, 4)


# ---- completion ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o nosort"), ("zsh", "#compdef"), ("fish", "complete --")]
)
def test_each_shell_gets_its_script(shell: str, word: str) -> None:
    result = type_in("completion", shell)
    assert result.status == 0
    assert word in result.out.text
    assert "_ODYSSEY_COMPLETE" in result.out.text


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("odyssey ru", "plain,run"),
        ("odyssey run --timeo", "plain,--timeout"),
        ("odyssey run -- ./fi", "file,./fi"),
        ("odyssey map gzip ::: lo", "file,lo"),
        ("odyssey submit --cpus 2 fi", "file,fi"),
        ("odyssey flow th", "file,th"),
    ],
)
def test_words_are_completed(words: str, completed: str) -> None:
    environment = {"_ODYSSEY_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = [sys.executable, "-m", "odyssey"]
    ended = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout.splitlines() == [completed]


def test_jobs_are_completed_by_name_and_number() -> None:
    found = (a_job(42), a_job(41, name="film"), a_job(7, name=""))
    assert [item.value for item in matching(found, "")] == ["film", "fit", "42", "41", "7", "last"]
    assert [item.value for item in matching(found, "fi")] == ["film", "fit"]
    assert [item.value for item in matching(found, "4")] == ["42", "41"]

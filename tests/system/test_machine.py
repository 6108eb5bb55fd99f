"""One machine as its owner meets it, with a real daemon: its name, its labels, its end."""

from __future__ import annotations

import json

from tests.system.people import odyssey
from tests.system.place import Place, wait_for


def test_jobs_find_the_machine_by_its_labels(place: Place) -> None:
    """Also after a restart, and programs that nobody has told of before."""
    assert odyssey(place, "up", "--name", "nova").returncode == 0
    assert odyssey(place, "node", "label", "nova", "room=lab3").returncode == 0
    needs = "room=lab3 has:sed python>=3 os=linux"
    for _ in range(2):
        ended = odyssey(place, "run", "--needs", needs, "--", "echo", "here")
        assert (ended.returncode, ended.stdout) == (0, b"here\n"), ended.stderr
        assert odyssey(place, "down").returncode == 0
        assert odyssey(place, "up").returncode == 0
    shown = json.loads(odyssey(place, "node", "--json").stdout)
    assert shown["own_labels"] == {"room": "lab3"}
    assert shown["labels"]["has:sed"] == "yes"
    refused = odyssey(place, "run", "--needs", "has:no-such-program", "--", "true")
    assert (refused.returncode, b"does not meet --needs has:no-such-program" in refused.stderr) == (2, True)


def test_up_with_another_name_renames_and_with_another_mesh_refuses(place: Place) -> None:
    assert odyssey(place, "run", "--", "true").returncode == 0
    ended = odyssey(place, "up", "--name", "nova")
    assert ended.stdout.startswith(b"nova is up, in ")
    assert odyssey(place, "up", "--name", "titan").stdout.startswith(b"titan is up already, in ")
    assert odyssey(place, "up", "--name", "My PC").returncode == 2
    mesh = json.loads(odyssey(place, "status", "--json").stdout)["mesh"]
    for is_running in (True, False):
        refused = odyssey(place, "up", "--mesh", "other")
        assert (refused.returncode, refused.stderr.splitlines()[0].decode()) == (
            2,
            f"error: this machine is in {mesh} already, and that keeps its name",
        )
        assert odyssey(place, "up", "--mesh", mesh).returncode == 0
        if is_running:
            assert odyssey(place, "down").returncode == 0


def test_down_says_what_goes_on_and_what_it_ended(place: Place) -> None:
    def runs() -> bool:
        return bool(json.loads(odyssey(place, "ps", "--json").stdout)[0]["tasks"]["running"])

    assert odyssey(place, "up").returncode == 0
    assert odyssey(place, "down").stderr == b"odyssey: stopped\n"
    assert odyssey(place, "run", "--detach", "--", "sleep", "600").stdout == b"1\n"
    wait_for(runs)
    assert odyssey(place, "down").stderr == b"odyssey: stopped; 1 task of job 1 goes on\n"
    assert odyssey(place, "up").returncode == 0
    wait_for(runs)
    told = odyssey(place, "down", "--now").stderr
    assert told == b"odyssey: stopped; ended 1 task of job 1, to start again after the next up\n"


MODEST = """
import ctypes, os, platform
number = {"x86_64": 252, "aarch64": 31}[platform.machine()]
ioprio = ctypes.CDLL(None).syscall(number, 1, 0)
print(os.sched_getscheduler(0) == os.SCHED_IDLE, os.getpriority(os.PRIO_PROCESS, 0), ioprio >> 13)
"""


def test_a_job_gives_way_to_everything_else(place: Place) -> None:
    """As the kernel tells it of the job's own process: the lowest of all, and idle at the disk."""
    ended = odyssey(place, "run", "--", "python3", "-c", MODEST)
    assert (ended.returncode, ended.stdout) == (0, b"True 19 3\n"), ended.stderr


def test_a_paused_machine_says_the_same_everywhere(place: Place) -> None:
    assert odyssey(place, "up", "--name", "nova").returncode == 0
    assert odyssey(place, "pause").returncode == 0
    assert odyssey(place, "run", "--detach", "--", "true").returncode == 0

    def reasons() -> set[str]:
        listed = json.loads(odyssey(place, "ps", "--json").stdout)[0]["reason"]
        shown = json.loads(odyssey(place, "show", "1", "--json").stdout)["reason"]
        why = json.loads(odyssey(place, "why", "1", "--json").stdout)["reason"]["text"]
        queued = json.loads(odyssey(place, "queue", "--json").stdout)[0]["reason"]["text"]
        return {listed, shown, why, queued}

    owner = json.loads(odyssey(place, "nodes", "--json").stdout)[0]["owner"]
    wait_for(lambda: reasons() == {f"nova: paused by {owner}"})
    assert odyssey(place, "resume").returncode == 0
    assert odyssey(place, "wait", "1").returncode == 0


def test_events_outlive_the_daemon(place: Place) -> None:
    assert odyssey(place, "up").returncode == 0
    assert odyssey(place, "run", "--name", "fit", "--", "true").returncode == 0
    before = odyssey(place, "events").stdout.splitlines()
    for _ in range(2):
        assert odyssey(place, "down").returncode == 0
        assert odyssey(place, "up").returncode == 0
    after = odyssey(place, "events").stdout.splitlines()
    assert after[: len(before)] == before
    assert sum(b"job 1 (fit) submitted" in line for line in after) == 1

"""Jobs on a daemon that ends, in order or not, and on a machine whose owner changes their mind."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from odyssey import starting
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.client import Client
from odyssey.errors import OdysseyError
from odyssey.ids import UserId
from odyssey.resources import Resources
from odyssey.spec import JobSpec, Want
from tests.exec.rig import running
from tests.system.place import Place, wait_for


class Desk:
    """A client of the daemon of a place, whichever that is just now."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.client = Client(lambda: str(place.start().socket))

    def submit(self, script: str, *words: object, count: int = 1) -> str:
        argv = tuple(os.fsencode(str(word)) for word in ("sh", "-c", script, "sh", *words))
        spec = JobSpec(UserId(""), argv, Want(Resources(1000, 1 << 20), key="sh"), count=count, cwd=b"/")
        return str(self.client.call(r.Submit(os.urandom(16), (spec,))).id)

    def follow(self, job: str) -> tuple[bytes, v.JobView]:
        output, over = b"", None
        for item in self.client.follow(r.Follow(job)):
            if isinstance(item, v.Output):
                output += item.data
            elif isinstance(item, v.Over):
                over = item.job
        assert over is not None
        return output, over

    def job(self, job: str) -> v.JobView:
        return self.client.call(r.Job(job)).job

    def down(self, now: bool = False) -> None:
        self.client.call(r.Down(now))
        assert starting.wait_until_gone(self.place.home)


@pytest.fixture
def desk(place: Place) -> Iterator[Desk]:
    desk = Desk(place)
    yield desk
    desk.client.close()


# A task that says that it runs, and ends when it is told to.
GATED = 'echo "on $$" >> "$1"; echo before; until [ -e "$2" ]; do sleep 0.02; done; echo after'


def starts(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def test_a_job_runs_and_its_output_and_status_come_back(desk: Desk) -> None:
    output, over = desk.follow(desk.submit("echo hi; exit 3"))
    assert (output, over.state, over.exit_code) == (b"hi\n", "failed", 3)


def test_what_runs_goes_on_without_the_daemon_and_is_taken_up_again(desk: Desk, tmp_path: Path) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    job = desk.submit(GATED, log, gate)
    wait_for(lambda: starts(log))
    desk.down()
    gate.touch()  # it ends while there is no daemon
    desk.place.start()
    output, over = desk.follow(job)
    assert (output, over.state, over.tries) == (b"before\nafter\n", "done", 1)
    assert len(starts(log)) == 1


def test_an_end_at_once_ends_what_runs_and_it_runs_again_with_the_next_daemon(desk: Desk, tmp_path: Path) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    job = desk.submit(GATED, log, gate)
    wait_for(lambda: starts(log))
    desk.down(now=True)
    wait_for(lambda: not list(desk.place.processes()))
    gate.touch()
    desk.place.start()
    output, over = desk.follow(job)
    assert (output.endswith(b"before\nafter\n"), over.state) == (True, "done")
    assert len(starts(log)) == 2


def test_one_that_was_started_by_the_way_gives_way_to_one_that_is_to_stay(desk: Desk, tmp_path: Path) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    job = desk.submit(GATED, log, gate)
    wait_for(lambda: starts(log))
    assert desk.client.call(r.Status()).is_embedded
    assert desk.place.start(is_embedded=False).is_new
    assert not desk.client.call(r.Status()).is_embedded
    assert not desk.place.start(is_embedded=False).is_new
    assert not desk.place.start().is_new
    gate.touch()
    assert desk.follow(job)[1].tries == 1


def test_nothing_stays_when_nothing_runs(desk: Desk) -> None:
    desk.follow(desk.submit("true"))
    desk.down()
    wait_for(lambda: not list(desk.place.processes()))


def test_a_daemon_that_dies_is_started_again_by_the_hands(desk: Desk, tmp_path: Path) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    job = desk.submit(GATED, log, gate)
    wait_for(lambda: starts(log))
    before = desk.place.daemon
    assert before is not None
    os.kill(before, signal.SIGKILL)
    after = wait_for(lambda: desk.place.daemon not in (None, before) and desk.place.daemon)
    assert b"ODYSSEY_DISK_BALLAST=1M" in Path(f"/proc/{after}/environ").read_bytes().split(b"\0")
    gate.touch()
    assert desk.follow(job)[1].tries == 1


@pytest.mark.parametrize("whose", ["the hands", "the hands and the daemon"])
def test_when_the_hands_die_nothing_of_theirs_lives_on_and_all_of_it_runs_again_at_once(
    desk: Desk, tmp_path: Path, whose: str
) -> None:
    """A machine that is alone has no lease that could end: only a proof lets anything run again."""
    log, gate, mark = tmp_path / "log", tmp_path / "gate", f"{os.getpid()}18.25"
    script = (
        'echo "on $ODYSSEY_TASK $ODYSSEY_TRY" >> "$1"; [ -e "$2" ] || { trap "" TERM; setsid sleep $3 & sleep $3; }'
    )
    job = desk.submit(script, log, gate, mark, count=4)
    wait_for(lambda: len(running(mark)) == 3 * len(starts(log)) > 0)  # each is a shell that runs two
    hands, daemon = desk.client.call(r.Status()).supervisor_pid, desk.place.daemon
    assert hands is not None
    assert daemon is not None
    before = set(running(mark))
    gate.touch()
    os.kill(hands, signal.SIGKILL)
    if "daemon" in whose:
        os.kill(daemon, signal.SIGKILL)
    wait_for(lambda: not before & set(running(mark)), 1.0)
    if "daemon" in whose:
        desk.place.start()
    _, over = desk.follow(job)
    tasks = desk.client.call(r.Job(job)).task_list
    assert (over.state, [task.state for task in tasks]) == ("done", ["done"] * 4)
    assert Counter(one.outcome for task in tasks for one in task.tries)["exited"] == 4
    again = sum(line.endswith(" 2") for line in starts(log))
    assert again == sum(one.outcome == "lost" for task in tasks for one in task.tries) >= 1


def test_one_that_was_ended_in_order_is_not_started_again(desk: Desk, tmp_path: Path) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    desk.submit(GATED, log, gate)
    wait_for(lambda: starts(log))
    desk.down()
    gate.touch()
    before = list(desk.place.processes())
    wait_for(lambda: "ended" in [line["text"] for line in desk.place.log()][-1:])
    assert desk.place.daemon is None
    assert set(desk.place.processes()) <= set(before)


def test_in_a_pause_what_runs_stands_still_and_nothing_starts(desk: Desk, tmp_path: Path) -> None:
    log, ticks = tmp_path / "log", tmp_path / "ticks"
    script = 'echo "on $$" >> "$1"; while [ ! -e "$3" ]; do echo >> "$2"; sleep 0.01; done'
    job = desk.submit(script, log, ticks, tmp_path / "gate")
    wait_for(ticks.exists)
    view = desk.client.call(r.Pause())
    assert view.is_paused
    waiting = desk.submit("true")

    def stands() -> bool:
        tries = desk.client.call(r.Job(job)).task_list[0].tries
        return bool(tries and tries[-1].is_frozen)

    wait_for(stands)
    before = ticks.stat().st_size
    status = desk.client.call(r.Status())
    assert "Nothing runs here: paused by its owner, until `odyssey resume`." in status.notes
    assert desk.job(waiting).tasks.waiting == 1
    assert ticks.stat().st_size == before
    desk.client.call(r.Resume())
    assert desk.follow(waiting)[1].state == "done"
    (tmp_path / "gate").touch()
    assert desk.follow(job)[1].tries == 1
    assert len(starts(log)) == 1


def test_a_smaller_share_takes_fewer_at_once(desk: Desk) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one core")
    desk.client.call(r.Share(cpus="1"))
    wait_for(lambda: desk.client.call(r.Nodes()).nodes[0].cpus == 1)
    spec = JobSpec(UserId(""), (b"true",), Want(Resources(2000, 1 << 20)), cwd=b"/")
    with pytest.raises(OdysseyError):
        desk.client.call(r.Submit(os.urandom(16), (spec,)))


def test_old_jobs_become_history_and_are_still_shown(desk: Desk) -> None:
    desk.place.environment["ODYSSEY_JOBS_AGE"] = "1s"
    output, over = desk.follow(job := desk.submit("echo kept"))
    assert (output, over.state) == (b"kept\n", "done")

    def hot() -> list[int]:
        return [one.id for one in desk.client.call(r.Jobs(everything=True)).jobs]

    wait_for(lambda: int(job) not in hot())
    assert int(job) in [one.id for one in desk.client.call(r.History()).jobs]
    assert desk.job(job).state == "done"
    desk.place.kill()
    assert desk.job(job).state == "done"

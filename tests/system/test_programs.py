"""Programs that use the mesh, with a real daemon and real hands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.executor import CallFailed, MeshExecutor
from odyssey.api.program import Client
from odyssey.errors import InvalidSpec
from tests.system.place import ROOT, Place, wait_for


@pytest.fixture
def client(place: Place) -> Iterator[Client]:
    place.start()
    with Client(place.start().socket) as client:
        yield client


def test_the_example_of_the_readme_shows_what_it_says(place: Place, tmp_path: Path) -> None:
    """As a program of its own: it starts the daemon, as the command line does."""
    (example,) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    program = tmp_path / "program.py"
    program.write_text(example[0])
    words = [sys.executable, str(program)]
    done = subprocess.run(words, env=place.environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (example[1], "")


def test_what_a_program_asks_of_a_job(client: Client, tmp_path: Path) -> None:
    done = client.run(["cat"], input=bytes(range(256)) * 5000, cwd=tmp_path)
    assert (done.exit_code, done.stdout) == (0, bytes(range(256)) * 5000)
    job = client.submit(["sh", "-c", "echo $ODYSSEY_INDEX; exit $ODYSSEY_TASK"], array=range(5, 8))
    assert (job.wait(60).state, job.wait(60).exit_status) == ("failed", 1)
    assert job.result().stdout == b"5\n6\n7\n"
    detail = job.detail()
    assert [task.exit_code for task in detail.task_list] == [0, 1, 2]
    assert all(task.tries[0].started_at and task.tries[0].cpu_ms is not None for task in detail.task_list)
    told = job.explain()
    assert told.decision is not None
    assert told.decision.node == client.call(r.Status()).node
    with pytest.raises(InvalidSpec):
        client.run(["true"], cpus=4000)


def test_output_is_seen_while_a_job_runs_and_a_restart_loses_none_of_it(place: Place, client: Client) -> None:
    fifo = place.home.path / "go"
    os.mkfifo(fifo)
    job = client.submit(["sh", "-c", f"echo one; read x < {fifo}; echo two"])
    items = client.follow(r.Follow(str(job.id)))
    seen: list[Any] = []
    while not any(isinstance(item, v.Output) for item in seen):
        seen.append(next(items))
    place.kill()
    place.start()
    fifo.write_text("go\n")
    seen += items
    assert b"".join(item.data for item in seen if isinstance(item, v.Output)) == b"one\ntwo\n"
    assert sum(isinstance(item, v.Began) for item in seen) == 1
    assert seen[-1].job.tries == 1


def test_calls_run_over_a_restart_of_the_daemon(place: Place, client: Client, tmp_path: Path) -> None:
    go = tmp_path / "go"

    def wait(n: int) -> int:
        import time

        while not go.exists():
            time.sleep(0.01)
        return n

    with MeshExecutor(client, cpus=0.1) as executor:
        futures = [executor.submit(wait, n) for n in range(3)]
        wait_for(lambda: any(future.running() for future in futures))
        place.kill()
        place.start()
        go.touch()
        assert [future.result(60) for future in futures] == [0, 1, 2]
        died = executor.submit(os.kill, 0, 9)
        assert isinstance(died.exception(60), CallFailed)

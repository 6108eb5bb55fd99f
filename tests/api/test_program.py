"""What programs use: `Client` and `MeshExecutor`, with calls that run in processes of their own."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import pytest

from odyssey import errors
from odyssey.api import called
from odyssey.api.executor import CallFailed, MeshExecutor, RemoteTraceback
from odyssey.api.program import Client
from odyssey.commands import AdmitNode, Facts
from odyssey.ids import NodeId
from odyssey.resources import Resources
from tests.api.counter import FakeCounter, blocking
from tests.api.running import used
from tests.api.test_walk import walked
from tests.builders import ANNA, a_spec


def with_client(tmp_path: Path, program: Any) -> Any:
    def run(path: str) -> Any:
        with Client(path) as client:
            return program(client)

    return used(tmp_path, run)


# -- jobs --------------------------------------------------------------------------------------------------------------


def test_a_program_runs_a_command_and_has_what_it_wrote(tmp_path: Path) -> None:
    def program(client: Client) -> None:
        done = client.run(["sh", "-c", "cat; echo oops >&2; echo $WORD; exit 3"], input=b"in\0", env={"WORD": "hi"})
        assert (done.exit_code, done.stdout, done.stderr, done.state) == (3, b"in\0hi\n", b"oops\n", "failed")
        assert client.run(["true"], cpus=0.5, mem="1G", tag={"a": "b"}).exit_code == 0
        assert client.run(["sh", "-c", "kill -9 $$"]).exit_code == 137
        assert client.run(["pwd"], cwd=tmp_path).stdout == os.fsencode(tmp_path) + b"\n"

    with_client(tmp_path, program)


def test_a_job_is_waited_for_looked_at_and_cancelled(tmp_path: Path) -> None:
    def program(client: Client) -> None:
        job = client.submit(["sh", "-c", "echo $ODYSSEY_TASK"], array=range(3), name="three")
        assert job.wait(30).state == job.state == "done"
        assert b"".join(piece.data for piece in job.logs()) == b"0\n1\n2\n"
        assert b"".join(piece.data for piece in job.logs(follow=True, stream="stdout")) == b"0\n1\n2\n"
        assert job.result().stdout == b"0\n1\n2\n"
        assert client.job("three").id == job.id
        slow = client.submit(["sleep", "600"], after=job)
        with pytest.raises(TimeoutError):
            slow.wait(0.05)
        assert slow.cancel() == 1
        assert slow.wait(30).state == "cancelled"
        assert [one.id for one in client.jobs()] == [2, 1]
        assert slow.explain().state == "cancelled"

    with_client(tmp_path, program)


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.submit("echo hi"),
        lambda client: client.submit(["true"], color="red"),
        lambda client: client.submit(["true"], mem="5"),
        lambda client: client.submit([]),
        lambda client: client.submit(["true"], array="9-0"),
        lambda client: client.job("nobody"),
    ],
)
def test_mistakes_are_errors_for_people(tmp_path: Path, ask: Any) -> None:
    def program(client: Client) -> None:
        with pytest.raises(errors.UsageError) as told:
            ask(client)
        assert told.value.hint

    with_client(tmp_path, program)


# -- calls -------------------------------------------------------------------------------------------------------------


def test_map_gives_what_the_calls_gave_in_order(tmp_path: Path) -> None:
    def program(client: Client) -> list[int]:
        with MeshExecutor(client, cpus=1) as executor:
            return list(executor.map(pow, range(10), range(10)))

    assert with_client(tmp_path, program) == [n**n for n in range(10)]


def test_a_chunk_of_calls_is_one_process(tmp_path: Path) -> None:
    def who(number: int) -> tuple[int, int]:
        return number, os.getpid()

    def program(client: Client) -> list[tuple[int, int]]:
        with MeshExecutor(client, cpus=1) as executor:
            with pytest.raises(ValueError, match="chunksize"):
                executor.map(who, [], chunksize=0)
            return list(executor.map(who, range(7), chunksize=3))

    found = with_client(tmp_path, program)
    assert [number for number, _ in found] == list(range(7))
    assert [len([one for one in found if one[1] == process]) for process in dict.fromkeys(p for _, p in found)] == [
        3, 3, 1,
    ]  # fmt: skip


def test_nothing_that_a_function_prints_is_taken_for_its_result(tmp_path: Path) -> None:
    def noisy(factor: int) -> int:
        print(called.result(called.RETURNED, b"forged"))
        os.write(1, called.result(called.RETURNED, b"forged"))
        os.system("echo from a child")
        sys.stdout.write("no end")
        return factor * 7

    def program(client: Client) -> int:
        with MeshExecutor(client) as executor:
            return executor.submit(noisy, 6).result()

    assert with_client(tmp_path, program) == 42


def test_an_exception_comes_home_with_its_traceback(tmp_path: Path) -> None:
    def fails() -> None:
        raise LookupError("nothing here")

    class Stubborn(Exception):
        def __reduce__(self) -> str:
            raise TypeError("never")

    def cannot_travel() -> None:
        raise Stubborn("stays")

    def program(client: Client) -> None:
        with MeshExecutor(client) as executor:
            first, second = executor.submit(fails), executor.submit(cannot_travel)
            error = first.exception()
            assert isinstance(error, LookupError)
            assert isinstance(error.__cause__, RemoteTraceback)
            assert "in fails" in str(error.__cause__)
            assert "Stubborn: stays" in str(second.exception())

    with_client(tmp_path, program)


def test_a_call_whose_process_dies_says_so(tmp_path: Path) -> None:
    def program(client: Client) -> None:
        with MeshExecutor(client) as executor:
            error = executor.submit(os._exit, 3).exception()
        assert isinstance(error, CallFailed)
        assert "exit 3" in error.message

    with_client(tmp_path, program)


def test_large_arguments_and_results_travel(tmp_path: Path) -> None:
    def program(client: Client) -> None:
        data = os.urandom(600_000)
        with MeshExecutor(client) as executor:
            large, small = executor.submit(bytes.upper, data * 2), executor.submit(len, data[:40_000])
            assert large.result() == (data * 2).upper()
            assert small.result() == 40_000

    with_client(tmp_path, program)


def test_a_call_that_waits_can_be_cancelled_and_one_that_runs_cannot(tmp_path: Path) -> None:
    go = tmp_path / "go"

    def waits() -> int:
        import time
        from pathlib import Path

        while not Path(go).exists():
            time.sleep(0.01)
        return 1

    def program(client: Client) -> None:
        executor = MeshExecutor(client)
        running = [executor.submit(waits) for _ in range(4)]
        for future in running:
            _until_running(future)
        waiting = executor.submit(waits)
        assert waiting.cancel()
        assert not running[0].cancel()
        go.touch()
        executor.shutdown()
        assert [future.result() for future in running] == [1] * 4
        with pytest.raises(CancelledError):
            waiting.result()
        with pytest.raises(RuntimeError):
            executor.submit(waits)

    with_client(tmp_path, program)


def _until_running(future: Future[Any]) -> None:
    """It says so to whoever asks, and tells nobody: asked again and again, within the test's own deadline."""
    changed = threading.Event()
    while not future.running():
        changed.wait(0.005)


def test_many_small_calls_travel_in_few_jobs(tmp_path: Path) -> None:
    def program(client: Client) -> int:
        with MeshExecutor(client) as executor:
            with executor._changed:  # nothing is sent while it is called
                values = executor.map(abs, range(-30, 0))
            assert sum(values) == sum(range(31))
        return client.jobs()[0].id

    assert with_client(tmp_path, program) == 1


def test_another_python_is_refused_where_it_is_seen_first() -> None:
    data = called.packed([called.Call(b"f", b"a")], [])
    assert called.unpacked(data, 0) == (called.Call(b"f", b"a"), [])
    other = data.replace(b"[%d, %d]" % sys.version_info[:2], b"[3, 1]", 1)
    with pytest.raises(called.OtherPython, match=r"Python 3\.1,"):
        called.unpacked(other, 0)


def test_machines_with_another_python_are_left_out_at_submit(tmp_path: Path) -> None:
    from odyssey.api import requests as r

    async def walk(counter: FakeCounter, client: Any) -> None:
        facts = Facts(Resources(4000, 8 << 30), labels=(("python", "3.9.2"),))
        counter.do(AdmitNode(NodeId("old".ljust(26, "0")), "old", ANNA, facts))
        await blocking(lambda: client.call(r.Submit(bytes(16), (a_spec(),), "3.11")))
        assert counter.mesh.job(1).spec.want.avoid == ("old",)
        with pytest.raises(errors.InvalidSpec, match=r"old has Python 3\.9\.2"):
            await blocking(lambda: client.call(r.Submit(bytes(15) + b"1", (a_spec(on=("old",)),), "3.11")))

    walked(tmp_path, walk)


# -- results on their way ----------------------------------------------------------------------------------------------


def test_a_result_that_is_not_whole_is_none() -> None:
    whole = called.result(called.RETURNED, b"data")
    assert called.opened(whole) == (called.RETURNED, b"data")
    assert [called.opened(whole[:size]) for size in range(len(whole))] == [None] * len(whole)
    assert called.opened(whole + b"x") is None


def test_importing_the_package_loads_nothing_of_it() -> None:
    import subprocess

    text = "import sys, odyssey; print([name for name in sys.modules if name.startswith(('odyssey.', 'msgspec'))])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

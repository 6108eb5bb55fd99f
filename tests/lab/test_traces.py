"""Nothing of a lab is left, however it ended; and what an earlier one left is swept by its mark alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.lab import MOST_HOSTS
from tests.lab.traces import left, sweep
from tests.system.place import ROOT, wait_for

pytestmark = pytest.mark.lab


def words_of(process: str) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def of(folder: Path) -> list[bytes]:
    """Processes that have to do with this lab: what they were started with names its folder."""
    found = [words_of(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [words for words in found if os.fsencode(folder) in words]


def in_network(name: str) -> list[str]:
    def network(process: str) -> str:
        try:
            return os.readlink(f"/proc/{process}/ns/net")
        except OSError:  # also a zombie: it has none any more
            return ""

    return [entry for entry in os.listdir("/proc") if entry.isdigit() and network(entry) == name]


def groups(name: str) -> Iterator[Path]:
    for path, folders, _ in os.walk("/sys/fs/cgroup"):
        yield from (Path(path) / folder for folder in folders if folder == name)


class Broken:
    def __init__(self, how: str) -> None:
        words = [sys.executable, "-P", "-m", "tests.lab.breaking", how]
        self.process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        folder, self.network = self.process.stdout.readline().split()
        self.folder = Path(folder)

    def ends(self) -> str:
        return self.process.communicate(timeout=60)[1]

    def is_killed(self) -> None:
        """Without a word; what stands still outside of the lab holds the pipes until it is swept."""
        self.process.wait(timeout=60)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.mark.parametrize("how", ["raise", "interrupt"])
def test_after_a_failure_in_the_middle_nothing_is_left(how: str) -> None:
    broken = Broken(how)
    if how == "interrupt":
        broken.process.send_signal(signal.SIGINT)
    assert ("in the middle" if how == "raise" else "KeyboardInterrupt") in broken.ends()
    assert not broken.folder.exists()
    assert [*of(broken.folder), *in_network(broken.network), *groups(broken.folder.name)] == []


@pytest.mark.parametrize("how", ["kill", "frozen"])
def test_a_maker_that_is_killed_takes_all_processes_along_and_the_next_lab_sweeps_the_rest(how: str) -> None:
    broken = Broken(how)
    broken.is_killed()
    wait_for(lambda: not in_network(broken.network))
    assert broken.folder in left()
    with Lab(1) as lab:
        assert lab[0].run("hostname").out == "h1\n"
        assert not broken.folder.exists()
        wait_for(lambda: not of(broken.folder))
        assert list(groups(broken.folder.name)) == []


def test_a_lab_whose_maker_lives_is_left_alone() -> None:
    with Lab(1) as one, Lab(1) as other:
        assert sweep() == []
        assert one[0].run("cat", "/etc/machine-id").out != other[0].run("cat", "/etc/machine-id").out


def test_what_does_not_carry_the_mark_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "odyssey-something").mkdir()
    (tmp_path / "odyssey-lab-file").write_text("")
    assert sweep(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 2


def test_a_lab_that_cannot_begin_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = left()
    monkeypatch.setattr("tests.lab.wires.port", lambda number, process: "link add nonsense")
    with pytest.raises(AssertionError, match="nonsense"), Lab(2):
        pass
    assert left() == before


def test_people_get_a_shell_and_when_they_leave_it_all_goes() -> None:
    words = [sys.executable, "-P", "-m", "tests.lab", "2"]
    typed = subprocess.run(
        words,
        input="hostname; ip address | grep -c 10.77.0.1; odyssey --version\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert typed.stdout.split("\n\n", 1)[1].splitlines()[:2] == ["h1", "1"]
    folder = Path(typed.stdout.split("/enter")[0].split()[-1]).parent
    assert folder.name.startswith("odyssey-lab-")
    assert not folder.exists()
    assert of(folder) == []


def test_a_lab_has_as_many_hosts_as_fit_into_a_subnet() -> None:
    with pytest.raises(ValueError, match="200"):
        Lab(MOST_HOSTS + 1)

"""The hands on machines of all kinds: what is promised holds wherever it can, and what cannot be had is said.

Never: asks for a machine that is not there. Each kind is made from this one, by taking something away.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from odyssey.daemon.doctor import checks
from odyssey.exec.supervisor import alone, cgroups, frames, oldgroups, tree
from odyssey.model import Outcome
from tests.exec.rig import Rig, a_spec, is_there, running, shell

NOBODY = 65534


def as_it_is() -> None:
    """With all that this user may do here."""


def as_nobody() -> None:
    """As an ordinary user, who may have user namespaces."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # its /proc is its own, as it would be of a program that it had started


def bare() -> None:
    """As an ordinary user of a system without namespaces and control groups."""
    as_nobody()
    alone._works.__code__ = (lambda way: False).__code__
    cgroups._paths.__code__ = (lambda mounts, mine: {}).__code__


# Two processes that are too large together; 3: both had what they wanted.
TOGETHER = """
import os, signal
signal.signal(signal.SIGCHLD, lambda *_: os._exit(1))
read, write = os.pipe()
for _ in range(2):
    if not os.fork():
        mine = b"x" * (150 << 20)
        os.write(write, b".")
        signal.pause()
while os.read(read, 1) and os.read(read, 1):
    os._exit(3)
"""

KINDS = [as_it_is, as_nobody, bare]


@pytest.fixture
def home() -> Iterator[Path]:
    """Where everybody may go."""
    path = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="odyssey-test-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def rig(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.chdir(home)  # where the tests are, nobody else may be
    before = os.umask(0)
    rig = Rig(home)
    prepare: Callable[[], None] = request.param
    try:
        yield rig.start_supervisor(prepare)
    finally:
        os.umask(before)
        rig.close()


def test_it_says_what_it_can_do(rig: Rig, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["rig"]
    assert rig.hands.abilities.keys() == {"namespaces", "terminals", "memory", "pids", "cpu", "freeze"}
    assert rig.hands.abilities["namespaces"] in (("no",) if kind is bare else ("yes", "user", "no"))
    assert set(rig.hands.abilities.values()) <= {"yes", "user", "no", "none", "pty", "cgroup1", "cgroup2"}


def test_the_end_and_the_output_are_told(rig: Rig) -> None:
    attempt = rig.start(shell("echo a; id -u; exit 3"))
    assert rig.wait(attempt).code == 3
    assert rig.out(attempt).startswith(b"a\n")


def test_a_terminal_is_had_and_ends_with_all_that_is_left_in_it(rig: Rig) -> None:
    mark = f"{os.getpid()}5.25"
    script = f"setsid sleep {mark} & echo there >/dev/tty; test -t 0 && exit 3"
    attempt = rig.start(shell(script, terminal=(24, 80)))
    report = rig.wait(attempt)
    assert (report.code, report.leaked, rig.out(attempt)) == (3, False, b"there\r\n")
    assert running(mark) == []


def test_killed_it_leaves_nothing(rig: Rig) -> None:
    mark = f"{os.getpid()}3.25"
    attempt = rig.start(shell(f"trap '' TERM; setsid sleep {mark} & (sleep {mark} &) ; sleep {mark}"))
    rig.until(lambda: len(running(mark)) == 3)
    rig.hands.kill(attempt)
    report = rig.wait(attempt)
    assert (report.outcome, report.leaked) == (Outcome.EVICTED, False)
    assert running(mark) == []


def test_what_is_left_behind_ends_with_it(rig: Rig) -> None:
    mark = f"{os.getpid()}4.25"
    attempt = rig.start(shell(f"setsid sleep {mark} > /dev/null & (setsid setsid sleep {mark} &); exit 3"))
    report = rig.wait(attempt)
    assert (report.code, report.leaked) == (3, False)
    assert running(mark) == []


def test_what_it_keeps_is_there_and_what_it_leaves_closed_goes(rig: Rig) -> None:
    script = "mkdir -p $TMPDIR/a/b; touch $TMPDIR/a/b/f $ODYSSEY_OUT/kept; chmod 0 $TMPDIR/a/b $TMPDIR/a $TMPDIR"
    attempt = rig.start(shell(script))
    assert rig.wait(attempt).code == 0
    rig.until(lambda: [path.name for path in rig.places.files.rglob("*") if path.is_file()] == ["kept"])
    rig.until(lambda: not list(rig.places.files.glob("trash/*")))
    second = rig.start(shell("ls -A $TMPDIR $ODYSSEY_OUT | grep -v : ; touch $TMPDIR/x && exit 3"))
    assert (rig.wait(second).code, rig.out(second).strip()) == (3, b"")


def test_frozen_it_stands_still_and_can_be_killed_then(rig: Rig, tmp_path: Path) -> None:
    mark = f"{os.getpid()}5.25"
    attempt = rig.start(shell(f"setsid sh -c 'while echo; do sleep 0.01; done' {mark} & sleep 60"))
    rig.until(lambda: rig.out(attempt))
    rig.hands.freeze(attempt)
    rig.until(lambda: rig.hands.here()[attempt].frozen_at_ms is not None)

    def stands_still() -> bool:
        before = rig.out(attempt)
        rig.run(shell("sleep 0.1"))
        return rig.out(attempt) == before

    rig.until(stands_still)  # what was on its way comes first
    rig.hands.kill(attempt)
    assert rig.wait(attempt).outcome is Outcome.EVICTED
    assert running(mark) == []


def test_thawed_it_goes_on(rig: Rig) -> None:
    attempt = rig.start(shell("while echo; do sleep 0.01; done"))
    rig.until(lambda: rig.out(attempt))
    rig.hands.freeze(attempt)
    rig.until(lambda: rig.hands.here()[attempt].frozen_at_ms is not None)
    rig.hands.thaw(attempt)
    before = len(rig.out(attempt))
    rig.until(lambda: len(rig.out(attempt)) > before + 1)
    rig.hands.stop(attempt)
    assert rig.wait(attempt).outcome is Outcome.CANCELLED


def test_what_has_stopped_itself_hears_that_it_is_to_end(rig: Rig) -> None:
    attempt = rig.start(shell("echo a; kill -STOP $$; echo never"))
    rig.until(lambda: rig.out(attempt))
    rig.hands.stop(attempt)
    assert rig.wait(attempt).outcome is Outcome.CANCELLED


def test_the_supervisor_dies_and_nothing_survives_it(rig: Rig) -> None:
    mark = f"{os.getpid()}6.25"
    attempt = rig.start(shell(f"trap '' TERM; setsid sleep {mark} & sleep {mark}"))
    rig.until(lambda: len(running(mark)) == 2)
    dead = rig.hands.pid
    assert dead is not None
    os.kill(dead, signal.SIGKILL)
    rig.until(lambda: running(mark) == [], 1)
    assert rig.wait(attempt).outcome is Outcome.LOST


def test_so_it_is_with_what_stands_still(rig: Rig) -> None:
    mark = f"{os.getpid()}15.25"
    attempt = rig.start(shell(f"setsid sleep {mark} & sleep {mark}"))
    rig.until(lambda: len(running(mark)) == 2)
    rig.hands.freeze(attempt)
    rig.until(lambda: rig.hands.here()[attempt].frozen_at_ms is not None)
    assert rig.hands.pid is not None
    os.kill(rig.hands.pid, signal.SIGKILL)
    rig.until(lambda: running(mark) == [], 1)
    report = rig.wait(attempt)
    assert (report.outcome, report.leaked) == (Outcome.LOST, False)


def test_what_a_killed_runner_has_left_is_proven_only_where_it_was_alone(rig: Rig) -> None:
    mark = f"{os.getpid()}17.25"
    attempt = rig.start(shell(f"setsid sleep {mark} & sleep {mark}"))
    rig.until(lambda: len(running(mark)) == 2)
    supervisor = rig.hands.pid
    assert supervisor is not None
    is_alone = rig.hands.abilities["namespaces"] != "no"
    (runner,) = [one for one, parent in tree.parents().items() if parent == supervisor]
    try:
        os.kill(supervisor, signal.SIGSTOP)  # so that it sees nothing of this
        os.kill(runner, signal.SIGKILL)
        os.kill(supervisor, signal.SIGKILL)
        report = rig.wait(attempt)
        assert (report.outcome, report.leaked) == (Outcome.LOST, not is_alone)
        assert not is_alone or running(mark) == []
    finally:
        for one in running(mark):
            os.kill(one, signal.SIGKILL)


def test_one_of_another_version_is_ended_and_another_takes_its_place(home: Path) -> None:
    def be_old() -> None:
        frames.VERSION -= 1  # type: ignore[misc]
        (home / "old").write_text(str(os.getpid()))

    rig = Rig(home / "rig").start_supervisor(be_old)
    try:
        old = int((home / "old").read_text())
        assert rig.hands.pid != old
        assert rig.run(shell("exit 3")).code == 3
        rig.until(lambda: not is_there(old))
    finally:
        rig.close()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_doctor_says_of_limits_is_true(
    kind: Callable[[], None], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setattr(cgroups, "MOST_PROCESSES", 60)  # the supervisor is forked from here
    before = os.umask(0)
    rig = Rig(home)
    try:
        rig.start_supervisor(kind)
        said = {one.name: one for one in checks(rig.hands.abilities, "", True, rig.hands.pid, ())}
        forks = "import os, signal\nfor _ in range(100):\n  if not os.fork(): signal.pause()"
        stopped = rig.run(a_spec("python3", "-S", "-E", "-c", forks)).code == 1
        assert said["processes"].is_fine is stopped
        both = rig.run(a_spec("python3", "-S", "-E", "-c", TOGETHER, memory=256 << 20, memory_is_limit=True))
        assert said["memory"].is_fine is (both.outcome is Outcome.OOM)
        assert (both.code == 3) is not said["memory"].is_fine
        assert said["ends"].is_fine is (rig.hands.abilities["namespaces"] != "no")
    finally:
        os.umask(before)
        rig.close()


def test_memory_is_limited(rig: Rig) -> None:
    """Where a group does it, it is killed, and told as what it was; else it is refused more."""
    eater = "b = bytearray()\nwhile True: b += bytes(8 << 20)"
    report = rig.run(a_spec("python3", "-S", "-E", "-c", eater, memory=512 << 20, memory_is_limit=True))
    if rig.hands.abilities["memory"] == "none":
        assert (report.outcome, report.code) == (Outcome.EXITED, 1)
    else:
        assert report.outcome is Outcome.OOM
    modest = a_spec("python3", "-S", "-E", "-c", "print(1)", memory=512 << 20, memory_is_limit=True)
    assert rig.run(modest).code == 0


def group_of_all(rig: Rig, *names: str) -> Path | None:
    """The control group that all slots are in, where it has one of these files."""
    for path in map(Path, oldgroups.noted(str(rig.places.own))):
        for name in names:
            if (path / name).exists():
                return path / name
    return None


def test_who_is_killed_for_want_of_memory_is_told_as_that_though_nobody_set_a_limit(rig: Rig) -> None:
    rig.run(shell("true"))
    limit = group_of_all(rig, "memory.max", "memory.limit_in_bytes")
    if rig.hands.abilities["memory"] == "none" or limit is None:
        pytest.skip("this machine does not say who was killed for want of memory")
    limit.write_text(str(300 << 20))  # as if the machine had no more
    eater = "python3 -S -E -c 'b = bytearray()\nwhile True: b += bytes(8 << 20)'"
    assert rig.run(shell(f"exec {eater}")).outcome is Outcome.OOM
    assert rig.run(shell(f"{eater}; exit 3")).outcome is Outcome.OOM
    survived = rig.run(shell(f"{eater}; exit 0"))
    assert (survived.outcome, survived.code) == (Outcome.EXITED, 0)
    after = rig.run(shell("exit 3"))
    assert (after.outcome, after.code) == (Outcome.EXITED, 3)


def test_what_is_only_reserved_is_no_limit(rig: Rig) -> None:
    assert rig.run(a_spec("python3", "-S", "-E", "-c", "len(bytes(700 << 20))", memory=512 << 20)).code == 0


def test_it_has_the_lowest_priority(rig: Rig) -> None:
    attempt = rig.start(a_spec("cat", "/proc/self/stat"))
    rig.wait(attempt)
    fields = rig.out(attempt).rpartition(b")")[2].split()
    assert (fields[16], fields[38]) == (b"19", b"5")  # nice; SCHED_IDLE

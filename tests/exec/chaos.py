"""A daemon that is killed again and again while attempts come and go.

    python -m tests.exec.chaos ATTEMPTS KILLS SEED     a storm, in a new folder below TMPDIR
    python -m tests.exec.chaos client HOME ATTEMPTS    the daemon that is killed

Promises: prints nothing if every attempt ran exactly once, was told with its own exit status and has all its output;
else what is wrong, and ends with 1.
Never: leaves the supervisor behind, if it is not killed itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from odyssey.ids import AttemptId
from odyssey.spec import JobSpec
from tests.exec.rig import ROOT, Rig, listed, shell

AT_ONCE = 2
AHEAD = 40
LONGEST_LIFE_S = 0.4
DEADLINE_S = 400


def spec(home: Path, number: int) -> JobSpec:
    return shell(f"echo {number} >> {home}/ran; echo out {number}; echo err {number} >&2; exit {number % 7}")


def client(home: Path, attempts: int) -> None:
    """Knows what it was told only from a file, as a daemon does from the log."""
    rig = Rig(home).open()
    done = {int(line.split()[0]) for line in _lines(home / "told")}
    print("up", flush=True)
    with (home / "told").open("a") as told:
        while len(done) < attempts:
            for attempt, report in rig.hands.reports().items():
                number = int(report.task) >> 20
                told.write(f"{number} {report.outcome.name} {report.code}\n")
                told.flush()
                done.add(number)
                rig.hands.forget(attempt)
            here = rig.hands.here()
            free = [number for number in range(1, attempts + 1) if number not in done]
            for number in free[: AT_ONCE + AHEAD]:
                one = listed(number)
                running = sum(held.started and not held.ended for held in rig.hands.here().values())
                if one.attempt not in here:
                    (rig.hands.start if running < AT_ONCE else rig.hands.follow)(one, spec(home, number))
            if here and not any(held.started and not held.ended for held in here.values()):
                for attempt, held in here.items():
                    if not held.ended:
                        number = int(held.task) >> 20
                        rig.hands.start(listed(number), spec(home, number))
                        assert attempt == listed(number).attempt
            rig.until(lambda: rig.hands.reports() or len(done) == attempts or not rig.hands.here(), 60)


def storm(home: Path, attempts: int, kills: int, seed: int) -> list[str]:
    drawn, deadline = Random(seed), time.monotonic() + DEADLINE_S
    words = [sys.executable, "-m", "tests.exec.chaos", "client", str(home), str(attempts)]
    killed = 0
    code = None
    while code is None and time.monotonic() < deadline:
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as daemon:
            assert daemon.stdout is not None
            daemon.stdout.readline()
            if killed < kills:
                time.sleep(drawn.random() * LONGEST_LIFE_S)
                daemon.kill()
                killed += 1
            else:
                code = daemon.wait()
    return [*([] if code == 0 else [f"the last daemon ended with {code}"]), *_judged(home, attempts)]


def _judged(home: Path, attempts: int) -> list[str]:
    rig = Rig(home).open()
    wrong = []
    try:
        ran = Counter(map(int, _lines(home / "ran")))
        told = set(_lines(home / "told"))
        for number in range(1, attempts + 1):
            if ran[number] != 1:
                wrong.append(f"{number} ran {ran[number]} times")
            if [line for line in told if line.startswith(f"{number} ")] != [f"{number} EXITED {number % 7}"]:
                wrong.append(f"{number} was told as {[line for line in told if line.startswith(f'{number} ')]}")
            attempt: AttemptId = listed(number).attempt
            if (rig.out(attempt), rig.err(attempt)) != (b"out %d\n" % number, b"err %d\n" % number):
                wrong.append(f"{number} has not its output: {rig.out(attempt)!r} {rig.err(attempt)!r}")
    finally:
        rig.close()
    return [*wrong[:20], rig.said()] if wrong else []


def _lines(path: Path) -> list[str]:
    """Whole ones."""
    return path.read_text().splitlines(keepends=False) if path.exists() else []


def main(words: list[str]) -> int:
    if words[0] == "client":
        client(Path(words[1]), int(words[2]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        wrong = storm(Path(folder), *map(int, words))
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)

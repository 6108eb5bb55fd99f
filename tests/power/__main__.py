"""Cuts the power of a real daemon at many moments, and starts it again on what a disk may have kept.

    python -m tests.power                       a few runs from seeds that are new each time
    python -m tests.power --seeds 3 --from 7    three runs from seed 7 on
    python -m tests.power --fixed 1 --fresh 1   for CI: one that is always the same, one that is new
    python -m tests.power --images 40           so many power cuts of each run

A seed draws what people ask for, when the power goes, and what the disk has kept. What the machine does in between is
not drawn: the same seed makes a run like it, not the same one. So a run that fails is kept, and `--again FOLDER` tries
its record on the same moments.

Promises: ends with 1 if anything acknowledged was lost, 0 if nothing was; says so loudly when it cannot try.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from random import Random, SystemRandom
from typing import Final, NamedTuple

from tests.power.account import Account
from tests.power.check import check, rebooted
from tests.power.disk import Image, Loss
from tests.power.record import Record, is_possible, record

ACTS: Final = 24
IMAGES: Final = 24
AT_ONCE: Final = 16
RUNS_AT_ONCE: Final = 2
DELICATE: Final = ("rename", "unlink", "mkdir", "fsync")


class Cut(NamedTuple):
    """A power cut."""

    name: str
    image: Image
    account: Account


def moments(record: Record, images: int, chance: Random) -> dict[int, list[Loss]]:
    """When, and what of the disk is left. Half of them just after somebody was told something, a quarter where names
    change: at a start, a snapshot, a segment of history."""
    told, names, count = list[int](), list[int](), 0
    for count, step in enumerate(record.steps(), 1):
        if record.is_told(step) and b'"told"' in step.call.data:
            told.append(count)
        elif step.call.name in DELICATE and record.is_of_world(step):
            names.append(count)
    found: dict[int, list[Loss]] = {}
    for number in range(images):
        some = (told, names, told, range(1, count + 1))[number % 4]
        found.setdefault(chance.choice(some or range(1, count + 1)), []).append(chance.choice((Loss.ALL_LOST, *Loss)))
    return found


def cuts(record: Record, before: Account, images: int, chance: Random) -> Iterator[Cut]:
    """In one way through the record. `before` is what was told on the days before it."""
    when, disk, lines = moments(record, images, chance), record.disk(), list[bytes]()
    for number, step in enumerate(record.steps(), 1):
        if record.is_of_world(step):
            disk.take(step)
        elif record.is_told(step):
            lines.append(step.call.data)
        for loss in when.get(number, ()):
            yield Cut(f"at {number}, {loss.value}", disk.crash(loss, chance), accounted(before, lines))


def accounted(before: Account, lines: Sequence[bytes]) -> Account:
    account = deepcopy(before)
    for line in lines:
        account.take(line)
    account.interrupted()
    return account


# -- one run -----------------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """Two days of one machine: the second begins with what the first left on the disk when its power went."""

    seed: int
    images: int
    folder: Path

    def tried(self) -> Iterator[tuple[Cut, list[str]]]:
        """Each power cut of it, with what was lost."""
        chance = Random(self.seed)
        first = record(self.folder / "first", {}, "boot-1", self.seed, ACTS)
        yield from _all_checked(self.folder, list(cuts(first, Account(), self.images, chance)))
        *_, last = cuts(first, Account(), 3, chance)
        second = record(self.folder / "second", rebooted(last.image), "boot-2", self.seed + 1, ACTS // 2)
        yield from _all_checked(self.folder, list(cuts(second, last.account, self.images // 2, chance)))


def _all_checked(folder: Path, some: Sequence[Cut]) -> Iterator[tuple[Cut, list[str]]]:
    """Many at once: most of the time each waits until what ran on another boot is known to be over."""
    with ProcessPoolExecutor(AT_ONCE) as pool:
        asked = [
            pool.submit(check, folder / f"image{number}", one.image, one.account, "boot-3")
            for number, one in enumerate(some)
        ]
        for one, answer in zip(some, asked, strict=True):
            yield one, answer.result()


def run(seed: int, images: int, keep: Path) -> bool:
    """True: nothing was lost."""
    folder = Path(tempfile.mkdtemp(prefix="odyssey-power-", dir="/var/tmp"))
    begin, count, lost = time.monotonic(), 0, 0
    try:
        for cut, complaints in Run(seed, images, folder).tried():
            count += 1
            lost += bool(complaints)
            for complaint in complaints:
                print(f"seed {seed}, {cut.name}: {complaint}", flush=True)
        if lost:
            shutil.copytree(folder, keep / f"seed-{seed}", dirs_exist_ok=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    what = f"{lost} lost something; the records are in {keep}" if lost else "nothing was lost"
    print(f"seed {seed}: {count} power cuts in {time.monotonic() - begin:.0f} s: {what}", flush=True)
    return not lost


def again(folder: Path, images: int, seed: int) -> bool:
    """The record of a day that began with an empty disk, once more."""
    world = folder / "first" / "world"
    found = Record(world, {}, world.with_name("marks"), world.with_name("calls"))
    with tempfile.TemporaryDirectory(prefix="odyssey-power-", dir="/var/tmp") as name:
        lost = 0
        for cut, complaints in _all_checked(Path(name), list(cuts(found, Account(), images, Random(seed)))):
            lost += bool(complaints)
            print(cut.name, *complaints, sep="\n    ", flush=True)
    return not lost


def alone(seed: int, options: argparse.Namespace) -> int:
    """One run, in a process of its own."""
    words = ["--seeds", "1", "--from", str(seed), "--images", str(options.images), "--keep", str(options.keep)]
    return subprocess.run([sys.executable, "-m", "tests.power", *words], check=False).returncode


# -- the door ----------------------------------------------------------------------------------------------------------


def asked(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.power")
    parser.add_argument("--seeds", type=int, default=2, help="so many runs")
    parser.add_argument("--from", dest="first", type=int, help="the first seed; else one that nobody had")
    parser.add_argument("--fixed", type=int, default=0, help="so many runs that are the same each time")
    parser.add_argument("--fresh", type=int, default=0, help="so many that are new")
    parser.add_argument("--images", type=int, default=IMAGES, help="power cuts of the first day of a run")
    parser.add_argument(
        "--keep", type=Path, default=Path("/var/tmp/odyssey-power"), help="where records go that matter"
    )
    parser.add_argument("--again", type=Path, help="a run that was kept: its first day")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    options = asked(words)
    if why := is_possible():
        print(f"POWER CUTS WERE NOT TRIED: {why}", file=sys.stderr)
        print(
            "hint: install strace (apt-get install strace), and run this where a process may be traced", file=sys.stderr
        )
        return 0
    fresh = SystemRandom().randrange(1 << 20, 1 << 30)
    if options.again:
        return 0 if again(options.again, options.images, options.first or 0) else 1
    if options.fixed or options.fresh:
        seeds = [*range(1, options.fixed + 1), *range(fresh, fresh + options.fresh)]
    else:
        first = fresh if options.first is None else options.first
        seeds = list(range(first, first + options.seeds))
    if len(seeds) == 1:
        return 0 if run(seeds[0], options.images, options.keep) else 1
    with ThreadPoolExecutor(RUNS_AT_ONCE) as pool:
        return max(pool.map(lambda seed: alone(seed, options), seeds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

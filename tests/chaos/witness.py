"""What tasks themselves tell of having run: lines in files that all hosts share, and the judgement of them.

A task writes when it begins, again and again while it runs, and when it ends, each time with the clock that all hosts
have in common. Whoever stands still writes nothing, so a later try may begin in such a gap, but not between two lines.

Promises: says of any two tries whether both were seen at work at one time, without asking Odyssey.
Never: is run by a shell that somebody else's clock reaches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

BEAT_S: Final = 0.2
# A line a beat, for so many beats; then its answer. The file is of the job, and lines are short: they never mix.
TASK: Final = """
say() { echo "$ODYSSEY_INDEX $ODYSSEY_ATTEMPT $ODYSSEY_NODE $1 $(date +%s%N)" >> "$0"; }
say begin
n=0; while [ $n -lt "$1" ]; do n=$((n + 1)); sleep 0.2; say beat; done
say end
echo "out $ODYSSEY_INDEX"
"""


class Sign(NamedTuple):
    task: int
    attempt: int
    machine: str
    word: str
    at_ns: int


class Stood(NamedTuple):
    """A machine stood still, and what ran there may have gone on for a moment when it was let go."""

    machine: str
    until_ns: int


AFTER_STANDING_NS: Final = 1_500_000_000


def argv(folder: Path, name: str, beats: int) -> tuple[bytes, ...]:
    return tuple(word.encode() for word in ("sh", "-c", TASK, str(folder / name), str(beats)))


def signs(path: Path) -> list[Sign]:
    """A line that was torn by a power cut is not one."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        words = line.split()
        if len(words) == 5 and words[3] in ("begin", "beat", "end"):
            found.append(Sign(int(words[0]), int(words[1]), words[2], words[3], int(words[4])))
    return found


def together(those: Iterable[Sign], stood: Sequence[Stood] = ()) -> Iterator[str]:
    """Tries of one task that were at work at one time."""
    by_task = defaultdict[int, list[Sign]](list)
    for sign in those:
        if not _had_stood(sign, stood):
            by_task[sign.task].append(sign)
    for task, said in by_task.items():
        spans = _spans(said)
        tries = sorted(spans, key=lambda one: spans[one][0])
        for first, second in pairwise(tries):
            both = (spans[first][1] - spans[second][0]) / 1e9
            if both > 0:
                yield f"task {task}: tries {first} and {second} were both at work for {both:.1f} s"


def ran_again(those: Iterable[Sign]) -> Iterator[str]:
    """A try that began twice."""
    seen = set[int]()
    for sign in those:
        if sign.word == "begin":
            if sign.attempt in seen:
                yield f"task {sign.task}: try {sign.attempt} began twice"
            seen.add(sign.attempt)


def _spans(said: Iterable[Sign]) -> Mapping[int, tuple[int, int]]:
    spans: dict[int, tuple[int, int]] = {}
    for sign in said:
        first, last = spans.get(sign.attempt, (sign.at_ns, sign.at_ns))
        spans[sign.attempt] = min(first, sign.at_ns), max(last, sign.at_ns)
    return spans


def _had_stood(sign: Sign, stood: Sequence[Stood]) -> bool:
    return any(
        sign.machine == one.machine and one.until_ns <= sign.at_ns <= one.until_ns + AFTER_STANDING_NS for one in stood
    )

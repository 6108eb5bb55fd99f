"""Many machines in one mesh for a while: `make lab-scale N=50 MINUTES=10`, or `python -m tests.lab.scale 50 10`.

Every minute a line: is every machine up for every other, what does that cost, how old does a beat get. All of it is on
one machine, so what a network could carry is not asked; who talks to whom is: what a member says must not grow with N.

Promises: ends by itself, with 0 only when each time all were up for all and no daemon was another one than before;
leaves nothing behind.
Never: hides what it costs to look: that is part of what is shown.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final, NamedTuple

from tests.lab.able import why_not
from tests.lab.lab import MOST_HOSTS, Lab
from tests.lab.together import Machine, Together, cpu_seconds, pss_bytes

AT_ONCE: Final = 8  # join at a time
JOIN_S: Final = 120.0
WHOLE_S: Final = 60.0
LOOK_S: Final = 2.0
MINUTE_S: Final = 60.0
MB: Final = 1_000_000


class Sums(NamedTuple):
    """Of one machine since it began."""

    cpu_s: float
    sent: int
    received: int


class Cost(NamedTuple):
    """Of one machine over some time."""

    percent: float  # of a core
    sent: float  # bytes a second
    received: float
    pss: int


def sums(machine: Machine) -> Sums:
    received, sent = machine.traffic()
    return Sums(cpu_seconds(machine.processes()), sent, received)


def cost(machine: Machine, before: Sums, seconds: float) -> Cost:
    now = sums(machine)
    rates = [(new - old) / seconds for new, old in zip(now, before, strict=True)]
    return Cost(100 * rates[0], rates[1], rates[2], pss_bytes(machine.processes()))


class Watch:
    """A mesh that is whole, minute by minute."""

    def __init__(self, mesh: Together) -> None:
        self._mesh = mesh
        self._daemons = [one.daemons() for one in mesh]
        self.wrong = list[str]()

    def minute(self, number: int) -> str:
        before, began, oldest = [sums(one) for one in self._mesh], time.monotonic(), 0.0
        while (passed := time.monotonic() - began) < MINUTE_S:
            time.sleep(min(LOOK_S, MINUTE_S - passed))
            ages = [one.last_seen_seconds or 0.0 for one in self._mesh[0].nodes()]
            oldest = max([oldest, *ages])
        costs = [cost(one, sums, passed) for one, sums in zip(self._mesh, before, strict=True)]
        found = self._wrong()
        self.wrong += [f"minute {number}: {one}" for one in found]
        return line(number, costs, oldest, found)

    def _wrong(self) -> list[str]:
        found = []
        wanted = {one.host.name: "up" for one in self._mesh}
        for one, daemons in zip(self._mesh, self._daemons, strict=True):
            shown = one.states()
            if missing := sorted(name for name in wanted if shown.get(name) != "up"):
                found.append(f"{one.host.name} does not show {', '.join(missing)} up")
            if (now := one.daemons()) != daemons:
                found.append(f"{one.host.name} has another daemon: {daemons} before, {now} now")
        return found


def line(number: int, costs: Sequence[Cost], oldest: float, wrong: Sequence[str]) -> str:
    first, rest = costs[0], costs[1:] or costs
    cells = (
        f"{number:6}",
        f"{first.percent:6.2f}",
        f"{median(one.percent for one in rest):6.2f}",
        f"{max(one.percent for one in rest):6.2f}",
        f"{sum(one.percent for one in costs):7.1f}",
        f"{max(one.pss for one in costs) / MB:7.1f}",
        f"{sum(one.pss for one in costs) / MB:8.0f}",
        f"{first.sent + first.received:9.0f}",
        f"{median(one.sent + one.received for one in rest):7.0f}",
        f"{max(one.sent + one.received for one in rest):7.0f}",
        f"{oldest:6.2f}",
        "all up" if not wrong else "; ".join(wrong),
    )
    return "  ".join(cells)


HEAD: Final = """\
        % of a core                       MB memory          bytes a second              oldest
minute   first  member     max      all      max       all      first   member      max   beat"""


def come_together(mesh: Together) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    mesh[0].open()
    text = mesh[0].invite(max(1, len(mesh) - 1))
    for some in groups(mesh.machines[1:]):
        for joining in [one.start_joining(text) for one in some]:
            if joining.wait(JOIN_S):
                raise AssertionError(f"a join failed: {joining.stdout.read() if joining.stdout else ''}")
    deadline = time.monotonic() + WHOLE_S
    while not mesh.is_whole(mesh):
        if time.monotonic() > deadline:
            raise AssertionError(f"the mesh is not whole after {WHOLE_S:.0f} s: {mesh[0].states()}")
        time.sleep(LOOK_S)
    return time.monotonic() - began


def groups(machines: Sequence[Machine]) -> Iterable[Sequence[Machine]]:
    return (machines[at : at + AT_ONCE] for at in range(0, len(machines), AT_ONCE))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.scale", description="Many machines in one mesh.")
    parser.add_argument("hosts", type=int, nargs="?", default=50, help=f"2 to {MOST_HOSTS}")
    parser.add_argument("minutes", type=int, nargs="?", default=10)
    options = parser.parse_args(arguments)
    if not 2 <= options.hosts <= MOST_HOSTS:
        parser.error(f"there can be 2 to {MOST_HOSTS} hosts")
    if (reason := why_not()) is not None:
        print(f"error: no lab on this machine: {reason}", file=sys.stderr)
        return 1
    with Lab(options.hosts) as lab:
        return watched(Together(lab), options.minutes)


def watched(mesh: Together, minutes: int) -> int:
    try:
        print(f"{len(mesh)} machines are one mesh after {come_together(mesh):.1f} s\n{HEAD}", flush=True)
        watch = Watch(mesh)
        for number in range(1, minutes + 1):
            print(watch.minute(number), flush=True)
    finally:
        mesh.close()
    if watch.wrong:
        print(
            f"error: it was not stable: {len(watch.wrong)} complaints, the first is {watch.wrong[0]}", file=sys.stderr
        )
        return 1
    print(f"stable for {minutes} minutes: all up for all, no daemon started again")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

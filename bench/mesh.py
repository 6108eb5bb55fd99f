"""Machines that become one mesh: how soon all see who joins, what it costs to be in one, and what a job on another
machine costs. In hosts in a box, each with its own network and daemon, on the wall clock.

A machine is there when the `nodes` of every machine shows it up; the machines are asked at their doors, again and
again, from the moment in which `odyssey join` was started.

Promises: as users do it: the command, the invite, the daemon that it starts; nothing is warm but the file cache.
Never: says a word about a machine on which there can be no lab, but that it was not measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from bench.daemon import plain
from bench.harness import MS, Check, Effort, Figure, Result, Samples, bench, cost
from odyssey.mesh.trust import invite as invites
from odyssey.resources import M
from tests.lab import Lab
from tests.lab.able import why_not
from tests.lab.together import Machine, Together, cpu_seconds, pss_bytes

JOIN_S, SLOWEST_S, CROWD_S = 1.5, 3.0, 15.0
JOINS, CROWD, IDLE = 20, 20, 10
IDLE_PERCENT, IDLE_MB = 1.0, 90.0
PATIENCE_S: Final = 60.0
LOOK_S: Final = 0.003
SELDOM_S: Final = 0.1  # where much happens at once
RAW: Final = "two Pythons with the imports of command and daemon, and a CURVE handshake"


@contextmanager
def a_mesh(hosts: int) -> Iterator[Together]:
    """Of one machine so far, in a lab of so many."""
    with Lab(hosts) as lab:
        mesh = Together(lab)
        try:
            mesh[0].open()
            yield mesh
        finally:
            mesh.close()


def impossible(name: str) -> Check | None:
    reason = why_not()
    return None if reason is None else Check(name, True, f"NOT MEASURED: no lab on this machine: {reason}")


def until_whole(machines: Sequence[Machine], began: float, look_s: float = LOOK_S) -> float:
    """Seconds from then until each shows all up. One is asked at a time, so that the asking costs little."""
    wanted = {one.host.name: "up" for one in machines}
    for one in machines:
        while (shown := one.states()) != wanted:
            if time.monotonic() - began > PATIENCE_S:
                raise AssertionError(f"{one.host.name} shows {shown}")
            time.sleep(look_s)
    return time.monotonic() - began


# -- joining -----------------------------------------------------------------------------------------------------------


@bench("mesh.join")
def join(effort: Effort) -> Iterator[Result]:
    """One after the other, into a mesh that grows by it."""
    if (no := impossible("mesh.join")) is not None:
        yield no
        return
    joins = effort.repeats(JOINS)
    seen, returned = Samples([], []), list[float]()
    with a_mesh(1 + joins) as mesh:
        for number in range(1, 1 + joins):
            text = mesh[0].invite()
            seen.raw.append(_raw_join(mesh[number], text))
            began = time.monotonic()
            joining = mesh[number].start_joining(text)
            seen.real.append(until_whole(mesh.machines[: number + 1], began))
            assert joining.wait(PATIENCE_S) == 0, joining.stdout and joining.stdout.read()
            returned.append(time.monotonic() - began)
    yield cost("join: from its start until every machine shows it up", "ms", seen, MS, RAW, JOIN_S * MS)
    yield plain("the slowest of them", "ms", [max(seen.real) * MS], SLOWEST_S * MS)
    yield plain("join: from its start until it returns", "ms", [one * MS for one in returned])


def _raw_join(machine: Machine, text: str) -> float:
    invite = invites.read(text)
    host, port = invite.addresses[0]
    began = time.monotonic()
    for part in ("command", "daemon"):
        words = [sys.executable, "-P", "-m", "bench.raw_join", part, invite.curve.hex(), host, str(port)]
        machine.host.run(*words)
    return time.monotonic() - began


@bench("mesh.crowd")
def crowd(effort: Effort) -> Iterator[Result]:
    """All at once, with one invite."""
    if (no := impossible("mesh.crowd")) is not None:
        yield no
        return
    count = effort.repeats(CROWD)
    with a_mesh(1 + count) as mesh:
        text = mesh[0].invite(count)
        began = time.monotonic()
        joining = [one.start_joining(text) for one in mesh.machines[1:]]
        took = until_whole(mesh.machines, began, SELDOM_S)
        failed = [one for one in joining if one.wait(PATIENCE_S)]
    yield plain(f"{count} machines join at once, until all show all up", "ms", [took * MS], CROWD_S * MS)
    yield Check("mesh.crowd", not failed, f"{len(failed)} of {count} joins said that they failed")


# -- being in one ------------------------------------------------------------------------------------------------------


@bench("mesh.idle")
def idle(effort: Effort) -> Iterator[Result]:
    """The machine that coordinates, and the others."""
    if (no := impossible("mesh.idle")) is not None:
        yield no
        return
    span = 10.0 if effort.quick else 60.0
    with a_mesh(IDLE) as mesh:
        text = mesh[0].invite(IDLE - 1)
        for one in mesh.machines[1:]:
            one.join(text)
        until_whole(mesh.machines, time.monotonic())
        time.sleep(span)
        those = [one.processes() for one in mesh]
        cpu, bytes_ = [cpu_seconds(one) for one in those], [sum(one.traffic()) for one in mesh]
        began = time.monotonic()
        time.sleep(span)
        took = time.monotonic() - began
        percents = [100 * (cpu_seconds(one) - before) / took for one, before in zip(those, cpu, strict=True)]
        rates = [(sum(one.traffic()) - before) / took for one, before in zip(mesh, bytes_, strict=True)]
        sizes = [pss_bytes(one) / M for one in those]
    note = f"in a mesh of {IDLE}, {span:.0f} s"
    for who, some in (("the coordinator", slice(0, 1)), ("each other machine", slice(1, None))):
        yield plain(f"idle, {who}: daemon and supervisor", "%", percents[some], IDLE_PERCENT, note)
        yield plain(f"idle, {who}: memory, shared pages counted once", "MB", sizes[some], IDLE_MB)
        yield plain(f"idle, {who}: bytes a second over its cable", "B/s", rates[some])


# -- jobs --------------------------------------------------------------------------------------------------------------


@bench("mesh.run")
def run(effort: Effort) -> Iterator[Result]:
    """`odyssey run -- true`: typed on a member, and on the machine that keeps the log."""
    if (no := impossible("mesh.run")) is not None:
        yield no
        return
    here, there = list[float](), list[float]()
    with a_mesh(2) as mesh:
        mesh[1].join(mesh[0].invite())
        until_whole(mesh.machines, time.monotonic())
        for one in (mesh[0], mesh[1]):
            _run(one)
        for _ in range(effort.repeats(20)):
            here.append(_run(mesh[0]))
            there.append(_run(mesh[1]))
    yield _beside("odyssey run -- true, typed on another machine", there, here, "typed where the log is kept")


def _run(machine: Machine) -> float:
    began = time.monotonic()
    machine.host.run("odyssey", "run", "--", "true")
    return time.monotonic() - began


def _beside(name: str, real: list[float], raw: list[float], raw_is: str) -> Figure:
    return cost(name, "ms", Samples(real, raw), MS, raw_is)

"""Does to a lab what a story says, and takes it back.

Promises: afterwards nothing is wrong any more with any host, whatever was done to it.
Never: touches a process that is not of its lab.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from tests.chaos.story import Trouble
from tests.chaos.witness import Stood
from tests.lab import Host, Lab
from tests.lab.together import Machine

PATIENCE_S: Final = 60


class Acting:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.stood: list[Stood] = []

    def begin(self, what: Trouble) -> None:
        lab, number = self._lab, what.machine
        host = lab[number]
        match what.kind:
            case "power":
                host.kill()
            case "daemon":
                _kill(Machine(host).daemons())
            case "hands":
                _kill(Machine(host).hands())
            case "restart":
                _odyssey(host, "down")
                _odyssey(host, "up")
            case "leave":
                _odyssey(host, "down", "--now")
            case "freeze":
                host.freeze()
            case "cut":
                lab.cut(number)
            case "one way":
                lab.block(what.amount, number)
            case "delay":
                lab.delay(number, what.amount, what.amount // 4)
            case "loss":
                lab.lose(number, what.amount)
            case "clock":
                host.set_clock(wall_s=what.amount)

    def end(self, what: Trouble) -> None:
        lab, number = self._lab, what.machine
        host = lab[number]
        match what.kind:
            case "power":
                lab.boot(number)
                _odyssey(host, "up")
            case "daemon" | "hands" | "leave":
                _odyssey(host, "up")
            case "freeze":
                host.thaw()
                self.stood.append(Stood(host.name, time.time_ns()))
            case "cut":
                lab.heal(number)
            case "one way":
                lab.unblock(what.amount, number)
            case "delay":
                lab.delay(number, 0)
            case "loss":
                lab.lose(number, 0)
            case "clock":
                host.set_clock()

    def mend(self) -> None:
        """All of it."""
        for number, host in enumerate(self._lab):
            if not host.is_on:
                self._lab.boot(number)
        self._lab.heal()
        for host in self._lab:
            host.set_clock()
            _odyssey(host, "up")


def _odyssey(host: Host, *words: str) -> None:
    """It may be refused: the machine is cut off, or something else is wrong with it just now."""
    if host.is_on:
        host.run("odyssey", *words, limit_s=PATIENCE_S, check=False)


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

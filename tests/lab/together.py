"""Hosts of a lab that become one mesh, and what is seen of them from outside: for tests and measurements.

Machines are opened and joined as their users do it. How it is afterwards is asked at each daemon's own door, which is a
file of the host and can be reached from here, so that asking costs no process.

Promises: what is told of a machine is what `odyssey nodes` on it would show.
Never: starts anything in a host but the commands that users type.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from odyssey.api.client import Client
from odyssey.api.requests import A, Nodes, Request, Status
from odyssey.api.views import NodeView, StatusView
from odyssey.errors import OdysseyError
from odyssey.paths import Home, known_door
from tests.lab.host import Host
from tests.lab.lab import Lab

LISTEN: Final = "0.0.0.0:7660"
START_S: Final = 120.0
_NO_PATIENCE: Final = 0.0


class Machine:
    """One host with its daemon."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._client: Client | None = None

    # -- as its user ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Others may join here."""
        self.host.run("odyssey", "up", "--listen", LISTEN, limit_s=START_S)

    def invite(self, uses: int = 1) -> str:
        told = self.host.run("odyssey", "invite", "--uses", str(uses), "--json", limit_s=START_S).out
        return str(json.loads(told)["invite"])

    def join(self, text: str) -> None:
        self.host.run("odyssey", "join", "-", stdin=text, limit_s=START_S)

    def start_joining(self, text: str) -> subprocess.Popen[str]:
        file = self.host.folder / "invite"
        file.write_text(text)
        return self.host.start("sh", "-c", f"exec odyssey join - < {file}", stderr=subprocess.STDOUT)

    # -- from outside --------------------------------------------------------------------------------------------------

    @property
    def home(self) -> Home | None:
        """Once there is one."""
        found = sorted((self.host.folder / "home/.local/state/odyssey").glob("*/"))
        return Home(found[0]) if found else None

    def _door(self) -> str:
        home = self.home
        door = known_door(home, {}) if home is not None else None
        if door is None:
            raise FileNotFoundError
        return f"/proc/{self.host.process}/root{door.socket}"

    def _asked(self) -> Client:
        if self._client is None:
            self._client = Client(self._door, _NO_PATIENCE)
        return self._client

    def nodes(self) -> tuple[NodeView, ...]:
        """As it shows them; nothing while it cannot be asked."""
        with suppress(OSError, OdysseyError):
            return self._asked().call(Nodes()).nodes
        return ()

    def status(self) -> StatusView:
        return self.call(Status())

    def call(self, request: Request[A]) -> A:
        return self._asked().call(request)

    def states(self) -> dict[str, str]:
        return {one.name: one.state for one in self.nodes()}

    def processes(self) -> list[int]:
        """Of this host, as they are numbered outside, without its first one."""
        return [one for one in self.host.processes() if one != self.host.process]

    def daemons(self) -> list[int]:
        return [one for one in self.processes() if b"\0-m\0odyssey.daemon\0" in words_of(one)]

    def hands(self) -> list[int]:
        """The supervisor, without the runners that it has made of itself."""
        found = [one for one in self.processes() if b"/exec/supervisor/__main__.py" in words_of(one)]
        return [one for one in found if parent_of(one) not in found]

    def traffic(self) -> tuple[int, int]:
        """Bytes that its cable has brought and taken."""
        for line in Path(f"/proc/{self.host.process}/net/dev").read_text().splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == "eth0":
                fields = numbers.split()
                return int(fields[0]), int(fields[8])
        raise AssertionError(f"{self.host.name} has no cable")

    def forget_door(self) -> None:
        """Before its daemon goes, or when it has gone."""
        if self._client is not None:
            self._client.close()
            self._client = None


class Together:
    """All hosts of a lab. The first one founds the mesh."""

    def __init__(self, lab: Lab) -> None:
        self.machines = [Machine(host) for host in lab]

    def __getitem__(self, number: int) -> Machine:
        return self.machines[number]

    def __iter__(self) -> Iterator[Machine]:
        return iter(self.machines)

    def __len__(self) -> int:
        return len(self.machines)

    def close(self) -> None:
        for one in self.machines:
            one.forget_door()

    def found(self, others: Iterable[Machine]) -> None:
        """The first machine and these are one mesh; they join one after the other."""
        self[0].open()
        for one in others:
            one.join(self[0].invite())

    def is_whole(self, some: Iterable[Machine]) -> bool:
        """Each of them shows all of them up."""
        machines = list(some)
        wanted = {one.host.name: "up" for one in machines}
        return all(one.states() == wanted for one in machines)


def words_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def parent_of(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def cpu_seconds(processes: Iterable[int]) -> float:
    """All threads; those that have ended since do not count."""
    total = 0.0
    for process in processes:
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{process}/task"):
                text = Path(f"/proc/{process}/task/{thread}/schedstat").read_text()
                total += int(text.split()[0]) / 1e9
    return total


def pss_bytes(processes: Iterable[int]) -> int:
    """Shared pages counted once."""
    total = 0
    for process in processes:
        with suppress(OSError):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total

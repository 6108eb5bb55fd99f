"""A lab: hosts on one switch, and what can go wrong with cables and machines.

All of it hangs on one process, the first of a pid namespace, which reads from a pipe that only the maker holds. When
the maker is gone, however it went, the read ends, the first process ends, and the kernel ends everything that was
started in the lab; the network goes with the last process in it. Only a folder and empty control groups may stay: the
next lab sweeps them.

Promises: nothing is left when it ends, whatever happened meanwhile.
Never: touches the network of this machine, or a lab of somebody else.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.lab import wires
from tests.lab.host import Host, batch, has_link, write_door
from tests.lab.traces import Traces, sweep
from tests.system.place import wait_for

MOST_HOSTS: Final = 200
AIR: Final = Path(__file__).with_name("air.py")
_FIRST: Final = "read -r pid rest < /proc/self/stat; echo $pid; exec env --ignore-signal=CHLD cat"
_BED: Final = ("unshare", "--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--propagation=private")


class Lab:
    def __init__(self, hosts: int | Sequence[str] = 3) -> None:
        self._names = [f"h{number + 1}" for number in range(hosts)] if isinstance(hosts, int) else list(hosts)
        if not 1 <= len(self._names) <= MOST_HOSTS:
            raise ValueError(f"a lab has 1 to {MOST_HOSTS} hosts")
        self.hosts = list[Host]()
        self.faults = wires.Faults()
        self._air = dict[int, subprocess.Popen[bytes]]()
        self._traces: Traces | None = None
        self._bed: subprocess.Popen[bytes] | None = None
        self._first = 0

    def __enter__(self) -> Self:
        sweep()
        try:
            self._make()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getitem__(self, number: int) -> Host:
        return self.hosts[number]

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts)

    def __len__(self) -> int:
        return len(self.hosts)

    # -- making and ending ---------------------------------------------------------------------------------------------

    def _make(self) -> None:
        self._traces = Traces()
        folder = self._traces.folder
        (folder / "bin").mkdir()
        program = folder / "bin" / "odyssey"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m odyssey "$@"\n')
        program.chmod(0o755)
        self._lay()
        self._traces.begins_with(self._first)
        write_door(folder / "switch", [], self._first, ["--net"], [])
        for number, name in enumerate(self._names):
            self.hosts.append(Host(number, name, folder / name, self._first, self._traces.for_host(name)))
        self._boot(self.hosts)

    def _lay(self) -> None:
        self._bed = subprocess.Popen(
            [*_BED, "sh", "-c", _FIRST], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._bed.stdout is not None
        line = self._bed.stdout.readline()
        if not line:
            raise AssertionError(f"the switch did not start: {self._bed.wait()}")
        self._first = int(line)
        batch(self._first, wires.switch())

    def _boot(self, hosts: Sequence[Host]) -> None:
        for host in hosts:
            host.begin()
        for host in hosts:
            host.is_there()
        batch(self._first, "\n".join(wires.port(host.number, host.process) for host in hosts))
        for host in hosts:
            host.wire()

    def boot(self, number: int) -> None:
        """Power on, on the disk that is there."""
        assert not self.hosts[number].is_on
        self._no_delay(number)  # its cable has gone with it
        wait_for(lambda: not has_link(self._first, f"p{number}"))  # the kernel takes away what a dead host had, later
        self._boot([self.hosts[number]])

    def close(self) -> None:
        if self._bed is not None:
            self._bed.kill()  # `unshare` takes the first process along, and the kernel all others
            self._bed.wait()
            for pipe in (self._bed.stdin, self._bed.stdout):
                assert pipe is not None
                pipe.close()
        for number in list(self._air):
            self._no_delay(number)
        for host in self.hosts:
            host.bury()
        if self._traces is not None:
            self._traces.remove()
        self.hosts, self._bed, self._traces = [], None, None

    # -- cables --------------------------------------------------------------------------------------------------------

    def cut(self, number: int) -> None:
        """Its cable is out, and it can see that."""
        batch(self._first, f"link set p{number} down")

    def heal(self, number: int | None = None) -> None:
        """The cable of one is in again; without a number, nothing is wrong any more with any of them."""
        numbers = range(len(self.hosts)) if number is None else [number]
        on = [number for number in numbers if self.hosts[number].is_on]
        batch(self._first, "\n".join(f"link set p{number} up" for number in on))
        if number is None:
            self.faults = wires.Faults()
            self._filter()

    def block(self, sender: int, receiver: int) -> None:
        """One way: what one sends the other never gets."""
        self.faults.blocked.add((sender, receiver))
        self._filter()

    def unblock(self, sender: int, receiver: int) -> None:
        self.faults.blocked.discard((sender, receiver))
        self._filter()

    def lose(self, number: int, percent: int) -> None:
        """Of the frames that it sends, and of those that it is sent."""
        self.faults.lost[number] = percent
        self._filter()

    def isolate(self, is_isolated: bool = True) -> None:
        """Hosts reach the router, and not each other: as guests of a hotel."""
        self.faults.is_isolated = is_isolated
        self._filter()

    def carry_multicast(self, has_multicast: bool) -> None:
        self.faults.has_multicast = has_multicast
        self._filter()

    def slow(self, number: int, kilobits: int) -> None:
        """Per second, each way; 0: as fast as it gets."""
        for process, device in ((self._first, f"p{number}"), (self.hosts[number].process, "eth0")):
            self._switch(*wires.slowed(device, kilobits), process=process)

    def delay(self, number: int, ms: int, jitter_ms: int = 0) -> None:
        """Of each frame that it sends or is sent; 0: none any more. Its cable is out for a moment."""
        if self._no_delay(number):
            batch(self._first, wires.plugged(number))
        if not ms:
            return
        batch(self._first, wires.unplugged(number))
        words = [sys.executable, "-S", "-E", str(AIR), f"w{number}", f"p{number}", str(ms), str(jitter_ms)]
        enter = ["nsenter", f"--target={self._first}", "--net", "--pid"]
        air = subprocess.Popen([*enter, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self._air[number] = air
        assert air.stdout is not None
        if air.stdout.readline() != b"ready\n":
            raise AssertionError(f"no delay for {self.hosts[number].name}: {air.wait()}")
        batch(self._first, f"link set p{number} master br0 up")

    def _no_delay(self, number: int) -> bool:
        """What keeps its frames has ended, and the port with it."""
        air = self._air.pop(number, None)
        if air is None:
            return False
        assert air.stdin is not None
        assert air.stdout is not None
        air.stdin.close()
        air.wait()
        air.stdout.close()
        return True

    def readdress(self, number: int, subnet: int) -> None:
        """It is in another network of the same cable: other addresses, another router's address."""
        batch(self._first, wires.routed(subnet))
        host = self.hosts[number]
        host.ip(wires.moved(number, subnet))
        host.subnet = subnet

    def connect(self, one: int, other: int, subnet: int) -> None:
        """A second cable, eth1, straight from host to host, with addresses of another subnet."""
        first, second = self.hosts[one], self.hosts[other]
        ends, *each = wires.between(one, first.process, other, second.process, subnet)
        batch(self._first, ends)
        for host, script in zip((first, second), each, strict=True):
            host.ip(script)

    def _filter(self) -> None:
        self._switch("nft", "-f", "-", text=self.faults.script())

    def _switch(self, *words: str, text: str = "", process: int = 0) -> None:
        enter = ["nsenter", f"--target={process or self._first}", "--net"]
        done = subprocess.run([*enter, *words], input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(words)}: {done.stderr.strip()}\n{text}")

"""Wires in memory, on virtual time: what a test cuts, fills, loses or slows, without a socket.

Promises: what comes on a line is in order; a connection that ends is told of after all that came on it; it passes the
same contract test as the real wires.
Never: delivers within a call.
"""

from __future__ import annotations

from odyssey.clock import SeededEntropy
from odyssey.ids import NodeId
from odyssey.mesh.letters import Letter
from odyssey.mesh.links import frames
from odyssey.mesh.links.channel import PUT_OUT
from odyssey.mesh.links.ports import Lane, Line, Path, Refusal, Switch, Wires
from odyssey.mesh.links.switchboard import Switchboard, Versions, World
from odyssey.messages import CopySeen
from tests.mesh.links.town import SCOPE, Files, Town, node
from tests.sim.loop import VirtualLoop

LATENCY_S = 0.001
HOST = "10.0.0.1"


class Street:
    """What lies between the machines."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.listening: dict[tuple[str, int], MemoryWires] = {}
        self.cut: set[tuple[bytes, bytes]] = set()  # from, to: nothing passes there, and nobody is told
        self._held: list[tuple[MemoryLine, bytes, bytes]] = []
        self.silent: set[str] = set()  # hosts that do not even refuse
        self.dials: list[tuple[str, int]] = []
        self.said: list[tuple[Lane, bytes, int]] = []  # all that was carried: lane, head, size of the load

    def hold(self, to: MemoryLine, head: bytes, load: bytes) -> None:
        """The kernel sends it again and again."""
        self._held.append((to, head, load))

    def heal(self) -> None:
        """What was under way arrives late."""
        self.cut.clear()
        for to, head, load in self._held:
            self.later(LATENCY_S, to.arrive, head, load)
        self._held.clear()

    def later(self, delay: float, call: object, *args: object) -> None:
        self.loop.call_later(delay, call, *args)  # type: ignore[arg-type]


class MemoryLine:
    def __init__(self, street: Street, wires: MemoryWires, key: bytes, lane: Lane, dialled: bool, address: str) -> None:
        self._street, self.wires = street, wires
        self.key, self.lane, self.dialled, self.address = key, lane, dialled, address
        self.other: MemoryLine | None = None
        self.over = self.is_full = False
        self.unsent: list[tuple[bytes, bytes]] = []

    def send(self, head: bytes, load: bytes | memoryview = b"") -> bool:
        if self.over or self.is_full:
            return False
        if self.other is None:
            self.unsent.append((head, bytes(load)))
        else:
            self._carry(head, bytes(load))
        return True

    def _carry(self, head: bytes, load: bytes) -> None:
        self._street.said.append((self.lane, head, len(load)))
        assert self.other is not None
        if (self.wires.key, self.key) in self._street.cut:
            self._street.hold(self.other, head, load)
        else:
            self._street.later(LATENCY_S, self.other.arrive, head, load)

    def join(self, other: MemoryLine) -> None:
        self.other = other
        for head, load in self.unsent:
            self._carry(head, load)
        self.unsent.clear()

    def arrive(self, head: bytes, load: bytes) -> None:
        if not self.over and not self.wires.closed:
            self.wires.switch.heard(self, head, load)

    def end(self) -> None:
        if not self.over:
            self.over = True
            if self.other is not None and (self.wires.key, self.key) not in self._street.cut:
                self._street.later(LATENCY_S, self.other.broke, "the connection ended")

    def broke(self, why: str) -> None:
        if not self.over:
            self.over = True
            if not self.wires.closed:
                self.wires.switch.gone(self, why)


class MemoryWires(Wires):
    def __init__(self, street: Street, key: bytes, switch: Switch) -> None:
        self.street, self.key, self.switch = street, key, switch
        self.lines: list[MemoryLine] = []
        self.closed = False

    def listen(self, host: str, port: int) -> None:
        self.street.listening[host, port] = self

    def dial(self, key: bytes, host: str, port: int, lane: Lane) -> MemoryLine:
        self.street.dials.append((host, port))
        line = MemoryLine(self.street, self, key, lane, True, f"tcp://{host}:{port}")
        self.lines.append(line)
        if host not in self.street.silent:
            self.street.later(2 * LATENCY_S, self._connect, line, host, port)
        return line

    def _connect(self, line: MemoryLine, host: str, port: int) -> None:
        there = self.street.listening.get((host, port))
        if line.over or there is None or there.closed:
            line.broke(f"nobody answers at {line.address}")
        elif (self.key, there.key) in self.street.cut:
            self.street.later(1.0, self._connect, line, host, port)  # the kernel tries again
        elif there.key != line.key:
            line.broke("who answers is somebody else")
        elif isinstance(found := there.switch.admit(self.key), Refusal):
            line.broke(PUT_OUT if found is Refusal.REVOKED else "not known there")
        else:
            other = MemoryLine(self.street, there, self.key, line.lane, False, host)
            there.lines.append(other)
            other.join(line)
            line.join(other)

    def close(self) -> None:
        """The process is gone: its connections break, and nothing is heard here any more."""
        self.closed = True
        for line in self.lines:
            line.end()
        for place, wires in list(self.street.listening.items()):
            if wires is self:
                del self.street.listening[place]


class Clock:
    """Of a virtual loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.ahead_ms = 0

    def monotonic_ms(self) -> int:
        return self._loop.now_ms + self.ahead_ms

    boottime_ms = wall_ms = monotonic_ms


class Machine:
    """A switchboard in a street, that can be killed and started again under the same key."""

    def __init__(self, street: Street, town: Town, number: int, listens: bool = True) -> None:
        self.street, self.town, self.number, self.listens = street, town, number, listens
        self.name, self.key = node("abcdefgh"[number]), bytes([number + 1]) * 32
        self.heard: list[tuple[NodeId, Letter]] = []
        self.lost: list[tuple[NodeId, int, str]] = []
        self.kept_from: set[NodeId] = set()  # who may have no bytes
        self.copied: list[tuple[NodeId, str]] = []
        self.files = Files()
        self.starts = 0
        self.port = 100 * (number + 1)
        self.town.admit(self.name, self.key, *([Path(HOST, self.port, self.port + 1)] if listens else []))

    def start(self, versions: Versions = Versions()) -> Machine:  # noqa: B008 - frozen
        self.starts += 1
        loop = self.street.loop
        entropy = SeededEntropy(1000 * self.number + self.starts)
        self.clock = Clock(loop)
        world = World(
            self.town,
            self.town,
            self.files,
            loop,
            self.clock,
            entropy,
            self._hear,
            lambda *lost: self.lost.append(lost),
            self._note_copy,
            may_fetch=lambda name: name not in self.kept_from,
        )
        self.board = Switchboard(self.name, world, versions)
        self.wires = MemoryWires(self.street, self.key, self.board)
        self.board.start(self.wires)
        if self.listens:
            self.listen(HOST, self.port)
        return self

    def listen(self, host: str, port: int) -> None:
        self.wires.listen(host, port)
        self.wires.listen(host, port + 1)

    def kill(self) -> None:
        """Without a word, as a process dies."""
        self.wires.close()
        self.board._wires = None  # a dead process has no timers either

    def _note_copy(self, name: NodeId, address: str) -> None:
        """As a daemon does: it tells the one that stays."""
        self.copied.append((name, address))
        self.board.send(name, Letter(SCOPE, CopySeen(address)))

    def _hear(self, sender: NodeId, letter: Letter) -> None:
        self.heard.append((sender, letter))

    @property
    def letters(self) -> list[Letter]:
        return [letter for _, letter in self.heard]


class Rogue:
    """Somebody with a key who says what the test wants."""

    def __init__(self, street: Street, town: Town, name: NodeId, key: bytes) -> None:
        self.name = name
        self.said: list[tuple[bytes, bytes]] = []
        self.ends: list[str] = []
        self.admits: NodeId | Refusal = Refusal.UNKNOWN
        self.wires = MemoryWires(street, key, self)
        town.admit(name, key)

    def dial(self, other: Machine, lane: Lane = Lane.CONTROL, greets: bool = True) -> MemoryLine:
        line = self.wires.dial(other.key, HOST, other.port + lane, lane)
        if greets:
            line.send(frames.packed(frames.Hello(1, 1, b"r" * 16)))
        return line

    def frames(self) -> list[frames.AnyFrame]:
        return [frames.unpacked(head) for head, _ in self.said]

    def admit(self, key: bytes) -> NodeId | Refusal:
        return self.admits

    def heard(self, line: Line, head: bytes, load: bytes) -> None:
        self.said.append((head, load))

    def gone(self, line: Line, why: str) -> None:
        self.ends.append(why)

    def turned_away(self, why: str) -> None: ...


class Quarter:
    """A street with machines, and time that passes when the test says so."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.street, self.town = Street(self.loop), Town()

    def machine(self, number: int, listens: bool = True) -> Machine:
        return Machine(self.street, self.town, number, listens).start()

    def rogue(self, number: int = 7) -> Rogue:
        return Rogue(self.street, self.town, node("abcdefgh"[number]), bytes([number + 1]) * 32)

    def run(self, seconds: float) -> None:
        self.loop.run_until(self.loop.time() + seconds)

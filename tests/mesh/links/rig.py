"""Real machines in one process: switchboards on ZeroMQ sockets of the loopback, and strangers that knock at them.

Promises: ports are the kernel's choice; a fact is waited for until a deadline; nothing stays open.
Never: sleeps.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from odyssey.clock import SystemClock, SystemEntropy
from odyssey.ids import NodeId
from odyssey.mesh.letters import Letter
from odyssey.mesh.links.ports import Path
from odyssey.mesh.links.sockets import Keys
from odyssey.mesh.links.switchboard import Switchboard, Versions, World
from odyssey.mesh.links.wires import Ports, ZmqWires
from tests.mesh.links.town import Files, Town, node

DEADLINE_S = 60.0
HOST = "127.0.0.1"


def new_keys() -> Keys:
    public, secret = zmq.curve_keypair()
    return Keys(z85.decode(public), z85.decode(secret))


class Machine:
    def __init__(self, rig: Rig, name: str, listens: bool = True) -> None:
        self._rig, self.name, self.keys, self._listens = rig, node(name), new_keys(), listens
        self.heard: list[tuple[NodeId, Letter]] = []
        self.lost: list[tuple[NodeId, int, str]] = []
        self.files = Files()
        self.ports = Ports(0, 0)
        self.running = False

    def start(self, versions: Versions = Versions()) -> Machine:  # noqa: B008 - frozen
        rig = self._rig
        world = World(
            rig.town, rig.town, self.files, rig.loop, rig.clock, SystemEntropy(), self._hear,
            lambda *lost: self.lost.append(lost),
        )  # fmt: skip
        self.board = Switchboard(self.name, world, versions)
        self.wires = ZmqWires(rig.loop, self.keys, rig.clock, self.board)
        self.board.start(self.wires)
        if self._listens:
            self.ports = self.wires.listen(HOST, *self.ports)
        rig.town.admit(self.name, self.keys.public, *([Path(HOST, *self.ports)] if self._listens else []))
        self.running = True
        return self

    def stop(self) -> None:
        """With a word to all."""
        if self.running:
            self.running = False
            self.board.stop()
            self.wires.close()

    def kill(self) -> None:
        """As a process dies."""
        self.running = False
        self.board._wires = None
        self.wires.close()

    def _hear(self, sender: NodeId, letter: Letter) -> None:
        self.heard.append((sender, letter))

    @property
    def letters(self) -> list[Letter]:
        return [letter for _, letter in self.heard]

    def is_up(self, other: Machine) -> bool:
        state = self.board.peers().get(other.name)
        return state is not None and state.up


class Rig:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.troubles: list[object] = []
        self.loop.set_exception_handler(lambda _, context: self.troubles.append(context))
        self.clock, self.town = SystemClock(), Town()
        self.machines: list[Machine] = []
        self._strangers: list[Stranger] = []
        self._raw: list[socket.socket] = []

    def machine(self, name: str, listens: bool = True) -> Machine:
        made = Machine(self, name, listens).start()
        self.machines.append(made)
        return made

    def pair(self) -> tuple[Machine, Machine]:
        return self.machine("a"), self.machine("b")

    def stranger(self, prepare: Callable[[zmq.Socket[bytes]], None], port: int, kind: int = zmq.DEALER) -> Stranger:
        made = Stranger(prepare, port, kind)
        self._strangers.append(made)
        return made

    def knock(self, port: int, source: str = HOST) -> socket.socket:
        """Bytes, without ZeroMQ."""
        made = socket.create_connection((HOST, port), DEADLINE_S, (source, 0))
        made.setblocking(False)
        self._raw.append(made)
        return made

    def until(self, happened: Callable[[], object], seconds: float = DEADLINE_S) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert self.troubles == []
            assert time.monotonic() < deadline
            self.turn()

    def turn(self) -> None:
        self.loop.call_later(0.002, self.loop.stop)
        self.loop.run_forever()

    def close(self) -> None:
        for machine in self.machines:
            machine.stop()
        for stranger in self._strangers:
            stranger.close()
        for one in self._raw:
            one.close()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        assert self.troubles == []


class Stranger:
    """A socket that does just what the test wants, and what became of it."""

    def __init__(self, prepare: Callable[[zmq.Socket[bytes]], None], port: int, kind: int) -> None:
        self._ctx = zmq.Context()
        self.socket = self._ctx.socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        prepare(self.socket)
        self._monitor = self.socket.get_monitor_socket()
        self.socket.connect(f"tcp://{HOST}:{port}")
        self.events: list[int] = []

    def say(self, *parts: bytes) -> None:
        self.socket.send_multipart(list(parts), zmq.NOBLOCK)

    def hears(self) -> list[bytes] | None:
        try:
            return self.socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None

    def saw(self, *events: int) -> bool:
        while self._monitor.poll(0):
            self.events.append(int(recv_monitor_message(self._monitor)["event"]))
        return any(one in self.events for one in events)

    def close(self) -> None:
        self.socket.disable_monitor()
        self._monitor.close()
        self.socket.close()
        self._ctx.term()


def curve(server: bytes, mine: Keys) -> Callable[[zmq.Socket[bytes]], None]:
    def prepare(made: zmq.Socket[bytes]) -> None:
        made.setsockopt(zmq.CURVE_SERVERKEY, server)
        made.setsockopt(zmq.CURVE_PUBLICKEY, mine.public)
        made.setsockopt(zmq.CURVE_SECRETKEY, mine.secret)

    return prepare

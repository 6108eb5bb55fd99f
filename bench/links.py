"""Links between two processes on the loopback: how long a request takes, how fast bytes come, and what beats notice of
that.

The peer is a process of its own, as in life. Raw is the same libzmq with the same encryption and nothing around it: a
round trip of the same bytes, a stream of pieces as fast as they can be read, taken by turns with the real thing.

Promises: time on the clock, because waiting is the point; the peer ends with the measurement.
Never: counts the handshake.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from multiprocessing.connection import Connection
from statistics import median
from threading import Thread
from time import perf_counter
from typing import Any, Final

import zmq
from zmq.utils import z85

from bench.api import part
from bench.harness import MS, Effort, Figure, Result, bench
from odyssey.clock import SystemClock, SystemEntropy
from odyssey.ids import NodeId
from odyssey.mesh.letters import Forward, Letter, Scope
from odyssey.mesh.links.frames import PIECE_BYTES
from odyssey.mesh.links.ports import Path, Refusal, Where
from odyssey.mesh.links.sockets import Keys
from odyssey.mesh.links.switchboard import Switchboard, World
from odyssey.mesh.links.wires import ZmqWires
from odyssey.mesh.raft.types import Member, StoreId
from odyssey.messages import Beat, BeatId, BootId

HOST: Final = "127.0.0.1"
MIB: Final = 1 << 20
P50_MS, P99_MS, PART_OF_RAW = 1.0, 100.0, 0.6
REQUESTS, BYTES = 3_000, 2_000 * MIB
DATA: Final = bytes(range(256)) * (32 * MIB // 256)
DIGEST: Final = sha256(DATA).digest()
A, B = NodeId("a" * 26), NodeId("b" * 26)
TO_B: Final = Member(B, StoreId(b"store"))
SCOPE: Final = Scope("mesh", 1)


class Town:
    """Two members."""

    def __init__(self, members: dict[bytes, NodeId], places: dict[NodeId, Where]) -> None:
        self._members, self._places = members, places

    def who(self, key: bytes) -> NodeId | Refusal:
        return self._members.get(key, Refusal.UNKNOWN)

    def where(self, peer: NodeId) -> Where | None:
        return self._places.get(peer)


class Files:
    """One segment, given a piece at a time as a store would."""

    def serve(self, digest: bytes, first: int, doubted: bool, done: Callable[[Sequence[bytes] | None], None]) -> None:
        done(None)

    def serve_segment(self, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None:
        done(DATA[start : start + MIB])


def keys() -> Keys:
    public, secret = zmq.curve_keypair()
    return Keys(z85.decode(public), z85.decode(secret))


def machine(
    loop: asyncio.AbstractEventLoop, me: NodeId, mine: Keys, town: Town, deliver: Callable[[NodeId, Letter], None]
) -> tuple[Switchboard, ZmqWires]:
    clock = SystemClock()
    board = Switchboard(me, World(town, town, Files(), loop, clock, SystemEntropy(), deliver))
    wires = ZmqWires(loop, mine, clock, board)
    board.start(wires)
    return board, wires


# -- the other process -------------------------------------------------------------------------------------------------


def peer(mine: Keys, theirs: bytes, pipe: Connection) -> None:
    """Sends every letter back, gives its segment, and has a raw socket beside it."""
    loop = asyncio.new_event_loop()
    town = Town({theirs: A}, {A: Where(theirs)})
    boards: list[Switchboard] = []

    def send_back(sender: NodeId, letter: Letter) -> None:
        boards[0].send(sender, letter)

    board, wires = machine(loop, B, mine, town, send_back)
    boards.append(board)
    raw = zmq.Context().socket(zmq.ROUTER)
    raw.setsockopt(zmq.CURVE_SERVER, 1)
    raw.setsockopt(zmq.CURVE_SECRETKEY, mine.secret)
    raw.setsockopt(zmq.SNDHWM, 32)
    raw.setsockopt(zmq.ROUTER_MANDATORY, 1)  # it waits where it would drop
    raw_port = raw.bind_to_random_port(f"tcp://{HOST}")
    Thread(target=_raw, args=(raw,), daemon=True).start()
    pipe.send((*wires.listen(HOST), raw_port))
    loop.add_reader(pipe.fileno(), loop.stop)
    loop.run_forever()


def _raw(socket: zmq.Socket[bytes]) -> None:
    """A number asks for so many pieces; anything else comes back."""
    piece = DATA[:PIECE_BYTES]
    while True:
        route, *said = socket.recv_multipart()
        if len(said) == 1:
            for _ in range(int(said[0])):
                socket.send_multipart([route, piece])
        else:
            socket.send_multipart([route, *said])


# -- this one ----------------------------------------------------------------------------------------------------------


class Two:
    """This process, and the other."""

    def __init__(self, raw: zmq.Socket[bytes]) -> None:
        self.raw, self.loop = raw, asyncio.new_event_loop()
        self.heard: Callable[[Letter], None] = lambda _: None
        self.board: Switchboard

    def request(self, letter: Letter) -> float:
        """Seconds until it is back."""
        begin = perf_counter()
        back = self.loop.create_future()
        self.heard = lambda _: None if back.done() else back.set_result(None)
        self.board.send(B, letter)
        self.loop.run_until_complete(asyncio.wait_for(back, 30))
        return perf_counter() - begin

    def raw_request(self, size: int) -> float:
        begin = perf_counter()
        self.raw.send_multipart([b"head", bytes(size)])
        self.raw.recv_multipart()
        return perf_counter() - begin

    def fetch(self, count: int, lines: int = 4) -> float:
        """Seconds for so many MiB, a few questions at a time."""
        begin = perf_counter()
        over = self.loop.create_future()
        left = [count, count]  # to be asked, to come

        def ask() -> None:
            if left[0]:
                left[0] -= 1
                self.board.ask_segment(TO_B, DIGEST, left[0] % 32 * MIB, came)

        def came(piece: bytes | None) -> None:
            assert piece is not None
            assert len(piece) == MIB
            left[1] -= 1
            if not left[1]:
                over.set_result(None)
            ask()

        for _ in range(lines):
            ask()
        self.loop.run_until_complete(asyncio.wait_for(over, 300))
        return perf_counter() - begin

    def raw_fetch(self, count: int) -> float:
        begin = perf_counter()
        pieces = count * MIB // PIECE_BYTES
        self.raw.send(b"%d" % pieces)
        for _ in range(pieces):
            self.raw.recv()
        return perf_counter() - begin


@contextmanager
def two() -> Iterator[Two]:
    mine, theirs = keys(), keys()
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=peer, args=(theirs, mine.public, there))
    child.start()
    control, bulk, raw_port = here.recv()
    ctx = zmq.Context()
    raw = ctx.socket(zmq.DEALER)
    raw.setsockopt(zmq.CURVE_SERVERKEY, theirs.public)
    raw.setsockopt(zmq.CURVE_PUBLICKEY, mine.public)
    raw.setsockopt(zmq.CURVE_SECRETKEY, mine.secret)
    raw.connect(f"tcp://{HOST}:{raw_port}")
    made = Two(raw)
    town = Town({theirs.public: B}, {B: Where(theirs.public, (Path(HOST, control, bulk),))})
    made.board, wires = machine(made.loop, A, mine, town, lambda _, letter: made.heard(letter))
    made.request(request(0))
    made.raw_request(0)
    made.fetch(8)
    try:
        yield made
    finally:
        made.board.stop()
        wires.close()
        raw.close()
        ctx.term()
        child.kill()
        child.join()
        made.loop.close()


def request(size: int) -> Letter:
    return Letter(SCOPE, Forward(TO_B, 1, bytes(size)))


def figure(name: str, real: list[float], raw: list[float], raw_is: str, target: float, value: float) -> Figure:
    limit = median(raw) if raw else 0.0
    ratio = value / limit if limit else 0.0
    return Figure(name, "ms", value, min(real), max(real), len(real), limit, raw_is, ratio, target)


@bench("links.request")
def request_and_answer(effort: Effort) -> Iterator[Result]:
    """A letter of 300 bytes there and back, one after the other."""
    real: list[float] = []
    raw: list[float] = []
    with two() as both:
        for _ in range(effort.size(REQUESTS)):
            real.append(both.request(request(300)) * MS)
            raw.append(both.raw_request(300) * MS)
    raw_is = "the same bytes over one CURVE socket"
    yield figure("a letter of 300 B there and back, p50", real, raw, raw_is, P50_MS, part(real, 50))


@bench("links.bulk")
def bytes_by_the_second(effort: Effort) -> Iterator[Result]:
    count = effort.size(BYTES) // MIB
    real: list[float] = []
    raw: list[float] = []
    with two() as both:
        for turn in range(effort.repeats(10)):
            measures: list[tuple[list[float], Callable[[int], float]]] = [(real, both.fetch), (raw, both.raw_fetch)]
            for found, measure in measures[:: 1 if turn % 2 else -1]:
                found.append(count / measure(count))
    limit, middle = median(raw), median(real)
    yield Figure(
        "bytes of a segment over the bulk lane", "MiB/s", middle, max(real), min(real), len(real), limit,
        "one CURVE stream of the same pieces", limit / middle, PART_OF_RAW * limit, True,
    )  # fmt: skip


@bench("links.beats")
def beats_beside_bytes(effort: Effort) -> Iterator[Result]:
    """A beat there and back each 10 ms, while the bulk lane is never empty."""
    late: list[float] = []
    quiet: list[float] = []
    with two() as both:
        quiet += [both.request(beat(number)) * MS for number in range(100)]
        both.loop.run_until_complete(_beats(both, effort.size(1_000), late))
    yield figure(
        "a beat beside a full bulk lane, p99", late, quiet, "the same, nothing beside it", P99_MS, part(late, 99)
    )


def beat(number: int) -> Letter:
    return Letter(SCOPE, Beat(BeatId(BootId(bytes(16)), 1, number)))


async def _beats(both: Two, count: int, late: list[float]) -> None:
    sent: dict[int, float] = {}
    over = asyncio.Event()
    fetching = True

    def came(piece: bytes | None) -> None:
        assert piece is not None
        if fetching:
            both.board.ask_segment(TO_B, DIGEST, 0, came)

    def heard(letter: Letter) -> None:
        content: Any = letter.content
        late.append((perf_counter() - sent[content.id.number]) * MS)
        if len(late) == count:
            over.set()

    both.heard = heard
    for _ in range(4):
        both.board.ask_segment(TO_B, DIGEST, 0, came)
    for number in range(count):
        sent[number] = perf_counter()
        both.board.send(B, beat(number))
        await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        await over.wait()
    fetching = False

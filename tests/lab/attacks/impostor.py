"""A program with the keys of a genuine member, whose own daemon is down: `python -m tests.lab.attacks.impostor HOW …`

    oversteps NODE KIND       says one letter of this kind that it may not
    lineage NODE              shows a generation of the log that it has begun by itself
    reports NODE ATTEMPT TASK beats, with a report about an attempt that it does not hold
    asks NODE JOB             that the job of somebody else is cancelled
    throws NODE WHAT          one thing that breaks the rules of a line
    claims NODE               routing ids of others
    floods NODE KIND SECONDS  letters of this kind, as many as get through
    weird NODE SEED COUNT     letters whose fields are drawn, of all kinds that exist
    knocks NODE               is it let in now?
    watches NODE              stays connected as long as it is let in, and says when that was last

NODE is who is attacked. Prints JSON; the last line is what came of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

import zmq

from odyssey import messages, wire
from odyssey.api.requests import Cancel, Nodes
from odyssey.clock import SystemClock, SystemEntropy
from odyssey.commands import Fence, Report, SubmitJobs
from odyssey.daemon import founding
from odyssey.errors import OdysseyError
from odyssey.ids import AttemptId, ClientId, JobId, NodeId, TaskId
from odyssey.mesh import generation, identity, recover
from odyssey.mesh.company import Company
from odyssey.mesh.generation import Fork, Lineage
from odyssey.mesh.letters import Content, Forward, Letter, Logged, Scope
from odyssey.mesh.links import frames
from odyssey.mesh.links.frames import Hello, Parcel
from odyssey.mesh.links.letters import packed, unpacked
from odyssey.mesh.links.ports import Lane, Line, Refusal
from odyssey.mesh.links.sockets import Keys
from odyssey.mesh.links.wires import ZmqWires
from odyssey.mesh.raft.types import Append, Heartbeat, Kind, LogEntry, Member, StoreId, VoteRequest
from odyssey.mesh.speaking import check
from odyssey.mesh.trust import standing
from odyssey.messages import AskKeeper, Beat, BeatId, BootId, Duty, HandIn, JobsAre, Parts, StopAsking
from odyssey.model import Outcome
from odyssey.paths import find_home
from tests.builders import a_spec
from tests.lab.attacks.weird import weird

PATIENCE_S: Final = 8.0
LONGEST_S: Final = 90.0
BOOT: Final = BootId(b"another boot too")


class Impostor:
    """It says what it likes, on lines of its own."""

    def __init__(self) -> None:
        home, self.clock = find_home(), SystemClock()
        key, belonging = identity.load(home.key), founding.load(home)
        assert belonging is not None
        mine = standing.load(home, key.key, belonging.anchor)
        self.me, self.key, self.belonging = key.id, key, belonging
        self.keys = Keys(mine.curve.public, mine.curve.secret)
        self.company = Company(key.id, mine, home.peers, self.clock)
        self.scope = Scope(belonging.mesh.hex(), belonging.root.number, belonging.root.id)
        loop = asyncio.get_running_loop()
        self.wires = ZmqWires(loop, self.keys, self.clock, self)
        self.greeted: set[Line] = set()
        self.ended: set[Line] = set()
        self.letters: list[Letter] = []

    # -- as the wires tell ---------------------------------------------------------------------------------------------

    def admit(self, _: bytes) -> NodeId | Refusal:
        return Refusal.UNKNOWN

    def turned_away(self, why: str) -> None:
        """Nobody can come here."""

    def heard(self, line: Line, head: bytes, load: bytes) -> None:
        match frames.unpacked(head):
            case Hello():
                self.greeted.add(line)
            case Parcel(number=number):
                if number:
                    line.send(frames.packed(frames.Ack(number)))
                self.letters.append(unpacked(load))
            case frames.Ping(number=number):
                line.send(frames.packed(frames.Pong(number)))

    def gone(self, line: Line, why: str) -> None:
        self.ended.add(line)

    # -- saying --------------------------------------------------------------------------------------------------------

    async def line(self, node: NodeId) -> Line | None:
        """None: not let in."""
        where = self.company.where(node)
        assert where is not None
        for path in where.paths:
            line = self.wires.dial(where.key, path.host, path.control, Lane.CONTROL)
            line.send(frames.packed(Hello(frames.LOWEST, frames.HIGHEST, SystemEntropy().token(16))))
            await self.settled(line)
            if line in self.greeted and line not in self.ended:
                return line
        return None

    async def settled(self, line: Line) -> None:
        await until(lambda: line in self.greeted or line in self.ended)

    def say(self, line: Line, content: Any, store: bytes = b"") -> bool:
        return line.send(frames.packed(Parcel()), packed(Letter(self.scope, content, StoreId(store))))

    async def what_came(self, line: Line, node: NodeId, seconds: float = 3.0) -> dict[str, Any]:
        """Was it sent away, and for how long?"""
        ended = await until(lambda: line in self.ended, seconds)
        again = await self.line(node) if ended else line
        return {"ended": ended, "again": again is not None}


async def let_in(me: Impostor, node: NodeId) -> Line:
    """As soon as it is: it may have been sent away a moment ago."""
    deadline = time.monotonic() + PATIENCE_S
    while (line := await me.line(node)) is None:
        assert time.monotonic() < deadline, "not let in"
    return line


async def until(happened: Callable[[], object], seconds: float = PATIENCE_S) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(0.01)
    return True


# -- what it tries -----------------------------------------------------------------------------------------------------


def submit(me: Impostor) -> SubmitJobs:
    """In the name of somebody who never asked for it."""
    return SubmitJobs(ClientId(SystemEntropy().token(16)), 0, (a_spec(user="root", name="forged"),))


def overstepping(me: Impostor, node: NodeId, kind: str) -> Any:
    mine, theirs = Member(me.me, StoreId(b"s" * 16)), Member(node, StoreId(b"s" * 16))
    logged = wire.encode_log(Logged(me.clock.wall_ms(), submit(me)))
    entry = LogEntry(1_000, 1_000, Kind.COMMAND, logged)
    tip = generation.draft(me.belonging.mesh, me.belonging.root, b"g" * 16, Fork(1, 1 << 20), 1_000, mine, me.me)
    made = {
        "in-anothers-name": Heartbeat(1_000, theirs, 0, 0, 1),
        "heartbeat": Heartbeat(1_000, mine, 0, 0, 1),
        "vote": VoteRequest(1_000, mine, 1 << 20, 1_000, forced=True),
        "append": Append(1_000, mine, 999, 999, (entry,), 1_000),
        "forward": Forward(mine, 1, logged),
        "duty": Duty(BeatId(BOOT, 1, 1), Fence(1 << 40, 1 << 40), 1, AttemptId(0)),
        "jobs": JobsAre(((JobId(1), a_spec(name="forged")),)),
        "hand-in": HandIn(1, submits=(submit(me),)),
        "found": recover.Found(generation.signed(tip, me.key.sign)),
    }
    return made[kind]


async def oversteps(me: Impostor, node: NodeId, kind: str) -> dict[str, Any]:
    line = await let_in(me, node)
    me.say(line, overstepping(me, node, kind))
    return await me.what_came(line, node)


async def shows_lineage(me: Impostor, node: NodeId) -> dict[str, Any]:
    """A generation of the log that this machine has begun by itself."""
    line = await let_in(me, node)
    charter = overstepping(me, node, "found").charter
    me.say(line, recover.Line(Lineage(me.belonging.mesh, me.belonging.root, (charter,))))
    return await me.what_came(line, node)


async def reports(me: Impostor, node: NodeId, attempt: int, task: int) -> dict[str, Any]:
    line = await let_in(me, node)
    one = Report(AttemptId(attempt), TaskId(task), Outcome.EXITED)
    for number in range(1, 6):
        me.say(line, Beat(BeatId(BOOT, me.clock.boottime_ms(), number), reports=(one,)))
        await asyncio.sleep(0.2)
    return {"duties": sum(isinstance(letter.content, Duty) for letter in me.letters)}


async def asks(me: Impostor, node: NodeId, job: int) -> dict[str, Any]:
    """That a job of somebody else is cancelled."""
    line = await let_in(me, node)
    me.say(line, AskKeeper(1, 1, "cancel", wire.encode(Cancel(str(job)))))
    await until(lambda: answers(me))
    return {"codes": [one.refusal.code if one.refusal else "" for one in answers(me)]}


def answers(me: Impostor) -> list[Parts]:
    return [letter.content for letter in me.letters if isinstance(letter.content, Parts)]


async def throws(me: Impostor, node: NodeId, what: str) -> dict[str, Any]:
    line = await let_in(me, node)
    head = frames.packed(Parcel())
    match what:
        case "oversized":
            line.send(head, bytes(frames.LETTER_BYTES + (64 << 10)))
        case "bomb":
            for _ in range(20):
                line.send(head, b"\x92\x01" + b"\x80" * (1 << 20))
        case "nested":
            line.send(head, b"\x91" * (1 << 20))
        case "raw":
            line.send(b"\xc1" * 100)
        case "unfinished":
            line.send(frames.packed(Parcel(7, 1)), packed(Letter(me.scope, submit_beat())))
    return await me.what_came(line, node)


def submit_beat() -> Beat:
    return Beat(BeatId(BOOT, 1, 1))


async def claims(me: Impostor, node: NodeId) -> dict[str, Any]:
    """The routing id of somebody else's connection, as far as it can be guessed, and one of its own."""
    where = me.company.where(node)
    assert where is not None
    path, came = where.paths[0], []
    with zmq.Context() as ctx:
        for claimed in (b"coordinator", node.encode(), bytes(5), b"\0" + (1 << 31).to_bytes(4, "big")):
            with ctx.socket(zmq.DEALER) as made:
                made.setsockopt(zmq.LINGER, 0)
                made.setsockopt(zmq.ROUTING_ID, claimed) if claimed[:1] != b"\0" else None
                made.setsockopt(zmq.CURVE_SERVERKEY, where.key)
                made.setsockopt(zmq.CURVE_PUBLICKEY, me.keys.public)
                made.setsockopt(zmq.CURVE_SECRETKEY, me.keys.secret)
                made.connect(f"tcp://{path.host}:{path.control}")
                made.send(frames.packed(Hello(1, 1, SystemEntropy().token(16))))
                came.append(await until(lambda made=made: made.poll(0)))  # type: ignore[misc]
    return {"greeted": came}


async def floods(me: Impostor, node: NodeId, kind: str, seconds: float) -> dict[str, Any]:
    print("{}", flush=True)
    sent = lines = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        line = await me.line(node)
        if line is None:
            await asyncio.sleep(0.1)
            continue
        lines += 1
        while line not in me.ended and time.monotonic() < deadline:
            for _ in range(200):
                sent += 1
                if not me.say(line, flooding(kind, sent)):
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0)
    return {"sent": sent, "lines": lines}


def flooding(kind: str, number: int) -> Any:
    match kind:
        case "beats":
            return Beat(BeatId(BOOT, 1, number))
        case "asks":
            return AskKeeper(1, number, "nodes", wire.encode(Nodes()))
        case _:
            return StopAsking(1, number) if number % 2 else AskKeeper(1, number + 1, "status", b"")


ALL: Final = Content | messages.AnyMessage | recover.AnyMessage


async def strange(me: Impostor, node: NodeId, seed: int, count: int) -> dict[str, Any]:
    draw, sent = Random(seed), 0
    known: dict[str, list[Any]] = {"sender": [Member(me.me, StoreId(b"s" * 16))], "mesh": [me.belonging.mesh]}
    known |= {"op": ["nodes", "submit", "cancel", "events", "facts", "status", "follow"], "node": [me.me, node]}
    line = await me.line(node)
    for _ in range(count):
        if line is None or line in me.ended:
            line = await me.line(node)
            await asyncio.sleep(0.5 if line is None else 0)
        content = weird(ALL, draw, known)
        if line is not None and speakable(me, content):
            sent += me.say(line, content)
        await asyncio.sleep(0)
    return {"sent": sent, "heard": len(me.letters)}


def speakable(me: Impostor, content: Any) -> bool:
    """It does not get itself sent away by what is known to be refused: that is tried elsewhere."""
    try:
        letter = Letter(me.scope, content)
        packed(letter)
        check(me.me, letter, me.company.may)
    except OdysseyError:
        return False
    return True


async def watches(me: Impostor, node: NodeId) -> dict[str, Any]:
    """A line may end for another reason, as one of two of one machine: then it comes again."""
    line: Line | None = await let_in(me, node)
    print("{}", flush=True)
    begun = over = time.time()  # all hosts have one wall clock
    while line is not None and over - begun < LONGEST_S:
        while line not in me.ended and over - begun < LONGEST_S:
            me.say(line, submit_beat())
            await asyncio.sleep(0.05)
            over = time.time()
        line = await me.line(node)
    return {"ended": line is None, "at": over}


# -- ways --------------------------------------------------------------------------------------------------------------


async def tried(how: str, node: NodeId, more: list[str]) -> dict[str, Any]:
    me = Impostor()
    try:
        match how:
            case "oversteps":
                return await oversteps(me, node, more[0])
            case "lineage":
                return await shows_lineage(me, node)
            case "reports":
                return await reports(me, node, int(more[0]), int(more[1]))
            case "asks":
                return await asks(me, node, int(more[0]))
            case "throws":
                return await throws(me, node, more[0])
            case "claims":
                return await claims(me, node)
            case "floods":
                return await floods(me, node, more[0], float(more[1]))
            case "weird":
                return await strange(me, node, int(more[0]), int(more[1]))
            case "watches":
                return await watches(me, node)
        return {"in": await me.line(node) is not None}
    finally:
        me.wires.close()


def main(how: str, node: str, *more: str) -> None:
    print(json.dumps(asyncio.run(tried(how, NodeId(node), list(more)))))


if __name__ == "__main__":
    main(*sys.argv[1:])

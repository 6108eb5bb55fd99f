"""Jobs on other machines: their output, sizes and terminals, told by who coordinates; and who may ask for that."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from odyssey import wire
from odyssey.api import errands as q
from odyssey.api import requests as r
from odyssey.api import rights
from odyssey.api import views as v
from odyssey.api.distant import GONE_MS, ROOM, Distant
from odyssey.api.relay.guests import Guests
from odyssey.api.rights import Asker
from odyssey.errors import NotPermitted, Unreachable
from odyssey.ids import AttemptId, NodeId, UserId, task_id
from odyssey.messages import AskKeeper, Here, Parts
from odyssey.model import Outcome
from tests.api.counter import FakeCounter, desk_of, until
from tests.api.test_walk import output
from tests.builders import GIB, Mesh

NOVA = NodeId("node-000000000000000000002")
MINE = AttemptId(77)


class Two:
    """titan coordinates; what is assigned runs on nova."""

    def __init__(self, home: Path) -> None:
        mesh = Mesh()
        for name in ("titan", "nova"):
            (home / name).mkdir()
            mesh.machine(name, cpus=1000, memory=1000 * GIB)
        self.titan, self.nova = FakeCounter(home / "titan", mesh), FakeCounter(home / "nova")
        self.nova.me = NOVA
        self.desk, self.there = desk_of(self.titan), desk_of(self.nova)
        self.titan.others.errands[NOVA] = self.there.errands

    def close(self) -> None:
        for desk in (self.desk, self.there):
            desk.close()

    def assign(self, job: int, *indices: int) -> list[AttemptId]:
        attempts = self.titan.assign(job, *indices, node=2)
        for attempt, index in zip(attempts, indices or (0,), strict=True):
            self.nova.running[attempt] = Here(task_id(job, index))
        return attempts

    def end(self, job: int, index: int = 0, **fields: Any) -> None:
        attempt = self.titan.mesh.attempt(job, index)
        self.nova.running.pop(attempt, None)
        self.nova.outputs.complete.add(attempt)
        for changed in list(self.nova.outputs.watchers):
            changed(attempt)
        self.titan.end(job, index, **fields)

    async def items(self, request: r.Follow | r.Logs) -> AsyncGenerator[v.AnyItem, None]:
        told: v.Told
        handler: Any = self.desk.handlers["follow" if isinstance(request, r.Follow) else "logs"]
        async for told in handler(request):
            for item in told.items:
                yield item

    async def into(self, came: list[v.AnyItem], request: r.Follow | r.Logs) -> None:
        """For who looks meanwhile."""
        async for item in self.items(request):
            came.append(item)  # noqa: PERF401

    async def told(self, request: r.Follow | r.Logs) -> list[v.AnyItem]:
        return [item async for item in self.items(request)]

    async def ask(self, op: str, request: r.Request[Any]) -> Any:
        handler: Any = self.desk.handlers[op]
        return await handler(request)


def played(home: Path, play: Callable[[Two], Coroutine[Any, Any, None]]) -> None:
    async def all_of_it() -> None:
        two = Two(home)
        try:
            async with asyncio.timeout(30):
                await play(two)
        finally:
            two.close()

    asyncio.run(all_of_it())


# ---- following -------------------------------------------------------------------------------------------------------


def test_what_is_written_elsewhere_is_told_as_it_comes_and_no_byte_twice(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit()
        (attempt,) = two.assign(1)
        came: list[v.AnyItem] = []

        following = asyncio.create_task(two.into(came, r.Follow("1")))
        for text in (b"one ", b"two ", b"three"):
            two.nova.outputs.write(attempt, text)
            await until(lambda text=text: text in output(came))  # type: ignore[misc]
        two.nova.outputs.write(attempt, b"bad", v.STDERR)
        two.end(1)
        await following
        assert output(came) == b"one two three"
        assert output(came, v.STDERR) == b"bad"
        kinds = [type(item).__name__ for item in came if not isinstance(item, v.Output | v.Progress)]
        assert kinds == ["Began", "Ended", "Over"]

    played(tmp_path, play)


def test_much_of_it_comes_whole_through_a_bounded_room(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(5_000_000)

    async def play(two: Two) -> None:
        two.titan.submit()
        (attempt,) = two.assign(1)
        two.nova.outputs.write(attempt, data)
        two.nova.outputs.write(attempt, data[:700_000], v.STDERR)
        two.end(1)
        came = await two.told(r.Follow("1"))
        assert output(came) == data
        assert output(came, v.STDERR) == data[:700_000]

    played(tmp_path, play)


def test_who_reads_slowly_is_not_sent_more_than_fits(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit()
        (attempt,) = two.assign(1)
        two.nova.outputs.write(attempt, bytes(8_000_000))
        items = two.items(r.Follow("1"))
        while not isinstance(await anext(items), v.Output):
            pass
        for _ in range(200):
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)  # nobody takes more: nothing more is asked for
        asked = sum(isinstance(errand, q.AskOutput) for _, errand in two.titan.others.asked)
        assert asked <= ROOM // q.MOST_BYTES + 4
        await items.aclose()

    played(tmp_path, play)


@pytest.mark.parametrize("is_grouped", [False, True])
def test_many_tasks_here_and_there(tmp_path: Path, is_grouped: bool) -> None:
    async def play(two: Two) -> None:
        two.titan.submit(count=40)
        here = two.titan.assign(1, *range(20), node=1)
        there = two.assign(1, *range(20, 40))
        following = asyncio.create_task(two.told(r.Follow("1", is_grouped)))
        chance = random.Random(3)
        texts = {
            index: chance.randbytes(chance.choice((0, 5, 900_000 if index in (3, 33) else 70_000)))
            for index in range(40)
        }
        for index in chance.sample(range(40), 40):
            attempt, counter = (here[index], two.titan) if index < 20 else (there[index - 20], two.nova)
            counter.outputs.write(attempt, texts[index])
            two.titan.end(1, index) if index < 20 else two.end(1, index)
            await asyncio.sleep(0)
        came = await following
        for index in range(40):
            mine = [item for item in came if getattr(item, "index", None) == index]
            assert output(mine) == texts[index], index
        if is_grouped:
            order = [item.index for item in came if isinstance(item, v.Output | v.Ended)]
            assert len([one for at, one in enumerate(order) if at == 0 or order[at - 1] != one]) == 40

    played(tmp_path, play)


def test_a_client_that_comes_back_gets_the_rest(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit()
        (attempt,) = two.assign(1)
        two.nova.outputs.write(attempt, b"0123456789")
        two.end(1)
        came = await two.told(r.Follow("1", marks=(r.Mark(attempt, 4),)))
        assert output(came) == b"456789"

    played(tmp_path, play)


def test_a_silent_machine_is_told_and_its_output_comes_when_it_is_back(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit()
        (attempt,) = two.assign(1)
        two.nova.outputs.write(attempt, b"before")
        came: list[v.AnyItem] = []

        def told() -> tuple[str, ...]:
            return next((item.silent for item in reversed(came) if isinstance(item, v.Progress)), ())

        following = asyncio.create_task(two.into(came, r.Follow("1")))
        await until(lambda: output(came) == b"before")
        two.titan.others.silent.add(NOVA)
        two.nova.outputs.write(attempt, b" and ")
        two.titan.clock.advance(1_000)
        two.end(1)
        while told() != ("nova",):
            two.titan.clock.advance(100)
            await asyncio.sleep(0.01)
        two.titan.others.silent.clear()
        two.nova.outputs.write(attempt, b"after")
        await following
        assert output(came) == b"before and after"
        assert next(item for item in came if isinstance(item, v.Ended)).missing is None

    played(tmp_path, play)


def test_what_a_machine_had_that_stays_away_is_said_to_be_missing(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit()
        (attempt,) = two.assign(1)
        two.nova.outputs.write(attempt, b"never seen")
        two.titan.others.silent.add(NOVA)
        two.end(1)
        following = asyncio.create_task(two.told(r.Follow("1")))
        while not following.done():
            two.titan.clock.advance(GONE_MS // 20)
            await asyncio.sleep(0.01)
        (ended,) = (item for item in following.result() if isinstance(item, v.Ended))
        assert (ended.state, ended.missing) == ("done", "nova")

    played(tmp_path, play)


def test_a_try_that_was_lost_with_its_machine_is_not_waited_for(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit()
        (attempt,) = two.assign(1)
        two.nova.outputs.write(attempt, b"first")
        two.titan.others.silent.add(NOVA)
        following = asyncio.create_task(two.told(r.Follow("1")))
        await until(lambda: bool(two.titan.others.asked))
        two.titan.end(1, outcome=Outcome.LOST)
        (again,) = two.titan.assign(1, node=1)
        two.titan.outputs.write(again, b"second")
        two.titan.end(1)
        came = await following
        assert output(came) == b"second"
        assert [type(item).__name__ for item in came if isinstance(item, v.Began | v.Moved | v.Ended)] == [
            *("Began", "Moved", "Began", "Ended")
        ]

    played(tmp_path, play)


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_logs_of_tasks_everywhere_in_their_order(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit(count=600)
        attempts = two.assign(1, *range(600))
        for index, attempt in enumerate(attempts):
            two.nova.outputs.write(attempt, b"x" * 400_000 if index == 300 else b"%d\n" % index)
            two.end(1, index)
        came = await two.told(r.Logs("1"))
        whole = b"".join(b"x" * 400_000 if index == 300 else b"%d\n" % index for index in range(600))
        assert output(came) == whole
        assert len(two.titan.others.asked) < 20

    played(tmp_path, play)


def test_the_last_lines_are_found_there(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit()
        (attempt,) = two.assign(1)
        two.nova.outputs.write(attempt, b"".join(b"%d\n" % number for number in range(200_000)))
        came = await two.told(r.Logs("1", "stdout", 2))
        assert output(came) == b"199998\n199999\n"
        assert [type(item).__name__ for item in came] == ["Began", "Output"]

    played(tmp_path, play)


def test_logs_name_the_machine_that_is_not_there(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit(count=2)
        (attempt,) = two.titan.assign(1, 1, node=1)
        two.titan.outputs.write(attempt, b"here")
        two.assign(1, 0)
        two.titan.others.silent.add(NOVA)
        came: list[v.AnyItem] = []
        with pytest.raises(Unreachable, match="output of job 1 is on nova, which is not there"):
            await two.into(came, r.Logs("1"))
        assert output(came) == b"here"

    played(tmp_path, play)


def test_where_tells_sizes_of_other_machines(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit()
        (attempt,) = two.assign(1)
        two.nova.outputs.write(attempt, b"12345")
        two.nova.files.folders[attempt] = "/home/nova/files/1"
        (task,) = (await two.ask("where", r.Where("1"))).tasks
        assert (task.node, task.stdout_bytes, task.files) == ("nova", 5, "/home/nova/files/1")
        two.titan.others.silent.add(NOVA)
        (task,) = (await two.ask("where", r.Where("1"))).tasks
        assert (task.node, task.stdout_bytes) == ("nova", None)

    played(tmp_path, play)


# ---- typing, and what jobs need --------------------------------------------------------------------------------------


def test_keys_go_to_the_terminal_where_it_is(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit(terminal=(24, 80))
        (attempt,) = two.assign(1)
        two.nova.keys[attempt] = bytearray()
        typed = await two.ask("type", r.Type("1", attempt, 5, 0, b"ls\r", 40, 100))
        assert typed == v.Typed(3)
        assert (bytes(two.nova.keys[attempt]), two.nova.sizes) == (b"ls\r", [(40, 100)])
        other = await two.ask("type", r.Type("1", attempt, 6, 0, b"x"))
        assert not other.is_mine
        await two.ask("type", r.Type("1", attempt, 5, is_over=True))
        assert (await two.ask("type", r.Type("1", attempt, 6, 0, b"x"))).is_mine

    played(tmp_path, play)


def test_a_standard_input_is_read_on_as_it_grows(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        name = bytes(16)
        await two.ask("stdin_put", r.PutStdin(name, 0, b"one"))
        assert await two.desk.errands["stdin-of"](q.AskStdin(name)) == q.Chunk(b"one", 3)
        asking: Any = two.desk.errands["stdin-of"](q.AskStdin(name, 3, 20_000))
        waiting = asyncio.create_task(asking)
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await two.ask("stdin_put", r.PutStdin(name, 3, b"two", is_end=True))
        assert await waiting == q.Chunk(b"two", 6, is_complete=True)
        assert await two.desk.errands["stdin-of"](q.AskStdin(bytes(15) + b"x")) == q.Chunk(is_known=False)

    played(tmp_path, play)


# ---- who may ---------------------------------------------------------------------------------------------------------

ERRANDS: dict[str, q.Errand[Any]] = {
    "output-of": q.AskOutput((q.Want(MINE),)),
    "sizes-of": q.AskSizes(((1, MINE),)),
    "keys-for": q.Keys(1, MINE, 1, 0, b"rm -r ~\r"),
    "blob-of": q.AskBlob(bytes(32)),
    "stdin-of": q.AskStdin(bytes(16)),
    "examine": q.Examine(),
    "programs-on": q.SeekPrograms(("sh",)),
    "offer": q.Offer(),
}


def test_every_errand_is_tried_here() -> None:
    assert set(ERRANDS) == set(q.BY_NAME)


def test_the_protocol_names_every_errand() -> None:
    text = (Path(__file__).parents[2] / "docs" / "PROTOCOL.md").read_text()
    for row in q.TABLE:
        assert f"| `{row.name}` | {row.request.__name__} | {row.answer.__name__} | {row.who.value} |" in text


@pytest.mark.parametrize("op", ERRANDS)
@pytest.mark.parametrize("may", [frozenset[q.Who](), frozenset({q.Who.WORKER}), frozenset({q.Who.KEEPER})])
def test_machines_may_ask_what_their_certificate_says(tmp_path: Path, op: str, may: frozenset[q.Who]) -> None:
    async def play(two: Two) -> None:
        two.nova.outputs.write(MINE, b"secret")
        letters: list[Parts] = []
        guests = Guests(
            *(two.there.handlers, lambda _, letter: letters.append(letter), lambda: 0),
            *(lambda _: rights.welcome(two.titan.host), lambda _: None),
            *(two.there.errands, lambda _, who: who in may),
        )
        guests.hear(two.titan.me, AskKeeper(1, 1, op, wire.encode(ERRANDS[op])))
        await until(lambda: bool(letters))
        guests.close()
        refused = next((letter.refusal.code for letter in letters if letter.refusal is not None), "")
        assert (refused != NotPermitted.__name__) is (q.BY_NAME[op].who in may)
        assert (b"secret" in b"".join(part for letter in letters for part in letter.parts)) is (
            op == "output-of" and q.Who.KEEPER in may
        )

    played(tmp_path, play)


def test_whose_job_it_is_not_reads_and_types_nothing(tmp_path: Path) -> None:
    async def play(two: Two) -> None:
        two.titan.submit(terminal=(24, 80))
        (attempt,) = two.assign(1)
        two.nova.outputs.write(attempt, b"annas")
        two.titan.host = Asker(UserId("ben"), two.titan.me)
        for request in (r.Logs("1"), r.Follow("1")):
            came: list[v.AnyItem] = []
            with pytest.raises(NotPermitted):
                await two.into(came, request)
            assert came == []
        with pytest.raises(NotPermitted):
            await two.ask("type", r.Type("1", attempt, 1, 0, b"x"))
        assert two.titan.others.asked == []

    played(tmp_path, play)


# ---- bytes as they arrive, by themselves -----------------------------------------------------------------------------


def test_doubled_late_and_torn_answers_make_the_same_bytes() -> None:
    chance = random.Random(9)
    data = chance.randbytes(3_000)
    distant, got = Distant(lambda *_: None), bytearray()
    distant.begin(MINE, NOVA, 0, 0)
    for _ in range(2_000):
        want = q.Want(MINE)
        at = chance.randrange(len(data))
        piece = q.Piece(MINE, True, True, q.Stream(at, data[at : at + chance.randrange(400)], len(data)))
        distant.take([want], [piece], 0)
        got += distant.read(MINE, v.STDOUT, len(got), chance.randrange(1, 300))
    extent = distant.extent(MINE, v.STDOUT)
    assert extent is not None
    assert extent.is_complete
    got += distant.read(MINE, v.STDOUT, len(got), len(data))
    assert bytes(got) == data


def test_one_that_all_others_wait_for_does_not_wait_for_their_room() -> None:
    distant = Distant(lambda *_: None)
    for attempt in (1, 2):
        distant.begin(AttemptId(attempt), NOVA, 0, 0)
        distant.settle(AttemptId(attempt), 0)
    piece = q.Piece(1, True, False, q.Stream(0, bytes(ROOM), 2 * ROOM))
    distant.take([q.Want(1)], [piece], 0)
    assert distant.wants(NOVA, 0) == ()
    distant.prefer(AttemptId(2))
    assert distant.wants(NOVA, 0) == (q.Want(2, is_over=True),)

"""A machine that keeps no log, and the one it asks: over letters that the tests lose, double, hold back and reorder."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from odyssey import errors, wire
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.client import Client
from odyssey.api.door import Door, Handler
from odyssey.api.relay.guests import GONE_MS, MOST_ASKED, Guests
from odyssey.api.relay.passing import Passing
from odyssey.api.relay.questions import SILENT_MS
from odyssey.api.relay.window import WINDOW_BYTES
from odyssey.api.views import View
from odyssey.commands import SetPriority
from odyssey.errors import NotPermitted
from odyssey.ids import NodeId
from odyssey.messages import Asked, AskKeeper, Parts, StopAsking, Taken
from tests.api.counter import FakeCounter, blocking, desk_of, until
from tests.api.test_walk import output
from tests.builders import a_spec

ME, KEEPER, OTHER = NodeId("me"), NodeId("keeper"), NodeId("other")


class Post:
    """Between one machine that asks and those that keep the log. Time goes on only when nothing else does."""

    def __init__(self, chance: random.Random | None = None, lost: float = 0.0) -> None:
        self.now = 1_000
        self.chance, self.lost = chance or random.Random(1), lost
        self.guests: dict[NodeId, Guests] = {}
        self.order = [KEEPER]
        self.said: list[tuple[NodeId, Asked | Parts]] = []
        self.welcomed: list[NodeId] = []
        self.bugs: list[BaseException] = []
        self.is_cut = False
        self._due: list[Callable[[], None]] = []
        self._timers: list[tuple[int, Callable[[], None]]] = []
        self.leader: NodeId | None = None
        self.keeps = False
        self.passing = Passing(
            *(7, self.to_keeper, lambda: self.order, lambda: self.now, self),
            leads=lambda: self.leader,
            keeps=lambda: self.keeps,
        )

    def keeper(self, name: NodeId, handlers: dict[str, Handler] | Any) -> Guests:
        def back(node: NodeId, letter: Parts) -> None:
            assert node == ME
            self._carry(name, letter, lambda: self.passing.hear(name, letter))

        self.guests[name] = Guests(handlers, back, lambda: self.now, self.welcomed.append, self.bugs.append)
        return self.guests[name]

    def to_keeper(self, node: NodeId, letter: Asked) -> None:
        def arrive() -> None:
            if node in self.guests:
                self.guests[node].hear(ME, letter)

        self._carry(node, letter, arrive)

    def _carry(self, node: NodeId, letter: Asked | Parts, arrive: Callable[[], None]) -> None:
        self.said.append((node, letter))
        if not self.is_cut and self.chance.random() >= self.lost:
            self._due += [arrive] * (2 if self.chance.random() < self.lost else 1)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self._timers.append((self.now + int(delay * 1000), callback))

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            for _ in range(8):
                await asyncio.sleep(0)
            if self._due:
                if self.lost:
                    self.chance.shuffle(self._due)
                self._due.pop(0)()
            else:
                self.pass_time(50)

    def pass_time(self, ms: int) -> None:
        self.now += ms
        due, self._timers = (
            [one for one in self._timers if one[0] <= self.now],
            [one for one in self._timers if one[0] > self.now],
        )
        for _, callback in due:
            callback()
        for guests in self.guests.values():
            guests.tick()

    def asks(self, node: NodeId = KEEPER) -> int:
        return len({letter.number for to, letter in self.said if to == node and isinstance(letter, AskKeeper)})


def played(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def all_of_it() -> None:
        async with asyncio.timeout(20):
            await play()

    asyncio.run(all_of_it())


class Posted:
    """The letters go while this is entered."""

    def __init__(self, post: Post) -> None:
        self._post = post

    async def __aenter__(self) -> Post:
        self._running = asyncio.get_running_loop().create_task(self._post.run())
        return self._post

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        for guests in self._post.guests.values():
            guests.close()
        if self._post.bugs:
            raise self._post.bugs[0]


async def call(post: Post, op: str, request: r.Request[Any]) -> Any:
    answer = post.passing.handlers[op](request)
    assert isinstance(answer, Awaitable)
    return await answer


def stream(post: Post, op: str, request: r.Request[Any]) -> AsyncGenerator[View, None]:
    answer = post.passing.handlers[op](request)
    assert isinstance(answer, AsyncGenerator)
    return answer


def constant(view: View) -> Handler:
    async def handler(_: Any) -> View:
        return view

    return handler


# ---- the whole way ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "lost"), [(0, 0.0), *((seed, 0.15) for seed in range(8))])
def test_a_job_asked_for_where_no_log_is_kept(tmp_path: Path, seed: int, lost: float) -> None:
    """From a client's socket to another machine's state and back."""

    async def play() -> None:
        counter = FakeCounter(tmp_path)
        async with Posted(Post(random.Random(seed), lost)) as post:
            post.keeper(KEEPER, desk_of(counter).handlers)
            door = Door(post.passing.handlers, post.bugs.append)
            await door.open(tmp_path / "s")
            with Client(tmp_path / "s") as client:
                submit = r.Submit(os.urandom(16), (a_spec(user=""),))
                assert await blocking(lambda: client.call(submit)) == v.Submitted(1, 1, 1)
                following = asyncio.create_task(blocking(lambda: list(client.follow(r.Follow("last")))))
                (attempt,) = counter.assign(1)
                written = [bytes([n]) * 10_000 for n in range(100)]
                for piece in written:
                    counter.outputs.write(attempt, piece)
                    await asyncio.sleep(0)
                counter.end(1)
                assert output(await following) == b"".join(written)
            await door.close()

    played(play)


@pytest.mark.parametrize("seed", range(20))
def test_a_question_that_comes_twice_is_carried_out_once(tmp_path: Path, seed: int) -> None:
    async def play() -> None:
        counter = FakeCounter(tmp_path)
        counter.submit()
        async with Posted(Post(random.Random(seed), lost=0.15)) as post:
            post.keeper(KEEPER, desk_of(counter).handlers)
            for priority in range(10):
                await call(post, "prio", r.Prio("1", priority))
        told = [one.priority for one in counter.proposed if isinstance(one, SetPriority)]
        assert told == list(range(10))

    played(play)


def test_what_is_refused_there_is_refused_here_in_the_same_words(tmp_path: Path) -> None:
    async def play() -> None:
        async with Posted(Post()) as post:
            post.keeper(KEEPER, desk_of(FakeCounter(tmp_path)).handlers)
            with pytest.raises(errors.OdysseyError) as told:
                await call(post, "job", r.Job("99"))
            assert told.value.message == "there is no job 99"
            assert told.value.hint
            with pytest.raises(errors.InvalidSpec):
                await call(post, "submit", r.Submit(bytes(16), (a_spec(argv=()),)))
            assert post.asks() == 2  # nobody else is asked what was refused
            assert post.welcomed == [ME, ME]

    played(play)


def test_a_request_that_the_other_version_does_not_know() -> None:
    async def play() -> None:
        async with Posted(Post()) as post:
            post.keeper(KEEPER, {})
            with pytest.raises(errors.UsageError, match="does not know the request 'queue'"):
                await call(post, "queue", r.Queue())

    played(play)


def test_a_bug_there_is_told_and_reported() -> None:
    async def broken(_: Any) -> View:
        raise ZeroDivisionError

    async def play() -> None:
        async with Posted(Post()) as post:
            post.keeper(KEEPER, {"queue": broken})
            with pytest.raises(errors.OdysseyError, match="a bug in Odyssey: ZeroDivisionError"):
                await call(post, "queue", r.Queue())
            assert [type(bug) for bug in post.bugs] == [ZeroDivisionError]
            post.bugs.clear()

    played(play)


# ---- nobody answers --------------------------------------------------------------------------------------------------


def test_without_a_keeper_it_says_so() -> None:
    async def play() -> None:
        async with Posted(Post()) as post:
            post.order = []
            with pytest.raises(errors.Unreachable, match="no machine that keeps"):
                await call(post, "queue", r.Queue())

    played(play)


def test_who_does_not_answer_is_left_for_another() -> None:
    async def play() -> None:
        async with Posted(Post()) as post:
            post.order = [KEEPER, OTHER]
            post.keeper(OTHER, {"queue": constant(v.QueueView(()))})
            assert await call(post, "queue", r.Queue()) == v.QueueView(())
            assert (post.asks(KEEPER), post.asks(OTHER)) == (1, 1)

    played(play)


def test_what_would_happen_twice_is_not_asked_elsewhere() -> None:
    async def play() -> None:
        async with Posted(Post()) as post:
            post.order = [KEEPER, OTHER]
            post.keeper(OTHER, {"retry": constant(v.Changed(1, 1))})
            with pytest.raises(errors.Unreachable, match="does not answer"):
                await call(post, "retry", r.Retry("1"))
            assert post.asks(OTHER) == 0

    played(play)


def test_an_answer_that_has_begun_is_not_begun_again_elsewhere() -> None:
    async def play() -> None:
        async with Posted(Post()) as post:
            post.order = [KEEPER, OTHER]
            post.keeper(KEEPER, {"events": endless})
            post.keeper(OTHER, {"events": endless})
            parts = stream(post, "events", r.Events())
            await anext(parts)
            post.is_cut = True
            with pytest.raises(errors.Unreachable):
                [part async for part in parts]
            assert post.asks(OTHER) == 0

    played(play)


def test_one_that_began_anew_knows_nothing_of_a_question() -> None:
    async def play() -> None:
        async with Posted(Post()) as post:
            post.keeper(KEEPER, {"events": waiting})
            parts = stream(post, "events", r.Events())
            await anext(parts)
            post.guests[KEEPER].close()
            post.keeper(KEEPER, {"events": waiting})
            with pytest.raises(errors.Unreachable, match="knows nothing of it"):
                await anext(parts)

    played(play)


def test_after_a_lost_link_it_is_asked_again_at_once() -> None:
    async def play() -> None:
        post = Post()
        post.is_cut = True
        asking = asyncio.ensure_future(call(post, "queue", r.Queue()))
        await until(lambda: len(post.said) == 1)
        post.passing.lost(KEEPER)
        assert [type(letter) for _, letter in post.said] == [AskKeeper, AskKeeper]
        asking.cancel()

    played(play)


# ---- too much, too slow, gone ----------------------------------------------------------------------------------------


async def endless(_: Any) -> AsyncGenerator[View, None]:
    while True:
        yield v.EventPage(())
        await asyncio.sleep(0)


async def waiting(_: Any) -> AsyncGenerator[View, None]:
    yield v.EventPage(())
    await asyncio.get_running_loop().create_future()


def test_while_nobody_takes_what_there_is_nothing_more_is_made() -> None:
    made = 0

    async def eager(_: Any) -> AsyncGenerator[View, None]:
        nonlocal made
        while True:
            made += 1
            yield v.Told((v.Output(0, 1, v.STDOUT, 0, bytes(10_000)),))

    async def play() -> None:
        async with Posted(Post()) as post:
            post.keeper(KEEPER, {"follow": eager})
            parts = stream(post, "follow", r.Follow("1"))
            await anext(parts)
            end = post.now + 60_000  # it goes on waiting, for long
            await until(lambda: post.now > end)
            assert made <= 3 * (WINDOW_BYTES // 10_000)
            before = made
            for _ in range(200):
                await anext(parts)
            assert made > before + 100
            await parts.aclose()

    played(play)


def noticing(ended: list[bool]) -> Callable[[Any], AsyncGenerator[View, None]]:
    async def told(request: Any) -> AsyncGenerator[View, None]:
        try:
            async for part in waiting(request):
                yield part
        finally:
            ended.append(True)

    return told


def test_whoever_goes_ends_what_he_asked_for() -> None:
    ended: list[bool] = []

    async def play() -> None:
        async with Posted(Post()) as post:
            post.keeper(KEEPER, {"events": noticing(ended)})
            parts = stream(post, "events", r.Events())
            await anext(parts)
            await parts.aclose()
            await until(lambda: bool(ended))
            assert isinstance(post.said[-1][1], StopAsking)

    played(play)


def test_a_machine_that_says_nothing_more_has_gone() -> None:
    async def play() -> None:
        letters: list[Parts] = []
        now = [0]
        ended: list[bool] = []
        guests = Guests(
            {"events": noticing(ended)}, lambda _, letter: letters.append(letter), lambda: now[0], lambda _: None, print
        )
        guests.hear(ME, AskKeeper(1, 1, "events", b"\x90"))
        await until(lambda: len(letters) == 1)
        now[0] = GONE_MS - 1
        guests.hear(ME, Taken(1, 1, 1))  # a sign of life
        now[0] = 2 * GONE_MS - 2
        guests.tick()
        guests.hear(ME, Taken(1, 1, 1))
        assert letters[-1].refusal is None
        assert not ended
        now[0] = 3 * GONE_MS
        guests.tick()
        await until(lambda: bool(ended))
        now[0] = 4 * GONE_MS
        guests.tick()
        guests.hear(ME, Taken(1, 1, 1))
        assert letters[-1].refusal is not None

    played(play)


def test_who_asks_too_much_is_refused_and_others_are_not() -> None:
    async def play() -> None:
        letters: list[tuple[NodeId, Parts]] = []
        guests = Guests(
            {"events": waiting}, lambda node, letter: letters.append((node, letter)), lambda: 0, lambda _: None, print
        )
        for number in range(MOST_ASKED + 1):
            guests.hear(ME, AskKeeper(1, number, "events", b"\x90"))
        refused = [(node, letter.number) for node, letter in letters if letter.refusal is not None]
        assert refused == [(ME, MOST_ASKED)]
        guests.hear(OTHER, AskKeeper(1, 1, "events", b"\x90"))
        assert [node for node, letter in letters if letter.refusal is not None] == [ME]
        guests.close()

    played(play)


def test_a_copy_that_comes_late_is_not_carried_out() -> None:
    async def play() -> None:
        letters: list[Parts] = []
        now = [0]
        guests = Guests(
            {"queue": constant(v.QueueView(()))}, lambda _, letter: letters.append(letter), lambda: now[0],
            lambda _: None, print,
        )  # fmt: skip
        guests.hear(ME, AskKeeper(1, 1, "queue", b"\x90"))
        await until(lambda: bool(letters))
        guests.hear(ME, StopAsking(1, 1))
        now[0] = GONE_MS - 1
        guests.tick()
        guests.hear(ME, AskKeeper(1, 1, "queue", b"\x90"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(letters) == 1

    played(play)


def test_only_who_was_asked_answers() -> None:
    async def play() -> None:
        post = Post()
        asking = asyncio.ensure_future(call(post, "queue", r.Queue()))
        await until(lambda: len(post.said) == 1)
        true, false = v.QueueView(()), v.QueueView((), 7)
        for node, view in ((OTHER, false), (KEEPER, true)):
            post.passing.hear(node, Parts(7, 1, 0, (wire.encode(view),), True))
        assert await asking == true

    played(play)


def test_a_question_of_a_daemon_that_is_no_more_is_forgotten_for_the_next() -> None:
    async def play() -> None:
        letters: list[Parts] = []
        guests = Guests({"events": waiting}, lambda _, letter: letters.append(letter), lambda: 0, lambda _: None, print)
        for run in (2, 1, 3):
            guests.hear(ME, AskKeeper(run, 1, "events", b"\x90"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert [letter.run for letter in letters] == [2, 3]
        guests.close()

    played(play)


def test_letters_that_nobody_waits_for_are_answered_so_that_they_end() -> None:
    async def play() -> None:
        post = Post()
        post.passing.hear(KEEPER, Parts(7, 99, 0, (b"x",)))
        assert post.said == [(KEEPER, StopAsking(7, 99))]
        post.passing.hear(KEEPER, Parts(6, 1, 0, (b"x",), True))  # of the daemon before
        assert post.said[1:] == [(KEEPER, StopAsking(6, 1))]

    played(play)


def test_who_asks_without_end_costs_a_bounded_amount_and_no_time() -> None:
    async def play() -> None:
        letters: list[Parts] = []
        now = [0]
        guests = Guests(
            {"events": waiting}, lambda _, letter: letters.append(letter), lambda: now[0], lambda _: None, print
        )
        began = process_time()
        for number in range(20_000):
            guests.hear(ME, AskKeeper(1, number, "events", b"\x90"))
        assert sum(letter.refusal is not None for letter in letters) == 20_000 - MOST_ASKED
        assert process_time() - began < 5  # looking all of them through for each takes a minute
        guests.hear(OTHER, AskKeeper(1, 1, "events", b"\x90"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert letters[-1].refusal is None  # others are asked for nothing by that
        guests.close()

    played(play)


def test_only_so_many_questions_that_are_over_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey.api.relay.guests.MOST_GONE", 3)

    async def play() -> None:
        letters: list[Parts] = []
        guests = Guests({"events": waiting}, lambda _, letter: letters.append(letter), lambda: 0, lambda _: None, print)
        for number in range(5):
            guests.hear(ME, AskKeeper(1, number, "events", b"\x90"))
            guests.hear(ME, StopAsking(1, number))
        for number in (4, 0):
            guests.hear(ME, AskKeeper(1, number, "events", b"\x90"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert [letter.number for letter in letters] == [0]
        guests.close()

    played(play)


def test_who_may_not_ask_is_told_so() -> None:
    async def play() -> None:
        letters: list[Parts] = []

        def welcome(_: NodeId) -> None:
            raise NotPermitted("this machine may not ask that", hint="its certificate does not say so")

        guests = Guests({"events": waiting}, lambda _, letter: letters.append(letter), lambda: 0, welcome, print)
        guests.hear(ME, AskKeeper(1, 1, "events", b"\x90"))
        await until(lambda: bool(letters))
        assert letters[0].refusal is not None
        assert letters[0].refusal.code == "NotPermitted"
        guests.close()

    played(play)


# ---- another coordinator ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leader", [OTHER, None])
def test_a_coordinator_that_says_nothing_is_left_when_it_coordinates_no_more(leader: NodeId | None) -> None:
    async def play() -> None:
        async with Posted(Post()) as post:
            post.order, post.leader = [KEEPER, OTHER], KEEPER
            post.keeper(OTHER, {"nodes": constant(v.NodeList(()))})
            asking = asyncio.create_task(call(post, "nodes", r.Nodes()))
            await until(lambda: post.now >= 2_500)
            assert not asking.done()
            post.leader = leader
            assert await asking == v.NodeList(())
            assert post.now < 1_000 + SILENT_MS

    played(play)


def test_whoever_answers_is_waited_for_though_another_one_coordinates_now() -> None:
    async def play() -> None:
        over = asyncio.Event()

        async def slow(_: Any) -> View:
            await over.wait()
            return v.NodeList(())

        async with Posted(Post()) as post:
            post.order, post.leader = [KEEPER, OTHER], KEEPER
            post.keeper(KEEPER, {"nodes": slow})
            asking = asyncio.create_task(call(post, "nodes", r.Nodes()))
            await until(lambda: bool(post.asks()))
            post.leader = OTHER
            await until(lambda: post.now >= 1_000 + 2 * SILENT_MS)
            over.set()
            assert await asking == v.NodeList(())
            assert post.asks(OTHER) == 0

    played(play)


def test_who_keeps_the_log_too_asks_nobody_else_when_the_coordinator_is_silent() -> None:
    async def play() -> None:
        async with Posted(Post()) as post:
            post.order, post.keeps = [KEEPER, OTHER], True
            with pytest.raises(errors.Unreachable):
                await call(post, "nodes", r.Nodes())
            assert post.asks(OTHER) == 0

    played(play)

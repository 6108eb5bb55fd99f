"""The door and those who knock: bad manners, many at once, a daemon that goes and comes back."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncGenerator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from odyssey import errors, wire
from odyssey.api import door, frames
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.aclient import AsyncClient
from odyssey.api.client import Client
from odyssey.api.door import Door
from odyssey.errors import OdysseyError
from tests.api.counter import FakeCounter, blocking, opened, until
from tests.api.test_walk import output, walked
from tests.builders import a_spec

HELLO = frames.packed(frames.Hello(1))


class Knocker:
    """A visitor that says just what the test wants."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self) -> frames.ToClient | None:
        head = self._take(frames.LENGTH)
        if head is None:
            return None
        data = self._take(frames.length(head))
        assert data is not None
        return wire.decode_message(data, frames.ToClient, frames.FRAME)

    def _take(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                return None
            data += more
        return data

    def close(self) -> None:
        self.socket.close()


def knocked(tmp_path: Path, *said: bytes) -> list[frames.ToClient]:
    """All that the door says until it closes, or has said as much as it was asked."""
    heard: list[frames.ToClient] = []

    async def walk(counter: FakeCounter, _: Client) -> None:
        def knock() -> None:
            with closing(Knocker(tmp_path / "s")) as knocker:
                for data in said:
                    knocker.say(data)
                knocker.socket.shutdown(socket.SHUT_WR)
                with suppress(ConnectionResetError):
                    while (frame := knocker.hear()) is not None:
                        heard.append(frame)

        await blocking(knock)

    walked(tmp_path, walk)
    return heard


def ask(number: int, op: str, request: object) -> bytes:
    return frames.packed(frames.Ask(number, op, wire.encode(request)))


BAD = {
    "no hello": [ask(1, "status", r.Status())],
    "too long": [HELLO, (frames.FRAME.bytes + 1).to_bytes(4, "big")],
    "not a frame": [HELLO, b"\0\0\0\3abc"],
    "http": [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"],
    "no envelope": [HELLO, (1).to_bytes(4, "big") + b"\x01"],
}


@pytest.mark.parametrize("said", BAD.values(), ids=BAD)
def test_bad_manners_end_the_conversation_with_a_word(tmp_path: Path, said: list[bytes]) -> None:
    heard = knocked(tmp_path, *said)
    assert isinstance(heard[-1], frames.Refused)
    assert heard[-1].number == 0


def test_a_number_may_not_be_used_twice_at_once(tmp_path: Path) -> None:
    watch = ask(1, "watch", r.Watch())
    heard = knocked(tmp_path, HELLO, watch + watch)
    assert isinstance(heard[-1], frames.Refused)


def test_what_is_not_known_or_cannot_be_read_is_refused_and_the_talk_goes_on(tmp_path: Path) -> None:
    async def walk(_: FakeCounter, client: Client) -> None:
        def knock() -> list[frames.ToClient | None]:
            with closing(Knocker(tmp_path / "s")) as knocker:
                knocker.say(HELLO + ask(1, "fly", r.Status()) + frames.packed(frames.Ask(2, "job", b"\xc1")))
                knocker.say(frames.packed(frames.Stop(77)) + ask(3, "status", r.Status()))
                return sorted((knocker.hear() for _ in range(4)), key=lambda one: getattr(one, "number", 0))

        _hello, unknown, unreadable, status = await blocking(knock)
        assert isinstance(unknown, frames.Refused)
        assert unknown.exit_status == 2
        assert isinstance(unreadable, frames.Refused)
        assert isinstance(status, frames.Reply)

    walked(tmp_path, walk)


def test_strangers_are_not_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "peer_uid", lambda _: os.getuid() + 1)

    async def walk(_: FakeCounter, client: Client) -> None:
        with pytest.raises(errors.NotPermitted):
            await blocking(lambda: client.call(r.Status()))

    walked(tmp_path, walk)


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    ours, other = socket.socketpair(socket.AF_UNIX)
    with closing(ours), closing(other):
        assert door.peer_uid(ours) == os.getuid()


def test_the_socket_is_its_owners_alone(tmp_path: Path) -> None:
    listening = door.bound(tmp_path / "s")
    with closing(listening):
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600


# -- slow, dead, many --------------------------------------------------------------------------------------------------


class Endless:
    """A stream without end, that says how much was taken of it."""

    def __init__(self) -> None:
        self.made = 0
        self.is_over = False

    async def __call__(self, _: object) -> AsyncGenerator[v.Told, None]:
        try:
            while True:
                self.made += 1
                yield v.Told((v.Output(0, 1, 1, 0, bytes(1 << 16)),))
        finally:
            self.is_over = True


def serving(tmp_path: Path, handlers: dict[str, Any], talk: Any, bugs: list[BaseException] | None = None) -> None:
    async def serve() -> None:
        async with asyncio.timeout(20):
            served = Door(handlers, (bugs if bugs is not None else []).append)
            await served.open(tmp_path / "s")
            try:
                await talk()
            finally:
                await served.close()

    asyncio.run(serve())


def test_a_slow_reader_stops_only_what_is_made_for_him(tmp_path: Path) -> None:
    endless = Endless()

    async def status(_: object) -> v.View:
        return v.Nothing()

    async def talk() -> None:
        slow, quick = Knocker(tmp_path / "s"), Knocker(tmp_path / "s")
        with closing(slow), closing(quick):
            slow.say(HELLO + ask(1, "follow", r.Follow("1")))
            quick.say(HELLO)
            await blocking(quick.hear)
            before = -1
            while before != endless.made or not endless.made:  # until nothing more is made
                before = endless.made
                for number in range(3):
                    quick.say(ask(number, "status", r.Status()))
                    await blocking(quick.hear)
            assert endless.made * (1 << 16) < 8 << 20
        await until(lambda: endless.is_over)

    serving(tmp_path, {"follow": endless, "status": status}, talk)


def test_who_stops_a_stream_is_told_that_it_is_over(tmp_path: Path) -> None:
    endless = Endless()

    async def talk() -> None:
        def knock() -> None:
            with closing(Knocker(tmp_path / "s")) as knocker:
                knocker.say(HELLO + ask(5, "follow", r.Follow("1")))
                knocker.hear()
                knocker.hear()
                knocker.say(frames.packed(frames.Stop(5)))
                while not isinstance(knocker.hear(), frames.Done):
                    pass

        await blocking(knock)
        assert endless.is_over

    serving(tmp_path, {"follow": endless}, talk)


def test_a_bug_of_a_handler_is_reported_and_told(tmp_path: Path) -> None:
    bugs: list[BaseException] = []

    async def status(_: object) -> v.View:
        raise ZeroDivisionError

    async def talk() -> None:
        with Client(tmp_path / "s") as client, pytest.raises(OdysseyError) as told:
            await blocking(lambda: client.call(r.Status()))
        assert told.value.exit_status == 1
        assert "bug" in told.value.message

    serving(tmp_path, {"status": status}, talk, bugs)
    assert [type(bug) for bug in bugs] == [ZeroDivisionError]


def test_many_threads_ask_at_once(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        numbers: list[int] = []

        def work() -> None:
            numbers.extend(client.call(r.Submit(os.urandom(16), (a_spec(),))).id for _ in range(20))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await blocking(thread.join)
        assert sorted(numbers) == list(range(1, 161))

    walked(tmp_path, walk)


# -- a daemon that goes and comes back ---------------------------------------------------------------------------------


def test_a_submit_over_a_restart_is_one_job_and_a_follow_goes_on(tmp_path: Path) -> None:
    counter, path = FakeCounter(tmp_path), tmp_path / "s"
    counter.submit()

    async def restart() -> None:
        with Client(path) as client:
            async with asyncio.timeout(20):
                async with opened(counter, path):
                    (attempt,) = counter.assign(1)
                    counter.outputs.write(attempt, b"before")
                    following = client.follow(r.Follow("1"))
                    items = [await blocking(lambda: next(following)) for _ in range(2)]
                rest = asyncio.create_task(blocking(lambda: list(following)))
                late = asyncio.create_task(blocking(lambda: client.call(r.Submit(bytes(16), (a_spec(),)))))
                counter.outputs.write(attempt, b", after")
                async with opened(counter, path):
                    assert (await late).id == 2
                    await until(lambda: counter.listened(1))
                    counter.end(1)
                    items += await rest
            assert output(items) == b"before, after"
            assert [type(item).__name__ for item in items if not isinstance(item, v.Output | v.Progress)] == [
                "Began", "Ended", "Over",
            ]  # fmt: skip

    asyncio.run(restart())


def test_the_asyncio_client_does_the_same(tmp_path: Path) -> None:
    counter, path = FakeCounter(tmp_path), tmp_path / "s"

    async def restart() -> None:
        async with asyncio.timeout(20), AsyncClient(path) as client:
            async with opened(counter, path):
                assert (await client.call(r.Submit(bytes(16), (a_spec(),)))).id == 1
                (attempt,) = counter.assign(1)
                counter.outputs.write(attempt, b"before")
                following = client.follow(r.Follow("1"))
                items = [await anext(following) for _ in range(2)]
                with pytest.raises(errors.UsageError):
                    await client.call(r.Job("nobody"))
            counter.outputs.write(attempt, b", after")
            async with opened(counter, path):
                counter.end(1)
                items += [item async for item in following]
                assert (await client.call(r.Status())).jobs["done"] == 1
            assert output(items) == b"before, after"
            assert isinstance(items[-1], v.Over)

    asyncio.run(restart())


def test_the_asyncio_client_says_at_once_that_there_is_no_daemon(tmp_path: Path) -> None:
    async def call() -> None:
        async with AsyncClient(tmp_path / "s") as client:
            with pytest.raises(errors.Unreachable):
                await client.call(r.Status())

    asyncio.run(call())


def test_a_daemon_that_stays_away_is_given_up(tmp_path: Path) -> None:
    counter, path = FakeCounter(tmp_path), tmp_path / "s"
    counter.submit()

    async def away() -> None:
        async with asyncio.timeout(20), AsyncClient(path, patience=0.1) as asynchronous:
            with Client(path, patience=0.1) as client:
                async with opened(counter, path):
                    counter.assign(1)
                    followings = client.follow(r.Follow("1")), client.wait("1")
                    assert isinstance(await blocking(lambda: next(followings[0])), v.Began)
                    waiting = asyncio.create_task(blocking(lambda: list(followings[1])))
                    following = asynchronous.follow(r.Follow("1"))
                    assert isinstance(await anext(following), v.Began)
                with pytest.raises(errors.Unreachable):
                    await blocking(lambda: list(followings[0]))
                with pytest.raises(errors.Unreachable):
                    await waiting
                with pytest.raises(errors.Unreachable):
                    await anext(following)

    asyncio.run(away())


def test_a_request_of_another_version_is_told_as_that(tmp_path: Path) -> None:
    """One with a field more than this daemon knows, in a record that may have none."""
    spec = [*msgspec.msgpack.decode(msgspec.msgpack.encode(a_spec())), "more"]

    async def walk(counter: FakeCounter, _: Client) -> None:
        def knock() -> frames.ToClient | None:
            with closing(Knocker(tmp_path / "s")) as knocker:
                knocker.say(HELLO + ask(1, "submit", [bytes(16), [spec]]))
                assert isinstance(knocker.hear(), frames.Hello)
                return knocker.hear()

        heard = await blocking(knock)
        assert isinstance(heard, frames.Refused)
        assert "the daemon that runs here is of another version" in heard.error
        assert "odyssey down, then odyssey up" in str(heard.hint)
        assert not counter.proposed

    walked(tmp_path, walk)

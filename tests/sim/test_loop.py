"""Virtual time: the order of callbacks, what they raise, and coroutines."""

import asyncio

import pytest

from tests.sim.loop import Idle, VirtualLoop


def test_callbacks_run_by_time_and_at_one_moment_in_the_order_they_were_asked_for() -> None:
    loop, told = VirtualLoop(), list[object]()
    for delay, name in ((2.0, "c"), (1.0, "a"), (2.0, "d"), (1.0, "b")):
        loop.call_later(delay, lambda name=name: told.append((loop.time(), name)))
    loop.run_until(1.5)
    assert told == [(1.0, "a"), (1.0, "b")]
    assert (loop.time(), loop.now_ms) == (1.5, 1500)
    loop.run_until(3)
    assert told[2:] == [(2.0, "c"), (2.0, "d")]


def test_what_is_asked_for_now_comes_after_what_is_due_now() -> None:
    loop, told = VirtualLoop(), list[object]()
    loop.call_at(1, lambda: loop.call_soon(told.append, "soon"))
    loop.call_at(1, told.append, "at")
    loop.run_until(1)
    assert told == ["at", "soon"]


def test_time_never_goes_back() -> None:
    loop, told = VirtualLoop(), list[object]()
    loop.run_until(5)
    loop.call_at(1, lambda: told.append(loop.time()))
    loop.run_until(5)
    assert told == [5]


def test_who_is_cancelled_does_not_run() -> None:
    loop, told = VirtualLoop(), list[object]()
    timer = loop.call_later(1, told.append, "never")
    timer.cancel()
    loop.run_until(2)
    assert timer.cancelled()
    assert told == []


def test_what_a_callback_raises_ends_the_run() -> None:
    loop, told = VirtualLoop(), list[object]()
    loop.call_later(1, lambda: 1 // 0)
    loop.call_later(2, told.append, "later")
    with pytest.raises(ZeroDivisionError):
        loop.run_until(3)
    assert (loop.time(), told) == (1, [])


def test_with_nothing_left_it_says_so() -> None:
    with pytest.raises(Idle):
        VirtualLoop().run_forever()


def test_coroutines_sleep_without_waiting() -> None:
    async def slept(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return asyncio.get_running_loop().time()

    async def both() -> list[float]:
        return list(await asyncio.gather(slept(3600), asyncio.create_task(slept(60))))

    loop = VirtualLoop()
    assert loop.run_until_complete(both()) == [3600, 60]
    loop.close()


def test_a_coroutine_that_waits_for_nobody_is_seen() -> None:
    loop = VirtualLoop()
    future = loop.create_future()
    with pytest.raises(Idle):
        loop.run_until_complete(future)


def test_what_asyncio_itself_complains_of_ends_the_run() -> None:
    loop, told = VirtualLoop(), list[str]()
    loop.call_later(1, loop.call_exception_handler, {"message": "never awaited", "exception": KeyError("lost")})
    loop.call_later(2, told.append, "later")
    with pytest.raises(KeyError, match="lost"):
        loop.run_until(3)
    assert told == []

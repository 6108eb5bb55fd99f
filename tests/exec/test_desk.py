"""What the supervisor decides by itself, without any process: the second line behind what the daemon sees to."""

from __future__ import annotations

from odyssey.exec.supervisor.desk import Desk
from odyssey.exec.supervisor.frames import GONE, UNKNOWN_MS, Freeze, Frozen, Held, Keys, Lease, Start, Thaw, Typed
from odyssey.exec.supervisor.orders import Done


class Crew:
    """Runs what it is told in slot 0, and notes it."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def begin(self, attempt: int, order: bytes, memory: int, has_terminal: bool) -> int:
        self.did.append(f"begin {attempt}")
        return 0

    def queue(self, slot: int, attempt: int, order: bytes) -> None:
        self.did.append(f"queue {attempt}")

    def take_back(self, slot: int) -> list[int]:
        return []

    def hear(self, slot: int) -> tuple[Done, bytes] | None:
        return None

    def began_ms(self, slot: int, attempt: int) -> int | None:
        return None

    def term(self, slot: int) -> None: ...

    def kill(self, slot: int) -> None: ...

    def freeze(self, slot: int) -> None: ...

    def thaw(self, slot: int) -> None: ...

    def poke(self) -> None: ...

    def type(self, slot: int, keys: Keys) -> int:
        self.did.append(f"type {slot} {keys.tail!r}")
        return len(keys.tail)


def started(until_ms: int) -> tuple[Desk, Crew]:
    crew = Crew()
    desk = Desk(crew)
    desk.take(Lease(until_ms, 1), 100)
    desk.take(Start(7, 1, 1, 0, 0, b""), 100)
    desk.begin(100, is_written=True)
    return desk, crew


def test_nothing_begins_without_a_lease_whatever_the_daemon_says() -> None:
    assert started(until_ms=101)[1].did == ["begin 7"]
    assert started(until_ms=100)[1].did == []


def test_nothing_thaws_without_a_lease_whatever_the_daemon_says() -> None:
    desk, _ = started(until_ms=200)
    desk.take(Freeze(7), 150)
    desk.answers.clear()
    desk.take(Thaw(7), 200)
    assert desk.answers == []
    desk.take(Thaw(7), 199)
    assert desk.answers == [Frozen(7, UNKNOWN_MS)]


def test_frozen_time_does_not_count() -> None:
    desk, _ = started(until_ms=10_000)
    desk.take(Freeze(7), 150)
    desk.take(Thaw(7), 1150)
    desk.answers.clear()
    desk.greet(1200)
    assert desk.answers[0] == Held(7, 1, 1, UNKNOWN_MS, 100)


def test_keys_go_to_what_runs_and_to_nothing_else() -> None:
    desk, crew = started(until_ms=10_000)
    desk.answers.clear()
    desk.take(Keys(7, 5, 0, 0, 0, b"ab"), 150)
    desk.take(Keys(8, 5, 0, 0, 0, b"ab"), 150)
    assert desk.answers == [Typed(7, 5, 2), Typed(8, 5, GONE)]
    assert crew.did == ["begin 7", "type 0 b'ab'"]

"""What carries letters and bytes between machines promises the same everywhere: on ZeroMQ, on the memory wires of the
tests, in the simulation's net.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import pytest

from odyssey.clock import SeededEntropy
from odyssey.ids import NodeId
from odyssey.mesh.letters import Letter
from odyssey.mesh.links import answers
from odyssey.mesh.transfer import Bulk
from odyssey.node import Links
from tests.mesh.links import rig as real
from tests.mesh.links import street as memory
from tests.mesh.links.town import Files, append, beat, duty, heartbeat, member, node, numbers, work
from tests.sim.disk import Server, SimBulk
from tests.sim.loop import VirtualLoop
from tests.sim.net import Net, Weather

NOBODY = node("z")
LETTERS = {
    "beat": beat(),
    "duty": duty(),
    "heartbeat": heartbeat(),
    "work": work(),
    "a log entry as large as it may be": append(1 << 20),
}


class Case(ABC):
    """Two machines that can be reached; the second can be switched off."""

    names: tuple[NodeId, NodeId]
    bulk: Bulk  # of the first
    files: Files  # of the second
    heard: tuple[list[tuple[NodeId, Letter]], list[tuple[NodeId, Letter]]]

    @property
    @abstractmethod
    def links(self) -> tuple[Links, Links]:
        """As they are now."""

    @abstractmethod
    def until(self, happened: Callable[[], object]) -> None: ...

    @abstractmethod
    def switch_off(self) -> None: ...

    @abstractmethod
    def switch_on(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class OnZmq(Case):
    def __init__(self) -> None:
        self._rig = real.Rig()
        self._a, self._b = self._rig.pair()
        self.names, self.heard = (self._a.name, self._b.name), (self._a.heard, self._b.heard)
        self.bulk, self.files = self._a.board, self._b.files

    @property
    def links(self) -> tuple[Links, Links]:
        return self._a.board, self._b.board

    def until(self, happened: Callable[[], object]) -> None:
        self._rig.until(happened)

    def switch_off(self) -> None:
        self._b.kill()

    def switch_on(self) -> None:
        self._b.start()

    def close(self) -> None:
        self._rig.close()


class InMemory(Case):
    def __init__(self) -> None:
        self._quarter = memory.Quarter()
        self._a, self._b = self._quarter.machine(0), self._quarter.machine(1)
        self.names, self.heard = (self._a.name, self._b.name), (self._a.heard, self._b.heard)
        self.bulk, self.files = self._a.board, self._b.files

    @property
    def links(self) -> tuple[Links, Links]:
        return self._a.board, self._b.board

    def until(self, happened: Callable[[], object]) -> None:
        for _ in range(1_000):
            if happened():
                return
            self._quarter.run(0.1)
        raise AssertionError("it did not happen")

    def switch_off(self) -> None:
        self._b.kill()

    def switch_on(self) -> None:
        self._b.start()

    def close(self) -> None:
        self._a.board.stop()


class _NetLinks:
    def __init__(self, case: InSimulation, me: int) -> None:
        self._case, self._me = case, me

    def send(self, to: NodeId, letter: Letter) -> None:
        case = self._case
        if to in case.names:
            case.net.send(case.names[self._me], to, case.arrives(case.names.index(to)), letter)


class InSimulation(Case):
    def __init__(self) -> None:
        self._loop, self._on = VirtualLoop(), True
        self.net = Net(self._loop, SeededEntropy(1), Weather())
        self.names, self.heard, self.files = (node("a"), node("b")), ([], []), Files()
        self.bulk = SimBulk(self._loop, lambda _: self._on, self._server, lambda call: call())

    @property
    def links(self) -> tuple[Links, Links]:
        return _NetLinks(self, 0), _NetLinks(self, 1)

    def _server(self, source: object) -> Server | None:
        return self.files if source == member(self.names[1]) else None

    def arrives(self, number: int) -> Callable[[NodeId, Letter], None]:
        def arrive(sender: NodeId, letter: Letter) -> None:
            if number == 0 or self._on:
                self.heard[number].append((sender, letter))

        return arrive

    def until(self, happened: Callable[[], object]) -> None:
        for _ in range(1_000):
            if happened():
                return
            self._loop.run_until(self._loop.time() + 0.1)
        raise AssertionError("it did not happen")

    def switch_off(self) -> None:
        self._on = False

    def switch_on(self) -> None:
        self._on = True

    def close(self) -> None:
        self._loop.close()


@pytest.fixture(params=[OnZmq, InMemory, InSimulation])
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    made: Case = request.param()
    monkeypatch.setattr(answers, "PATIENCE_MS", 2_000)
    yield made
    made.close()


# -- letters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_a_letter_arrives_as_it_was_under_its_senders_name(case: Case, letter: Letter) -> None:
    case.links[0].send(case.names[1], letter)
    case.until(lambda: case.heard[1])
    assert case.heard[1] == [(case.names[0], letter)]


def test_nothing_is_handed_on_from_within_send(case: Case) -> None:
    for _ in range(3):
        case.links[0].send(case.names[1], work())
        assert case.heard[1] == []


def test_both_may_speak_at_once(case: Case) -> None:
    case.links[0].send(case.names[1], work(number=1))
    case.links[1].send(case.names[0], work(number=2))
    case.until(lambda: case.heard[0] and case.heard[1])
    assert (numbers([one for _, one in case.heard[1]]), numbers([one for _, one in case.heard[0]])) == ([1], [2])


def test_many_letters_all_arrive_where_nothing_is_lost(case: Case) -> None:
    for number in range(500):
        case.links[0].send(case.names[1], work(number=number))
    case.until(lambda: len(case.heard[1]) >= 500)
    assert sorted(numbers([letter for _, letter in case.heard[1]])) == list(range(500))


def test_a_letter_to_nobody_is_nobodys_trouble(case: Case) -> None:
    case.links[0].send(NOBODY, work(number=1))
    case.links[0].send(case.names[1], work(number=2))
    case.until(lambda: case.heard[1])
    assert numbers([letter for _, letter in case.heard[1]]) == [2]


def test_who_was_away_is_heard_and_hears_again(case: Case) -> None:
    case.switch_off()
    case.links[0].send(case.names[1], beat(1))
    case.switch_on()

    def said() -> bool:
        case.links[0].send(case.names[1], beat(2))
        case.links[1].send(case.names[0], beat(3))
        return (case.names[0], beat(2)) in case.heard[1] and (case.names[1], beat(3)) in case.heard[0]

    case.until(said)


# -- bytes -------------------------------------------------------------------------------------------------------------


def asked(case: Case, digest: bytes, start: int, name: NodeId | None = None) -> bytes | None:
    found: list[bytes | None] = []
    case.bulk.ask_segment(member(name or case.names[1]), digest, start, found.append)
    assert found == []  # never from within the question
    case.until(lambda: found)
    assert len(found) == 1
    return found[0]


def test_a_segment_comes_piece_by_piece(case: Case) -> None:
    data = bytes(range(256)) * 4_000
    digest, got = case.files.put(data), b""
    case.files.at_once = 300_000
    while len(got) < len(data):
        piece = asked(case, digest, len(got))
        assert piece
        got += piece
    assert got == data


def test_what_is_not_there_is_answered_with_nothing(case: Case) -> None:
    assert asked(case, b"d" * 32, 0) is None
    assert asked(case, b"d" * 32, 0, NOBODY) is None


def test_who_cannot_be_reached_gives_nothing(case: Case) -> None:
    digest = case.files.put(b"data")
    case.switch_off()
    assert asked(case, digest, 0) is None


def test_a_source_that_never_answers_is_given_up(case: Case) -> None:
    digest, case.files.is_mute = case.files.put(b"data"), True
    assert asked(case, digest, 0) is None


def test_slices_come_in_order_and_after_the_last_one_none(case: Case) -> None:
    slices = [b"one" * 100_000, b"two", b"", b"four"]
    case.files.slices[b"s"] = slices
    got: list[bytes] = []
    while True:
        found: list[Sequence[bytes] | None] = []
        case.bulk.ask(member(case.names[1]), b"s", len(got), False, found.append)
        case.until(lambda found=found: found)  # type: ignore[misc]
        assert found[0] is not None
        if not found[0]:
            break
        got += found[0]
    assert got == slices

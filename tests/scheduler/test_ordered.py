"""The sorted set behaves like a plain set that is sorted when asked, and stays cheap where queues use it."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from odyssey.scheduler.ordered import SortedIds

values = st.integers(-5, 60)


class AgainstASet(RuleBasedStateMachine):
    """Every step on both; after every step they must look the same from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.ids, self.plain = SortedIds(), set[int]()

    @rule(value=values)
    def add(self, value: int) -> None:
        self.ids.add(value)
        self.plain.add(value)

    @rule(start=values, count=st.integers(1, 80))
    def add_many_at_the_end(self, start: int, count: int) -> None:
        for value in range(start, start + count):
            self.add(value)

    @rule(value=values)
    def discard(self, value: int) -> None:
        self.ids.discard(value)
        self.plain.discard(value)

    @rule(count=st.integers(1, 80))
    def discard_from_the_front(self, count: int) -> None:
        for value in sorted(self.plain)[:count]:
            self.discard(value)

    @rule(count=st.integers(1, 80))
    def discard_from_the_end(self, count: int) -> None:
        for value in sorted(self.plain)[-count:]:
            self.discard(value)

    @rule(value=values)
    def ask(self, value: int) -> None:
        assert (value in self.ids) == (value in self.plain)
        assert self.ids.after(value) == min((other for other in self.plain if other > value), default=None)

    @invariant()
    def looks_the_same(self) -> None:
        assert list(self.ids) == sorted(self.plain)
        assert len(self.ids) == len(self.plain)
        if self.plain:
            assert self.ids.first() == min(self.plain)

    @invariant()
    def keeps_little_more_than_it_needs(self) -> None:
        assert len(self.ids._ids) <= 2 * len(self.plain) + 33


TestAgainstASet = AgainstASet.TestCase
TestAgainstASet.settings = settings(max_examples=60, stateful_step_count=30)


@given(st.lists(values))
def test_it_is_made_of_anything_in_any_order(given: list[int]) -> None:
    assert list(SortedIds(given)) == sorted(set(given))


@given(st.permutations(range(12)))
def test_the_order_of_additions_leaves_no_trace(order: list[int]) -> None:
    ids = SortedIds()
    for value in order:
        ids.add(value)
    assert list(ids) == list(range(12))


def test_what_left_the_front_can_come_back() -> None:
    ids = SortedIds(range(100))
    for value in range(60):
        ids.discard(value)
    for value in reversed(range(60)):
        ids.add(value)
    assert list(ids) == list(range(100))


def test_a_queue_of_any_length_keeps_only_what_stands_in_it() -> None:
    ids = SortedIds()
    for value in range(10_000):
        ids.add(value)
        if value >= 10:
            ids.discard(value - 10)
    assert list(ids) == list(range(9_990, 10_000))
    assert len(ids._ids) < 100


def test_what_waits_at_the_front_is_let_go_of_when_the_end_is_removed() -> None:
    ids = SortedIds(range(1_000))
    for value in [*range(400), *range(999, 450, -1)]:
        ids.discard(value)
    assert list(ids) == list(range(400, 451))
    assert len(ids._ids) < 150

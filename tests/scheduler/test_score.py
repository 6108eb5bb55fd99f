"""Scores are plain sums of terms from 0 to 1000, each of which grows with what it measures.

Machines and wishes are made up by Hypothesis: any size, any load, anything that beats may tell.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey.ids import NodeId, NodeNumber, UserId
from odyssey.model import Health, Learned, Node, Use
from odyssey.scheduler import score
from odyssey.scheduler.draft import replace
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.rows import Row, Wish
from odyssey.scheduler.score import MACHINE_TERMS, MAX_WEIGHT, PAIR_TERMS, TERMS, UNKNOWN
from odyssey.scheduler.snapshot import OwnerState, Seen
from odyssey.scheduler.state import ANY_NODE, State
from odyssey.spec import Want
from tests.builders import GIB, need

PC = NodeNumber(1)
MIB = 1 << 20
DIGESTS = (b"a", b"b", b"c")


def maybe(strategy: st.SearchStrategy[int]) -> st.SearchStrategy[int | None]:
    return st.none() | strategy


CPU, MEMORY = st.integers(0, 64_000), st.integers(0, 256 * GIB)
NODES = st.builds(
    Node,
    st.just(PC),
    st.just(NodeId("n")),
    st.just("pc-1"),
    st.just(UserId("anna")),
    st.builds(need, st.integers(1, 64), MEMORY, st.integers(0, 8)),
    speed=st.integers(1, 1_000_000),
)
USES = st.builds(Use, CPU, MEMORY, st.integers(0, 8), st.just(0), st.integers(0, 64))
SEENS = st.builds(
    Seen,
    cpu_free_milli=maybe(CPU),
    memory_free=maybe(MEMORY),
    owner=st.none() | st.sampled_from(OwnerState),
    mains=st.none() | st.booleans(),
    stay_ms=maybe(st.integers(-1_000_000, 1 << 40)),
    blobs=st.frozensets(st.sampled_from(DIGESTS)),
)
HEALTHS = st.builds(Health, st.integers(0, 1000))
WANTS = st.builds(Want, st.builds(need, st.sampled_from(["0.01", "1", "2.5", "16"]), MEMORY), key=st.just("cook"))
INPUTS = st.dictionaries(st.sampled_from(DIGESTS), st.integers(0, 1 << 50))
TIMES = maybe(st.integers(1, 1 << 50))


def a_row(node: Node, use: Use = Use(), seen: Seen = Seen(), health: Health = Health()) -> Row:  # noqa: B008 - frozen
    row = Row(node.number)
    row.load(node, use, seen, health)
    return row


ROWS = st.builds(a_row, NODES, USES, SEENS, HEALTHS)


def a_wish(row: Row, want: Want, here: int | None = None, anywhere: int | None = None) -> Wish:
    """With run times as learned on this machine, and on the reference machine from all."""
    state = State()
    if anywhere is not None:
        state.learned["cook", ANY_NODE] = Learned(1, anywhere)
        if here is not None:
            state.learned["cook", PC] = Learned(1, here)
    wish = Wish(UserId("anna"), want, row.node.speed)
    wish.learn(state, {PC: row})
    return wish


# -- bounds and sums ---------------------------------------------------------------------------------------------------


@given(ROWS, WANTS, TIMES, TIMES, INPUTS)
def test_every_term_is_a_whole_number_within_its_bounds(
    row: Row, want: Want, here: int | None, anywhere: int | None, inputs: dict[bytes, int]
) -> None:
    wish = a_wish(row, want, here, anywhere)
    values = {name: term(wish, row) for name, term in PAIR_TERMS.items()}
    values.update({name: term(row) for name, term in MACHINE_TERMS.items() if name != "turn"})
    for name, value in values.items():
        assert type(value) is int
        assert 0 <= value <= 1000, name
    assert -8000 <= score.locality(row, inputs) <= 0
    assert values["fill"] + values["room"] == 1000


@pytest.mark.parametrize("policy", BUILT_IN.values(), ids=list(BUILT_IN))
@settings(max_examples=40)
@given(data=st.data())
def test_the_parts_sum_to_the_total(policy: Policy, data: st.DataObject) -> None:
    row = data.draw(ROWS)
    row.turn = data.draw(st.integers(0, 1 << 22))
    wish = a_wish(row, data.draw(WANTS), data.draw(TIMES), data.draw(TIMES))
    own = data.draw(st.dictionaries(st.sampled_from(TERMS), st.integers(0, MAX_WEIGHT)))
    weights = {**policy.weights, **own}
    row.fixed = score.fixed(weights, row)
    total = policy.total(weights)(wish, row)
    assert sum(policy.parts(weights, wish, row, {}).values()) == total
    inputs = data.draw(INPUTS)
    far = weights.get("locality", 0) * score.locality(row, inputs)
    assert sum(policy.parts(weights, wish, row, inputs).values()) == total + far


WEIGHTS = st.dictionaries(st.sampled_from(TERMS), st.integers(0, 400))


@given(ROWS, WANTS, INPUTS, WEIGHTS, WEIGHTS)
def test_weights_are_linear(
    row: Row, want: Want, inputs: dict[bytes, int], one: dict[str, int], two: dict[str, int]
) -> None:
    wish = a_wish(row, want)
    both = {name: one.get(name, 0) + two.get(name, 0) for name in TERMS}
    parts = [score.parts(weights, wish, row, inputs) for weights in (one, two, both)]
    for name in TERMS:
        assert parts[0].get(name, 0) + parts[1].get(name, 0) == parts[2].get(name, 0)


@given(ROWS, WANTS, INPUTS, WEIGHTS)
def test_only_terms_with_a_weight_take_part(
    row: Row, want: Want, inputs: dict[bytes, int], weights: dict[str, int]
) -> None:
    wish = a_wish(row, want)
    parts = score.parts(weights, wish, row, inputs)
    asked = {name for name, weight in weights.items() if weight}
    assert set(parts) == asked - (set() if inputs else {"locality"})
    for name in parts.keys() & PAIR_TERMS.keys():
        assert parts[name] == weights[name] * PAIR_TERMS[name](wish, row)


# -- each term grows with what it measures -----------------------------------------------------------------------------


@given(NODES, USES, SEENS, WANTS, st.integers(0, 9000), st.integers(0, 9 * GIB))
def test_more_use_never_leaves_more_room(node: Node, use: Use, seen: Seen, want: Want, cpu: int, memory: int) -> None:
    more = replace(use, cpu_milli=use.cpu_milli + cpu, memory=use.memory + memory)
    before, after = a_row(node, use, seen), a_row(node, more, seen)
    wish = a_wish(before, want)
    assert score.room(wish, after) <= score.room(wish, before)


def test_room_is_what_is_left_of_the_scarcer() -> None:
    node = Node(PC, NodeId("n"), "pc-1", UserId("anna"), need(10, 8 * GIB))

    def room(seen: Seen, use: Use = Use()) -> int:  # noqa: B008 - frozen
        row = a_row(node, use, seen)
        return score.room(a_wish(row, Want(need(1, GIB))), row)

    assert room(Seen()) == 875
    assert room(Seen(cpu_free_milli=6000)) == 500
    assert room(Seen(memory_free=2 * GIB)) == 125
    assert room(Seen(), Use(5000, GIB)) == 400
    assert room(Seen(cpu_free_milli=0)) == 0


@given(ROWS, ROWS, WANTS)
def test_speed_is_the_share_of_the_fastest(one: Row, two: Row, want: Want) -> None:
    wish = Wish(UserId("anna"), want, max(one.node.speed, two.node.speed))
    slower, faster = sorted((one, two), key=lambda row: row.node.speed)
    assert score.speed(wish, slower) <= score.speed(wish, faster) == 1000


def test_speed_goes_by_learned_times_where_there_are_any() -> None:
    rows = {
        NodeNumber(number): a_row(Node(NodeNumber(number), NodeId("n"), "pc", UserId("anna"), need(4), speed=speed))
        for number, speed in ((1, 1000), (2, 4000))
    }
    state = State()
    state.learned["cook", ANY_NODE] = Learned(2, 4096)
    state.learned["cook", NodeNumber(2)] = Learned(1, 8192)
    wish = Wish(UserId("anna"), Want(need(1), key="cook"), 4000)
    wish.learn(state, rows)
    assert [score.speed(wish, row) for row in rows.values()] == [1000, 500]
    other = Wish(UserId("anna"), Want(need(1), key="other"), 4000)
    other.learn(state, rows)
    assert [score.speed(other, row) for row in rows.values()] == [250, 1000]


NODE = Node(PC, NodeId("n"), "pc-1", UserId("anna"), need(4))


def test_what_a_machine_has_not_told_counts_half() -> None:
    row = a_row(NODE, seen=Seen())
    assert (score.owner(row), score.power(row), score.stay(row)) == (UNKNOWN, UNKNOWN, UNKNOWN) == (500, 500, 500)


@pytest.mark.parametrize(
    ("owner", "expected"), [(OwnerState.FREE, 1000), (OwnerState.IN_USE, 0), (OwnerState.PAUSED, 0)]
)
def test_an_owner_at_the_keyboard_counts_against(owner: OwnerState, expected: int) -> None:
    assert score.owner(a_row(NODE, seen=Seen(owner=owner))) == expected


def test_mains_counts_for_and_battery_against() -> None:
    assert score.power(a_row(NODE, seen=Seen(mains=True))) == 1000
    assert score.power(a_row(NODE, seen=Seen(mains=False))) == 0


@pytest.mark.parametrize(
    ("stay_ms", "expected"), [(-60_000, 0), (0, 0), (900_000, 250), (3_600_000, 1000), (86_400_000, 1000)]
)
def test_staying_counts_up_to_an_hour(stay_ms: int, expected: int) -> None:
    assert score.stay(a_row(NODE, seen=Seen(stay_ms=stay_ms))) == expected


def test_reliability_is_the_machines_own() -> None:
    assert [score.reliability(a_row(NODE, health=Health(of))) for of in (0, 640, 1000)] == [0, 640, 1000]


def test_locality_is_a_point_for_each_mebibyte_to_move() -> None:
    inputs = {b"a": 10 * MIB, b"b": 1, b"c": 20_000 * MIB}
    here = [frozenset(DIGESTS), frozenset({b"b", b"c"}), frozenset({b"a", b"c"}), frozenset({b"a"}), frozenset()]
    assert [score.locality(a_row(NODE, seen=Seen(blobs=blobs)), inputs) for blobs in here] == [0, -10, -1, -8000, -8000]


def test_whose_turn_is_later_has_less() -> None:
    row = a_row(NODE)
    turns = []
    for row.turn in (0, 1, 5):
        turns.append(score.turn(row))
    assert turns == [0, -1, -5]

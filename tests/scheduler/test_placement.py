"""Why it went there, told from the record: what is told is arithmetic on the record and true of that moment."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from odyssey.ids import AttemptId, NodeNumber
from odyssey.model import Attempt, Outcome
from odyssey.scheduler.decision import Weighed, encode
from odyssey.scheduler.feasible import Code
from odyssey.scheduler.placement import Flip, Placement, Ranked, flip, placement
from odyssey.scheduler.plan import plan
from odyssey.scheduler.snapshot import OwnerState, Seen
from odyssey.spec import Blob
from tests.builders import GIB, Mesh
from tests.scheduler.asking import taught

TERMS = ("room", "speed", "locality")
PARTS = st.fixed_dictionaries({}, optional={term: st.integers(-900, 900) for term in TERMS})


def told(attempt: Attempt) -> Placement:
    answer = placement(attempt)
    assert answer is not None
    return answer


def recorded(parts: dict[int, dict[str, int]], node: int) -> Placement:
    """As an attempt on this machine would tell it; best machines first, as a plan records them."""
    weighed = [Weighed(NodeNumber(number), of) for number, of in parts.items()]
    weighed.sort(key=lambda one: (-sum(one.parts.values()), one.node))
    return told(Attempt(AttemptId(1), NodeNumber(node), 0, score=7, why=encode("weighted", weighed, {Code.FULL: 3})))


# -- the record --------------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.integers(1, 5), PARTS, min_size=1), st.integers(1, 5))
def test_scores_are_the_sums_of_their_parts_and_the_best_is_first(parts: dict[int, dict[str, int]], node: int) -> None:
    answer = recorded(parts, node)
    assert (answer.node, answer.score, answer.policy) == (node, 7, "weighted")
    assert answer.excluded == ((Code.FULL, 3),)
    assert {one.node for one in answer.ranked} == set(parts)
    for one in answer.ranked:
        assert one.score == sum(one.parts.values()) == sum(parts[one.node].values())
        assert 0 not in one.parts.values()
    keys = [(-one.score, one.node) for one in answer.ranked]
    assert keys == sorted(keys)


@given(st.dictionaries(st.integers(1, 5), PARTS, min_size=2), st.integers(1, 5))
def test_the_runner_up_is_the_best_of_the_others_and_the_margin_what_it_lacked(
    parts: dict[int, dict[str, int]], node: int
) -> None:
    assume(node in parts)
    answer = recorded(parts, node)
    sums = {number: sum(of.values()) for number, of in parts.items()}
    best = min((number for number in sums if number != node), key=lambda number: (-sums[number], number))
    assert answer.runner_up == best
    ahead = (-sums[node], node) < (-sums[best], best)
    assert answer.margin == (sums[node] - sums[best] if ahead else None)
    assert ahead or answer.flip is None


# -- what would have changed it ----------------------------------------------------------------------------------------


def scaled(one: Ranked, term: str, percent: int) -> int:
    """A hundred times the score, with this term at so many percent."""
    return 100 * one.score - one.parts.get(term, 0) * (100 - percent)


def ahead(one: Ranked, other: Ranked, term: str, percent: int) -> bool:
    return (-scaled(one, term, percent), one.node) < (-scaled(other, term, percent), other.node)


def ranked(node: int, parts: dict[str, int]) -> Ranked:
    return Ranked(NodeNumber(node), sum(parts.values()), parts)


@settings(max_examples=300)
@given(PARTS, PARTS, st.booleans())
def test_the_flip_is_the_least_change_of_one_term_that_puts_the_other_ahead(
    one: dict[str, int], two: dict[str, int], first: bool
) -> None:
    chosen, other = ranked(1 if first else 2, one), ranked(2 if first else 1, two)
    assume(ahead(chosen, other, "", 100))
    found = flip(chosen, other)
    able = {
        term: percent for term in (*one, *two) for percent in range(100) if ahead(other, chosen, term, percent)
    }  # the highest percentage of each term
    if not able:
        assert found is None
        return
    assert found is not None
    assert able[found.term] == found.percent == max(able.values())
    assert all(ahead(other, chosen, found.term, percent) for percent in range(found.percent + 1))


def test_of_two_terms_that_could_have_changed_it_the_lesser_change_is_told() -> None:
    assert flip(ranked(1, {"room": 100, "speed": 60}), ranked(2, {"owner": 120})) == Flip("room", 59)
    assert flip(ranked(1, {"room": 60, "speed": 100}), ranked(2, {"owner": 120})) == Flip("speed", 59)


def test_a_lead_that_no_single_term_makes_has_no_flip() -> None:
    assert flip(ranked(1, {"room": 60, "speed": 60}), ranked(2, {})) is None
    assert flip(ranked(1, {"room": 60, "speed": 61}), ranked(2, {"owner": 61})) == Flip("speed", 1)


def test_no_record_tells_nothing() -> None:
    assert placement(Attempt(AttemptId(1), NodeNumber(1), 0)) is None


# -- as plans record it ------------------------------------------------------------------------------------------------


def test_a_placement_is_told_of_a_current_try_and_of_one_that_is_over() -> None:
    mesh = Mesh()
    mesh.machine(cpus=4, speed=500)
    mesh.machine(cpus=4, speed=1000)
    job = mesh.submit()
    mesh.carry_out(plan(mesh.snapshot({NodeNumber(1): Seen(owner=OwnerState.FREE)})))
    answer = told(mesh.task(job).attempts[0])
    assert (answer.node, answer.runner_up) == (2, 1)
    assert answer.score == answer.ranked[0].score
    assert answer.margin == 30_000 - 5_000
    assert answer.flip == Flip("speed", 16)
    mesh.report(job, outcome=Outcome.EVICTED)
    assert placement(mesh.task(job).tries[0]) == answer


def test_a_machine_that_was_not_the_best_of_the_record_has_no_margin() -> None:
    """The better one was full by then: the record is of the moment before the first of the equal tasks was placed."""
    mesh = Mesh()
    mesh.machine(cpus=1, speed=2000)
    mesh.machine(cpus=1, speed=1000)
    job = mesh.submit(count=2)
    mesh.carry_out(plan(mesh.snapshot()))
    first, second = (told(mesh.task(job, index).attempts[0]) for index in (0, 1))
    assert (first.node, first.runner_up, first.margin) == (1, 2, 30_000)
    assert (second.node, second.runner_up, second.margin, second.flip) == (2, 1, None, None)


def test_bytes_to_move_and_the_expected_time_are_told() -> None:
    mesh = Mesh()
    mesh.machine()
    taught(mesh, "cook", 4096, on=1)
    job = mesh.submit(key="cook", inputs=(Blob(b"film", 3 * GIB), Blob(b"font", 5)))
    mesh.carry_out(plan(mesh.snapshot({NodeNumber(1): Seen(blobs=frozenset({b"font"}))})))
    answer = told(mesh.task(job).attempts[0])
    assert (answer.expected_ms, answer.moved) == (4096, 3 * GIB)
    assert answer.ranked[0].parts["locality"] == -30_720

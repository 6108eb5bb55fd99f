"""The record of a decision is small, adds up, and says the same when it is read."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odyssey.ids import NodeNumber
from odyssey.scheduler.decision import MAX_BYTES, TOP, Weighed, decode, encode, signed
from odyssey.scheduler.feasible import Code
from odyssey.scheduler.plan import plan
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.score import MAX_WEIGHT, TERMS
from odyssey.scheduler.snapshot import NodeState, Seen
from odyssey.spec import Blob
from tests.builders import GIB, Mesh
from tests.scheduler.asking import taught

NODES = st.integers(1, 1 << 40).map(NodeNumber)
PARTS = st.dictionaries(st.sampled_from(TERMS), st.integers(-8000 * MAX_WEIGHT, 1000 * MAX_WEIGHT))
WEIGHED = st.lists(st.builds(Weighed, NODES, PARTS), max_size=8)
EXCLUDED = st.dictionaries(st.sampled_from(Code), st.integers(1, 100_000))
MS = st.integers(0, 1 << 62)


@given(st.sampled_from(sorted(BUILT_IN)), WEIGHED, EXCLUDED, MS, MS)
def test_what_is_read_is_what_was_decided(
    policy: str, weighed: list[Weighed], excluded: dict[Code, int], expected_ms: int, moved: int
) -> None:
    encoded = encode(policy, weighed, excluded, expected_ms, moved)
    assert len(encoded) <= MAX_BYTES
    read = decode(encoded)
    assert read is not None
    assert (read.policy, read.expected_ms, read.moved) == (policy, expected_ms, moved)
    assert dict(read.excluded) == excluded
    for candidate, one in zip(read.top, weighed, strict=False):
        parts = dict(zip(read.terms, candidate.parts, strict=True))
        assert candidate.node == one.node
        assert {name: part for name, part in parts.items() if part} == {n: p for n, p in one.parts.items() if p}
        assert candidate.score == sum(candidate.parts) == sum(one.parts.values())


@given(WEIGHED, EXCLUDED)
def test_with_the_usual_terms_the_five_best_are_always_kept(weighed: list[Weighed], excluded: dict[Code, int]) -> None:
    """Numbers of a mesh of thousands, each with all terms of a built-in policy."""
    few = [
        Weighed(NodeNumber(one.node % 9999), {name: one.parts.get(name, 0) for name in TERMS[:8]}) for one in weighed
    ]
    read = decode(encode("round_robin", few, excluded, 1 << 40, 1 << 40))
    assert read is not None
    assert [candidate.node for candidate in read.top] == [one.node for one in few[:TOP]]


@example("p" * 300, [f"a term of many words {number}" for number in range(60)], {})
@example("weighted", [f"term {number}" for number in range(16)], {})
@given(st.text(max_size=300), st.lists(st.text(max_size=60), max_size=60), EXCLUDED)
def test_a_foreign_policy_with_many_terms_keeps_fewer_machines(
    policy: str, names: list[str], excluded: dict[Code, int]
) -> None:
    weighed = [Weighed(NodeNumber(number), dict.fromkeys(names, 1 << 50)) for number in range(1, 6)]
    encoded = encode(policy, weighed, excluded)
    assert len(encoded) <= MAX_BYTES
    read = decode(encoded)
    assert read is not None
    assert policy.startswith(read.policy)
    for candidate in read.top:
        assert candidate.score == sum(candidate.parts)


@pytest.mark.parametrize("size", [1 << 63, 1 << 64, 1 << 80])
def test_more_than_fits_into_a_number_is_told_as_the_most_that_does(size: int) -> None:
    read = decode(encode("weighted", [], {}, moved=size))
    assert read is not None
    assert read.moved == (1 << 63) - 1


def test_nothing_is_read_from_nothing() -> None:
    assert decode(b"") is None


# -- as a plan writes it -----------------------------------------------------------------------------------------------


def test_a_plan_records_the_five_best_as_they_stood_and_counts_the_others() -> None:
    mesh = Mesh()
    mesh.machines(8, cpus=4)
    mesh.machine(owner="ben")
    mesh.machine(cpus=1)
    for node in (1, 2):
        mesh.assign(mesh.submit(cpus=4), node)
    taught(mesh, "cook", 4096, on=3)
    job = mesh.submit(key="cook", cpus=2, count=3)
    (why,) = plan(mesh.snapshot({NodeNumber(4): Seen(state=NodeState.GONE)})).whys
    read = decode(why)
    assert read is not None
    assert read.policy == "weighted"
    assert [candidate.node for candidate in read.top] == [3, 5, 6, 7, 8]
    assert dict(read.excluded) == {Code.NOT_YOURS: 1, Code.TOO_SMALL: 1, Code.GONE: 1, Code.FULL: 2}
    assert read.expected_ms == 4096
    for candidate in read.top:
        assert candidate.score == sum(candidate.parts)
    mesh.carry_out(plan(mesh.snapshot()))
    assert mesh.task(job).attempts[0].score in {candidate.score for candidate in read.top}


def test_equal_tasks_share_one_record_and_jobs_with_inputs_have_their_own() -> None:
    mesh = Mesh()
    mesh.machines(2, cpus=8)
    mesh.submit(count=4)
    mesh.submit(count=4)
    assert len(plan(mesh.snapshot()).whys) == 1
    for digest in (b"one", b"two"):
        mesh.submit(inputs=(Blob(digest, GIB),))
    planned = plan(mesh.snapshot())
    assert len(planned.whys) == 3
    assert [decode(why).moved for why in planned.whys] == [0, GIB, GIB]  # type: ignore[union-attr]
    assert sorted({(batch.job, batch.why) for batch in planned.batches}) == [(1, 0), (2, 0), (3, 1), (4, 2)]


def test_the_machine_that_was_chosen_is_always_in_the_record() -> None:
    """It is the slowest of seven, and has the inputs."""
    mesh = Mesh()
    mesh.machines(6)
    slow = mesh.machine(speed=900)
    mesh.submit(inputs=(Blob(b"film", GIB),))
    made = plan(mesh.snapshot({slow: Seen(blobs=frozenset({b"film"}))}))
    read = decode(made.whys[0])
    assert read is not None
    assert [candidate.node for candidate in read.top] == [slow, 1, 2, 3, 4]
    assert made.batches[0].score == read.top[0].score


def test_inputs_of_any_size_stop_no_plan() -> None:
    mesh = Mesh()
    mesh.machine()
    mesh.submit(inputs=tuple(Blob(bytes([number]), (1 << 63) - 1) for number in range(5)))
    assert plan(mesh.snapshot()).assigned == 1


@given(st.text(max_size=300), st.lists(st.text(max_size=60), max_size=60), st.integers(1, 1 << 40), NODES)
def test_a_record_says_who_decided_and_says_all_else_as_before(
    policy: str, names: list[str], term: int, by: NodeNumber
) -> None:
    before = encode(policy, [Weighed(NodeNumber(number), dict.fromkeys(names, 1)) for number in range(1, 6)], {})
    why = signed(before, term, by)
    read, known = decode(why), decode(before)
    assert read is not None
    assert known is not None
    assert len(why) <= MAX_BYTES
    assert (read.term, read.by, read.policy) == (term, by, known.policy)
    assert (known.term, known.by) == (0, 0)
    assert read.top == known.top[: len(read.top)]


def test_no_record_stays_none() -> None:
    assert signed(b"", 3, NodeNumber(1)) == b""

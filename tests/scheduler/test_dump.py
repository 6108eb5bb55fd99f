"""A state as bytes and back: equal states give equal bytes, and what was loaded goes on like the one it was made of.

Never: a dump that is cut short, mixed up or of a newer version is read as something.
"""

from collections.abc import Callable, Iterator

import msgpack
import pytest

from odyssey import wire
from odyssey.clock import SeededEntropy
from odyssey.commands import Entry
from odyssey.errors import Malformed, NotUnderstood, TooLarge
from odyssey.scheduler.apply import apply
from odyssey.scheduler.dump import dump, load, rebuilt, state_hash
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.state import State
from tests.builders import Mesh, a_spec
from tests.scheduler.acts import cancel, give
from tests.scheduler.storm import Storm


def weathered(seed: int = 5, entries: int = 300) -> State:
    """A state with a long and random history."""
    storm, state = Storm(SeededEntropy(seed)), State()
    for _ in range(entries):
        command = storm.command(state)
        state, _ = apply(state, [Entry(storm.generation, storm.term, state.head.index + 1, 0, command)])  # type: ignore[arg-type]
    return state


SLICES = list(dump(weathered()))


# ---- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_a_loaded_state_is_the_same_in_all_that_can_be_asked(seed: int) -> None:
    state = weathered(seed)
    again = load(dump(state))
    for name in ("head", "jobs", "tasks", "nodes", "health", "usage", "backoffs", "ended", "reserved", "children"):
        assert getattr(again, name) == getattr(state, name)
    for ordered in ("learned", "clients", "segments"):
        assert list(getattr(again, ordered).items()) == list(getattr(state, ordered).items())
    assert again.waiting.layout() == state.waiting.layout()
    assert violations(again) == []
    assert list(dump(again)) == list(dump(state))


def test_an_empty_state_comes_back_empty() -> None:
    again = load(dump(State()))
    assert (again.jobs, again.tasks, again.nodes, again.head) == ({}, {}, {}, State().head)


def test_rebuilding_the_indexes_gives_what_is_there() -> None:
    state = weathered()
    assert rebuilt(state).waiting.layout() == state.waiting.layout()
    assert rebuilt(state).jobs == state.jobs
    assert state_hash(rebuilt(state)) == state_hash(state)


@pytest.mark.parametrize("name", ["jobs", "tasks", "nodes", "health", "usage"])
def test_the_order_in_which_records_came_leaves_no_trace(name: str) -> None:
    state = weathered()
    before, table = state_hash(state), getattr(state, name)
    assert len(table) > 1
    setattr(state, name, dict(reversed(table.items())))
    assert state_hash(state) == before


@pytest.mark.parametrize("name", ["learned", "clients", "segments"])
def test_an_order_that_means_something_is_a_part_of_the_state(name: str) -> None:
    state = weathered()
    before, table = state_hash(state), getattr(state, name)
    assert len(table) > 1
    setattr(state, name, dict(reversed(table.items())))
    assert state_hash(state) != before


def test_a_state_that_differs_in_anything_has_another_hash() -> None:
    mesh = Mesh()
    mesh.machine()
    seen = {state_hash(mesh.state)}
    acts: list[Callable[[], object]] = [
        mesh.submit,
        mesh.machine,
        lambda: mesh.assign(1, 1),
        lambda: mesh.report(1, run_ms=5),
        lambda: mesh.submit(count=3),
        lambda: cancel(mesh, 2, (1, 2)),
    ]
    for number, act in enumerate(acts, 2):
        act()
        seen.add(state_hash(mesh.state))
        assert len(seen) == number


def test_a_dump_shows_one_moment_while_the_log_goes_on() -> None:
    mesh = Mesh()
    mesh.machine()
    for _ in range(600):
        mesh.submit()
    expected = list(dump(mesh.state))
    slices = dump(mesh.state)
    for job in range(1, 301):
        cancel(mesh, job)
    taken = [next(slices)]
    for job in range(301, 601):
        cancel(mesh, job)
    taken += slices
    assert taken == expected


def test_tasks_of_one_decision_share_its_record_again() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=64)
    job = mesh.submit(count=20)
    give(mesh, job, node, (0, 20), whys=(b"a decision",))
    again = load(dump(mesh.state))
    assert len({id(task.attempts[0].why) for task in again.tasks.values()}) == 1


# ---- slices ----------------------------------------------------------------------------------------------------------


def test_many_records_are_many_small_slices() -> None:
    mesh = Mesh()
    for _ in range(3):
        mesh.submit(*[a_spec(argv=(b"x" * 3000,))] * 300)
    slices = list(dump(mesh.state))
    assert len(slices) > 5
    assert max(len(piece) for piece in slices) < 1 << 20
    assert state_hash(load(slices)) == state_hash(mesh.state)


@pytest.mark.parametrize("room", [100, 2_000])
def test_slices_are_halved_until_they_fit_or_hold_one_record(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    state = weathered()
    monkeypatch.setattr("odyssey.scheduler.dump._ROOM", room)
    slices = list(dump(state))
    rows = [len(msgpack.unpackb(piece)[1][1]) for piece in slices[1:-1]]
    assert all(len(piece) <= room or count == 1 for piece, count in zip(slices[1:-1], rows, strict=True))
    assert max(rows) > 1
    assert state_hash(load(slices)) == state_hash(state)


def test_the_largest_submit_there_can_be_is_stored_and_loaded() -> None:
    """What an entry can hold must not become a record that nobody can read back."""
    mesh = Mesh()
    room = wire.ENTRY.bytes - 200
    mesh.submit(a_spec(env=tuple((b"N%d" % at, b"x" * (room // 20 - 10)) for at in range(20))))
    assert wire.ENTRY.bytes - 1_000 < len(wire.encode_log(mesh.entries[-1])) <= wire.ENTRY.bytes
    assert state_hash(load(dump(mesh.state))) == state_hash(mesh.state)


def test_a_job_that_waits_for_as_many_as_an_entry_can_name_is_stored_and_loaded() -> None:
    mesh = Mesh()
    parent = mesh.submit()
    mesh.submit(after=(parent,) * 50_000, after_any=(parent,) * 50_000)
    assert wire.decode_log(wire.encode_log(mesh.entries[-1]), Entry) == mesh.entries[-1]
    assert len(mesh.job(2).parents) == 100_000
    assert state_hash(load(dump(mesh.state))) == state_hash(mesh.state)


# ---- what is not read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", range(len(SLICES)))
def test_a_dump_without_its_end_is_refused(length: int) -> None:
    with pytest.raises(Malformed, match="ends too early"):
        load(SLICES[:length])


@pytest.mark.parametrize("missing", range(1, len(SLICES) - 1))
def test_a_dump_that_lacks_a_slice_is_refused(missing: int) -> None:
    with pytest.raises(Malformed, match=f"has {len(SLICES) - 1} of {len(SLICES)} slices"):
        load(SLICES[:missing] + SLICES[missing + 1 :])


def opened_twice() -> Iterator[bytes]:
    yield from (SLICES[0], SLICES[0], *SLICES[1:])


def without_its_opening() -> Iterator[bytes]:
    yield from SLICES[1:]


def only_closed() -> Iterator[bytes]:
    yield SLICES[-1]


@pytest.mark.parametrize("mixed_up", [opened_twice, without_its_opening, only_closed])
def test_a_dump_that_is_mixed_up_is_refused(mixed_up: Callable[[], Iterator[bytes]]) -> None:
    with pytest.raises(Malformed):
        load(mixed_up())


def changed(change: Callable[[list[object]], object]) -> list[bytes]:
    """The same dump with another opening."""
    version, opening = msgpack.unpackb(SLICES[0])
    change(opening)
    return [msgpack.packb([version, opening]), *SLICES[1:]]


def test_a_dump_in_another_format_is_refused() -> None:
    with pytest.raises(Malformed, match="format 2"):
        load(changed(lambda opening: opening.__setitem__(1, 2)))


def test_a_dump_with_a_newer_field_is_not_understood() -> None:
    with pytest.raises(NotUnderstood):
        load(changed(lambda opening: opening.append(0)))


def test_a_dump_with_a_newer_kind_of_slice_is_not_understood() -> None:
    newer = msgpack.packb([1, ["dreams", []]])
    with pytest.raises(NotUnderstood):
        load([SLICES[0], newer, *SLICES[1:]])


def test_a_slice_larger_than_any_record_can_be_is_refused() -> None:
    with pytest.raises(TooLarge):
        load([SLICES[0], b"\x92" + b"\0" * (33 << 20)])

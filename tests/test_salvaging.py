"""A tail on its way into the mesh: from an old store to submits, history and a list, whatever is lost in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from odyssey import salvaging, wire
from odyssey.book import Book
from odyssey.clock import SeededEntropy
from odyssey.commands import AdoptSegment, CancelTasks, Entry, SubmitJobs
from odyssey.ids import ClientId, JobId, NodeId, UserId
from odyssey.mesh.generation import Charter, Fork, Generation, Lineage
from odyssey.mesh.letters import Accepted, Again, Logged, Outcome
from odyssey.mesh.raft.types import Config, HardState, Kind, LogEntry, Member, StoreId, Write
from odyssey.mesh.store import Broken
from odyssey.mesh.worker import outcome
from odyssey.messages import HandedIn, HandIn, HandInSegment, SegmentTaken
from odyssey.salvaging import CANCELLED, LARGE, LOOK_AGAIN_MS, MAY_HAVE_RUN, REFUSED, WAITED, Receiving, Salvaging
from odyssey.scheduler.segments import contents
from tests.builders import Mesh, a_spec
from tests.daemon_fakes import Time
from tests.memory_disk import Disk
from tests.memory_store import MemoryHome
from tests.scheduler.test_salvage import Sides, forked, run, send

MESH = b"m" * 16
ROOT = Lineage(MESH, Generation(1, b"first"))
ME = NodeId("node-000000000000000000001")  # the first that is admitted
STORE = StoreId(b"s" * 16)


def logged(entry: Entry) -> LogEntry:
    data = wire.encode_log(Logged(entry.wall_ms, entry.command))
    return LogEntry(entry.index, entry.term, Kind.COMMAND, data)


class Rig:
    """Machine 1 has come back, and the mesh that went on: its coordinator is real, its log is a list."""

    def __init__(self, sides: Sides, keeps: bool = False) -> None:
        self.time, self.new, self.segments = Time(), sides.new, dict(sides.segments)
        self._fork = sides.fork
        self.disk = Disk()
        self.home = MemoryHome(self.disk, SeededEntropy(1), MESH, ME, ROOT.root)
        fork = Charter(MESH, Generation(2, b"c" * 16), ROOT.root, Fork(1, sides.fork), 2, Member(ME, STORE), ME)
        self.lineage = ROOT.with_child(fork)
        self.put_aside(sides.old)
        self.lost = 0  # so many letters
        self.letters: list[HandIn | HandInSegment] = []
        self.answers: list[HandedIn | SegmentTaken] = []
        self.dropped: list[bytes] = []
        self.full = False
        core = SimpleNamespace(term=2, leads_safely=True, started=0, config=SimpleNamespace(members=()))
        if keeps:
            core.config.members = (Member(ME, STORE),)
        self.replica = SimpleNamespace(me=Member(ME, STORE), core=core, applied=1, propose=self.propose)
        self.book = Book(self.new.state)
        self.begin()

    def put_aside(self, old: Mesh) -> None:
        store = self.home.create()
        entries = tuple(logged(one) for one in old.entries)
        store.write(Write(1, HardState(1, None, 0), entries, None))
        store.close()
        self.home.begin_anew()
        self.home.open().close()

    def begin(self) -> None:
        """A daemon starts: it knows nothing but what is on the disk."""
        replica = cast("Any", self.replica)
        self.receiving = Receiving(replica, self.book, self, self)
        self.salvaging = Salvaging(self.lineage, replica, self.home, self, self, self, self.time)
        self.salvaging.start()

    # -- ports

    def run(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        mine = self.salvaging if hasattr(self, "salvaging") else None
        self.time.call_later(0.001, lambda: self._done(mine, job, done))

    def _done(self, mine: Salvaging | None, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        if mine in (None, self.salvaging):
            done(outcome(job))

    def propose(self, command: Any, done: Callable[[Outcome], None]) -> None:
        if self.full:
            done(Again(50))
            return
        events = self.new.do(command)
        self.book.state = self.new.state
        done(Accepted(self.new.state.head.index, events))

    def hand_in(self, message: HandIn | HandInSegment) -> None:
        self.letters.append(message)
        sent = wire.decode_message(wire.encode_message(message, wire.ENTRY), type(message), wire.ENTRY)
        if self.lost:
            self.lost -= 1
            return
        self.time.call_later(0.001, lambda: self.receiving.hear(ME, sent))

    def tell(self, node: NodeId, message: HandedIn | SegmentTaken) -> None:
        assert node == ME
        self.answers.append(message)
        if self.lost:
            self.lost -= 1
            return
        self.time.call_later(0.001, lambda: self.salvaging.hear(message))

    def adopt(self, source: Member, segment: HandInSegment) -> None:
        assert source == Member(ME, STORE)
        data = self.segments[segment.digest]
        kept = contents(data).jobs
        numbers = [one.job.id for one in kept]
        assert (segment.size, segment.jobs) == (len(data), len(kept))
        assert (segment.first, segment.last) == (min(numbers), max(numbers))
        self.new.do(
            AdoptSegment(self.new.fence, segment.digest, segment.size, segment.first, segment.last, segment.jobs)
        )

    def segment(self, digest: bytes, done: Callable[[bytes | None], None]) -> None:
        self.time.call_later(0.001, lambda: done(self.segments.get(digest)))

    def put_segment(self, digest: bytes, data: bytes, done: Callable[[], None]) -> None:
        self.segments[digest] = data
        self.time.call_later(0.001, done)

    def drop_segments(self, digests: Any) -> None:
        self.dropped += digests

    # -- what comes of it

    def wait(self, ms: int = 1) -> None:
        self.time.wait(ms)
        self.salvaging.tick(self.time.monotonic_ms())

    def go_on(self, ms: int = 60_000) -> None:
        for _ in range(ms // 100):
            if not self.salvaging.busy:
                return
            self.wait(100)
        raise AssertionError("it is not handed in")

    @property
    def account(self) -> dict[str, Any]:
        (data,) = self.disk.accounts.values()
        found: dict[str, Any] = json.loads(data)
        return found

    @property
    def listed(self) -> list[tuple[str, int, int | None]]:
        return [(one["why"], one["job"], one["here"]) for one in self.account["listed"]]

    @property
    def history(self) -> list[int]:
        found = [contents(self.segments[digest]) for digest in self.new.state.segments]
        return [kept.job.id for one in found if one.origin for kept in one.jobs]

    @property
    def submits(self) -> list[bytes]:
        behind = self.new.entries[self._fork :]
        return [one.command.client[:1] for one in behind if isinstance(one.command, SubmitJobs)]


def handed_in(sides: Sides, **how: Any) -> Rig:
    rig = Rig(sides, **how)
    rig.go_on()
    return rig


def busy() -> Sides:
    """Of everything something."""
    sides = forked({})
    run(sides.old, send(sides.old, b"e"))
    parent = send(sides.old, b"p")
    send(sides.old, b"c", a_spec(after=(parent,)))
    send(sides.old, b"o", a_spec(once=True))
    sides.old.assign(sides.old.state.clients[ClientId(b"o" * 16)].first, 1)
    sides.old.do(CancelTasks(JobId(1), by=UserId("anna")))
    return sides


def whole(rig: Rig) -> None:
    assert rig.submits == [b"p", b"c"]
    parent, child = (rig.new.state.clients[ClientId(name * 16)].first for name in (b"p", b"c"))
    assert rig.new.job(child).blockers == (parent,)
    assert len(rig.new.state.segments) == 1
    assert rig.history == [1, 2], "also what goes on here: how it ended there is shown"
    assert rig.listed == [(MAY_HAVE_RUN, 5, None), (CANCELLED, 1, 1)]


# -- all of it ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps", [False, True])
def test_everything_behind_the_fork_is_submitted_or_history_or_listed(keeps: bool) -> None:
    rig = handed_in(busy(), keeps=keeps)
    whole(rig)
    assert list(rig.home.tails()) == []
    assert rig.dropped == ([] if keeps else list(rig.new.state.segments)), "others keep it"
    word, cancel = rig.account["listed"]
    assert (word["argv"], word["by"], cancel["by"], rig.account["submitted"]) == (["true"], "anna", "anna", 2)


def test_where_nothing_was_set_aside_nothing_is_said() -> None:
    rig = Rig(forked())
    rig.disk.tails.clear()
    rig.begin()
    rig.go_on(200)
    assert rig.letters == []


def test_an_empty_tail_is_over_at_once() -> None:
    rig = handed_in(forked({}))
    assert rig.letters == []
    assert rig.account["listed"] == rig.account["segments"] == []


@pytest.mark.parametrize("lost", range(1, 14))
def test_letters_and_answers_that_are_lost_cost_time_only(lost: int) -> None:
    rig = Rig(busy())
    rig.lost = lost
    rig.go_on()
    whole(rig)


@pytest.mark.parametrize("after_ms", range(1, 24, 2))
def test_whenever_the_daemon_dies_the_next_one_does_it_all_and_nothing_twice(after_ms: int) -> None:
    rig = Rig(busy())
    for _ in range(after_ms):
        rig.wait(1)
    rig.begin()
    rig.go_on()
    whole(rig)
    rig.begin()
    rig.go_on()
    whole(rig)
    assert len(rig.disk.accounts) == 1


def test_another_coordinator_goes_on_where_the_last_one_ended() -> None:
    rig = Rig(busy())
    for _ in range(200):
        rig.wait(1)
        rig.receiving = Receiving(cast("Any", rig.replica), rig.book, rig, rig)
    rig.go_on()
    whole(rig)


def test_what_the_log_does_not_take_now_is_taken_later() -> None:
    rig = Rig(busy())
    rig.full = True
    for _ in range(50):
        rig.wait(100)
    assert rig.salvaging.busy
    assert list(rig.home.tails())
    rig.full = False
    rig.go_on()
    whole(rig)


def test_what_somebody_sent_again_meanwhile_goes_on_and_is_not_listed() -> None:
    sides = busy()
    for name in (b"p", b"o"):
        send(sides.new, name)
    rig = handed_in(sides)
    assert rig.submits == [b"p", b"o", b"c"]
    assert rig.listed == [(CANCELLED, 1, 1)]
    parent, child = (rig.new.state.clients[ClientId(name * 16)].first for name in (b"p", b"c"))
    assert rig.new.job(child).blockers == (parent,)


# -- what is left to people --------------------------------------------------------------------------------------------


def test_what_waited_for_a_job_that_is_only_listed_is_listed_too() -> None:
    sides = forked()
    parent = send(sides.old, b"o", a_spec(once=True))
    sides.old.assign(parent, 1)
    child = send(sides.old, b"c", a_spec(after=(parent,)))
    send(sides.old, b"g", a_spec(after=(child,)))
    rig = handed_in(sides)
    assert rig.submits == []
    assert [why for why, _, _ in rig.listed] == [MAY_HAVE_RUN, WAITED, WAITED]


def test_what_the_mesh_refuses_is_listed() -> None:
    sides = forked()
    send(sides.old, b"r", a_spec(needs="gpu"))
    send(sides.old, b"s")
    rig = Rig(sides)
    propose = rig.propose

    def stricter(command: Any, done: Callable[[Outcome], None]) -> None:
        bad = command.client[:1] == b"r"
        propose(command.__class__(command.client, command.seen_index, ()) if bad else command, done)

    rig.replica.propose = stricter
    rig.go_on()
    assert rig.listed == [(REFUSED, 1, None)]
    assert rig.submits[-1:] == [b"s"]


def test_what_fits_no_letter_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = forked()
    send(sides.old, b"l", a_spec(argv=(b"x" * 5_000,)))
    send(sides.old, b"s")
    monkeypatch.setattr(salvaging, "LARGEST", 4_000)
    rig = handed_in(sides)
    assert rig.listed == [(LARGE, 1, None)]
    assert rig.submits == [b"s"]


def test_many_go_in_letters_of_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = forked()
    for number in range(250):
        send(sides.old, bytes((number,)), a_spec(argv=(b"x" * 400,)))
    monkeypatch.setattr(salvaging, "MOST_BYTES", 20_000)
    rig = handed_in(sides)
    assert rig.submits == [bytes((number,)) for number in range(250)]
    sizes = [len(wire.encode(one.submits)) for one in rig.letters if isinstance(one, HandIn) and one.submits]
    assert max(sizes) < 21_000
    assert len(sizes) > 5


def test_a_cancel_of_what_is_over_here_is_not_listed() -> None:
    sides = forked({}, {})
    for job in (1, 2):
        sides.old.do(CancelTasks(JobId(job)))
    run(sides.new, 1)
    assert handed_in(sides).listed == [(CANCELLED, 2, 2)]


# -- history -----------------------------------------------------------------------------------------------------------


def test_what_was_archived_behind_the_fork_comes_too_and_what_is_lacking_is_named() -> None:
    sides = forked()
    run(sides.old, send(sides.old, b"a"))
    sides.archive()
    assert handed_in(sides).history == [1]
    (digest,) = sides.segments
    sides = forked()
    run(sides.old, send(sides.old, b"a"))
    sides.archive()
    sides.segments.clear()
    rig = handed_in(sides)
    assert rig.history == []
    assert rig.account["lacking"] == [digest.hex()]


# -- an old store that cannot be read ----------------------------------------------------------------------------------


def test_a_damaged_one_is_said_once_and_kept() -> None:
    rig = Rig(busy())
    old = rig.disk.olds[rig.disk.tails[0]]
    old.rot(SeededEntropy(3), needle=b"anna")
    rig.go_on()
    assert rig.letters == []
    assert "mesh.db" in rig.account["unreadable"]
    assert list(rig.home.tails()) == []


def test_a_disk_that_does_not_work_just_now_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(busy())
    old = rig.home.old

    def broken(name: str) -> Any:
        raise Broken("the disk has failed", hint="look at the disk")

    monkeypatch.setattr(rig.home, "old", broken)
    for _ in range(10):
        rig.wait(1_000)
    assert rig.disk.accounts == {}
    monkeypatch.setattr(rig.home, "old", old)
    for _ in range(LOOK_AGAIN_MS // 1_000):
        rig.wait(1_000)
    rig.go_on()
    whole(rig)


def test_two_of_them_are_handed_in_one_after_the_other() -> None:
    sides, more = busy(), forked({})
    send(more.old, b"z")
    rig = Rig(sides)
    rig.disk.set_aside()
    rig.put_aside(more.old)
    rig.go_on()
    assert rig.submits == [b"p", b"c", b"z"]
    assert len(rig.disk.accounts) == 2


def test_who_ends_while_an_old_store_is_read_says_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(busy())
    read: list[Any] = []
    monkeypatch.setattr(rig.salvaging, "_found", read.append)
    rig.salvaging.start()
    rig.salvaging.stop()
    rig.wait(10)
    assert rig.letters == []
    ((name, error),) = read
    assert (name, error.message) == ("aside-1", "the daemon ends")
    rig.begin()
    rig.go_on()
    whole(rig)


# -- who is answered ---------------------------------------------------------------------------------------------------


def test_only_who_leads_answers_and_only_machines_of_the_mesh() -> None:
    rig = Rig(forked({}))
    rig.answers.clear()
    letter = HandIn(7, jobs=(JobId(1),))
    rig.receiving.hear(NodeId("stranger"), letter)
    rig.replica.core.leads_safely = False
    rig.receiving.hear(ME, letter)
    rig.replica.core.leads_safely, rig.replica.core.started = True, 2
    rig.receiving.hear(ME, letter)
    assert rig.answers == []
    rig.replica.core.started = 1
    rig.receiving.hear(ME, letter)
    assert rig.answers == [HandedIn(7, live=(JobId(1),))]


def test_an_answer_to_another_letter_changes_nothing() -> None:
    rig = Rig(busy())
    rig.lost = 1_000
    for _ in range(50):
        rig.wait(100)
    (first, *_) = rig.letters
    assert isinstance(first, HandInSegment)
    rig.salvaging.hear(SegmentTaken(b"another"))
    rig.salvaging.hear(HandedIn(1))
    rig.wait(2_000)
    assert rig.letters[-1] == first


def test_config_is_part_of_a_log_too() -> None:
    """An old log holds changes of members between its commands."""
    sides = forked({})
    send(sides.old, b"n")
    rig = Rig(sides)
    rig.disk.olds.clear()
    rig.disk.tails.clear()
    rig.disk.set_aside()
    store = rig.home.create()
    entries = [logged(one) for one in sides.old.entries]
    last = entries[-1].index
    entries.append(LogEntry(last + 1, 1, Kind.CONFIG, wire.encode(Config((Member(ME, STORE),)))))
    entries.append(LogEntry(last + 2, 2, Kind.START, b""))
    store.write(Write(1, HardState(2, None, 0), tuple(entries), None))
    store.close()
    rig.home.begin_anew()
    rig.begin()
    rig.go_on()
    assert rig.submits == [b"n"]

"""Each operation over a real socket: what it answers, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from odyssey import errors
from odyssey.api import chronicle, spool, storybook
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.client import Client
from odyssey.api.operations import BY_NAME
from odyssey.commands import AdoptSegment
from odyssey.events import JobSubmitted, TermStarted
from odyssey.ids import ClientId, JobId, NodeNumber
from odyssey.mesh.letters import Again, NoRoom, Unknown
from odyssey.model import Outcome
from odyssey.scheduler.draft import replace
from odyssey.scheduler.segments import Detail, Kept, Packing, foreign
from odyssey.scheduler.snapshot import OwnerState, Pause, Seen
from odyssey.spec import Blob
from tests.api.counter import FakeCounter, blocking, desk_of, until
from tests.api.test_walk import output, walked
from tests.builders import a_spec


def asked(tmp_path: Path, ask: Callable[[Client], object], prepare: Callable[[FakeCounter], object]) -> FakeCounter:
    """One question to a state that the test has prepared."""

    async def walk(counter: FakeCounter, client: Client) -> None:
        prepare(counter)
        await blocking(lambda: ask(client))

    return walked(tmp_path, walk)


def test_each_row_has_a_handler(tmp_path: Path) -> None:
    async def look() -> None:
        desk = desk_of(FakeCounter(tmp_path))
        assert desk.handlers.keys() == BY_NAME.keys()
        desk.close()

    asyncio.run(look())


# -- waiting, output ---------------------------------------------------------------------------------------------------


def test_wait_tells_each_job_as_it_ends(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        for _ in range(3):
            counter.submit()
        counter.assign(2)
        counter.end(2)
        waiting = asyncio.create_task(blocking(lambda: [job.id for job in client.wait("1", "2", "3")]))
        await until(lambda: counter.listened(1))
        for job, code in ((3, 0), (1, 1)):
            counter.assign(job)
            counter.end(job, code=code)
        assert await waiting == [2, 3, 1]

    walked(tmp_path, walk)


def test_logs_are_told_task_by_task_and_the_last_lines_are_found(tmp_path: Path) -> None:
    def prepare(counter: FakeCounter) -> None:
        counter.submit(count=2)
        for attempt, text in zip(counter.assign(1, 0, 1), (b"a\nb\nc\n", b"x\ny"), strict=True):
            counter.outputs.write(attempt, text)
            counter.outputs.write(attempt, b"oops", v.STDERR)

    def ask(client: Client) -> None:
        def told(request: r.Logs, stream: int = v.STDOUT) -> bytes:
            return output([item for part in client.stream(request) for item in part.items], stream)

        assert told(r.Logs("1")) == b"a\nb\nc\nx\ny"
        assert told(r.Logs("1"), v.STDERR) == b"oopsoops"
        assert told(r.Logs("1/0", "stdout", tail=2)) == b"b\nc\n"
        assert told(r.Logs("1/1", tail=1)) == b"y"
        assert told(r.Logs("1/1", tail=0)) == b""
        assert told(r.Logs("1/1", tail=9)) == b"x\ny"
        assert told(r.Logs("1", "stderr")) == b""
        with pytest.raises(errors.UsageError):
            told(r.Logs("1", "stdlog"))

    asked(tmp_path, ask, prepare)


def test_where_says_where_and_how_much(tmp_path: Path) -> None:
    def prepare(counter: FakeCounter) -> None:
        counter.submit(count=2)
        (attempt,) = counter.assign(1, 0)
        counter.outputs.write(attempt, b"four")
        counter.outputs.cut[attempt, v.STDOUT] = 7
        counter.files.folders[attempt] = "/files"

    def ask(client: Client) -> None:
        first, second = client.call(r.Where("1")).tasks
        assert (first.state, first.node, first.stdout_bytes, first.cut_bytes) == ("running", "titan", 4, 7)
        assert (second.state, second.node, second.stdout_bytes) == ("waiting", None, None)
        assert (first.files, second.files) == ("/files", None)

    asked(tmp_path, ask, prepare)


# -- why ---------------------------------------------------------------------------------------------------------------


def test_explain_and_queue_say_why_a_job_waits(tmp_path: Path) -> None:
    def prepare(counter: FakeCounter) -> None:
        counter.submit(cpus=4)
        counter.assign(1)
        counter.submit(cpus=3, name="later")
        counter.submit(held=True)
        counter.submit(after=(1,))

    def ask(client: Client) -> None:
        told = client.call(r.Explain("later"))
        assert told.reason is not None
        assert (told.state, told.reason.code) == ("waiting", "full")
        assert any("titan" in line for line in told.lines)
        queue = client.call(r.Queue()).waiting
        assert [(one.id, one.reason.code) for one in queue] == [(2, "full"), (4, "parents"), (3, "held")]
        assert "--cpus 3" in queue[0].asks_for

    asked(tmp_path, ask, prepare)


@pytest.mark.parametrize(
    ("pause", "text"),
    [(Pause.ASKED, "titan: paused by anna"), (Pause.BATTERY, "titan: on battery"), (None, "titan: paused by anna")],
)
def test_lists_give_the_same_reason_as_explain(tmp_path: Path, pause: Pause | None, text: str) -> None:
    def prepare(counter: FakeCounter) -> None:
        counter.submit()
        counter.sights[NodeNumber(1)] = Seen(owner=OwnerState.PAUSED, pause=pause)

    def ask(client: Client) -> None:
        told = client.call(r.Explain("1")).reason
        assert told is not None
        assert told.text == text
        assert [job.reason for job in client.call(r.Jobs()).jobs] == [text]
        assert client.call(r.Job("1")).job.reason == text
        assert [one.reason for one in client.call(r.Queue()).waiting] == [v.ReasonView("absent", text)]

    asked(tmp_path, ask, prepare)


def test_who_watches_hears_why_a_job_waits_when_that_changes(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        counter.submit()
        counter.sights[NodeNumber(1)] = Seen(owner=OwnerState.PAUSED, pause=Pause.BATTERY)
        pictures = client.stream(r.Watch())
        first = await blocking(lambda: next(pictures))
        assert [job.reason for job in first.jobs] == ["titan: on battery"]
        counter.sights[NodeNumber(1)] = Seen(owner=OwnerState.PAUSED, pause=Pause.HOURS)
        counter.clock.advance(1_000)
        later = await blocking(lambda: next(one for one in pictures if one.jobs))
        assert [job.reason for job in later.jobs] == ["titan: outside the hours in which it gives"]
        pictures.close()  # type: ignore[attr-defined]

    walked(tmp_path, walk)


def test_a_dry_run_submits_nothing(tmp_path: Path) -> None:
    def ask(client: Client) -> None:
        view = client.call(r.DryRun(a_spec()))
        assert (view.would_start, view.node) == (True, "titan")
        with pytest.raises(errors.InvalidSpec):
            client.call(r.DryRun(a_spec(argv=())))

    counter = asked(tmp_path, ask, lambda _: None)
    assert not counter.state.jobs


def test_what_no_machine_could_ever_take_is_refused_with_the_closest(tmp_path: Path) -> None:
    def ask(client: Client) -> None:
        with pytest.raises(errors.InvalidSpec) as told:
            client.call(r.Submit(bytes(16), (a_spec(cpus=64),)))
        assert told.value.message == "no machine can run this: titan: too small by 60 cpus"
        assert told.value.hint == "would start now with --cpus 4 (titan)"
        with pytest.raises(errors.InvalidSpec, match="is not nova"):
            client.call(r.Submit(bytes(16), (a_spec(on=("nova",)),)))

    counter = asked(tmp_path, ask, lambda _: None)
    assert not counter.proposed


# -- changes -----------------------------------------------------------------------------------------------------------


def test_hold_release_prio_and_retry(tmp_path: Path) -> None:
    def prepare(counter: FakeCounter) -> None:
        counter.submit()
        counter.submit()
        counter.assign(2)
        counter.end(2, code=1)

    def ask(client: Client) -> None:
        client.call(r.Hold("1"))
        assert client.call(r.Job("1")).job.reason == "held"
        client.call(r.Release("1"))
        client.call(r.Prio("1", 5))
        assert client.call(r.Job("1")).job.priority == 5
        assert client.call(r.Retry("2")) == v.Changed(2, 1)
        assert client.call(r.Job("2")).job.state == "waiting"
        with pytest.raises(errors.UsageError):
            client.call(r.Prio("1", 11))

    asked(tmp_path, ask, prepare)


@pytest.mark.parametrize("first", [Again(1), Unknown()])
def test_a_change_is_proposed_until_its_fate_is_known(tmp_path: Path, first: Again | Unknown) -> None:
    def prepare(counter: FakeCounter) -> None:
        counter.outcomes += [first, first]

    counter = asked(tmp_path, lambda client: client.call(r.Submit(bytes(16), (a_spec(),))), prepare)
    assert len(counter.proposed) == 3
    assert len(counter.state.jobs) == 1


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    def ask(client: Client) -> None:
        with pytest.raises(errors.CutOff, match="disk"):
            client.call(r.Submit(bytes(16), (a_spec(),)))

    asked(tmp_path, ask, lambda counter: counter.outcomes.append(NoRoom()))


def test_the_policy_is_told_and_set(tmp_path: Path) -> None:
    def ask(client: Client) -> None:
        assert client.call(r.Policy()).name == "weighted"
        assert client.call(r.Policy("pack")).name == "pack"
        with pytest.raises(errors.UsageError, match="no policy"):
            client.call(r.Policy("best"))

    asked(tmp_path, ask, lambda _: None)


# -- what is put -------------------------------------------------------------------------------------------------------


def test_the_words_of_tasks_must_be_here_before_the_submit(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    digest = sha256(data).digest()
    spec = a_spec(items=(Blob(digest, len(data)),))

    def ask(client: Client) -> None:
        with pytest.raises(errors.InvalidSpec):
            client.call(r.Submit(bytes(16), (spec,)))
        client.put_blob(data)
        assert client.call(r.PutBlob(digest, len(data), 0, b"")) == v.HowFar(len(data), True)
        client.call(r.Submit(bytes(16), (spec,)))

    asked(tmp_path, ask, lambda _: None)
    assert (tmp_path / "blobs" / digest.hex()[:2] / digest.hex()).read_bytes() == data


def test_a_standard_input_comes_in_pieces_once(tmp_path: Path) -> None:
    name = bytes(range(16))

    def ask(client: Client) -> None:
        assert client.call(r.PutStdin(name, 0, b"abc")) == v.HowFar(3, False)
        assert client.call(r.PutStdin(name, 0, b"abc")) == v.HowFar(3, False)
        assert client.call(r.PutStdin(name, 5, b"!")) == v.HowFar(3, False)
        assert client.call(r.PutStdin(name, 2, b"cde")) == v.HowFar(5, False)
        assert client.call(r.PutStdin(name, 5, b"", is_end=True)) == v.HowFar(5, True)
        assert client.call(r.PutStdin(name, 5, b"more")) == v.HowFar(5, True)

    counter = asked(tmp_path, ask, lambda _: None)
    spool = tmp_path / "spool" / "stdin"
    assert (spool / name.hex()).read_bytes() == b"abcde"
    assert (spool / f"{name.hex()}.end").exists()
    assert counter.grown[-1] == (name, 5, True)


def test_a_writer_that_goes_for_good_has_written_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ABANDONED_SECONDS", 0.0)
    name = bytes(range(16))

    async def walk(counter: FakeCounter, client: Client) -> None:
        with Client(tmp_path / "s") as writer:
            await blocking(lambda: writer.call(r.PutStdin(name, 0, b"half")))
            assert counter.grown[-1] == (name, 4, False)
        await until(lambda: counter.grown[-1] == (name, 4, True))

    walked(tmp_path, walk)


def test_a_writer_that_did_not_come_back_over_a_restart_has_written_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "ABANDONED_SECONDS", 0.05)
    name = bytes(range(16))
    counter = FakeCounter(tmp_path)
    counter.submit(stdin=name)

    async def walk(counter: FakeCounter, client: Client) -> None:
        await until(lambda: (name, 0, True) in counter.grown)

    walked(tmp_path, walk, counter)


# -- looking on --------------------------------------------------------------------------------------------------------


def test_events_tell_what_happened_and_go_on(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        counter.submit(name="fit")
        counter.assign(1)
        counter.end(1, code=1)
        (page,) = await blocking(lambda: list(client.stream(r.Events())))
        assert [(event.kind, event.subject) for event in page.events] == [
            ("job-submitted", "1"), ("tasks-ended", "1/0"), ("job-ended", "1"),
        ]  # fmt: skip
        assert page.events[-1].text == "job 1 (fit) failed"
        following = client.stream(r.Events(limit=1, is_following=True))
        assert [event.kind for event in (await blocking(lambda: next(following))).events] == ["job-ended"]
        counter.submit()
        assert [event.subject for event in (await blocking(lambda: next(following))).events] == ["2"]
        following.close()  # type: ignore[attr-defined]
        later = r.Events(after=page.events[-1].number)
        assert [
            event.subject for part in await blocking(lambda: list(client.stream(later))) for event in part.events
        ] == ["2"]

    walked(tmp_path, walk)


def test_an_event_is_as_old_as_the_log_says_and_not_as_the_daemon(tmp_path: Path) -> None:
    """One that starts is told again of all that is not in its last snapshot."""

    async def walk(counter: FakeCounter, client: Client) -> None:
        counter.made_ms[counter.applied + 1] = 86_400_000
        counter.submit(name="fit")
        (page,) = await blocking(lambda: list(client.stream(r.Events())))
        assert [event.at for event in page.events] == [86_400_000]

    walked(tmp_path, walk)


def kinds_of(client: Client, **fields: Any) -> list[tuple[str, str, int]]:
    pages = client.stream(r.Events(**fields))
    return [(event.kind, event.subject, event.at) for page in pages for event in page.events]


def test_events_outlive_the_daemon_with_their_times_and_without_doubles(tmp_path: Path) -> None:
    """The log tells the next daemon again what was in no snapshot; what was not written down is written then."""
    mesh = FakeCounter(tmp_path).mesh
    told: list[list[tuple[str, str, int]]] = []
    mesh.submit()
    told_before: list[Any] = []

    async def first(counter: FakeCounter, client: Client) -> None:
        counter.tell(mesh.events)
        counter.submit(name="fit")
        counter.clock.advance(60_000)
        counter.submit()
        told.append(await blocking(lambda: kinds_of(client)))

    async def second(counter: FakeCounter, client: Client) -> None:
        counter.clock.advance(3_600_000)
        counter.tell(mesh.events)  # all of it again
        told.append(await blocking(lambda: kinds_of(client)))
        counter.submit()
        told.append(await blocking(lambda: kinds_of(client, after=0)))
        numbers = [
            event.number for page in await blocking(lambda: list(client.stream(r.Events()))) for event in page.events
        ]
        assert numbers == sorted(set(numbers))
        told_before.extend(await blocking(lambda: kinds_of(client, limit=2)))

    walked(tmp_path, first, FakeCounter(tmp_path, mesh))

    async def third(_: FakeCounter, client: Client) -> None:
        assert await blocking(lambda: kinds_of(client)) == told[2]  # the log has nothing to tell: all is in a snapshot

    walked(tmp_path, second, FakeCounter(tmp_path, mesh))
    walked(tmp_path, third, FakeCounter(tmp_path, mesh))
    assert [subject for _, subject, _ in told[0]][-3:] == ["1", "2", "3"]
    assert told[1] == told[0]
    assert told[2][:-1] == told[0]
    assert told_before == told[2][-2:]


def test_what_the_last_daemon_did_not_write_down_the_log_tells_again(tmp_path: Path) -> None:
    mesh = FakeCounter(tmp_path).mesh
    before = len(mesh.events)

    async def first(counter: FakeCounter, client: Client) -> None:
        counter.submit()
        counter.submit()

    async def second(counter: FakeCounter, client: Client) -> None:
        counter.tell(mesh.events[before:])
        assert [subject for _, subject, _ in await blocking(lambda: kinds_of(client))] == ["1", "2"]

    walked(tmp_path, first, FakeCounter(tmp_path, mesh))
    book = tmp_path / storybook.NEWER
    whole = book.read_bytes().splitlines(keepends=True)
    book.write_bytes(b"".join(whole[:-1]) + whole[-1][:9])  # the last line is torn
    walked(tmp_path, second, FakeCounter(tmp_path, mesh))
    assert len(storybook.Storybook(tmp_path).read()) == 2


def test_more_events_than_memory_holds_are_read_from_the_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chronicle, "KEPT", 5)

    async def walk(counter: FakeCounter, client: Client) -> None:
        for _ in range(20):
            counter.submit()
        events = await blocking(lambda: kinds_of(client, limit=12))
        assert [subject for _, subject, _ in events] == [str(number) for number in range(9, 21)]

    walked(tmp_path, walk)


def test_the_book_keeps_so_many_lines(tmp_path: Path) -> None:
    book = storybook.Storybook(tmp_path, most=20)
    for number in range(1, 101):
        book.add([storybook.Line(number, number, "k", "s", "t", {}, number)])
    kept = [line.number for line in book.read()]
    assert kept == list(range(kept[0], 101))
    assert 10 <= len(kept) <= 20
    again = storybook.Storybook(tmp_path, most=20)
    again.add([storybook.Line(101, 1, "k", "s", "t", {}, 1)])
    assert [line.number for line in again.read()] == [*kept, 101][-len(again.read()) :]


def test_a_disk_that_takes_no_events_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / storybook.NEWER).mkdir()

    async def walk(counter: FakeCounter, client: Client) -> None:
        counter.submit()
        assert [kind for kind, _, _ in await blocking(lambda: kinds_of(client))] == ["job-submitted"]

    walked(tmp_path, walk)


def test_what_the_log_does_by_itself_is_as_old_as_what_came_next(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        start, submitted = TermStarted(5, 1, 2), JobSubmitted(6, ClientId(bytes(16)), JobId(1), 1)
        counter.made_ms.update({5: 0, 6: 777})
        counter.tell([start, submitted])
        counter.made_ms[7] = 0
        counter.tell([TermStarted(7, 1, 3)])
        times = [at for _, _, at in await blocking(lambda: kinds_of(client))]
        assert times == [777, 777, counter.clock.wall_ms()]

    walked(tmp_path, walk)


def test_a_watch_tells_all_and_then_what_changed(tmp_path: Path) -> None:
    async def walk(counter: FakeCounter, client: Client) -> None:
        for name in ("one", "two"):
            counter.submit(name=name)
        pictures = client.stream(r.Watch())
        first = await blocking(lambda: next(pictures))
        assert first.is_first
        assert {job.name for job in first.jobs} == {"one", "two"}
        assert first.nodes is not None
        assert first.status is not None
        counter.assign(2)
        second = await blocking(lambda: next(pictures))
        assert [(job.name, job.state, job.tasks.running) for job in second.jobs] == [("two", "running", 1)]
        pictures.close()  # type: ignore[attr-defined]

    walked(tmp_path, walk)


# -- history -----------------------------------------------------------------------------------------------------------


def test_a_job_of_an_earlier_life_that_goes_on_here_is_shown_once(tmp_path: Path) -> None:
    def prepare(counter: FakeCounter) -> None:
        for name in ("again", "lost"):
            counter.submit(name=name)
        mine = counter.mesh.job(1)
        state = counter.state
        ended = [
            Kept(
                replace(job, id=JobId(number), counts=(0, 0, 0, 1, 0, 0, 0), ended_index=5, ended_ms=5), Detail.ALL, ()
            )
            for number, job in ((501, mine), (502, replace(counter.mesh.job(2), client=ClientId(b"other client id."))))
        ]
        for packed in foreign(ended, {}, b"old"):
            counter.segments[packed.digest] = packed.data
            first, last = JobId(501), JobId(502)
            counter.do(AdoptSegment(counter.mesh.fence, packed.digest, len(packed.data), first, last, 2))
        assert state.segments

    def ask(client: Client) -> None:
        for _ in range(2):
            assert [(job.id, job.name) for job in client.call(r.History()).jobs] == [(502, "lost")]

    asked(tmp_path, ask, prepare)


def archive(counter: FakeCounter, *jobs: int) -> None:
    packing = Packing(counter.state, [counter.mesh.job(job).id for job in jobs])
    while (packed := packing.step()) is None:
        pass
    counter.segments[packed.digest] = packed.data
    counter.do(packed.order(counter.mesh.fence))


def test_a_job_that_is_history_is_found_listed_and_told(tmp_path: Path) -> None:
    def prepare(counter: FakeCounter) -> None:
        for code in range(4):
            counter.submit(name=f"job{code}")
            (attempt,) = counter.assign(code + 1)
            counter.outputs.write(attempt, b"out%d" % code)
            counter.end(code + 1, code=code, started_ms=5, ended_ms=6)
        archive(counter, 1, 3)
        archive(counter, 2)
        assert list(counter.state.jobs) == [4]

    def ask(client: Client) -> None:
        assert [(job.id, job.exit_code) for job in client.call(r.History()).jobs] == [(4, 3), (3, 2), (2, 1), (1, 0)]
        page = client.call(r.History(limit=2))
        assert [job.id for job in client.call(r.History(below=page.below)).jobs] == [2, 1]
        assert [job.id for job in client.call(r.History(name="job1")).jobs] == [2]
        detail = client.call(r.Job("2"))
        assert (detail.job.name, detail.job.node, detail.task_list[0].tries[0].exit_code) == ("job1", "titan", 1)
        items = list(client.follow(r.Follow("3")))
        assert output(items) == b"out2"
        assert isinstance(items[-1], v.Over)
        assert [job.exit_code for job in client.wait("1", "2")] == [0, 1]
        assert client.call(r.Where("1")).tasks[0].stdout_bytes == 4
        told = client.call(r.Explain("2"))
        assert told.reason is not None
        assert told.reason.text == "exit 1"
        for change in (r.Retry("2"), r.Cancel("1"), r.Hold("3")):
            with pytest.raises(errors.UsageError, match="ended long ago"):
                client.call(change)

    asked(tmp_path, ask, prepare)


# -- ends --------------------------------------------------------------------------------------------------------------

ENDS = [
    (Outcome.EXITED, 3, 3, "exit 3"),
    (Outcome.SIGNALLED, 11, 139, "killed by SIGSEGV"),
    (Outcome.SIGNALLED, 64, 192, "killed by signal 64"),
    (Outcome.TIMEOUT, 0, 124, "over its time limit"),
    (Outcome.NOT_HERE, 0, 127, "no machine can run it"),
]


@pytest.mark.parametrize(("outcome", "code", "status", "reason"), ENDS)
def test_an_end_is_told_as_shells_and_people_take_it(
    tmp_path: Path, outcome: Outcome, code: int, status: int, reason: str
) -> None:
    def prepare(counter: FakeCounter) -> None:
        counter.submit()
        counter.assign(1)
        counter.end(1, 0, outcome, code)
        if outcome is Outcome.NOT_HERE:
            counter.give_up(1)

    def ask(client: Client) -> None:
        *_, ended, over = client.follow(r.Follow("1"))
        assert isinstance(ended, v.Ended)
        assert isinstance(over, v.Over)
        assert (ended.exit_status, ended.reason) == (status, reason)
        assert (over.job.exit_status, over.job.reason) == (status, reason)

    asked(tmp_path, ask, prepare)

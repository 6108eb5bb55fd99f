"""The driver of salvage: what an old coordinator's log has behind the fork comes to the mesh that went on without it.

`Salvaging` is on every machine, as long as its daemon runs. It looks for stores that were set aside, works out the tail
of each on a thread of its own, and hands it to whoever coordinates, keeper or not: history as segments that lie on this
disk and are fetched from here, what did not end as submits with their client ids, in pieces that one letter holds.
`Receiving` is there while this machine leads, one per term: it proposes what nobody knows, and answers when all of a
letter is on the log. It remembers nothing that counts, so another coordinator goes on where it ended.

Nothing is marked before all is done, and all may be done again: jobs are known by their client ids, segments by their
digests. What is not carried out (a task that may have run and must not twice, what waits for one, a cancel) is written
beside the store, for people.

Promises: one letter is under way at a time, and said again until it is answered; a tail is handed in whole or is still
to be; each is listed once.
Never: reads a store on the loop, changes it, or takes an answer for another letter's.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from odyssey import wire
from odyssey.book import Book
from odyssey.clock import Clock
from odyssey.commands import Entry, Span, SubmitJobs
from odyssey.errors import OdysseyError
from odyssey.events import CommandFailed, CommandRefused
from odyssey.ids import ClientId, JobId, NodeId, UserId
from odyssey.mesh.generation import Fork, Lineage, parted, shared
from odyssey.mesh.letters import Accepted, Outcome, entry_of
from odyssey.mesh.opening import Home
from odyssey.mesh.raft.types import Member
from odyssey.mesh.replica import Replica
from odyssey.mesh.store import Damaged, Foreign, NoStore
from odyssey.mesh.worker import Worker
from odyssey.messages import HandedIn, HandIn, HandInSegment, SegmentTaken
from odyssey.scheduler.dump import load
from odyssey.scheduler.salvage import (
    Cancel,
    Left,
    Numbers,
    Offer,
    Tail,
    history_again,
    history_of,
    of_today,
    offers_of,
    submit_of,
    tail_of,
)
from odyssey.scheduler.segments import Packed
from odyssey.scheduler.state import State

SAY_AGAIN_MS: Final = 1_000
LOOK_AGAIN_MS: Final = 60_000  # after a disk that did not work
JOBS: Final = 50  # submitted in one letter, unless one submit has more
MOST_BYTES: Final = 256 << 10  # of them
LARGEST: Final = wire.ENTRY.bytes - (64 << 10)  # one alone; larger ones would not fit a letter
ASKED: Final = 1_000  # jobs or submits in one letter
_GONE: Final = (Damaged, Foreign, NoStore)  # no later try would find more


class Listed(msgspec.Struct, frozen=True):
    """What people must decide. Numbers are those of the old coordinator, but for `here`."""

    why: str
    job: JobId
    client: str  # of its submit
    here: JobId | None = None
    by: UserId = UserId("")
    name: str = ""
    argv: tuple[str, ...] = ()
    count: int = 0
    only: tuple[Span, ...] = ()  # of a cancel; none: all


class Account(msgspec.Struct, frozen=True):
    """What became of one tail."""

    segments: tuple[str, ...] = ()  # that were adopted
    lacking: tuple[str, ...] = ()  # that are not on this disk any more
    submitted: int = 0  # submits that are on the log, whoever sent them
    listed: tuple[Listed, ...] = ()
    unreadable: str = ""  # nothing could be handed in


MAY_HAVE_RUN: Final = "it must not run twice and may have run: submit it again if it has not"
WAITED: Final = "it waited for a job that is not there: submit it again without that"
REFUSED: Final = "the mesh refused it"
LARGE: Final = "it is too large to be handed in"
CANCELLED: Final = "it was cancelled at the old coordinator and goes on here: cancel it if that is still meant"


class Shelf(Protocol):
    """The segments on this disk."""

    def segment(self, digest: bytes, done: Callable[[bytes | None], None]) -> None: ...

    def put_segment(self, digest: bytes, data: bytes, done: Callable[[], None]) -> None: ...

    def drop_segments(self, digests: Iterable[bytes]) -> None: ...


class Post(Protocol):
    def hand_in(self, message: HandIn | HandInSegment) -> None:
        """To whoever coordinates, if that is known."""
        ...

    def tell(self, node: NodeId, message: HandedIn | SegmentTaken) -> None: ...


# -- whoever has set a store aside -------------------------------------------------------------------------------------


class _Found(NamedTuple):
    name: str
    tail: Tail
    offers: Sequence[Offer]
    numbers: Numbers
    history: Iterator[Packed]


class _Stopped(OdysseyError):
    """Nobody waits for the old store any more: the daemon ends."""


def _oldest(home: Home, lineage: Lineage, goes_on: Callable[[], bool]) -> _Found | tuple[str, OdysseyError] | None:
    """On the thread. None: all are handed in."""
    for name in home.tails():
        try:
            tail = _tail(home, name, lineage, goes_on)
        except OdysseyError as error:
            return name, error
        return _Found(name, tail, offers_of(tail), Numbers(tail), history_of(tail))
    return None


def _tail(home: Home, name: str, lineage: Lineage, goes_on: Callable[[], bool]) -> Tail:
    old = home.old(name)
    line = old.identity.lineage
    begin = Fork(old.snapshot.term, old.snapshot.index)
    ends = (begin, *(Fork(one.term, one.index) for one in old.entries))
    fork = shared(parted(line, lineage), ends)
    base = load(old.slices) if old.snapshot.index else State()

    def entries() -> Iterator[Entry]:
        for one in old.entries:
            if not goes_on():
                raise _Stopped("the daemon ends", hint="it is read again when the next one starts")
            yield entry_of(one, line.number_at(one.index))

    return tail_of(base, entries(), fork, line.tip.id)


Step = Callable[[Callable[[Any], None]], None] | HandIn | HandInSegment  # something to do, or a letter to be answered
Walk = Generator[Step, Any, None]


class Salvaging:
    def __init__(
        self, lineage: Lineage, replica: Replica, home: Home, reader: Worker, shelf: Shelf, post: Post, clock: Clock
    ) -> None:
        """`reader` is a thread of its own: reading an old log may take long."""
        self._lineage, self._replica, self._home, self._reader = lineage, replica, home, reader
        self._shelf, self._post, self._clock = shelf, post, clock
        self.busy = True  # also while nothing is known yet: until then no segment may be dropped
        self._walk: Walk | None = None
        self._letter: HandIn | HandInSegment | None = None
        self._number = self._say_ms = 0
        self._runs = True
        self._look_ms: int | None = None

    def start(self) -> None:
        self._look_ms = None
        self._reader.run(partial(_oldest, self._home, self._lineage, lambda: self._runs), self._found)

    def stop(self) -> None:
        """Whatever is read or said just now: nothing follows from it any more."""
        self._runs, self._letter, self._look_ms = False, None, None

    def tick(self, now: int) -> None:
        if self._look_ms is not None and now >= self._look_ms:
            self.start()
        elif self._letter is not None and now >= self._say_ms:
            self._say(self._letter)

    def hear(self, answer: HandedIn | SegmentTaken) -> None:
        match self._letter, answer:
            case HandIn(number=asked), HandedIn(number=number) if asked == number:
                self._answered(answer)
            case HandInSegment(digest=asked), SegmentTaken(digest=digest) if asked == digest:
                self._answered(answer)
            case _:
                pass  # said twice

    def _answered(self, answer: HandedIn | SegmentTaken) -> None:
        self._letter = None
        self._go_on(answer)

    # -- one after the other -------------------------------------------------------------------------------------------

    def _found(self, found: _Found | tuple[str, OdysseyError] | OdysseyError | None) -> None:
        if not self._runs:
            return
        match found:
            case None:
                self.busy = False
            case _Found():
                self._walk = self._hand_in(found)
                self._go_on(None)
            case (str(name), OdysseyError() as error) if isinstance(error, _GONE):
                self._walk = self._close(name, Account(unreadable=error.message))
                self._go_on(None)
            case _:  # the disk does not work just now, or a newer version is needed
                self._later()

    def _later(self) -> None:
        self._walk, self._look_ms = None, self._clock.monotonic_ms() + LOOK_AGAIN_MS

    def _go_on(self, answer: object) -> None:
        if not self._runs:
            return
        assert self._walk is not None
        try:
            step = self._walk.send(answer)
        except StopIteration:
            self.start()
        except OdysseyError:
            self._later()
        else:
            if isinstance(step, HandIn | HandInSegment):
                self._letter = step
                self._say(step)
            else:
                step(self._go_on)

    def _say(self, letter: HandIn | HandInSegment) -> None:
        self._say_ms = self._clock.monotonic_ms() + SAY_AGAIN_MS
        self._post.hand_in(letter)

    # -- the walk through one tail: it yields what is to be done, and is sent what came of it --------------------------

    def _hand_in(self, found: _Found) -> Walk:
        segments, lacking = yield from self._bring_all(found)
        listed: list[Listed] = []
        submitted = 0
        for offers in _in_batches(found.offers):
            submitted += yield from self._submit(offers, found.numbers, listed)
        for start in range(0, len(found.tail.cancels), ASKED):
            yield from self._list(found.tail.cancels[start : start + ASKED], found.numbers, listed)
        yield from self._close(found.name, Account(tuple(segments), tuple(lacking), submitted, tuple(listed)))

    def _close(self, name: str, account: Account) -> Walk:
        def write() -> None:
            self._home.handed_in(name, msgspec.json.format(msgspec.json.encode(account)))

        _sure((yield partial(self._reader.run, write)))

    def _bring_all(self, found: _Found) -> Generator[Step, Any, tuple[list[str], list[str]]]:
        segments: list[str] = []
        lacking: list[str] = []
        yield from self._bring(found.history, segments)
        for digest in found.tail.segments:
            data = yield partial(self._shelf.segment, digest)
            if data is None:
                lacking.append(digest.hex())
            else:
                yield from self._bring(history_again(data, found.tail), segments)
        return segments, lacking

    def _bring(self, history: Iterator[Packed], segments: list[str]) -> Walk:
        """Each is made on the thread, and is here only as long as it takes to be put on the disk."""
        while (packed := _sure((yield partial(self._reader.run, partial(next, history, None))))) is not None:
            yield partial(_put, self._shelf, packed)
            count = sum(stop - start for start, stop in packed.jobs)
            first, last = JobId(packed.jobs[0][0]), JobId(packed.jobs[-1][1] - 1)
            yield HandInSegment(self._replica.me.store, packed.digest, len(packed.data), first, last, count)
            segments.append(packed.digest.hex())
            if self._replica.me not in self._replica.core.config.members:
                self._shelf.drop_segments([packed.digest])  # those who keep the log have it

    def _ask(self, **what: Any) -> Generator[Step, Any, HandedIn]:
        self._number += 1
        answer: HandedIn = yield HandIn(self._number, **what)
        return answer

    def _submit(self, offers: Sequence[Offer], numbers: Numbers, listed: list[Listed]) -> Generator[Step, Any, int]:
        """How many of them are on the log."""
        yield from self._learn(numbers, numbers.to_ask([left for offer in offers for left in offer.jobs]))
        open_ = [offer for offer in offers if not numbers.knows(offer.client)]
        listed += _listed([offer for offer in open_ if offer.needs_word], MAY_HAVE_RUN)
        open_ = [offer for offer in open_ if not offer.needs_word]
        while open_:
            ready = [command for offer in open_ if (command := submit_of(offer, numbers)) is not None]
            sent = _as_fit(ready)
            if not sent:
                break
            answer = yield from self._ask(submits=tuple(sent))
            _note(numbers, answer)
            listed += _listed([offer for offer in open_ if offer.client in answer.refused], REFUSED)
            gone = {one.client for one in sent}
            open_ = [offer for offer in open_ if offer.client not in gone]
        large = {one.client for one in map(partial(submit_of, numbers=numbers), open_) if one is not None}
        listed += _listed([offer for offer in open_ if offer.client in large], LARGE)
        listed += _listed([offer for offer in open_ if offer.client not in large], WAITED)
        return sum(numbers.knows(offer.client) for offer in offers)

    def _learn(self, numbers: Numbers, clients: Sequence[ClientId]) -> Walk:
        for start in range(0, len(clients), ASKED):
            _note(numbers, (yield from self._ask(clients=tuple(clients[start : start + ASKED]))))

    def _list(self, cancels: Sequence[Cancel], numbers: Numbers, listed: list[Listed]) -> Walk:
        yield from self._learn(numbers, numbers.to_ask([one.of for one in cancels]))
        here = [numbers.here(one.of) for one in cancels]
        answer = yield from self._ask(jobs=tuple(one for one in here if one is not None))
        live = set(answer.live)
        for cancel, job in zip(cancels, here, strict=True):
            if job in live:
                listed.append(_shown(cancel.of, CANCELLED, job, cancel.by, cancel.only))


def _put(shelf: Shelf, packed: Packed, done: Callable[[None], None]) -> None:
    shelf.put_segment(packed.digest, packed.data, lambda: done(None))


def _sure(found: Any) -> Any:
    if isinstance(found, OdysseyError):
        raise found
    return found


def _in_batches(offers: Iterable[Offer]) -> Iterator[list[Offer]]:
    """Each a moment's work."""
    batch: list[Offer] = []
    jobs = 0
    for offer in offers:
        if batch and jobs + len(offer.jobs) > JOBS:
            yield batch
            batch, jobs = [], 0
        batch.append(offer)
        jobs += len(offer.jobs)
    if batch:
        yield batch


def _as_fit(commands: Sequence[SubmitJobs]) -> list[SubmitJobs]:
    """As many as one letter holds. A large one goes alone, one that is too large not at all."""
    sent: list[SubmitJobs] = []
    total = 0
    for command in commands:
        size = len(wire.encode(command))
        if size <= LARGEST and (not sent or total + size <= MOST_BYTES):
            sent.append(command)
            total += size
    return sent


def _note(numbers: Numbers, answer: HandedIn) -> None:
    for client, first, jobs in answer.known:
        numbers.learn(client, first, jobs)


def _listed(offers: Iterable[Offer], why: str) -> list[Listed]:
    return [_shown(left, why, None, left.job.spec.user) for offer in offers for left in offer.jobs]


def _shown(left: Left, why: str, here: JobId | None, by: UserId, only: tuple[Span, ...] = ()) -> Listed:
    spec = left.job.spec
    argv = tuple(word.decode("utf-8", "replace") for word in spec.argv)
    return Listed(why, left.job.id, left.job.client.hex(), here, by, spec.name, argv, spec.count, only)


# -- the coordinator ---------------------------------------------------------------------------------------------------


class Adopting(Protocol):
    """Where history is made: takes a foreign segment from the disk of that machine, once it has a turn."""

    def adopt(self, source: Member, segment: HandInSegment) -> None: ...


class Receiving:
    """Of one term."""

    def __init__(self, replica: Replica, book: Book, adopting: Adopting, post: Post) -> None:
        self._replica, self._book, self._adopting, self._post = replica, book, adopting, post
        self.term = replica.core.term
        self._under_way: set[ClientId] = set()
        self._refused: set[ClientId] = set()

    def hear(self, sender: NodeId, letter: HandIn | HandInSegment) -> None:
        core, state = self._replica.core, self._book.state
        if core.term != self.term or not core.leads_safely or self._replica.applied < core.started:
            return  # it is said again
        if not any(one.id == sender and not one.removed for one in state.nodes.values()):
            return  # not admitted again yet
        if isinstance(letter, HandIn):
            self._propose(sender, letter)
            self._answer(sender, letter)
        elif letter.digest in state.segments:
            self._post.tell(sender, SegmentTaken(letter.digest))
        else:
            self._adopting.adopt(Member(sender, letter.store), letter)  # type: ignore[arg-type]

    def _propose(self, sender: NodeId, letter: HandIn) -> None:
        for command in letter.submits:
            if not self._is_settled(command.client) and command.client not in self._under_way:
                self._under_way.add(command.client)
                decided = partial(self._decided, sender, letter, command.client)
                self._replica.propose(of_today(command, self._book.state), decided)

    def _decided(self, sender: NodeId, letter: HandIn, client: ClientId, outcome: Outcome) -> None:
        """What did not come onto the log is proposed again when it is asked for again."""
        self._under_way.discard(client)
        if isinstance(outcome, Accepted):
            answer = outcome.answer if isinstance(outcome.answer, list) else []
            if any(_is_final(event) for event in answer):
                self._refused.add(client)
            self._answer(sender, letter)

    def _is_settled(self, client: ClientId) -> bool:
        return client in self._book.state.clients or client in self._refused

    def _answer(self, sender: NodeId, letter: HandIn) -> None:
        if not all(self._is_settled(one.client) for one in letter.submits):
            return
        state = self._book.state
        asked = (*letter.clients, *(one.client for one in letter.submits))
        known = [(client, state.clients[client]) for client in asked if client in state.clients]
        told = HandedIn(
            letter.number,
            tuple((client, one.first, one.jobs) for client, one in known),
            tuple(job for job in letter.jobs if job in state.jobs and state.jobs[job].live),
            tuple(client for client in asked if client in self._refused),
        )
        self._post.tell(sender, told)


def _is_final(event: object) -> bool:
    """What it waits for may have become history just before: the next try leaves that out."""
    if isinstance(event, CommandRefused):
        return event.code != "unknown-dependency"
    return isinstance(event, CommandFailed)

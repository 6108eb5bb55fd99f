"""What there is of the output of attempts on other machines, in the order in which it is asked for.

Several attempts of one machine are asked for at once, as many as fit into one answer, so that the logs of a thousand
short tasks are not a thousand questions.

Promises: as much as an answer has waits here, of each machine; who does not answer is asked once.
Never: waits for more to be written.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Final

from odyssey.api import errands as q
from odyssey.api import views as v
from odyssey.api.ports import Counter
from odyssey.errors import OdysseyError, Unreachable
from odyssey.ids import AttemptId, JobId, NodeId, TaskId
from odyssey.scheduler.state import State

AT_ONCE: Final = 256  # attempts


class Afar:
    """`asked` are all attempts that will be asked for, in that order, and where they are."""

    def __init__(self, counter: Counter, asked: Sequence[tuple[AttemptId, NodeId]]) -> None:
        self._counter = counter
        self._nodes = dict(asked)
        self._queues: dict[NodeId, list[AttemptId]] = {}
        for attempt, node in reversed(asked):
            self._queues.setdefault(node, []).append(attempt)
        self._came: dict[AttemptId, q.Piece] = {}
        self._silent: dict[NodeId, OdysseyError] = {}

    async def items(
        self, index: int, attempt: AttemptId, streams: Sequence[int], tail: int
    ) -> AsyncGenerator[v.AnyItem, None]:
        """Its streams, one after the other. What is not asked for is not brought either."""
        piece = await self._first(attempt, tail)
        for stream in streams:
            async for item in self._stream(index, attempt, stream, piece):
                yield item

    async def _stream(
        self, index: int, attempt: AttemptId, stream: int, piece: q.Piece
    ) -> AsyncGenerator[v.AnyItem, None]:
        part = _of(piece, stream)
        at, data = part.at, part.data
        while at < part.size:
            data = data or (await self._more(attempt, stream, at)).data
            if not data:
                break
            yield v.Output(index, attempt, stream, at, data)
            at, data = at + len(data), b""
        if part.cut:
            yield v.Cut(index, attempt, stream, part.cut)

    async def _first(self, attempt: AttemptId, tail: int) -> q.Piece:
        node = self._nodes[attempt]
        if attempt not in self._came:
            queue = self._queues[node]
            while queue and queue[-1] != attempt:
                queue.pop()
            wants = [q.Want(one, is_over=True) for one in reversed(queue[-AT_ONCE:])]
            self._came = {one: piece for one, piece in self._came.items() if self._nodes[one] != node}
            self._came.update({AttemptId(piece.attempt): piece for piece in await self._ask(node, wants, tail)})
        return self._came.pop(attempt, q.Piece(attempt))

    async def _more(self, attempt: AttemptId, stream: int, at: int) -> q.Stream:
        """The end of the other stream is where none can be."""
        beyond = 1 << 62
        want = q.Want(attempt, *((at, beyond) if stream == v.STDOUT else (beyond, at)), is_over=True)
        for piece in await self._ask(self._nodes[attempt], [want], -1):
            return _of(piece, stream)
        return q.Stream()

    async def _ask(self, node: NodeId, wants: Sequence[q.Want], tail: int) -> Sequence[q.Piece]:
        if node in self._silent:
            return ()
        try:
            return (await self._counter.others.ask(node, q.AskOutput(tuple(wants), 0, tail))).pieces
        except OdysseyError as error:
            self._silent[node] = error
            return ()

    def check(self, state: State, job: JobId) -> None:
        """Raises if something is missing."""
        names = {node.id: node.name for node in state.nodes.values()}
        for node, error in self._silent.items():
            name = names.get(node, node)
            if not isinstance(error, Unreachable):
                raise error
            text = f"output of job {job} is on {name}, which is not there"
            raise Unreachable(text, hint=f"again when it is back: odyssey logs {job}; see: odyssey nodes") from error


async def sizes_of(
    counter: Counter, node: NodeId, those: Iterable[tuple[TaskId, AttemptId]]
) -> Mapping[AttemptId, q.Size]:
    """Empty: it does not answer."""
    asked = tuple(those)
    try:
        told = await counter.others.ask(node, q.AskSizes(asked))
    except OdysseyError:
        return {}
    return {attempt: size for (_, attempt), size in zip(asked, told.sizes, strict=False)}


def _of(piece: q.Piece, stream: int) -> q.Stream:
    return piece.stdout if stream == v.STDOUT else piece.stderr

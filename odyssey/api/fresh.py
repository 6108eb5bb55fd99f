"""Answers about jobs are of now: what anybody was told before this was asked is in them, at whichever machine he asks.

Whoever coordinates may have been deposed without having heard of it. So before a question about jobs is answered, a
majority of the keepers says that nobody else leads, and all that was agreed on by then is applied here.

Promises: an answer is as new as the question, or tells its age; only who must know says that there is no such job.
Never: keeps anybody waiting for keepers that cannot be reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, Final

from odyssey.api.door import Handler
from odyssey.api.operations import BY_NAME
from odyssey.api.ports import Log
from odyssey.api.views import View
from odyssey.errors import CutOff, UsageError

ABOUT_JOBS: Final = frozenset(
    ("jobs", "job", "dag", "wait", "follow", "logs", "queue", "explain", "history", "where", "dry_run")
)


def fresh(log: Log, handlers: Mapping[str, Handler]) -> Mapping[str, Handler]:
    return {name: _handler(log, name, handler) if name in ABOUT_JOBS else handler for name, handler in handlers.items()}


def _handler(log: Log, name: str, handler: Handler) -> Handler:
    return _stream(log, handler) if BY_NAME[name].streams else _call(log, handler)


def _call(log: Log, handler: Handler) -> Handler:
    async def call(request: Any) -> View:
        with _knowing(await _is_current(log)):
            view: View = await handler(request)  # type: ignore[misc]
            return view

    return call


def _stream(log: Log, handler: Handler) -> Handler:
    async def stream(request: Any) -> AsyncGenerator[View, None]:
        is_current = await _is_current(log)
        async with aclosing(handler(request)) as parts:  # type: ignore[type-var]
            with _knowing(is_current):
                async for part in parts:  # type: ignore[union-attr]
                    yield part

    return stream


async def _is_current(log: Log) -> bool:
    """False: nobody could say what has been agreed on by now."""
    known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    log.read(lambda index: None if known.done() else known.set_result(index is not None))
    return await known


@contextmanager
def _knowing(is_current: bool) -> Iterator[None]:
    """What is not known here may be known where this machine cannot ask."""
    try:
        yield
    except UsageError as error:
        if is_current:
            raise
        text = f"{error.message}, as far as this machine knows; it cannot ask the others just now"
        raise CutOff(text, hint="try again in a while; see who is missing: odyssey status") from error

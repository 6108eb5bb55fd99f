"""Answers about jobs are of now: what anybody was told before this was asked is in them, at whichever machine he asks.

Whoever coordinates may have been deposed without having heard of it. So before a question about jobs is answered, a
majority of the keepers says that nobody else leads, and all that was agreed on by then is applied here.

Promises: an answer is as new as the question, or tells its age.
Never: keeps anybody waiting for keepers that cannot be reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from odyssey.api.door import Handler
from odyssey.api.operations import BY_NAME
from odyssey.api.ports import Log
from odyssey.api.views import View

ABOUT_JOBS: Final = frozenset(
    ("jobs", "job", "dag", "wait", "follow", "logs", "queue", "explain", "history", "where", "dry_run")
)


def fresh(log: Log, handlers: Mapping[str, Handler]) -> Mapping[str, Handler]:
    return {name: _handler(log, name, handler) if name in ABOUT_JOBS else handler for name, handler in handlers.items()}


def _handler(log: Log, name: str, handler: Handler) -> Handler:
    return _stream(log, handler) if BY_NAME[name].streams else _call(log, handler)


def _call(log: Log, handler: Handler) -> Handler:
    async def call(request: Any) -> View:
        await _catch_up(log)
        view: View = await handler(request)  # type: ignore[misc]
        return view

    return call


def _stream(log: Log, handler: Handler) -> Handler:
    async def stream(request: Any) -> AsyncGenerator[View, None]:
        await _catch_up(log)
        async with aclosing(handler(request)) as parts:  # type: ignore[type-var]
            async for part in parts:  # type: ignore[union-attr]
                yield part

    return stream


async def _catch_up(log: Log) -> None:
    known: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    log.read(lambda _: None if known.done() else known.set_result(None))
    await known

"""Whoever has this machine's address may ask which mesh is here: answered at each address at which it listens.

Promises: an address that goes is let go, one that comes is answered at; what cannot be had is tried again, and said
once.
Never: answers on a network that is not known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from odyssey.clock import Clock
from odyssey.mesh.discovery import calling
from odyssey.mesh.discovery.adverts import Advert

_log = logging.getLogger(__name__)


class Answering:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, asyncio.DatagramTransport] = {}
        self._said: set[str] = set()
        self._turn = asyncio.Lock()
        self._work: set[asyncio.Task[None]] = set()
        self._is_over = False

    def follow(self, hosts: Sequence[str], advert: Advert) -> None:
        if set(hosts) != set(self._open) and not self._is_over:
            task = asyncio.get_running_loop().create_task(self._follow(tuple(hosts), advert))
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _follow(self, hosts: Sequence[str], advert: Advert) -> None:
        async with self._turn:
            for host in [one for one in self._open if one not in hosts]:
                self._open.pop(host).close()
            for host in [one for one in hosts if one not in self._open]:
                await self._answer_at(host, advert)

    async def _answer_at(self, host: str, advert: Advert) -> None:
        try:
            opened = await calling.listen(host, advert, self._clock)
        except OSError as error:
            if host not in self._said:
                text = "UDP port %d of %s cannot be had: %s; odyssey join --addr needs an invite"
                _log.warning(text, advert.port, host, error)
                self._said.add(host)
            return
        if self._is_over:
            opened.close()
        else:
            self._open[host] = opened

    def close(self) -> None:
        self._is_over = True
        for opened in self._open.values():
            opened.close()
        self._open.clear()

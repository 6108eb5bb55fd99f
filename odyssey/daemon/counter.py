"""The daemon, from the side of those who ask: the port `api.ports.Counter`.

While there is no node (the disk has failed, say), what was known last is still shown, with its age, and the log takes
nothing.

Promises: what is told is what the parts know just now.
Never: decides, or answers anybody itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from odyssey import checkup
from odyssey.api import views as v
from odyssey.api.ports import (
    Counter,
    Examining,
    Files,
    Helm,
    Log,
    Manners,
    Membership,
    Networks,
    Others,
    Outputs,
    Standing,
)
from odyssey.api.rights import Asker
from odyssey.clock import Clock
from odyssey.commands import Command
from odyssey.daemon.alone import NoExamining, NoNetworks
from odyssey.daemon.doctor import checks
from odyssey.daemon.life import Life
from odyssey.daemon.work import Work
from odyssey.events import Event
from odyssey.ids import AttemptId, NodeId, NodeNumber
from odyssey.mesh.letters import Again, Outcome
from odyssey.mesh.membership import GONE_MS
from odyssey.mesh.replica import BUSY_MS
from odyssey.mesh.roles import LIVE_MS, quorum
from odyssey.mesh.store import Store, StoreError
from odyssey.messages import Beat, Here
from odyssey.node import Node
from odyssey.paths import Home
from odyssey.scheduler.snapshot import Seen
from odyssey.scheduler.state import State

Heard = Callable[[Sequence[Event]], None]


class DaemonCounter(Counter):
    def __init__(
        self,
        life: Life,
        clock: Clock,
        work: Work,
        manners: Manners,
        home: Path,
        is_embedded: bool,
        notes: Callable[[], tuple[str, ...]],
        down: Callable[[bool], None],
        look_for: Callable[[frozenset[str]], frozenset[str]],
        membership: Callable[[], Membership],
        leave: Callable[[bool], Awaitable[v.LeavingView]],
        others: Callable[[], Others],
        is_admin: Callable[[], bool],
        is_linked: Callable[[NodeId], bool] = lambda _: False,
        is_laptop: Callable[[], bool] = lambda: False,
        networks: Callable[[], Networks] = NoNetworks,
        examining: Callable[[], Examining] = NoExamining,
    ) -> None:
        self._life, self._clock, self._work, self._manners = life, clock, work, manners
        self._home, self._is_embedded, self._notes = home, is_embedded, notes
        self._down, self._look_for, self._membership = down, look_for, membership
        self._leave, self._networks = leave, networks
        self._is_linked, self._is_laptop, self._examining = is_linked, is_laptop, examining
        self._others, self._is_admin = others, is_admin
        self._heard: list[Heard] = []
        self._asking: set[asyncio.Future[Any]] = set()
        self._log = LogOfNow(life)

    def changed(self, events: Sequence[Event]) -> None:
        for heard in list(self._heard):
            heard(events)

    # -- parts ---------------------------------------------------------------------------------------------------------

    @property
    def me(self) -> NodeId:
        return self._life.id

    @property
    def host(self) -> Asker:
        """Whose machine this is, and what its certificate says: a machine that was let in rules no mesh."""
        return Asker(self._life.belonging.owner, self._life.id, self._is_admin())

    @property
    def state(self) -> State:
        return self._life.book.state

    @property
    def log(self) -> Log:
        return self._log

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def outputs(self) -> Outputs:
        return self._work.outputs

    @property
    def files(self) -> Files:
        return self._work.files

    @property
    def manners(self) -> Manners:
        return self._manners

    @property
    def membership(self) -> Membership:
        return self._membership()

    @property
    def networks(self) -> Networks:
        return self._networks()

    @property
    def others(self) -> Others:
        return self._others()

    @property
    def examining(self) -> Examining:
        return self._examining()

    @property
    def helm(self) -> Helm:
        return self._life

    @property
    def home(self) -> Path:
        return self._home

    # -- what is so just now -------------------------------------------------------------------------------------------

    def here(self) -> Mapping[AttemptId, Here]:
        return self._work.here()

    def seen(self) -> Mapping[NodeNumber, Seen]:
        node = self._life.node
        return node.coordinator.seen if node is not None and node.coordinator is not None else {}

    def beats(self) -> Mapping[NodeNumber, tuple[Beat, int]]:
        node = self._life.node
        return node.coordinator.beats() if node is not None and node.coordinator is not None else {}

    def standing(self) -> Standing:
        networks = self._networks()
        return self._standing()._replace(listen=networks.listen, address=networks.address)

    def _standing(self) -> Standing:
        life, node = self._life, self._life.node
        belonging = life.belonging
        mesh, home, pid = belonging.name, str(self._home), os.getpid()
        if node is None:
            age = life.age_ms()
            return Standing(
                *(mesh, belonging.mesh.hex(), "keeper", None, 0, 0, 1, 0, (), age, pid, self._work.pid, home),
                is_embedded=self._is_embedded,
                notes=self._notes(),
            )
        core, age = node.replica.core, life.age_ms()
        members = {one.node for one in core.config.members}
        missing = self._missing(node)
        safety = node.coordinator.safety() if node.coordinator is not None else None
        voters = len(core.config.voters)
        return Standing(
            mesh=mesh,
            mesh_id=belonging.mesh.hex(),
            role="keeper" if self.me in members else "worker",
            coordinator=core.leader.node if core.leader is not None and age < GONE_MS else None,
            term=core.term,
            have=voters - len(missing),
            need=quorum(voters),
            can_lose=safety.can_lose if safety is not None else 0,
            must_stay=tuple(one.node for one in safety.must_stay) if safety is not None else (),
            age_ms=age,
            pid=pid,
            supervisor_pid=self._work.pid,
            home=home,
            is_embedded=self._is_embedded,
            keepers=frozenset(members),
            notes=self._notes(),
            voters=voters,
            missing=missing,
            is_laptop=self._is_laptop(),
        )

    def _missing(self, node: Node) -> tuple[NodeId, ...]:
        """Who leads has heard from the others, or not; who does not goes by its links, and by its leader's word."""
        core, replica, now = node.replica.core, node.replica, self._clock.monotonic_ms()
        heard = {one.node for one, ms in replica.heard_ms.items() if now - ms < LIVE_MS}
        if not core.is_leader:
            heard = {one.node for one in core.config.voters if self._is_linked(one.node)}
        return tuple(one.node for one in core.config.voters if one != core.me and one.node not in heard)

    # -- asked for -----------------------------------------------------------------------------------------------------

    def when_ms(self, index: int) -> int:
        return self._life.book.when_ms.get(index, 0)

    def subscribe(self, heard: Heard) -> Callable[[], None]:
        self._heard.append(heard)

        def end() -> None:
            if heard in self._heard:
                self._heard.remove(heard)

        return end

    def segment(self, digest: bytes, done: Callable[[bytes | None], None]) -> None:
        self._life.ask(partial(_segment, digest), lambda found: done(found if isinstance(found, bytes) else None))

    def stdin_grew(self, name: bytes, size: int, is_complete: bool) -> None:
        self._work.stdin_grew(name, size, is_complete)

    def look_for(self, programs: frozenset[str]) -> frozenset[str]:
        return self._look_for(programs)

    def type(
        self, attempt: AttemptId, writer: int, offset: int, size: tuple[int, int], data: bytes,
        told: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._work.type(attempt, writer, offset, size, data, told)

    def doctor(self, done: Callable[[v.DoctorView], None], afresh: bool = False) -> None:
        if not afresh:
            self._told(done)
            return

        def told(asked: asyncio.Future[tuple[bool, tuple[v.Check, ...]]]) -> None:
            self._asking.discard(asked)
            self._told(done, *asked.result())

        asking = asyncio.ensure_future(self._look_closely())
        self._asking.add(asking)
        asking.add_done_callback(told)

    async def _look_closely(self) -> tuple[bool, tuple[v.Check, ...]]:
        home, now = Home(self._home), self._clock.wall_ms()
        return await asyncio.gather(self._work.ask_shell(), asyncio.to_thread(checkup.looked_at, home, now))

    def _told(
        self, done: Callable[[v.DoctorView], None], has_path: bool | None = None, more: tuple[v.Check, ...] = ()
    ) -> None:
        life, work = self._life, self._work
        trouble = "" if life.trouble is None else life.trouble.message
        found = checks(work.hands.abilities, trouble, life.is_member, work.pid, self._notes(), has_path)
        done(v.DoctorView((*found, *more)))

    async def leave(self, is_trial: bool) -> v.LeavingView:
        return await self._leave(is_trial)

    def down(self, now: bool) -> None:
        self._down(now)


class LogOfNow(Log):
    """The replica of whatever node there is."""

    def __init__(self, life: Life) -> None:
        self._life = life

    @property
    def applied(self) -> int:
        return self._life.book.state.head.index

    def propose(self, command: Command, done: Callable[[Outcome], None]) -> None:
        node = self._life.node
        if node is None:
            done(Again(BUSY_MS))
        else:
            node.replica.propose(command, done)

    def read(self, done: Callable[[int | None], None]) -> None:
        node = self._life.node
        if node is None or not (node.replica.core.is_leader or node.replica.core.leader):
            done(None)  # nobody can be asked just now
        else:
            node.replica.read(done)


def _segment(digest: bytes, store: Store) -> bytes | StoreError | None:
    return store.segment(digest)

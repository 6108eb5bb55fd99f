"""One daemon, put together: the parts of a node with their real ports, on an asyncio loop.

Promises: it serves once its machine is a member of its mesh and knows all that was acknowledged; a signal ends it in
order, a second one at once; a bug that nobody expected ends it, and the next one begins from the disk.
Never: decides anything about jobs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from odyssey import __version__
from odyssey.api.desk import Desk
from odyssey.api.door import Door
from odyssey.api.labels import programs as programs_in
from odyssey.api.ports import Examining, Membership, Networks, Others
from odyssey.api.relay.choosing import Own
from odyssey.archiving import Habits
from odyssey.clock import SystemClock, SystemEntropy
from odyssey.commands import Facts, RenameNode
from odyssey.config import Config
from odyssey.daemon import health
from odyssey.daemon.alone import NobodyElse, NoExamining, NoNetworks, NoOthers
from odyssey.daemon.counter import DaemonCounter
from odyssey.daemon.entering import Entrance
from odyssey.daemon.founding import Storehouse
from odyssey.daemon.gate import Gate
from odyssey.daemon.health import Health, real_system
from odyssey.daemon.leaving import Leaving
from odyssey.daemon.life import Body, Life
from odyssey.daemon.options import Options
from odyssey.daemon.owner import LOOK_S, Owner, login
from odyssey.daemon.programs import Programs
from odyssey.daemon.tidying import FilesTidying, Keep, Tidying
from odyssey.daemon.work import Work
from odyssey.errors import OdysseyError
from odyssey.events import Event, JobSubmitted, NodeChanged
from odyssey.exec import gpus, probe
from odyssey.manners import Allowed, Whose
from odyssey.mesh.archive import Retention, Ripening
from odyssey.mesh.discovery import listening
from odyssey.mesh.membership import StateChanged
from odyssey.mesh.observing import Lookout
from odyssey.messages import Telemetry
from odyssey.paths import Home
from odyssey.scheduler.transitions.machines import clean_name

if TYPE_CHECKING:
    from odyssey.daemon.lan import Lan

MEMBER_S: Final = 20.0  # a machine that is alone is a member within a moment; a slow disk takes longer
BROKEN: Final = 70  # the exit status after a bug
CLEAR_S: Final = 15.0  # for what runs to end, and to be known on the log
HAND_OVER_S: Final = 1.0  # to another keeper; else it is noticed that this one is gone
SOON_S: Final = 0.05  # whoever asked for the end is told that it comes
_log: Final = logging.getLogger(__name__)


class Daemon:
    def __init__(self, options: Options, home: Home, config: Config) -> None:
        self._options, self._home, self._config = options, home, config
        self._gate: Gate | None = None
        self._lan: Lan | None = None
        self._name = ""
        self._is_embedded = options.is_embedded
        self._ends_work = self._is_refused = False

    @property
    def socket(self) -> Path:
        assert self._gate is not None
        return self._gate.path

    async def serve(self, ready: Callable[[], None]) -> int:
        """Until somebody ends it; gives the exit status."""
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[int] = self._loop.create_future()
        self._member = asyncio.Event()
        self._loop.set_exception_handler(self._on_bug)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._on_signal, number)
        await self._put_together()
        try:
            await self._begin()
            if not self._over.done():
                await self._open_door()
                self._rename()
                ready()
                _log.info("ready: machine %s, process %d", self._life.belonging.machine, os.getpid())
                self._look_around()
                if self._options.is_owners_word:
                    self._asking_shell = self._loop.create_task(self._work.ask_shell())
                self._tidying.start()
                self._files_tidying.start()
            return await self._over
        except OdysseyError:
            self._is_refused = True  # the next start would end like this one: nobody is to try it by himself
            raise
        finally:
            await self._end()

    # -- what it is made of --------------------------------------------------------------------------------------------

    async def _put_together(self) -> None:
        clock = SystemClock()
        self._entrance = Entrance(self._options, self._home, clock, SystemEntropy())
        storehouse = await self._entrance.enter(self._config)
        self._lan = self._lan_of(storehouse, clock)
        home, options, system = self._home, self._options, real_system()
        self._work = Work(
            *(self._loop, home, clock, self._config, options, self._on_ended, lambda: self._others, self._on_input),
        )
        self._programs = Programs(lambda: self._work.path, clock)
        self._facts = probe.facts(home.path, gpus.found(gpus.tool(os.fsdecode(self._work.path))))
        self._health = Health(system, clock, os.cpu_count() or 1)
        self._owner = Owner(
            home.policy,
            self._facts.total,
            clock,
            self._health.look_at_mains,
            self._health.look_at_lid,
            self._whose,
            self._on_allowed,
        )
        body = Body(
            clock=clock,
            entropy=SystemEntropy(),
            hands=self._work.hands,
            boot=health.boot_id(),
            until_ms=lambda: self._work.hands.until_ms,
            health=self._telemetry,
            facts=self._facts_now,
            allowed=lambda: self._owner.now,
            habits=_habits(self._config),
            around=self._lan.around if self._lan is not None else None,
            noticed=partial(self._noticed, Lookout(storehouse.identity.id)),
        )
        self._life = Life(storehouse, body, self._changed)
        self._counter = DaemonCounter(
            self._life,
            clock,
            self._work,
            self._owner,
            home.path,
            self._is_embedded,
            self._notes,
            self._down,
            self._look_for,
            lambda: self._reception,
            Leaving(home, self._life, self._work, self._lan).leave,
            lambda: self._others,
            lambda: self._lan is None or self._lan.may_rule,  # who is alone has founded it
            lambda node: self._lan is not None and self._lan.is_linked(node),
            lambda: self._health.is_laptop,
            lambda: self._networks,
            lambda: self._examining,
        )
        keep = Keep(self._config.number("output.keep"), self._config.number("output.age"))
        self._tidying = Tidying(self._work.outputs, lambda: self._life.book.state, keep, clock, self._loop)
        self._files_tidying = FilesTidying(
            *(self._work.files, lambda: self._life.book.state, keep.age_ms, clock, self._loop),
            aside=partial(self._loop.run_in_executor, None),
        )
        self._desk = Desk(self._counter)
        handlers = self._desk.handlers
        if self._lan is not None:
            self._lan.enter(self._life, self._own, self._facts_now, self._called)
            handlers = self._lan.serve_others(handlers, self._desk.errands)
        self._door = Door(handlers, _report)

    # -- among others --------------------------------------------------------------------------------------------------

    def _lan_of(self, storehouse: Storehouse, clock: SystemClock) -> Lan | None:
        """One that was started by the way speaks on its socket only; but a machine is never closed to its mesh."""
        belonging, options = storehouse.belonging, self._options
        self._is_embedded = options.is_embedded and not (belonging.joined or self._has_others())
        if self._is_embedded:
            return None
        from odyssey.daemon.lan import Lan

        wished = options.listen or belonging.asked
        plan = listening.plan(wished or self._config.text("net.listen"), belonging.listen)
        is_new = options.join >= 0 or not belonging.listen
        return Lan(
            *(self._loop, self._home, storehouse.identity, belonging, clock, _report),
            *(plan, lambda listen: storehouse.remember(listen, wished), is_new),
        )

    def _has_others(self) -> bool:
        if not self._home.peers.exists():
            return False
        from odyssey.mesh.company import has_others

        return has_others(self._home.peers)

    # -- beginning -----------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Whatever comes first: it is a member, somebody ends it, or a bug does."""
        begun = asyncio.ensure_future(self._become_member())
        first: set[asyncio.Future[Any]] = {begun, self._over}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if begun.done():
            begun.result()
        else:
            begun.cancel()

    async def _become_member(self) -> None:
        await self._work.open()
        await self._life.begin()
        if self._lan is not None:
            self._lan.open()
        try:
            await asyncio.wait_for(self._member.wait(), MEMBER_S)
        except TimeoutError:
            _log.warning("this machine is not a member of its mesh yet")

    def _rename(self) -> None:
        """Somebody wants it to be called something else than it was."""
        wished, node, me = self._options.machine, self._life.node, self._life.me
        if wished and node is not None and me is not None and me.name != clean_name(wished):
            node.replica.propose(RenameNode(me.number, wished), lambda _: None)

    async def _open_door(self) -> None:
        self._gate = Gate(self._home, self._is_embedded)
        await self._door.listen(self._gate.listener)

    def _look_around(self) -> None:
        """From time to time: what the owner allows, and whether the socket is still there."""
        if self._over.done():
            return
        if not self._home.daemon_lock.exists():
            _log.error("ends: the home %s is gone", self._home.path)
            self._ends_work = True  # nobody could ever ask what became of it
            self.end()
            return
        self._loop.call_later(LOOK_S, self._look_around)
        self._owner.look()
        gate = self._gate
        if gate is not None and not gate.is_there() and gate.open_again():
            _log.warning("the socket was gone; it is %s now", gate.path)
            self._opening = self._loop.create_task(self._door.listen(gate.listener))

    # -- what happens --------------------------------------------------------------------------------------------------

    def _changed(self, events: Sequence[Event] | None) -> None:
        if not self._member.is_set() and self._life.is_current and (me := self._life.me) is not None:
            self._work.call(me.name)
            self._member.set()
        if events:
            if any(isinstance(event, NodeChanged) for event in events) and (me := self._life.me) is not None:
                self._work.call(me.name)  # it may have another name now
            self._note_programs(events)
            self._counter.changed(events)
        if events and self._lan is not None:
            self._lan.changed(events)

    def _noticed(self, lookout: Lookout, change: StateChanged) -> None:
        """How this machine sees another one, while it coordinates."""
        machine, clock = self._life.book.state.nodes.get(change.node), SystemClock()
        if machine is not None:
            seen = lookout.see(change, machine.id, clock.monotonic_ms(), clock.wall_ms())
            if seen is not None:
                self._counter.changed((seen,))

    @property
    def _examining(self) -> Examining:
        return self._lan.examining if self._lan is not None else NoExamining()

    @property
    def _reception(self) -> Membership:
        reception = self._lan.reception if self._lan is not None else None
        return reception if reception is not None else NoOthers()

    @property
    def _networks(self) -> Networks:
        shore = self._lan.shore if self._lan is not None else None
        return shore if shore is not None else NoNetworks()

    @property
    def _others(self) -> Others:
        return self._lan.others if self._lan is not None else NobodyElse()

    def _called(self, name: str) -> None:
        """As the mesh calls this machine."""
        self._name = name
        self._work.call(name)
        self._member.set()

    def _own(self) -> Own:
        life, standing = self._life, self._counter.standing()
        return Own(
            *(self._name or life.belonging.machine, life.id, standing.role, standing.pid, standing.supervisor_pid),
            *(__version__, standing.home, standing.is_embedded, standing.notes, life.belonging.owner),
            standing.is_laptop,
            *(standing.listen, standing.address),
        )

    def _note_programs(self, events: Sequence[Event]) -> None:
        """A job asks for programs that nobody has told of yet."""
        jobs = self._life.book.state.jobs
        for event in events:
            if isinstance(event, JobSubmitted) and (job := jobs.get(event.job)) is not None:
                self._programs.ask(programs_in(job.spec.want.needs))

    def _on_ended(self, has_freed: bool) -> None:
        node = self._life.node
        if node is not None:
            node.agent.ended(has_freed)

    def _on_input(self) -> None:
        """What something waits for to be started is here."""
        node = self._life.node
        if node is not None:
            node.agent.tick()

    def _on_allowed(self, _: Allowed) -> None:
        self._life.follow_owner()

    # -- how it is -----------------------------------------------------------------------------------------------------

    def _telemetry(self) -> Telemetry:
        return self._health.telemetry(self._owner.now.why)

    def _facts_now(self) -> Facts:
        given, facts, me = self._owner.now, self._facts, self._life.me
        told = dict(me.labels) if me is not None else {}
        labels = {**dict(given.labels), **self._programs.labels(told), **dict(facts.labels)}
        return msgspec.structs.replace(facts, total=given.total, labels=tuple(sorted(labels.items())))

    def _look_for(self, names: frozenset[str]) -> frozenset[str]:
        found = self._programs.ask(names)
        self._life.tell_facts()
        if self._lan is not None:
            self._lan.tell_facts()
        return found

    def _whose(self) -> Whose:
        life = self._life
        me, machines = life.me, sum(not one.removed for one in life.book.state.nodes.values())
        if self._lan is not None and not self._lan.keeps:  # the log is elsewhere
            machines = len({*self._lan.company.others(), life.id})
        name = me.name if me is not None else self._name or life.belonging.machine
        return Whose(name, life.belonging.owner, life.belonging.name, max(1, machines), login())

    def _notes(self) -> tuple[str, ...]:
        """Sentences about this machine, for `status`."""
        life, found = self._life, []
        if life.trouble is not None:
            found.append(f"The log cannot be used just now: {life.trouble.message}.")
        elif life.node is not None and life.node.replica.low:
            found.append("The disk is nearly full: no new jobs are taken.")
        if self._work.trouble:
            found.append(f"Nothing can be started: {self._work.trouble}.")
        if self._lan is not None:
            found += self._lan.knowing.notes()
        if self._owner.now.pause:
            found.append(f"Nothing runs here: {self._owner.now.pause}.")
        found += self._entrance.notes
        if self._lan is not None and self._lan.reception is not None:
            found += self._lan.reception.notes()
        if self._lan is not None and self._lan.shore is not None:
            found += self._lan.shore.notes()
        return tuple(found)

    # -- ends ----------------------------------------------------------------------------------------------------------

    def _down(self, now: bool) -> None:
        self._ends_work = self._ends_work or now
        _log.info("ends: asked to%s", ", with all that runs" if now else "")
        self._loop.call_later(SOON_S, self.end)

    def end(self, status: int = 0) -> None:
        if not self._over.done():
            self._over.set_result(status)

    def _on_signal(self, number: int) -> None:
        if self._over.done():
            _log.warning("ends at once")
            os._exit(128 + number)
        _log.info("ends: %s", signal.Signals(number).name)
        self.end()

    def _on_bug(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        _log.critical("the daemon ends: this is a bug in Odyssey: %s", context.get("message"), exc_info=error)
        self.end(BROKEN)

    async def _end(self) -> None:
        is_orderly = self._is_refused or (self._over.done() and self._over.result() == 0)
        if self._gate is not None:
            self._gate.leave()
            await self._door.close()
        self._desk.close()
        if self._ends_work:
            await self._life.clear_out(CLEAR_S)
        if self._ends_work or (is_orderly and not self._work.here()):
            await self._work.end()
        elif is_orderly:
            self._work.leave()
        await self._life.let_go(HAND_OVER_S)
        self._work.close()
        if self._lan is not None:
            await self._lan.close()
        await self._life.end()
        _log.info("ended")


def _report(bug: BaseException) -> None:
    _log.error("a bug in Odyssey: somebody's request failed", exc_info=bug)


def _habits(config: Config) -> Habits:
    ripening = Ripening(config.number("jobs.fresh"), config.number("jobs.age"))
    keep = Retention(bytes=config.number("history.keep"), age_ms=config.number("history.age"))
    return Habits(ripening, keep)

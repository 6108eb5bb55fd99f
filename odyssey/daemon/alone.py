"""The world of a daemon that has nobody to talk to: a mesh of one.

Promises: a letter to somebody else is lost, as letters may be; bytes of somebody else are not to be had.
Never: answers from within the question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from odyssey import __version__
from odyssey.api.errands import A, Errand
from odyssey.api.ports import About, Examining, Membership, Networks, Others
from odyssey.api.views import Approval, AskingView, Check, InviteView, NetworkList, WayView
from odyssey.errors import Unreachable, UsageError, echo
from odyssey.ids import NodeId, UserId
from odyssey.mesh.letters import Letter
from odyssey.mesh.raft.types import Member
from odyssey.mesh.transfer import Bulk


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


class NoLinks:
    def send(self, to: NodeId, letter: Letter) -> None:
        """Nobody is there."""


class NoOthers(Membership):
    def member(self, node: NodeId) -> tuple[str, UserId] | None:
        return None

    def about(self, node: NodeId) -> About:
        return About(version=__version__)

    async def allow(self, node: NodeId, words: Sequence[str], is_given: bool, by: UserId) -> None:
        raise UsageError("no other machine is in this mesh", hint="odyssey up, then odyssey invite")

    def offer(self) -> bytes:
        raise UsageError("this machine is not open to others yet", hint="odyssey up")

    async def farewell(self, node: NodeId, by: UserId) -> None:
        """Nobody was there who could have left."""

    async def put_out(self, node: NodeId, by: UserId) -> None:
        raise UsageError("there is no other machine in this mesh", hint="see: odyssey nodes")

    async def invite(self, uses: int, for_ms: int, owner: UserId) -> InviteView:
        raise self._closed()

    def asking(self) -> AskingView:
        return AskingView()

    async def approve(self, machine: str, code: str, owner: UserId) -> Approval:
        raise self._closed()

    def deny(self, machine: str) -> Approval:
        raise self._closed()

    def _closed(self) -> UsageError:
        return UsageError("this machine is not open to others yet", hint="odyssey up opens it")


class NoNetworks(Networks):
    listen = address = ""

    async def show(self) -> NetworkList:
        raise self._refusal()

    async def trust(self) -> NetworkList:
        raise self._refusal()

    async def forget(self, which: str) -> NetworkList:
        raise self._refusal()

    @staticmethod
    def _refusal() -> UsageError:
        return UsageError("this machine is on no network: it was started by the way", hint="odyssey up opens it")


class NobodyElse(Others):
    async def ask(self, node: NodeId, errand: Errand[A]) -> A:
        raise Unreachable("this machine is alone in its mesh", hint="see: odyssey nodes")

    def who_keeps(self) -> Sequence[NodeId]:
        return ()


class NoExamining(Examining):
    async def knock(self, node: NodeId) -> tuple[WayView, ...]:
        return ()

    async def doctor(self, name: str) -> tuple[Check, ...]:
        if name:
            raise UsageError(f"there is no machine {echo(name)}", hint="see: odyssey nodes")
        return ()


class NoBulk(Bulk):
    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    def ask(
        self, source: Member, digest: bytes, first: int, doubted: bool, done: Callable[[Sequence[bytes] | None], None]
    ) -> None:
        self._timers.call_later(0, lambda: done(None))

    def ask_segment(self, source: Member, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None:
        self._timers.call_later(0, lambda: done(None))

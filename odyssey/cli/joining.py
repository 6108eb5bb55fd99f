"""`odyssey invite` and `odyssey join`: one machine says a text, the other one is let in by it; or it asks without one,
and people type the codes that both show (`codes`, `approving`).

Promises: an invite is asked for where nobody sees it, and is in no process list unless somebody typed it there; what is
no invite costs nothing; who is in a mesh with others already stays there.
Never: leaves a mesh in which something is unfinished.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from odyssey.api.documents import document
from odyssey.api.outlook import sentences
from odyssey.api.requests import Down, Invite, Nodes, Share, Status
from odyssey.api.views import StatusView
from odyssey.cli.codes import Codes
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.network import looked
from odyssey.cli.telling import as_json, counted
from odyssey.cli.up import checked_name
from odyssey.entry import Entry
from odyssey.errors import CutOff, OdysseyError, Unreachable, UsageError, echo
from odyssey.paths import Home, find_home
from odyssey.resources import parse_count, show_duration_rounded
from odyssey.starting import Wishes, ensure_running, running, wait_until_gone

if TYPE_CHECKING:
    from odyssey.daemon.founding import Belonging

_HOUR_MS: Final = 3_600_000
_LONGEST: Final = 4096
UP_S: Final = 3.0
_STEP_S: Final = 0.02
_LONGEST_STEP_S: Final = 0.2


@command("invite")
@click.argument("words", nargs=-1, metavar="[ls | revoke ID...]")
@click.option("--for", "owner", metavar="NAME", default="", help="whose machine it will be (yours)")
@click.option("--uses", metavar="N", default="1", help="how many machines it lets in (1)")
@click.option("--for-hours", "hours", metavar="N", default="1", help="how long it can be used (1)")
def invite_command(desk: Desk, words: tuple[str, ...], owner: str, uses: str, hours: str) -> None:
    """A text with which another machine gets into this mesh. Whoever has it can use it: give it to nobody else.

    \b
      odyssey invite ls                      invites that are not over
      odyssey invite revoke ID...            take them back (the beginning of an id is enough)
    """
    if words:
        from odyssey.cli.belonging import invites

        invites(desk, words)
        return
    request = Invite(
        parse_count(uses, option="--uses", most=1000),
        parse_count(hours, option="--for-hours", most=720) * _HOUR_MS,
        owner,
    )
    looked(desk, trust=True)
    view = desk.ask(request)
    if desk.output.as_json:
        desk.output.json(document(view))
        return
    machines = "one machine" if view.uses == 1 else f"{view.uses} machines"
    desk.output.say(f"for {machines}, for {show_duration_rounded(request.for_ms)}. On the other machine:")
    desk.output.say("odyssey join        then paste:")
    desk.output.text(view.invite)
    from odyssey import looking

    if note := looking.unreachable(view.invite):
        desk.output.say(note)


@command("join")
@click.argument("invite", required=False, default="", metavar="[INVITE]")
@click.option("--addr", metavar="HOST:PORT", multiple=True, help="where the mesh is, besides what the invite says")
@click.option("--name", metavar="NAME", default="", help="what this machine is called (its host name)")
@click.option("--listen", metavar="HOST:PORT", default="", help="where other machines reach this one (0.0.0.0:7660)")
def join_command(desk: Desk, invite: str, addr: tuple[str, ...], name: str, listen: str) -> None:
    """Get this machine into a mesh. Asks for the invite; - reads it from stdin, and it may be a file. Without one this
    machine asks to be let in, and shows a code for odyssey approve. Its own mesh stays readable here, and is left when
    nothing in it is unfinished."""
    enter(desk, Wishes(machine=checked_name(name), listen=listen), invite, addr)


def enter(desk: Desk, wishes: Wishes, invite: str = "", addr: tuple[str, ...] = ()) -> None:
    """Into a mesh, as `odyssey join`."""
    home = find_home(desk.environment)
    if not invite:
        _own_mesh(desk, "")  # before anybody is asked for anything
    with _saying_why(desk, Entry()):
        entry = _entry(desk, invite, addr)
    before = _leave_own_mesh(desk, entry.invite)
    with _saying_why(desk, entry):
        _enter(desk, home, wishes, entry)
    view = _when_up(desk)
    if as_json(desk, view):
        return
    if before is not None and before.finished:
        jobs = counted(before.finished, "finished job")
        desk.output.say(f"{before.name} and its {jobs} stay readable here: odyssey history --old")
    desk.output.text(f"{view.node} is in {view.mesh} now.")
    for line in (*sentences(view), "", *desk.ask(Share()).lines):
        desk.output.text(line)


def _enter(desk: Desk, home: Home, wishes: Wishes, entry: Entry) -> None:
    """By the addresses that are known, or where that machine is seen by then."""
    talk = Codes(desk.output)

    def once(entry: Entry) -> None:
        ensure_running(home, is_embedded=False, wishes=wishes, environment=desk.environment, entry=entry, talk=talk)

    try:
        try:
            once(entry)
        except Unreachable:
            from odyssey import looking

            if (again := looking.elsewhere(entry)) is None:
                raise
            once(again)
    except (OdysseyError, KeyboardInterrupt):
        if home.mesh.exists():  # as it was
            ensure_running(home, is_embedded=False, environment=desk.environment)
        raise


@contextmanager
def _saying_why(desk: Desk, entry: Entry) -> Iterator[None]:
    """Where nobody answers: what was observed."""
    try:
        yield
    except Unreachable:
        from odyssey import looking

        for line in looking.nobody(entry) if not entry.doors else ():
            desk.output.say(line)
        raise


def _when_up(desk: Desk) -> StatusView:
    """Others see it from its first beat on."""
    view, deadline, wait_s = desk.ask(Status()), time.monotonic() + UP_S, _STEP_S
    while not _is_seen(desk, view):
        if time.monotonic() >= deadline:
            desk.output.say("the other machines do not see this one yet: odyssey doctor")
            return view
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_STEP_S)  # many may join at once
    return desk.ask(Status())


def _is_seen(desk: Desk, view: StatusView) -> bool:
    with suppress(Unreachable, CutOff):  # whoever is new may not be answered yet
        return any(one.id == view.node_id and one.state == "up" for one in desk.ask(Nodes()).nodes)
    return False


def _entry(desk: Desk, invite: str, addr: tuple[str, ...]) -> Entry:
    """With what this machine gets in. What is wrong with it is said before anything has changed."""
    from odyssey import looking

    addresses = looking.resolved(addr)
    text = _asked(invite)
    if text is not None:
        return Entry(looking.checked(text), addresses)
    desk.output.say("no invite: looking for a mesh that may let this machine in")
    return Entry(doors=looking.doors(addresses))


def _asked(invite: str) -> str | None:
    """None: there is none."""
    if invite == "-":
        return sys.stdin.read(_LONGEST)
    if invite:
        return _read(Path(invite)) if os.path.isfile(invite) else invite
    if not sys.stdin.isatty():
        raise UsageError("no invite was given", hint="odyssey join - reads it from stdin; on the other: odyssey invite")
    prompt = "Paste the invite (nothing: ask to be let in)"
    return str(click.prompt(prompt, default="", show_default=False, hide_input=True, err=True)).strip() or None


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_LONGEST).decode("utf-8", "replace").strip()
    except OSError as error:
        raise UsageError(f"{echo(str(file))} cannot be read: {error.strerror}", hint="is it yours?") from error


class _Before(NamedTuple):
    """The mesh that this machine had for itself."""

    name: str
    finished: int


def _own_mesh(desk: Desk, invite: str) -> StatusView | None:
    """That this machine has for itself; none: it is in no mesh. One that others are in is not left by the way."""
    from odyssey.daemon import founding

    home = find_home(desk.environment)
    if not home.mesh.exists():
        return None
    ensure_running(home, environment=desk.environment)
    view = desk.ask(Status())
    belonging = founding.load(home)
    if sum(view.nodes.values()) > 1 or (belonging is not None and belonging.joined):
        raise _elsewhere(belonging, view, invite)
    return view


def _leave_own_mesh(desk: Desk, invite: str) -> _Before | None:
    home, view = find_home(desk.environment), _own_mesh(desk, invite)
    if view is None:
        return None
    unfinished = view.jobs.get("waiting", 0) + view.jobs.get("running", 0)
    if unfinished:
        _ask_about(desk, unfinished)
    with suppress(Unreachable):  # it was gone before its answer was
        desk.ask(Down(now=bool(unfinished)))
    if running(home, desk.environment) is not None and not wait_until_gone(home):
        raise OdysseyError("the daemon has not ended within 30 seconds", hint=f"its log is {home.log}")
    wait_until_gone(home)
    return _Before(view.mesh, sum(view.jobs.values()) - unfinished)


def _elsewhere(belonging: Belonging | None, view: StatusView, invite: str) -> UsageError:
    """Two meshes with several machines each do not become one."""
    from odyssey import looking

    if belonging is not None and looking.is_of(invite, belonging.anchor):
        text = f"this invite is for {view.mesh}, and this machine is in it already"
        return UsageError(text, hint="nothing to do: odyssey status; the invite can be used on another machine")
    others = sum(view.nodes.values()) - 1
    known = f", with {counted(others, 'other machine')}" if others > 0 else ""
    text = f"this machine is in {view.mesh} already{known}; it cannot be in another mesh too"
    return UsageError(text, hint="odyssey leave, then join again")


def _ask_about(desk: Desk, unfinished: int) -> None:
    jobs, end = ("job", "ends") if unfinished == 1 else ("jobs", "end")
    if not sys.stdin.isatty():
        verb = "is" if unfinished == 1 else "are"
        text = f"{unfinished} of this machine's own jobs {verb} unfinished"
        raise UsageError(text, hint="odyssey wait --all, then join")
    desk.output.say(f"{unfinished} {jobs} of this machine's own mesh {end} here, unfinished; odyssey wait --all waits")
    if not click.confirm("Join now?", default=False, err=True):
        raise UsageError("nothing was changed", hint="odyssey wait --all, then join")

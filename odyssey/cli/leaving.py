"""`odyssey leave`: this machine is in its mesh no more.

Promises: what others would lose by it is a reason to refuse; what this machine alone has is set aside, or asked about
before it goes; what was removed is listed.
Never: touches anything outside of the home, or starts a mesh to leave it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import click

from odyssey.api.documents import document
from odyssey.api.requests import Down, Leave
from odyssey.api.views import LeavingView
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.telling import counted
from odyssey.errors import OdysseyError, UsageError
from odyssey.paths import Home, find_home
from odyssey.resources import show_size_rounded
from odyssey.starting import end, ensure_running, running, wait_until_gone

_PROGRAM = "uv tool uninstall odyssey-mesh"


class _Left(NamedTuple):
    view: LeavingView | None  # None: it could not be asked, or is in no mesh
    trouble: OdysseyError | None = None


@command("leave")
@click.option("--clean", is_flag=True, help="remove everything that Odyssey has on this machine, but the program")
@click.option("--yes", is_flag=True, help="do not ask, also where jobs or their output would be lost")
def leave_command(desk: Desk, clean: bool, yes: bool) -> None:
    """Leave the mesh. What runs here starts again on other machines; what was done here stays readable by odyssey
    history --old, unless --clean removes it."""
    home = find_home(desk.environment)
    is_member = home.mesh.exists() or home.leaving.exists()
    if not is_member and not clean:
        hint = "to remove what Odyssey keeps here all the same: odyssey leave --clean"
        raise UsageError("this machine is in no mesh", hint=hint)
    if not home.path.is_dir():
        _say_clean(desk, home, None)
        return
    looked = _looked(desk, home) if is_member else _Left(None)
    _check_sure(desk, home, looked, clean, yes)
    left = _left(desk, home, looked, clean)
    if clean:
        _say_clean(desk, home, left.view)
    else:
        _say_left(desk, home, left)


def _looked(desk: Desk, home: Home) -> _Left:
    """What leaving means. Raises where it is refused."""
    from odyssey.daemon import founding

    try:
        belonging = founding.load(home)
        is_closed = belonging is None or not (belonging.joined or belonging.listen)
        ensure_running(home, is_embedded=is_closed, environment=desk.environment)
    except OdysseyError as trouble:
        return _Left(None, trouble)
    return _Left(desk.ask(Leave(is_trial=True)))


# -- is it meant? ------------------------------------------------------------------------------------------------------


def _check_sure(desk: Desk, home: Home, looked: _Left, clean: bool, yes: bool) -> None:
    if yes:
        return
    lost = _lost(looked.view)
    if clean:
        from odyssey.daemon.clearing import holds_work

        if lost or holds_work(home):
            what = lost or "the output of what ran here, and what is known of old jobs"
            _ask(desk, f"This removes for good: {what}.", "leave", "odyssey leave --clean --yes")
    elif looked.view is not None and looked.view.unfinished:
        _ask(desk, f"Nobody else has {lost}; they end here.", "leave", "odyssey wait --all, or odyssey leave --yes")


def _lost(view: LeavingView | None) -> str:
    if view is None:
        return ""
    jobs = {"unfinished": view.unfinished, "finished": view.finished}
    parts = [counted(count, f"{word} job") for word, count in jobs.items() if count]
    return " and ".join(parts)


def _ask(desk: Desk, what: str, word: str, hint: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(what.rstrip(".").replace("This removes", "this would remove"), hint=hint)
    desk.output.say(what)
    typed = str(click.prompt(f"Type {word} to go on", default="", show_default=False, err=True))
    if typed.strip().lower() != word:
        raise UsageError("nothing was changed", hint=f"type the word {word} when you are asked")


# -- going -------------------------------------------------------------------------------------------------------------


def _left(desk: Desk, home: Home, looked: _Left, clean: bool) -> _Left:
    """No daemon runs on this home when this returns; if not all of it goes anyway, it is in no mesh."""
    from odyssey.daemon import parting
    from odyssey.daemon.clearing import end_hands

    view = looked.view
    if view is not None:
        view = desk.ask(Leave())
    if running(home, desk.environment) is not None:
        desk.ask(Down(now=True))
    if not wait_until_gone(home) and not end(home):
        raise OdysseyError("the daemon has not ended within 30 seconds", hint=f"its log is {home.log}")
    if not clean and (home.mesh.exists() or home.leaving.exists()):
        end_hands(home)
        parting.begin(home)
        parting.finish(home)
    return _Left(view, looked.trouble)


def _say_left(desk: Desk, home: Home, left: _Left) -> None:
    folder = _newest(home)
    if desk.output.as_json:
        desk.output.json(_document(left.view, kept=str(folder) if folder else None))
        return
    _say_goodbye(desk, left)
    desk.output.text("Removed: this machine's keys and its certificate.")
    if folder is not None:
        desk.output.text(f"What it did there stays readable: odyssey history --old ({folder})")
        if (folder / "root").exists():
            desk.output.text(f"The root key of that mesh is there too: keep {folder / 'root'} if others go on with it.")


def _say_goodbye(desk: Desk, left: _Left) -> None:
    view = left.view
    if view is None:
        if left.trouble is not None:
            desk.output.text(f"This machine could not say goodbye: {left.trouble.message}.")
        return
    if view.others and view.tasks:
        verb = "starts" if view.tasks == 1 else "start"
        desk.output.text(f"{counted(view.tasks, 'running task')} {verb} again on other machines.")
    desk.output.text(f"{view.machine} has left {view.mesh}.")
    if view.others and not view.is_told:
        remedy = f"odyssey node remove {view.machine}"
        desk.output.text(f"Nobody of it could be reached. If the others list it still, type there: {remedy}")


def _say_clean(desk: Desk, home: Home, view: LeavingView | None) -> None:
    from odyssey.daemon.clearing import Cleared, clear

    cleared = clear(home) if home.path.is_dir() else Cleared((), 0, ())
    if desk.output.as_json:
        removed = {"removed": list(cleared.kinds), "bytes": cleared.bytes, "left": list(cleared.left)}
        desk.output.json(_document(view, **removed))
        return
    _say_goodbye(desk, _Left(view))
    what = ", ".join(cleared.kinds)
    where = (
        f"({show_size_rounded(cleared.bytes)}, all under {home.path})"
        if what
        else f"(there was nothing in {home.path})"
    )
    desk.output.text(f"Removed: {what or 'nothing'} {where}. Nothing else was changed on this machine.")
    if cleared.left:
        desk.output.text(f"Not Odyssey's, and still there: {', '.join(cleared.left[:5])} in {home.path}")
    desk.output.text(f"To remove the program too:  {_PROGRAM}")


def _document(view: LeavingView | None, **more: object) -> dict[str, object]:
    return {**(document(view) if view is not None else {}), **more}


def _newest(home: Home) -> Path | None:
    try:
        return max(home.old.iterdir(), key=lambda path: path.stat().st_ctime_ns, default=None)
    except OSError:
        return None

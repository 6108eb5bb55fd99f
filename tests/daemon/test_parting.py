"""Leaving a mesh on one's own disk: interrupted at every step, and gone on with."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from odyssey import config
from odyssey.clock import SeededEntropy
from odyssey.daemon import founding, given, joining, parting
from odyssey.daemon.clearing import clear, holds_work
from odyssey.daemon.entering import Entrance
from odyssey.daemon.leaving import Company, check
from odyssey.daemon.options import Options
from odyssey.errors import UsageError
from odyssey.ids import UserId
from odyssey.mesh import identity
from odyssey.mesh.company import keep
from odyssey.mesh.trust import standing
from odyssey.mesh.trust.certificates import fingerprint
from odyssey.mesh.trust.standing import Standing
from odyssey.paths import Home, machine_id, prepare
from tests.fakes import FakeClock


def a_member(path: Path, seed: int = 1) -> Home:
    """A machine with a mesh of its own, a job's output, and a log of the daemon's."""
    home, entropy = Home(path), SeededEntropy(seed)
    prepare(home)
    key = identity.load_or_make(home.key, entropy)
    belonging = founding.begin(UserId("anna"), "titan", "", entropy)
    founding.save(home, founding.found_trust(home, belonging, key, FakeClock(), entropy))
    for name in ("mesh.db", "mesh.db-wal", "history.db", "lease", "peers", "config.toml", "policy.toml", "daemon.lock"):
        (path / name).write_text("" if name == "config.toml" else name)
    for name in ("outputs", "files", "spool", "blobs", "logs", "hands"):
        (path / name).mkdir()
        (path / name / "one").write_text(name)
    return home


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_was_there_is_set_aside_and_nothing_of_the_mesh_is_active(tmp_path: Path) -> None:
    home = a_member(tmp_path / "home")
    before = founding.load(home)
    assert before is not None
    folder = parting.begin(home)
    aside = parting.finish(home)
    assert aside == (folder, True)
    assert names(folder) == {
        *("mesh.db", "mesh.db-wal", "history.db", "lease", "outputs", "files", "spool", "blobs", "mesh", "root")
    }
    assert founding.noted(folder) == before
    assert names(home.identity) == set()
    assert names(home.path) == {"identity", "old", "config.toml", "policy.toml", "daemon.lock", "logs", "hands"}
    assert founding.load(home) is None


def test_who_leaves_a_mesh_twice_keeps_what_was_set_aside_before(tmp_path: Path) -> None:
    folders = []
    for _ in range(2):
        home = a_member(tmp_path / "home")
        folders.append(parting.begin(home))
        parting.finish(home)
        for name in ("outputs", "files", "spool", "blobs", "logs", "hands"):
            if (home.path / name).exists():
                (home.path / name / "one").unlink()
                (home.path / name).rmdir()
    assert [folder.name for folder in folders] == [folders[0].name, f"{folders[0].name}-2"]
    assert all((folder / "mesh.db").exists() for folder in folders)


class Stopped(BaseException):
    """The power went."""


@contextmanager
def stopped_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """So many changes of names happen, and then no more."""
    left = [steps]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Path, *words: Any, **more: Any) -> Any:
            if not left[0]:
                raise Stopped
            left[0] -= 1
            return real(self, *words, **more)

        return call

    with monkeypatch.context() as patch, suppress(Stopped):
        for name in ("rename", "replace", "unlink", "mkdir", "rmdir"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        yield


@pytest.mark.parametrize("step", range(25))
def test_whoever_is_interrupted_goes_on_where_it_was(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = a_member(tmp_path / "home")
    folder = parting.begin(home)
    with stopped_after(step, monkeypatch):
        parting.finish(home)
    if home.leaving.exists():
        assert parting.begin(home) == folder
    parting.finish(home)
    assert founding.noted(folder) is not None
    assert {"mesh.db", "history.db", "outputs", "root"} <= names(folder)
    assert names(home.identity) == set()
    assert not home.leaving.exists()


# -- being let in ------------------------------------------------------------------------------------------------------


def test_what_was_given_counts_when_the_note_says_so(tmp_path: Path) -> None:
    home, other = a_member(tmp_path / "home"), a_member(tmp_path / "other", seed=2)
    mine, theirs = founding.load(home), founding.load(other)
    assert mine is not None
    assert theirs is not None
    coming = given.begin(home)
    coming.trust.write_bytes(other.trust.read_bytes())
    coming.trust.chmod(0o600)
    coming.peers.write_text("theirs")
    before = home.trust.read_bytes()
    given.take(home, mine)  # it was stopped before the note was written
    assert home.trust.read_bytes() == before
    assert not coming.path.exists()
    coming = given.begin(home)
    coming.trust.write_bytes(other.trust.read_bytes())
    coming.trust.chmod(0o600)
    coming.peers.write_text("theirs")
    joined = founding.Belonging(
        *(theirs.mesh, theirs.root, theirs.name, UserId("anna"), "titan"), anchor=theirs.anchor, joined=True
    )
    given.take(home, joined)
    assert home.trust.read_bytes() == other.trust.read_bytes()
    assert home.peers.read_text() == "theirs"
    assert standing.is_of(home, joined.anchor)
    assert fingerprint(bytes(32)) != joined.anchor
    given.take(home, joined)
    assert standing.is_of(home, joined.anchor)


@pytest.mark.parametrize("step", range(36))
def test_a_joining_that_is_interrupted_is_whole_or_has_not_been(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was written when it stopped, the next start is in the one mesh or in the other, with its trust."""
    home, other = a_member(tmp_path / "home"), a_member(tmp_path / "other", seed=2)
    mine, theirs = founding.load(home), founding.load(other)
    assert mine is not None
    assert theirs is not None
    founding.save(home, replace(mine, host=founding.host(machine_id()), has_store=True))
    known = standing.load(other, identity.load_or_make(other.key, SeededEntropy(2)).key, theirs.anchor).known

    async def let_in(newcomer: joining.Newcomer, *_: Any) -> founding.Belonging:
        """As `joining.join` does it, without a network."""
        coming = given.begin(home)
        standing.save(coming, Standing(known, newcomer.node, newcomer.curve))
        keep(coming.peers, ())
        return replace(theirs, joined=True, has_store=False)

    monkeypatch.setattr(joining, "join", let_in)
    pipe, end = os.pipe()
    os.write(end, json.dumps({"invite": "", "addresses": [], "doors": []}).encode() + b"\n")
    os.close(end)
    with stopped_after(step, monkeypatch):
        asyncio.run(entered(home, join=pipe))
    house = asyncio.run(entered(home))
    now = house.belonging
    assert now.mesh in (mine.mesh, theirs.mesh)
    assert standing.load(home, house.identity.key, now.anchor).known.mesh == now.mesh
    assert not (home.path / "joining").exists()
    folder = home.old / mine.mesh.hex()[:8]
    if now.mesh == mine.mesh:
        assert {"mesh.db", "history.db", "outputs", "peers"} <= names(home.path)
        assert home.root.exists()
        assert home.issuer.exists()
    else:
        assert {"mesh.db", "history.db", "outputs", "mesh"} <= names(folder)
        assert founding.noted(folder) is not None
        assert not home.issuer.exists()


async def entered(home: Home, join: int = -1) -> founding.Storehouse:
    entrance = Entrance(Options(home.path, join=join), home, FakeClock(), SeededEntropy(3))
    return await entrance.enter(config.read(home.config, {}))


# -- nothing is left ---------------------------------------------------------------------------------------------------


def test_a_clean_leaves_nothing_of_ours_and_everything_else(tmp_path: Path) -> None:
    home = a_member(tmp_path / "home")
    elsewhere = tmp_path / "thesis"
    elsewhere.mkdir()
    (elsewhere / "one").write_text("kept")
    (home.path / "notes.txt").write_text("kept")
    (home.path / "outputs" / "link").symlink_to(elsewhere)
    assert holds_work(home)
    cleared = clear(home)
    assert cleared.kinds == ("keys", "database", "output", "cache", "settings", "logs")
    assert cleared.left == ("notes.txt",)
    assert cleared.bytes > 50
    assert names(home.path) == {"notes.txt"}
    assert (elsewhere / "one").read_text() == "kept"


def test_a_clean_takes_the_folder_too(tmp_path: Path) -> None:
    home = a_member(tmp_path / "odyssey" / "3fa2c1d0")
    assert clear(home).left == ()
    assert names(tmp_path) == set()


# -- who may go --------------------------------------------------------------------------------------------------------


def test_who_has_what_nobody_else_has_stays() -> None:
    check("titan", "anna's mesh", Company(0, True, True))
    check("titan", "anna's mesh", Company(2))
    with pytest.raises(
        UsageError, match="titan is the only machine that remembers the jobs of anna's mesh, and 2 other"
    ):
        check("titan", "anna's mesh", Company(2, is_only_keeper=True, is_only_issuer=True))
    with pytest.raises(UsageError, match="too few other machines let others into anna's mesh: without titan nobody"):
        check("titan", "anna's mesh", Company(1, is_only_issuer=True))

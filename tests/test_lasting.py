"""What is there after a power cut: bytes, and the names on the way to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from odyssey import lasting
from odyssey.api.spool import Stdin
from odyssey.lasting import Folders
from odyssey.mesh.blobs import Blobs
from odyssey.paths import write_whole
from tests.certain import Certain
from tests.certain import certain as certain  # the fixture
from tests.mesh.test_blobs import DATA, DIGEST, put_all

NAME = bytes(16)


def test_a_file_that_is_written_whole_lasts(certain: Certain, tmp_path: Path) -> None:
    write_whole(tmp_path / "key", b"secret")
    assert certain.has(tmp_path / "key", tmp_path)


def test_every_folder_above_a_home_that_may_be_new_lasts(certain: Certain, tmp_path: Path) -> None:
    home = tmp_path / "state" / "odyssey" / "abc"
    home.mkdir(parents=True)
    lasting.sync_above(home)
    assert certain.has_name(home, tmp_path)


def test_a_folder_of_somebody_else_ends_the_way_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(lasting, "sync_names", synced.append)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    lasting.sync_above(tmp_path / "home")
    assert synced == [tmp_path]


def test_a_folder_that_cannot_be_looked_into_is_not_ours_to_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_: Path) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(lasting, "sync_names", closed)
    lasting.sync_above(tmp_path / "home")


def test_a_folder_is_made_sure_of_in_each_process_once(certain: Certain, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    Folders(tmp_path).make(folder)
    assert certain.has_name(folder, tmp_path)
    (folder / "file").write_bytes(b"of a process that was killed")
    again = Folders(tmp_path)
    again.make(folder)
    assert certain.has_name(folder / "file", tmp_path)
    (folder / "more").touch()
    again.make(folder)
    assert not certain.has_name(folder / "more", tmp_path)
    again.doubt()
    again.make(folder)
    assert certain.has_name(folder / "more", tmp_path)


# -- who is answered ---------------------------------------------------------------------------------------------------


def test_a_blob_that_was_answered_as_complete_lasts(certain: Certain, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    blobs.put(DIGEST, len(DATA), 0, DATA[:30])
    assert put_all(blobs) == len(DATA)
    assert certain.has(tmp_path / "blobs" / DIGEST.hex()[:2] / DIGEST.hex(), tmp_path)


def test_a_blob_that_somebody_had_only_just_renamed_lasts_too(certain: Certain, tmp_path: Path) -> None:
    path = tmp_path / "blobs" / DIGEST.hex()[:2] / DIGEST.hex()
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)  # synced, as it was before it got its name
    assert Blobs(tmp_path / "blobs").put(DIGEST, len(DATA), 0, b"") == len(DATA)
    assert certain.has_name(path, tmp_path)


def test_a_standard_input_whose_end_was_answered_lasts(certain: Certain, tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "stdin"
    spool = Stdin(folder, keep_free=0)
    assert spool.put(NAME, 0, b"abc", is_end=False) == (3, False)
    assert spool.put(NAME, 3, b"def", is_end=True) == (6, True)
    assert certain.has(folder / NAME.hex(), tmp_path)
    assert certain.has_name(folder / f"{NAME.hex()}.end", tmp_path)

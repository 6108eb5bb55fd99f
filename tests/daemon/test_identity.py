"""The key of a machine: made once, whole, for its user alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from odyssey.clock import SystemEntropy
from odyssey.ids import NodeId
from odyssey.mesh import identity
from odyssey.mesh.store import StoreError
from odyssey.mesh.trust.certificates import node_id
from odyssey.mesh.trust.keyfile import BadKey

CHANCE = SystemEntropy()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "identity" / "key"


def test_it_is_made_once_and_found_again(path: Path) -> None:
    made = identity.load_or_make(path, CHANCE)
    assert identity.load_or_make(path, CHANCE).id == made.id
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_id_follows_from_the_key_alone() -> None:
    assert node_id(bytes(32)) == NodeId("qqibxxk32anewc3pdodpdwwnk6")


def test_a_signature_is_verified_with_the_id(path: Path, tmp_path: Path) -> None:
    one, other = identity.load_or_make(path, CHANCE), identity.load_or_make(tmp_path / "other" / "key", CHANCE)
    signature = one.sign(b"text")
    assert one.verify(one.id, b"text", signature)
    assert not one.verify(one.id, b"texts", signature)
    assert not one.verify(one.id, b"text", other.sign(b"text"))
    assert not one.verify(other.id, b"text", other.sign(b"text"))
    assert not one.verify(one.id, b"text", b"")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_one_that_others_can_reach_is_refused(path: Path, mode: int) -> None:
    identity.load_or_make(path, CHANCE)
    path.chmod(mode)
    with pytest.raises(BadKey, match="others"):
        identity.load(path)


@pytest.mark.parametrize("at", [0, 20, 60, 75])
def test_one_with_a_flipped_bit_is_refused(path: Path, at: int) -> None:
    identity.load_or_make(path, CHANCE)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadKey, match="damaged"):
        identity.load(path)


@pytest.mark.parametrize("size", [0, 75, 77])
def test_a_torn_or_longer_one_is_refused(path: Path, size: int) -> None:
    identity.load_or_make(path, CHANCE)
    path.write_bytes((path.read_bytes() + b"x")[:size])
    with pytest.raises(BadKey, match="damaged"):
        identity.load(path)


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    identity.load_or_make(tmp_path / "key", CHANCE)
    path.parent.mkdir()
    path.symlink_to(tmp_path / "key")
    with pytest.raises(BadKey):
        identity.load(path)


def test_a_making_that_was_interrupted_is_begun_again(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("key.new").write_bytes(b"half")
    assert identity.load_or_make(path, CHANCE).id == identity.load(path).id


def test_a_full_disk_leaves_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError):
        identity.load_or_make(path, CHANCE)
    assert not path.exists()

"""How trust begins on a machine: whole or not at all, once, and also in a home that was founded before that."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from odyssey import wire
from odyssey.clock import SeededEntropy, SystemEntropy
from odyssey.daemon import founding
from odyssey.daemon.founding import Belonging
from odyssey.ids import UserId
from odyssey.mesh import identity
from odyssey.mesh.identity import Identity
from odyssey.mesh.trust import standing
from odyssey.mesh.trust.certificates import DAY_MS, ISSUER_MS, LATE_MS, MEMBER_MS, Grant, Revocation, fingerprint
from odyssey.mesh.trust.keyfile import BadKey
from odyssey.mesh.trust.signed import sealed
from odyssey.mesh.trust.standing import Standing
from odyssey.paths import Home
from tests.daemon_fakes import Time

CHANCE = SystemEntropy()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def founded(home: Home, owner: str = "anna", machine: str = "Anna's-PC.local") -> tuple[Identity, Belonging]:
    key = identity.load_or_make(home.key, CHANCE)
    belonging = founding.begin(UserId(owner), machine, "", CHANCE)
    belonging = founding.found_trust(home, belonging, key, Time(), CHANCE)
    founding.save(home, belonging)
    return key, belonging


def opened(home: Home) -> Standing:
    belonging = founding.load(home)
    assert belonging is not None
    return standing.load(home, identity.load(home.key).key, belonging.anchor)


# ---- founding --------------------------------------------------------------------------------------------------------


def test_a_founder_may_all_and_lets_in(home: Home) -> None:
    key, belonging = founded(home)
    mine, now = opened(home), Time().wall_ms()
    certificate = mine.trust().check(mine.known.certificate, now)
    assert (certificate.node, certificate.owner, certificate.name) == (key.id, "anna", "anna-s-pc")
    assert certificate.may(Grant.ADMIN | Grant.ISSUE | Grant.VOTE | Grant.SUBMIT | Grant.WORKER)
    assert certificate.curve == mine.curve.public
    assert certificate.mesh == belonging.mesh
    issuing = mine.issuing(now)
    assert issuing is not None
    assert (issuing.node, issuing.curve) == (key.id, mine.curve.public)
    assert fingerprint(mine.known.root) == belonging.anchor


def test_its_keys_are_for_its_user_alone(home: Home) -> None:
    founded(home)
    for path in (home.key, home.curve, home.issuer, home.root, home.trust):
        assert path.stat().st_mode & 0o777 == 0o600
    for path in (home.curve, home.issuer, home.root, home.trust):
        path.chmod(0o644)
        with pytest.raises(BadKey, match="others"):
            opened(home)
        path.chmod(0o600)


def test_one_key_is_not_taken_for_another(home: Home) -> None:
    founded(home)
    home.root.replace(home.issuer)
    with pytest.raises(BadKey, match="damaged"):
        opened(home)


@pytest.mark.parametrize("gone", ["trust", "curve"])
def test_without_its_trust_a_machine_does_not_pretend(home: Home, gone: str) -> None:
    founded(home)
    getattr(home, gone).unlink()
    with pytest.raises(BadKey, match="is gone") as caught:
        opened(home)
    assert caught.value.hint


@pytest.mark.parametrize("at", [0, 30, 100, 400])
def test_a_flipped_bit_is_noticed(home: Home, at: int) -> None:
    founded(home)
    data = bytearray(home.trust.read_bytes())
    data[at] ^= 1
    home.trust.write_bytes(data)
    with pytest.raises(BadKey, match="cannot be read"):
        opened(home)


def test_the_trust_of_another_mesh_is_not_taken(home: Home, tmp_path: Path) -> None:
    founded(home)
    other = Home(tmp_path / "other")
    other.path.mkdir()
    founded(other)
    other.trust.replace(home.trust)
    with pytest.raises(BadKey, match="another mesh"):
        opened(home)


@pytest.mark.parametrize("left", [0, 1, 2, 3, 4])
def test_an_interrupted_founding_goes_on(home: Home, left: int) -> None:
    """All that was written up to there is there, the note is not: nobody knows this mesh yet."""
    founded(home)
    home.mesh.unlink()
    for path in (home.root, home.issuer, home.curve, home.trust)[left:]:
        path.unlink()
    key, belonging = founded(home)
    mine = opened(home)
    assert mine.trust().check(mine.known.certificate, Time().wall_ms()).node == key.id
    assert mine.known.mesh == belonging.mesh


def test_a_home_of_before_is_given_trust(home: Home) -> None:
    """What an earlier version has written, byte for byte the same record without the newer fields."""
    key = identity.load_or_make(home.key, CHANCE)
    before = founding.begin(UserId("anna"), "pc", "", CHANCE)
    data = wire.encode_log((before.mesh, before.root, before.name, before.owner, before.machine, True))
    home.mesh.write_bytes(crc32(data).to_bytes(4, "big") + data)
    read = founding.load(home)
    assert read is not None
    assert (read.mesh, read.has_store, read.anchor) == (before.mesh, True, b"")
    founding.save(home, founding.found_trust(home, read, key, Time(), CHANCE))
    assert opened(home).mine().mesh == before.mesh


@pytest.mark.parametrize("owner", ["a" * 200, "anna\n\x1b[2J", "\n", "Änna Müller"])
def test_any_name_of_an_owner_can_be_certified(home: Home, owner: str) -> None:
    founded(home, owner)
    assert opened(home).mine().owner.isprintable()


# ---- it goes on ------------------------------------------------------------------------------------------------------


def test_a_founder_renews_what_is_its_own(home: Home) -> None:
    founded(home)
    first = mine = opened(home)
    now = Time().wall_ms()
    assert standing.refreshed(home, first, now + MEMBER_MS // 2 - 1, CHANCE) is first
    for day in range(7, 400, 9):
        now = Time().wall_ms() + day * DAY_MS
        mine = standing.refreshed(home, opened(home), now, CHANCE)
        assert mine.trust().check(mine.known.certificate, now + MEMBER_MS // 3).node == first.mine().node
        assert mine.issuing(now) is not None
        assert opened(home).known == mine.known
    assert len(mine.known.items) < 400 // 15 + 2


def test_a_founder_that_was_off_for_long_goes_on(home: Home) -> None:
    founded(home)
    now = Time().wall_ms() + LATE_MS * 10
    mine = standing.refreshed(home, opened(home), now, CHANCE)
    mine.trust().check(mine.known.certificate, now)


def test_a_clock_that_was_far_ahead_does_no_harm(home: Home) -> None:
    founded(home)
    now = Time().wall_ms() - 300 * DAY_MS
    mine = standing.refreshed(home, opened(home), now, CHANCE)
    mine.trust().check(mine.known.certificate, now)


def test_without_the_root_an_issuer_ends(home: Home) -> None:
    founded(home)
    home.root.unlink()
    now = Time().wall_ms() + ISSUER_MS
    mine = opened(home)
    assert standing.refreshed(home, mine, now, CHANCE) is mine
    assert mine.issuing(now) is None


def test_who_was_put_out_renews_nothing(home: Home) -> None:
    founded(home)
    mine = opened(home)
    assert mine.root is not None
    out = sealed(Revocation(mine.known.mesh, mine.root.public, mine.mine().node, Time().wall_ms()), mine.root)
    known = msgspec.structs.replace(mine.known, items=(*mine.known.items, out))
    mine = standing.save(home, mine._replace(known=known))
    assert standing.refreshed(home, mine, Time().wall_ms() + 20 * DAY_MS, CHANCE) is mine


# ---- copies ----------------------------------------------------------------------------------------------------------


def test_a_home_that_was_cloned_before_it_was_used_gets_a_key_of_its_own(home: Home) -> None:
    key, belonging = founded(home)
    here, there = founding.host("here"), founding.host("there")
    for store, host, is_copy in ((False, there, True), (False, here, False), (True, there, False), (False, b"", False)):
        told = msgspec.structs.replace(belonging, has_store=store, host=host)
        assert founding.is_unused_copy(told, here) is is_copy
    founding.forget(home)
    founding.forget(home)
    assert list(home.identity.iterdir()) == []
    assert founded(home)[0].id != key.id


def test_where_a_home_was_made_is_not_written_as_it_is() -> None:
    assert b"3fa2c1d0" not in founding.host("3fa2c1d0" * 4)
    assert len(founding.host("")) == 16


def test_keys_follow_from_chance_alone(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        path = Home(tmp_path / name)
        path.path.mkdir()
        made.append(standing.own_curve(path, SeededEntropy(3)).public)
    assert made[0] == made[1]

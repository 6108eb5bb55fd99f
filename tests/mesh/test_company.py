"""The machines that one knows: learnt from anybody, believed by signature, kept on the disk, gone when put out."""

from __future__ import annotations

from pathlib import Path

import pytest

from odyssey.ids import NodeId
from odyssey.mesh.company import MOST_WAYS, Company, for_others, keep, read, written
from odyssey.mesh.links.ports import Path as Way
from odyssey.mesh.links.ports import Refusal
from odyssey.mesh.trust import primitives
from odyssey.mesh.trust.certificates import MEMBER_MS, OF_OTHERS
from odyssey.mesh.trust.letters import Peer
from odyssey.mesh.trust.primitives import Pair
from odyssey.mesh.trust.signed import Purpose, proof, signable
from odyssey.mesh.trust.standing import Known, Standing
from tests.fakes import FakeClock
from tests.mesh.trust.people import NOW, Realm, curve, key, node

REALM = Realm()
PI, MAC = curve("pi").public, curve("mac").public


def a_company(folder: Path, clock: FakeClock | None = None) -> Company:
    mine = Known(REALM.mesh, REALM.root.public, REALM.member("gamebox"), REALM.trust().items)
    standing = Standing(mine, key("gamebox"), curve("gamebox"))
    return Company(node("gamebox"), standing, folder / "peers", clock or FakeClock(wall=NOW))


def test_a_member_is_known_by_its_key_and_where_it_is(tmp_path: Path) -> None:
    company = a_company(tmp_path)
    company.meet([Peer(REALM.member("pi"), ("10.0.0.2:7660", "[fe80::1]:9"))])
    assert company.who(PI) == node("pi")
    assert company.others() == [node("pi")]
    where = company.where(node("pi"))
    assert where is not None
    assert (where.key, where.paths) == (PI, (Way("10.0.0.2", 7661, 7662), Way("fe80::1", 10, 11)))
    assert company.where(node("mac")) is None


def test_it_is_known_after_a_restart(tmp_path: Path) -> None:
    company = a_company(tmp_path)
    company.meet([Peer(REALM.member("pi"), ("10.0.0.2:7660",))])
    company.save()
    again = a_company(tmp_path)
    assert again.who(PI) == node("pi")
    assert again.peer(node("pi")) == Peer(REALM.member("pi"), ("10.0.0.2:7660",))


@pytest.mark.parametrize("damage", [b"", b"xxxx", b"\0" * 100])
def test_a_file_that_is_lost_or_torn_costs_a_question(tmp_path: Path, damage: bytes) -> None:
    keep(tmp_path / "peers", (Peer(REALM.member("pi")),))
    (tmp_path / "peers").write_bytes(damage)
    company = a_company(tmp_path)
    assert company.who(PI) is Refusal.UNKNOWN
    assert company.who(curve("gamebox").public) == node("gamebox")


def test_what_the_file_says_is_verified(tmp_path: Path) -> None:
    keep(tmp_path / "peers", (Peer(REALM.member("pi", by="eve"), ("10.0.0.9:1",)),))
    assert a_company(tmp_path).who(PI) is Refusal.UNKNOWN


def test_whoever_is_put_out_is_cut_off_at_once(tmp_path: Path) -> None:
    company, told = a_company(tmp_path), list[tuple[frozenset[NodeId], NodeId | Refusal]]()
    company.changed = lambda gone: told.append((gone, company.who(PI)))
    company.hear([REALM.member("pi"), REALM.member("mac")], [])
    assert (company.who(PI), told) == (node("pi"), [])
    company.hear([REALM.member("pi")], [REALM.revocation(node("pi"))])
    assert told == [(frozenset([node("pi")]), Refusal.REVOKED)]
    assert company.who(MAC) == node("mac")
    company.save()
    assert a_company(tmp_path).others() == [node("mac")]


def test_whose_time_is_over_may_come_later(tmp_path: Path) -> None:
    clock = FakeClock(wall=NOW)
    company = a_company(tmp_path, clock)
    company.meet([Peer(REALM.member("pi"))])
    clock.advance(MEMBER_MS)
    assert company.who(PI) is Refusal.UNKNOWN


def test_a_signature_counts_only_with_the_key_of_its_machine(tmp_path: Path) -> None:
    company = a_company(tmp_path)
    company.meet([Peer(REALM.member("pi"))])
    data = signable(Purpose.KNOCK, b"x")

    def signed(by: Pair) -> bytes:
        return proof(Purpose.KNOCK, b"x", by)

    assert company.verify(node("pi"), data, signed(key("pi")))
    assert not company.verify(node("pi"), data, signed(key("mac")))
    assert not company.verify(node("mac"), data, signed(key("mac")))


def test_the_signature_of_a_machine_that_may_not_keep_the_log_begins_no_generation_of_it(tmp_path: Path) -> None:
    company = a_company(tmp_path)
    company.meet([Peer(REALM.member("pi", grants=int(OF_OTHERS)))])
    assert not company.verify(node("pi"), b"x", primitives.sign(key("pi"), b"x"))


def test_addresses_are_bounded_and_nonsense_is_left_out(tmp_path: Path) -> None:
    company = a_company(tmp_path)
    company.meet(
        [
            Peer(
                REALM.member("pi"),
                (
                    "",
                    "x",
                    "h:1",
                    "gamebox.local:7660",
                    "10.0.0.1:",
                    "10.0.0.1:0",
                    "10.0.0.1:65534",
                    ":7",
                    *(f"10.0.0.{n}:1" for n in range(20)),
                ),
            )
        ]
    )
    where = company.where(node("pi"))
    assert where is not None
    assert [way.host for way in where.paths] == [f"10.0.0.{n}" for n in range(MOST_WAYS)]


@pytest.mark.parametrize("host", ["10.0.0.1", "fe80::1%eth0"])
def test_an_address_is_read_as_it_was_written(host: str) -> None:
    assert read(written(host, 7660)) == Way(host, 7661, 7662)


def test_what_is_new_of_whom_is_told_in_order_and_once(tmp_path: Path) -> None:
    company = a_company(tmp_path)
    seen = company.revision
    company.meet([Peer(REALM.member("pi")), Peer(REALM.member("mac"), ("10.0.0.3:7660",))])
    assert [peer.certificate for _, peer in company.since(seen)] == [REALM.member("pi"), REALM.member("mac")]
    seen = company.revision
    company.meet([Peer(REALM.member("pi")), Peer(REALM.member("mac"), ("10.0.0.3:7660",))])
    assert list(company.since(seen)) == []
    company.find(node("pi"), ["10.0.0.2:7660"])
    assert list(company.since(seen)) == [(company.revision, Peer(REALM.member("pi"), ("10.0.0.2:7660",)))]


def test_nobody_tells_a_machine_where_it_is_itself(tmp_path: Path) -> None:
    company = a_company(tmp_path)
    company.meet([Peer(REALM.member("gamebox"), ("10.9.9.9:7660",))])
    assert company.peer(node("gamebox")) == Peer(REALM.member("gamebox"))


def test_some_addresses_mean_nothing_elsewhere() -> None:
    here = ["127.0.0.1:7660", "[::1]:7660", "0.0.0.0:7660", "[fe80::1%eth0]:7660", "224.0.0.1:7660", "titan:7660"]
    assert for_others([*here, "10.0.0.2:7660", "[fd00::2]:7660"]) == ("10.0.0.2:7660", "[fd00::2]:7660")

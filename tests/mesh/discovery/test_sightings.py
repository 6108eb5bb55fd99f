"""Who was seen: bounded, and only what may be knocked at."""

from __future__ import annotations

from odyssey.mesh.discovery.adverts import Advert, instance, written
from odyssey.mesh.discovery.interfaces import lans, made
from odyssey.mesh.discovery.sightings import MOST, MOST_ADDRESSES, MOST_HERE, Sightings

LAN = lans([made("eth0", "10.1.0.1/16")])
ADVERT = Advert(1, "0123456789abcdef", bytes(32), 7660)


def name(number: int) -> str:
    return instance(number.to_bytes(8, "big"))


def key(number: int) -> Advert:
    return ADVERT._replace(key=number.to_bytes(32, "big"))


def see(seen: Sightings, number: int, *addresses: str, port: int = 7660) -> bool:
    return seen.see(name(number), written(key(number)), port, addresses, LAN)


def test_what_is_new_is_told_once() -> None:
    seen = Sightings()
    assert [see(seen, 1, "10.1.0.2"), see(seen, 1, "10.1.0.2"), see(seen, 1, "10.1.0.3")] == [True, False, True]
    assert [one.addresses for one in seen.all()] == [("10.1.0.3",)]
    assert [seen.lose(name(1)), seen.lose(name(1))] == [True, False]


def test_a_machine_does_not_see_itself() -> None:
    seen = Sightings(own=name(1))
    assert not see(seen, 1, "10.1.0.2")
    assert seen.all() == ()


def test_what_has_two_ports_or_no_address_here_or_a_strange_name_is_counted_only() -> None:
    seen = Sightings()
    see(seen, 1, "10.1.0.2", port=80)
    see(seen, 2, "8.8.8.8", "10.1.0.1")
    seen.see("annas-laptop._odyssey._tcp.local.", written(ADVERT), 7660, ["10.1.0.2"], LAN)
    seen.see(name(3), b"\xff" * 50, 7660, ["10.1.0.2"], LAN)
    assert seen.all() == ()
    assert seen.refused == {
        "two ports": 1,
        "no address within reach": 1,
        "no name of ours": 1,
        "an advert that is cut off": 1,
    }


def test_who_says_nonsense_later_is_seen_no_more() -> None:
    seen = Sightings()
    see(seen, 1, "10.1.0.2")
    assert seen.see(name(1), b"x", 7660, ["10.1.0.2"], LAN)
    assert seen.all() == ()


def test_a_crowd_at_one_address_leaves_room_for_the_others() -> None:
    seen = Sightings()
    for number in range(100):
        see(seen, number, "10.1.0.66")
    assert see(seen, 1000, "10.1.0.2")
    assert len(seen.all()) == MOST_HERE + 1


def test_a_crowd_everywhere_is_bounded_and_pushes_nobody_out() -> None:
    seen = Sightings()
    see(seen, 0, "10.1.255.1")
    for number in range(1, 2 * MOST):
        see(seen, number, f"10.1.{number // 200}.{number % 200 + 2}")
    assert len(seen.all()) == MOST
    assert seen.all()[0].name == name(0)
    assert not see(seen, 0, "10.1.255.1")


def test_of_many_addresses_some_are_looked_at() -> None:
    seen = Sightings()
    see(seen, 1, *(f"10.1.7.{number}" for number in range(2, 200)))
    assert len(seen.all()[0].addresses) == MOST_ADDRESSES


def test_who_begins_again_without_a_goodbye_takes_its_own_place_and_no_others() -> None:
    seen = Sightings()
    seen.see(name(1), written(ADVERT), 7660, ["10.1.0.2"], LAN)
    seen.see(name(2), written(ADVERT), 7660, ["10.1.0.2"], LAN)
    assert [one.name for one in seen.all()] == [name(2)]
    seen.see(name(3), written(ADVERT), 7660, ["10.1.0.66"], LAN)
    assert [one.name for one in seen.all()] == [name(2), name(3)]

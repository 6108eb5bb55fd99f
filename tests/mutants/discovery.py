"""Mistakes in finding each other: what is said where, who is believed to be where, and what people are told.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant

FOLDER: Final = "mesh/discovery/"


def find(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(name, f"{FOLDER}{file}.py", old, new, (f"{FOLDER}test_{test}",))


MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- where a machine speaks
    find(
        "a strange network is spoken on",
        "networks",
        "(open_on if network_of(one) in known else quiet_on).append(one)",
        "open_on.append(one)",
        "networks.py::test_on_a_strange_network_nothing_is_said_until_its_owner_says_so_and_that_is_remembered",
    ),
    find(
        "a network is its subnet alone",
        "networks",
        'return Network(subnet(one), one.router_mac if one.router else "")',
        'return Network(subnet(one), "02:77:00:00:00:fe")',
        "networks.py::test_the_same_subnet_behind_another_router_is_another_network",
    ),
    find(
        "a router that has not told who it is counts as none",
        "networks",
        "    if one.router and not _MAC.fullmatch(one.router_mac):\n        return None\n",
        "",
        "networks.py::test_a_router_that_is_not_seen_is_not_the_lack_of_one",
    ),
    find(
        "damage makes a network known",
        "networks",
        "is_one = str(ip_network(net)) == net",
        "is_one = bool(ip_network(net, strict=False))",
        "networks.py::test_damage_makes_networks_strange_and_never_strange_ones_known",
    ),
    find(
        "the stance of the network before",
        "wandering",
        "await self._neighbours.be_on(self.stance.open_on)",
        "await self._neighbours.be_on(self.stance.open_on or self.stance.quiet_on)",
        "networks.py::test_who_carries_it_into_a_cafe_falls_silent_at_the_next_look_and_at_home_speaks_again",
    ),
    find(
        "trust is forgotten",
        "wandering",
        "        await asyncio.to_thread(write_whole, self._file, networks.written(known))\n",
        "",
        "networks.py::test_on_a_strange_network_nothing_is_said_until_its_owner_says_so_and_that_is_remembered",
    ),
    find(
        "it listens on strange networks too",
        "listening",
        "for one in (*stance.open_on, *far)",
        "for one in (*stance.open_on, *stance.quiet_on, *far)",
        "listening.py::test_it_listens_on_networks_that_it_knows_on_tunnels_and_at_its_own_door",
    ),
    find(
        "a port that was asked for is one of several",
        "listening",
        "return Plan(wish.host, (wish.port,), is_fixed=True)",
        "return Plan(wish.host, (wish.port,), is_fixed=False)",
        "listening.py::test_what_its_owner_asks_for_is_the_only_one",
    ),
    find(
        "a bridge of containers is a LAN",
        "interfaces",
        "return one.is_up and one.has_multicast and not (is_loopback(one) or is_virtual(one) or is_tunnel(one))",
        "return one.is_up and one.has_multicast and not (is_loopback(one) or is_tunnel(one))",
        "interfaces.py::test_what_serves_containers_and_the_system_itself_is_no_lan",
    ),
    find(
        "a tunnel is a LAN",
        "interfaces",
        "return one.is_up and one.has_multicast and not (is_loopback(one) or is_virtual(one) or is_tunnel(one))",
        "return one.is_up and one.has_multicast and not (is_loopback(one) or is_virtual(one))",
        "interfaces.py::test_a_tunnel_is_no_lan_even_if_everything_goes_through_it",
    ),
    find(
        "another router behind the same address is no change",
        "networks",
        'routers = {f"{one.name} router {one.router} {one.router_mac}".rstrip() for one in up if one.router}',
        "routers = set[str]()",
        "networks.py::test_another_router_behind_the_same_address_is_a_change",
    ),
    # -- what is heard
    find(
        "a stranger in the internet is called on anybody's word",
        "interfaces",
        "if ip.version == mine.version and ip in mine.network and ip != mine.ip:",
        "if ip.version == mine.version and ip != mine.ip:",
        "interfaces.py::test_who_is_behind_a_router_is_not_called_on_anybodys_word",
    ),
    find(
        "a machine calls itself",
        "interfaces",
        "if ip.version == mine.version and ip in mine.network and ip != mine.ip:",
        "if ip.version == mine.version and ip in mine.network:",
        "interfaces.py::test_a_machine_does_not_call_itself",
    ),
    find(
        "what comes in by any interface is heard",
        "interfaces",
        "        return any(one.name == scope for one in interfaces)\n",
        "        return bool(interfaces)\n",
        "interfaces.py::test_a_datagram_is_from_a_lan_by_its_source_and_a_link_local_one_by_where_it_came_in",
    ),
    find(
        "an advert may say more",
        "adverts",
        "if tuple(sorted(fields)) != tuple(sorted(_FIELDS)):",
        "if not set(_FIELDS) <= set(fields):",
        "adverts.py::test_what_is_not_written_by_one_of_us_is_refused",
    ),
    find(
        "an advert of any length",
        "adverts",
        "if not 0 < len(text) <= LONGEST:",
        "if not text:",
        "adverts.py::test_what_is_too_long_is_not_even_looked_at",
    ),
    find(
        "a key in two spellings",
        "adverts",
        "or port > 65535 or written(advert) != _in_order(fields):",
        "or port > 65535:",
        "adverts.py::test_what_is_not_written_by_one_of_us_is_refused",
    ),
    find(
        "a service under any name",
        "sightings",
        "        if not is_instance(name):\n",
        "        if False:\n",
        "sightings.py::test_what_has_two_ports_or_no_address_here_or_a_strange_name_is_counted_only",
    ),
    find(
        "a crowd fills the memory",
        "sightings",
        "if len(self._found) >= MOST:",
        "if False:",
        "sightings.py::test_a_crowd_everywhere_is_bounded_and_pushes_nobody_out",
    ),
    find(
        "a crowd at one address takes all places",
        "sightings",
        "if here >= MOST_HERE else",
        "if False else",
        "sightings.py::test_a_crowd_at_one_address_leaves_room_for_the_others",
    ),
    find(
        "who has the same key elsewhere pushes out the real one",
        "sightings",
        "return one.name != other.name and one.advert == other.advert and set(one.addresses) == set(other.addresses)",
        "return one.name != other.name and one.advert == other.advert",
        "sightings.py::test_who_begins_again_without_a_goodbye_takes_its_own_place_and_no_others",
    ),
    find(
        "who began again is there twice",
        "sightings",
        "            del self._found[old]  # it has begun again, and could not say goodbye\n",
        "            assert old\n",
        "sightings.py::test_who_begins_again_without_a_goodbye_takes_its_own_place_and_no_others",
    ),
    # -- where to knock
    find(
        "what worked last is not tried first",
        "ways",
        "key=lambda way: (-way.worked_ms, not",
        "key=lambda way: (way.worked_ms, not",
        "ways.py::test_what_worked_last_begins_whoever_told_it",
    ),
    find(
        "one family after the other",
        "ways",
        "    for pair in zip_longest(*pairs):\n",
        "    for pair in pairs:\n",
        "ways.py::test_families_take_turns",
    ),
    find(
        "what worked is left out in a crowd",
        "ways",
        "    yield from (way for way in ranked if way.worked_ms)\n"
        "    fresh = [way for way in ranked if not way.worked_ms]",
        "    fresh = sorted(ranked, key=lambda way: way.worked_ms)",
        "ways.py::test_however_many_are_told_some_are_tried_and_none_that_worked_is_left_out",
    ),
    # -- what people are told
    find(
        "no multicast where nobody listened",
        "nobody",
        "if seen.heard_multicast is False and (seen.others_answer or _any(seen)):",
        "if not seen.heard_multicast and (seen.others_answer or _any(seen)):",
        "nobody.py::test_no_line_without_its_observation",
    ),
    find(
        "devices are kept apart though one answered",
        "nobody",
        "seen.heard_multicast is False and not _any(seen):",
        "seen.heard_multicast is False:",
        "nobody.py::test_a_machine_that_is_there_proves_that_devices_are_not_kept_apart",
    ),
)

"""Mistakes in where a machine listens, and on which networks it speaks.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant


def opening(file: str, name: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(name, f"daemon/{file}.py", old, new, (f"daemon/test_{file}.py::test_{test}",))


MUTANTS: Final[tuple[Mutant, ...]] = (
    opening(
        "doors",
        "of three ports that are not all free one stays open",
        "            for host in opened:\n                self._leave(host)\n            raise",
        "            raise",
        "three_ports_that_are_not_all_free_everywhere_are_left",
    ),
    opening(
        "doors",
        "an address that has gone is still listened at",
        "        for host in [one for one in self.hosts if one not in hosts]:\n            self._leave(host)\n",
        "",
        "an_address_that_goes_takes_its_sockets_along",
    ),
    opening(
        "doors",
        "a port that its owner asked for gives way to another",
        "        if not self._plan.is_fixed:\n",
        "        if True:\n",
        "a_port_that_its_owner_asked_for_is_that_or_an_error",
    ),
    opening(
        "nearby",
        "every network is its owner's",
        "        tries = TRUSTING if trusts else 0\n",
        "        tries = TRUSTING\n",
        "a_strange_network_is_quiet_and_said",
    ),
    opening(
        "nearby",
        "a router that has not told which it is is waited for once",
        "                tries = tries - 1 if self._unsettled() else 0\n",
        "                tries = 0\n",
        "who_opens_a_machine_trusts_once_the_router_has_told_which_it_is",
    ),
    opening(
        "nearby",
        "meeting anybody anywhere makes all networks known",
        "await self._wandering.trust(self._was_met_on)",
        "await self._wandering.trust()",
        "where_a_member_was_met_it_is_known",
    ),
    opening(
        "later",
        "what was wished while it was loaded is forgotten",
        "        self._wish = tuple(lan)\n",
        "        self._wish = self._wish or tuple(lan)\n",
        "the_last_wish_is_done_once_it_is_loaded",
    ),
)

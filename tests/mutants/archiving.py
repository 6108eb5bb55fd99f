"""Mistakes in how history leaves the state: its driver, and what brings a segment to another disk.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, store

TRANSFER: Final = "mesh/test_segment_transfer.py::test_"
SIMULATED: Final = "sim/test_history.py::test_"


def driver(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "archiving.py", old, new, tuple(f"test_archiving.py::test_{test}" for test in tests))


MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- while it leads
    driver(
        "ordered without a look at who has the segment",
        "        if archivist.take_order(keepers):",
        "        if archivist.take_order(keepers) or archivist.to_offer(keepers, now):",
        "what_has_ended_leaves_when_every_keeper_has_it",
    ),
    driver(
        "order that was not taken never given again",
        "            self._archivist.again()",
        "            pass",
        "an_order_that_the_log_does_not_take_is_given_again",
    ),
    driver(
        "order that was not taken thought carried out",
        "        if isinstance(outcome, Accepted):\n            self._settle",
        "        if isinstance(outcome, Accepted | Again):\n            self._settle",
        "an_order_that_the_log_does_not_take_is_given_again",
    ),
    driver(
        "offer never given up",
        "now - self._offered_ms >= GIVE_UP_MS",
        "False",
        "an_offer_that_a_keeper_never_takes_is_made_anew",
    ),
    driver(
        "segment made while the disk is nearly full",
        " and archivist.on_offer is None and not self._replica.low",
        " and archivist.on_offer is None",
        "nothing_is_made_while_the_disk_is_nearly_full",
    ),
    driver(
        "segment made at one go",
        "range(STEPS)",
        "range(1 << 40)",
        "a_segment_is_made_in_turns",
    ),
    driver(
        "deposed coordinator goes on with its segment",
        "        if not self._leads:\n            return  # the state",
        "        if False:\n            return  # the state",
        "who_leads_no_more_leaves_what_it_was_making",
    ),
    driver(
        "second order to drop while the first is on its way",
        "            self._dropping = True\n",
        "            self._dropping = False\n",
        "what_is_to_go_is_ordered_once",
    ),
    # -- while it keeps the log
    driver(
        "said to be here before it is on the disk",
        "self._holder.answer(held, ",
        "self._holder.answer({*held, *([self._offer.digest] if self._offer else [])}, ",
        "what_is_offered_is_fetched_and_then_answered",
    ),
    driver(
        "answers from an older look at the disk",
        "            self._looking = True\n",
        "",
        "two_looks_never_overlap",
    ),
    driver(
        "offer forgotten that came during a look",
        "            self._again = True\n",
        "            pass\n",
        "two_looks_never_overlap",
    ),
    driver(
        "dropped by the log and kept for ever",
        "                    self._holder.released(digests)\n",
        "",
        "what_is_dropped_goes_from_the_disk_at_once",
    ),
    driver(
        "only one is ever asked for it",
        "                self._holder.failed(digest)",
        "                pass",
        "where_it_is_not_to_be_had_another_is_asked_a_while_later",
    ),
    driver(
        "slow transfer begun again and again",
        "            self._holder.goes_on(digest, self._clock.monotonic_ms())",
        "            pass",
        "a_transfer_that_goes_on_is_waited_for",
    ),
    driver(
        "history held by who does not keep the log",
        "        elif self._replica.me in self._replica.core.config.members:",
        "        else:",
        "who_does_not_keep_the_log_takes_nothing",
    ),
    Mutant(
        "what the state names is not fetched",
        "mesh/archive.py",
        "[*offered, *self.lacks(wanted, held)]",
        "offered",
        (
            "test_archiving.py::test_what_the_state_names_is_fetched",
            SIMULATED + "a_machine_with_an_empty_disk_gets_all_there_is",
        ),
    ),
    Mutant(
        "an old offer tells the fate of a later one after a start",
        "mesh/archive.py",
        "applied >= offer.index > self._begun",
        "applied >= offer.index",
        ("mesh/test_archive.py::test_an_offer_from_before_the_start_says_nothing_of_later_ones",),
    ),
    Mutant(
        "answered before the log is here as far as the offer knows it",
        "mesh/archive.py",
        "        if offer.digest not in held or applied < offer.index:",
        "        if offer.digest not in held:",
        ("mesh/test_archive.py::test_an_offer_is_answered_when_the_log_is_here_as_far_as_it_knows_it",),
    ),
    # -- on the way
    store(
        "bytes put that nobody has looked at",
        "segment_transfer",
        "        if sha256(data).digest() != self._digest:",
        "        if False:",
        TRANSFER + "what_is_not_its_bytes_is_not_put",
    ),
    store(
        "more asked for than the segment has",
        "segment_transfer",
        "        if len(self._data) < self._size:",
        "        if len(self._data) <= self._size:",
        TRANSFER + "what_is_not_its_bytes_is_not_put",
    ),
    store(
        "late piece of an older transfer taken",
        "segment_transfer",
        "    def _arrived(self, piece: bytes | None) -> None:\n        if self._over:\n            return\n",
        "    def _arrived(self, piece: bytes | None) -> None:\n",
        TRANSFER + "a_newer_fetch_takes_its_place",
    ),
    store(
        "damaged segment stays and is served to nobody",
        "keeper",
        "self.ask(partial(_drop_segments, [digest]), lambda _: done(None))",
        "done(None)",
        TRANSFER + "a_damaged_one_is_not_served_and_goes",
    ),
)

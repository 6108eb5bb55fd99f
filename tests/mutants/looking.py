"""Known mistakes in what people are told of their mesh: safety, who is missing, what happened, the way to others."""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant

OUTLOOK: Final = "api/test_outlook.py::test_"
TOLD: Final = "api/test_retelling.py::test_"
WAY: Final = "api/test_diagnosis.py::test_"

MUTANTS: Final[tuple[Mutant, ...]] = (
    Mutant(
        "a laptop may be closed although it must stay",
        "api/outlook.py",
        "    if not view.can_lose and (view.node in view.must_stay or not view.must_stay):\n",
        "    if not view.can_lose and not view.must_stay:\n",
        (OUTLOOK + "whether_this_laptop_may_be_closed",),
    ),
    Mutant(
        "one machine more may go than may",
        "api/outlook.py",
        "many = _MANY[view.can_lose] if",
        "many = _MANY[view.can_lose + 1] if",
        (OUTLOOK + "three_machines_of_which_one_may_go",),
    ),
    Mutant(
        "what a machine that is cut off knew is told as the present",
        "api/relay/remembered.py",
        "            coordinator=None,\n",
        "",
        ("api/relay/test_remembered.py::test_the_status_of_who_is_cut_off_promises_nothing",),
    ),
    Mutant(
        "what happened is told twice after a cut",
        "api/retelling.py",
        "or (event.mark and event.mark in self._marks)",
        "or (event.mark and False)",
        (TOLD + "each_event_is_told_once_and_in_order_whoever_tells",),
    ),
    Mutant(
        "the rest of an entry is missed after a cut",
        "api/retelling.py",
        "since=self._index,",
        "since=self._index + 1,",
        (TOLD + "each_event_is_told_once_and_in_order_whoever_tells",),
    ),
    Mutant(
        "who follows stays with a machine that coordinates no more",
        "api/relay/choosing.py",
        "while self._place.coordinator in (None, asked):",
        "while True:",
        (TOLD + "a_follow_goes_on_when_its_teller_is_gone_and_when_another_machine_coordinates",),
    ),
    Mutant(
        "a new coordinator calls everybody silent",
        "mesh/observing.py",
        " or (change.before is None and change.after is NodeState.SILENT)",
        "",
        ("mesh/test_observing.py::test_who_begins_to_coordinate_calls_nobody_silent",),
    ),
    Mutant(
        "a closed direction is fine because another address has the other port open",
        "api/diagnosis.py",
        "if all(way.answer == OPEN for way in ways if way.address == one)",
        "if any(way.answer == OPEN for way in ways if way.address == one)",
        (WAY + "one_of_two_ports_closed_is_closed_and_one_of_two_addresses_open_is_open",),
    ),
    Mutant(
        "a machine that is asked for another asks on and on",
        "api/machines.py",
        'msgspec.structs.replace(request, machine="")',
        "request",
        ("api/test_examining.py::test_it_asks_another_machine_once_and_that_one_no_other",),
    ),
    Mutant(
        "padding without a bound",
        "api/machines.py",
        "bytes(min(max(0, request.wants), MOST_PADDING))",
        "bytes(max(0, min(request.wants, 1 << 20)))",
        ("api/test_examining.py::test_padding_is_bounded",),
    ),
    Mutant(
        "keys that others can read are no trouble",
        "checkup.py",
        "seen.st_mode & (stat.S_IRWXG | stat.S_IRWXO)",
        "seen.st_mode & stat.S_IRWXO",
        ("daemon/test_checkup.py::test_a_home_as_it_is",),
    ),
)

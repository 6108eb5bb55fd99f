"""Mistakes in the process that is always there: its home, its start and end, its owner's rules, what it tidies up.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant


def row(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, file, old, new, tests)


def home(name: str, old: str, new: str, test: str) -> Mutant:
    return row(name, "paths.py", old, new, f"daemon/test_paths.py::test_{test}")


def rule(name: str, old: str, new: str, test: str) -> Mutant:
    return row(name, "manners.py", old, new, f"daemon/test_manners.py::test_{test}")


def nurse(name: str, old: str, new: str, test: str) -> Mutant:
    return row(name, "exec/supervisor/nurse.py", old, new, f"exec/test_nurse.py::test_{test}")


START: Final = "system/test_start.py::test_"
LIFE: Final = "daemon/test_life.py::test_"
WORK: Final = "system/test_work.py::test_"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- the home
    home(
        "a home that others can read stays so",
        "        directory.chmod(0o700)\n",
        "        pass\n",
        "a_home_is_made_for_this_user_alone",
    ),
    home(
        "any directory is a home",
        "    if names and names.isdisjoint(_OURS):\n",
        "    if False:\n",
        "what_holds_other_things_is_none",
    ),
    home(
        "a network drive is taken for a disk",
        "    return kind in _REMOTE\n",
        "    return False\n",
        "a_home_on_a_network_drive_is_kept_elsewhere_and_said",
    ),
    home(
        "a disk mounted over another one is overlooked",
        "len(point.parts) >= best",
        "len(point.parts) > best",
        "what_is_on_another_machine",
    ),
    home(
        "a file takes its name before it is whole",
        '    new = path.with_name(f"{path.name}.new")\n',
        "    new = path\n",
        "a_file_is_whole_or_as_it_was",
    ),
    home(
        "the socket lies where others can write",
        "not found.st_mode & 0o022",
        "True",
        "a_runtime_directory_that_others_can_write_to_is_not_used",
    ),
    row(
        "a key that others can read is used",
        "mesh/trust/keyfile.py",
        "    if found.st_mode & 0o077:\n",
        "    if False:\n",
        "daemon/test_identity.py::test_one_that_others_can_reach_is_refused",
    ),
    row(
        "a link in the place of the key is followed",
        "mesh/trust/keyfile.py",
        "os.O_RDONLY | os.O_NOFOLLOW",
        "os.O_RDONLY",
        "daemon/test_identity.py::test_a_link_is_not_followed",
    ),
    row(
        "an unknown setting is passed over",
        "config.py",
        '            raise BadConfig(f"{where}there is no setting {echo(written)!r}", hint=_nearest(name))\n',
        "            continue\n",
        "daemon/test_config.py::test_a_mistake_is_one_error_that_says_what_would_be_right",
    ),
    # -- start and end
    row(
        "a second mesh is begun where the store of the first is gone",
        "daemon/founding.py",
        "        if not self.belonging.has_store:\n",
        "        if True:\n",
        START + "a_store_that_is_gone",
    ),
    row(
        "the caller's environment is kept",
        "starting.py",
        "if k in _HANDED_ON or k.startswith(_PREFIXES)",
        "if True",
        START + "the_environment_of_the_caller_is_not_kept",
    ),
    row(
        "a socket that is gone is not opened again",
        "daemon/daemon.py",
        "        if gate is not None and not gate.is_there() and gate.open_again():\n",
        "        if False:\n",
        START + "the_socket_opens_again_when_its_directory_is_gone",
    ),
    row(
        "a socket at which somebody answers is taken",
        "daemon/gate.py",
        "    if answers(path):\n",
        "    if False:\n",
        START + "a_socket_at_which_another_daemon_answers_is_left_alone",
    ),
    row(
        "hands without work stay when the daemon ends",
        "daemon/daemon.py",
        "(is_orderly and not self._work.here())",
        "False",
        WORK + "nothing_stays_when_nothing_runs",
    ),
    row(
        "a note that was not written is taken for written",
        "daemon/notes.py",
        "            if found is None:\n",
        "            if True:\n",
        "daemon/test_notes.py::test_a_disk_that_takes_none_is_asked_again",
    ),
    row(
        "a store that failed is not opened again",
        "daemon/life.py",
        "        if not self._stopped and self.node is None and self._worker is None:\n",
        "        if False:\n",
        "system/test_full_disk.py::test_a_disk_that_is_filled_and_emptied",
    ),
    row(
        "what was known is not shown while the store has failed",
        "daemon/life.py",
        "        self.node, self.trouble = None, why\n",
        "        self.node, self.trouble, self.book = None, why, Book()\n",
        LIFE + "a_store_that_fails_ends_one_life_and_the_next_begins_with_all_that_was_known",
    ),
    row(
        "a store stays in its old generation",
        "daemon/founding.py",
        "            if settled is not None:\n                store.adopt(lineage)\n",
        "            if settled is None:\n                store.adopt(lineage)\n",
        LIFE + "to_another_generation_the_store_goes_over_with_all_it_holds",
    ),
    row(
        "the log is not told what the owner gives",
        "daemon/life.py",
        "        elif not says(me, facts):\n",
        "        elif False:\n",
        LIFE + "when_what_the_owner_gives_changes_the_log_is_told",
    ),
    # -- a daemon that died
    nurse(
        "one that goes on purpose is started again",
        "        self._words, self.due_ms = (), None\n",
        "        self.due_ms = None\n",
        "one_that_said_that_it_goes_is_not_wanted_back",
    ),
    nurse(
        "starting without an end",
        "        if self._failures >= TRIES:\n",
        "        if False:\n",
        "a_start_that_comes_to_nothing_is_tried_again_ever_later_and_not_for_ever",
    ),
    nurse(
        "one that lived long is not counted as well",
        "            self._failures = 0\n        self._later(now)",
        "            pass\n        self._later(now)",
        "one_that_keeps_dying_is_not_nursed_for_ever_but_one_that_lived_is",
    ),
    # -- the owner
    rule(
        "work on battery",
        '    if sight.mains is False and rules.battery != "on":\n',
        "    if False:\n",
        "nothing_on_battery_unless_the_owner_says_so",
    ),
    rule(
        "hours that span midnight are empty",
        "        return minute >= self.start or minute < self.stop\n",
        "        return minute >= self.start and minute < self.stop\n",
        "outside_its_hours_it_gives_nothing",
    ),
    rule(
        "quiet hours give more than the share",
        "        cpus = min(cpus, max(LEAST_MILLI, has.cpu_milli // 2))\n",
        "        cpus = max(LEAST_MILLI, has.cpu_milli // 2)\n",
        "in_quiet_hours_at_most_half_the_cores",
    ),
    row(
        "a file of rules that cannot be followed is passed over",
        "daemon/owner.py",
        "        return now._replace(pause=self._trouble, why=Pause.RULES) if self._trouble else now\n",
        "        return now\n",
        "daemon/test_owner.py::test_a_file_that_cannot_be_followed_stops_everything_and_says_why",
    ),
    row(
        "a rule counts that could not be kept",
        "daemon/owner.py",
        "        try:\n            write_whole(self._path",
        "        self._rules = rules\n        try:\n            write_whole(self._path",
        "daemon/test_owner.py::test_a_rule_that_cannot_be_kept_is_not_followed",
    ),
    row(
        "in a pause something starts",
        "agent.py",
        "            self._stand_still(here)\n            return\n",
        "            self._stand_still(here)\n",
        "test_agent.py::test_while_the_owner_wants_nothing_to_run_all_stands_still_and_nothing_starts",
    ),
    row(
        "niced work counts as somebody else's",
        "daemon/health.py",
        "    others = user + (system * user / work if work else system)\n",
        "    others = user + niced + system\n",
        "daemon/test_health.py::test_what_programs_of_others_leave",
    ),
    row(
        "the battery of a mouse stops the machine",
        "daemon/health.py",
        ' and _word(supply / "scope") != "Device"',
        "",
        "daemon/test_health.py::test_whether_it_is_on_mains",
    ),
    # -- tidying
    row(
        "output of a job that runs is deleted",
        "daemon/tidying.py",
        "attempt > newest or attempt in live",
        "attempt > newest",
        "daemon/test_tidying.py::test_what_a_job_wrote_that_has_not_ended_stays",
    ),
    row(
        "output goes that there is room for",
        "daemon/tidying.py",
        "left <= keep.size",
        "left < keep.size",
        "daemon/test_tidying.py::test_what_is_old_or_too_much_goes_first",
    ),
)

"""Mistakes that only a power cut shows: who is answered before the disk has it, bytes and names.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant

LASTING: Final = "test_lasting.py::test_"
SYNCED: Final = "exec/test_synced.py::test_"
BLOB: Final = LASTING + "a_blob_that_was_answered_as_complete_lasts"
RENAMED: Final = LASTING + "a_blob_that_somebody_had_only_just_renamed_lasts_too"
STDIN: Final = LASTING + "a_standard_input_whose_end_was_answered_lasts"
WHOLE: Final = LASTING + "a_file_that_is_written_whole_lasts"


def row(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, file, old, new, tests)


MUTANTS: Final[tuple[Mutant, ...]] = (
    row(
        "a file is renamed before its bytes are synced", "paths.py", "        os.fsync(file)\n", "        pass\n", WHOLE
    ),
    row("folder not synced after a rename", "paths.py", "    sync_names(path.parent)\n", "    pass\n", WHOLE),
    row(
        "names of new folders above a home not synced",
        "lasting.py",
        "    for above in folder.parents:\n",
        "    for above in list(folder.parents)[:1]:\n",
        LASTING + "every_folder_above_a_home_that_may_be_new_lasts",
    ),
    row(
        "a home is used before its own name is synced",
        "daemon/process.py",
        "    sync_above(home.path)\n",
        "",
        "power/test_power.py::test_what_was_acknowledged_is_there_after_a_power_cut",
    ),
    row(
        "what a killed process had only begun is believed",
        "lasting.py",
        "        for one in (folder, *folder.parents):\n",
        "        for one in folder.parents:\n",
        LASTING + "a_folder_is_made_sure_of_in_each_process_once",
        RENAMED,
    ),
    row(
        "a folder is believed after an error of the disk",
        "lasting.py",
        "        self._sure.clear()\n",
        "        pass\n",
        LASTING + "a_folder_is_made_sure_of_in_each_process_once",
    ),
    # -- blobs and standard inputs
    row(
        "blob acknowledged before it is synced",
        "mesh/blobs.py",
        "            os.fsync(file.fileno())\n",
        "            pass\n",
        BLOB,
    ),
    row("blob acknowledged before its name is", "mesh/blobs.py", "        sync_names(path.parent)\n", "", BLOB),
    row(
        "blob in a folder that is not synced",
        "mesh/blobs.py",
        "            self._folders.make(path.parent)\n",
        "            path.parent.mkdir(parents=True, exist_ok=True)\n",
        BLOB,
    ),
    row(
        "stdin acknowledged before it is synced",
        "api/spool.py",
        "                os.fsync(file.fileno())\n",
        "                pass\n",
        STDIN,
    ),
    row(
        "end of a stdin acknowledged before its name is",
        "api/spool.py",
        "            sync_names(self._folder)\n",
        "            pass\n",
        STDIN,
    ),
    row(
        "stdin in a folder that is not synced",
        "api/spool.py",
        "            self._folders.make(self._folder)\n",
        "            self._folder.mkdir(parents=True, exist_ok=True)\n",
        STDIN,
    ),
    row(
        "what is half of a blob is believed after a power cut",
        "mesh/blobs.py",
        "            if path.name.endswith(_PART):\n                path.unlink(missing_ok=True)\n",
        "            pass\n",
        "mesh/test_blobs.py::test_what_a_disk_has_half_forgotten_comes_anew_after_the_next_start",
    ),
    # -- outputs
    row(
        "end told before its output is synced",
        "exec/hands.py",
        "            self._unsure[attempt] = _Unsure(report, has_freed=follower is None)\n",
        "            self._reports[attempt] = report\n            self._all[attempt].settle()\n",
        SYNCED + "until_then_it_counts_as_running",
    ),
    row(
        "output synced, its name not",
        "exec/synced.py",
        "            sync_names(self._folder)\n",
        "            pass\n",
        SYNCED + "new_segments_and_new_processes_are_found",
    ),
    row(
        "output synced once only",
        "exec/synced.py",
        "                if size and size != self._sizes.get(segment):\n",
        "                if size and segment not in self._sizes:\n",
        SYNCED + "what_was_written_lasts",
    ),
    row(
        "last words of an old process not synced",
        "exec/synced.py",
        "        grown = self._grown(before | self._growing)  # also",
        "        grown = self._grown(self._growing or before)  # also",
        SYNCED + "the_last_words_of_a_process_are_not_forgotten_when_another_begins",
    ),
    row(
        "who asks during a pass is told after it",
        "exec/synced.py",
        "            waiting, self._waiting = self._waiting, {}\n",
        "            waiting = self._waiting\n",
        SYNCED + "who_asks_during_a_pass_waits_for_the_next",
    ),
    row(
        "new segments pass for quiet",
        "exec/synced.py",
        "changed_ns is not None and changed_ns == self._listed_ns and not self._grown(self._growing)",
        "not self._grown(self._growing)",
        SYNCED + "it_is_quiet_while_nobody_writes",
    ),
    row(
        "end told before what it kept is synced",
        "exec/synced.py",
        "        self._sure([attempt for attempt in waiting if attempt not in folders])\n",
        "        self._sure(list(waiting))\n",
        SYNCED + "nobody_waits_for_what_another_has_kept",
    ),
    row(
        "kept files synced, the names above them not",
        "exec/synced.py",
        "    while top != home:\n",
        "    while False:\n",
        SYNCED + "all_that_was_kept_lasts",
    ),
    row(
        "a name that comes within a step of the clock is never seen",
        "exec/outputs.py",
        "    return changed_ns if time.time_ns() - changed_ns > _STEP_NS else None\n",
        "    return changed_ns\n",
        SYNCED + "a_name_that_comes_within_one_step_of_the_clock_is_found",
    ),
    # -- the next start
    row(
        "serves before it knows all that was acknowledged",
        "daemon/life.py",
        "        self._changed(None)\n        self._look(self.node)\n",
        "        self.is_current = True\n        self._changed(None)\n        self._look(self.node)\n",
        "daemon/test_life.py::test_it_says_that_it_knows_all_only_when_it_does",
    ),
)

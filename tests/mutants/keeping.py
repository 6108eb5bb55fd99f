"""Mistakes in keeping a log on a store, and in beginning anew where one is lost.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, store

KEEPER: Final = "mesh/test_keeper.py::test_"
COMPACTION: Final = "mesh/test_compaction.py::test_"
OPENING: Final = "contracts/test_opening.py::test_"
WORKER: Final = "contracts/test_worker.py::test_"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- the thread and its jobs
    store(
        "worker answers after it was closed",
        "worker",
        "        if not self._closed:\n            call(value)",
        "        call(value)",
        WORKER + "after_closing_nobody_is_answered_but_all_is_done",
    ),
    store(
        "write tried again after the disk failed",
        "keeper",
        "        if not self._stopped:\n            self._worker.run(",
        "        if True:\n            self._worker.run(",
        KEEPER + "the_first_error_ends_everything_and_nothing_is_tried_again",
    ),
    store(
        "failure told twice",
        "keeper",
        "        if self._stopped:\n            return\n        if not isinstance(found",
        "        if not isinstance(found",
        KEEPER + "the_first_error_ends_everything_and_nothing_is_tried_again",
    ),
    # -- snapshots of others
    store(
        "transfer begins from the start after a break",
        "transfer",
        "    return store.staged(digest)",
        "    store.unstage(digest)\n    return store.staged(digest)",
        KEEPER + "what_broke_off_goes_on_where_it_stopped_even_after_a_restart",
    ),
    store(
        "transfer without a look at its digest",
        "transfer",
        "        if (staged.digest, staged.size) == (wanted.digest, wanted.size):",
        "        if staged.size == wanted.size:",
        KEEPER + "wrong_bytes_are_dropped_and_the_source_is_told_of_the_doubt",
    ),
    store(
        "more laid by than the snapshot has",
        "transfer",
        "staged.size + sum(map(len, slices)) > self._snapshot.size",
        "False",
        KEEPER + "more_or_fewer_bytes_than_the_snapshot_has_are_not_laid_by",
    ),
    store(
        "source of wrong bytes asked for ever",
        "transfer",
        "        digest, known = self._snapshot.digest, self._doubted",
        "        digest, known = self._snapshot.digest, False",
        KEEPER + "who_sends_wrong_bytes_twice_is_not_asked_a_third_time",
    ),
    store(
        "late answer of an older transfer taken",
        "transfer",
        "    def _arrived(self, staged: Staged, slices: Sequence[bytes] | None) -> None:\n        if self._over:\n",
        "    def _arrived(self, staged: Staged, slices: Sequence[bytes] | None) -> None:\n        if False:\n",
        KEEPER + "a_newer_fetch_takes_the_place_of_the_older_and_of_its_room",
    ),
    # -- when, and what stays
    store(
        "snapshot without regard to what it costs",
        "compaction",
        "room.tail > max(TAIL, room.snapshot)",
        "room.tail > TAIL",
        COMPACTION + "it_is_due_when_the_log_outweighs_the_last_one",
    ),
    store(
        "who lacks more than is kept holds up the others",
        "compaction",
        "(first for first in lacking if first >= oldest)",
        "lacking",
        COMPACTION + "who_lacks_too_much_takes_the_snapshot_and_costs_the_others_nothing",
    ),
    # -- beginning anew
    store(
        "error of the disk taken for damage",
        "opening",
        "    except Damaged as error:\n",
        "    except StoreError as error:\n",
        OPENING + "nothing_is_set_aside_for_what_is_no_damage",
    ),
    store(
        "note before the change is committed",
        "others",
        "    committed = [at for at, _ in configs if at <= commit]",
        "    committed = [at for at, _ in configs]",
        OPENING + "the_note_comes_after_the_change_is_committed_and_goes_before_it_is_written",
    ),
    store(
        "note left beside who votes alone",
        "sqlite_store",
        "        if now is not self._voters and now.note is None:\n            self._note.withdraw()\n",
        "",
        OPENING + "a_change_that_may_be_there_takes_the_note_along",
    ),
    store(
        "note of a config that cannot be read",
        "others",
        "config is None or config.voters == (self.me,)",
        "config is not None and config.voters == (self.me,)",
        OPENING + "a_note_survives_a_restart_and_a_config_that_cannot_be_read_is_none",
    ),
    store(
        "rotten note believed",
        "others",
        '    if crc32(data[4:]).to_bytes(4, "big") != data[:4]:\n        return None\n',
        "",
        OPENING + "who_voted_alone_or_may_have_does_not_start_and_touches_nothing",
    ),
    store(
        "lost file taken for none that ever was",
        "sidefiles",
        'if not path.exists() and beside(path, ".mark").exists():',
        "if False:",
        OPENING + "who_voted_alone_or_may_have_does_not_start_and_touches_nothing",
    ),
)

"""Mistakes in the face that types: what goes to which stream, what an item of a map may do, what a signal ends.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant


def cli(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"cli/{file}.py", old, new, tuple(f"cli/{test}" for test in tests))


ATTACHED: Final = "test_attached.py::test_"
MAP: Final = "test_map.py::test_"
MAPPING: Final = "test_mapping.py::test_"
OUTPUT: Final = "test_output.py::test_"
STDIN: Final = "test_stdin.py::test_"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- a job with its person
    cli(
        "a job's errors on its output",
        "attached",
        "(self._output.stdout if item.stream == STDOUT else self._output.stderr)(item.data)",
        "self._output.stdout(item.data)",
        f"{ATTACHED}the_streams_are_the_jobs_apart_and_byte_for_byte",
    ),
    cli(
        "a hang-up cancels",
        "attached",
        "                return self._detach(128 + number)\n",
        "                self._cancel(128 + number)\n                return 128 + number\n",
        f"{ATTACHED}hanging_up_is_detaching",
    ),
    cli(
        "a question where nobody sees it",
        "attached",
        "if elapsed < ASK_AFTER_SECONDS or not self._output.err.is_terminal:",
        "if elapsed < ASK_AFTER_SECONDS:",
        f"{ATTACHED}without_a_terminal_it_is_not_asked",
    ),
    cli(
        "no question on a terminal",
        "attached",
        "if elapsed < ASK_AFTER_SECONDS or not",
        "if elapsed > 0 or not",
        f"{ATTACHED}later_on_a_terminal_it_is_asked_first",
    ),
    cli(
        "a closed pipe leaves the job running",
        "attached",
        "            self._cancel(128 + signal.SIGPIPE)\n",
        "",
        f"{ATTACHED}a_pipe_that_is_closed_ends_the_job_and_us_as_in_a_pipeline",
    ),
    cli(
        "the job's own 127 passes for ours",
        "ending",
        "    if is_own and status in OURS:\n",
        "    if status in OURS:\n",
        f"{ATTACHED}the_status_is_the_jobs_and_the_last_line_says_whose_it_is",
    ),
    cli(
        "an interrupted submit runs on",
        "submitting",
        "            desk.ask(Cancel(str(number)))\n",
        "            pass\n",
        "test_submit.py::test_an_interrupted_submit_is_found_again_and_cancelled",
    ),
    # -- standard input
    cli(
        "a list is put back to its end",
        "stdin",
        "os.lseek(self._number, self._start + read, os.SEEK_SET)",
        "os.lseek(self._number, self._start + self._sent, os.SEEK_SET)",
        f"{STDIN}a_file_is_sent_from_where_it_stands_and_put_back_to_what_was_read",
    ),
    cli(
        "a list is put back as if it began at its head",
        "stdin",
        "self._start + read",
        "read",
        f"{STDIN}a_file_is_sent_from_where_it_stands_and_put_back_to_what_was_read",
    ),
    cli(
        "too much input hangs the job",
        "stdin",
        "            self.failure = error\n",
        "",
        f"{STDIN}more_than_is_kept_ends_the_job_with_an_error",
    ),
    # -- map
    cli(
        "an item is read by the shell",
        "mapping",
        "dress: Callable[[str], str] = quote if self.quoted else str",
        "dress: Callable[[str], str] = str",
        f"{MAPPING}what_an_item_holds_is_a_word_and_never_a_command_of_the_template",
    ),
    cli(
        "the first source varies fastest",
        "mapping",
        "for rows in product(*columns))",
        "for rows in (tuple(reversed(one)) for one in product(*reversed(columns))))",
        f"{MAPPING}the_words_are_those_of_gnu_parallel",
    ),
    cli(
        "an extension is cut off a folder",
        "mapping",
        r're.sub(r"\.[^/.]*\Z", "", path)',
        r're.sub(r"\.[^.]*\Z", "", path)',
        f"{MAPPING}the_words_are_those_of_gnu_parallel",
    ),
    cli(
        "results lead out of their tree",
        "mapfiles",
        '.replace("/", "\\\\_")',
        "",
        f"{MAPPING}every_item_becomes_a_name_inside_the_tree",
    ),
    cli(
        "a row that was cut off counts as run",
        "mapfiles",
        '    whole = log[: log.rfind("\\n") + 1]\n',
        "    whole = log\n",
        f"{MAPPING}a_row_that_was_cut_off_was_not_run",
    ),
    cli(
        "what was cancelled is not run again",
        "mapped",
        'if self._joblog is None or end.state not in ("done", "failed"):',
        "if self._joblog is None:",
        f"{MAP}what_was_cancelled_is_no_row_of_the_log",
    ),
    cli(
        "output out of order with -k",
        "mapped",
        "        if index == self._next:\n",
        "        if index >= self._next:\n",
        f"{MAP}output_comes_as_tasks_end_or_in_their_order",
    ),
    cli(
        "a halt soon kills what runs",
        "mapped",
        "        if self._halt.at_once:\n",
        "        if self._halt.what:\n",
        f"{MAP}a_halt_soon_cancels_what_waits",
    ),
    # -- flows and scripts
    cli(
        "a flow with a mistake is submitted",
        "flowing",
        "    if mistakes:\n",
        "    if mistakes[2:]:\n",
        "test_flow.py::test_nothing_is_submitted_with_a_mistake_and_all_are_told",
    ),
    cli(
        "options of a script go before those typed",
        "submit",
        "for values in (*lines, typed):",
        "for values in (typed, *lines):",
        "test_submit.py::test_a_script_says_what_it_needs_and_the_command_line_goes_before",
    ),
    # -- what is printed
    cli(
        "foreign text steers the terminal",
        "output",
        "def _printable(text: str) -> str:\n    return one_line(text)\n",
        "def _printable(text: str) -> str:\n    return text\n",
        f"{OUTPUT}foreign_text_cannot_steer_the_terminal",
    ),
    cli(
        "progress stays on the screen",
        "output",
        "        if stream.is_terminal:\n            self.clear()\n",
        "        if stream.is_terminal:\n",
        f"{OUTPUT}a_line_of_progress_is_gone_before_anything_else_appears",
    ),
    cli(
        "quiet hides an error",
        "output",
        "        for line in lines(error):\n            if line is not None:\n",
        "        for line in lines(error):\n            if line is not None and not self.is_quiet:\n",
        f"{OUTPUT}what_is_ours_goes_to_stderr_with_our_name_and_vanishes_when_quiet",
    ),
    cli(
        "a wrong call starts a daemon",
        "submitting",
        "    check((spec,))\n    desk.daemon(start=True)\n",
        "    desk.daemon(start=True)\n    check((spec,))\n",
        "test_bad_input.py::test_a_wrong_call_is_one_error_and_one_hint",
    ),
    cli(
        "one job that is not there keeps the others from being cancelled",
        "verbs",
        "            status = status or int(error.exit_status)\n            continue\n",
        "            return int(error.exit_status)\n",
        "test_looking.py::test_every_job_that_is_named_is_answered_for",
    ),
    cli(
        "the last failure is the status of a wait",
        "wait",
        "for job in sorted(ended, key=lambda job: job.id)",
        "for job in sorted(ended, key=lambda job: -job.id)",
        "test_looking.py::test_wait_ends_with_the_first_status_that_is_not_0",
    ),
)

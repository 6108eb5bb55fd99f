"""Mistakes in the links: in who is heard, what is sent again, what may be under way, who is let in.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant

BOARD: Final = "test_switchboard.py::test_"
BULK: Final = "test_answers.py::test_"
OUT: Final = "test_outbox.py::test_"
REAL: Final = "test_wires.py::test_"


CONTRACT: Final = "contracts/test_links.py::test_"


def links(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    names = tuple(test if test.startswith(CONTRACT) else f"mesh/links/{test}" for test in tests)
    return Mutant(name, f"mesh/links/{file}.py", old, new, names)


MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- who is heard
    links(
        "key looked at only when the line begins",
        "switchboard",
        "        holder, named = self._holders.get(line), self._world.door.who(line.key)\n",
        "        holder = self._holders.get(line)\n"
        "        named = holder if holder is not None else self._world.door.who(line.key)\n",
        BOARD + "who_is_put_out_while_connected_is_not_heard_from_that_moment",
        BOARD + "a_key_that_is_somebody_elses_now_speaks_for_nobody",
    ),
    links(
        "pinged also by who hears it all the time",
        "channel",
        "now_ms - max(talk.heard_ms, talk.asked_ms) >= PING_MS",
        "now_ms - talk.asked_ms >= PING_MS",
        BOARD + "who_is_heard_anyway_is_hardly_pinged",
    ),
    links(
        "quiet line of who was put out stays open",
        "switchboard",
        "        self.recheck()\n        for node",
        "        for node",
        BOARD + "who_is_put_out_and_says_nothing_loses_its_line_within_a_second",
    ),
    links(
        "who was put out is still dialled",
        "channel",
        " or self._office.door.who(where.key) != self.peer:",
        ":",
        BOARD + "nothing_is_said_to_who_is_put_out",
    ),
    links(
        "line of who said no hello stays open",
        "switchboard",
        "        line.end()\n        self.gone(line, why)\n",
        "        self.gone(line, why)\n",
        BOARD + "nothing_is_heard_before_a_hello",
    ),
    links(
        "who broke the rules is let in again at once",
        "switchboard",
        "        peer.away_until_ms = self._world.clock.monotonic_ms() + AWAY_MS\n",
        "",
        BOARD + "who_breaks_the_rules_is_sent_away_for_a_while",
    ),
    links(
        "this machine's own key is a peer",
        "switchboard",
        "        if found == self.me or self._wires is None:",
        "        if self._wires is None:",
        BOARD + "this_machines_own_key_is_no_peer",
    ),
    links(
        "flood is not noticed",
        "switchboard",
        "        return self.messages.take(1, now_ms) and fits",
        "        return fits",
        BOARD + "a_flood_ends_the_line_and_is_counted_and_others_are_heard",
    ),
    links(
        "flood of large letters is not noticed",
        "switchboard",
        "        return self.messages.take(1, now_ms) and fits",
        "        return self.messages.take(1, now_ms)",
        BOARD + "a_flood_ends_the_line_and_is_counted_and_others_are_heard",
    ),
    links(
        "any number of handshakes of a member",
        "switchboard",
        "        if not peer.handshakes.take(1, now):",
        "        if False:",
        BOARD + "one_peer_has_only_so_many_handshakes_a_second",
    ),
    links(
        "meter never fills again",
        "limits",
        "self._left + passed * self._a_second",
        "self._left",
        BOARD + "who_keeps_to_the_limits_is_never_sent_away",
    ),
    links(
        "letters before a hello",
        "channel",
        "            case _ if talk.version is None:\n                self._expect_hello(frame)\n",
        "",
        BOARD + "nothing_is_heard_of_who_was_dialled_before_a_hello",
    ),
    links(
        "letter of any kind may be as large as a log entry",
        "letters",
        "    if len(load) > _limits(letter).bytes:",
        "    if False:",
        BOARD + "a_letter_larger_than_its_kind_may_be_is_refused",
    ),
    links(
        "versions that do not meet are spoken",
        "frames",
        "newest if newest >= max(mine[0], theirs[0]) else None",
        "newest",
        BOARD + "two_versions_that_overlap_work_together",
    ),
    # -- lines
    links(
        "both give their line up when they dial at once",
        "channel",
        "            is_spare = line.dialled and other.dialled and talk.version is None",
        "            is_spare = other.dialled and talk.version is None",
        BOARD + "both_may_dial_at_once",
    ),
    links(
        "line of an older run is kept",
        "channel",
        "elif other is not line and anew and talk.version is not None:",
        "elif False:",
        BOARD + "a_peer_that_dials_again_has_lost_its_old_line",
    ),
    links(
        "old line is used as long as it is there",
        "channel",
        '        self.line, self.why = line, ""\n',
        '        self.line, self.why = self.line or line, ""\n',
        BOARD + "of_two_lines_the_newest_is_used",
    ),
    links(
        "silent line is believed in",
        "channel",
        "        elif now_ms - talk.heard_ms >= SILENT_MS:",
        "        elif False:",
        BOARD + "a_line_on_which_nothing_is_heard_is_given_up_and_nothing_is_lost",
    ),
    links(
        "own absence taken for the peers' silence",
        "channel",
        "            if was_away:\n",
        "            if False:\n",
        BOARD + "silence_while_this_machine_was_away_itself_says_nothing",
    ),
    links(
        "dialled again at once, for ever",
        "limits",
        "        self._failures += 1\n",
        "",
        BOARD + "who_is_not_reached_is_dialled_again_after_a_while_that_grows",
    ),
    links(
        "new address waits for the old one's turn",
        "channel",
        "        if self.line is None and not self._stopped and not self._dials and self.traffic.wants:",
        "        if False:",
        BOARD + "a_new_address_is_tried_at_once",
    ),
    links(
        "all dial again in the same moment",
        "limits",
        "self._entropy.spread(longest, 50)",
        "longest",
        BOARD + "two_machines_do_not_dial_again_in_the_same_moment",
    ),
    links(
        "any number of lines of one peer",
        "channel",
        "            if len(self._talks) >= MOST_LINES:",
        "            if False:",
        BOARD + "one_peer_has_only_so_many_lines",
    ),
    # -- letters
    links(
        "what was on a line that broke is forgotten",
        "letters",
        "        self.outbox.rewind()\n",
        "",
        BOARD + "what_was_on_a_line_that_broke_is_sent_again",
    ),
    links(
        "letter taken twice",
        "outbox",
        "        fresh = number == self.last + 1\n",
        "        fresh = True\n",
        OUT + "the_same_letter_is_taken_once",
        BOARD + "a_lost_acknowledgement_does_not_double_a_letter",
    ),
    links(
        "letters of a peer's new run taken for old ones",
        "letters",
        "        if anew:\n            self._inbox = Inbox()\n",
        "",
        BOARD + "a_peer_that_restarts_under_its_name_is_heard_and_hears_at_once",
    ),
    links(
        "never acknowledged",
        "letters",
        "                self._owe_ack()\n",
        "",
        BOARD + "what_was_on_a_line_that_broke_is_sent_again",
    ),
    links(
        "beats behind work",
        "outbox",
        "        if self._fresh:\n            return Next(0, 0, self._fresh[0].letter)\n        if self._out < len",
        "        if self._fresh and not self._waiting:\n            return Next(0, 0, self._fresh[0].letter)\n"
        "        if self._out < len",
        OUT + "no_more_is_under_way_than_the_window_but_one_always_fits",
    ),
    links(
        "no window",
        "outbox",
        "self._out_bytes + len(letter) <= self._window",
        "True",
        OUT + "no_more_is_under_way_than_the_window_but_one_always_fits",
    ),
    links(
        "no budget",
        "outbox",
        "        if self.bytes + len(letter) > self._budget or ",
        "        if ",
        OUT + "a_full_outbox_takes_no_more_work_and_says_so",
    ),
    links(
        "acknowledgement of what was never sent believed",
        "outbox",
        "        if number > self._last:",
        "        if False:",
        OUT + "an_acknowledgement_of_what_was_never_sent_is_refused",
    ),
    links(
        "given up and not counted",
        "letters",
        "        self._lose(self.outbox.expire(now_ms), why)",
        "        self.outbox.expire(now_ms)",
        BOARD + "what_was_not_taken_in_time_is_counted_and_told",
    ),
    # -- bytes
    links(
        "more pieces than credit",
        "answers",
        "        while debt.turns and debt.credit:",
        "        while debt.turns:",
        BULK + "no_more_is_under_way_than_there_is_credit_for",
    ),
    links(
        "credit that was not taken believed",
        "answers",
        "        if debt is None or not 0 < pieces <= CREDIT - debt.credit:",
        "        if debt is None:",
        BULK + "who_asks_what_may_not_be_asked_is_sent_away",
    ),
    links(
        "small answer waits for a large one",
        "answers",
        "            debt.turns.rotate(-1)\n            if one.at >= len(one.data):\n                debt.turns.pop()",
        "            if one.at >= len(one.data):\n                debt.turns.popleft()",
        BULK + "a_small_answer_does_not_wait_for_a_large_one",
    ),
    links(
        "what breaks off is given up at once",
        "answers",
        "            if one.tries >= TRIES:",
        "            if True:",
        BULK + "what_breaks_off_is_asked_once_more",
    ),
    links(
        "answer of any size made room for",
        "answers",
        " or sum(sizes) > ANSWER_BYTES:",
        ":",
        BULK + "who_answers_wrongly_is_sent_away",
    ),
    links(
        "more taken than the head has said",
        "answers",
        " or len(load) > one.missing:",
        ":",
        BULK + "who_answers_wrongly_is_sent_away",
    ),
    links(
        "any number of questions at once served",
        "answers",
        "        if len(debt.open) >= AT_ONCE:",
        "        if False:",
        BULK + "who_asks_too_much_at_once_is_told_no",
    ),
    links(
        "any number of bytes held for who takes none",
        "answers",
        "sum(map(len, some)) + debt.held > ANSWER_BYTES",
        "sum(map(len, some)) > ANSWER_BYTES",
        BULK + "who_takes_nothing_holds_only_so_much",
    ),
    # -- the sockets
    links(
        "listens without security",
        "sockets",
        "    made.setsockopt(zmq.CURVE_SERVER, 1)\n",
        "",
        REAL + "a_stranger_delivers_nothing",
    ),
    links(
        "any key is let in",
        "zap",
        '        if isinstance(found, Refusal):\n            return int(found), b""\n',
        "",
        REAL + "a_stranger_delivers_nothing",
    ),
    links(
        "trouble at one handshake ends the handler's answer",
        "zap",
        '            return 500, b""',
        "            raise",
        REAL + "trouble_at_one_handshake_is_not_the_end_of_all",
    ),
    links(
        "a claimed routing id takes another's place",
        "sockets",
        "    made.setsockopt(zmq.ROUTER_HANDOVER, 0)",
        "    made.setsockopt(zmq.ROUTER_HANDOVER, 1)",
        REAL + "a_claimed_routing_id_takes_nobodys_place",
    ),
    links(
        "messages of any size",
        "sockets",
        "    made.setsockopt(zmq.MAXMSGSIZE, MOST_BYTES[lane])\n",
        "",
        REAL + "what_is_too_large_ends_the_connection_and_nothing_else",
    ),
    links(
        "largest letter does not fit",
        "sockets",
        "LETTER_BYTES + SEALED",
        "LETTER_BYTES - (4 << 10)",
        CONTRACT + "a_letter_arrives_as_it_was_under_its_senders_name",
    ),
    links(
        "largest piece does not fit",
        "sockets",
        "max(PIECE_BYTES, HEAD_BYTES) + SEALED",
        "max(PIECE_BYTES, HEAD_BYTES)",
        CONTRACT + "a_segment_comes_piece_by_piece",
    ),
    links(
        "connection of who was put out stays",
        "wires",
        "        self._loop.call_later(LAST_WORD_MS / 1000, self.doorman.ender(line.file))\n",
        "",
        REAL + "who_is_put_out_while_connected_delivers_nothing_more_and_is_ended",
    ),
    links(
        "who says nothing may stay at the door",
        "doorman",
        "            if now - since >= HELLO_MS:",
        "            if False:",
        REAL + "who_has_a_key_and_says_nothing_is_sent_off",
    ),
    links(
        "any number may stand at the door",
        "doorman",
        "        elif len(self._waiting) > MOST:",
        "        elif False:",
        REAL + "of_many_at_the_door_the_oldest_are_sent_off_at_once",
    ),
    links(
        "a message that never ends is waited for",
        "doorman",
        "            if is_overfull(file, self._told(file)):",
        "            if False:",
        REAL + "a_message_that_never_ends_is_ended",
    ),
    links(
        "what came is counted without its seals",
        "sockets",
        "    body = part + 33\n",
        "    body = part\n",
        REAL + "what_came_on_a_connection_is_known_to_the_byte",
    ),
    links(
        "end of a connection not told",
        "wires",
        '                self._switch.gone(line, "the connection ended")',
        "                pass",
        REAL + "the_end_of_a_connection_is_told_at_both_ends",
    ),
    links(
        "a library that is too old is used",
        "sockets",
        "    if version < OLDEST or ",
        "    if ",
        REAL + "where_links_would_not_be_safe_none_are_made",
    ),
    links(
        "too few files are no matter",
        "sockets",
        "    if files < FILES:",
        "    if False:",
        REAL + "where_links_would_not_be_safe_none_are_made",
    ),
)

"""Mistakes in how a machine gets in: the text of an invite, its uses on the log, both sides of a joining.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant


def invite(name: str, old: str, new: str, *tests: str) -> Mutant:
    named = tuple(f"mesh/trust/test_invite.py::test_{test}" for test in tests)
    return Mutant(name, "mesh/trust/invite.py", old, new, named)


def joining(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(
        name, f"mesh/trust/{file}.py", old, new, tuple(f"mesh/trust/test_join.py::test_{one}" for one in tests)
    )


def pairing(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(
        name, "mesh/trust/pairing.py", old, new, tuple(f"mesh/trust/test_pairing.py::test_{x}" for x in tests)
    )


def logged(name: str, old: str, new: str, *tests: str) -> Mutant:
    named = tuple(f"scheduler/test_belonging.py::test_{test}" for test in tests)
    return Mutant(name, "scheduler/transitions/belonging.py", old, new, named)


def asked(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, file, old, new, tuple(f"mesh/links/test_pairing.py::test_{one}" for one in tests))


def lying(name: str, old: str, new: str, *tests: str) -> Mutant:
    named = tuple(f"daemon/test_headless.py::test_{test}" for test in tests)
    return Mutant(name, "daemon/headless.py", old, new, named)


MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- who asks without an invite
    asked(
        "one address fills the list of who asks",
        "mesh/links/askers.py",
        "or from_there >= FROM_ONE",
        "or from_there >= MOST",
        "crowds_are_bounded_for_each_address",
    ),
    asked(
        "one of several is guessed",
        "mesh/links/askers.py",
        "if len(found) == 1:",
        "if found:",
        "one_is_named_by_name_address_or_id_and_never_guessed",
    ),
    asked(
        "who waits for a person is sent off",
        "mesh/links/gate.py",
        ">= DIALOGUE_MS and line not in self._askers",
        ">= DIALOGUE_MS",
        "who_waits_longer_than_a_dialogue_may_take_is_not_sent_off_but_after_five_minutes",
    ),
    asked(
        "those who ask keep out who has an invite",
        "mesh/links/gate.py",
        "sum(line not in self._askers for line in self._dialogues)",
        "len(self._dialogues)",
        "those_who_ask_keep_out_nobody_with_an_invite",
    ),
    asked(
        "who asks may wait for ever",
        "mesh/links/gate.py",
        "        self._send_off_late(now)\n",
        "",
        "who_waits_longer_than_a_dialogue_may_take_is_not_sent_off_but_after_five_minutes",
    ),
    asked(
        "who has gone still asks",
        "mesh/links/gate.py",
        "        self._dialogues.pop(line, None)\n        self._askers.forget(line)\n",
        "        self._dialogues.pop(line, None)\n",
        "a_wrong_code_is_told_and_three_end_it",
    ),
    asked(
        "what was given is lost with the connection",
        "mesh/links/pairing.py",
        "and not self._lines[line][0].is_admitted",
        "",
        "what_was_given_stays_when_the_connection_ends_before_the_code_is_typed",
    ),
    asked(
        "a short question is answered at length",
        "mesh/discovery/calling.py",
        "return data == question()",
        "return data.startswith(QUESTION)",
        "an_answer_is_no_longer_than_its_question_and_only_that_is_answered",
    ),
    # -- an invite on a card
    lying(
        "a refused one is tried at each start",
        " and tried.boot == self._boot",
        " and tried.boot != self._boot",
        "a_refused_one_is_tried_once_in_a_boot_and_told_each_time",
    ),
    lying(
        "the card keeps a used invite",
        "            self._headless.used(lying)\n            return",
        "            return",
        "it_joins_and_deletes_the_invite",
    ),
    lying(
        "unfinished jobs are left for a card",
        "if before is not None and (why := holds(before)):",
        "if before is None and (why := holds(before)):",
        "who_is_in_a_mesh_with_others_stays_and_the_invite_too",
    ),
    lying(
        "a refused invite of somebody else is deleted",
        "if is_same and tried is not None and not tried.why:",
        "if is_same and tried is not None:",
        "one_that_was_refused_before_is_not_deleted_when_it_joins_by_another",
    ),
    # -- the text of an invite
    invite(
        "mistyped invite read",
        "    if data is None or not _is_whole(data):\n        raise",
        "    if data is None:\n        raise",
        "one_mistyped_character_is_found_wherever_it_is",
    ),
    invite(
        "invite of a newer version guessed at",
        "    if (data[0], data[1]) != (_VERSION, 0):",
        "    if False:",
        "one_of_a_newer_version_is_not_guessed_at",
    ),
    invite(
        "invite shows its secret",
        '        return f"<the invite {self.id.hex()}>"',
        '        return f"<the invite {self.id.hex()} {self.secret.hex()}>"',
        "nothing_that_is_shown_holds_the_secret",
    ),
    invite(
        "every long text searched for one mistake",
        "    if len(letters) > _MOST_LETTERS:",
        "    if len(letters) > 10 * _MOST_LETTERS and False:",
        "a_very_long_text_costs_nothing",
    ),
    invite(
        "all invites with one secret have one key",
        "derived(self.secret, _PURPOSE + self.id)",
        "derived(self.secret, _PURPOSE)",
        "the_key_follows_from_secret_and_id",
    ),
    # -- on the log
    logged(
        "invite without end",
        "        if len(used) >= invite.uses:",
        "        if False:",
        "one_use_is_one_machine",
    ),
    logged(
        "machine that asks again is another use",
        "    if command.node not in used:",
        "    if True:",
        "the_same_machine_again_is_not_another_use",
    ),
    logged(
        "invite that was taken back lets in",
        "    draft.dropped_invites += known\n",
        "",
        "one_that_was_taken_back_lets_nobody_in",
    ),
    logged(
        "invite made again is unused",
        "        if known.terms == command.terms:\n            return [ChangedNothing(entry.index)]\n",
        "        if known.terms == command.terms:\n            del draft.state.invites[command.id]\n",
        "the_same_invite_twice_is_one_and_another_under_its_number_is_none",
    ),
    logged(
        "machine that was put out let in again",
        "    if node in draft.state.revoked:",
        "    if False:",
        "who_is_put_out_is_no_member_and_becomes_none",
    ),
    logged(
        "machine that was put out still a member",
        "    draft.dropped_members.append(command.subject)\n",
        "",
        "who_is_put_out_is_no_member_and_becomes_none",
    ),
    logged(
        "older renewal counts",
        "    if command.until_ms <= known.until_ms:",
        "    if False:",
        "a_renewal_never_goes_back",
    ),
    logged(
        "anything counts as signed",
        "    if not 0 < len(data) <= LONGEST_SIGNED:",
        "    if False:",
        "what_is_signed_is_neither_nothing_nor_long",
    ),
    Mutant(
        "level raised though a machine is older",
        "coordinator.py",
        "(level := min(*levels, NEWEST_LEVEL)) > self._state.head.level:",
        "(level := max(*levels, NEWEST_LEVEL)) > self._state.head.level:",
        ("test_coordinator.py::test_the_level_rises_as_soon_as_every_machine_understands_more",),
    ),
    # -- who lets in
    joining(
        "secret of the invite not asked for",
        "join_server",
        "if terms.id != letter.invite or not same(invite_key_hash(letter.token), terms.key_hash):",
        "if terms.id != letter.invite:",
        "a_wrong_secret_is_refused",
    ),
    joining(
        "terms of another invite",
        "join_server",
        "if terms.id != letter.invite or not same(",
        "if not same(",
        "the_log_cannot_give_a_spent_invite_another_number",
    ),
    joining(
        "proof of the invite not looked at",
        "join_server",
        "        if not proves(Purpose.JOIN_BY_INVITE, what, letter.token, letter.by_token):",
        "        if False:",
        "the_public_half_of_the_key_is_not_the_key",
    ),
    joining(
        "proof of the machine's key not looked at",
        "join_server",
        "        if not proves(Purpose.JOIN_AS_NODE, what, letter.node, letter.by_node):",
        "        if False:",
        "the_key_of_the_machine_is_proven_by_itself",
    ),
    joining(
        "proof good for all nonces",
        "letters",
        "    return wire.encode((mesh, nonce, server, client, *more))",
        "    return wire.encode((mesh, server, client, *more))",
        "a_recorded_join_is_worth_nothing_again",
        "a_recorded_renewal_is_worth_nothing_again",
    ),
    joining(
        "proof good for all connections",
        "letters",
        "    return wire.encode((mesh, nonce, server, client, *more))",
        "    return wire.encode((mesh, nonce, server, *more))",
        "one_in_the_middle_cannot_hand_a_proof_on",
    ),
    joining(
        "uses as the log says them",
        "join_server",
        "        if node not in record.used and len(record.used) >= terms.uses:",
        "        if node not in record.used and len(record.used) >= record.uses:",
        "the_log_cannot_make_an_invite_give_more",
    ),
    joining(
        "certificate handed out though the log has refused",
        "join_server",
        "        if refusal is not None or not self._certificate:",
        "        if not self._certificate:",
        "two_at_once_share_no_use",
    ),
    joining(
        "certificate not checked before it is given",
        "join_server",
        "        self._porter.trust.check(data, now)\n",
        "",
        "an_issuer_that_may_give_less_gives_nothing",
    ),
    joining(
        "visitor heard after it was refused",
        "join_server",
        "        awaited, self._awaits = self._awaits, ()",
        "        awaited = self._awaits",
        "nobody_proves_before_hello_or_twice",
    ),
    joining(
        "renewal without the key",
        "join_server",
        "        if not proves(Purpose.RENEW, self._bound(letter.certificate), shown.key, letter.by_node):",
        "        if False:",
        "without_the_key_nobody_renews",
    ),
    joining(
        "old certificate gives what was taken away",
        "join_server",
        "        newest = self._newest(shown, now)",
        "        newest = shown",
        "an_old_certificate_does_not_bring_back_what_was_taken_away",
    ),
    joining(
        "log makes a renewal give more",
        "join_server",
        "return known if known.node == shown.node and ",
        "return known if ",
        "the_log_cannot_make_a_renewal_give_more",
    ),
    # -- who wants in
    joining(
        "root of another mesh believed",
        "join_client",
        "        if len(letter.root) != KEY_BYTES or fingerprint(letter.root) != self._invite.root:",
        "        if False:",
        "a_rogue_with_its_own_root_is_not_believed",
    ),
    joining(
        "rogue with the genuine chain believed",
        "join_client",
        "        if issuer.curve != self._server:",
        "        if False:",
        "a_rogue_with_the_genuine_chain_hears_only_hello",
    ),
    joining(
        "any issuer's name believed",
        "join_client",
        "if one.key == key]\n        if not found:",
        "]\n        if not found:",
        "a_member_that_is_no_issuer_is_not_believed",
    ),
    joining(
        "clock that is wrong not noticed",
        "join_client",
        "    if abs(theirs - mine) <= SKEW_MS:",
        "    if True:",
        "a_clock_that_is_wrong_is_said_to_be_wrong",
    ),
    joining(
        "certificate for another curve key taken",
        "join_client",
        "            if (mine.key, mine.curve) != (self._node.public, self._curve):",
        "            if mine.key != self._node.public:",
        "a_certificate_that_is_not_this_machines_is_not_taken",
    ),
    joining(
        "certificate of another machine taken",
        "join_client",
        "            if (mine.key, mine.curve) != (self._node.public, self._curve):",
        "            if mine.curve != self._curve:",
        "a_certificate_that_is_not_this_machines_is_not_taken",
    ),
    joining(
        "peers believed as they come",
        "join_client",
        "for peer in self._peers if self._is_believed(peer, now))",
        "for peer in self._peers)",
        "a_machine_with_an_invite_gets_in",
    ),
    joining(
        "renewal asked of another mesh",
        "join_client",
        "        if (letter.mesh, letter.root) != (self._known.mesh, self._known.root):",
        "        if False:",
        "a_renewal_is_asked_of_the_own_mesh_only",
    ),
    joining(
        "pages without end",
        "join_client",
        " or not 0 <= letter.pages <= MOST_PAGES:",
        ":",
        "nobody_is_made_to_wait_for_pages_without_end",
    ),
    # -- what a machine has on its disk
    Mutant(
        "trust of another mesh taken from the disk",
        "mesh/trust/standing.py",
        "    if fingerprint(known.root) != anchor:",
        "    if False:",
        ("daemon/test_founding.py::test_the_trust_of_another_mesh_is_not_taken",),
    ),
    Mutant(
        "trust that was changed on the disk read",
        "mesh/trust/standing.py",
        '        if crc32(text[_SUM:]).to_bytes(_SUM, "big") != text[:_SUM]:',
        "        if False:",
        ("daemon/test_founding.py::test_a_flipped_bit_is_noticed",),
    ),
    Mutant(
        "who was put out renews itself",
        "mesh/trust/standing.py",
        "    if standing.trust().is_revoked(mine.node):",
        "    if False:",
        ("daemon/test_founding.py::test_who_was_put_out_renews_nothing",),
    ),
    Mutant(
        "home that was used gets another key",
        "daemon/founding.py",
        " and belonging.host != here and not belonging.has_store",
        " and belonging.host != here",
        ("daemon/test_founding.py::test_a_home_that_was_cloned_before_it_was_used_gets_a_key_of_its_own",),
    ),
    Mutant(
        "home that was cloned keeps its key",
        "daemon/founding.py",
        "belonging.host != here and not belonging.has_store",
        "belonging.host == here and not belonging.has_store",
        ("daemon/test_founding.py::test_a_home_that_was_cloned_before_it_was_used_gets_a_key_of_its_own",),
    ),
    Mutant(
        "link to a key followed",
        "mesh/trust/keyfile.py",
        "os.O_RDONLY | os.O_NOFOLLOW",
        "os.O_RDONLY",
        ("daemon/test_identity.py::test_a_link_is_not_followed",),
    ),
    Mutant(
        "key for one thing used for another",
        "mesh/trust/keyfile.py",
        "    if len(text) != _SIZE or not text.startswith(magic) or",
        "    if len(text) != _SIZE or",
        ("daemon/test_founding.py::test_one_key_is_not_taken_for_another",),
    ),
    # -- without an invite
    pairing(
        "any code is the code",
        "        if digits == code:",
        "        if True:",
        "nothing_is_signed_before_the_code_is_typed_there",
    ),
    pairing(
        "codes without end of tries",
        "        self.left -= 1\n",
        "",
        "the_third_wrong_code_ends_it_on_both_sides",
    ),
    pairing(
        "codes for ever",
        "        if self.left <= 0 or since_ms > PATIENCE_MS:",
        "        if self.left <= 0:",
        "after_five_minutes_codes_are_worth_nothing",
    ),
    pairing(
        "code good twice",
        "        self._open = None\n        certificate",
        "        certificate",
        "a_code_cannot_be_used_twice",
    ),
    pairing(
        "number that was not promised",
        "        if not same(commitment(letter.number, letter.node, letter.name), self._commitment):",
        "        if False:",
        "a_number_that_was_not_promised_is_refused",
    ),
    pairing(
        "key of the one that knocks not proven",
        "        if not proves(Purpose.KNOCK, known, letter.node, letter.by_node):",
        "        if False:",
        "a_key_that_is_not_its_own_is_refused",
    ),
    pairing(
        "codes that know nothing of the connection",
        "    seed = derived(number, _CODES + known)",
        "    seed = derived(number, _CODES + known[:1])",
        "with_somebody_in_the_middle_the_codes_differ",
        "all_that_both_sides_know_is_in_the_codes",
    ),
    pairing(
        "given before the person here has typed",
        "        return super()._perhaps(now) if self._is_typed else Heard()",
        "        return super()._perhaps(now)",
        "what_is_given_waits_for_the_code_to_be_typed_here",
    ),
    pairing(
        "approval makes admins",
        "int(grants & BY_INVITE)",
        "int(grants)",
        "an_approval_gives_no_more_than_an_invite",
    ),
    # -- what an issuer puts onto the log
    Mutant(
        "invite promises what its issuer has not",
        "mesh/trust/inviting.py",
        "        *(int(asked & BY_INVITE) & issuer.may_give, now,",
        "        *(int(asked & BY_INVITE), now,",
        ("mesh/trust/test_inviting.py::test_an_issuer_gives_nothing_that_it_has_not",),
    ),
    Mutant(
        "invite for others lets them vote",
        "mesh/trust/inviting.py",
        "MINE if owner == owner_name(wish.by) else OF_OTHERS",
        "MINE",
        ("mesh/trust/test_inviting.py::test_who_comes_by_it_is_what_was_asked_for",),
    ),
    Mutant(
        "invite for ever",
        "mesh/trust/inviting.py",
        "    if not 0 < wish.for_ms <= INVITE_MS:",
        "    if False:",
        ("mesh/trust/test_inviting.py::test_what_no_invite_can_be_is_refused",),
    ),
)
